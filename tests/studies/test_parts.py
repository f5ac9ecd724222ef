"""The parts of the studies against the plain call, the plain mean, the plain count."""

import csv
import re
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
import torch
from benches import TINY, images
from benches import solvers as tiny
from synthetic import kernels, observed, pictures

from pnpsr import State, load, save
from pnpsr.evaluate import Key, Protocol, Row, difference, grid
from pnpsr.evaluate.named import dan_setting1
from pnpsr.fast import fast
from pnpsr.physics import estimate_noise
from pnpsr.recipes import blind_hqs, dan, ikrnet, ikrnet_released, usrnet
from pnpsr.released import Word, label_of, read_word
from pnpsr.studies import STUDIES, Bench, Candidate, Findings, Line, candidate, candidates
from pnpsr.studies.ablation import SHARED, VARIANTS
from pnpsr.studies.bench import KNOWN
from pnpsr.studies.complexity import _count, multiply_adds
from pnpsr.studies.contrasts import contrast_grid, contrasts, tidy_contrasts
from pnpsr.studies.dan import WIDTHS, _kernels
from pnpsr.studies.denoisers import LAST, Denoise, denoiser, inside
from pnpsr.studies.figures import curves, strip
from pnpsr.studies.ikrnet_variants import denoising, iterations, kernel_step, noise_levels
from pnpsr.studies.plan import ALTERNATING, BLIND, ITERATING, PREDICTING
from pnpsr.studies.report import markdown, tidy
from pnpsr.studies.rows import evaluated, traced
from pnpsr.studies.sweep import Found, tabulate
from pnpsr.studies.table import printed, read_printed
from pnpsr.studies.variants import trace, vary

ROOT = Path(__file__).parent.parent.parent
SETS = ("Set5", "Set14", "BSD100", "Urban100", "Manga109")  # of DAN's tables
PROTOCOL = Protocol("small", grid((2,), (0.02,)), kernels(2, 9, seed=1, dtype=torch.float32), metrics=("psnr", "kernel_mse"))


@pytest.fixture(scope="module")
def solver() -> Candidate:
    torch.manual_seed(0)
    return Candidate("ikrnet", ikrnet(9, T=6, widths=TINY, hidden=8).eval(), 2)


@pytest.fixture(scope="module")
def y() -> torch.Tensor:
    return observed(pictures(1, 3, 40, 48, seed=0), kernels(1, 9, seed=0), 2, 0.02).float()


def run(variant, y: torch.Tensor, **truth: object):
    with torch.no_grad():
        return variant.method(y, 2, truth)


# --- words ---


def test_words_name_solvers(tmp_path: Path) -> None:
    files = tiny(tmp_path / "s")
    one = candidate(str(files["ikrnet-x4"]))
    assert (one.label, one.scale, one.convention.name, one.needs) == ("ikrnet", 4, "PNPSR", ())
    assert one.does(4) and not one.does(2) and one.periodic and one.longest is None
    one = candidate(f"mine={files['dan-x2']}+DAN")
    assert (one.label, one.scale, one.convention.name, one.periodic) == ("mine", 2, "DAN", False)
    again = candidate(f"again={files['ikrnet-x4']}")
    assert (again.label, again.scale) == ("again", 4)
    one = candidate(str(files["usrnet"]))
    assert (one.label, one.scale, one.needs, one.longest) == ("usrnet", None, ("k", "sigma"), 2) and one.does(3)
    assert candidate("blind_hqs").needs == () and candidate("blind_hqs").longest is None
    save(blind_hqs(5, T=3, finish=one.solver), tmp_path / "finished.safetensors")  # blind, whatever its second phase was before
    one = candidate(str(tmp_path / "finished.safetensors"))
    assert (one.needs, one.longest, one.periodic) == ((), 5, True)
    torch.manual_seed(0)
    save(usrnet(T=1, widths=TINY), tmp_path / "a x2+DAN=b.safetensors")  # a file may be called anything
    assert candidate(str(tmp_path / "a x2+DAN=b.safetensors")).convention.name == "PNPSR"


