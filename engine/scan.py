"""The reader of one trading day's log: walks its blocks in order and judges every byte that does not fit.

Owns the difference between rot and a torn tail (engine/JOURNAL.md, "What is below the watermark"). Writes nothing; may
import engine.schema, engine.blocks and, to see whether a venue is running, engine.journal's lock. Knows no matcher:
whether the commands were carried out by the rules is engine/replay.py's question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from engine.blocks import (
    BLOCK_MAGIC,
    PAGE_BYTES,
    Block,
    Broken,
    SegmentHead,
    Slot,
    SlotState,
    Tail,
    read_block,
)
from engine.journal import segment_name

__all__ = ["Damage", "DayScan", "Place", "Rot", "Torn", "day_folders", "day_number", "is_day", "log_root"]

DAY_NAME: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_ZERO_CHUNK: Final = 1 << 20
_PIECE: Final = 128 << 10


@dataclass(frozen=True)
class Damage:
    """A place where the log is not what was written: the file, the offset in it, and the seq due there (0: none
    known)."""

    file: str
    offset: int
    seq: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}, offset {self.offset}, seq {self.seq}: {self.what}"


@dataclass(frozen=True)
class Torn:
    """What a kill left unfinished behind the last whole block; nobody has had an answer to it."""

    file: str
    offset: int
    seq: int
    length: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}, offset {self.offset}, seq {self.seq}: torn tail of {self.length} bytes ({self.what})"


class Place(NamedTuple):
    """Where a day's log has been read to: behind the block from `block` to `end` of segment `segment`, which ends with
    command `seq` and has this epoch and sha256. Before the first block `block` is 0."""

    segment: int
    block: int
    end: int
    seq: int
    epoch: int
    digest: bytes


class Rot(Exception):
    """The log is damaged where nothing may be cut."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(str(damage))
        self.damage = damage


class _Segment(NamedTuple):
    path: Path
    head: SegmentHead
    slots: tuple[Slot, ...]  # those that can be read, by generation
    length: int

    @property
    def newest(self) -> Slot:
        return self.slots[-1]

    def says(self, state: SlotState) -> bool:
        """Whether no readable slot says otherwise."""
        return all(slot.state == state for slot in self.slots)


def log_root(folder: Path) -> Path:
    """The log that a path belongs to: itself, or for the folder of a single day the one above `days`."""
    return folder.parent.parent if is_day(folder) and folder.parent.name == "days" else folder


def is_day(folder: Path) -> bool:
    """Whether a path is the folder of one trading day."""
    return DAY_NAME.fullmatch(folder.name) is not None


def day_number(name: str) -> int:
    """The trading day as the number that events and segment heads hold.

    >>> day_number("2026-11-23")
    20261123
    """
    return int(name.replace("-", ""))


def day_folders(root: Path) -> list[Path]:
    """The folders of the trading days of a log, oldest first; or the one folder itself."""
    if is_day(root):
        return [root]
    return sorted(path for path in (root / "days").glob("*") if is_day(path) and path.is_dir())


