"""From a solver to a photograph: sizes, borders, gray, noise, every iterate, and no gradient mode left behind."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds
from synthetic import kernels, observed, pictures, psnr
from torch import Tensor, nn

from pnpsr import State, UnrolledSolver, blind_hqs, dan, usrnet
from pnpsr.bordered import BOUNDARIES, inverts, iterates, solve
from pnpsr.needs import Needs
from pnpsr.physics import Physics, estimate_noise, gaussian_noise
from pnpsr.recipes import ikrnet_released, tv_hqs
from pnpsr.solver import Iterative
from pnpsr.starts import Dirac

TINY = (4, 6, 8, 8)


def photograph(
    k: Tensor, scale: int = 1, sigma: float = 0.005, seed: int = 0, size: tuple[int, int] = (60, 72)
) -> tuple[Tensor, Tensor]:
    """x and y of a picture that goes on beyond its frame: not periodic, not mirrored."""
    margin, (h, w) = 24, size
    whole = pictures(1, 3, h + 2 * margin, w + 2 * margin, seed)
    y = observed(whole, k, 1)[..., margin:-margin, margin:-margin][..., ::scale, ::scale]
    return whole[..., margin:-margin, margin:-margin], gaussian_noise(y, sigma, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=12)
@given(
    seed=seeds,
    h=st.integers(1, 11),
    w=st.integers(1, 11),
    scale=st.sampled_from([1, 2, 3, (2, 3)]),
    p=st.integers(1, 4),
    c=st.sampled_from([1, 3]),
)
def test_the_result_is_as_large_as_the_photograph_times_the_scale(seed: int, h: int, w: int, scale: int, p: int, c: int) -> None:
    y = pictures(2, c, h, w, seed)
    s1, s2 = scale if isinstance(scale, tuple) else (scale, scale)
    p = min(p, s1 * h, s2 * w)
    k = kernels(2, p, seed)
    for boundary in BOUNDARIES:
        out = solve(tv_hqs(T=2), y, scale, k=k, boundary=boundary)
        assert out.x.shape == (2, c, s1 * h, s2 * w) and out.k.shape == (2, 1, p, p) and out.y is y
        assert out.x.min() >= 0 and out.x.max() <= 1 and out.x.dtype == torch.float64
        for i in range(2):
            alone = solve(tv_hqs(T=2), y[i : i + 1], scale, k=k[i : i + 1], boundary=boundary)
            assert torch.allclose(alone.x, out.x[i : i + 1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("seed", [0, 1])
def test_extending_a_photograph_spares_its_border(scale: int, seed: int) -> None:
    k = kernels(1, 13, seed=4)
    x, y = photograph(k, scale, seed=seed)
    frame = torch.ones(x.shape[-2:], dtype=torch.bool)
    frame[12:-12, 12:-12] = False
    extended, circular = (solve(tv_hqs(), y, scale, k=k, boundary=b).x for b in ("extend", "circular"))
    assert psnr(extended[..., frame], x[..., frame]) > psnr(circular[..., frame], x[..., frame]) + 1
    assert psnr(extended, x) > psnr(circular, x)


def test_mirrored_borders_too() -> None:
    x, k = pictures(1, 3, 60, 72, seed=2), kernels(1, 13, seed=4)
    y = observed(x, k, 1, 0.005, boundary="reflect")
    extended, circular = (solve(tv_hqs(), y, 1, k=k, boundary=b).x for b in ("extend", "circular"))
    for inside in (slice(0, 12), slice(-12, None)):
        assert psnr(extended[..., inside, :], x[..., inside, :]) > psnr(circular[..., inside, :], x[..., inside, :])
    assert psnr(extended, x) > psnr(circular, x) + 1


def test_what_is_periodic_is_best_taken_so() -> None:
    x, k = pictures(1, 3, 40, 48, seed=0), kernels(1, 7, seed=0)
    y = observed(x, k, 1)
    out = solve(tv_hqs(), y, 1, k=k, boundary="circular")
    assert torch.equal(out.x, tv_hqs()(y, 1, k=k).x.clamp(0, 1))  # nothing else is done then
    assert psnr(out.x, x) > psnr(solve(tv_hqs(), y, 1, k=k).x, x)


def test_noise_is_estimated_on_the_photograph_and_not_on_its_continuation() -> None:
    _, y = photograph(kernels(1, 13, seed=4), sigma=0.03)
    learned = blind_hqs(5, T=1, finish=usrnet(T=1, widths=TINY, hidden=4).double())
    for solver, k in ((tv_hqs(T=2), kernels(1, 5, seed=0)), (blind_hqs(5, T=1, finish=1), None), (learned, None)):
        assert torch.equal(solve(solver, y, 1, k=k).hyper.sigma, estimate_noise(y))
        assert float(solve(solver, y, 1, k=k, sigma=0.5).hyper.sigma) == 0.5
    assert float(estimate_noise(y)) == pytest.approx(0.03, rel=0.1)


@pytest.mark.parametrize("size", [3, 12])
def test_the_solver_sees_the_photograph_untouched_and_far_from_the_seam(size: int) -> None:
    """Noise around black and white has a mean of zero only as long as nobody cuts half of it off."""
    seen: list[Tensor] = []

    def look(s: State) -> Tensor:
        seen.append(s.y)
        return s.known("x")

    y = gaussian_noise(torch.zeros(1, 1, 20, 26).double(), 0.1, generator=torch.Generator().manual_seed(0))
    solve(UnrolledSolver(None, look, 1, k0=Dirac(size)), y, 1)
    solve(UnrolledSolver(None, look, 1, k0=None), y, 1, k=kernels(1, size, seed=0))
    for wide in seen:
        rows, columns = (wide.shape[-2] - 20) // 2, (wide.shape[-1] - 26) // 2
        assert min(rows, columns) >= size and torch.equal(wide[..., rows:-rows, columns:-columns], y)


# --- gray ---


def test_gray_pictures_go_through_colour_networks_and_come_back_gray() -> None:
    torch.manual_seed(0)
    y = pictures(2, 1, 9, 7, seed=0, dtype=torch.float32)
    for net, given_ in (
        (dan(2, size=5, code=4, width=8, groups=1, blocks=1, T=1), {}),
        (usrnet(T=1, widths=TINY), {"k": torch.ones(1, 1, 1, 1), "sigma": 0.0}),
    ):
        out = solve(net, y, 2, **given_, boundary="circular")
        colour = net(y.expand(-1, 3, -1, -1), 2, **given_).x.detach()
        assert out.x.shape == (2, 1, 18, 14) and out.y is y
        assert torch.allclose(out.x, colour.mean(1, keepdim=True).clamp(0, 1), atol=1e-6)
    gray = usrnet(T=1, widths=TINY, channels=1)
    assert torch.equal(
        solve(gray, y, 2, k=given_["k"], sigma=0.0, boundary="circular").x, gray(y, 2, **given_).x.detach().clamp(0, 1)
    )
    with pytest.raises(ValueError, match="channel"):
        solve(gray, y.expand(-1, 3, -1, -1), 2, **given_)


# --- iterates ---


def test_every_iterate_comes_without_gradients_and_the_caller_keeps_his() -> None:
    torch.manual_seed(0)
    net = dan(2, size=5, code=4, width=8, groups=1, blocks=1, T=3)
    y = pictures(1, 3, 6, 7, seed=0, dtype=torch.float32)
    steps = iterates(net, y)
    for t, s in enumerate(steps, start=1):
        assert torch.is_grad_enabled()
        assert s.t == t and not s.x.requires_grad and not s.k.requires_grad and s.x.grad_fn is None
    assert t == 3 and torch.equal(s.x, solve(net, y).x)
    with torch.no_grad():
        next(iterates(net, y))
        assert not torch.is_grad_enabled()
    stopped = iterates(net, y, T=2)
    next(stopped)
    stopped.close()
    assert torch.is_grad_enabled() and len(list(iterates(net, y, T=5))) == 5
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


def test_a_module_with_its_own_loop_is_called_once() -> None:
    torch.manual_seed(0)
    net, y = ikrnet_released(5, widths=TINY), pictures(1, 3, 8, 9, seed=0, dtype=torch.float32)
    states = list(iterates(net, y, 2, sigma=0.01, boundary="circular"))
    assert len(states) == 1 and torch.equal(states[0].x, net(y, 2, sigma=0.01).x.detach().clamp(0, 1))
    assert solve(net, y, 2, sigma=0.01).x.shape == (1, 3, 16, 18)


class Plain(nn.Module):
    """A module of one's own that is told the scale alone, and takes nothing else."""

    def forward(self, y: Tensor, scale: int, *, sigma: float | None = None) -> State:
        return tv_hqs(T=1)(y, scale, sigma=sigma, k=K.to(y))