def test_presets_that_are_not_installed_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = tiny(tmp_path / "s")
    monkeypatch.setattr("pnpsr.studies.solvers.presets", lambda: {"dan-x4": None})
    monkeypatch.setattr("pnpsr.studies.solvers.open_solver", lambda name: load(files[name]))
    found, missing = candidates((), ("dan-x2", "dan-x4"))
    assert [(one.label, one.scale) for one in found] == [("dan", 4)] and missing == ["dan-x2"]


def test_kinds_of_solvers(solver: Candidate) -> None:
    torch.manual_seed(0)
    others = {
        "dan": Candidate("dan", dan(2, width=8, groups=1, blocks=1, code=4)),
        "usrnet": Candidate("usrnet", usrnet(T=1, widths=TINY)),
        "blind_hqs": Candidate("blind_hqs", load("blind_hqs")),
    }
    expected = {"dan": (True, True, False), "usrnet": (False, False, False), "blind_hqs": (True, True, False)}
    for name, one in others.items():
        assert tuple(kind.test(one) for kind in (BLIND, ALTERNATING, PREDICTING)) == expected[name]
    assert all(kind.test(solver) for kind in (BLIND, ALTERNATING, ITERATING, PREDICTING))
    made = {"first": "statistics", "first_width": 8, "kernel_step": False}
    still = Candidate("ikrnet", ikrnet(9, T=2, widths=TINY, hidden=8, **made))  # as the presets at ×2 and ×4 that ship
    assert [kind.test(still) for kind in (BLIND, ALTERNATING, ITERATING, PREDICTING)] == [True, False, True, True]
    assert not ITERATING.test(others["usrnet"])


def test_a_solver_without_a_kernel_step_has_noise_levels_denoisers_and_iterations(y: torch.Tensor) -> None:
    torch.manual_seed(0)
    made = {"first": "statistics", "first_width": 8, "kernel_step": False}
    one = Candidate("ikrnet", ikrnet(9, T=6, widths=TINY, hidden=8, **made).eval(), 2)
    with torch.no_grad():
        plain = fast(one.solver)(y, 2)  # as evaluations run it
        for variant in (*noise_levels(Bench(), one, PROTOCOL), *denoising(Bench(denoiser="median"), one, PROTOCOL)):
            assert run(variant, y, sigma=0.02).x.shape == plain.x.shape
        assert torch.equal(run(noise_levels(Bench(), one, PROTOCOL)[0], y).x, plain.x.clamp(0, 1))
        (steps,) = iterations(Bench(), one, PROTOCOL)
        found = list(steps.run(y, 2, {}))
    assert len(found) == max(steps.T) and torch.equal(found[5].x, plain.x.clamp(0, 1))


def test_one_grammar_of_words(tmp_path: Path) -> None:
    options = ("sigma", "DAN")
    assert read_word("dan-x4", options) == Word(None, ("dan-x4",))
    assert read_word("dan-x4+sigma+DAN", options) == Word(None, ("dan-x4",), ("sigma", "DAN"))
    assert read_word("mine=a.pth,b.pth+DAN", options) == Word("mine", ("a.pth", "b.pth"), ("DAN",))
    assert read_word("lab:net", options).names == ("lab:net",) and label_of("lab:net") == "net"
    file = tmp_path / "x=a+DAN"
    file.touch()
    assert read_word(str(file), options) == Word(None, (str(file),)) and label_of(str(file)) == "x_a_DAN"
    assert read_word(f"{file}+DAN", options) == Word(None, (str(file),), ("DAN",))
    assert read_word(f"n={file}+sigma", options) == Word("n", (str(file),), ("sigma",))
    for word in ("a+MINE", "a+sigma+MINE", "a=b+MINE", "a+MINE+sigma"):
        with pytest.raises(ValueError, match=r"'MINE' in '.*' is no option; known are sigma, DAN"):
            read_word(word, options)
    with pytest.raises(ValueError, match="several files or conventions"):
        candidate("mine=a.pth,b.pth")


