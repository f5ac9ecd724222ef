"""Files that are whole or not there at all."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from pnpsr import checks


def replace_file(path: str | Path, data: bytes | Callable[[BinaryIO], object]) -> None:
    """Put ``data``, or what it writes, at ``path``, all or nothing: a reader, or a crash, never meets half a file.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: the path is a folder.
        OSError: the disk said no; what was there before is still there.
    """
    path = checks.writable(path)
    temporary = path.with_name(f".{uuid4().hex}.tmp")  # same folder: only within one file system is the replacement atomic
    try:
        with temporary.open("wb") as file:
            if isinstance(data, bytes):
                file.write(data)
            else:
                data(file)
            file.flush()
            os.fsync(file.fileno())  # the rename must not reach the disk before the content
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # not the temporary file's name, or none
    finally:
        temporary.unlink(missing_ok=True)
