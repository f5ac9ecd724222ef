"""Kernel files: what is written comes back, what others wrote is read, what is no kernel is refused by name."""

import os

import numpy as np
import pytest
import torch

from pnpsr.kernels import centroid, load_kernels, random_gaussian, random_motion, save_kernels
from pnpsr.kernels.matlab import matlab_arrays

cv2 = pytest.importorskip("cv2")
savemat, loadmat = (getattr(pytest.importorskip("scipy.io"), name) for name in ("savemat", "loadmat"))


def kernels(b=3, size=(7, 10)):
    return random_motion(b, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
@pytest.mark.parametrize("size", [(7, 10), (5, 3), (1, 4)])
def test_saved_kernels_come_back(tmp_path, suffix, size):
    k = kernels(3, size)
    save_kernels(tmp_path / f"k{suffix}", k)
    torch.testing.assert_close(load_kernels(tmp_path / f"k{suffix}", dtype=torch.float64), k)
    assert load_kernels(str(tmp_path / f"k{suffix}")).dtype == torch.float32
    assert os.listdir(tmp_path) == [f"k{suffix}"]


def test_pictures_keep_sixteen_bits(tmp_path):
    k = kernels(1)
    save_kernels(tmp_path / "k.png", k)
    assert cv2.imread(str(tmp_path / "k.png"), cv2.IMREAD_UNCHANGED).max() == 65535
    error = (load_kernels(tmp_path / "k.png", dtype=torch.float64) - k).abs().max()
    assert 0 < error <= 2 / 65535 * k.max()
    cv2.imwrite(str(tmp_path / "eight.png"), np.array([[0, 50], [100, 50]], np.uint8))
    torch.testing.assert_close(load_kernels(tmp_path / "eight.png")[0, 0], torch.tensor([[0, 0.25], [0.5, 0.25]]))


def test_different_sizes_are_padded_around_their_centres(tmp_path):
    rng = torch.Generator().manual_seed(1)
    a, b = (
        random_gaussian(1, (5, 8), generator=rng, dtype=torch.float64),
        random_gaussian(1, (6, 3), generator=rng, dtype=torch.float64),
    )
    np.savez(tmp_path / "k.npz", k1=a[0, 0], k2=b[0, 0])
    both = load_kernels(tmp_path / "k.npz", dtype=torch.float64)
    assert both.shape == (2, 1, 6, 8)
    torch.testing.assert_close(both[0, 0, 1:6], a[0, 0])  # 5 // 2 = 2 goes to 6 // 2 = 3
    torch.testing.assert_close(both[1, 0, :, 3:6], b[0, 0])
    torch.testing.assert_close(centroid(both), torch.cat((centroid(a), centroid(b))), atol=1e-12, rtol=0)
    torch.testing.assert_close(load_kernels(tmp_path / "k.npz", key="k2", dtype=torch.float64), b)


def test_matlab_arrays_and_cells(tmp_path):
    k = kernels(2)[:, 0].numpy()
    cells = np.empty((1, 2), dtype=object)
    cells[0, 0], cells[0, 1] = k[0], k[1][:5]
    savemat(tmp_path / "cells.mat", {"kernels": cells})
    loaded = load_kernels(tmp_path / "cells.mat", dtype=torch.float64)
    torch.testing.assert_close(loaded[0, 0].numpy(), k[0])
    assert loaded.shape == (2, 1, 7, 10)
    savemat(tmp_path / "one.mat", {"Kernel": k[0], "sigma": 0.01})
    with pytest.raises(ValueError, match=r"one.mat: array 'sigma' is a single number"):
        load_kernels(tmp_path / "one.mat")
    torch.testing.assert_close(load_kernels(tmp_path / "one.mat", key="Kernel", dtype=torch.float64)[0, 0].numpy(), k[0])
    savemat(tmp_path / "stack.mat", {"kernels": k})
    with pytest.raises(ValueError, match="a cell array of such"):
        load_kernels(tmp_path / "stack.mat")


@pytest.mark.parametrize("packed", [False, True])
def test_matlab_files_are_read_as_scipy_reads_them(tmp_path, packed):
    nested, inner = np.empty((2, 2), object), np.empty((1, 1), object)
    inner[0, 0] = np.arange(6.0).reshape(2, 3)
    nested.ravel()[:] = [None] * 4
    for i, value in enumerate((np.eye(3, dtype=np.uint8), np.ones((4, 1), np.float32), inner, np.empty((0, 0)))):
        nested.ravel()[i] = value
    numbers = {f"a{i}": (100 * np.random.default_rng(i).random((3, 5 + i))).astype(t) for i, t in enumerate("bBhHiIqQfd")}
    stored = {**numbers, "flags": np.array([[True, False]]), "cube": np.arange(24.0).reshape(2, 3, 4), "nested": nested}
    savemat(tmp_path / "a.mat", {**stored, "words": "no kernel", "waves": np.eye(2) + 1j}, do_compression=packed)
    mine, theirs = matlab_arrays((tmp_path / "a.mat").read_bytes()), loadmat(tmp_path / "a.mat")
    assert mine["words"] == "class 4" and mine["waves"] == "class 6"
    assert mine.keys() == {name for name in theirs if not name.startswith("__")}
    for name in numbers | {"flags": 0, "cube": 0}:
        np.testing.assert_array_equal(mine[name], theirs[name])
    assert mine["nested"].shape == (2, 2) and mine["nested"][1, 1].size == 0
    np.testing.assert_array_equal(mine["nested"][0, 0], np.eye(3))
    np.testing.assert_array_equal(mine["nested"][1, 0][0, 0], inner[0, 0])


def test_matlab_files_of_other_versions_say_how_to_save_them():
    for data, word in ((b"\x89HDF" + bytes(200), "-v7"), (bytes(124) + b"\x00\x02IM", "-v7"), (bytes(50), "no MATLAB file")):
        with pytest.raises(ValueError, match=word):
            matlab_arrays(data)


def test_what_unpacks_to_more_than_kernels_are_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "bomb.npz", kernels=np.zeros((2**25 + 8,)))
    with pytest.raises(ValueError, match=r"bomb.npz.* unpacks to more than 256 MiB"):
        load_kernels(tmp_path / "bomb.npz")
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (50_000).to_bytes(4, "big") * 2
    (tmp_path / "bomb.png").write_bytes(head + bytes(100))
    with pytest.raises(ValueError, match=r"bomb.png.* 50000 x 50000 pixels"):
        load_kernels(tmp_path / "bomb.png")


