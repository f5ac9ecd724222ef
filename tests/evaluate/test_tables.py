"""Tables and figures show the means of the rows, and nothing else."""

import re
from pathlib import Path

import numpy as np
import pytest
from small import GUESS, protocol, some

from pnpsr.evaluate import Row, bicubic, difference, evaluate, spread, table
from pnpsr.evaluate.cases import Key
from pnpsr.evaluate.figures import compare
from pnpsr.evaluate.tables import mean
from pnpsr.plot import save_figure

METHODS = ("bicubic", "guess")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    folder = tmp_path_factory.mktemp("rows")
    return [row for m in (bicubic(), GUESS) for row in evaluate(m, protocol(), some(), folder).rows]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_holds_the_means(rows: list[Row]) -> None:
    text = table(rows, protocol())
    assert text.startswith(str(protocol()))
    parts = re.split("psnr by kernel|psnr and differences", text)
    summary, detail, spreads = (re.findall(r"^\|.*\|$", part, re.MULTILINE) for part in parts)
    assert cells(summary[0]) == ["method", "scale", "σ", "rows", "psnr", "ssim", "kernel_mse", "data_psnr"]
    assert len(summary) == 2 + 8 and len(detail) == 2 + 8
    for line in map(cells, summary[2:]):
        some_rows = [r for r in rows if (r.method, f"×{r.key.scale}", f"{r.key.sigma:g}") == tuple(line[:3])]
        assert line[3] == str(len(some_rows)) == "4"
        assert line[4] == f"{np.mean([r.values['psnr'] for r in some_rows]):.2f}"
        assert line[5] == f"{np.mean([r.values['ssim'] for r in some_rows]):.4f}"
        assert (line[6] == line[7] == "") == (line[0] == "bicubic")
    assert cells(detail[0]) == ["method", "scale", "σ", "k1", "k2", "mean"]
    for line in map(cells, detail[2:]):
        of = [r for r in rows if (r.method, f"×{r.key.scale}", f"{r.key.sigma:g}") == tuple(line[:3])]
        means = [np.mean([r.values["psnr"] for r in of if r.key.kernel == number]) for number in (1, 2)]
        assert line[3:] == [f"{value:.2f}" for value in (*means, np.mean(means))]
    assert cells(spreads[0]) == ["method", "scale", "σ", "pictures", "is", "from", "to", "apart"] and len(spreads) == 2 + 8
    for plain, paired in zip(map(cells, spreads[2::2]), map(cells, spreads[3::2]), strict=True):
        a, b = (
            [r for r in rows if (r.method, f"×{r.key.scale}") == (m, plain[1]) and f"{r.key.sigma:g}" == plain[2]] for m in METHODS
        )
        for line, found in ((plain, spread(a)), (paired, difference(b, a))):
            assert line[3:7] == ["2", *(f"{value:.2f}" for value in (found.value, found.low, found.high))]
        assert (plain[0], plain[7], paired[0]) == ("bicubic", "", "guess − bicubic") and paired[7] == "no"


def test_a_difference_stands_in_the_table_with_its_verdict() -> None:
    made = {"a": 0.0, "b": 0.4, "c": 0.0}  # b is better on every picture, c on half of them
    rows = [
        Row(method, "p@0", Key(f"{i}", 1, 2, 0.0), {"psnr": 20.0 + i + by + (0.1 * (-1) ** i if method == "c" else 0)})
        for method, by in made.items()
        for i in range(10)
    ]
    text = table(rows)
    assert "| b − a | ×2 | 0 | 10 | 0.40 | 0.40 | 0.40 | yes |" in text
    assert re.search(r"\| c − a \| ×2 \| 0 \| 10 \| 0.00 \| -0.0\d \| 0.0\d \| no \|", text)
    assert "Of one picture there is no spread" in table([r for r in rows if r.key.image == "0"])
    assert "spread" not in table(rows, detail=None) and "differences" not in table(rows, detail=None)


def test_what_has_no_value_is_left_out_of_a_mean() -> None:
    rows = [Row("m", "p@0", Key("a", 1, 2, 0.0), {"psnr": value}) for value in (20.0, None, 30.0)]
    assert mean(rows, "psnr") == 25 and mean(rows, "ssim") is None
    assert "| m | ×2 | 0 | 3 | 25.00 |" in table(rows)


def test_protocols_are_not_mixed_in_a_table(rows: list[Row]) -> None:
    other = Row("m", "other@12345678", rows[0].key, rows[0].values)
    for bad in ([*rows, other], []):
        with pytest.raises(ValueError, match="one protocol"):
            table(bad)
    with pytest.raises(ValueError, match="detail must be one of"):
        table(rows, detail="beauty")
    assert "by kernel" not in table(rows, detail=None)


def test_figures_draw_the_means(rows: list[Row], tmp_path: Path) -> None:
    figure = compare(rows)
    panels = [panel for panel in figure.axes if panel.has_data()]
    assert [panel.get_title() for panel in panels] == ["×2, σ = 0", "×2, σ = 0.02", "×3, σ = 0", "×3, σ = 0.02"]
    for panel in panels:
        assert [line.get_label() for line in panel.lines] == ["bicubic", "guess"]
        scale, sigma = int(panel.get_title()[1]), float(panel.get_title().split("= ")[1])
        for line in panel.lines:
            for number, value in zip(*line.get_data(), strict=True):
                wanted = [r.values["psnr"] for r in rows if (r.method, *r.key[1:]) == (line.get_label(), number, scale, sigma)]
                assert len(wanted) == 2 and np.isclose(value, np.mean(wanted))
    save_figure(figure, tmp_path / "psnr.png")
    assert (tmp_path / "psnr.png").stat().st_size > 10_000
    assert [line.get_label() for line in compare(rows, "kernel_mse").axes[0].lines] == ["guess"]
    with pytest.raises(ValueError, match="no row has a value"):
        compare(rows, "lpips")


def test_many_kernels_are_sorted() -> None:
    rows = [Row("m", "p@0", Key("a", n, 2, 0.0), {"psnr": float(n * 7 % 31)}) for n in range(1, 31)]
    heights = compare(rows).axes[0].lines[0].get_ydata()
    assert list(heights) == sorted(heights) and len(heights) == 30
    assert "by kernel" not in table(rows)
