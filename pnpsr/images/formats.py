"""Which file formats hold what."""

from pathlib import Path

from pnpsr import checks

PEAK = {8: 255.0, 16: 65535.0, 32: 1.0}  # largest value of a file with so many bits per sample; 32 are floats
FORMATS = {  # suffix: (bits without alpha, bits with alpha)
    ".png": ((8, 16), (8, 16)),
    ".tif": ((8, 16, 32), (8, 16, 32)),
    ".tiff": ((8, 16, 32), (8, 16, 32)),
    ".jpg": ((8,), ()),
    ".jpeg": ((8,), ()),
    ".webp": ((8,), (8,)),
    ".bmp": ((8,), ()),
}
READS = (*FORMATS, ".gif")  # what is looked for in folders; what a file is, its first bytes say
PIXELS = 178_956_970  # of the largest picture that is opened: Pillow's limit, 512 MiB of 8-bit colour


def check_destination(path: str | Path, *, bits: int = 8, alpha: bool = False) -> Path:
    """The path, if :func:`write_image` can write there: ask before minutes of computing.

    Raises:
        ValueError: unknown suffix, a format without such bits or without alpha, a folder in place of the file.
        FileNotFoundError: no such folder.

    Example:
        >>> from pnpsr.images import check_destination
        >>> check_destination("new.png").name
        'new.png'
    """
    path = Path(path)
    checks.choice(bits, tuple(PEAK), "bits")
    checks.choice(path.suffix.lower(), tuple(FORMATS), f"the suffix of {path}")
    if bits not in FORMATS[path.suffix.lower()][alpha]:
        fit = [suffix for suffix, options in FORMATS.items() if bits in options[alpha]]
        raise ValueError(
            f"{path}: {path.suffix} does not hold {bits} bits{' with alpha' if alpha else ''}; "
            f"use {' or '.join(fit) if fit else 'other bits or no alpha'}"
        )
    return checks.writable(path)
