"""Weights of earlier versions of the presets, out of the repository's history: each by the digest that a command names.

    python benchmarks/earlier.py ikrnet-x2@9d72ff10f95d --out runs/earlier

writes ``runs/earlier/ikrnet-x2@9d72ff10f95d.safetensors`` and says which commit brought it.
"""

import argparse
import hashlib
import subprocess
from pathlib import Path

from pnpsr.files import replace_file

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Write every version that was asked for."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("versions", nargs="+", metavar="NAME@DIGEST")
    words.add_argument("--out", type=Path, required=True)
    given = words.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for version in given.versions:
        commit, content = found(version)
        replace_file(given.out / f"{version}.safetensors", content)
        print(f"{given.out / version}.safetensors, of commit {commit}")


def found(version: str, root: Path = ROOT) -> tuple[str, bytes]:
    """The commit that brought ``NAME@DIGEST`` (the first digits of its SHA-256), and the file.

    Raises:
        ValueError: the history has no such version.
        RuntimeError: there is no history.
    """
    name, _, digest = version.partition("@")
    path, known = f"pnpsr/weights/{name}.safetensors", list[str]()
    for commit in _git("log", "--format=%H", "--", path, root=root).decode().split():
        content = _git("show", f"{commit}:{path}", root=root)
        known.append(hashlib.sha256(content).hexdigest())
        if digest and known[-1].startswith(digest):
            return commit[:12], content
    raise ValueError(f"{version}: no such version; those of {name} are {', '.join(one[:12] for one in known) or 'none'}")


def _git(*words: str, root: Path) -> bytes:
    try:
        return subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(f"earlier weights are in the repository's history, which is not at {root}: clone it") from error


if __name__ == "__main__":
    main()
