"""What the performance page says of two runs is what their files hold."""

import csv
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def ratios(path: Path) -> dict[tuple[str, str, str], float]:
    """By how much each call takes longer than the first of its case."""
    with path.open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["part"]]
    own: dict[tuple[str, str], float] = {}
    found = {}
    for row in rows:
        case = row["group"], row["case"]
        first = own.setdefault(case, float(row["milliseconds"]))
        found[*case, row["call"]] = float(row["milliseconds"]) / first
    return {key: ratio for key, ratio in found.items() if ratio != 1}


def test_the_page_says_how_far_the_runs_agree() -> None:
    first, second = (ratios(path) for path in sorted((DOCS / "performance").glob("*.csv"))[:2])
    gaps = [abs(first[key] / second[key] - 1) for key in first.keys() & second.keys()]
    said = f"Of {len(gaps)} ratios that both runs have, {sum(gap <= 0.15 for gap in gaps)} agree within 15 %"
    assert len(gaps) > 50 and said in (DOCS / "performance.md").read_text(encoding="utf-8")


def test_what_the_page_is_for_is_on_it() -> None:
    page = (DOCS / "performance.md").read_text(encoding="utf-8")
    for heading in ("Image step", "Kernel step", "One iteration", "Whole solve", "Start-up", "Where the time goes", "Two runs"):
        assert f"\n## {heading}\n" in page
