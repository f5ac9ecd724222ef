"""Small pictures on a GPU: the iterations recorded once as a CUDA graph and replayed, so that nothing waits for Python."""

from collections import OrderedDict
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.physics import Degradation, Physics
from pnpsr.solver import UnrolledSolver
from pnpsr.state import State

WARM = 3  # runs before the recording, in which libraries make their plans


class Replay(nn.Module):
    """The same solver for inference: ``replay(y, scale)`` gives what ``solver(y, scale)`` gives.

    On a GPU the iterations of a first call are recorded, one recording for each shape, T and physics, which holds its memory until
    it is forgotten; the weights are those of the solver, and may change in place. On other devices, and where the physics holds
    tensors of its own (masks), the solver simply runs.

    Args:
        solver: any, without steps that look at values (``constraint="simplex"``, physics without closed forms).
        keep: how many recordings, the latest used.

    Raises:
        ValueError: fewer than one.

    Example:
        >>> import torch
        >>> from pnpsr import blind_hqs
        >>> from pnpsr.replay import Replay
        >>> tuple(Replay(blind_hqs(5, T=1, finish=1))(torch.rand(1, 1, 8, 8), 2).x.shape)
        (1, 1, 16, 16)
    """

    def __init__(self, solver: UnrolledSolver, keep: int = 4) -> None:
        super().__init__()
        self.solver, self.keep = solver, checks.whole(keep, "keep")
        self._recorded: OrderedDict[Any, tuple[Any, State, State]] = OrderedDict()

    @torch.no_grad()
    def forward(
        self,
        y: Tensor,
        physics: Physics | checks.Scale | None = None,
        *,
        T: int | None = None,
        sigma: float | Tensor | None = None,
        k: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> State:
        """The state after T iterations, from what :meth:`pnpsr.UnrolledSolver.forward` takes. Raises as the solver."""
        s = UnrolledSolver.start(self.solver, y, self.solver.physics_for(physics, mask), sigma=sigma, k=k)
        count = checks.whole(self.solver.T if T is None else T, "T", 0)
        if s.y.device.type != "cuda" or type(s.physics) is not Degradation or not count:
            for s in self.solver.iterate(s, count):  # noqa: B007, B020
                pass
            return s
        given = _tensors(s)
        key = (repr(s.physics), count, *((n, tuple(t.shape), t.dtype, t.device, t.is_contiguous()) for n, t in given.items()))
        if key not in self._recorded:
            self._recorded[key] = self._record(s, count)
            if len(self._recorded) > self.keep:
                self._recorded.popitem(last=False)
        self._recorded.move_to_end(key)
        graph, read, made = self._recorded[key]
        for name, held in _tensors(read).items():
            held.copy_(given[name])
        graph.replay()
        return _with(replace(made, _known={}), {name: t.clone() for name, t in _tensors(made).items()})

    def _record(self, s: State, T: int) -> tuple[Any, State, State]:
        """The graph, the state that it reads and the one that it leaves."""
        read = _with(s, {name: t.clone() for name, t in _tensors(s).items()})

        def run() -> State:
            now = replace(read, _known={})  # what depends on y is computed in every replay
            for now in self.solver.iterate(now, T):  # noqa: B007, B020
                pass
            return now

        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM):
                run()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            made = run()
        return graph, read, made


def _tensors(s: State) -> dict[str, Tensor]:
    """All tensors of a state, by name."""
    named = {name: value for name, value in vars(s).items() if isinstance(value, Tensor)}
    return named | {f"hyper.{name}": value for name, value in vars(s.hyper).items() if value is not None}


def _with(s: State, tensors: dict[str, Tensor]) -> State:
    hyper = replace(s.hyper, **{n.removeprefix("hyper."): t for n, t in tensors.items() if n.startswith("hyper.")})
    return replace(s, hyper=hyper, **{n: t for n, t in tensors.items() if not n.startswith("hyper.")})  # type: ignore[arg-type]