# --- variants ---


def test_noise_levels_are_those_of_the_plain_call(solver: Candidate, y: torch.Tensor) -> None:
    free, known, zero, largest = noise_levels(Bench(), solver, PROTOCOL)
    net = fast(solver.solver)
    with torch.no_grad():
        assert torch.equal(run(free, y).x, net(y, 2).x.clamp(0, 1))
        for variant, sigma in zip((known, zero, largest), (0.013, 0.0, 0.03), strict=True):
            told = {"sigma": sigma} if variant is known else {}
            assert torch.equal(run(variant, y, **told).x, net(y, 2, sigma=sigma).x.clamp(0, 1))
    assert known.method.needs == ("sigma",) and not zero.method.needs
    assert len({variant.method.name for variant in (free, known, zero, largest)}) == 4


def test_without_its_step_the_kernel_stays_the_first(solver: Candidate, y: torch.Tensor) -> None:
    both, first = kernel_step(Bench(), solver, PROTOCOL)
    with torch.no_grad():
        start = solver.solver.start(y, 2).k
        assert torch.equal(run(first, y).k, start) and not torch.equal(run(both, y).k, start)
        assert torch.equal(run(first, y).x, fast(solver.solver.only("tuner", "restorer"))(y, 2).x.clamp(0, 1))


def test_a_solver_without_a_step_is_compared_with_a_second_look(y: torch.Tensor) -> None:
    torch.manual_seed(0)
    made = {"first": "statistics", "first_width": 8, "kernel_step": False}
    one = Candidate("ikrnet", ikrnet(9, T=2, widths=TINY, **made).eval())
    again, first = kernel_step(Bench(), one, PROTOCOL)
    with torch.no_grad():
        start = fast(one.solver).k0(State(y, 2))
        assert torch.equal(run(first, y).k, start) and not torch.equal(run(again, y).k, start)
    assert (again.label, first.label) == ("ikrnet, debiased kernel", "ikrnet, first kernel only")


def test_the_true_kernel_goes_once_through_dans_restorer(y: torch.Tensor) -> None:
    torch.manual_seed(0)
    one = Candidate("dan", dan(2, size=9, width=8, groups=1, blocks=1, code=4).eval(), 2)
    k = kernels(1, 9, seed=3, dtype=torch.float32)
    estimated, true = _kernels(Bench(), one, PROTOCOL)
    net = fast(one.solver).restorer
    with torch.no_grad():
        assert torch.equal(run(true, y, k=k).x, net.net(y, net.basis.encode(k)).clamp(0, 1)) and run(true, y, k=k).k is None
        assert torch.equal(run(estimated, y).x, fast(one.solver)(y, 2).x.clamp(0, 1))
        larger = torch.nn.functional.pad(k, (3, 3, 3, 3))  # another convention can make kernels larger
        torch.testing.assert_close(run(true, y, k=larger).x, run(true, y, k=k).x)


def test_a_trace_is_its_variants_one_by_one(solver: Candidate, tmp_path: Path) -> None:
    bench = Bench((images(tmp_path / "some"),), work=tmp_path / "work")
    data, protocol = bench.data()[0], replace(PROTOCOL, metrics=("psnr", "kernel_mse", "data_psnr"))
    path = trace(solver, protocol, (1, 2, 5), columns=False)
    together = [outcome.rows for outcome in traced(bench, path, protocol, data)]
    alone = replace(bench, work=tmp_path / "other")
    assert [list(evaluated(alone, variant, protocol, data).rows) for variant in path.variants] == [list(r) for r in together]
    assert [variant.label for variant in path.variants] == ["ikrnet, T = 1", "ikrnet, T = 2", "ikrnet, T = 5"]
    assert len({str(rows) for rows in together}) == 3
    limited = Candidate("limited", ikrnet(9, T=3, widths=TINY, per_iteration=True).eval())
    assert trace(limited, protocol, (1, 2, 3, 4), columns=True).T == [1, 2, 3]


