"""Kernels in a few numbers: an orthonormal basis found by principal components."""

import torch
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.kernels.gaussian import random_gaussian
from pnpsr.needs import Needs


def principal(kernels: Tensor, dim: int, *, remove_mean: bool = False) -> Tensor:
    """The ``dim`` leading right singular vectors of the flattened kernels (n 1 p q), as columns (p*q dim), in float64.

    Each column's sign is chosen so that its largest entry is positive.
    """
    rows = kernels.flatten(1).cpu().double()
    if remove_mean:
        rows = rows - rows.mean(0)
    columns = torch.linalg.svd(rows, full_matrices=False).Vh[:dim].mT
    peak = columns.gather(0, columns.abs().argmax(0, keepdim=True))
    return columns * torch.where(peak < 0, -1.0, 1.0)


class KernelBasis(nn.Module):
    """c = Bᵀ k, k ≈ B c: a kernel (b 1 p q), read row by row, and its code (b n) in the orthonormal columns of B (p*q n).

    The orthonormality makes ``encode(decode(c)) == c``. B is a buffer: it travels inside checkpoints, and no file is needed to
    load one. Nothing is subtracted before encoding (as in DAN's released code), so the columns must span the kernels themselves,
    not only their differences from a mean. A decoded kernel need be neither non-negative nor of sum 1.

    ``KernelBasis(size, dim)`` is ready to use: fitted to random anisotropic Gaussians with widths up to a quarter of the size,
    always the same ones. For other kernels use :meth:`fit`, for a published matrix :meth:`from_matrix`.

    Example:
        >>> import torch
        >>> from pnpsr.kernels import KernelBasis, random_gaussian
        >>> kernels = random_gaussian(20, 7, generator=torch.Generator().manual_seed(0))
        >>> basis = KernelBasis.fit(kernels, 4)
        >>> basis.encode(kernels[:2]).shape, basis.decode(basis.encode(kernels[:2])).shape
        (torch.Size([2, 4]), torch.Size([2, 1, 7, 7]))
    """

    matrix: Tensor

    def __init__(self, size: Scale, dim: int, *, matrix: Tensor | None = None) -> None:
        """``matrix`` (p*q dim) with orthonormal columns (to 1e-3) in place of the fitted one.

        Raises:
            TypeError: size or dim not integers, or a matrix which holds no floats.
            ValueError: more dimensions than pixels, or a matrix of another shape or without orthonormal columns.
        """
        super().__init__()
        p, q = self.size = checks.size(size, "size")
        self.needs = Needs(kernel_size=max(p, q))
        self.dim = checks.whole(dim, "dim")
        if self.dim > p * q:
            raise ValueError(f"dim must be at most the {p * q} pixels of a kernel of {p} x {q}, got {dim}")
        if matrix is None:
            generator = torch.Generator().manual_seed(0)
            widths = (0.2, max(0.6, min(p, q) / 4))
            with torch.device("cpu"):  # also where the rest of a network is only planned, on the meta device
                examples = random_gaussian(max(512, dim), size, widths=widths, anisotropic=True, generator=generator)
                matrix = principal(examples, dim).float()
        self.register_buffer("matrix", self._checked(matrix).detach().clone())

    def _checked(self, matrix: Tensor) -> Tensor:
        due = (self.size[0] * self.size[1], self.dim)
        if not isinstance(matrix, Tensor) or not matrix.dtype.is_floating_point:
            raise TypeError(f"matrix must be a tensor of floats, got {getattr(matrix, 'dtype', type(matrix).__name__)}")
        if tuple(matrix.shape) != due:
            raise ValueError(f"matrix must be {due}, pixels by dimensions, for kernels of {self.size}, got {tuple(matrix.shape)}")
        columns = matrix.detach().cpu().double()
        error = float((columns.mT @ columns - torch.eye(self.dim, dtype=torch.float64)).abs().max())
        if not error <= 1e-3:
            raise ValueError(f"matrix must have orthonormal columns, its Gram matrix is off by {error:.1e}; use torch.linalg.qr")
        return matrix

    @classmethod
    def fit(cls, kernels: Tensor, dim: int, *, remove_mean: bool = False) -> "KernelBasis":
        """The basis of the ``dim`` principal components of ``kernels`` (n 1 p q), n >= dim, in their dtype and on their device.

        By default the best subspace for the kernels themselves. ``remove_mean=True`` takes that of their differences from the
        mean, as the matrices published with DAN do; the part of the mean outside of it is then lost at encoding (relative error of
        isotropic 21 x 21 kernels in 10 dimensions 0.36 instead of 0.0002).

        Raises:
            ValueError: fewer kernels or pixels than dimensions.
        """
        checks.kernel(kernels, "kernels")
        n, (p, q) = kernels.shape[0], kernels.shape[-2:]
        if checks.whole(dim, "dim") > min(n - remove_mean, p * q):
            raise ValueError(f"dim = {dim} needs more than {n} kernels of {p} x {q}; lower dim or give more kernels")
        return cls((p, q), dim, matrix=principal(kernels.detach(), dim, remove_mean=remove_mean).to(kernels))

    @classmethod
    def from_matrix(cls, matrix: Tensor, size: Scale) -> "KernelBasis":
        """The basis of a published matrix (p*q n); its columns must be orthonormal to 1e-3 and are kept as they are.

        Raises:
            TypeError: no tensor of floats.
            ValueError: another number of rows than pixels (transpose it?), or columns that are not orthonormal.
        """
        if not isinstance(matrix, Tensor) or matrix.ndim != 2:
            raise TypeError(f"matrix must be a tensor (p*q n), got {getattr(matrix, 'shape', type(matrix).__name__)}")
        return cls(size, matrix.shape[1], matrix=matrix)

    def encode(self, k: Tensor) -> Tensor:
        """C = Bᵀ k: (b 1 p q) -> (b n).

        Raises:
            ValueError: no kernel batch, or kernels of another size.
            TypeError: another dtype than the basis.
        """
        checks.kernel(k, "k")
        if tuple(k.shape[-2:]) != self.size:
            raise ValueError(f"k must be {self.size[0]} x {self.size[1]}, got {k.shape[-2]} x {k.shape[-1]}; see resize_support")
        checks.matching(k, self.matrix[None], "k and the basis")
        with torch.autocast(k.device.type, enabled=False):
            return k.flatten(1) @ self.matrix

    def decode(self, code: Tensor) -> Tensor:
        """K = B c: (b n) -> (b 1 p q). Half precision, as a network leaves it under autocast, is widened to that of the basis.

        Raises:
            ValueError: codes of another length.
            TypeError: another dtype than the basis.
        """
        if not isinstance(code, Tensor) or code.ndim != 2 or code.shape[1] != self.dim:
            raise ValueError(f"code must be (b {self.dim}), got {tuple(getattr(code, 'shape', ())) or type(code).__name__}")
        if code.dtype in (torch.float16, torch.bfloat16):
            code = code.to(self.matrix.dtype)
        checks.matching(code, self.matrix[None], "code and the basis")
        with torch.autocast(code.device.type, enabled=False):
            return (code @ self.matrix.mT).reshape(-1, 1, *self.size)

    def extra_repr(self) -> str:
        """``size=(21, 21), dim=10``."""
        return f"size={self.size}, dim={self.dim}"
