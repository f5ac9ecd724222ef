"""One small instance of every recipe: what it is built from, what a call needs, what the laws may expect of it."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from synthetic import kernels, observed, pictures
from torch import Tensor, nn

from pnpsr import State
from pnpsr.recipes import RECIPES

TINY = (4, 6, 8, 8)


@dataclass(frozen=True)
class Instance:
    """A recipe at a tiny width. ``build(scale, size)`` may ignore either."""

    name: str
    build: Callable[[int, int], nn.Module]
    needs: tuple[str, ...] = ()  # keywords without which a call is refused
    channels: int = 3
    bound: bool = False  # built for one scale
    limit: int | None = None  # iterations it has weights for
    before: int = 0  # iterations of a phase before that
    anytime: bool = True  # T is an argument of the call
    learns: tuple[str, ...] = ("x", "k")  # outputs with a loss
    steps: bool = True  # has slots that run, and networks that read a picture's channels in them
    idle: tuple[str, ...] = ()  # parts that such a loss cannot reach, see below


def of(name: str, *, size: bool = True, scale: bool = False, **arguments: Any) -> Callable[[int, int], nn.Module]:
    """Build the recipe ``name`` with its size and scale, if it takes them."""
    return lambda s, p: RECIPES[name](**({"scale": s} if scale else {}), **({"size": p} if size else {}), **arguments)


# IKR-Net and BISR-Net cut the kernel before every step that reads it, the first one included: the network of the first kernel has a
# training stage of its own, and nothing comes back from later ones.
CUT = ("k0",)
SHIFT = "estimator.prior.tail.bias"  # a constant added to a kernel, which the projection onto the simplex takes away again
TARGETS = ("k0.net.autoencoder.layers",)  # the encoding half defines what a stage of its own trains towards
MIX = {"widths": TINY, "kernel_widths": TINY, "width": 8, "groups": 1, "blocks": 1, "code": 4, "T": 2, "hidden": 8}
DAN = {"width": 8, "groups": 1, "blocks": 1, "code": 4, "T": 2}
IKR = {"widths": TINY, "kernel_widths": TINY, "T": 2}
USR = {"widths": TINY, "T": 2, "hidden": 8}
INSTANCES = {
    "dan": Instance("dan", of("dan", scale=True, **DAN), bound=True),
    "dan released": Instance("dan", of("dan", scale=True, **DAN, skip="released"), bound=True),
    "dan gray": Instance("dan", of("dan", scale=True, **DAN, channels=1), bound=True, channels=1),
    "dan version 1": Instance("dan", of("dan", scale=True, **DAN, version=1), bound=True),
    "dan version 1 gray": Instance("dan", of("dan", scale=True, **DAN, version=1, channels=1), bound=True, channels=1),
    "ikrnet": Instance("ikrnet", of("ikrnet", **IKR), idle=CUT),
    "ikrnet gray": Instance("ikrnet", of("ikrnet", **IKR, channels=1), channels=1, idle=CUT),
    "ikrnet on the support": Instance(
        "ikrnet", of("ikrnet", **IKR, domain="support", constraint="sum", relative=True, learn_gamma=True), idle=CUT
    ),
    # σ given: the noise net has nothing to do
    "ikrnet from statistics": Instance(
        "ikrnet", of("ikrnet", **IKR, first="statistics", gammas=2, per_iteration=True), limit=2, idle=CUT
    ),
    "ikrnet without a kernel step": Instance(
        "ikrnet",
        of(
            "ikrnet",
            **IKR,
            first="statistics",
            first_width=8,
            turn=True,
            kernel_step=False,
            percent=True,
            thorough=True,
            settle=True,
        ),
        learns=("x",),
        idle=CUT,
    ),
    "ikrnet with a kernel fitted again": Instance(
        "ikrnet",
        lambda s, p: RECIPES["ikrnet"](
            p, sharp=s, first="statistics", first_width=8, turn=True, kernel_step=False, settle=True, **IKR
        ),
        learns=("x",),
        bound=True,
        idle=CUT,
    ),
    "ikrnet of folds": Instance(
        "ikrnet", of("ikrnet", **{**IKR, "widths": (12, 4, 4, 4)}, percent=True, proportional=True, fold=2), idle=CUT
    ),
    "first_kernel": Instance("first_kernel", of("first_kernel", width=8), learns=("k",), steps=False),
    "ikrnet with known noise": Instance("ikrnet", of("ikrnet", **IKR), needs=("sigma",), idle=(*CUT, "tuner.noise")),
    # one kernel step around zero from the first half's image; the first half's kernel is cut
    "ikrnet released": Instance(
        "ikrnet_released", of("ikrnet_released", widths=TINY), needs=("sigma",), anytime=False, idle=("first.k0",)
    ),
    "bisrnet": Instance("bisrnet", of("bisrnet", scale=True, **USR), needs=("sigma",), bound=True, limit=2, idle=CUT),
    "bisrnet gray": Instance(
        "bisrnet", of("bisrnet", scale=True, **USR, channels=1), needs=("sigma",), bound=True, limit=2, channels=1, idle=CUT
    ),
    "usrnet": Instance("usrnet", of("usrnet", size=False, **USR), needs=("k", "sigma"), limit=2, learns=("x",)),
    "usrnet gray": Instance(
        "usrnet", of("usrnet", size=False, **USR, channels=1), needs=("k", "sigma"), channels=1, limit=2, learns=("x",)
    ),
    "two_step": Instance("two_step", of("two_step", widths=TINY), needs=("sigma",), limit=8, idle=TARGETS),
    "two_step gray": Instance(
        "two_step", of("two_step", widths=TINY, channels=1), needs=("sigma",), limit=8, channels=1, idle=TARGETS
    ),
    "two_step of a solver": Instance(
        "two_step",
        lambda s, p: RECIPES["two_step"](nonblind=RECIPES["usrnet"](**USR), size=p),
        needs=("sigma",),
        limit=2,
        idle=TARGETS,
    ),
    "mixed": Instance("mixed", of("mixed", scale=True, **MIX), bound=True, idle=CUT),
    "mixed gray": Instance("mixed", of("mixed", scale=True, **MIX, channels=1), bound=True, channels=1, idle=CUT),
    "mixed uncut": Instance("mixed", of("mixed", scale=True, **MIX, estimator="none", detach=()), bound=True),
    "mixed of an encoder": Instance(
        "mixed", of("mixed", scale=True, **MIX, estimator="none", start="encoder", detach=()), bound=True, idle=TARGETS
    ),
    "mixed hqs then dan": Instance(
        "mixed", of("mixed", scale=True, **MIX, estimator="hqs", restorer="dan+data", gammas=2), bound=True, idle=(*CUT, SHIFT)
    ),
    "mixed from a dirac": Instance("mixed", of("mixed", scale=True, **MIX, restorer="dan", start="dirac"), bound=True),
    "blind_hqs": Instance("blind_hqs", of("blind_hqs", T=3, finish=2), learns=()),
    "blind_hqs of usrnet": Instance(
        "blind_hqs",
        lambda s, p: RECIPES["blind_hqs"](p, T=2, finish=RECIPES["usrnet"](T=2, widths=TINY, hidden=4)),
        limit=4,
        before=2,
        learns=("x",),
    ),
    "blind_hqs gray": Instance("blind_hqs", of("blind_hqs", T=3, finish=2), channels=1, learns=()),
    "tv_hqs": Instance("tv_hqs", of("tv_hqs", size=False, T=3), needs=("k",), learns=()),
}


@functools.cache
def solver(key: str, scale: int = 2, size: int = 5) -> nn.Module:
    """The instance in float64, the same weights on every call: for laws that change nothing in it."""
    return fresh(key, scale, size)


def fresh(key: str, scale: int = 2, size: int = 5) -> nn.Module:
    """A new one, with the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return INSTANCES[key].build(scale, size).double()


