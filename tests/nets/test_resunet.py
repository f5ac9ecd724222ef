"""ResUNet: the strength channel, the borders, the released layout and weights."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from pnpsr.nets import HyperMLP, ResUNet


def count(*modules: torch.nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def released_shapes(channels: int, head: int, a: int, b: int, c: int, d: int) -> list[tuple[int, ...]]:
    def residuals(w: int) -> list[tuple[int, ...]]:
        return 4 * [(w, w, 3, 3)]

    down = [s for x, z in ((a, b), (b, c), (c, d)) for s in (*residuals(x), (z, x, 2, 2))]
    up = [s for x, z in ((c, d), (b, c), (a, b)) for s in ((z, x, 2, 2), *residuals(x))]
    return [(a, head, 3, 3), *down, *residuals(d), *up, (channels, a, 3, 3)]


def test_sizes_and_order_of_the_released_networks() -> None:
    tiny, full = ResUNet(3, strength=True, widths=(16, 32, 64, 64)), ResUNet(3, strength=True)
    assert count(tiny, HyperMLP(12, hidden=32)) == 590_332  # USRNet tiny, six iterations
    assert count(full, HyperMLP(16)) == 17_016_016  # USRNet, "17.02 M"
    for net, widths in ((tiny, (16, 32, 64, 64)), (full, (64, 128, 256, 512))):
        assert [tuple(v.shape) for v in net.state_dict().values()] == released_shapes(3, 4, *widths)
    assert [n for n, _ in HyperMLP(2).named_parameters()] == [f"mlp.{i}.{kind}" for i in (0, 2, 4) for kind in ("weight", "bias")]


def test_strength_takes_every_form_of_one_value_per_sample() -> None:
    torch.manual_seed(0)
    net, v = ResUNet(3, strength=True, widths=(4, 4, 4, 4)), torch.rand(2, 3, 9, 7)
    expected = torch.cat([net(v[:1], 0.1), net(v[1:], 0.3)])
    values = torch.tensor([0.1, 0.3])
    for strength in (values, values.reshape(2, 1, 1, 1)):
        torch.testing.assert_close(net(v, strength), expected)
    torch.testing.assert_close(net(v, torch.tensor(0.1))[0], expected[0])
    assert not torch.allclose(net(v, 0.1)[1], expected[1])


def test_strength_must_be_given_exactly_where_there_is_a_channel_for_it() -> None:
    v = torch.rand(1, 1, 8, 8)
    with pytest.raises(ValueError, match="no strength channel"):
        ResUNet(1, widths=(2, 2, 2, 2))(v, 0.1)
    net = ResUNet(1, strength=True, widths=(2, 2, 2, 2))
    with pytest.raises(ValueError, match="has a strength channel"):
        net(v)
    with pytest.raises(ValueError, match="2 values for a batch of 1"):
        net(v, torch.tensor([0.1, 0.2]))
    with pytest.raises(ValueError, match="zero or positive"):
        net(v, -1.0)


@pytest.mark.parametrize("size", [(5, 5), (21, 21), (1, 1), (3, 17), (8, 16)])
def test_other_sizes_are_padded_by_replication_below_and_to_the_right(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net, v = ResUNet(1, widths=(4, 6, 8, 8)).double(), torch.rand(2, 1, *size, dtype=torch.float64)
    rows, columns = ([min(i, n - 1) for i in range(-(-n // 8) * 8)] for n in size)
    torch.testing.assert_close(net(v), net(v[:, :, rows][..., columns])[..., : size[0], : size[1]])


def test_a_folded_net_moves_with_the_picture_by_whole_folds() -> None:
    torch.manual_seed(0)
    net, v = ResUNet(3, widths=(12, 6, 8, 8), fold=2).double(), torch.rand(1, 3, 96, 96, dtype=torch.float64)
    torch.testing.assert_close(net(v.roll((16, 16), (-2, -1)))[..., 48:64, 48:64], net(v)[..., 32:48, 32:48], atol=1e-4, rtol=0)
    assert net(v[..., :50, :61]).shape == (1, 3, 50, 61)


def test_starts_near_the_identity() -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        v = torch.rand(2, 3, 24, 24)
        for net in (
            ResUNet(3, strength=True, widths=(16, 32, 64, 64)),
            ResUNet(3, widths=(16, 32, 64, 64)),
            ResUNet(3, strength=True, widths=(48, 32, 64, 64), fold=4),
        ):
            assert (net(v, 0.1 if net.strength else None) - v).norm() < 0.2 * v.norm()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"widths": (4, 4, 4)}, ValueError),
        ({"widths": (4, 4, 0, 4)}, ValueError),
        ({"widths": (4, 4, 2.5, 4)}, TypeError),
        ({"channels": 0}, ValueError),
        ({"blocks": 1.5}, TypeError),
        ({"fold": 0}, ValueError),
        ({"fold": True}, TypeError),
    ],
)
def test_impossible_nets_are_refused(arguments: dict, error: type[Exception]) -> None:
    with pytest.raises(error, match="|".join(arguments)):
        ResUNet(**arguments)


def test_released_weights_make_a_denoiser(data: Path) -> None:
    released = torch.load(data / "weights" / "usrnet_tiny.pth", weights_only=True)
    net, tuner = ResUNet(3, strength=True, widths=(16, 32, 64, 64)), HyperMLP(12, hidden=32)
    for module, prefix in ((net, "p."), (tuner, "h.")):
        values = [v for k, v in released.items() if k.startswith(prefix)]
        module.load_state_dict(dict(zip(module.state_dict(), values, strict=True)))
    generator = torch.Generator().manual_seed(0)
    clean = F.interpolate(torch.rand(1, 3, 6, 6, generator=generator), size=(64, 64), mode="bilinear")
    noisy = clean + 0.05 * torch.randn(clean.shape, generator=generator)
    assert (net(noisy, 0.03) - clean).square().mean() < 0.2 * (noisy - clean).square().mean()
    betas = tuner(0.0, 4)[0, 6:, 0, 0]
    assert (betas.diff() < 0).all()  # the strength falls from one iteration to the next


def test_a_kernel_prior_starts_near_the_identity_too() -> None:
    """Biases as large as torch draws them would drown a kernel, whose coefficients are a few hundredths."""
    torch.manual_seed(0)
    k = torch.softmax(torch.randn(1, 441), 1).reshape(1, 1, 21, 21)
    assert float((ResUNet(1, widths=(2, 4, 8, 16), bias=True)(k) - k).detach().abs().max()) < 0.05  # 0.4 with random biases
