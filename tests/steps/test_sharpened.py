"""A first kernel fitted again: what a perfect network makes of it, what an untrained one leaves, and what does not count."""

from itertools import combinations, islice
from pathlib import Path

import pytest
import torch
from synthetic import observed, pictures
from torch import Tensor

from pnpsr import Degradation, State, ikrnet, load, save
from pnpsr.bordered import extended, margins, solve
from pnpsr.data import FromDataset, setting
from pnpsr.debiased import debiased, settling, unsharpened
from pnpsr.ensemble import ensemble
from pnpsr.fast import fast
from pnpsr.images import sample_picture
from pnpsr.kernels import dirac, gaussian, random_motion, settled
from pnpsr.nets import EdgeNet
from pnpsr.physics import Clipped, Masked
from pnpsr.prox import differences
from pnpsr.steps import ChooseTurn, LearnedKernelStart, Sharpened
from pnpsr.weights import presets

P, ROOT = 9, Path(__file__).parent.parent.parent


def motion(seed: int, size: int = P) -> Tensor:
    return random_motion(1, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Oracle(EdgeNet):
    """A network that knows the edges of y and of the true x."""

    def __init__(self, x: Tensor, y: Tensor, scale: int, gamma: float = 1e-9) -> None:
        super().__init__(scale, P, width=2)
        self.told = differences(y.mean(1, keepdim=True), 1), differences(x.mean(1, keepdim=True), scale), gamma

    def forward(self, *_: Tensor) -> tuple[Tensor, ...]:
        d, e, gamma = self.told
        return d, e, d.new_full((1, 1, 1), gamma), d.new_full((1, 1, 1), 0.5)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("physics", [Degradation, lambda s: Degradation(s, offset=s - 1, correlation=True, centre="(p-1)//2")])
def test_true_edges_give_the_true_kernel(scale: int, physics: type[Degradation]) -> None:
    """In every convention; and with a large γ the kernel that was there."""
    x, k, k0 = pictures(1, 3, 32, 40, 1), motion(1), 0.8 * motion(2) + 0.2 / P**2
    y = physics(scale)(x, k)
    for gamma, due, tolerance in ((1e-9, k, 1e-5), (1e9, k0, 1e-7)):
        found = Sharpened(lambda state: k0, Oracle(x, y, scale, gamma).double())(State(y, physics(scale)))
        assert float((found - due).abs().max()) < tolerance


def test_before_it_has_learned_anything_the_kernel_stays() -> None:
    k0, y = motion(3), observed(pictures(2, 3, 24, 32, 2), motion(1), 2, 0.01, 2)
    for settle in (False, True):
        k = Sharpened(lambda state: k0, EdgeNet(2, P, width=4).double(), settle=settle)(State(y, 2))
        assert torch.allclose(k, (settled(k0) if settle else k0).expand(2, -1, -1, -1), atol=1e-6)


def test_what_was_continued_beyond_the_border_does_not_count() -> None:
    """Whatever stands there: the fit is that of the pixels that were given."""
    x, k, k0 = pictures(1, 3, 64, 64, 3), motion(1), 0.8 * motion(2) + 0.2 / P**2
    wide = Degradation(2)(x, k)
    given = wide[..., 6:-6, 4:-4]
    other = wide + 0.3 * torch.rand(wide.shape, generator=torch.Generator().manual_seed(0), dtype=wide.dtype)
    other[..., 6:-6, 4:-4] = given
    step = Sharpened(lambda state: k0, Oracle(x, other, 2).double())
    assert float((step(State(other, Degradation(2), given=given)) - k).abs().max()) < 1e-5
    assert float((step(State(other, Degradation(2))) - k).abs().max()) > 1e-3


def test_where_y_has_gaps_the_start_stays() -> None:
    x, k0 = pictures(1, 3, 24, 24, 4), motion(3)
    y, hole = Degradation(1)(x, motion(1)), torch.ones(1, 1, 24, 24, dtype=x.dtype)
    hole[..., 5, 6] = 0
    step = Sharpened(lambda state: k0, Oracle(x, y, 1).double())
    assert not torch.equal(step(State(y, 1)), k0)
    for physics in (Masked(Degradation(1), hole), Clipped(Degradation(1)), Degradation(1, boundary="reflect")):
        assert torch.equal(step(State(y, physics)), k0)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_small_flat_and_gray_pictures(scale: int) -> None:
    """A kernel comes of any size of y; on what is flat, and under a start with negative taps, nothing breaks; gray is all of y."""
    torch.manual_seed(0)
    net = EdgeNet(scale, P, width=4).double()
    torch.nn.init.normal_(net.tail.weight, std=0.1)
    torch.nn.init.normal_(net.trust.weight, std=0.1)
    k0 = motion(3)
    k0[..., 0, 0] -= 0.02
    step = Sharpened(lambda state: k0 / k0.sum(), net)
    generator = torch.Generator().manual_seed(0)
    for h in range(1, 14):
        wide = torch.rand(1, 3, h + 16, 46, generator=generator, dtype=torch.float64)
        k = step(State(wide, scale, given=wide[..., 8:-8, 8:-8]))
        assert k.shape == (1, 1, P, P) and k.isfinite().all()
    for flat in (0.0, 0.5):
        assert torch.equal(step(State(torch.full((1, 1, 16, 16), flat, dtype=torch.float64), scale)), k0 / k0.sum())
    gray = wide[:, :1]
    assert torch.allclose(step(State(gray.expand(-1, 3, -1, -1), scale, given=gray)), step(State(gray, scale)), atol=1e-9)


def test_its_network_learns_and_the_start_is_left_alone() -> None:
    k0, k = motion(2).requires_grad_(), motion(1)
    y = observed(pictures(1, 3, 32, 32, 5), k, 2, 0.0, 5)
    torch.manual_seed(0)
    step = Sharpened(lambda state: k0, EdgeNet(2, P, width=4).double())
    optimiser = torch.optim.Adam(step.parameters(), 1e-2)
    errors = []
    for _ in range(25):
        loss = (step(State(y, 2)) - k).square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        errors.append(float(loss.detach()))
    assert errors[-1] < 0.8 * errors[0]


def small(**other: bool) -> torch.nn.Module:
    torch.manual_seed(0)
    made = {"first": "statistics", "first_width": 8, "kernel_step": False, "thorough": True, "turn": True}
    return ikrnet(P, T=1, widths=(2, 2, 2, 2), sharp=2, **made, **other).eval()


def test_views_with_less_of_it_share_the_networks() -> None:
    solver = small(settle=True)
    assert isinstance(solver.k0, Sharpened) and solver.k0.settle and not solver.k0.start.start.settle
    plain = settling(solver, False)
    assert plain.k0.net is solver.k0.net and not plain.k0.settle and solver.k0.settle
    before = unsharpened(solver)
    assert isinstance(before.k0, ChooseTurn) and before.k0.start.settle and before.k0.start.net is solver.k0.start.start.net
    assert isinstance(unsharpened(before).k0.start, LearnedKernelStart) and solver.needs.scales == (2,)
    assert type(debiased(solver).k0.start) is Sharpened and ensemble(solver).k0 is solver.k0
    for wrong in (settling, unsharpened):
        with pytest.raises(TypeError, match="UnrolledSolver"):
            wrong(torch.nn.Identity())


def test_it_is_saved_and_comes_back(tmp_path: Path) -> None:
    solver, y = small(), torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(solver.k0.net.tail.weight, std=0.1)
    save(solver, tmp_path / "again.safetensors")
    with torch.no_grad():
        k = load(tmp_path / "again.safetensors")(y, 2).k
        assert torch.equal(k, solver(y, 2).k) and torch.allclose(fast(solver, "float32")(y, 2).k, k, atol=1e-6)
        assert not torch.allclose(k, unsharpened(solver)(y, 2).k, atol=1e-4)


@pytest.mark.parametrize(("scale", "border"), [(1, False), (2, False), (2, True), (3, False), (3, True), (4, False), (4, True)])
def test_the_preset_finds_better_kernels_with_it(scale: int, border: bool) -> None:
    if (name := f"ikrnet-x{scale}") not in presets():
        pytest.skip(f"the preset {name} is not installed")
    solver, off, side = load(name), [], 256 // scale * scale
    for shown, seed in (("astronaut", 3), ("coffee", 4), ("chelsea", 5), ("rocket", 6)):
        x, k = sample_picture(shown)[..., :side, :side], random_motion(1, 21, generator=torch.Generator().manual_seed(seed))
        y, b = Degradation(scale)(x, k), 24 // scale if border else 0
        y = y[..., b : y.shape[-2] - b, b : y.shape[-1] - b]
        found = (solve(one, y, scale, T=1, boundary="extend" if border else "circular").k for one in (unsharpened(solver), solver))
        off.append([float((one - k).square().sum()) for one in found])
    before, after = (sum(column) for column in zip(*off, strict=True))
    assert after < 0.95 * before


REFUSED = {
    "another scale": (lambda y: State(y, 3), P, ValueError, "a network for scale 2, got 3"),
    "another size": (lambda y: State(y, 2), 5, ValueError, "as the network was built for"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses(name: str) -> None:
    state, size, error, words = REFUSED[name]
    y = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with pytest.raises(error, match=words):
        Sharpened(lambda s: gaussian(size, 1.0), EdgeNet(2, P, width=4))(state(y))


def test_a_start_must_return_a_kernel() -> None:
    with pytest.raises(TypeError, match="start must return a kernel"):
        Sharpened(lambda state: None, EdgeNet(2, P, width=4))(State(torch.rand(1, 1, 8, 8), 2))
    assert Sharpened(lambda state: dirac(P), EdgeNet(2, P, width=4)).needs.scales == (2,)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("bordered", [False, True])
def test_a_kernel_step_is_trained_as_it_is_used(scale: int, bordered: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same first kernel the training makes the kernel that ``Sharpened`` does, on periodic windows and on those that end."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from kernel_nets import SIZE, Sharp, seen

    torch.manual_seed(scale)
    x, k, k0 = pictures(2, 1, 72, 72, 1).float(), motion(1, SIZE).float(), motion(2, SIZE).float().expand(2, -1, -1, -1)
    y = Degradation(scale)(x, k, 0.01, generator=torch.Generator().manual_seed(0))
    net = Sharp(scale)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.05)
    wide = extended(y, margins(*y.shape[-2:], SIZE)) if bordered else y
    given = y if bordered else None
    trained = net(seen(wide, k0, scale, given), k0)[0].detach()
    plain = EdgeNet(scale, SIZE)
    plain.load_state_dict(net.state_dict())
    used = Sharpened(lambda state: k0, plain)(State(wide, Degradation(scale), given=given)).detach()
    assert float((trained - k0).abs().max()) > 1e-4  # it does something
    assert float((trained - used).abs().max()) < 0.02 * float(trained.max())  # convolutions may be in bfloat16


def test_windows_in_turn_do_not_depend_on_when_the_training_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch n is the same to a training that was stopped; with a border and without, other pictures under other kernels."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from kernel_step import Windows

    many = Windows(
        FromDataset(list(pictures(3, 3, 64, 64, 5).float())), setting("ikrnet", scales=(1,)), lambda state: dirac(P), False
    )
    whole = list(islice(many.in_turn(2, 40, (0, 4), 0), 5))
    for start in (1, 2, 3):
        for one, again in zip(whole[start:], many.in_turn(2, 40, (0, 4), start), strict=False):
            assert torch.equal(one.k, again.k) and torch.equal(one.seen.edges, again.seen.edges)
    assert [one.seen.shape is None for one in whole] == [True, False, True, False, True]
    assert all(not torch.equal(one.k, other.k) for one, other in combinations(whole, 2))