@dataclass
class DayScan:
    """One pass over a day's folder. Opening it reads the first pages; `blocks` yields the whole blocks and then fills
    the rest.

    live: a venue is writing; what follows its last whole block is then left alone instead of being judged.
    Raises Rot from the constructor or from `blocks` at the first damage; a torn tail is no damage, see `torn`.
    """

    folder: Path
    live: bool = False
    torn: Torn | None = None
    unreadable: list[Damage] = field(default_factory=list)  # watermark slots that do not match their checksum
    tail: Tail | None = None
    last_epoch: int = 0
    segments: list[_Segment] = field(default_factory=list, repr=False)
    ends: list[tuple[int, int, bytes]] = field(default_factory=list)  # of each segment read: last seq, offset, digest

    def __post_init__(self) -> None:
        self.segments = self._open_segments()
        self.first = self.segments[0].head
        self.last_epoch = max(slot.epoch for segment in self.segments for slot in segment.slots)
        last = self.segments[-1]
        self.clean = last.says(SlotState.CLEAN)
        self.watermark = max(slot.durable_seq for segment in self.segments for slot in segment.slots)
        self._judge_states()

    @property
    def present(self) -> Path:
        """The segment of the block that was yielded last."""
        return self.segments[len(self.ends)].path

    def _open_segments(self) -> list[_Segment]:
        """All first pages. A venue that is running may start another segment meanwhile: look until nothing changes."""
        while True:
            paths = sorted(self.folder.glob("segment-*"))
            if not paths:
                raise Rot(Damage(str(self.folder / segment_name(0)), 0, 0, "the day's first segment is missing"))
            for index, path in enumerate(paths):
                if path.name != segment_name(index):
                    raise Rot(Damage(str(self.folder / segment_name(index)), 0, 0, "the segment is missing"))
            self.unreadable.clear()
            segments = [self._open_segment(index, path) for index, path in enumerate(paths)]
            if not self.live or sorted(self.folder.glob("segment-*")) == paths:
                return segments

    def _open_segment(self, index: int, path: Path) -> _Segment:
        for attempts_left in range(9, -1, -1):
            with path.open("rb") as file:
                page = file.read(PAGE_BYTES)
            slots, broken = [], []
            try:
                head = SegmentHead.read(page)
            except Broken as error:
                raise Rot(Damage(str(path), error.offset, _first_seq(path), error.what)) from None
            for which in (0, 1):
                try:
                    slots.append(Slot.read(page, which))
                except Broken as error:
                    broken.append(Damage(str(path), error.offset, head.first_seq, error.what))
            if not broken or not self.live or not attempts_left:  # a slot that is being written reads as broken
                break
        if len(broken) == 2:
            raise Rot(broken[0])
        if head.number != index or head.trading_day != day_number(self.folder.name.removesuffix(".new")):
            raise Rot(Damage(str(path), 0, head.first_seq, "the segment belongs to another place or day"))
        self.unreadable += broken
        slots.sort()
        return _Segment(path, head, tuple(slots), path.stat().st_size)

    def _judge_states(self) -> None:
        """Each segment but the last is sealed; only a kill while rolling leaves the one before the last open."""
        last = len(self.segments) - 1
        for index, segment in enumerate(self.segments):
            offset = segment.newest.offset
            if index == last:
                if segment.newest.state == SlotState.SEALED and not self.live:
                    path = self.folder / segment_name(index + 1)
                    raise Rot(Damage(str(path), 0, segment.newest.durable_seq + 1, "the segment is missing"))
            elif not segment.says(SlotState.SEALED) and (self.clean or index < last - 1):
                raise Rot(Damage(str(segment.path), offset, segment.newest.durable_seq, "the segment is not sealed"))
            if segment.length != segment.head.segment_bytes and (
                segment.length > segment.head.segment_bytes or segment.newest.state != SlotState.OPEN
            ):
                raise Rot(
                    Damage(
                        str(segment.path), min(segment.length, segment.head.segment_bytes), 0,
                        f"the file has {segment.length} bytes instead of {segment.head.segment_bytes}",
                    )
                )  # fmt: skip

    @property
    def begin(self) -> Place:
        """The place before the day's first block."""
        return Place(0, 0, PAGE_BYTES, self.first.first_seq - 1, 0, self.first.previous)

    def doubt(self, place: Place) -> str:
        """Why `place` is not one of this log; nothing if it is: then what follows can be read from there.

        The block there has to be whole and the one that was meant, by its sha256, which holds for all that came before;
        and the segments before it have to be sealed, each where the next one begins.
        """
        if not 0 <= place.segment < len(self.segments):
            return "the log has no such segment"
        before = [segment.newest for segment in self.segments[: place.segment]]
        heads = [
            (segment.head.first_seq - 1, segment.head.previous) for segment in self.segments[1 : place.segment + 1]
        ]
        if [(slot.durable_seq, slot.digest) for slot in before] != heads or not all(
            segment.says(SlotState.SEALED) for segment in self.segments[: place.segment]
        ):
            return "the segments before it are not sealed"
        if place.block == 0:
            return "" if place == self.begin else "the day does not begin there"
        present = self.segments[place.segment]
        if not PAGE_BYTES <= place.block < place.end <= present.length:
            return "the segment does not reach there"
        with present.path.open("rb") as file:
            file.seek(place.block)
            data = file.read(place.end - place.block)
        try:
            block = read_block(data, 0)
        except Broken as error:
            return f"the log's block there is not whole: {error.what}"
        header = block.header
        if (header.last_seq, header.epoch, header.digest, block.end) != (
            place.seq, place.epoch, place.digest, len(data),
        ):  # fmt: skip
            return "the log's block there is another one"
        return ""

    def blocks(self, *, reuse: bool = False, start: Place | None = None) -> Iterator[Block]:
        """Every whole block in order, each checked by itself and against its neighbours.

        reuse: read all segments into one buffer, so that the system has not to give new memory for each; a block's
        rows are then good only until the next one is asked for. start: a place about which there is no `doubt`: what
        is before it is not read.
        """
        start = start or self.begin
        expected, previous, epoch = start.seq + 1, start.digest, start.epoch
        buffer = bytearray(self.first.segment_bytes if reuse else 0)
        self.ends = [
            (slot.durable_seq, slot.durable_end, slot.digest)
            for slot in (segment.newest for segment in self.segments[: start.segment])
        ]
        for index, segment in enumerate(self.segments[start.segment :], start.segment):
            offset = start.end if index == start.segment else PAGE_BYTES
            source = _Source(segment.path, buffer, offset)
            if index > start.segment and (segment.head.first_seq, segment.head.previous) != (expected, previous):
                raise Rot(Damage(str(segment.path), 0, expected, "the segment does not follow the one before"))
            named = {slot.durable_end for slot in segment.slots}
            boundaries = {offset: (expected - 1, previous)}
            unfinished = self.live and index == len(self.segments) - 1
            read_again = 0  # the offset for whose sake the file was last read again
            while True:
                block, broken = source.block(offset)
                if block is None:
                    if not unfinished or read_again == offset or not _whole_after(source.data, offset, expected):
                        break
                    source = _Source(segment.path, bytearray())  # the venue was writing: by now this is there
                    read_again = offset
                    continue
                header = block.header
                wrong = (
                    f"its first seq is {header.first_seq}" if header.first_seq != expected
                    else "it does not follow the block before (sha256)" if header.previous != previous
                    else f"its epoch {header.epoch} is not the venue's" if not epoch <= header.epoch <= self.last_epoch
                    else "it calls more durable than there was" if header.durable_seq >= expected
                    else ""
                )  # fmt: skip
                if wrong:
                    raise Rot(Damage(str(segment.path), offset, expected, wrong))
                yield block
                expected, previous, epoch, offset = header.last_seq + 1, header.digest, header.epoch, block.end
                if offset in named:
                    boundaries[offset] = (expected - 1, previous)
                if header.durable_seq > self.watermark:
                    self.watermark = header.durable_seq
            data = source.data
            self.ends.append((expected - 1, offset, previous))
            self.tail = Tail(segment.head, offset, expected - 1, previous, segment.newest.generation)
            unfinished = unfinished and self.watermark < expected and not _whole_after(data, offset, expected)
            if not unfinished:
                broken = broken or _rest(data, offset, segment.head.segment_bytes)
            if broken is not None and not unfinished:
                self._judge_broken(segment, data, offset, expected, broken)
            self._judge_slots(segment, boundaries, offset, since=start.end if index == start.segment else 0)
        if self.watermark >= expected:
            raise Rot(Damage(str(segment.path), offset, expected, f"blocks up to seq {self.watermark} are missing"))

    def durable(self, start: Place) -> Iterator[Block]:
        """The blocks behind `start` that the slots, as they were when this scan was opened, call durable: all that can
        be read of a log while a venue is writing it. A block's rows are good until the next one is asked for."""
        seq = self.watermark
        if start.seq < seq:
            for block in self.blocks(reuse=True, start=start):
                yield block
                if block.header.last_seq >= seq:
                    return

    def _judge_slots(self, segment: _Segment, boundaries: dict[int, tuple[int, bytes]], end: int, since: int) -> None:
        for slot in segment.slots:
            finished = slot.state != SlotState.OPEN
            if slot.durable_end < since and not finished:
                continue  # it names a block that was not read this time
            if boundaries.get(slot.durable_end) != (slot.durable_seq, slot.digest) or (
                finished and slot.durable_end != end and not self.live
            ):
                raise Rot(
                    Damage(
                        str(segment.path), slot.offset, slot.durable_seq,
                        f"watermark slot {slot.generation & 1} names no block of this segment",
                    )
                )  # fmt: skip

    def _judge_broken(self, segment: _Segment, data: bytes | bytearray, offset: int, seq: int, broken: Broken) -> None:
        """Rot, or a torn tail? It is rot if the log is clean, or if anything proves that `seq` had been on disk.

        A segment with a successor is always on disk: the successor's first slots say so.
        """
        what = broken.what
        if not (self.clean or self.watermark >= seq):
            if not _whole_after(data, offset, seq):
                used = len(data.rstrip(b"\0"))
                self.torn = Torn(str(segment.path), offset, seq, max(used - offset, 0), what)
                return
            what += "; a whole block that was written after it follows"
        raise Rot(Damage(str(segment.path), broken.offset, seq, what))