def test_torch_files_and_sums(tmp_path):
    k = 3 * kernels()
    torch.save(k[:, 0].float().requires_grad_(), tmp_path / "k.pth")
    torch.save({"a": k[0, 0], "b": k[1:]}, tmp_path / "k.pt")
    torch.testing.assert_close(load_kernels(tmp_path / "k.pth"), k.float() / 3)
    torch.testing.assert_close(load_kernels(tmp_path / "k.pt", normalise=False, dtype=torch.float64), k)


def bad_files(folder):
    k = np.ones((3, 3))
    (folder / "damaged.png").write_bytes(b"no picture")
    (folder / "damaged.npz").write_bytes(b"PK no archive")
    (folder / "damaged.mat").write_bytes(b"")
    (folder / "kernel.txt").write_text("1 2")
    np.save(folder / "nan.npy", k * np.nan)
    np.save(folder / "minus.npy", -k)
    np.save(folder / "empty.npy", np.zeros((0, 3, 3)))
    np.save(folder / "row.npy", np.ones(5))
    np.save(folder / "colour.npy", np.ones((9, 9, 3)))
    np.save(folder / "rgb.npy", np.ones((2, 3, 9, 9)))
    np.save(folder / "text.npy", np.array([["a"]]))
    np.save(folder / "objects.npy", np.array([k, k[:2]], dtype=object), allow_pickle=True)
    np.savez(folder / "nothing.npz")
    cv2.imwrite(str(folder / "colour.png"), np.ones((4, 4, 3), np.uint8))
    torch.save([1.0], folder / "list.pth")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("damaged.png", "cannot be read as .png"),
        ("damaged.npz", "cannot be read as .npz"),
        ("damaged.mat", "cannot be read as .mat"),
        ("kernel.txt", "cannot read kernels from .txt"),
        ("nan.npy", "NaN"),
        ("minus.npy", "sum -9"),
        ("empty.npy", r"empty: \(0, 3, 3\)"),
        ("row.npy", r"shape \(5,\)"),
        ("colour.npy", r"shape \(9, 9, 3\).*without colour"),
        ("rgb.npy", r"shape \(2, 3, 9, 9\)"),
        ("text.npy", "not real numbers"),
        ("objects.npy", "cannot be read"),
        ("nothing.npz", "no kernels"),
        ("colour.png", "a colour picture"),
        ("list.pth", "no array but list"),
    ],
)
def test_what_is_no_kernel_is_refused_by_name(tmp_path, name, found):
    bad_files(tmp_path)
    with pytest.raises(ValueError, match=rf"(?s){name}.*{found}"):
        load_kernels(tmp_path / name)


def test_missing_files_folders_and_keys(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone.npz: no such file"):
        load_kernels(tmp_path / "gone.npz")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        save_kernels(tmp_path / "gone" / "k.npz", kernels())
    save_kernels(tmp_path / "k.npz", kernels())
    with pytest.raises(ValueError, match="no array 'k9'; it holds 'kernels'"):
        load_kernels(tmp_path / "k.npz", key="k9")
    with pytest.raises(ValueError, match=r"one of '.npz', '.npy', '.png', got '.mat'"):
        save_kernels(tmp_path / "k.mat", kernels())
    with pytest.raises(ValueError, match="one non-negative kernel"):
        save_kernels(tmp_path / "k.png", kernels(2))


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    save_kernels(tmp_path / "k.npz", old := kernels(2))

    def full(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        save_kernels(tmp_path / "k.npz", kernels(3))
    assert os.listdir(tmp_path) == ["k.npz"]
    torch.testing.assert_close(load_kernels(tmp_path / "k.npz", dtype=torch.float64), old)


@pytest.mark.parametrize(("name", "shape"), [("usrnet12", (12, 25, 25)), ("ikrnet12", (12, 21, 21)), ("Levin09", (8, 27, 27))])
def test_published_files(data, name, shape):
    k = load_kernels(data / "kernels" / f"{name}.npz")
    assert k[:, 0].shape == shape and k.min() >= 0
    torch.testing.assert_close(k.sum((1, 2, 3)), torch.ones(len(k)), atol=1e-6, rtol=0)
