"""A step never makes the host wait for a GPU: shown without one, on tensors that only say that they are there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from instances import INSTANCES, case, fresh
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pnpsr import UnrolledSolver, checks
from pnpsr.fast import fast
from pnpsr.prox import l0_gradient

READS = {"aten._local_scalar_dense", "aten.nonzero", "aten.is_nonzero", "aten.equal", "aten.masked_select"}


class Waiting(AssertionError):
    """An operator that waits until the device has finished."""


class NoWaiting(TorchDispatchMode):
    """Refuses what reads a value of a GPU's tensor, or copies between it and the host other than in passing."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out, given = func(*args, **(kwargs or {})), [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        there = any(t.device.type == "cuda" for t in given)
        if there and func.name().split("::")[-1].split(".")[0] in {name.removeprefix("aten.") for name in READS}:
            raise Waiting(f"{func} reads a value")
        for t in tree_leaves(out):
            if isinstance(t, Tensor) and {t.device.type, *(g.device.type for g in given)} == {"cpu", "cuda"}:
                passing = (kwargs or {}).get("non_blocking") or (len(args) > 2 and args[2] is True)
                if t.device.type == "cpu" or (any(g.ndim for g in given if g.device.type == "cpu") and not passing):
                    raise Waiting(f"{func} copies between host and device")
        return out


@contextmanager
def gpu() -> Iterator[None]:
    """A GPU without numbers."""
    with FakeTensorMode(allow_non_fake_inputs=True), NoWaiting():
        yield


def there(t: Tensor) -> Tensor:
    return torch.empty(t.shape, dtype=t.dtype, device="cuda")


def moved(net: nn.Module) -> nn.Module:
    for module in net.modules():
        for table, wrap in ((module._parameters, nn.Parameter), (module._buffers, lambda t: t)):
            for name, value in table.items():
                table[name] = None if value is None else wrap(there(value))
    return net


@pytest.mark.parametrize("way", ["plain", "float32", "bfloat16"])
@pytest.mark.parametrize("key", [key for key, i in INSTANCES.items() if i.steps])
def test_a_step_of_every_recipe_reads_nothing_back(key: str, way: str) -> None:
    instance, net = INSTANCES[key], fresh(key).float()
    net = net if isinstance(net, UnrolledSolver) else net.first
    net = net if way == "plain" else fast(net, way)
    c = case(instance, h=9, w=8).to(torch.float32)
    with FakeTensorMode(allow_non_fake_inputs=True):
        moved(net)
        with checks.trusted():  # the start looks at what the caller gives, and may copy
            s = net.start(there(c.y), 2, **{name: there(value) for name, value in c.given(instance).items()})
        with NoWaiting():
            for _ in range(min(net.T, 3)):
                s = net.step(s)
        assert s.x.device.type == "cuda" and s.x.dtype == torch.float32


def test_the_wall_can_be_hit() -> None:
    with gpu():
        y = there(torch.ones(1, 1, 8, 8))
        with pytest.raises((Waiting, RuntimeError)):
            float(y.sum())
        with pytest.raises(Waiting, match="copies"):
            y.cpu()
        with pytest.raises(Waiting, match="copies"):
            torch.ones(3).to("cuda")
        with pytest.raises((Waiting, RuntimeError)):
            y[y > 0]


def test_what_must_not_be_read_is_computed_as_if_it_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of half-steps of l0_gradient, float64 where a weight is small, and NaN where a matrix has no factor."""
    from pnpsr.prox import prox_image, prox_kernel

    instance = INSTANCES["dan"]
    c = case(instance).to(torch.float32)
    v, weight = c.x, torch.tensor([1e-3, 0.0])
    read = l0_gradient(v, weight), prox_image(c.y, c.k, c.x, 1e-6, 2)
    monkeypatch.setattr(checks, "readable", lambda t: False)
    assert torch.allclose(l0_gradient(v, weight), read[0], rtol=0, atol=1e-5)
    assert torch.allclose(prox_image(c.y, c.k, c.x, 1e-6, 2), read[1], rtol=0, atol=1e-5)
    lost = prox_kernel(c.y, torch.ones_like(c.x), c.k, 1e-30, 2, domain="support")
    assert lost.isnan().all()
