"""What the disk alone costs: write the same bytes into a file zeroed before, and sync it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

CHUNK: Final = bytes(1 << 20)


class BareDisk:
    """A preallocated, zeroed file; `write` puts bytes behind those before, from the start again when it is full."""

    def __init__(self, path: Path, size: int = 64 << 20) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        for offset in range(0, size, len(CHUNK)):
            os.pwrite(self._fd, CHUNK, offset)
        os.fsync(self._fd)
        self._size, self._at = size, 0

    def write(self, data: bytes, *, sync: bool) -> int:
        """Write, and sync if asked; ns."""
        if self._at + len(data) > self._size:
            self._at = 0
        start = time.perf_counter_ns()
        os.pwrite(self._fd, data, self._at)
        if sync:
            os.fdatasync(self._fd)
        spent = time.perf_counter_ns() - start
        self._at += len(data)
        return spent

    def close(self) -> None:
        """Let go."""
        os.close(self._fd)
