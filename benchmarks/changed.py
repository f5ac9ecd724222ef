"""A preset with other arguments and the weights that it has: for those that say how the weights are used.

    python benchmarks/changed.py ikrnet-x1 --arguments '{"settle": true}' --bits k0 8 restorer 12

What comes out is held beside what went in, tensor by tensor.
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
    name: Annotated[str, tyro.conf.Positional], *, arguments: str, bits: dict[str, int] | None = None, scores: tuple[Path, ...] = ()
) -> None:
    """Write the preset anew, and its entry.

    Args:
        name: of the preset.
        arguments: of its recipe that change, as JSON.
        bits: as in :mod:`publish`.
        scores: of the preset as it is then, as in :mod:`publish`; those that it has are of what it was.

    Raises:
        ValueError: the weights would not be what they are.
    """
    old, index, target = load(name), json.loads((WEIGHTS / "index.json").read_text()), WEIGHTS / f"{name}.safetensors"
    note = expression(old).written()
    new = rebuilt({**note, "arguments": {**note["arguments"], **json.loads(arguments)}})
    new.load_state_dict(old.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / target.name
        save(new, made, half=True, bits=bits or {})
        again, content = load(made).state_dict(), made.read_bytes()
    if moved := [key for key, value in old.state_dict().items() if not torch.equal(value, again[key])]:
        raise ValueError(f"{len(moved)} tensors of {name} are not what they were, such as {moved[0]}: name its --bits")
    replace_file(target, content)
    said = ["python", "benchmarks/changed.py", name, "--arguments", arguments]
    said += ["--bits", *(str(w) for item in bits.items() for w in item)] if bits else []
    index[name] |= {
        "arguments": expression(new).written()["arguments"],
        "commands": [*index[name]["commands"], shlex.join(said)],
        "sha256": hashlib.sha256(content).hexdigest(),
        "scores": means(scores),
    }
    replace_file(WEIGHTS / "index.json", (json.dumps(index, indent=1) + "\n").encode())
    print(f"{target}: {target.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    tyro.cli(main)
