"""Pages that are made of the code: the API reference of every public name, and the examples as pages.

A public name is one that a room exports (``import name as name`` in its ``__init__``), or that stands without an underscore
in a module that is a room by itself. What several rooms export is described once, in the first, and linked from the others.
"""

import base64
import functools
import importlib
import inspect
import io
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import Any

DOCS = Path(__file__).parent.parent
NOTEBOOKS = DOCS.parent / "notebooks"
PACKAGE = "pnpsr"
HIDDEN = {"__main__", "interrupt", "files", "filled", "checks", "precision", "slots", "version"}  # no room for users
FIRST = (PACKAGE, "physics", "kernels", "prox", "steps", "solver", "state", "starts", "recipes", "nets")  # the order of reading
MINE = {"pnpsr.interop": "pnpsr.interop.deepinv"}  # the package is empty on purpose


def rooms() -> list[str]:
    """Dotted names of the modules that have a page, in the order of reading."""
    package = importlib.import_module(PACKAGE)
    found = [name for _, name, _ in pkgutil.iter_modules(package.__path__) if name not in HIDDEN]
    ordered = [*(name for name in FIRST if name in found), *sorted(set(found) - set(FIRST))]
    return [PACKAGE, *(MINE.get(f"{PACKAGE}.{name}", f"{PACKAGE}.{name}") for name in ordered)]


def public(module: ModuleType) -> list[str]:
    """The names that a room means to be used."""
    source = inspect.getsource(module)
    exported = re.findall(r"^from [\w.]+ import (\w+) as \1$", source, re.MULTILINE)
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (
            getattr(value, "__module__", None) == module.__name__ or (name.isupper() and re.search(rf"^{name}\b.*=", source, re.M))
        )
        and not (name.isupper() and inspect.isclass(value))
    ]
    return list(dict.fromkeys(name for name in [*exported, *own] if not isinstance(getattr(module, name), ModuleType)))


def reference() -> dict[str, list[tuple[str, str]]]:
    """For every room its public names, each with the dotted name under which it is described: its own, or an earlier one."""
    described: dict[int, str] = {}
    found = {}
    for room in rooms():
        module = importlib.import_module(room)
        names = []
        for name in public(module):
            thing = getattr(module, name)
            shared = inspect.isclass(thing) or inspect.isfunction(thing)
            where = described.setdefault(id(thing), f"{room}.{name}") if shared else f"{room}.{name}"
            names.append((name, where))
        found[room] = names
    return found


def _entry(room: str, name: str, where: str) -> str:
    thing = getattr(importlib.import_module(room), name)
    if where != f"{room}.{name}":
        return f"* ``{name}``: :py:obj:`{where}`\n"
    if inspect.isclass(thing):
        return f".. autoclass:: {where}\n   :members:\n   :special-members: __call__\n"
    return (
        f".. autofunction:: {where}\n"
        if inspect.isroutine(thing)
        else f".. py:data:: {name}\n   :module: {room}\n\n   {_value(thing)}\n"
    )


def _value(thing: Any) -> str:
    """A table by its names, a number or a word by itself."""
    if hasattr(thing, "keys"):
        return "A table with the names " + ", ".join(f"``{key}``" for key in thing) + "."
    text = " ".join(repr(thing).split())
    return (
        f"``{text}``"
        if len(text) < 160 and "`" not in text and " at 0x" not in text
        else f"A value of type ``{type(thing).__name__}``."
    )


def api_pages() -> dict[str, str]:
    """The pages of the reference, by file."""
    pages, overview = {}, ["API reference", "=============", "", "Every public name, by room. ", ""]
    overview += [".. toctree::", "   :maxdepth: 1", ""]
    taken = {where for names in reference().values() for _, where in names}
    for room, names in reference().items():
        if not names:
            continue
        overview.append(f"   {room}")
        described = [_entry(room, *one) for one in names if one[1] == f"{room}.{one[0]}"]
        elsewhere = [_entry(room, *one) for one in names if one[1] != f"{room}.{one[0]}"]
        noted = "   :no-index:\n" if room in taken else ""  # pnpsr.restore is a function of the package, and a room
        head = f"{room}\n{'=' * len(room)}\n\n.. automodule:: {room}\n   :no-members:\n{noted}\n"
        linked = "Also here, described elsewhere:\n\n" + "".join(elsewhere) + "\n" if elsewhere else ""
        pages[f"api/{room}.rst"] = head + linked + "\n".join(described)
    pages["api/index.rst"] = "\n".join(overview) + "\n"
    return pages


