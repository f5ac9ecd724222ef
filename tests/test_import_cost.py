"""``import pnpsr`` costs what ``import torch`` costs."""

import os
import resource
import subprocess
import sys

import pytest

HEAVY = {"deepinv", "matplotlib", "lightning", "scipy", "skimage", "cv2", "torchvision"}


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = "import sys, pnpsr; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "pnpsr" in loaded and "torch" in loaded
    assert not HEAVY & set(loaded)


def test_opening_a_preset_does_not_load_the_compiler() -> None:
    program = "import sys, pnpsr; pnpsr.load('ikrnet-x2'); print('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "False"


def worked(program: str) -> float:
    """Seconds of the processor that a fresh interpreter takes for a program; bytecode is kept, as it is of what pip installs."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True, env=env)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.slow
def test_importing_the_package_takes_hardly_longer_than_importing_torch() -> None:
    """The least of several, in turn, in seconds of the processor, which are the same on a busy machine."""
    worked("import pnpsr")
    turns = [(worked("import torch"), worked("import pnpsr")) for _ in range(5)]
    torch, pnpsr = (min(column) for column in zip(*turns, strict=True))
    print(f"import torch {torch:.2f} s, import pnpsr {pnpsr:.2f} s, ratio {pnpsr / torch:.3f}")
    assert pnpsr < 1.1 * torch
