"""The writer of one trading day's log: appends blocks, syncs them, and says up to which seq all is on disk.

Owns the files of a day's folder while they are written; the format is that of engine/blocks.py and engine/JOURNAL.md.
May import engine.schema, engine.blocks and engine.disk. Knows no matcher and no clock but the 50 ms of its marks.

Invariants
- A block is one pwritev into a segment that was zeroed before; it never spans two segments.
- One thread syncs, and does nothing else; only a block beside which nothing waits may be left to its writer, who gets
  its own work done while the disk has begun, and then calls `sync_here`.
  `durable_seq` rises only after the sync that covers it has come back.
- What is said to be durable was on disk before it was said. Block N's own header says it of N−1 and goes out with the
  same sync. The slots repeat it where no block follows: 50 ms after a sync at the latest, when a segment is sealed, and
  on `close`, which makes the log clean. A slot with every block would be a second page of each sync.
- A failed write or sync is final: `JournalFailed` from then on, nothing later becomes durable, no sync is tried again.
- One venue writes: `Lock` holds DIR/lock by flock, and each start has a higher epoch, on disk before the first block.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from engine.blocks import (
    BLOCK_ALIGN,
    PAGE_BYTES,
    SEGMENT_BYTES,
    SLOT_OFFSETS,
    SegmentHead,
    Slot,
    SlotState,
    Tail,
    block_length,
    pack_block,
)
from engine.disk import Disk, sync_folder
from engine.schema import Limits

__all__ = ["Journal", "JournalFailed", "Lock", "LogBusy", "segment_name", "segment_number"]

MARK_SECONDS: Final = 0.050  # how long the slots may be behind
_CHUNK: Final = bytes(4 << 20)
_SPARE_CHUNK: Final = _CHUNK[: 256 << 10]  # small, so that the log's own syncs are not held up behind it


class JournalFailed(Exception):
    """The log cannot be written any more; the process has to stop, because memory is ahead of the disk."""


class LogBusy(Exception):
    """Another venue is running on this log."""


class Lock:
    """The right to write the log in a folder, held until `release` or the end of the process.

    flock, not a POSIX lock: those are lost as soon as any descriptor of the file is closed.
    """

    def __init__(self, root: Path, *, tries: int = 20) -> None:
        """Take it; LogBusy if another holds it. A verifier that just looks holds it for an instant: hence the tries."""
        self._fd = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for _ in range(tries):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.005)
        os.close(self._fd)
        raise LogBusy(f"another venue is running on {root}")

    def release(self) -> None:
        """Give it up; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @staticmethod
    def is_held(root: Path) -> bool:
        """Whether a venue is running on the log."""
        try:
            fd = os.open(root / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False


def segment_name(number: int) -> str:
    """The file name of a day's segment.

    >>> segment_name(3)
    'segment-000003.log'
    """
    return f"segment-{number:06d}.log"


def segment_number(path: Path) -> int:
    """The number in a segment's file name.

    >>> segment_number(Path("segment-000003.log"))
    3
    """
    return int(path.stem.removeprefix("segment-"))


class _Mark(NamedTuple):
    """A block that was written: its last seq, where it ends in its segment, and its digest."""

    seq: int
    end: int
    digest: bytes


def _ignore(seq: int) -> None:
    return None


class Journal:
    """One day's log, open for appending; made by `create` or `resume`.

    on_durable is called with the new `durable_seq` in the sync thread (with sync off: from within `append`), and once
    more when the log has failed, so that a waiting loop wakes up. It must not raise, and not call the journal. With
    sync off nothing is synced before `close`: what is acknowledged may be lost when the machine stops.
    """

    def __init__(
        self,
        folder: Path,
        fd: int,
        tail: Tail,
        *,
        epoch: int,
        segment_bytes: int,
        sync: bool,
        on_durable: Callable[[int], None] | None,
        disk: Disk,
    ) -> None:
        self.folder = folder
        self.epoch = epoch
        self.durable_seq = tail.last_seq
        self._fd = fd
        self._head = tail.head
        self._generation = tail.generation
        self._written = self._durable = _Mark(tail.last_seq, tail.offset, tail.digest)
        self.marked_seq = tail.last_seq
        self._segment_bytes = segment_bytes
        self._sync = sync
        self.on_durable = on_durable or _ignore
        self._disk = disk
        self._left: _Mark | None = None  # the block that its writer is to sync
        self._failure: BaseException | None = None
        self._closed = False
        self._asleep = False  # whether the sync thread waits without an end
        self._nudge = threading.Event()  # a ticket that only wakes it
        self._marked_at = time.monotonic()  # when a slot was last written
        self._written_at = 0.0  # when a block was last left to its writer
        self._slots = threading.Lock()  # append and the idle mark both write slots
        self._spare: threading.Thread | None = None
        self._tickets: queue.SimpleQueue[_Mark | threading.Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._sync_all, name="journal-sync", daemon=True) if sync else None
        if self._thread is not None:
            self._thread.start()

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        trading_day: int,
        first_seq: int,
        previous: bytes,
        epoch: int,
        limits: Limits,
        segment_bytes: int = SEGMENT_BYTES,
        sync: bool = True,
        on_durable: Callable[[int], None] | None = None,
        disk: Disk | None = None,
    ) -> Journal:
        """Make the folder and segment 0 of a day whose first command will be `first_seq`."""
        folder.mkdir()
        sync_folder(folder.parent)
        disk = disk or Disk()
        head = SegmentHead(segment_bytes, 0, trading_day, epoch, first_seq, limits, previous)
        fd = _make_segment(folder, head, disk)
        tail = Tail(head, PAGE_BYTES, first_seq - 1, previous, 1)
        return cls(
            folder, fd, tail, epoch=epoch, segment_bytes=segment_bytes, sync=sync, on_durable=on_durable, disk=disk
        )

    @classmethod
    def resume(
        cls,
        folder: Path,
        tail: Tail,
        *,
        epoch: int,
        segment_bytes: int = SEGMENT_BYTES,
        sync: bool = True,
        on_durable: Callable[[int], None] | None = None,
        disk: Disk | None = None,
    ) -> Journal:
        """Go on behind `tail`, in a segment whose rest is zero. The new epoch is on disk when this returns."""
        disk = disk or Disk()
        fd = os.open(folder / segment_name(tail.head.number), os.O_RDWR | os.O_CLOEXEC)
        disk.sync_new(fd)  # what recovery read may have been in memory only
        journal = cls(
            folder, fd, tail, epoch=epoch, segment_bytes=segment_bytes, sync=sync, on_durable=on_durable, disk=disk
        )
        try:
            journal._mark_both(SlotState.OPEN)
        except JournalFailed:
            journal.abandon()
            raise
        return journal

    @property
    def last_seq(self) -> int:
        """The last seq that was appended."""
        return self._written.seq

    @property
    def last_digest(self) -> bytes:
        """The sha256 of the last block that was appended."""
        return self._written.digest

    @property
    def failure(self) -> BaseException | None:
        """What stopped the log, if anything did."""
        return self._failure

    def append(self, first_seq: int, rows: Any, payload: bytes, events: Any, *, here: bool = False) -> int:
        """Write the block of contiguous COMMAND `rows`, which start at `first_seq`, and of their EVENT rows.

        Returns its last seq; the block is on disk when `durable_seq` has reached that. JournalFailed if it cannot be
        written. `here`: if nothing else waits for the disk, leave the sync to the caller, who calls `sync_here` next;
        that saves two changes of thread, which cost more than a quick disk's sync.
        """
        assert self._left is None, "who was left a block has synced it"
        if self._failure is not None or self._closed:
            self.check()
        written = self._written
        assert first_seq == written.seq + 1, "blocks follow each other without gap"
        length = block_length(len(rows), len(payload), len(events))
        if written.end + length > self._head.segment_bytes:
            self._roll(length)
            written = self._written
        durable_seq = self._durable.seq
        digest, buffers = pack_block(self.epoch, first_seq, durable_seq, written.digest, rows, payload, events)
        end = written.end + length
        try:
            if durable_seq > self.marked_seq and time.monotonic() - self._marked_at >= MARK_SECONDS:
                with self._slots:
                    if self._durable.seq > self.marked_seq:
                        self._mark(SlotState.OPEN)
            self._write(buffers, written.end, length)
        except OSError as error:
            self._fail(error)
            self.check()
        self._written = mark = _Mark(first_seq + len(rows) - 1, end, digest)
        if self._sync:
            if here and self._durable.seq == written.seq:
                self._written_at = time.monotonic()
                self._left = mark
                self._disk.begin(self._fd, written.end, length)
            else:
                self._tickets.put(mark)
        else:
            self.durable_seq = mark.seq
            self.on_durable(mark.seq)
        if self._spare is None and end > self._head.segment_bytes // 2:
            self._spare = threading.Thread(target=self._prepare, name="journal-spare", daemon=True)
            self._spare.start()
        return mark.seq

    @property
    def is_left(self) -> bool:
        """Whether the block appended last is its writer's to sync."""
        return self._left is not None

    def sync_here(self) -> None:
        """Sync the block that `append` left to its caller, if it did; JournalFailed if that fails."""
        mark, self._left = self._left, None
        if mark is not None:
            self._sync_to(mark)
            self.check()
            if self._asleep:
                self._tickets.put(self._nudge)

    def wait(self) -> int:
        """Block until all that was appended is on disk; its last seq. With sync off this syncs."""
        self.check()
        self.sync_here()
        if self._thread is not None:
            drained = threading.Event()
            self._tickets.put(drained)
            while not drained.wait(1.0):
                if not self._thread.is_alive():
                    self._fail(RuntimeError("the sync thread has ended"))
                    break
        else:
            try:
                self._disk.sync(self._fd)
                self._durable = self._written
            except OSError as error:
                self._fail(error)
        self.check()
        return self._durable.seq

    def close(self) -> None:
        """Sync, mark the log clean and close it. JournalFailed if that fails; after a failure it only lets go."""
        if self._closed:
            return
        try:
            if self._failure is None:
                self.wait()
                self._stop_threads()
                self._mark_both(SlotState.CLEAN)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the files as they are, as a kill would leave them: the log is not marked clean."""
        if self._closed:
            return
        self._closed = True
        self._stop_threads()
        os.close(self._fd)

    def check(self) -> None:
        """JournalFailed if the log has failed, from whatever cause."""
        if self._failure is not None:
            raise JournalFailed(f"the log in {self.folder} failed: {self._failure}") from self._failure
        assert not self._closed, "the journal is open"

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
            with contextlib.suppress(Exception):
                self.on_durable(self.durable_seq)

    def _write(self, buffers: Sequence[Any], offset: int, length: int) -> None:
        written = self._disk.write(self._fd, buffers, offset)
        if written != length:
            raise OSError(f"short write: {written} of {length} bytes at {offset}")

    def _mark(self, state: SlotState) -> None:
        """Write what is durable into the slot whose turn it is."""
        self._generation += 1
        seq, end, digest = self._durable  # read once: the sync thread replaces it
        slot = Slot(self._generation, self.epoch, seq, end, state, digest)
        packed = slot.pack()
        self._write([packed], slot.offset, len(packed))
        self.marked_seq = slot.durable_seq
        self._marked_at = time.monotonic()

    def _mark_both(self, state: SlotState) -> None:
        """Write both slots, each synced before the other is touched: one is whole at any instant."""
        try:
            for _ in SLOT_OFFSETS:
                self._mark(state)
                self._disk.sync(self._fd)
        except OSError as error:
            self._fail(error)
            self.check()

    def _sync_all(self) -> None:
        """The sync thread: one sync for all that was written since the last one."""
        waiting: list[threading.Event] = []
        while True:
            self._asleep = True  # before it looks, so that who syncs elsewhere sees it or is seen
            self._asleep = self._durable.seq <= self.marked_seq
            try:
                ticket = self._tickets.get(timeout=None if self._asleep else MARK_SECONDS)
            except queue.Empty:
                if time.monotonic() - self._written_at >= MARK_SECONDS:
                    self._mark_idle()
                continue
            newest: _Mark | None = None
            stop = False
            while True:
                if ticket is None:
                    stop = True
                elif isinstance(ticket, _Mark):
                    newest = ticket
                else:
                    waiting.append(ticket)
                if self._tickets.empty():
                    break
                ticket = self._tickets.get()
            if newest is not None and self._failure is None:
                self._sync_to(newest)
            for event in waiting:
                event.set()
            waiting.clear()
            if stop:
                return

    def _sync_to(self, newest: _Mark) -> None:
        try:
            self._disk.sync(self._fd)
        except OSError as error:
            self._fail(error)
            return
        self._durable = newest
        self.durable_seq = newest.seq
        try:
            self.on_durable(newest.seq)
        except Exception as error:
            self._fail(error)  # nobody would hear of what is durable any more

    def _mark_idle(self) -> None:
        try:
            with self._slots:
                if self._failure is not None or self._durable.seq <= self.marked_seq:
                    return
                self._mark(SlotState.OPEN)
            self._disk.sync(self._fd)
        except OSError as error:
            self._fail(error)

    def _stop_threads(self) -> None:
        if self._thread is not None:
            self._tickets.put(None)
            self._thread.join()
            self._thread = None
        if self._spare is not None:
            self._spare.join()
            (self.folder / "spare").unlink(missing_ok=True)
            self._spare = None

    def _roll(self, length: int) -> None:
        """Go on in a new segment with room for `length` bytes. It exists on disk before the old one is sealed."""
        self.wait()
        try:
            if self._spare is not None:
                self._spare.join()
                self._spare = None
            size = max(self._segment_bytes, PAGE_BYTES + -(-length // PAGE_BYTES) * PAGE_BYTES)
            head = self._head._replace(
                segment_bytes=size,
                number=self._head.number + 1,
                epoch=self.epoch,
                first_seq=self._written.seq + 1,
                previous=self._written.digest,
            )
            fd = _make_segment(self.folder, head, self._disk)
        except OSError as error:
            self._fail(error)
            self.check()
        with self._slots:
            self._mark_both(SlotState.SEALED)
            os.close(self._fd)
            self._fd, self._head, self._generation = fd, head, 1
            self._written = self._durable = self._written._replace(end=PAGE_BYTES)

    def _prepare(self) -> None:
        """Make the next segment ahead of time; if that fails the roll does it, and tells what is wrong."""
        try:
            os.close(_zeroed(self.folder / "spare", self._segment_bytes, self._disk, _SPARE_CHUNK))
        except OSError:
            (self.folder / "spare").unlink(missing_ok=True)


def _zeroed(path: Path, size: int, disk: Disk, chunk: bytes = _CHUNK) -> int:
    """A new file of `size` zero bytes, on disk; its descriptor. Zeros are written: a hole would cost each sync
    dearly."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        for offset in range(0, size, len(chunk)):
            part = chunk[: size - offset]
            if disk.write(fd, [part], offset) != len(part):
                raise OSError(f"short write while zeroing {path.name}")
            disk.sync(fd)
    except OSError:
        os.close(fd)
        raise
    return fd


