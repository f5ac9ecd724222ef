"""Pictures as a word of a command line."""

from pnpsr.data import Folder, FromDataset, Pictures


def pictures_at(where: str, channels: int = 3) -> Pictures:
    """The pictures of a folder and those below it, or of a data set class of deepinv's: ``deepinv:CLASS:FOLDER``.

    Raises:
        ValueError: no such class, no pictures.
        FileNotFoundError: no such folder.
    """
    if not where.startswith("deepinv:"):
        return Folder(where, channels)
    from deepinv import datasets

    _, name, root = (*where.split(":", 2), "", "")[:3]
    if not root or not hasattr(datasets, name):
        raise ValueError(f"a data set of deepinv's is named deepinv:CLASS:FOLDER, such as deepinv:Set14HR:data; got {where!r}")
    return FromDataset(getattr(datasets, name)(root=root, download=False), channels)
