"""Every linear operator keeps every law of linear operators, and is the dense matrix it should be."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dense
import numpy as np
import pytest
import torch
from hypothesis import given
from strategies import Problem, examples, noise, problems
from torch import Tensor

from pnpsr.physics import (
    BOUNDARIES,
    Blur,
    Degradation,
    Downsample,
    KernelBlur,
    LinearOperator,
    adjoint_error,
    as_matrix,
    operator_norm,
)
from pnpsr.physics.bicubic import Bicubic
from pnpsr.physics.blur import Extend
from pnpsr.physics.mosaic import Sensor
from pnpsr.physics.sampling import Flip
from pnpsr.physics.weighted import Weigh

Shape = tuple[int, int, int, int]


@dataclass(frozen=True)
class Instance:
    """How to build an operator for a problem; the shape it acts on; its matrix for a batch of one, by brute force."""

    build: Callable[[Problem], LinearOperator]
    shape: Callable[[Problem], Shape]
    matrix: Callable[[Problem], Tensor]

    @property
    def H(self) -> "Instance":
        return Instance(
            lambda p: self.build(p).H,
            lambda p: tuple(self.build(p)(torch.zeros(self.shape(p), dtype=p.x.dtype)).shape),
            lambda p: self.matrix(p).T,
        )

    def __matmul__(self, inner: "Instance") -> "Instance":
        return Instance(lambda p: self.build(p) @ inner.build(p), inner.shape, lambda p: self.matrix(p) @ inner.matrix(p))


def picture(p: Problem, boundary: str) -> Tensor:
    """An image whose blurred version is divisible by the scale."""
    return p.wide if boundary == "valid" else p.x


def blurs(boundary: str) -> tuple[Instance, Instance]:
    return Instance(
        lambda p: Blur(p.k, boundary),
        lambda p: tuple(picture(p, boundary).shape),
        lambda p: dense.in_x(p.k[0, 0], picture(p, boundary).shape[-2:], boundary=boundary, channels=p.x.shape[1]),
    ), Instance(
        lambda p: KernelBlur(picture(p, boundary), p.taps, boundary),
        lambda p: tuple(p.k.shape),
        lambda p: dense.in_k(picture(p, boundary)[0], p.taps, boundary=boundary),
    )


def degradations(boundary: str) -> tuple[Instance, Instance]:
    def where(p: Problem) -> dict[str, Any]:
        return {"scale": p.scale, "offset": p.offset, "boundary": boundary}

    return Instance(
        lambda p: Degradation(**where(p)).freeze(k=p.k),
        lambda p: tuple(picture(p, boundary).shape),
        lambda p: dense.in_x(p.k[0, 0], picture(p, boundary).shape[-2:], **where(p), channels=p.x.shape[1]),
    ), Instance(
        lambda p: Degradation(**where(p)).freeze(x=picture(p, boundary), size=p.taps),
        lambda p: tuple(p.k.shape),
        lambda p: dense.in_k(picture(p, boundary)[0], p.taps, **where(p)),
    )


def selection(p: Problem) -> Tensor:
    pixels = torch.arange(p.x[0].numel()).reshape(p.x[0].shape)
    return torch.eye(p.x[0].numel(), dtype=p.x.dtype)[pixels[:, p.offset[0] :: p.scale[0], p.offset[1] :: p.scale[1]].flatten()]


def filtered(p: Problem) -> Tensor:
    h, w = 2 * p.x.shape[-2], 2 * p.x.shape[-1]
    colour = torch.tensor([[1, 0], [2, 1]]).repeat(h // 2, w // 2).flatten()
    M = p.x.new_zeros(h * w, 3, h * w)
    M[torch.arange(h * w), colour, torch.arange(h * w)] = 1
    return M.flatten(1)


def reduction(p: Problem) -> Tensor:
    """Rows are Keys' cubic, stretched by s, over a line that is mirrored with its edge."""

    def line(n: int, s: int) -> Tensor:
        M = p.x.new_zeros(n // s, n)
        for i in range(n // s):
            at = s * i + (s - 1) / 2
            for j in range(-4 * s + s * i, 5 * s + s * i):
                t = abs(j - at) / s
                weight = 1.5 * t**3 - 2.5 * t**2 + 1 if t <= 1 else -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0
                M[i, min(j % (2 * n), 2 * n - 1 - j % (2 * n))] += weight
        return M / M.sum(1, keepdim=True)

    both = torch.kron(line(p.x.shape[-2], p.scale[0]), line(p.x.shape[-1], p.scale[1]))
    return torch.block_diag(*[both] * p.x.shape[1])


def extension(p: Problem, boundary: str) -> Tensor:
    c, h, w = p.x.shape[1:]
    down = -1 if h > 1 else 0
    pixels = np.arange(c * h * w).reshape(c, h, w)
    named = {"constant_values": -1} if boundary == "zero" else {}
    wide = np.pad(pixels, ((0, 0), (2, 0), (1, 3)), dense.PADDING[boundary], **named)
    wide = torch.from_numpy(wide[:, : 2 + h + down].reshape(-1))
    M = torch.zeros(len(wide), pixels.size + 1, dtype=p.x.dtype)
    M[torch.arange(len(wide)), wide % (pixels.size + 1)] = 1
    return M[:, :-1]


INSTANCES = {"Downsample": Instance(lambda p: Downsample(p.scale, p.offset), lambda p: tuple(p.x.shape), selection)}
for boundary in BOUNDARIES:
    INSTANCES[f"Blur {boundary}"], INSTANCES[f"KernelBlur {boundary}"] = blurs(boundary)
    INSTANCES[f"k frozen, {boundary}"], INSTANCES[f"x frozen, {boundary}"] = degradations(boundary)
INSTANCES["Blur twice"] = INSTANCES["Blur reflect"] @ INSTANCES["Blur circular"]
INSTANCES["A*A"] = INSTANCES["k frozen, circular"].H @ INSTANCES["k frozen, circular"]
INSTANCES |= {
    "Flip": Instance(lambda p: Flip(), lambda p: tuple(p.k.shape), lambda p: torch.eye(p.k[0].numel(), dtype=p.k.dtype).flip(0)),
    "Weigh": Instance(
        lambda p: Weigh(p.x[:, :1].abs()), lambda p: tuple(p.x.shape), lambda p: p.x[0, :1].abs().expand_as(p.x[0]).flatten().diag()
    ),
    "Sensor": Instance(lambda p: Sensor("GRBG"), lambda p: (len(p.x), 3, 2 * p.x.shape[-2], 2 * p.x.shape[-1]), filtered),
    "Bicubic": Instance(lambda p: Bicubic(p.scale), lambda p: tuple(p.x.shape), reduction),
}
for boundary in (b for b in BOUNDARIES if b != "valid"):
    INSTANCES[f"Extend {boundary}"] = Instance(
        lambda p, b=boundary: Extend((2, -1, 1, 3), b) if p.x.shape[-2] > 1 else Extend((2, 0, 1, 3), b),
        lambda p: tuple(p.x.shape),
        lambda p, b=boundary: extension(p, b),
    )
INSTANCES |= {f"({name}).H": instance.H for name, instance in INSTANCES.items()}

each = pytest.mark.parametrize("instance", INSTANCES.values(), ids=INSTANCES.keys())
few = examples(10)


def vectors(instance: Instance, p: Problem) -> tuple[LinearOperator, Tensor, Tensor]:
    A = instance.build(p)
    v = noise(*instance.shape(p), seed=p.seed)
    return A, v, noise(*A(v).shape, seed=p.seed + 1)


def near(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() < 1e-12 * (1 + b.abs().max()))


@examples(1)
@given(p=problems())
def test_no_operator_of_the_library_is_missing_here(p: Problem) -> None:
    kinds = {type(instance.build(p)) for instance in INSTANCES.values()}
    assert kinds == {kind for kind in LinearOperator.__subclasses__() if kind.__module__.startswith("pnpsr.physics")}


@each
@few
@given(p=problems(batch=1))
def test_is_its_dense_matrix(instance: Instance, p: Problem) -> None:
    A, M = instance.build(p), instance.matrix(p)
    assert near(as_matrix(A, instance.shape(p)[1:]), M)
    assert near(as_matrix(A.H, instance.H.shape(p)[1:]), M.T)


@each
@few
@given(p=problems())
def test_adjoint_and_linearity(instance: Instance, p: Problem) -> None:
    A, v, u = vectors(instance, p)
    gap = (A(v) * u).sum() - (v * A.adjoint(u)).sum()
    assert abs(gap) < 1e-12 * (A(v).norm() * u.norm() + v.norm() * A.adjoint(u).norm())
    w = noise(*v.shape, seed=p.seed + 2)
    assert near(A(2.5 * v - w), 2.5 * A(v) - A(w))


@each
@few
@given(p=problems())
def test_inputs_stay_and_results_share_no_memory_with_them(instance: Instance, p: Problem) -> None:
    A, v, u = vectors(instance, p)
    inputs = [p.x, p.wide, p.k, v, u]
    before = [t.clone() for t in inputs]
    first, second = [A(v), A.adjoint(u)], [A(v), A.adjoint(u)]
    assert all(map(torch.equal, first, second))  # a call stores nothing
    for t in first:
        t.add_(1)
    assert all(map(torch.equal, inputs, before))


@each
@few
@given(p=problems(batch=3))
def test_batch_is_a_loop_over_samples(instance: Instance, p: Problem) -> None:
    A, v, u = vectors(instance, p)
    parts = [instance.build(p.sample(i)) for i in range(len(v))]
    assert near(A(v), torch.cat([B(v[i : i + 1]) for i, B in enumerate(parts)]))
    assert near(A.adjoint(u), torch.cat([B.adjoint(u[i : i + 1]) for i, B in enumerate(parts)]))


@each
@few
@given(p=problems())
def test_float32_stays_float32(instance: Instance, p: Problem) -> None:
    (A, v, u), B = vectors(instance, p), instance.build(p.to(torch.float32))
    for single, double in ((B(v.float()), A(v)), (B.adjoint(u.float()), A.adjoint(u))):
        assert single.dtype == torch.float32
        assert (single - double).abs().max() < 1e-4 * (1 + double.abs().max())


@pytest.mark.parametrize("boundary", BOUNDARIES)
@examples(4)
@given(p=problems(channels=2, low=2, taps=3))
def test_gradients_reach_image_and_kernel_at_every_boundary(boundary: str, p: Problem) -> None:
    x, k = picture(p, boundary).clone().requires_grad_(), p.k.clone().requires_grad_()
    A = Degradation(p.scale, offset=p.offset, boundary=boundary)
    assert torch.autograd.gradcheck(A, (x, k))


@each
@few
@given(p=problems())
def test_norm_is_the_largest_singular_value_of_each_sample(instance: Instance, p: Problem) -> None:
    norms = operator_norm(instance.build(p), instance.shape(p), tolerance=1e-8, generator=torch.Generator().manual_seed(p.seed))
    exact = torch.stack([torch.linalg.matrix_norm(instance.matrix(p.sample(i)), 2) for i in range(len(norms))])
    assert near(norms, exact) or (norms - exact).abs().max() < 1e-7 * exact.max()


def test_norm_of_a_large_blur_whose_leading_values_cluster() -> None:
    weights = torch.exp(-(torch.arange(-4.0, 5, dtype=torch.float64) ** 2) / 2)
    k = torch.outer(weights, weights)
    norm = operator_norm(Blur((k / k.sum())[None, None]), (1, 1, 96, 80), generator=torch.Generator().manual_seed(0))
    assert abs(float(norm) - 1) < 1e-6  # the constant image


def test_norm_of_nothing_and_of_too_little_time() -> None:
    zero = Blur(torch.zeros(1, 1, 2, 2, dtype=torch.float64))
    assert operator_norm(zero, (1, 1, 4, 4)).tolist() == [0]
    with pytest.raises(ValueError, match="no convergence in 2 iterations"):
        operator_norm(Blur(noise(1, 1, 3, 3, seed=0)), (1, 1, 9, 9), iterations=2, tolerance=1e-12)


@few
@given(p=problems())
def test_compositions_reverse_under_the_adjoint(p: Problem) -> None:
    A, B = Downsample(p.scale, p.offset), Blur(p.k)
    u = noise(*p.y.shape, seed=p.seed)
    assert torch.equal((A @ B)(p.x), A(B(p.x)))
    assert torch.equal((A @ B).H(u), (B.H @ A.H)(u))
    assert A.H.H is A
    assert (
        repr((A @ B).H)
        == f"(Downsample({p.scale[0]} x {p.scale[1]}, offset {p.offset}) @ Blur({p.taps[0]} x {p.taps[1]}, circular)).H"
    )


def test_the_public_oracle_passes_right_adjoints_and_fails_wrong_ones() -> None:
    class Unflipped(Blur):
        """The adjoint that forgets to flip the kernel."""

        def adjoint(self, u: Tensor) -> Tensor:
            return self(u)

    k, generator = noise(2, 1, 3, 2, seed=1), torch.Generator().manual_seed(0)
    assert adjoint_error(Blur(k), (2, 3, 5, 4), generator=generator) < 1e-12
    assert adjoint_error(Unflipped(k), (2, 3, 5, 4), generator=generator) > 1e-3


K, X = noise(1, 1, 3, 3, seed=0), noise(1, 2, 4, 4, seed=1)
REFUSED = {
    "boundary": (lambda: Blur(K, "mirror"), ValueError, "boundary must be one of"),
    "kernel boundary": (lambda: KernelBlur(X, 3, "mirror"), ValueError, "boundary must be one of"),
    "kernel per channel": (lambda: Blur(X), ValueError, "one kernel for all colours"),
    "kernel too large": (lambda: Blur(noise(1, 1, 5, 3, seed=0))(X), ValueError, "larger than the image"),
    "kernel too large for the adjoint": (lambda: Blur(noise(1, 1, 5, 3, seed=0)).adjoint(X), ValueError, "larger than the image"),
    "size too large": (lambda: KernelBlur(X, (3, 5)), ValueError, "larger than the image"),
    "size not as built": (lambda: KernelBlur(X, 2)(K), ValueError, "must be kernels of size"),
    "u of another image": (lambda: KernelBlur(X, 3).adjoint(X[..., 1:]), ValueError, "no output of this operator"),
    "u of another channel count": (lambda: KernelBlur(X, 3).adjoint(X[:, :1]), ValueError, "2 channel"),
    "dtypes": (lambda: Blur(K)(X.float()), TypeError, "different dtypes"),
    "batches": (lambda: Blur(K.expand(2, -1, -1, -1))(X.expand(3, -1, -1, -1)), ValueError, "batch sizes"),
    "three axes": (lambda: Blur(K)(X[0]), ValueError, r"\(b c h w\)"),
    "integers": (lambda: Downsample(2)((X * 255).byte()), TypeError, "255"),
    "not divisible": (lambda: Downsample(3)(X), ValueError, "crop it to 3 x 3"),
    "scale 2.5": (lambda: Downsample(2.5), TypeError, "must be an integer"),  # type: ignore[arg-type]
    "scale 0": (lambda: Degradation(0), ValueError, "at least 1"),
    "offset outside": (lambda: Downsample(2, 2), ValueError, "0 .. scale - 1"),
    "nothing to freeze": (lambda: Degradation(2).freeze(), ValueError, "exactly one"),
    "both frozen": (lambda: Degradation(2).freeze(k=K, x=X), ValueError, "exactly one"),
    "x without a size": (lambda: Degradation(2).freeze(x=X), ValueError, "size of the kernels"),
    "composed with a tensor": (lambda: Downsample(2) @ X, TypeError, "A\\(v\\)"),
}


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
