"""A restorer asked twice: the mean of both answers, in which rows and columns mean the same, and that is nearer to the truth."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pnpsr import Degradation, State, UnrolledSolver, dan, ikrnet, load, save, usrnet
from pnpsr.bordered import solve
from pnpsr.debiased import Solved, debiased, unsharpened
from pnpsr.ensemble import ensemble
from pnpsr.evaluate import psnr
from pnpsr.fast import fast
from pnpsr.images import sample_picture
from pnpsr.kernels import gaussian, line
from pnpsr.physics import Clipped, Masked, Measured
from pnpsr.recipes import tv_hqs
from pnpsr.released import open_solver
from pnpsr.steps import SelfEnsemble
from pnpsr.weights import presets

TINY = (4, 6, 8, 8)


def picture(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scale", [1, 2])
def test_it_is_the_mean_of_two_whole_solves(scale: int) -> None:
    torch.manual_seed(0)
    solver = usrnet(T=2, widths=TINY, hidden=4).eval()
    torch.nn.init.normal_(solver.restorer.prior.tail.weight, std=0.1)
    y, k = picture(2, 3, 8, 10), gaussian(5, 1.2, width2=0.6, angle=0.4)
    one, other = solver(y, scale, k=k, sigma=0.01), solver(y.mT.contiguous(), scale, k=k.mT.contiguous(), sigma=0.01)
    out = ensemble(solver)(y, scale, k=k, sigma=0.01)
    assert torch.allclose(out.x, (one.x + other.x.mT) / 2, atol=1e-6)
    assert not torch.allclose(one.x, other.x.mT, atol=1e-3)
    assert torch.equal(out.k, one.k) and out.hyper.sigma is not None


def test_rows_and_columns_mean_the_same_to_it() -> None:
    torch.manual_seed(0)
    view = ensemble(usrnet(T=1, widths=TINY, hidden=4).eval())
    y, k = picture(1, 3, 9, 12), gaussian(5, 1.2, width2=0.6, angle=0.4)
    hole = torch.ones(1, 1, 9, 12)
    hole[..., 2, 3] = 0
    for physics in (Degradation(2), Clipped(Degradation(2)), Masked(Degradation(1), hole)):
        a, b = view(y, physics, k=k, sigma=0.0).x, view(y.mT.contiguous(), physics.transposed, k=k.mT.contiguous(), sigma=0.0).x
        assert torch.allclose(a, b.mT, atol=1e-5)


def test_the_solver_is_shared_and_stays_what_it_is() -> None:
    solver = ikrnet(5, T=2, widths=TINY, hidden=4, first="statistics", kernel_step=False)
    before = solver.restorer
    view = ensemble(solver)
    assert view.k0 is solver.k0 and view.restorer.restorer.solver.restorer is before is solver.restorer
    assert (solver.T, view.T, view.needs.longest) == (2, 1, 1) and view.needs.finds_sigma == solver.needs.finds_sigma
    assert {id(p) for p in view.parameters()} == {id(p) for p in solver.parameters()}


def test_it_trains() -> None:
    view = ensemble(usrnet(T=1, widths=TINY, hidden=4))
    view(picture(1, 3, 8, 8), 2, k=gaussian(5, 1.0), sigma=0.01).x.sum().backward()
    assert all(p.grad is not None for p in view.restorer.restorer.solver.restorer.parameters())


def test_for_inference_it_is_the_same() -> None:
    torch.manual_seed(0)
    view = ensemble(usrnet(T=2, widths=TINY, hidden=4).eval())
    y, k = picture(1, 3, 16, 24), gaussian(5, 1.2, width2=0.6, angle=0.4)
    due = solve(view, y, 2, k=k, sigma=0.01)
    assert torch.allclose(solve(fast(view, "float32"), y, 2, k=k, sigma=0.01).x, due.x, atol=1e-5)
    assert float((solve(fast(view, "bfloat16"), y, 2, k=k, sigma=0.01).x - due.x).square().mean().sqrt()) < 1 / 256


def test_it_is_saved_and_comes_back_with_what_it_shares(tmp_path: Path) -> None:
    view = ensemble(ikrnet(5, T=2, widths=TINY, hidden=4, first="statistics", kernel_step=False).eval())
    save(view, tmp_path / "both.safetensors")
    back, y = load(tmp_path / "both.safetensors"), picture(1, 3, 24, 24)
    assert back.restorer.restorer.solver.tuner is back.tuner and back.T == 1
    with torch.no_grad():
        assert torch.equal(back(y, 2).x, view(y, 2).x)


@pytest.mark.parametrize("name", ["ikrnet-x1", "ikrnet-x2", "ikrnet-x4"])
def test_a_preset_gains(name: str) -> None:
    if name not in presets():
        pytest.skip(f"the preset {name} is not installed")
    scale, gains, once = int(name[-1]), [], load(name)
    once = unsharpened(once) if name == "ikrnet-x1" else once  # behind its kernel step little is gained
    for shown, top, left in (("astronaut", 40, 120), ("coffee", 100, 200), ("chelsea", 60, 120)):
        x = sample_picture(shown)[..., top : top + 192, left : left + 192]
        y = Degradation(scale)(x, gaussian(21, 2.0, width2=1.2, angle=0.5), 0.01, generator=torch.Generator().manual_seed(0))
        plain, both = (psnr(solve(s, y, scale).x, x, border=2 * scale) for s in (once, ensemble(once)))
        gains.append(float(both - plain))
    assert min(gains) > -0.02 and sum(gains) > 0.03


def test_it_goes_with_a_second_look() -> None:
    if "ikrnet-x1" not in presets():
        pytest.skip("the preset ikrnet-x1 is not installed")
    solver = open_solver("ikrnet-x1+debiased+ensemble")
    assert isinstance(solver, UnrolledSolver) and type(solver.k0).__name__ == "Debiased"
    assert type(solver.k0.start) is type(load("ikrnet-x1").k0) and isinstance(solver.restorer.restorer, Solved)
    other = debiased(ensemble(load("ikrnet-x1")), rounds=1)
    y = Degradation(1)(sample_picture("astronaut")[..., :96, :96], line(21, 9.0, 0.3))
    assert other(y, 1).x.shape == (1, 3, 96, 96)


def test_it_begins_where_it_is_told_to() -> None:
    view, y, k = ensemble(usrnet(T=1, widths=TINY, hidden=4).eval()), picture(1, 3, 8, 8), gaussian(5, 1.0)
    a, b = (view(y, 2, k=k, sigma=0.01, x=x).x for x in (torch.zeros(1, 3, 16, 16), torch.ones(1, 3, 16, 16)))
    assert not torch.allclose(a, b, atol=1e-2)


def test_half_of_it_is_half_in_a_file(tmp_path: Path) -> None:
    view = ensemble(ikrnet(5, T=2, widths=TINY, hidden=4, first="statistics", kernel_step=False).eval())
    for name, half in (("whole", False), ("half", True)):
        save(view, tmp_path / f"{name}.safetensors", half=half)
    whole, small = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half"))
    assert small < 0.7 * whole


REFUSED = {
    "twice": (lambda: ensemble(ensemble(usrnet(T=1, widths=TINY))), ValueError, "asked twice already"),
    "a kernel that iterations write": (lambda: ensemble(dan(2)), ValueError, "both solves would find anew"),
    "no solver": (lambda: ensemble(torch.nn.Identity()), TypeError, "UnrolledSolver"),
    "a second iteration": (
        lambda: ensemble(tv_hqs(T=1))(picture(1, 3, 8, 8), 2, k=gaussian(5, 1.0), sigma=0.0, T=2),
        ValueError,
        "T of the solver inside",
    ),
    "an operator that says nothing of axes": (
        lambda: ensemble(usrnet(T=1, widths=TINY))(
            picture(1, 3, 8, 8), Measured(Degradation(1).freeze(k=gaussian(3, 1.0))), k=gaussian(5, 1.0), sigma=0.0
        ),
        ValueError,
        "rows and columns exchanged",
    ),
    "a restorer of something else": (
        lambda: SelfEnsemble(lambda state: state.hyper)(State(picture(1, 3, 8, 8), 2)),
        TypeError,
        "must return an image",
    ),
    "no file of that name": (lambda: open_solver(Path("nowhere.safetensors+ensemble")), FileNotFoundError, "nowhere"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses(name: str) -> None:
    call, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        call()
