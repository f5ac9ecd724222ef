"""Formulas as MathML, which every browser sets by itself: nothing is fetched, no script runs."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

ARROW = re.compile("<mo>([↓↑])</mo>")
BARE = re.compile(r"\\[td]?frac\s*[^{\s]")  # LaTeX reads \frac12 as one half, docutils as twelve over what follows


def mathml(formula: str, *, as_block: bool = False) -> str:
    """A formula as MathML.

    Raises:
        ValueError: a fraction without braces.
    """
    if BARE.search(formula):
        raise ValueError(f"a fraction needs braces, \\frac{{1}}{{2}}, in {formula!r}")
    # arrows are operators that stretch and keep off, unless told not to; here they are signs of ours
    return ARROW.sub(r'<mo stretchy="false" lspace="0.1em" rspace="0">\1</mo>', tex2mathml(formula, as_block=as_block))


def pieces(formula: str) -> list[str]:
    """What wide spaces part, outside of braces: these may stand under each other where the page is narrow."""
    parts = re.split(r"\\qquad(?![a-zA-Z])", formula)
    return [formula] if any(part.count("{") != part.count("}") for part in parts) else parts


def inline(translator: Any, node: nodes.math) -> None:
    """``$...$``."""
    translator.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def block(translator: Any, node: nodes.math_block) -> None:
    """``$$...$$``: wider than a phone it breaks at wide spaces, or scrolls by itself."""
    translator.body.append(translator.starttag(node, "div", CLASS="math formula"))
    translator.body += [f"<div>{mathml(piece, as_block=True)}</div>" for piece in pieces(node.astext())]
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Sphinx calls this."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
