"""Two pictures that are made of the code: what flows through a solver, and the rooms of the package.

``python docs/_site/drawings.py`` writes docs/flow.svg and docs/rooms.svg; a test holds the files to what the code gives now.
"""

import ast
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
INK, LINE, GIVEN, FOUND, STEP, PALE = "#1d2b36", "#5b7083", "#e8eef3", "#fdeee9", "#e9f4ee", "#f6f8fa"
FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"


def text(x: float, y: float, words: str, *, size: int = 13, anchor: str = "middle", bold: bool = False, colour: str = INK) -> str:
    """One line of words."""
    weight = " font-weight='bold'" if bold else ""
    return f"<text x='{x:g}' y='{y:g}' font-size='{size}' text-anchor='{anchor}' fill='{colour}'{weight}>{escape(words)}</text>"


def box(x: float, y: float, width: float, height: float, fill: str, *lines: str) -> str:
    """A box whose first line is its name."""
    top = y + height / 2 - 8.5 * (len(lines) - 1) + 4.5
    words = [text(x + width / 2, top + 17 * i, line, size=14 if i == 0 else 11, bold=i == 0) for i, line in enumerate(lines)]
    frame = f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='7' fill='{fill}' stroke='{LINE}'/>"
    return "\n".join([frame, *words])


def arrow(*points: tuple[float, float], dashed: bool = False) -> str:
    """A line with a head at its end."""
    path = " ".join(f"{'M' if i == 0 else 'L'} {x:g} {y:g}" for i, (x, y) in enumerate(points))
    dash = " stroke-dasharray='4 4'" if dashed else ""
    return f"<path d='{path}' fill='none' stroke='{LINE}' stroke-width='1.4'{dash} marker-end='url(#head)'/>"


def sheet(width: int, height: int, title: str, *parts: str) -> str:
    """The whole file."""
    place = "viewBox='0 0 10 10' refX='9' refY='5' markerWidth='7' markerHeight='7' orient='auto'"
    head = f"<marker id='head' {place}><path d='M0 0L10 5L0 10z' fill='{LINE}'/></marker>"
    size = f"viewBox='0 0 {width} {height}' width='{width}' height='{height}'"
    opened = f"<svg xmlns='http://www.w3.org/2000/svg' {size} {FONT} role='img'>"
    ground = f"<rect width='{width}' height='{height}' rx='10' fill='white'/>"
    return "\n".join([opened, f"<title>{escape(title)}</title>", f"<defs>{head}</defs>", ground, *parts, "</svg>"]) + "\n"


def flow() -> str:
    """What the caller gives, what the slots read and write, and the loop; slots and fields are those of the code."""
    from pnpsr.solver import UnrolledSolver

    writes = UnrolledSolver.WRITES  # slot -> field
    fills = {
        "estimator": ("k ← P_k(D_k(y, x, k; γ))", "a network, or any function of the state"),
        "tuner": ("(σ, α, β) ← F(y, x, k)", "a schedule, a network, any function"),
        "restorer": ("x ← P(D(y, x, k; α); β)", "a network, or any function of the state"),
    }
    parts = [text(460, 30, "state: y, physics, σ  →  k, (σ, α, β), x", size=16, bold=True)]
    parts += [box(30, 55, 250, 66, GIVEN, "given by the caller", "y (b c h w), physics or scale s", "σ, where it is known")]
    parts += [box(335, 55, 250, 66, GIVEN, "starts", "k0: no blur, Gaussian, network", "x0: y enlarged on the grid of ↓s")]
    parts += [box(640, 55, 250, 66, FOUND, "returned: the last state", "x (b c sh sw), k (b 1 p p)", "σ, α, β as they were used")]
    parts += [arrow((280, 88), (333, 88)), text(460, 152, "T times, in the order of the recipe", size=12, colour=LINE)]
    parts += [f"<rect x='15' y='162' width='890' height='222' rx='10' fill='{PALE}' stroke='{LINE}' stroke-dasharray='4 4'/>"]
    parts += [arrow((460, 121), (460, 138)), arrow((905, 272), (915, 272), (915, 88), (892, 88))]
    for i, (slot, field) in enumerate(writes.items()):
        left = 30 + 305 * i
        parts.append(box(left, 180, 250, 72, STEP, slot, *fills[slot]))
        parts.append(
            box(left + 45, 316, 160, 46, FOUND, field if field != "hyper" else "hyper (σ, α, β)", f"written by {slot} only")
        )
        parts += [
            arrow((left + 150, 252), (left + 150, 314)),
            text(left + 158, 290, "writes one", size=11, anchor="start", colour=LINE),
        ]
        parts += [
            arrow((left + 90, 316), (left + 90, 254), dashed=True),
            text(left + 82, 290, "reads all", size=11, anchor="end", colour=LINE),
        ]
    told = "D, D_k: exact data steps.   P, P_k: priors, any (v, strength) → v.   A step is any function: state → one value."
    parts.append(text(460, 410, told, size=12))
    return sheet(920, 430, "What flows through a solver", *parts)


def layers() -> dict[str, float]:
    """The table of tests/test_layers.py, to which the imports of the code are held."""
    tree = ast.parse((ROOT / "tests" / "test_layers.py").read_text(encoding="utf-8"))
    tables = [n.value for n in tree.body if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "LAYER"]
    return ast.literal_eval(tables[0])


SAYS = {
    "replay": "recorded",
    "equilibrium": "gradients",
    "debiased": "a second look at k",
    "ensemble": "two solves, their mean",
    "export": "one file",
    "cli": "the command",
    "studies": "tables of the papers",
    "train": "training in stages",
    "evaluate": "protocols, scores",
    "photo": "photographs",
    "plot": "figures",
    "fast": "inference",
    "packed": "weights in 8 or 12 bits",
    "checkpoint": "save, load",
    "released": "others' files",
    "interop": "deepinv",
    "bordered": "a border",
    "recipes": "methods as expressions",
    "steps": "what fills slots",
    "solver": "the loop",
    "data": "degraded crops",
    "prox": "priors, steps",
    "nets": "networks",
    "conventions": "others' y and k",
    "kernels": "families, files",
    "starts": "first x and k",
    "images": "files, samples",
    "state": "what flows",
    "physics": "y from x and k",
    "values": "names, descriptions",
}


def rooms() -> str:
    """The rooms of the package, by layer; imports point down."""
    rows: dict[int, list[str]] = {}
    for name, level in layers().items():
        if name in SAYS:
            rows.setdefault(int(level * 2), []).append(name)
    ordered = [rows[level] for level in sorted(rows, reverse=True)]
    parts, height = [], 46
    for names in ordered:
        width = min(172.0, 760 / len(names) - 10)
        left = 430 - (len(names) * (width + 10) - 10) / 2
        parts += [box(left + i * (width + 10), height, width, 44, STEP, name, SAYS[name]) for i, name in enumerate(names)]
        height += 58
    parts += [text(430, 28, "pnpsr: each room imports only from rooms below it", size=15, bold=True)]
    parts += [
        arrow((24, 60), (24, height - 30)),
        text(430, height + 14, "below all: checks, precision, files, needs, weights, version", size=12),
    ]
    return sheet(860, height + 32, "The rooms of the package", *parts)


DRAWINGS = {"flow.svg": flow, "rooms.svg": rooms}

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    for name, draw in DRAWINGS.items():
        (ROOT / "docs" / name).write_text(draw(), encoding="utf-8")
