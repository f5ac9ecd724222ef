"""Camera shake: straight at 0, ever more crooked up to 1, of the length asked for, and inside the support."""

from itertools import pairwise

import torch

from pnpsr.kernels import centroid, random_motion, shift_kernel
from pnpsr.kernels.grid import splat
from pnpsr.kernels.motion import MODES, brownian, trajectories


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spreads(k):
    """Standard deviations across and along the main axis of every kernel, (b 2), in pixels."""
    p, q = k.shape[-2:]
    grid = torch.stack(torch.meshgrid(torch.arange(p) - p // 2, torch.arange(q) - q // 2, indexing="ij")).to(k)
    return torch.linalg.eigvalsh(torch.einsum("bpq,ipq,jpq->bij", k[:, 0], grid, grid)).clamp(min=0).sqrt()


def test_nonlinearity_zero_is_a_straight_uniform_line_of_the_length():
    k = random_motion(50, 31, nonlinearity=0.0, length=(18.0, 18.0), generator=rng(0), dtype=torch.float64)
    across, along = spreads(k).unbind(1)
    assert across.max() <= 0.5  # a bilinear splat adds at most 1/4 px² to the variance
    assert (along >= 18 / 12**0.5 - 1e-3).all() and (along <= (18**2 / 12 + 0.5) ** 0.5).all()
    assert (spreads(random_motion(50, 31, nonlinearity=1.0, length=(18.0, 18.0), generator=rng(0)))[:, 0] > 0.7).any()


def test_crookedness_grows_with_nonlinearity():
    ratio = [
        spreads(random_motion(200, 25, nonlinearity=v, length=(24.0, 24.0), generator=rng(5), dtype=torch.float64))[:, 1].mean()
        for v in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    ]
    assert all(later < earlier for earlier, later in pairwise(ratio))  # the same way curls up


def test_total_turning_is_proportional_to_nonlinearity_and_length_is_kept():
    xi, turn, length = torch.randn(6, 2, MODES, generator=rng(1), dtype=torch.float64), torch.rand(6, 1), torch.full((6, 1), 10.0)

    def turning_and_length(v):
        steps = trajectories(length, torch.full((6, 1), v), turn, xi, 4000).double().diff(dim=-1)
        angle = torch.atan2(steps[:, 1], steps[:, 0]).diff(dim=-1)
        return torch.remainder(angle + torch.pi, 2 * torch.pi).sub(torch.pi).abs().sum(-1), steps.norm(dim=1).sum(-1)

    (half, short), (full, _) = turning_and_length(0.4), turning_and_length(0.8)
    torch.testing.assert_close(full / half, torch.full((6,), 2.0, dtype=torch.float64), atol=1e-2, rtol=0)
    torch.testing.assert_close(short, length[:, 0].double(), atol=0.02, rtol=0)


def test_brownian_starts_at_zero_with_growing_variance():
    w = brownian(torch.randn(20000, MODES, generator=rng(2), dtype=torch.float64), 10)
    tau = (torch.arange(10, dtype=torch.float64) + 0.5) / 10
    torch.testing.assert_close(w.var(0), tau, atol=0.06, rtol=0)


def test_nonlinearity_is_per_sample():
    both = random_motion(2, 15, nonlinearity=torch.tensor([0.0, 1.0]), generator=rng(3))
    straight, crooked = (random_motion(2, 15, nonlinearity=v, generator=rng(3)) for v in (0.0, 1.0))
    torch.testing.assert_close(both, torch.stack((straight[0], crooked[1])), atol=1e-6, rtol=0)


def test_long_trajectories_fill_the_support_and_no_more():
    k = random_motion(60, (12, 21), length=(60.0, 90.0), generator=rng(4))
    used = torch.stack((k.sum((1, 3))[:, [1, 11]].amax(1), k.sum((1, 2))[:, [0, 20]].amax(1)))
    assert (used.amax(0) > 0).all()  # shrunk until it touches, on one axis, the last mirrored pixel
    assert k.sum((1, 3))[:, 0].max() == 0  # row 0 of an even size has no mirror image


def test_splat_equals_scattered_bilinear_weights():
    path = 4 * torch.rand(2, 2, 50, generator=rng(6), dtype=torch.float64) - 2
    brute = torch.zeros(2, 1, 7, 6, dtype=torch.float64)
    for b in range(2):
        for r, c in path[b].T.tolist():
            i, j = int(r // 1), int(c // 1)
            for di, dj in ((0, 0), (0, 1), (1, 0), (1, 1)):
                brute[b, 0, 3 + i + di, 3 + j + dj] += abs(1 - di - (r - i)) * abs(1 - dj - (c - j)) / 50
    torch.testing.assert_close(splat(path, (7, 6)), brute)


def test_with_the_centre_on_the_path_the_same_kernels_are_moved_to_a_point_of_it():
    mass, path = (
        random_motion(60, 31, length=(10.0, 14.0), nonlinearity=0.6, centre=c, generator=rng(6), dtype=torch.float64)
        for c in ("mass", "path")
    )
    off = centroid(path)
    assert (path[..., 15, 15] > 0).all() and 1 < off.norm(dim=1).max() <= 14 * 3 / 4
    assert (mass[..., 15, 15] == 0).any()  # the centroid of a bow is not on it
    torch.testing.assert_close(spreads(mass), spreads(shift_kernel(path, -off)), atol=0.2, rtol=0)
    for support in ((12, 21), (21, 21)):  # one that would leave the support is shrunk around that point
        long = random_motion(60, support, length=(60.0, 90.0), centre="path", generator=rng(4))
        assert (long[..., support[0] // 2, support[1] // 2] > 0).all()
