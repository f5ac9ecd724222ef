"""Networks in the slots get what they should read, and what stands behind their codes travels with the weights."""

from dataclasses import replace

import pytest
import torch
from synthetic import kernels, observed, pictures

from pnpsr import State
from pnpsr.kernels import KernelBasis
from pnpsr.nets import CRBEstimator, DPCEstimator, DPCRestorer, KernelCorrector, KernelEncoder
from pnpsr.steps import LearnedCorrector, LearnedEstimator, LearnedKernelStart, LearnedRestorer

X, K = pictures(2, 3, 12, 10, seed=0), kernels(2, 5, seed=0)
S = State(observed(X, K, 2), 2, None, X, K)
BASIS = KernelBasis(5, 3).double()
RESTORER = DPCRestorer(2, 3, width=4, groups=1, blocks=1).double()


def test_each_network_is_called_on_its_arguments() -> None:
    assert torch.equal(LearnedRestorer(RESTORER, BASIS.encode)(S), RESTORER(S.y, BASIS.encode(K)))
    net = DPCEstimator(2, 5, width=4, blocks=1).double()
    assert torch.equal(LearnedEstimator(net)(S), net(S.y, S.x))
    codes = CRBEstimator(2, 3, width=4, blocks=1).double()
    assert torch.equal(LearnedEstimator(codes, BASIS.decode)(S), BASIS.decode(codes(S.y, S.x)))
    corrector = KernelCorrector(2, 5, code=3, width=4).double()
    assert torch.equal(LearnedCorrector(corrector)(S), corrector(S.y, S.x, S.k))
    start = KernelEncoder(5, code=3, width=4).double()
    assert torch.equal(LearnedKernelStart(start)(replace(S, x=None, k=None)), start(S.y))


def test_a_basis_is_saved_and_restored_with_the_step_that_uses_it() -> None:
    step = LearnedRestorer(RESTORER, BASIS.encode)
    assert torch.equal(step.state_dict()["basis.matrix"], BASIS.matrix)
    other = LearnedRestorer(RESTORER, KernelBasis.fit(kernels(9, 5, seed=7), 3).encode)
    assert not torch.equal(other(S), step(S))
    other.load_state_dict(step.state_dict())
    assert torch.equal(other(S), step(S))  # its codes are those of the loaded basis


def test_any_function_may_make_the_codes() -> None:
    def mean_row(k: torch.Tensor) -> torch.Tensor:
        return k.mean((1, 2))[:, :3]

    step = LearnedRestorer(RESTORER, mean_row)
    assert step.basis is None and torch.equal(step(S), RESTORER(S.y, mean_row(K)))
    assert not any("basis" in name for name in step.state_dict())


def test_a_kernel_of_another_size_than_the_codes_is_refused() -> None:
    with pytest.raises(ValueError, match="k must be 5 x 5, got 7 x 7"):
        LearnedRestorer(RESTORER, BASIS.encode)(replace(S, k=kernels(2, 7, seed=0)))
