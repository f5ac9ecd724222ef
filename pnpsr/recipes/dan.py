"""DAN: two networks in a closed loop (Luo, Huang, Li, Wang, Tan 2020 and 2021)."""

from torch import nn

from pnpsr import checks
from pnpsr.kernels import KernelBasis
from pnpsr.nets import CRBEstimator, CRBRestorer, DPCEstimator, DPCRestorer
from pnpsr.nets.dpcn import Skip
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import Dirac, Upsample
from pnpsr.steps import LearnedEstimator, LearnedRestorer
from pnpsr.values import recipe


@recipe(
    stages="pnpsr.train.stages:DAN_STAGES",
    data="dan-setting1",
    tiny={"scale": 2, "size": 5, "width": 8, "groups": 1, "blocks": 1, "code": 4, "T": 2},
)
def dan(
    scale: int,
    *,
    version: int = 2,
    size: int = 21,
    code: int = 10,
    T: int = 4,
    width: int = 64,
    groups: int = 5,
    blocks: int = 10,
    channels: int = 3,
    skip: Skip = "paper",
    softmax: bool = True,
) -> UnrolledSolver:
    """x ← R(y, k), k ← E(y, x): each network is trained on what the other really produces (DAN section 3.3, Fig. 1).

    Eq. 6 as printed has L1 norms, for which the networks stand, and estimates the next kernel from the image before; the released
    code and this recipe estimate it from the new one.

    Args:
        scale: 1, 2, 3 or 4; the networks are built for it.
        version: 2 (dual-path blocks, softmax over the full kernel) or 1 (concatenation and channel attention, kernel code by PCA).
        size: of the square kernel; 21 in setting 1, 11 and 31 in setting 2.
        code: dimension of the kernel's PCA code, which conditions the restorer. The basis is a buffer of the solver: to use your
            own, ``solver.restorer.basis.load_state_dict(KernelBasis.fit(...).state_dict())``.
        T: iterations; one set of weights serves all, so that T at test is free.
        width: channels of the restorer; the estimator has half.
        groups: of version 2, of ``blocks`` dual-path blocks each; version 1 has 4 x ``blocks`` blocks.
        blocks: see ``groups``.
        channels: 3 or 1.
        skip: of version 2, ``paper``, ``released`` or ``off`` (see :class:`pnpsr.nets.DPCG`).
        softmax: of version 2, the estimator's last layer; without it kernels need not be positive or of sum 1.

    Raises:
        ValueError: another scale or version, or sizes the networks refuse.

    Example:
        >>> import torch
        >>> from pnpsr import dan
        >>> solver = dan(2, size=5, code=4, T=2, width=4, groups=1, blocks=1)
        >>> solver(torch.rand(1, 3, 8, 8)).x.shape
        torch.Size([1, 3, 16, 16])
        >>> solver.extra_repr()
        'T=2, restorer → estimator, detach=(x, k), scale=2'
    """
    checks.choice(version, (1, 2), "version")
    basis = KernelBasis(size, code)
    if version == 2:
        estimator = LearnedEstimator(DPCEstimator(scale, size, width=width // 2, channels=channels, skip=skip, softmax=softmax))
        net: nn.Module = DPCRestorer(scale, code, width=width, groups=groups, blocks=blocks, channels=channels, skip=skip)
    else:
        estimator = LearnedEstimator(CRBEstimator(scale, code, width=width // 2, channels=channels), decode=basis.decode)
        net = CRBRestorer(scale, code, width=width, blocks=4 * blocks, channels=channels)
    return UnrolledSolver(
        estimator,
        LearnedRestorer(net, encode=basis.encode),
        T,
        k0=Dirac(size),
        x0=Upsample(),  # never read: the restorer writes first
        order=("restorer", "estimator"),
        detach=("x", "k"),
        scale=scale,
    )