def example_pages() -> dict[str, str]:
    """The notebooks with what they printed and drew, and a page that shows them all by a picture."""
    import nbformat

    pages, cards = {}, []
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        text = path.read_text(encoding="utf-8")
        pages[f"examples/{path.name}"] = text
        book = nbformat.reads(text, as_version=4)
        title = book.cells[0].source.splitlines()[0].removeprefix("# ")
        cards.append(f":::{{container}} card\n[![{title}]({path.stem}.jpg)]({path.name})\n\n[{title}]({path.name})\n:::")
    head = "# Tutorials and gallery\n\nEach can be read alone. The first eight end with two exercises and their solutions.\n"
    head += "The scripts are in `examples/`, the notebooks in `notebooks/`; the last is a gallery of figures.\n\n"
    pages["examples/index.md"] = head + "::::{container} gallery\n" + "\n".join(cards) + "\n::::\n"
    pages["examples/index.md"] += "\n```{toctree}\n:hidden:\n:glob:\n\n[0-9]*\n```\n"
    return pages


def thumbnails() -> dict[str, bytes]:
    """For every notebook the figure that takes the most bytes, a picture rather than a drawing, made small."""
    import nbformat
    from PIL import Image

    found = {}
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        data = [output.data for cell in cells for output in cell.get("outputs", ()) if "data" in output]
        kinds = ("image/jpeg", "image/png")
        shown = [base64.b64decode(one[kind]) for kind in kinds for one in data if kind in one]
        if not shown:
            raise ValueError(f"{path.name} shows no figure: run python examples/make_notebooks.py")
        picture = Image.open(io.BytesIO(max(shown, key=len))).convert("RGB")
        picture.thumbnail((480, 400))
        picture.save(small := io.BytesIO(), format="JPEG", quality=80)
        found[f"examples/{path.stem}.jpg"] = small.getvalue()
    return found


def write(_app: Any) -> None:
    """Write what changed, and remove pages of what is gone."""
    wanted = {name: text.encode() for name, text in {**api_pages(), **example_pages()}.items()} | thumbnails()
    for folder in ("api", "examples"):
        for path in (DOCS / folder).glob("*"):
            if path.relative_to(DOCS).as_posix() not in wanted:
                path.unlink()
    for name, data in wanted.items():
        path = DOCS / name
        path.parent.mkdir(exist_ok=True)
        if not path.is_file() or path.read_bytes() != data:
            path.write_bytes(data)


def elsewhere(app: Any, _env: Any, node: Any, content: Any) -> Any:
    """A reference to a name of one room that is described in another."""
    target = str(node.get("reftarget", ""))
    for said, where in _aliases().items():
        if target == said or target.startswith(said + "."):
            found = where + target[len(said) :]
            return app.env.get_domain("py").resolve_xref(app.env, node["refdoc"], app.builder, "obj", found, node, content)
    return None


@functools.cache
def _aliases() -> dict[str, str]:
    """Names by which users import what is described under another name."""
    return {f"{room}.{n}": where for room, names in reference().items() for n, where in names if where != f"{room}.{n}"}


LITERAL = re.compile(r"(``.+?``|:[\w:]+:`[^`]+`|`[^`]+`_?)")


def plain(_app: Any, what: str, _name: str, _thing: Any, _options: Any, lines: list[str]) -> None:
    """|x|², A* and x_ in a docstring are mathematics, not markup: they are escaped, but not in literals and code."""
    code, typed = None, False  # the indent of the paragraph that announced code by ``::``
    for i, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if code is not None and line.strip() and indent <= code:
            code = None
        if line.lstrip().startswith(">>>") or (typed and line.strip()):
            typed = True  # what was typed and what came of it, up to the next empty line
            continue
        typed = False
        if code is None:
            parts = LITERAL.split(line)
            parts[::2] = [re.sub(r"(?<!\\)([|*]|(?<=\w)_(?!\w))", r"\\\1", part) for part in parts[::2]]
            lines[i] = "".join(parts)
            if line.rstrip().endswith("::"):
                code = indent
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]  # an empty comment, or napoleon takes what stands before a colon for a type


def inside(_app: Any, page: str, source: list[str]) -> None:
    """Links to scripts and notebooks lead to their pages here; pages and places in them are called by title, not by file."""
    source[0] = re.sub(r"\[([\w-]+\.md)\]\((\1(?:#[\w-]+)?)\)", r"[](\2)", source[0])
    if "/" not in page:
        source[0] = re.sub(r"\]\(\.\./(?:notebooks|examples)/(\d\d_\w+)\.(?:ipynb|py)\)", r"](examples/\1.ipynb)", source[0])


def setup(app: Any) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("builder-inited", write)
    app.connect("source-read", inside)
    app.connect("missing-reference", elsewhere)
    app.connect("autodoc-process-docstring", plain, priority=100)  # before napoleon
    return {"parallel_read_safe": True}
