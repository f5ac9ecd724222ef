"""DAN's networks: the released layouts, the blocks' formulas, the start, and what they refuse."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pnpsr.nets import CRB, DPCB, DPCG, CRBEstimator, CRBRestorer, DPCEstimator, DPCRestorer

Shapes = list[tuple[int, ...]]
COUNTS = {1: (4_071_015, 4_386_940), 2: (4_181_799, 4_540_028), 3: (4_366_439, 4_733_116), 4: (4_329_511, 4_707_708)}


def conv(out: int, into: int, p: int) -> Shapes:
    return [(out, into, p, p), (out,)]


def upscale(scale: int) -> Shapes:
    return (2 * conv(256, 64, 3) if scale == 4 else conv(64 * scale**2, 64, 3)) + conv(3, 64, 3)


def crb(width: int, condition: int) -> Shapes:
    squeezed = width // 16
    both = width + condition
    return conv(both, both, 3) + conv(width, both, 3) + conv(squeezed, width, 1) + conv(width, squeezed, 1)


def released(scale: int) -> dict[type[nn.Module], Shapes]:
    """Shapes in the order of the released state dicts."""
    restorer = 50 * (2 * conv(64, 64, 3) + 2 * conv(64, 64, 1)) + conv(64, 64, 3)
    return {
        DPCRestorer: conv(64, 3, 3) + conv(64, 10, 1) + restorer + (upscale(scale) if scale > 1 else conv(3, 64, 3)),
        DPCEstimator: conv(32, 3, 5) + conv(32, 3, 4 * scale + 1) + 20 * conv(32, 32, 3) + conv(64, 32, 3) + conv(441, 64, 1),
        CRBRestorer: conv(64, 3, 3) + 40 * crb(64, 10) + conv(64, 64, 3) + upscale(scale),
        CRBEstimator: conv(32, 3, 1) + conv(32, 3, 9) + 5 * crb(32, 32) + conv(10, 32, 3),
    }


@pytest.mark.parametrize("scale", COUNTS)
def test_sizes_and_order_of_the_released_networks(scale: int) -> None:
    with torch.device("meta"):
        first = CRBRestorer(scale), CRBEstimator(scale)
        second = DPCRestorer(scale), DPCEstimator(scale, 21)
    for net in first + second:
        assert [tuple(v.shape) for v in net.state_dict().values()] == released(scale)[type(net)]
    assert tuple(sum(p.numel() for net in nets for p in net.parameters()) for nets in (first, second)) == COUNTS[scale]


def two(layers: nn.Sequential, v: Tensor) -> Tensor:
    a, _, b = layers
    hidden = F.leaky_relu(F.conv2d(v, a.weight, a.bias, padding=a.weight.shape[-1] // 2), 0.2)
    return F.conv2d(hidden, b.weight, b.bias, padding=b.weight.shape[-1] // 2)


@pytest.mark.parametrize("conditional", [1, 3])
def test_dual_path_block_is_its_formula(conditional: int) -> None:
    torch.manual_seed(0)
    block = DPCB(4, conditional=conditional).double()
    basic = torch.rand(2, 4, 6, 5, dtype=torch.float64)
    condition = torch.rand(2, 4, *((1, 1) if conditional == 1 else (6, 5)), dtype=torch.float64)
    gain = two(block.conditional, condition)
    b, c = block(basic, condition)
    torch.testing.assert_close(b, basic + two(block.basic, basic) * gain)
    torch.testing.assert_close(c, condition + gain)


def test_the_long_skip_of_the_paper_and_of_the_released_code() -> None:
    torch.manual_seed(0)
    groups = {skip: DPCG(4, 2, skip=skip) for skip in ("paper", "released", "off")}
    for skip in ("released", "off"):
        groups[skip].load_state_dict(groups["paper"].state_dict())
    basic, condition = start = torch.rand(2, 4, 6, 5), torch.rand(2, 4, 1, 1)
    for block in groups["paper"].blocks:
        basic, condition = block(basic, condition)
    end = basic, condition
    for out, a, z in zip(groups["paper"](*start), start, end, strict=True):
        torch.testing.assert_close(out, a + z)
    for out, z in zip(groups["released"](*start), end, strict=True):
        torch.testing.assert_close(out, 2 * z)
    assert all(torch.equal(out, z) for out, z in zip(groups["off"](*start), end, strict=True))
    with pytest.raises(ValueError, match="skip must be one of"):
        DPCG(4, 2, skip="none")


def test_conditional_residual_block_is_its_formula() -> None:
    torch.manual_seed(0)
    block = CRB(32, 3).double()
    basic, condition = torch.rand(2, 32, 6, 5, dtype=torch.float64), torch.rand(2, 3, 6, 5, dtype=torch.float64)
    update = two(block.body, torch.cat((basic, condition), 1))
    attention = torch.sigmoid(two(block.attention[:3], update.mean((2, 3), keepdim=True)))
    assert block.attention[0].out_channels == 2
    torch.testing.assert_close(block(basic, condition), basic + update * attention)


@pytest.mark.parametrize("scale", COUNTS)
def test_estimators_answer_with_a_kernel_and_with_a_code(scale: int) -> None:
    torch.manual_seed(0)
    y, x = torch.rand(2, 1, 7, 9), torch.rand(2, 1, 7 * scale, 9 * scale)
    k = DPCEstimator(scale, (5, 8), width=8, blocks=2, channels=1)(y, x)
    assert k.shape == (2, 1, 5, 8)
    assert (k >= 0).all()
    torch.testing.assert_close(k.sum((1, 2, 3)), torch.ones(2))
    assert -(k * k.log()).sum((1, 2, 3)).min() > 0.95 * torch.tensor(40.0).log()  # starts almost flat
    assert CRBEstimator(scale, 7, width=8, blocks=2, channels=1)(y, x).shape == (2, 7)


def test_the_last_layer_fills_the_kernel_row_by_row_and_softmax_is_optional() -> None:
    torch.manual_seed(0)
    net = DPCEstimator(2, (2, 3), width=4, blocks=1, softmax=False)
    with torch.no_grad():
        k = net(torch.rand(1, 3, 9, 9), torch.rand(1, 3, 18, 18))
        assert (6 * k - 1).abs().max() < 0.6 and abs(float(k.sum()) - 1) > 1e-6  # starts almost flat too, though nothing holds it
        net.last.weight.zero_()
        net.last.bias.copy_(torch.arange(6.0))
    k = net(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 8, 8))
    assert k.tolist() == [[[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]]]


def test_the_kernel_estimator_starts_blind_to_brightness() -> None:
    torch.manual_seed(0)
    net, y = DPCEstimator(2, 5, width=4), torch.rand(1, 3, 9, 9)
    for head, v in ((net.head_y, y), (net.head_x, torch.rand(1, 3, 40, 40))):
        inside = (slice(None), slice(None), slice(4, -4), slice(4, -4))
        torch.testing.assert_close(head(v + 0.5)[inside], head(v)[inside], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", [DPCRestorer, CRBRestorer])
@pytest.mark.parametrize("scale", COUNTS)
def test_restorers_start_as_a_rough_interpolation_on_the_kept_grid(kind: type[nn.Module], scale: int) -> None:
    torch.manual_seed(0)
    net, y, code = kind(scale, 4, width=16, blocks=3), torch.rand(2, 3, 12, 10), 0.1 * torch.rand(2, 4)
    edge = F.pad(y, (0, 1, 0, 1), mode="replicate")  # linear interpolation that keeps pixel i at scale * i
    aligned = F.interpolate(edge, size=(12 * scale + 1, 10 * scale + 1), mode="bilinear", align_corners=True)[..., :-1, :-1]
    inside = (slice(None), slice(None), slice(scale, -2 * scale), slice(scale, -2 * scale))
    out = net(y, code)
    assert out.shape == (2, 3, 12 * scale, 10 * scale)
    assert (out - aligned)[inside].norm() < 0.5 * aligned[inside].norm()


def test_code_changes_the_picture_and_each_sample_has_its_own() -> None:
    torch.manual_seed(0)
    y, code = torch.rand(1, 3, 6, 6).expand(2, -1, -1, -1), torch.rand(2, 4)
    for net in (DPCRestorer(2, 4, width=8, groups=1, blocks=2), CRBRestorer(2, 4, width=8, blocks=2)):
        first, second = net(y, code)
        assert (first - second).abs().max() > 1e-5


@pytest.mark.parametrize("kind", [DPCRestorer, CRBRestorer])
def test_restorers_refuse_codes_that_do_not_fit(kind: type[nn.Module]) -> None:
    net, y = kind(2, 4, width=4, blocks=1), torch.rand(2, 3, 6, 6)
    for code in (torch.rand(2, 5), torch.rand(3, 4), torch.rand(2, 4, 1, 1), torch.rand(4)):
        with pytest.raises(ValueError, match=r"code must have shape \(2, 4\)"):
            net(y, code)
    with pytest.raises(TypeError, match="code"):
        net(y, [[0.0] * 4] * 2)
    with pytest.raises(TypeError, match="float64"):
        net(y, torch.rand(2, 4).double())


@pytest.mark.parametrize("net", [DPCEstimator(2, 5, width=4, blocks=1), CRBEstimator(2, 5, width=4, blocks=1)])
def test_estimators_refuse_pictures_that_do_not_fit(net: nn.Module) -> None:
    y = torch.rand(2, 3, 6, 5)
    for shape in ((2, 3, 6, 5), (2, 3, 12, 11), (1, 3, 12, 10)):
        with pytest.raises(ValueError, match=r"x must have shape \(2, 3, 12, 10\)"):
            net(y, torch.rand(shape))


@pytest.mark.parametrize("kind", [DPCRestorer, CRBRestorer, CRBEstimator])
@pytest.mark.parametrize(("scale", "error"), [(0, ValueError), (5, ValueError), (2.5, TypeError), ((2, 2), TypeError)])
def test_other_scales_are_refused(kind: type[nn.Module], scale: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="scale"):
        kind(scale)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [("code", 0, ValueError), ("width", -1, ValueError), ("blocks", True, TypeError), ("groups", 0, ValueError)],
)
def test_impossible_counts_are_refused(name: str, value: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=name):
        DPCRestorer(2, **{name: value})