def test_a_trace_finishes_what_is_missing(solver: Candidate, tmp_path: Path) -> None:
    bench = Bench((images(tmp_path / "some"),), work=tmp_path / "work")
    data, path = bench.data()[0], trace(solver, PROTOCOL, (1, 2), columns=False)
    traced(bench, path, PROTOCOL, data)
    files = sorted(bench.work.rglob("*.csv"))
    whole = [file.read_bytes() for file in files]
    files[0].write_bytes(whole[0][:-20])
    files[1].write_bytes(whole[1].splitlines(keepends=True)[0])
    traced(bench, path, PROTOCOL, data)
    assert [file.read_bytes() for file in files] == whole


def test_rows_are_known_by_everything_that_decides_them(solver: Candidate, tmp_path: Path) -> None:
    folder, work = images(tmp_path / "some"), tmp_path / "work"
    bench = Bench((folder,), work=work)

    def count(bench: Bench, protocol: Protocol = PROTOCOL, one: Candidate = solver, **changes: object) -> int:
        evaluated(bench, vary(one, protocol, **changes), protocol, bench.data()[0])  # type: ignore[arg-type]
        return len(list(work.iterdir()))

    assert count(bench) == count(bench) == 1
    assert count(bench, replace(PROTOCOL, seed=1)) == 2
    assert count(replace(bench, limit=1)) == 3
    assert count(bench, T=1) == 4
    torch.manual_seed(9)
    assert count(bench, one=Candidate("ikrnet", ikrnet(9, T=6, widths=TINY, hidden=8).eval(), 2)) == 5
    (folder / "a.png").write_bytes((folder / "b.png").read_bytes())
    assert count(bench) == 6


# --- denoisers ---


def test_filters_remember_nothing(y: torch.Tensor) -> None:
    """deepinv's total variation starts from the last picture it saw, if that had the same size."""
    for name in ("tv", "tgv"):
        prior = denoiser(name)
        first = prior(y, 0.03)
        prior(1 - y, 0.03)
        assert torch.equal(prior(y, 0.03), first)


def test_a_denoiser_before_after_and_inside(solver: Candidate, y: torch.Tensor) -> None:
    before, after, within, plain = denoising(Bench(denoiser="tv"), solver, PROTOCOL)
    prior, net = denoiser("tv"), fast(solver.solver)
    with torch.no_grad():
        x = net(prior(y, estimate_noise(y)).clamp(0, 1), 2, sigma=0.0).x.clamp(0, 1)
        assert torch.equal(run(before, y).x, x)
        x = net(y, 2, sigma=0.0).x.clamp(0, 1)
        assert torch.equal(run(after, y).x, prior(x, estimate_noise(x)).clamp(0, 1))
        assert torch.equal(run(plain, y).x, net(y, 2).x.clamp(0, 1))
        new, old = fast(inside(solver.solver, prior)), net
        states = [list(s.iterate(s.start(y, 2))) for s in (new, old)]
        same = [torch.equal(a.x, b.x) for a, b in zip(*states, strict=True)]
        assert same == [True] * (net.T - LAST) + [False] * LAST
        assert torch.equal(run(within, y).x, states[0][-1].x.clamp(0, 1))
    assert not hasattr(solver.solver.restorer, "first")


def test_a_denoiser_lowers_the_noise() -> None:
    x = pictures(1, 3, 48, 48, seed=1, dtype=torch.float32)
    noisy = x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    for name in ("tv", "median"):
        assert (Denoise(denoiser(name))(noisy) - x).square().mean() < 0.6 * (noisy - x).square().mean()


# --- tables ---


