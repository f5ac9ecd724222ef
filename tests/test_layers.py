"""Imports point down only: the layers of the library, as a table that the code is held to."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pnpsr

ROOT = Path(pnpsr.__file__).parent
LAYER = {
    "interrupt": 0,
    "checks": 0,
    "precision": 0.5,
    "needs": 0.5,
    "slots": 0.5,
    "files": 0.5,
    "filled": 0.5,
    "version": 0.5,
    "values": 0.6,  # descriptions and names of anything
    "physics": 1,
    "state": 1.5,
    "starts": 2,
    "kernels": 2,
    "images": 2,
    "conventions": 3,
    "prox": 3,
    "nets": 3,
    "steps": 4,
    "solver": 4,
    "data": 4,
    "recipes": 5,
    "packed": 5.9,  # how a checkpoint keeps integers
    "checkpoint": 6,
    "released": 6.2,  # opens checkpoints of both kinds
    "train": 6.7,
    "evaluate": 6.5,  # compares what the rooms below it restore
    "studies": 6.8,  # the papers' tables: evaluate and train, with their numbers
    "interop": 6,
    "plot": 6,
    "fast": 6,
    "export": 6,
    "replay": 6,
    "equilibrium": 5,
    "debiased": 5,
    "ensemble": 5.1,  # of whole solves, as debiased has them
    "bordered": 6,
    "photo": 6.4,
    "weights": 0.5,
    "cli": 7,
    "__main__": 8,
    "__init__": 9,
}
ONLY = {
    "solver": {"checks", "needs", "physics", "slots", "state", "starts"},
    "nets": {"checks", "needs"},
}  # so it could alternate anything; so they are portable
HEAVY = {"deepinv", "matplotlib", "skimage", "cv2", "scipy", "lightning", "tensorboard", "PIL", "tifffile"}
FILES = sorted(ROOT.rglob("*.py"))
each = pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])


def room(path: Path) -> str:
    """The top-level module or package that a file belongs to."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of everything imported anywhere under a node."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import: write the full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms(tree: ast.AST) -> set[str]:
    return {name.split(".")[1] for name in imports(tree) if name.startswith("pnpsr.")}


def module_level(tree: ast.Module) -> ast.Module:
    """The tree without the bodies of functions: what runs on import."""

    class Strip(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if ast.unparse(node.test).endswith("TYPE_CHECKING") else self.generic_visit(node)

    return Strip().visit(tree)


@each
def test_every_room_has_a_layer(path: Path) -> None:
    assert room(path) in LAYER, f"{room(path)} is new: give it a layer, as low as its imports allow"


@each
def test_imports_point_down(path: Path) -> None:
    me = room(path)
    for other in rooms(ast.parse(path.read_text())) - {me}:
        assert other in LAYER, f"{me} imports {other}, which is no room of the library"
        assert LAYER[other] < LAYER[me], f"{me} imports {other}, which is not below it"
        assert other in ONLY.get(me, LAYER), f"{me} may import only {ONLY.get(me)}"


@each
def test_heavy_packages_are_imported_where_they_are_used(path: Path) -> None:
    """Inside functions; the bridge to deepinv needs its classes and is itself imported by nothing on import."""
    top = set(imports(module_level(ast.parse(path.read_text()))))
    bridge = room(path) == "interop" and path.name != "__init__.py"
    heavy = {name.partition(".")[0] for name in top} & (HEAVY - {"deepinv"} if bridge else HEAVY)
    assert not heavy, f"{path.name} imports {heavy} on import"
    assert bridge or not {name for name in top if name.startswith("pnpsr.interop")}


@each
def test_input_is_refused_with_exceptions_and_never_with_assert(path: Path) -> None:
    lines = [node.lineno for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)]
    assert not lines, f"assert in lines {lines}: raise ValueError or TypeError, they survive python -O"


def test_the_walls_can_be_hit() -> None:
    assert rooms(ast.parse("from pnpsr import images\nimport pnpsr.prox.kernel\ndef f():\n    from pnpsr.nets.crb import CRB")) == {
        "images",
        "prox",
        "nets",
    }
    lazy = ast.parse(
        "import torch\ndef f():\n    import scipy\nclass A:\n    import cv2.dnn\n    def g(self):\n        import skimage"
    )
    assert set(imports(module_level(lazy))) == {"torch", "cv2.dnn"}