def _make_segment(folder: Path, head: SegmentHead, disk: Disk) -> int:
    """Make a segment, from the spare one if that fits, whole and on disk before it gets its name; its descriptor."""
    assert head.segment_bytes >= PAGE_BYTES + BLOCK_ALIGN, "a segment has room for blocks"
    spare = folder / "spare"
    if spare.exists() and spare.stat().st_size == head.segment_bytes:
        fd = os.open(spare, os.O_RDWR | os.O_CLOEXEC)
    else:
        fd = _zeroed(spare, head.segment_bytes, disk)
    try:
        page = bytearray(PAGE_BYTES)
        for offset, part in [(0, head.pack()), *_first_slots(head)]:
            page[offset : offset + len(part)] = part
        if disk.write(fd, [page], 0) != len(page):
            raise OSError("short write of a segment's first page")
        disk.sync_new(fd)
        disk.rename(spare, folder / segment_name(head.number))
    except OSError:
        os.close(fd)
        raise
    return fd


def _first_slots(head: SegmentHead) -> list[tuple[int, bytes]]:
    slots = [Slot(turn, head.epoch, head.first_seq - 1, PAGE_BYTES, SlotState.OPEN, head.previous) for turn in (0, 1)]
    return [(slot.offset, slot.pack()) for slot in slots]