def test_cells_are_plain_means() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(2, 3, 2, generator=generator).tolist()
    variants = [vary(Candidate(name, usrnet(T=1, widths=TINY)), PROTOCOL) for name in ("one", "two")]
    found = [
        Found("Set", variants[v], Row(variants[v].label, "p@0", Key(f"{i}.png", kernel, 2, 0.0), {"psnr": values[i][kernel][v]}))
        for i in range(2)
        for kernel in range(3)
        for v in range(2)
    ]
    found.append(Found("Set", variants[0], Row("one", "p@0", Key("2.png", 0, 2, 0.0), {"psnr": None})))
    lines = tabulate(found, lambda f: [(f.data, column, "psnr") for column in (f"k{f.row.key.kernel}", "Av.")], factor=10)
    assert [(line.method, line.rows) for line in lines] == [("one", 7), ("two", 6)]
    for v, line in enumerate(lines):
        assert line.values["Av."] == pytest.approx(10 * fmean(values[i][k][v] for i in range(2) for k in range(3)))
        assert line.values["k1"] == pytest.approx(10 * fmean(values[i][1][v] for i in range(2)))


def made(label: str, column: str, by: float, metric: str = "psnr") -> list[Found]:
    """Six pictures, two kernels; every second picture has ``by`` more, and all are far apart."""
    variant = vary(Candidate("x", blind_hqs(5)), PROTOCOL)
    rows = [
        Row(label, "p@0", Key(f"{i}.png", k, 2, 0.0), {"psnr": 3.0 * i + k + by * (i % 2), "ssim": 0.5})
        for i in range(6)
        for k in (1, 2)
    ]
    return [Found("Set", replace(variant, label=label, column=column), row) for row in rows]


def test_differences_of_lines_are_those_of_the_evaluation() -> None:
    found = [*made("one", "", 0.0), *made("two", "", 1.0), *made("three", "", 0.0)]
    cells = lambda f: [(f.data, c, m) for c, m in ((f"k{f.row.key.kernel}", "psnr"), ("Av.", "psnr"), ("SSIM", "ssim"))]  # noqa: E731
    some = contrasts(found, cells, factor=10)
    assert [(c.method, c.minus, c.column) for c in some] == [
        (m, "one", c) for m in ("two", "three") for c in ("k1", "Av.", "SSIM", "k2")
    ]
    by_name = {(c.method, c.column): c.spread for c in some}
    one, two = ([f.row for f in found if f.row.method == name] for name in ("one", "two"))
    expected = difference(two, one)
    assert by_name["two", "Av."].value == pytest.approx(10 * expected.value) == 5
    assert (by_name["two", "Av."].low, by_name["two", "Av."].high) == pytest.approx((10 * expected.low, 10 * expected.high))
    assert not by_name["three", "Av."].apart and not by_name["two", "SSIM"].apart
    text = contrast_grid(some, ".2f")
    assert text[0] == "|  | difference | k1 | Av. | SSIM | k2 | pictures |"
    assert text[3] == "| Set | three − one | (+0.00) | (+0.00) | (+0.00) | (+0.00) | 6 |"
    csv_rows = list(csv.DictReader(tidy_contrasts("s", some).splitlines()))
    assert float(csv_rows[1]["low"]) == pytest.approx(10 * expected.low, rel=1e-4) and csv_rows[1]["pictures"] == "6"


def test_differences_of_columns_are_taken_one_after_the_other() -> None:
    found = [*made("one", "T = 1", 0.0), *made("one", "T = 2", 4.0), *made("one", "T = 3", 4.0)]
    some = contrasts(found, lambda f: [(f.data, f.variant.column, "psnr")])
    assert [(c.column, c.spread.value) for c in some] == [("T = 2 − T = 1", 2.0), ("T = 3 − T = 2", 0.0)]
    assert contrasts([f for f in found if f.row.key.image == "0.png"], lambda f: [(f.data, f.variant.column, "psnr")]) == []


def test_printed_tables_are_read_and_checked() -> None:
    lines = read_printed('# from a paper\nblock,method,a,"b, c"\n×2,A (b),1.5,\n×4,"C, D",2,3\n')
    assert [(line.block, line.method, dict(line.values), line.source) for line in lines] == [
        ("×2", "A (b)", {"a": 1.5, "b, c": None}, "paper"),
        ("×4", "C, D", {"a": 2.0, "b, c": 3.0}, "paper"),
    ]
    with pytest.raises(ValueError, match="A has 1 values for 2 columns"):
        read_printed("block,method,a,b\n×2,A,1")
    with pytest.raises(ValueError, match="begins with the columns block,method; got a,b"):
        read_printed("a,b,c\n1,2,3")
    with pytest.raises(FileNotFoundError):
        printed("dan-table99")


