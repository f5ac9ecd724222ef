"""What holds for every public name, read from the source: documented, typed, no swallowed keywords, no banned names."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import pnpsr

ROOT = Path(pnpsr.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
BANNED = {"lr", "hr", "sr", "sf", "loop", "ker_map", "lr_img", "hr_img", "sr_img"}
Function = ast.FunctionDef | ast.AsyncFunctionDef
each = pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])


def public(tree: ast.Module | ast.ClassDef) -> Iterator[tuple[str, ast.ClassDef | Function, bool]]:
    """(dotted name, definition, is a method) of every public class, function and method; ``__init__`` and ``__call__`` count."""
    method = isinstance(tree, ast.ClassDef)
    for node in tree.body:
        if isinstance(node, ast.ClassDef | Function) and (not node.name.startswith("_") or node.name in ("__init__", "__call__")):
            if any(isinstance(d, ast.Name) and d.id == "overload" for d in node.decorator_list):
                continue  # the definition after it has the words
            yield node.name, node, method
            if isinstance(node, ast.ClassDef):
                yield from ((f"{node.name}.{name}", inner, is_method) for name, inner, is_method in public(node))


def untyped(function: Function, method: bool) -> list[str]:
    """Arguments without annotation, and ``return`` where that has none."""
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list)
    a = function.args
    arguments = (
        [*a.posonlyargs, *a.args][1 if method and not static else 0 :] + a.kwonlyargs + [v for v in (a.vararg, a.kwarg) if v]
    )
    return [argument.arg for argument in arguments if argument.annotation is None] + (
        ["return"] if function.returns is None else []
    )


def identifiers(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        for kind, field in (
            (ast.Name, "id"),
            (ast.arg, "arg"),
            (ast.keyword, "arg"),
            (ast.Attribute, "attr"),
            (ast.alias, "asname"),
        ):
            if isinstance(node, kind) and getattr(node, field):
                yield getattr(node, field), getattr(node, "lineno", 0)
        if isinstance(node, ast.ClassDef | Function):
            yield node.name, node.lineno


@each
def test_public_names_are_documented(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the file does not say what it is for"
    bare = [name for name, node, _ in public(tree) if not ast.get_docstring(node) and not name.endswith("__init__")]
    assert not bare, f"no docstring: {bare}"


@each
def test_public_functions_are_typed(path: Path) -> None:
    found = {
        name: untyped(node, method) for name, node, method in public(ast.parse(path.read_text())) if isinstance(node, Function)
    }
    assert not {name: missing for name, missing in found.items() if missing}


@each
def test_unknown_keywords_are_errors(path: Path) -> None:
    """Typos must not vanish. Only typed decorators and the bridge to deepinv, which pass keywords along, take any."""
    if path.relative_to(ROOT).parts[0] == "interop":
        pytest.skip("takes what deepinv's callers pass")
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Function) and node.args.kwarg]
    swallowing = [node.lineno for node in functions if ast.unparse(node.args.kwarg.annotation or node) != "P.kwargs"]
    assert not swallowing, f"**kwargs in lines {swallowing}"


@each
def test_one_name_for_one_thing(path: Path) -> None:
    if path.relative_to(ROOT).parts[0] in ("interop", "released"):
        pytest.skip("speaks to other people's names")
    used = {name: line for name, line in identifiers(ast.parse(path.read_text())) if name in BANNED}
    assert not used, f"say y, x, scale, k, T: {used}"


def test_every_exported_name_exists_and_is_documented() -> None:
    for path in sorted({path.parent for path in FILES if path.name == "__init__.py"} - {ROOT / "interop"}):
        name = ".".join(["pnpsr", *path.relative_to(ROOT).parts])
        tree, package = ast.parse((path / "__init__.py").read_text()), importlib.import_module(name)
        ours = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module.startswith("pnpsr")]
        for exported in [alias.asname or alias.name for node in ours for alias in node.names]:
            assert not callable(getattr(package, exported)) or getattr(package, exported).__doc__, f"{name}.{exported}"


def test_the_contracts_can_be_broken() -> None:
    tree = ast.parse(
        "class A:\n    def f(self, a, *, b: int, **rest):\n        lr = self.hr\n    @staticmethod\n    def g(c) -> int: ..."
    )
    methods = {name: node for name, node, _ in public(tree) if isinstance(node, Function)}
    assert untyped(methods["A.f"], True) == ["a", "rest", "return"]
    assert untyped(methods["A.g"], True) == ["c"]
    assert {name for name, _ in identifiers(tree)} & BANNED == {"lr", "hr"}
