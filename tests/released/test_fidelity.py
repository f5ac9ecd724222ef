"""docs/fidelity.md: every object it names exists, every equation and table of the two papers is in it."""

import ast
import re
from pathlib import Path

import pytest
import torch
from synthetic import pictures

from pnpsr import UnrolledSolver, ikrnet

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(pnpsr/[\w/]+\.py)`: `([\w.]+)`", PAGE)))
STUDIES = re.findall(r"`pnpsr study ([\w-]+)`", PAGE)


def objects(path: Path) -> set[str]:
    """Dotted names of what a file defines: functions, classes with their methods, and values."""
    found: set[str] = set()

    def collect(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(prefix + node.name)
                collect(node.body if isinstance(node, ast.ClassDef) else [], f"{prefix}{node.name}.")
            targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
            found.update(prefix + target.id for target in targets if isinstance(target, ast.Name))

    collect(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return found


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[f"{file}:{name}" for file, name in NAMED])
def test_every_object_named_on_the_page_exists(file: str, name: str) -> None:
    assert name in objects(ROOT / file)


def test_every_equation_and_table_is_on_the_page() -> None:
    dan, ikrnet = (PAGE.partition(f"### {name}\n")[2].partition("\n#")[0] for name in ("DAN", "IKR-Net"))
    assert set(re.findall(r"Eq\. (\d+)", dan)) >= {str(i) for i in range(1, 7)}
    assert set(re.findall(r"Eq\. (\d+)", ikrnet)) >= {str(i) for i in range(1, 13)}
    assert set(re.findall(r"Fig\. (\d+)", ikrnet)) >= {str(i) for i in range(1, 7)}
    for paper, tables, first, last in (("DAN", 5, 3, 10), ("IKR-Net", 9, 7, 13)):
        rows = re.findall(rf"^\| {paper} (Table|Fig\.) ([\d, ]+) \|", PAGE, re.MULTILINE)
        numbers = {kind: {int(i) for k, many in rows if k == kind for i in many.split(",")} for kind in ("Table", "Fig.")}
        assert numbers == {"Table": set(range(1, tables + 1)), "Fig.": set(range(first, last + 1))}


def test_every_table_has_one_study() -> None:
    tables = {f"dan-table{i}" for i in range(1, 6)} | {f"ikrnet-table{i}" for i in range(1, 10)}
    assert len(STUDIES) == len(set(STUDIES)) and set(STUDIES) == tables | {"dan-fig8", "dan-fig9", "ikrnet-fig13"}


def test_the_options_that_the_page_offers_do_something() -> None:
    def build(**options: object) -> UnrolledSolver:
        torch.manual_seed(0)
        return ikrnet(5, T=2, widths=(4, 4, 4, 4), **options)  # type: ignore[arg-type]

    y, plain = pictures(1, 3, 8, 8, seed=0, dtype=torch.float32), build()
    for options in ({"constraint": "sum"}, {"gray": True}, {"start": "nearest"}, {"domain": "support"}, {"gamma": 1.0}):
        other = build(**options)
        with torch.no_grad():
            assert not torch.equal(other(y, 2).x, plain(y, 2).x), options
    assert build(per_iteration=True).tuner.mlp.outputs == 4 and plain.tuner.mlp.outputs == 2
    assert build(hidden=8).tuner.mlp.mlp[0].out_channels == 8
    assert build(code=6).k0.net.last.out_features == 6
    assert build(learn_gamma=True).estimator.log_gamma.requires_grad


def test_a_false_page_is_noticed() -> None:
    found = objects(ROOT / "pnpsr" / "solver.py")
    assert len(NAMED) > 40 and "UnrolledSolver.step" in found and "UnrolledSolver.jump" not in found
