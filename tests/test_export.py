"""Exported, compiled, mapped and differentiated, a solver is what it is without that."""

import copy
from pathlib import Path

import pytest
import torch
from instances import INSTANCES, Case, case, fresh, run, solver
from torch import Tensor

from pnpsr import State, UnrolledSolver, load, save
from pnpsr.cli import main
from pnpsr.export import export, to_onnx
from pnpsr.recipes import first_kernel

pytestmark = pytest.mark.filterwarnings("default")  # what the tracer and the compiler themselves warn of is not ours
each = pytest.mark.parametrize("key", INSTANCES)
QUICK = ("dan gray", "ikrnet gray", "ikrnet on the support", "usrnet gray", "blind_hqs gray", "first_kernel")


def taken(c: Case, key: str) -> tuple[Tensor, dict[str, Tensor]]:
    given = {name: value.flatten() if name == "sigma" else value for name, value in c.given(INSTANCES[key]).items()}
    return c.y, given


def exported(key: str, folder: Path, sizes: tuple[tuple[int, int], ...], *, dynamic: bool = True, T: int | None = None) -> None:
    """Trace, save, load, and compare with the solver on pictures of other sizes than the traced one."""
    instance, net = INSTANCES[key], fresh(key).float().train()
    c = case(instance, h=sizes[0][0], w=sizes[0][1]).to(torch.float32)
    program = export(
        net, 2, T=T, given=instance.needs, batch=2, size=sizes[0], kernel=5, channels=instance.channels, dynamic=dynamic
    )
    assert net.training
    torch.export.save(program, folder / "a.pt2")
    again = torch.export.load(folder / "a.pt2").module()
    for h, w in sizes:
        y, given = taken(c := case(instance, h=h, w=w).to(torch.float32), key)
        with torch.no_grad():
            out = run(net, instance, c, **({} if T is None else {"T": T}))
            x, k = again(y, **given)
        assert torch.allclose(x, out.x, rtol=0, atol=1e-4) and torch.allclose(k, out.k, rtol=0, atol=1e-4)


@pytest.mark.parametrize("key", ["dan", "usrnet"])
def test_a_program_is_the_solver_at_any_size(key: str, tmp_path: Path) -> None:
    exported(key, tmp_path, ((24, 20), (33, 27), (16, 40)), T=1)


@pytest.mark.slow
@each
def test_a_program_of_every_recipe_is_its_solver(key: str, tmp_path: Path) -> None:
    one = 1 if INSTANCES[key].anytime and INSTANCES[key].steps else None
    large = "statistics" in key or "first_kernel" in key or "kernel step" in key or "fitted again" in key
    exported(key, tmp_path, ((70, 66), (81, 67)) if large else ((24, 20), (33, 27)), T=one)


def test_the_command_writes_what_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = fresh("dan").float()
    save(net, tmp_path / "a.safetensors")
    out = tmp_path / "a.pt2"
    assert (
        main(["export", str(tmp_path / "a.safetensors"), str(out), "--iterations", "1", "--size", "12", "10", "--dynamic", "False"])
        == 0
    )
    assert "y -> x, k; 1 picture(s) of 12 x 10" in capsys.readouterr().out
    y = torch.rand(1, 3, 12, 10)
    with torch.no_grad():
        assert torch.allclose(torch.export.load(out).module()(y)[0], load(tmp_path / "a.safetensors")(y, T=1).x, atol=1e-5)
    for words, said in (
        (("a.txt",), "the suffix of out must be one of"),
        (("a.pt2", "--given", "x"), "given must be one of 'k', 'sigma'"),
        (("a.pt2", "--scale", "3"), "built for scale 2, got 3"),
        (("nowhere/a.pt2",), "there is no folder"),
    ):
        assert main(["export", str(tmp_path / "a.safetensors"), str(tmp_path / words[0]), *words[1:]]) == 2
        assert said in capsys.readouterr().err


