"""``import pnpsr`` costs what ``import torch`` costs."""

import subprocess
import sys

HEAVY = {"deepinv", "matplotlib", "lightning", "scipy", "skimage", "cv2", "torchvision"}


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = "import sys, pnpsr; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "pnpsr" in loaded and "torch" in loaded
    assert not HEAVY & set(loaded)


def test_opening_a_preset_does_not_load_the_compiler() -> None:
    program = "import sys, pnpsr; pnpsr.load('ikrnet-x2'); print('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "False"