def _first_seq(path: Path) -> int:
    """The first seq in a segment whose head cannot be believed; 0 if its first block cannot either."""
    try:
        return read_block(path.read_bytes(), PAGE_BYTES).header.first_seq
    except Broken:
        return 0


class _Source:
    """A segment's bytes, in a buffer if that is as long as the file.

    The buffer is filled from `begin` on, a piece ahead of the block that is looked at, so that what is hashed still is
    in the cache.
    """

    def __init__(self, path: Path, buffer: bytearray, begin: int = 0) -> None:
        self.path = path
        self.data: bytes | bytearray = buffer
        self.filled = begin
        if not buffer or path.stat().st_size != len(buffer):
            self.data = path.read_bytes()
            self.filled = len(self.data)

    def block(self, offset: int) -> tuple[Block | None, Broken | None]:
        """The block at `offset`, or what is wrong with it; neither if none starts there, and all is filled then."""
        if self.filled < offset + _PIECE:
            self._fill(offset + 4 * _PIECE)
        found = _read_if_written(self.data, offset)
        if self.filled < (found[0].end if found[0] is not None else len(self.data)):
            self._fill(len(self.data))
            return _read_if_written(self.data, offset)
        return found

    def _fill(self, end: int) -> None:
        end = min(end, len(self.data))
        view = memoryview(self.data)
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.filled)
            while self.filled < end:
                taken = file.readinto(view[self.filled : end])
                if not taken:
                    raise OSError(f"{self.path} ends at {self.filled} instead of {len(self.data)}")
                self.filled += taken


