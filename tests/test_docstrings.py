"""Every public name shows how it is used, and what its docstring shows happens."""

import doctest
import importlib
import inspect
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "docs" / "_site"))
from generated import reference, rooms

RUNNER = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)


def things(room: str) -> dict[str, object]:
    """The classes and functions that are described under this room; a number or a table shows itself."""
    found = {name: getattr(importlib.import_module(room), name) for name, where in reference()[room] if where == f"{room}.{name}"}
    return {name: thing for name, thing in found.items() if inspect.isclass(thing) or inspect.isroutine(thing)}


@pytest.mark.parametrize("room", [room for room in rooms() if room in reference()])
def test_examples_give_what_they_show(room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, thing in things(room).items():
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        said: list[str] = []
        example = doctest.DocTestParser().get_doctest(inspect.getdoc(thing) or "", {"__name__": "__main__"}, name, None, 0)
        assert example.examples, f"{room}.{name} shows no example"
        with torch.random.fork_rng(devices=[]):
            RUNNER.run(example, out=said.append)
        assert not said, f"{room}.{name}: {''.join(said)}"


def test_a_false_example_is_noticed() -> None:
    false = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "false", None, 0)
    assert RUNNER.run(false, out=lambda _: None).failed == 1