class Telling(nn.Module):
    """A module of one's own, no UnrolledSolver, that says what it needs and takes any physics."""

    needs = Needs(kernel=True, periodic=True, kernel_size=3)

    def forward(self, y: Tensor, physics: Physics, *, k: Tensor, sigma: float | None = None) -> State:
        return tv_hqs(T=2)(y, physics, k=k, sigma=sigma)


def test_a_module_of_ones_own_is_given_what_it_has_arguments_for() -> None:
    y, mask = pictures(1, 3, 12, 14, seed=0), (torch.rand(1, 1, 12, 14, generator=torch.Generator().manual_seed(0)) > 0.2).double()
    for given_, boundary in (({}, "circular"), ({"mask": mask}, "circular"), ({"mask": mask}, "extend")):
        mine, ours = (solve(net, y, 2, k=K, sigma=0.01, boundary=boundary, **given_) for net in (Telling(), tv_hqs(T=2)))
        assert torch.equal(mine.x, ours.x) and mine.x.shape == (1, 3, 24, 28)
    assert inverts(Telling()) and inverts(tv_hqs()) and not inverts(Plain())
    assert isinstance(tv_hqs(), Iterative) and not isinstance(Telling(), Iterative)


def own_loop() -> nn.Module:
    return ikrnet_released(5, widths=TINY)