@dataclass(frozen=True)
class Case:
    """An observation, and everything known of it."""

    y: Tensor
    x: Tensor
    k: Tensor
    sigma: Tensor
    scale: int

    def sample(self, i: int) -> "Case":
        """The i-th of the batch."""
        return self._map(lambda t: t[i : i + 1])

    def to(self, where: torch.dtype | str) -> "Case":
        """In that dtype, or on that device."""
        return self._map(lambda t: t.to(where))

    def _map(self, f: Callable[[Tensor], Tensor]) -> "Case":
        return Case(f(self.y), f(self.x), f(self.k), f(self.sigma), self.scale)

    def given(self, instance: Instance) -> dict[str, Tensor]:
        """The keywords that a call needs."""
        return {name: getattr(self, name) for name in instance.needs}


def case(instance: Instance, scale: int = 2, size: int = 5, *, b: int = 2, h: int = 7, w: int = 6, seed: int = 0) -> Case:
    """A random observation for an instance."""
    x = pictures(b, instance.channels, scale * h, scale * w, seed)
    k = kernels(b, size, seed)
    sigma = 0.01 + 0.02 * torch.rand(b, 1, 1, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Case(observed(x, k, scale, sigma, seed), x, k, sigma, scale)


def run(net: nn.Module, instance: Instance, c: Case, **options: Any) -> State:
    """The last state."""
    return net(c.y, c.scale, **c.given(instance), **options)