def test_every_printed_table_belongs_to_a_study_and_says_where_it_is_printed() -> None:
    folder = ROOT / "pnpsr" / "studies" / "printed"
    assert {path.stem for path in folder.iterdir()} == {name for name, study in STUDIES.items() if study.paper}
    assert all(re.match(r"# Printed in \S+ paper \(.+\), \w", path.read_text(encoding="utf-8")) for path in folder.iterdir())


def test_the_papers_averages_are_those_of_their_rows() -> None:
    """A digit that was typed wrong shows here, and so does a row in the wrong place."""
    for line in (*printed("ikrnet-table1"), *printed("ikrnet-table2"), *printed("ikrnet-table3")):
        *twelve, average = line.values.values()
        assert len(twelve) == 12 and abs(fmean(twelve) - average) < 0.011, line
    tables = {line.block: line for line in (*printed("ikrnet-table1"), *printed("ikrnet-table2")) if line.method == "IKR-Net"}
    for table in (printed("ikrnet-table6"), printed("ikrnet-table7"), printed("ikrnet-table8"), printed("ikrnet-table9")):
        for line in table:
            *three, average = line.values.values()
            assert abs(fmean(three) - average) < 0.011, line
    for line in printed("ikrnet-table9")[::2]:  # with the kernel step they are Tables 1 and 2
        of = list(tables[line.block].values.values())
        classes = [fmean(of[4 * i : 4 * i + 4]) for i in range(3)]
        assert all(abs(a - b) < 0.011 for a, b in zip(classes, line.values.values(), strict=False))
    four = next(line for line in printed("dan-table1") if (line.block, line.method) == ("×4", "DANv2"))
    assert list(printed("dan-table3")[0].values.values()) == [four.values[f"{name} PSNR"] for name in SETS]
    assert printed("dan-table4")[-1].values["Urban100"] == four.values["Urban100 PSNR"]


def test_timings_stay_out_of_the_table_that_repeats() -> None:
    ours = Line("×4", "mine", {"weights": 1.25}, rows=3)
    clock = Line("×4", "mine", {"seconds": 0.5})
    text = markdown(
        "n",
        "title",
        read_printed("block,method,weights,seconds\n×4,theirs,2,"),
        Findings([ours], timings=[clock]),
        form=".2f",
        command="",
    )
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines[0] == "|  | method | weights | seconds | from | y |"
    assert lines[2:] == ["| ×4 | theirs | 2.00 |  | paper |  |", "| ×4 | **mine** | 1.25 | 0.50 | here | 3 |"]
    assert "0.5" not in tidy("n", [ours])
    assert list(csv.DictReader(tidy("n", [ours]).splitlines())) == [
        {"study": "n", "source": "here", "block": "×4", "method": "mine", "rows": "3", "column": "weights", "value": "1.25"}
    ]


def test_figures_refuse_what_they_cannot_draw() -> None:
    with pytest.raises(ValueError, match="no curves"):
        curves({}, "T")
    with pytest.raises(ValueError, match="the same names"):
        strip({"a": torch.zeros(1, 3, 4, 4)}, {})


# --- numbers of the papers that are facts about networks ---


def test_operations_are_those_of_a_direct_count(solver: Candidate) -> None:
    torch.manual_seed(0)
    exact = [dan(2, size=9, width=8, groups=1, blocks=1, code=4, version=version) for version in (1, 2)] + [
        usrnet(T=2, widths=TINY)
    ]
    for net in exact:
        assert multiply_adds(net, (40, 56), 2) == _count(net, (40, 56), 2) > 0
    assert multiply_adds(solver.solver, (40, 56), 2) == pytest.approx(_count(solver.solver, (40, 56), 2), rel=1e-4)


