"""Disks that fail, stop, lie or lose power, to be put in the place of the log's own.

`EarlyDisk` is the control for every kill test: a venue that runs on it acknowledges before anything is written, so
that a test which does not find lost orders then is worth nothing. It lives here, and only a test can hand it to a
venue.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.disk import Disk

SECTOR = 512


class FailingDisk(Disk):
    """Fails with `code` at its n-th call (from 1) and at every later one; a write fails half done.

    A sync that succeeds does nothing: no machine stops here, so what was written stays, and the tests are quick.
    It counts calls of the kinds named (write, sync, sync_new, rename), to be found by a first run that never fails.
    """

    def __init__(self, at: int, code: int = errno.EIO, kinds: frozenset[str] | None = None) -> None:
        self.at = at
        self.code = code
        self.kinds = kinds or frozenset({"write", "sync", "sync_new", "rename"})
        self.calls = 0

    @property
    def failed(self) -> bool:
        return self.calls >= self.at

    def _count(self, kind: str) -> bool:
        self.calls += kind in self.kinds
        return kind in self.kinds and self.failed

    def _raise(self) -> None:
        raise OSError(self.code, os.strerror(self.code))

    def write(self, fd: int, buffers: Sequence[Any], offset: int) -> int:
        if self._count("write"):
            if self.calls == self.at:
                whole = b"".join(bytes(buffer) for buffer in buffers)
                os.pwrite(fd, whole[: len(whole) // 2], offset)
            self._raise()
        return super().write(fd, buffers, offset)

    def sync(self, fd: int) -> None:
        if self._count("sync"):
            self._raise()

    def sync_new(self, fd: int) -> None:
        if self._count("sync_new"):
            self._raise()

    def rename(self, old: Path, new: Path) -> None:
        if self._count("rename"):
            self._raise()
        os.rename(old, new)


class PowerDisk(FailingDisk):
    """Loses power at its n-th call: of what was written and not synced any 512-byte sectors are as they were before."""

    def __init__(self, at: int, rng: random.Random) -> None:
        super().__init__(at)
        self.rng = rng
        self.unsynced: dict[str, list[tuple[int, bytes]]] = {}

    def write(self, fd: int, buffers: Sequence[Any], offset: int) -> int:
        length = sum(memoryview(buffer).nbytes for buffer in buffers)
        before = self.unsynced.setdefault(os.readlink(f"/proc/self/fd/{fd}"), [])
        for start in range(offset // SECTOR * SECTOR, offset + length, SECTOR):
            before.append((start, os.pread(fd, SECTOR, start)))
        return super().write(fd, buffers, offset)

    def sync(self, fd: int) -> None:
        waiting = self.unsynced.get(os.readlink(f"/proc/self/fd/{fd}"), [])
        count = len(waiting)  # what is written during the sync is not covered by it
        super().sync(fd)
        del waiting[:count]

    def sync_new(self, fd: int) -> None:
        super().sync_new(fd)
        self.unsynced.pop(os.readlink(f"/proc/self/fd/{fd}"), None)

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        for name in list(self.unsynced):
            if name.startswith(str(old)):
                self.unsynced[str(new) + name.removeprefix(str(old))] = self.unsynced.pop(name)

    def cut_power(self) -> None:
        """Bring the files to what a disk may hold after the cut."""
        keep = self.rng.random()
        for name, sectors in self.unsynced.items():
            if not os.path.exists(name):
                continue
            fd = os.open(name, os.O_RDWR)
            for start, before in reversed(sectors):
                if self.rng.random() > keep:
                    os.pwrite(fd, before.ljust(SECTOR, b"\0"), start)
            os.close(fd)


class EarlyDisk(Disk):
    """Says that a block is written and synced while it still holds the last `behind` of them back."""

    def __init__(self, behind: int = 4) -> None:
        self.behind = behind
        self.held: list[tuple[int, bytes, int]] = []

    def write(self, fd: int, buffers: Sequence[Any], offset: int) -> int:
        if len(buffers) == 1:  # a slot or a first page
            return super().write(fd, buffers, offset)
        whole = b"".join(bytes(buffer) for buffer in buffers)
        self.held.append((os.dup(fd), whole, offset))
        while len(self.held) > self.behind:
            held_fd, data, at = self.held.pop(0)
            os.pwrite(held_fd, data, at)
            os.close(held_fd)
        return len(whole)

    def sync(self, fd: int) -> None:
        return None
