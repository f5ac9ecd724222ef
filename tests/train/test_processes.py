"""Two processes with half the batch each are one process with all of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from synthetic import pictures

from pnpsr import load
from pnpsr.cli import main
from pnpsr.images import write_image
from pnpsr.recipes import entry_of

# all parts at once, one of which no loss reaches; and stages that freeze and free what the former trained
RUNS = {"mixed": ["--deep", "True"], "ikrnet": ["--stages", "kernel code", "kernel start", "image prior", "joint"]}
SCRIPT = """
import json, sys, torch
torch.set_num_threads(1)
from pnpsr.cli import main
for arguments in json.loads(sys.argv[1]):
    if main(arguments):
        sys.exit(2)
"""


def command(recipe: str, images: Path, out: Path, devices: int) -> list[str]:
    given = ["--arguments", json.dumps(dict(entry_of(recipe).tiny)), "--scales", "2", "--data", "ikrnet", *RUNS[recipe]]
    quiet = ["--steps", "8", "--batch", "4", "--patch", "24", "--warmup", "0", "--average", "0.5", "--workers", "0"]
    return [
        *("train", recipe, str(images), *given, *quiet, "--hold-out", "0", "--out", str(out / recipe), "--save-every", "3"),
        *("--accelerator", "cpu", "--devices", str(devices)),
    ]


@pytest.mark.filterwarnings("ignore::UserWarning")  # matters of the other processes are not seen here
def test_two_processes_are_one(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for i, x in enumerate(pictures(3, 3, 32, 32, seed=0)):
        write_image(images / f"{i}.png", x[None])
    (tmp_path / "script.py").write_text(SCRIPT)
    both = [command(recipe, images, tmp_path / "two", 2) for recipe in RUNS]
    (tmp_path / "two").mkdir()
    launch = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    done = subprocess.run(
        [*launch, str(tmp_path / "script.py"), json.dumps(both)],
        capture_output=True,
        text=True,
        timeout=400,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for recipe in RUNS:
        assert main(command(recipe, images, tmp_path / "one", 1)) == 0
        one, two = (load(tmp_path / n / recipe / "last.safetensors").state_dict() for n in ("one", "two"))
        for name, value in one.items():
            # Adam divides by the size of the gradient, so that rounding shows where that is tiny: less than one of its steps
            assert torch.allclose(two[name], value, rtol=1e-3, atol=2e-5), f"{recipe}: {name}"
        first = [(tmp_path / n / recipe / "records.csv").read_text().splitlines()[1].split("total=")[1] for n in ("one", "two")]
        assert float(first[0]) == pytest.approx(float(first[1]), rel=1e-3)