@pytest.mark.parametrize("version", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_dans_networks_are_as_large_as_the_paper_says(version: int) -> None:
    net = dan(4, version=version)
    line = next(line for line in printed("dan-table5") if line.method == f"DANv{version}")
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 2) == line.values["parameters, M"]
    assert multiply_adds(net, (180, 270), 4) / 1e9 == pytest.approx(line.values["multiply-adds, G"], abs=0.02)


def test_widths_are_those_of_gaussian8() -> None:
    assert [(WIDTHS[s][0], WIDTHS[s][-1]) for s in (2, 3, 4)] == [(0.8, 1.6), (1.35, 2.4), (1.8, 3.2)]
    assert set(dan_setting1().scales) == set(WIDTHS)


def test_the_variants_of_the_ablation_differ_in_what_they_say(y: torch.Tensor) -> None:
    built = {}
    for name, changes in VARIANTS.items():
        torch.manual_seed(0)
        built[name[0]] = dan(2, **{**SHARED, **changes}).eval()
    kinds = {name: type(net.restorer.net).__name__ for name, net in built.items()}
    assert kinds == {"A": "CRBRestorer", "B": "DPCRestorer", "C": "DPCRestorer", "D": "DPCRestorer"}
    assert {name: built[name].restorer.net.body[0].skip for name in "BCD"} == {"B": "off", "C": "paper", "D": "paper"}
    assert len(built["A"].restorer.net.body) == 4 and len(built["D"].restorer.net.body) == 5
    with torch.no_grad():
        off = {name: float((built[name](y, T=1).k.sum() - 1).abs()) for name in "BCD"}
    assert off["D"] < 1e-5 and all(1e-4 < off[name] < 0.1 for name in "BC")  # all start from nearly flat kernels


# --- names ---


def test_the_studies_are_those_of_the_fidelity_page() -> None:
    page = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`pnpsr study ([\w]+-[\w-]+)`", page)) == set(STUDIES)
    for name, study in STUDIES.items():
        assert study.name == name and re.sub(r"\W", "", study.source.rpartition(",")[2]).lower() in name


def test_sets_are_known_by_their_folders(tmp_path: Path) -> None:
    names = {"set5": "Set5", "BSD100": "BSD100", "b100": "BSD100", "CBSD-68": "CBSD68", "urban_100": "Urban100", "mine": "mine"}
    for folder, name in names.items():
        assert Bench((images(tmp_path / folder),)).data()[0].name == name
    assert set(SETS) <= set(KNOWN.values())


def test_conventions_that_differ_are_said() -> None:
    from pnpsr.conventions import DAN, IKRNET
    from pnpsr.studies.plan import read

    net = usrnet(T=1, widths=TINY)
    bench = Bench(solvers=(Candidate("ours", net), Candidate("theirs", net, convention=DAN)))
    assert read(bench, dan_setting1()) == ["y are made in convention DAN; ours reads kernels as PNPSR."]
    assert read(bench, replace(PROTOCOL, convention=IKRNET)) == ["y are made in convention IKRNET; theirs reads kernels as DAN."]


def test_the_released_solver_is_studied_where_its_parts_do_not_matter(y: torch.Tensor) -> None:
    torch.manual_seed(0)
    one = Candidate("released", ikrnet_released(9, widths=TINY).eval())
    assert one.needs == ("sigma",) and one.periodic and BLIND.test(one) and not ALTERNATING.test(one)
    found = run(vary(one, PROTOCOL), y, sigma=0.02)
    with torch.no_grad():
        assert torch.equal(found.x, fast(one.solver)(y, 2, sigma=0.02).x.clamp(0, 1)) and found.k is not None


def test_a_preset_reads_kernels_as_it_was_trained_to() -> None:
    assert candidate("dan-x4").convention.name == "DAN" and candidate("ikrnet-x4").convention.name == "PNPSR"
    assert candidate("dan-x4+PNPSR").convention.name == "PNPSR"  # unless the word says otherwise
