"""IKR-Net's released weights, as far as their layout is known: eight image steps, one kernel step, eight image steps afresh."""

from pathlib import Path

import pytest
import torch
from by_formula import invented
from synthetic import kernels, observed, pictures
from torch import Tensor
from usrnet_by_formula import ikrnet, ikrnet_code, ikrnet_first, ikrnet_shapes

from pnpsr import load, load_released, save

WIDTHS, SIZE = (4, 5, 6, 7), 7


def small(wide: int = 64) -> dict[str, Tensor]:
    return invented(ikrnet_shapes(WIDTHS, SIZE, wide=wide), gain=0.5)


def as_released(w: dict[str, Tensor]) -> dict[str, Tensor]:
    """Four parts were wrapped for several devices; and there is a corrector that nobody calls."""
    return {"netC.head_LR.0.bias": torch.zeros(3, dtype=w["h.mlp.0.bias"].dtype)} | {
        f"{part}.module.{rest}" if part in ("p", "h", "p_init", "h_init") else name: value
        for name, value in w.items()
        for part, _, rest in [name.partition(".")]
    }


def saved(weights: object, folder: Path) -> Path:
    torch.save(weights, folder / "a.pth")
    return folder / "a.pth"


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_the_solver_computes_what_the_released_code_does(scale: int, tmp_path: Path) -> None:
    w, k = small(), kernels(1, SIZE, seed=0)
    net = load_released(saved(as_released(w), tmp_path))
    assert net.record.arguments == {"size": SIZE, "widths": WIDTHS, "kernel_widths": (2, 4, 8, 16), "initialiser": True}
    y = observed(pictures(1, 3, 9 * scale, 12 * scale, seed=0), k, scale, 0.02)
    with torch.no_grad():
        for first, given in ((k, {"k": k}), (ikrnet_first(w, y), {})):
            x, kernel = ikrnet(w, y, first, 0.02, scale)
            out = net(y, scale, sigma=0.02, **given)
            assert (out.x - x).abs().max() < 1e-9 and (out.k - kernel).abs().max() < 1e-10
            assert x.std() > 1e-3 and kernel.std() > 1e-4 and abs(out.k.sum() - 1) < 1e-9


def test_the_kernel_auto_encoder_is_taken_with_it(tmp_path: Path) -> None:
    w, k = small(), kernels(3, SIZE, seed=0)
    coder = load_released(saved(w, tmp_path)).first.k0.net.autoencoder
    with torch.no_grad():
        assert (coder.encode(k) - ikrnet_code(w, k)).abs().max() < 1e-12


def test_every_sample_is_treated_as_the_first_one(tmp_path: Path) -> None:
    w, k = small(), kernels(2, SIZE, seed=0)
    y = observed(pictures(2, 3, 16, 20, seed=0), k, 2, 0.02)
    with torch.no_grad():
        out = load_released(saved(w, tmp_path))(y, 2, sigma=0.02, k=k)
        for i in (0, 1):
            assert (out.x[i : i + 1] - ikrnet(w, y[i : i + 1], k[i : i + 1], 0.02, 2)[0]).abs().max() < 1e-9


def test_colours_but_the_first_have_no_say_in_the_kernel(tmp_path: Path) -> None:
    net, k = load_released(saved(small(), tmp_path)), kernels(1, SIZE, seed=0)
    half = net.first(observed(pictures(1, 3, 16, 20, seed=0), k, 2), 2, sigma=0.0, k=k)
    other = net.first(half.y.clone().index_fill_(1, torch.tensor([1, 2]), 0.5), 2, sigma=0.0, k=k)
    assert not torch.allclose(net.kernel(half), net.kernel(other))  # through the image, which its prior mixes
    mixed = half.write("x", torch.cat([half.x[:, :1], other.x[:, 1:]], 1))
    assert torch.equal(net.kernel(half), net.kernel(mixed))


def test_without_its_first_network_the_caller_gives_the_kernel(tmp_path: Path) -> None:
    """Missing, or other than what the paper says of it."""
    k = kernels(1, SIZE, seed=0)
    y = observed(pictures(1, 3, 16, 20, seed=0), k, 2, 0.02)
    for w in (
        {name: v for name, v in small().items() if not name.startswith(("netP.", "dec.", "enc."))},
        {name: v for name, v in small().items() if not name.startswith("netP.")},
        {name: v for name, v in small().items() if not name.startswith("dec.")},
        {name: v for name, v in small().items() if not name.startswith("enc.")},
        small(wide=32),
    ):
        net = load_released(saved(w, tmp_path))
        assert not net.record.arguments["initialiser"]
        with pytest.raises(ValueError, match="no k to start from: pass k="):
            net(y, 2, sigma=0.02)
        with torch.no_grad():
            assert (net(y, 2, sigma=0.02, k=k).x - ikrnet(w, y, k, 0.02, 2)[0]).abs().max() < 1e-9
            save(net, tmp_path / "a.safetensors")
            assert torch.equal(load(tmp_path / "a.safetensors")(y, 2, sigma=0.02, k=k).x, net(y, 2, sigma=0.02, k=k).x)


def test_what_was_recognised_can_be_saved_and_loaded(tmp_path: Path) -> None:
    net, y = load_released(saved(as_released(small()), tmp_path)), pictures(1, 3, 8, 8, seed=0)
    save(net, tmp_path / "a.safetensors")
    again = load(tmp_path / "a.safetensors")
    assert again.record == net.record
    with torch.no_grad():
        assert torch.equal(again(y, 2, sigma=0.01).x, net(y, 2, sigma=0.01).x)


def test_the_released_sizes(tmp_path: Path) -> None:
    """Two image priors of USRNet's size, a kernel prior of 16,863 weights, and two biases that only ours has."""
    shapes = ikrnet_shapes((64, 128, 256, 512), 21)
    weights = {name: torch.zeros(shape) for name, shape in shapes.items()}
    net = load_released(saved(as_released(weights), tmp_path))
    assert sum(p.numel() for p in net.parameters()) == sum(v.numel() for v in weights.values()) + 2
    for parts, total in ((("p.", "h."), 17_016_016), (("pk.",), 16_863)):
        assert sum(v.numel() for name, v in weights.items() if name.startswith(parts)) == total
    assert net.record.arguments["size"] == 21 and net.record.arguments["initialiser"]


def test_variants_are_refused(tmp_path: Path) -> None:
    w = small()
    for change in (
        {"dec.decoder_hidden2.bias": torch.zeros(3).double()},
        {"noise.0.weight": torch.zeros(1).double()},
        {"p.m_tail.weight": torch.zeros(3, 3, 3, 3).double()},
        {"p_init.m_head.weight": w["p_init.m_head.weight"][:2]},
        {"h.mlp.4.bias": torch.zeros(12).double()},
    ):
        with pytest.raises(ValueError, match="variant of IKR-Net that is not known"):
            load_released(saved(w | change, tmp_path))