def test_onnx_has_networks_and_the_image_step_and_names_what_it_lacks(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    instance, net = INSTANCES["usrnet"], fresh("usrnet").float()
    c = case(instance, h=13, w=12).to(torch.float32)
    exported = export(net, 2, T=1, batch=2, size=(13, 12), kernel=5, dynamic=False)
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 12):
        with pytest.raises(ValueError, match=r"ONNX has no operator for aten\._conj of complex numbers; .* write a .pt2"):
            to_onnx(exported, tmp_path / "a.onnx")
        pytest.skip("the exporter of this torch has no transforms: those from 2.12 on may have them, 2.14 has")
    to_onnx(exported, tmp_path / "a.onnx")
    y, given = taken(c, "usrnet")
    x, _ = runtime.InferenceSession(tmp_path / "a.onnx").run(None, {n: v.numpy() for n, v in {"y": y, **given}.items()})
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(x), run(net, instance, c, T=1).x, atol=1e-4)
    rough = first_kernel(5, width=8, settle=True).eval()
    to_onnx(export(rough, 2, size=(13, 12), dynamic=False), tmp_path / "k.onnx")
    _, k = runtime.InferenceSession(tmp_path / "k.onnx").run(None, {"y": y[:1].numpy()})
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(k), rough(y[:1], 2).k, atol=1e-5)
    blind = export(fresh("ikrnet gray").float(), 2, T=1, size=(13, 12), dynamic=False)
    with pytest.raises(ValueError, match=r"ONNX has no operator for (aten|prims)\.\w+ of complex numbers; .* write a .pt2"):
        to_onnx(blind, tmp_path / "b.onnx")
    assert not (tmp_path / "b.onnx").exists()


def test_what_cannot_be_traced_says_so() -> None:
    looks = UnrolledSolver(None, lambda s: s.x if float(s.x.sum()) > 0 else s.x + 1, 1, scale=1)
    with pytest.raises(ValueError, match=r"this solver cannot be traced: .*data-dependent.*; try dynamic=False"):
        export(looks, k := None, given=("k",), size=(8, 8), kernel=3)
    assert k is None


def stepped(net: torch.nn.Module, state: State) -> tuple[Tensor, Tensor]:
    out = net.step(state)
    return out.x, out.k


@pytest.mark.parametrize("key", [k if k in QUICK else pytest.param(k, marks=pytest.mark.slow) for k in INSTANCES])
def test_a_step_of_every_recipe_compiles_whole(key: str) -> None:
    """Without a graph break, on the path that looks at no value."""
    torch.compiler.reset()  # of one function it keeps a few forms only, and the instances share their code
    instance, net = INSTANCES[key], solver(key)
    net = net if isinstance(net, UnrolledSolver) else net.first
    c = case(instance)
    state = net.start(c.y, 2, **c.given(instance))
    with torch.no_grad():
        compiled = torch.compile(net.step, fullgraph=True, backend="eager")(state)
        plain = net.step(state)
    assert torch.allclose(compiled.x, plain.x, rtol=0, atol=1e-8) and torch.allclose(compiled.k, plain.k, rtol=0, atol=1e-8)


@pytest.mark.parametrize("key", ["dan gray", "ikrnet gray", "ikrnet on the support", "usrnet gray", "bisrnet gray", "tv_hqs"])
def test_jacrev_of_a_step_is_a_difference_quotient(key: str) -> None:
    """Rows of the Jacobian of x with respect to y, along one direction."""
    instance, net = INSTANCES[key], copy.deepcopy(solver(key))
    net.detach = ()  # what is cut has no share in the Jacobian, but one in the quotient
    c = case(instance, b=1, h=6, w=5)
    c.y.clamp_(0.05, 0.95)
    direction = torch.randn(c.y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def x_of(y: Tensor) -> Tensor:
        return net.step(net.start(y, 2, **c.given(instance))).x[..., :2, :2]

    J, eps = torch.func.jacrev(x_of)(c.y), 1e-5
    quotient = (x_of(c.y + eps * direction) - x_of(c.y - eps * direction)) / (2 * eps)
    assert torch.allclose((J * direction).flatten(4).sum(-1), quotient.detach(), rtol=1e-3, atol=1e-5)