Y, K = pictures(1, 3, 6, 7, seed=0), kernels(1, 3, seed=0)
REFUSED = {
    "boundary": (
        lambda: solve(tv_hqs(), Y, 2, k=K, boundary="mirror"),
        ValueError,
        "boundary must be one of 'extend', 'circular'",
    ),
    "T zero": (lambda: solve(tv_hqs(), Y, 2, k=K, T=0), ValueError, "T must be at least 1"),
    "T 2.5": (lambda: solve(tv_hqs(), Y, 2, k=K, T=2.5), TypeError, "T must be an integer"),  # type: ignore[arg-type]
    "8 bits": (lambda: solve(tv_hqs(), (255 * Y).to(torch.uint8), 2, k=K), TypeError, "y.float\\(\\) / 255"),
    "not divided": (lambda: solve(tv_hqs(), 255 * Y, 2, k=K), ValueError, "divide 8-bit values by 255"),
    "no kernel": (lambda: solve(tv_hqs(), Y, 2), ValueError, "no k to start from"),
    "no scale": (lambda: solve(tv_hqs(), Y, k=K), ValueError, "scale is missing"),
    "NaN": (lambda: solve(tv_hqs(), Y * float("nan"), 2, k=K), ValueError, "y holds NaN"),
    "a kernel for another loop": (
        lambda: solve(Plain(), Y.float(), 2, sigma=0.01, k=K),
        ValueError,
        "Plain takes no k=",
    ),
    "a mask for one that knows the scale alone": (
        lambda: solve(own_loop(), Y.float(), 2, sigma=0.01, mask=torch.ones(1, 1, 6, 7)),
        ValueError,
        "IKRNetReleased takes no mask=",
    ),
    "iterations for another loop": (
        lambda: solve(own_loop(), Y.float(), 2, sigma=0.01, T=3),
        ValueError,
        "IKRNetReleased takes no T=",
    ),
}


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
