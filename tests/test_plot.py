"""Figures build for gray and colour, with and without truth; they say what they show, change nothing, and are saved whole."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pnpsr.images import read_image
from pnpsr.kernels import disk, gaussian, shift_kernel
from pnpsr.plot import (
    demo_figure,
    save_figure,
    show_before_after,
    show_curves,
    show_images,
    show_iterates,
    show_kernels,
    show_spectra,
    show_table,
)
from pnpsr.starts import upsample
from pnpsr.state import State, as_physics


def picture(c: int, h: int, w: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, c, h, w, generator=torch.Generator().manual_seed(seed)) * 1.4 - 0.2


def panels(figure) -> dict:
    """Axes by title; panels switched off have none."""
    return {axes.get_title(): axes for axes in figure.get_axes() if axes.get_title()}


def shown(axes) -> np.ndarray:
    return np.asarray(axes.get_images()[0].get_array())


@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("scale", [2, (1, 3)])
def test_demo_shows_what_it_is_given(tmp_path: Path, c: int, known: bool, scale: int | tuple[int, int]) -> None:
    s1, s2 = scale if isinstance(scale, tuple) else (scale, scale)
    y, x, truth = picture(c, 8, 10), picture(c, 8 * s1, 10 * s2, 1).requires_grad_(), picture(c, 8 * s1, 10 * s2, 2)
    k, true_kernel = torch.rand(1, 1, 5, 6), torch.rand(1, 1, 7, 7)
    kept = [t.detach().clone() for t in (y, x, truth, k, true_kernel)]
    curves = {"PSNR [dB]": [20.0, 22, 23], "kernel MSE": torch.tensor([1e-3, 1e-4, 1e-6])}
    figure = demo_figure(
        y,
        x,
        k,
        scale=scale,
        truth=truth if known else None,
        true_kernel=true_kernel if known else None,
        curves=curves,
        notes={"restored": "23 dB"},
        zoom=(0.5, 0.5, 0.5, 0.25),
    )
    assert all(torch.equal(a, b) for a, b in zip((y, x, truth, k, true_kernel), kept, strict=True))
    by_title = panels(figure)
    bicubic = next(title for title in by_title if title.startswith("bicubic"))
    images = {"input, 8 × 10": upsample(y, scale, "nearest"), bicubic: upsample(y, scale), "restored": x, "truth": truth}
    kernels = {"kernel, true": true_kernel, "kernel, estimated": k}
    assert set(by_title) == {*images, *kernels, *curves} - (set() if known else {"truth", "kernel, true"})
    for title, image in images.items():
        if title in by_title:
            wanted = image.detach()[0].clamp(0, 1).permute(1, 2, 0).numpy()
            np.testing.assert_array_equal(shown(by_title[title]).reshape(wanted.shape), wanted)
    np.testing.assert_array_equal(shown(by_title["kernel, estimated"]), k[0, 0].numpy())
    assert by_title["restored"].get_xlabel() == "23 dB" and by_title[bicubic].get_xlabel() == ""
    assert by_title["PSNR [dB]"].get_lines()[0].get_xydata().tolist() == [[1, 20], [2, 22], [3, 23]]
    assert by_title["PSNR [dB]"].get_yscale() == "linear" and by_title["kernel MSE"].get_yscale() == "log"
    save_figure(figure, tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").image.shape[-1] == 1200


@pytest.mark.parametrize("count", [0, 1, 3, 9])
def test_any_number_of_curves_without_overlap(count: int) -> None:
    curves = {f"curve {i}": [1.0 + i, 2.0, 3.0] for i in range(count)}
    figure = demo_figure(picture(3, 6, 9), picture(3, 12, 18), torch.rand(1, 1, 5, 5), scale=2, curves=curves, first=0)
    assert {f"curve {i}" for i in range(count)} <= set(panels(figure))
    figure.draw_without_rendering()
    assert all(axes.get_window_extent().height > 100 for axes in panels(figure).values())
    boxes = [axes.get_tightbbox() for axes in panels(figure).values()]
    for i, one in enumerate(boxes):
        assert one.x0 >= 0 and one.y0 >= 0 and one.x1 <= figure.bbox.x1 and one.y1 <= figure.bbox.y1
        assert not any(one.padded(-1).overlaps(other) for other in boxes[:i])


def test_zoom_encloses_the_same_part_at_every_resolution_and_leaves_it_visible() -> None:
    low, high = picture(3, 10, 20), picture(3, 40, 80)
    for zoom in ((0.5, 0.6, 0.5, 0.4), (0.0, 0.0, 0.2, 0.3)):
        for name, axes in panels(show_images({"low": low, "high": high}, zoom=zoom)).items():
            h, w = (10, 20) if name == "low" else (40, 80)
            (inset,), (box,) = axes.child_axes, axes.patches
            assert inset.get_xlim() == pytest.approx((zoom[1] * w - 0.5, (zoom[1] + zoom[3]) * w - 0.5))
            assert inset.get_ylim() == pytest.approx(((zoom[0] + zoom[2]) * h - 0.5, zoom[0] * h - 0.5))
            axes.figure.draw_without_rendering()
            assert not inset.get_window_extent().overlaps(box.get_window_extent())


def test_grids_take_batches_of_kernels_and_mixed_pictures() -> None:
    k = torch.rand(3, 1, 6, 8)
    by_title = panels(show_kernels({"motion": k, "dirac": k[:1] * 0}, columns=3))
    assert list(by_title) == ["motion 1", "motion 2", "motion 3", "dirac"]
    np.testing.assert_array_equal(shown(by_title["motion 2"]), k[1, 0].numpy())
    cross = [line.get_xydata() for line in by_title["motion 1"].get_lines()]
    assert cross[0][0, 1] == 3 and cross[1][0, 0] == 4
    by_title = panels(show_images({"gray": picture(1, 6, 7), "colour": picture(3, 12, 14)}, notes={"gray": "n"}, columns=1))
    assert shown(by_title["gray"]).shape == (6, 7) and shown(by_title["colour"]).shape == (12, 14, 3)
    assert by_title["gray"].get_xlabel() == "n"


def test_a_kernel_has_its_tails_below_it_and_a_dot_where_its_mass_is() -> None:
    kernels = {"wide": gaussian(9, 1.5), "moved": shift_kernel(gaussian(9, 0.8), (1, 2)), "disk": disk(9, 2.0)}
    by_title = panels(show_kernels(kernels, log=True, columns=2))
    assert list(by_title) == ["wide", "moved", "wide, log10", "moved, log10", "disk", "disk, log10"]
    logs = shown(by_title["wide, log10"])
    np.testing.assert_allclose(10 ** logs[4, 2:7], (kernels["wide"][0, 0, 4, 2:7] / kernels["wide"].max()).numpy(), rtol=1e-5)
    assert logs.max() == 0 and shown(by_title["disk, log10"]).min() == -4
    right, down = by_title["moved"].get_lines()[2].get_xydata()[0]
    assert (down, right) == pytest.approx((5, 6), abs=0.01)
    assert len(panels(show_kernels({"no sum": disk(9, 2.0) - disk(9, 2.0).flip(-1)}))["no sum"].get_lines()) == 2


def test_before_and_after_share_one_picture() -> None:
    before, after = picture(3, 5, 8).clamp(0, 1), picture(3, 10, 16, 1).clamp(0, 1)
    by_title = panels(show_before_after(before, after, split=0.25, zoom=(0.0, 0.5, 0.5, 0.5)))
    whole, old = shown(by_title["before | after"]), upsample(before, 2, "nearest")
    np.testing.assert_array_equal(whole[:, :4], old[0, :, :, :4].permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(whole[:, 4:], after[0, :, :, 4:].permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(shown(by_title["before"]), old[0, :, :5, 8:].permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(shown(by_title["after"]), after[0, :, :5, 8:].permute(1, 2, 0).numpy())
    assert list(panels(show_before_after(after, after))) == ["before | after"]


def states(count: int) -> list[State]:
    one = State(y=picture(1, 6, 6), physics=as_physics(2), x=picture(1, 12, 12), k=gaussian(5, 1.0))
    return [dataclasses.replace(one, t=t, x=picture(1, 12, 12, t)) for t in range(count)]


def test_every_iterate_has_its_column() -> None:
    by_title = panels(show_iterates(states(3), notes=["a", "b", "c"], zoom=(0.5, 0.0, 0.5, 0.25)))
    assert list(by_title) == [f"{what}, t = {t}" for what in "xk" for t in range(3)]
    np.testing.assert_array_equal(shown(by_title["x, t = 2"]), picture(1, 12, 12, 2)[0, 0, 6:, :3].clamp(0, 1).numpy())
    np.testing.assert_array_equal(shown(by_title["k, t = 1"]), gaussian(5, 1.0)[0, 0].numpy())
    assert by_title["x, t = 1"].get_xlabel() == "b"


def test_spectra_are_centred_and_relative_and_show_what_is_folded() -> None:
    k = gaussian(15, 2.0)
    by_title = panels(show_spectra({"k": k, "x": picture(3, 80, 40)}, scale=(2, 4), size=32))
    drawn = shown(by_title["k"])
    assert drawn.shape == (32, 32) and drawn[16, 16] == 0 and shown(by_title["x"]).shape == (80, 40)
    assert drawn[16, 20] == pytest.approx(-2 * np.pi**2 * 2.0**2 * (4 / 32) ** 2 / np.log(10), abs=1e-3)  # that of a Gaussian
    (frame,) = by_title["k"].patches
    assert (frame.get_width(), frame.get_height()) == (0.25, 0.5)
    cross = shown(panels(show_spectra({"x": picture(1, 32, 32).cumsum(-1)}))["x"])
    faded = shown(panels(show_spectra({"x": picture(1, 32, 32).cumsum(-1)}, window=True))["x"])
    assert faded[32, :8].mean() < cross[32, :8].mean()  # without the jump at the border


def test_curves_stand_alone_or_together() -> None:
    by_title = panels(show_curves({"one": [1.0, 2.0], "two": {"a": [1, 100], "b": [5, 6, 7]}}, first=0, across="step", columns=1))
    assert by_title["one"].get_lines()[0].get_xydata().tolist() == [[0, 1], [1, 2]] and by_title["one"].get_legend() is None
    assert [line.get_label() for line in by_title["two"].get_lines()] == ["a", "b"]
    assert by_title["two"].get_yscale() == "log" and by_title["two"].get_xlabel() == "step"


def test_a_table_sets_off_what_is_best() -> None:
    rows = {"a": {"PSNR": 30.0, "n": 3}, "b": {"PSNR": 31.257, "n": 3, "word": "yes"}, "c": {"PSNR": None}}
    figure = show_table(rows, best={"PSNR": "high", "n": "low"}, title="t")
    cells = figure.get_axes()[0].tables[0].get_celld()
    written = [[cells[row, column].get_text().get_text() for column in range(4)] for row in range(4)]
    assert written == [["", "PSNR", "n", "word"], ["a", "30.00", "3", "–"], ["b", "31.26", "3", "yes"], ["c", "–", "–", "–"]]
    bold = {at for at, cell in cells.items() if at[0] > 0 and cell.get_text().get_weight() == "bold"}
    assert bold == {(2, 1), (1, 2), (2, 2)}


@pytest.mark.parametrize(
    ("draw", "reason"),
    [
        (lambda: show_before_after(picture(1, 4, 4), picture(1, 9, 8)), "does not fit"),
        (lambda: show_before_after(picture(1, 4, 4), picture(1, 8, 8), split=1.5), "split must be a fraction"),
        (lambda: show_before_after(picture(1, 4, 4), picture(1, 8, 8), zoom=(0.5, 0.5, 0.6, 0.1)), "zoom"),
        (lambda: show_iterates([]), "no states"),
        (lambda: show_iterates(states(2), notes=["a"]), "one per state"),
        (lambda: show_spectra({}), "no spectra"),
        (lambda: show_curves({}), "no curves"),
        (lambda: show_curves({"a": {"b": []}}), "one number per iteration"),
        (lambda: show_table({}), "no rows"),
        (lambda: show_table({"a": {"b": "c"}}, best={"b": "high"}), "holds no number"),
        (lambda: show_table({"a": {"b": 1.0}}, best={"c": "high"}), "best must be one of 'b'"),
        (lambda: show_images({}), "no images"),
        (lambda: show_kernels({}), "no kernels"),
        (lambda: show_images({"a": picture(3, 4, 4).expand(2, -1, -1, -1)}), "one by one"),
        (lambda: show_images({"a": picture(2, 4, 4)}), "a must be one picture"),
        (lambda: show_images({"a": picture(1, 4, 4)}, notes={"b": "?"}), "notes must be one of 'a'"),
        (lambda: show_images({"a": picture(1, 4, 4)}, zoom=(0.5, 0.5, 0.6, 0.1)), "zoom"),
        (lambda: show_images({"a": picture(1, 4, 4) * torch.nan}), "NaN"),
        (lambda: show_images({"a": picture(1, 4, 4)}, columns=0), "columns"),
        (lambda: show_kernels({"a": torch.rand(1, 3, 5, 5)}), "one kernel for all colours"),
        (lambda: demo_figure(picture(3, 4, 4), picture(3, 8, 9), torch.rand(1, 1, 3, 3), scale=2), "restored of .* does not fit"),
        (
            lambda: demo_figure(picture(3, 4, 4), picture(3, 8, 8), torch.rand(1, 1, 3, 3), scale=2, curves={"PSNR": []}),
            "one number per iteration",
        ),
    ],
)
def test_bad_input_is_refused(draw, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        draw()


def test_figures_are_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    figure = show_kernels({"k": torch.rand(1, 1, 5, 5)})
    for name, start in (("a.png", b"\x89PNG"), ("b.pdf", b"%PDF"), ("c.SVG", b"<?xml"), ("d.webp", b"RIFF")):
        save_figure(figure, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    with pytest.raises(ValueError, match=r"the suffix of .*d\.txt must be one of '.png'"):
        save_figure(figure, tmp_path / "d.txt")
    with pytest.raises(FileNotFoundError, match="make it first"):
        save_figure(figure, tmp_path / "no" / "a.png")
    assert sorted(os.listdir(tmp_path)) == ["a.png", "b.pdf", "c.SVG", "d.webp"]


def test_no_global_state_is_touched() -> None:
    code = (
        "import sys, torch; from pnpsr.plot import show_kernels; assert 'matplotlib' not in sys.modules;"
        "show_kernels({'k': torch.rand(1, 1, 3, 3)}); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)
