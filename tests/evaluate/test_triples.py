"""Sets that come with y and kernels: files are paired by number, and scored as they are stored."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy.io import savemat
from synthetic import pictures

from pnpsr.conventions import KERNELGAN, degrade
from pnpsr.evaluate import Method, Result, Triples, evaluate, named_protocol
from pnpsr.evaluate.cases import Case, Failure
from pnpsr.images import read_image, write_image
from pnpsr.kernels import random_gaussian
from pnpsr.starts import upsample


@pytest.fixture
def div2krk(tmp_path: Path) -> Path:
    """Ten tiny triples laid out as DIV2KRK is: 8-bit pictures, .mat kernels, numbers without leading zeros."""
    for name in ("gt", "lr_x2", "lr_x4", "gt_k_x2", "gt_k_x4"):
        (tmp_path / name).mkdir()
    x = pictures(10, 3, 65, 68, seed=3, dtype=torch.float32)
    for n in range(1, 11):
        write_image(tmp_path / "gt" / f"img_{n}_gt.png", x[n - 1 : n])
        for s in (2, 4):
            sharp = read_image(tmp_path / "gt" / f"img_{n}_gt.png").image[..., :64, :68]
            k = random_gaussian(1, 11, widths=(0.6, 3.0), anisotropic=True, generator=torch.Generator().manual_seed(10 * n + s))
            write_image(tmp_path / f"lr_x{s}" / f"im_{n}.png", degrade(sharp, k, s, KERNELGAN))
            savemat(tmp_path / f"gt_k_x{s}" / f"kernel_{n}.mat", {"Kernel": k[0, 0].double().numpy()})
    return tmp_path


def cases(folder: Path) -> list[Case | Failure]:
    source = Triples(folder).under(named_protocol("div2krk"))
    return list(source.cases(source.keys()))


def test_pictures_y_and_kernels_belong_together(div2krk: Path) -> None:
    found = cases(div2krk)
    assert [case.key.kernel for case in found] == [n for n in range(1, 11) for _ in (2, 4)]  # by number: 2 before 10
    for case in found:
        assert isinstance(case, Case) and case.key.image == f"img_{case.key.kernel}_gt.png"
        again = degrade(case.x, case.k, case.key.scale, KERNELGAN.stored("round"))
        assert (again - case.y).abs().max() < 1.5 / 255 and case.x.shape[-2:] == (64, 68)


def test_they_are_evaluated(div2krk: Path, tmp_path: Path) -> None:
    def blind(y: torch.Tensor, scale: int) -> Result:
        return Result(upsample(y, scale), random_gaussian(1, 9, generator=torch.Generator().manual_seed(0)))

    done = evaluate(Method("m", blind), named_protocol("div2krk"), Triples(div2krk, limit=3), tmp_path / "out")
    assert len(done.rows) == 6 and not done.failures
    assert all(row.values["psnr"] > 15 and row.values["kernel_mse"] is not None for row in done.rows)
    one = replace(named_protocol("div2krk"), conditions=((4, 0.0),))
    assert len(evaluate(Method("m", blind), one, Triples(div2krk, limit=2), tmp_path / "x4").rows) == 2


def test_what_is_missing_or_does_not_fit_is_named(div2krk: Path) -> None:
    (div2krk / "gt_k_x2" / "kernel_3.mat").unlink()
    (div2krk / "lr_x4" / "im_5.png").write_bytes(b"no picture")
    write_image(div2krk / "lr_x2" / "im_7.png", torch.rand(1, 3, 20, 20))
    failures = {(f.key.kernel, f.key.scale): f.reason for f in cases(div2krk) if isinstance(f, Failure)}
    assert set(failures) == {(3, 2), (5, 4), (7, 2)}
    assert "no y or no kernel" in failures[3, 2] and "whole picture" in failures[5, 4] and "is not 2 times" in failures[7, 2]


def test_other_folders_are_refused(div2krk: Path, tmp_path: Path) -> None:
    (div2krk / "gt" / "copy_3.png").write_bytes((div2krk / "gt" / "img_3_gt.png").read_bytes())
    with pytest.raises(ValueError, match="same number"):
        Triples(div2krk)
    (div2krk / "gt" / "copy_3.png").unlink()
    with pytest.raises(FileNotFoundError, match="lr_x3"):
        Triples(div2krk).under(replace(named_protocol("div2krk"), conditions=((3, 0.0),)))
    with pytest.raises(FileNotFoundError, match="expected gt, lr_x2"):
        Triples(tmp_path / "nowhere")
    for change in ({"conditions": ((2, 0.01),)}, {"kernels": "gaussian8"}):
        with pytest.raises(ValueError, match="makes its own y"):
            Triples(div2krk).under(replace(named_protocol("div2krk"), **change))
    with pytest.raises(ValueError, match="come with its pictures"):
        evaluate(Method("m", upsample), named_protocol("div2krk"), FakePictures(), tmp_path / "out")


class FakePictures:
    names = ("a",)

    def read(self, index: int) -> torch.Tensor:
        raise AssertionError("nothing should be read")
