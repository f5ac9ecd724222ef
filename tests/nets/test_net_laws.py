"""Laws that every network keeps, whatever it computes."""

from collections.abc import Callable

import pytest
import torch
from devices import agrees, in_every_dtype, keeps, on_every_device
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pnpsr import nets

Inputs = Callable[[int, int, int], tuple[Tensor, ...]]  # batch, rows, columns


def picture(c: int = 3, s: int = 1) -> Inputs:
    return lambda b, h, w: (torch.rand(b, c, s * h, s * w, dtype=torch.float64),)


def code(n: int = 4) -> Inputs:
    return lambda b, h, w: (torch.rand(b, n, dtype=torch.float64),)


def kernel(p: int = 5, q: int = 5) -> Inputs:
    return lambda b, h, w: (torch.rand(b, 1, p, q, dtype=torch.float64).flatten(1).softmax(1).reshape(b, 1, p, q),)


def level() -> Inputs:
    return lambda b, h, w: (torch.rand(b, 1, 1, 1, dtype=torch.float64),)


class Joined(nets.EdgeNet):
    """All that it says, as one row for each sample, and no longer that all is right."""

    def __init__(self, scale: int, size: int, *, width: int) -> None:
        super().__init__(scale, size, width=width)
        for layer in (self.tail, self.trust, self.words.gains):
            nn.init.normal_(layer.weight, std=0.1)

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.cat([t.flatten(1) for t in super().forward(*inputs)], 1)


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[Inputs, ...]]] = {
    "resunet": (lambda: nets.ResUNet(3, widths=(4, 4, 6, 8), blocks=1), (picture(),)),
    "resunet strength": (lambda: nets.ResUNet(1, strength=True, widths=(3, 4, 6, 8), bias=True), (picture(1), level())),
    "resunet folded": (lambda: nets.ResUNet(3, strength=True, widths=(12, 4, 6, 8), blocks=1, fold=2), (picture(), level())),
    "resunet narrow": (lambda: nets.ResUNet(3, widths=(2, 4, 4, 8), blocks=1), (picture(),)),
    "noise": (lambda: nets.NoiseNet(3, 6), (picture(),)),
    "decoder": (lambda: nets.KernelDecoder((3, 4), 4), (code(),)),
    "autoencoder": (lambda: nets.KernelAutoencoder(5, 4, output="sigmoid"), (kernel(),)),
    "encoder": (lambda: nets.KernelEncoder((5, 4), code=4, width=5), (picture(),)),
    "statistics thorough": (lambda: nets.KernelStatistics(5, width=6, thorough=True), (picture(),)),
    "statistics": (lambda: nets.KernelStatistics((3, 4), width=6), (picture(),)),
    "edges": (lambda: Joined(2, 5, width=4), (picture(2), picture(2), picture(2, 2), kernel(), level())),
    "corrector": (lambda: nets.KernelCorrector(2, 5, code=4, width=4), (picture(), picture(3, 2), kernel())),
    "dpc estimator": (lambda: nets.DPCEstimator(2, (3, 4), width=4, blocks=2), (picture(), picture(3, 2))),
    "dpc estimator, linear": (lambda: nets.DPCEstimator(3, 3, width=4, blocks=1, softmax=False), (picture(), picture(3, 3))),
    "dpc restorer 1": (lambda: nets.DPCRestorer(1, 4, width=4, groups=1, blocks=1), (picture(), code())),
    "dpc restorer 4": (lambda: nets.DPCRestorer(4, 4, width=4, groups=2, blocks=2, skip="released"), (picture(), code())),
    "crb estimator": (lambda: nets.CRBEstimator(4, 4, width=4, blocks=2, channels=1), (picture(1), picture(1, 4))),
    "crb restorer": (lambda: nets.CRBRestorer(3, 4, width=4, blocks=2), (picture(), code())),
}


UNUSED = "autoencoder.layers."  # the encoding half of a KernelEncoder's auto-encoder defines its training targets only


def build(name: str, seed: int = 0) -> tuple[nn.Module, Callable[[int, int, int], list[Tensor]]]:
    torch.manual_seed(seed)
    make, inputs = CASES[name]
    return make().double(), lambda b, h, w: [make_input(b, h, w)[0] for make_input in inputs]


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=6)
@given(b=st.integers(1, 3), h=st.integers(1, 13), w=st.integers(1, 13), seed=st.integers(0, 99))
def test_any_size_and_every_sample_on_its_own(name: str, b: int, h: int, w: int, seed: int) -> None:
    net, inputs = build(name, seed)
    given_ = inputs(b, h, w)
    kept = [t.clone() for t in given_]
    together = net(*given_)
    assert all(torch.equal(a, k) for a, k in zip(given_, kept, strict=True)), "an input was changed"
    assert together.dtype == torch.float64
    assert together.isfinite().all()
    apart = torch.cat([net(*(t[i : i + 1] for t in given_)) for i in range(b)])
    torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("name", CASES)
def test_gradients_reach_every_parameter_and_input(name: str) -> None:
    net, inputs = build(name)
    given_ = [t.requires_grad_() for t in inputs(6, 9, 12)]
    net(*given_).square().sum().backward()
    dead = {n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()}
    assert dead == {n for n, _ in net.named_parameters() if name == "encoder" and n.startswith(UNUSED)}
    assert all(t.grad is not None and t.grad.any() for t in given_)


@pytest.mark.parametrize("name", [n for n in CASES if "decoder" not in n and n != "edges"])
def test_bad_tensors_are_refused(name: str) -> None:
    net, inputs = build(name)
    first, *rest = inputs(2, 8, 8)
    with pytest.raises(ValueError, match=r"the net has \d channel\(s\), got 2"):
        net(first[:, :1].expand(-1, 2, -1, -1), *rest)
    with pytest.raises(TypeError, match="8-bit"):
        net((first * 255).to(torch.uint8), *rest)
    with pytest.raises(TypeError, match="float32, the net torch.float64"):
        net(first.float(), *rest)
    with pytest.raises(ValueError, match="shape"):
        net(first[0], *rest)


@pytest.mark.parametrize("name", ["resunet strength", "dpc estimator", "crb restorer", "corrector"])
def test_traces_without_graph_breaks(name: str) -> None:
    net, inputs = build(name)
    given_ = inputs(2, 8, 8)
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(*given_), net(*given_))


@pytest.mark.parametrize("name", ["resunet", "dpc restorer 4", "encoder"])
def test_runs_under_autocast_whatever_precision_comes_in(name: str) -> None:
    net, inputs = build(name)
    net.float()
    with torch.autocast("cpu", torch.bfloat16):
        out = net(*(t.bfloat16() for t in inputs(2, 8, 8)))
    assert out.isfinite().all()


@on_every_device
@in_every_dtype
@pytest.mark.parametrize("name", CASES)
def test_a_net_computes_where_and_how_it_was_put(name: str, device: str, dtype: torch.dtype) -> None:
    net, inputs = build(name)
    given_ = inputs(2, 8, 9)
    with torch.no_grad():
        expected = net(*given_)
        out = net.to(device, dtype)(*(t.to(device, dtype) for t in given_))
    assert keeps(out, device, dtype) and agrees(out, expected)