def _read_if_written(data: bytes | bytearray, offset: int) -> tuple[Block | None, Broken | None]:
    """The block at `offset`, or what is wrong with it; neither if none starts there."""
    try:
        return read_block(data, offset), None
    except Broken as error:
        # A block starts, or should, where any byte of its magic is set.
        return None, error if any(data[offset : offset + len(BLOCK_MAGIC)]) else None


def _rest(data: bytes | bytearray, offset: int, length: int) -> Broken | None:
    """What is wrong with the part of a segment behind its last block, which must be zero to the end."""
    for start in range(offset, len(data), _ZERO_CHUNK):
        part = np.frombuffer(data, np.uint8, min(_ZERO_CHUNK, len(data) - start), start)
        if part.any():
            return Broken("bytes behind the last block are not zero", start + int(np.flatnonzero(part)[0]))
    if len(data) < length:
        return Broken(f"the file has {len(data)} bytes instead of {length}", len(data))
    return None


def _whole_after(data: bytes | bytearray, offset: int, seq: int) -> bool:
    """Whether a whole block behind a broken one proves that the broken one, at `seq`, had been on disk."""
    at = data.find(BLOCK_MAGIC, offset + 1)
    while at >= 0:
        try:
            block = read_block(data, at)
        except Broken:
            at = data.find(BLOCK_MAGIC, at + 1)
            continue
        if block.header.durable_seq >= seq:
            return True
        at = data.find(BLOCK_MAGIC, block.end)
    return False
