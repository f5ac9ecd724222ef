"""A preset with other arguments and the weights that it has: for those that say how the weights are used.

    python benchmarks/changed.py ikrnet-x1 --arguments '{"settle": true}' --bits k0 8 restorer 12

    python benchmarks/changed.py ikrnet-x2 --arguments '{"sharp": 2}' --step runs/step/sharp.pt --bits k0 8 k0.net 12 restorer 12

What comes out is held beside what went in, tensor by tensor; ``--step`` brings in a kernel step of ``kernel_step.py``.
"""

import hashlib
import json
import shlex
import tempfile
from pathlib import Path
from typing import Annotated

import torch
import tyro
from publish import WEIGHTS, means

from pnpsr import load, save
from pnpsr.files import replace_file
from pnpsr.values import expression, rebuilt


def main(
    name: Annotated[str, tyro.conf.Positional],
    *,
    arguments: str,
    step: Path | None = None,
    trained: str = "",
    bits: dict[str, int] | None = None,
    scores: tuple[Path, ...] = (),
) -> None:
    """Write the preset anew, and its entry.

    Args:
        name: of the preset.
        arguments: of its recipe that change, as JSON.
        step: weights of the kernel step that they ask for.
        trained: the command that made them.
        bits: as in :mod:`publish`.
        scores: of the preset as it is then, as in :mod:`publish`; those that it has are of what it was.

    Raises:
        ValueError: the weights would not be what they are.
    """
    old, index, target = load(name), json.loads((WEIGHTS / "index.json").read_text()), WEIGHTS / f"{name}.safetensors"
    note = expression(old).written()
    new = rebuilt({**note, "arguments": {**note["arguments"], **json.loads(arguments)}})
    kept = old.state_dict()
    if step is not None and any(key.startswith("k0.net.head.") for key in kept):  # in place of the one that is there
        kept = {key: value for key, value in kept.items() if not key.startswith("k0.net.")}
    elif step is not None:
        kept = {key.replace("k0.", "k0.start.", 1) if key.startswith("k0.") else key: value for key, value in kept.items()}
    new.load_state_dict(kept | ({} if step is None else fitting(step)))
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / target.name
        save(new, made, half=True, bits=bits or {})
        again, content = load(made).state_dict(), made.read_bytes()
    if moved := [key for key, value in kept.items() if not torch.equal(value, again[key])]:
        raise ValueError(f"{len(moved)} tensors of {name} are not what they were, such as {moved[0]}: name its --bits")
    replace_file(target, content)
    said = ["python", "benchmarks/changed.py", name, "--arguments", arguments]
    said += ["--step", f"runs/step/{step.name}"] if step is not None else []
    said += ["--bits", *(str(w) for item in bits.items() for w in item)] if bits else []
    index[name] |= {
        "arguments": expression(new).written()["arguments"],
        "commands": [*index[name]["commands"], *([trained] if trained else []), shlex.join(said)],
        "sha256": hashlib.sha256(content).hexdigest(),
        "scores": means(scores),
    }
    replace_file(WEIGHTS / "index.json", (json.dumps(index, indent=1) + "\n").encode())
    print(f"{target}: {target.stat().st_size / 2**20:.2f} MiB")


def fitting(step: Path) -> dict[str, torch.Tensor]:
    """The moving average of a kernel step's weights, by their names in a solver."""
    average = torch.load(step)["average"]
    return {key.replace("module.", "k0.net.", 1): value for key, value in average.items() if key.startswith("module.")}


if __name__ == "__main__":
    tyro.cli(main)
