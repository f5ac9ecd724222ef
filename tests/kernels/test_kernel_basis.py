"""KernelBasis: orthonormal, exact on its own span, ready without a file, and the published matrices."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pnpsr.kernels import KernelBasis, dirac, gaussian, random_gaussian


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def relative_error(basis, k):
    return ((basis.decode(basis.encode(k)) - k).flatten(1).norm(dim=1) / k.flatten(1).norm(dim=1)).max()


@given(p=st.integers(1, 9), q=st.integers(1, 9), data=st.data())
def test_codes_survive_decoding(p, q, data):
    dim = data.draw(st.integers(1, p * q))
    basis = KernelBasis((p, q), dim)
    code = torch.randn(3, dim, generator=rng(0))
    assert basis.decode(code).shape == (3, 1, p, q)
    torch.testing.assert_close(basis.encode(basis.decode(code)), code, atol=2e-6, rtol=1e-6)
    torch.testing.assert_close(basis.double().encode(basis.decode(code.double())), code.double(), atol=2e-6, rtol=0)


def test_a_full_basis_keeps_every_kernel_and_few_dimensions_project():
    k = torch.rand(2, 1, 4, 5, generator=rng(1))
    torch.testing.assert_close(KernelBasis((4, 5), 20).decode(KernelBasis((4, 5), 20).encode(k)), k)
    basis = KernelBasis(9, 5)
    near = basis.decode(basis.encode(k_far := torch.rand(2, 1, 9, 9, generator=rng(2))))
    residual = (k_far - near).flatten(1)
    torch.testing.assert_close(residual @ basis.matrix, torch.zeros(2, 5), atol=1e-5, rtol=0)


def test_pixels_are_read_row_by_row():
    matrix = torch.zeros(6, 1)
    matrix[1] = 1  # row 0, column 1 of a 2 x 3 kernel
    k = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert KernelBasis.from_matrix(matrix, (2, 3)).encode(k).item() == k[0, 0, 0, 1]


def test_fit_is_the_best_subspace_and_the_mean_must_be_inside():
    train, test = random_gaussian(300, 15, generator=rng(0)), random_gaussian(100, 15, generator=rng(1))
    fitted, centred = KernelBasis.fit(train, 8), KernelBasis.fit(train, 8, remove_mean=True)
    assert relative_error(fitted, test) < 0.01 < 0.3 < relative_error(centred, test)
    assert relative_error(fitted, train) < relative_error(KernelBasis(15, 8), train)
    energy = torch.linalg.svdvals(train.flatten(1))[8:].square().sum()
    torch.testing.assert_close((fitted.decode(fitted.encode(train)) - train).square().sum(), energy, atol=1e-6, rtol=1e-3)


def test_ready_made_basis_is_deterministic_and_serves_gaussians():
    matrix = KernelBasis(21, 10).matrix
    assert torch.equal(matrix, KernelBasis(21, 10).matrix)
    assert (matrix.amax(0) >= -matrix.amin(0)).all()  # the sign is fixed, too
    assert relative_error(KernelBasis(21, 10), torch.cat((dirac(21), gaussian(21, torch.tensor([1.0, 2.0, 4.0]))))) < 0.2


def test_the_matrix_travels_in_the_state_dict():
    fitted = KernelBasis.fit(random_gaussian(40, 7, generator=rng(3)), 4)
    other = KernelBasis(7, 4)
    assert not torch.equal(other.matrix, fitted.matrix)
    other.load_state_dict(fitted.state_dict())
    assert torch.equal(other.matrix, fitted.matrix) and not list(other.parameters())
    assert repr(other) == "KernelBasis(size=(7, 7), dim=4)"


def test_gradients_pass_both_ways_and_autocast_does_not_round():
    basis = KernelBasis(5, 3)
    code = torch.randn(2, 3, generator=rng(4), requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        back = basis.encode(basis.decode(code))
        half = basis.decode(code.detach().bfloat16())
    back.sum().backward()
    torch.testing.assert_close(back, code, atol=2e-6, rtol=0)
    torch.testing.assert_close(code.grad, torch.ones(2, 3), atol=1e-5, rtol=0)
    assert half.dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: KernelBasis(3, 10), ValueError, "at most the 9 pixels"),
        (lambda: KernelBasis(3, 2).encode(torch.ones(1, 1, 4, 3)), ValueError, "k must be 3 x 3, got 4 x 3"),
        (lambda: KernelBasis(3, 2).encode(torch.ones(1, 1, 3, 3).double()), TypeError, "different dtypes"),
        (lambda: KernelBasis(3, 2).decode(torch.ones(1, 3)), ValueError, r"code must be \(b 2\), got \(1, 3\)"),
        (lambda: KernelBasis.from_matrix(torch.ones(9, 2), 3), ValueError, "orthonormal"),
        (lambda: KernelBasis.from_matrix(torch.full((9, 2), float("nan")), 3), ValueError, "orthonormal"),
        (lambda: KernelBasis.from_matrix(torch.eye(10)[:, :2], 3), ValueError, r"matrix must be \(9, 2\)"),
        (lambda: KernelBasis.from_matrix([[1.0]], 1), TypeError, "matrix must be a tensor"),
        (lambda: KernelBasis.from_matrix(torch.eye(9, dtype=torch.int64)[:, :2], 3), TypeError, "tensor of floats"),
        (lambda: KernelBasis.fit(random_gaussian(4, 5), 4, remove_mean=True), ValueError, "needs more than 4 kernels"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(("name", "size"), [("iso_441x10", 21), ("aniso_x2_121x10", 11), ("aniso_x4_961x15", 31)])
def test_published_matrices(data, name, size):
    matrix = torch.load(data / "pca" / f"danv2_{name}.pth", weights_only=True)
    basis = KernelBasis.from_matrix(matrix, size)
    assert torch.equal(basis.matrix, matrix)
    iso = name.startswith("iso")
    train = random_gaussian(2000, size, widths=(0.2, 4.0) if iso else (0.6, 5.0), anisotropic=not iso, generator=rng(0))
    overlap = torch.linalg.svdvals(KernelBasis.fit(train, basis.dim, remove_mean=True).matrix.T @ matrix)
    assert overlap[:7].min() > 0.99  # the same leading components, so the same recipe made them
