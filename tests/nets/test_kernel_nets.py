"""Networks that answer with a kernel through a code: the auto-encoder, IKR-Net's start, BISR-Net's correction."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pnpsr.nets import EdgeNet, KernelAutoencoder, KernelCorrector, KernelDecoder, KernelEncoder


def gaussians(n: int, p: int) -> torch.Tensor:
    r, width = torch.arange(p) - p // 2, torch.linspace(0.6, 0.3 * p, n).reshape(-1, 1, 1, 1)
    return (-(r**2 + r[:, None] ** 2) / (2 * width**2)).flatten(1).softmax(1).reshape(n, 1, p, p)


def widths(layers: torch.nn.Sequential) -> list[int]:
    return [layers[0].in_features, *(layer.out_features for layer in layers[::2])]


def test_the_papers_widths() -> None:
    net = KernelAutoencoder(21)
    assert widths(net.layers) == [441, 400, 225, 100, 25, 10]
    assert widths(net.decoder.layers) == [10, 25, 100, 225, 400, 441]


@given(p=st.integers(1, 40), q=st.integers(1, 40), code=st.integers(1, 12))
def test_other_sizes_scale_the_widths_and_never_squeeze_below_the_code(p: int, q: int, code: int) -> None:
    with torch.device("meta"):
        net = KernelAutoencoder((p, q), code)
    hidden = widths(net.layers)[1:]
    assert hidden == sorted(hidden, reverse=True)
    assert hidden[-1] == code
    assert widths(net.decoder.layers) == [*reversed(hidden), p * q]


@given(p=st.integers(2, 9), q=st.integers(2, 9), seed=st.integers(0, 99))
def test_decoded_kernels_are_kernels(p: int, q: int, seed: int) -> None:
    torch.manual_seed(seed)
    code = torch.rand(3, 4)
    for output in ("softmax", "sigmoid"):
        k = KernelDecoder((p, q), 4, output=output)(code)
        assert k.shape == (3, 1, p, q)
        assert (k >= 0).all()
        torch.testing.assert_close(k.sum((1, 2, 3)), torch.ones(3), rtol=0, atol=1e-5 if output == "softmax" else 0.6)


def test_autoencoder_learns_a_family_of_kernels() -> None:
    torch.manual_seed(0)
    net, k = KernelAutoencoder(9, 3), gaussians(32, 9)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(300):
        optimizer.zero_grad()
        (81 * (net(k) - k).square().mean()).backward()
        optimizer.step()
    code = net.encode(k)
    assert ((code > 0) & (code < 1)).all()
    torch.testing.assert_close(net(k), net.decode(code))
    assert (net(k) - k).square().mean() < 0.05 * (k.mean(0) - k).square().mean()


def test_encoder_predicts_a_code_of_its_autoencoder() -> None:
    torch.manual_seed(0)
    net = KernelEncoder(7, code=4, width=6)
    y = torch.rand(2, 3, 11, 9)
    code = net.code(y)
    assert code.shape == (2, 4)
    assert ((code > 0) & (code < 1)).all()
    torch.testing.assert_close(net(y), net.autoencoder.decode(code))
    convolutions = [layer for layer in net.features if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.kernel_size for layer in convolutions] == 6 * [(5, 5)]
    assert sorted(layer.stride for layer in convolutions) == [*5 * [(1, 1)], (2, 2)]
    assert net.last.in_features == 4 * 6  # a 2 x 2 grid


def test_encoder_starts_with_a_signal_that_reaches_the_code() -> None:
    for seed in range(3):
        torch.manual_seed(seed)
        net = KernelEncoder(7)
        coarse = torch.rand(4, 3, 4, 4)
        fine = net.code(torch.rand(4, 3, 32, 32)) - net.code(torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bicubic"))
        assert fine.abs().max() > 0.05


def test_corrector_without_a_correction_is_the_autoencoder() -> None:
    torch.manual_seed(0)
    net, k = KernelCorrector(2, 7, code=4, width=4), gaussians(2, 7)
    y, x = torch.rand(2, 3, 8, 6), torch.rand(2, 3, 16, 12)
    assert not torch.allclose(net(y, x, k), net.autoencoder(k))
    with torch.no_grad():
        net.last.weight.zero_()
        net.last.bias.zero_()
    torch.testing.assert_close(net(y, x, k), net.autoencoder(k))


def test_bad_input_is_refused() -> None:
    corrector, y, x = KernelCorrector(2, 5, width=4), torch.rand(2, 3, 8, 6), torch.rand(2, 3, 16, 12)
    with pytest.raises(ValueError, match=r"k must have shape \(b, 1, 5, 5\)"):
        corrector(y, x, gaussians(2, 7))
    with pytest.raises(ValueError, match="3 kernels for a batch of 2"):
        corrector(y, x, gaussians(3, 5))
    with pytest.raises(ValueError, match="x must have shape"):
        corrector(y, y, gaussians(2, 5))
    with pytest.raises(ValueError, match="code must have shape"):
        KernelDecoder(5)(torch.rand(2, 9))
    with pytest.raises(TypeError, match="float64"):
        KernelDecoder(5)(torch.rand(2, 10).double())
    with pytest.raises(ValueError, match="output"):
        KernelEncoder(5, output="relu")
    with pytest.raises(TypeError, match="size"):
        KernelAutoencoder(4.5)
    with pytest.raises(ValueError, match="scale"):
        KernelCorrector(5)


def test_edges_are_two_and_the_kernel_is_of_the_size_it_was_built_for() -> None:
    net, y, k = EdgeNet(2, 5, width=4), torch.rand(1, 2, 8, 8), torch.full((1, 1, 5, 5), 0.04)
    fitting = (y, y, torch.rand(1, 2, 16, 16), k, torch.full((1, 1, 1, 1), 0.1))
    for n, wrong, error, words in (
        (0, y[:, :1], ValueError, "data .* 2 channel"),
        (0, y.double(), TypeError, "data is torch.float64"),
        (1, y[..., :4], ValueError, "known must be .*as data is"),
        (2, y, ValueError, r"edges must be \(1, 2, 16, 16\)"),
        (3, torch.full((1, 1, 7, 7), 1 / 49), ValueError, "k must be 5 x 5"),
    ):
        with pytest.raises(error, match=words):
            net(*fitting[:n], wrong, *fitting[n + 1 :])
