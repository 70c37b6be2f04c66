"""The system calls that the log depends on, in one place, so that a test can put a failing or a lying disk there.

Owns no file and no state; imports nothing of the house.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

__all__ = ["Disk", "sync_folder"]

_SYNC_FILE_RANGE_WRITE: Final = 2
_sync_file_range: Final = getattr(ctypes.CDLL(None), "sync_file_range", None)  # Linux has it
if _sync_file_range is not None:
    _sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]


class Disk:
    """What a disk is asked for."""

    def write(self, fd: int, buffers: Sequence[Any], offset: int) -> int:
        """Write the buffers one after the other at `offset`, with one call; the number of bytes written."""
        return os.pwritev(fd, buffers, offset)

    def begin(self, fd: int, offset: int, length: int) -> None:
        """Have the disk begin with what was written there, where the system can be asked for that.

        A sync has to follow all the same; if other work comes in between, it finds half of its own done. Errors are the
        sync's to report.
        """
        if _sync_file_range is not None:
            _sync_file_range(fd, offset, length, _SYNC_FILE_RANGE_WRITE)

    def sync(self, fd: int) -> None:
        """Return when all that was written to the file is on disk."""
        os.fdatasync(fd)

    def sync_new(self, fd: int) -> None:
        """The same for a file whose length or existence is new."""
        os.fsync(fd)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file or folder its name, on disk."""
        os.rename(old, new)
        sync_folder(new.parent)


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on disk, as is due after making or renaming a file in it."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
