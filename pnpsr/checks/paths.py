"""Whether a file can be put somewhere."""

from pathlib import Path


def writable(path: str | Path) -> Path:
    """``path``, if a file can be put there: its folder exists, and it is no folder itself.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: a folder.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} into; make it first")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file in it")
    return path
