"""A day's log read ahead of its reader: consecutive blocks joined to runs, each proved before it is given.

Owns the second thread of a recovery: it reads, checks the chain and every checksum (engine/scan.py) and joins blocks,
while the first thread has the run before carried out; sha256, CRC-32, reading and the core all leave Python's lock
alone. Knows no matcher. May import engine.schema, engine.blocks and engine.scan.

To a matcher, and to what comes of it, a run is nothing but a larger block: a command knows of no blocks. A block with a
payload is a run by itself, for its rows refer to places in that.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.blocks import Block, BlockHeader, block_length, rows_digest
from engine.journal import segment_number
from engine.scan import Damage, DayScan, Place, Rot
from engine.schema import COMMAND, EVENT

__all__ = ["RUN_COMMANDS", "Run", "join", "runs"]

Rows = npt.NDArray[np.void]
Room = npt.NDArray[np.uint8]

RUN_COMMANDS: Final = 4096  # their rows and events fit into the cache nearest to the core
_AHEAD: Final = 8  # runs that may wait: enough that neither thread waits for the other's slower moments


@dataclass
class Run:
    """Consecutive blocks of one segment. `commands` is writeable and nobody else's; `offsets` are the blocks' places.

    events: what the log has for them, where that was asked for.
    """

    segment: Path
    room: Room = field(repr=False)  # the memory that `commands` lie in
    commands: Rows = field(default_factory=lambda: np.empty(0, COMMAND))
    payload: bytes = b""
    headers: list[BlockHeader] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    events: Rows | None = None

    @property
    def last_seq(self) -> int:
        return self.headers[-1].last_seq

    @property
    def place(self) -> Place:
        """Where in the log it ends."""
        header, offset = self.headers[-1], self.offsets[-1]
        end = offset + block_length(header.commands, header.payload_bytes, header.events)
        return Place(segment_number(self.segment), offset, end, header.last_seq, header.epoch, header.digest)

    def split(self, events: Rows) -> Iterator[tuple[BlockHeader, Rows, Rows]]:
        """Header, commands and events of each block, given the events of all, as many as the headers say."""
        row = event = 0
        for header in self.headers:
            yield (
                header, self.commands[row : row + header.commands], events[event : event + header.events],
            )  # fmt: skip
            row, event = row + header.commands, event + header.events

    def compare(self, events: Rows) -> None:
        """Rot, naming the first block whose events are not those its header has the sha256 of."""
        rows = memoryview(events.view(np.uint8).data)
        width, at = EVENT.itemsize, 0
        for header in self.headers:
            end = at + header.events * width
            if rows_digest(rows[at:end]) != header.events_sha256:
                break
            at = end
        else:
            if at == len(rows):
                return
        raise Rot(self._difference(events))

    def count(self, events: Rows) -> None:
        """Rot if there are not as many events as the headers say: what can be told without comparing them."""
        if len(events) != sum(header.events for header in self.headers):
            raise Rot(self._difference(events))

    def _difference(self, events: Rows) -> Damage:
        """The first block that is not as its header says, each with the events that bear its seqs."""
        ends = np.searchsorted(events["seq"], [header.last_seq for header in self.headers], side="right").tolist()
        wrong = len(self.headers) - 1  # where events have seqs of no command at all
        start = 0
        for place, (header, end) in enumerate(zip(self.headers, ends, strict=True)):
            if end - start != header.events or rows_digest(events[start:end]) != header.events_sha256:
                wrong = place
                break
            start = end
        what = "the rules give other events than the log has"
        return Damage(str(self.segment), self.offsets[wrong], self.headers[wrong].first_seq, what)


def runs(
    scan: DayScan, *, most: int = RUN_COMMANDS, keep: bool = True, start: Place | None = None, split_after: int = 0,
    with_events: bool = False,
) -> Generator[Run, None, None]:  # fmt: skip
    """All blocks of a day, in order, joined to runs of up to `most` commands (or one larger block).

    keep: whether a run's commands may be kept; if not, they are good until the next run is asked for. start: as
    `DayScan.blocks` has it. split_after: a seq, if a block ends with it, at which a run ends too. with_events: have the
    log's event rows as well. Raises what `DayScan.blocks` does, after the runs before it; `scan` is the other thread's
    until this ends.
    """
    room = threading.Semaphore(_AHEAD)
    made: queue.SimpleQueue[Run | BaseException | None] = queue.SimpleQueue()
    used: queue.SimpleQueue[Room] | None = None if keep else queue.SimpleQueue()  # to be filled again
    stopping = threading.Event()

    def read() -> None:
        try:
            blocks = scan.blocks(reuse=True, start=start)
            for run in join(blocks, lambda: scan.present, most, used, split_after, with_events):
                room.acquire()
                if stopping.is_set():
                    return
                made.put(run)
            made.put(None)
        except BaseException as error:
            made.put(error)

    thread = threading.Thread(target=read, name="recovery-read", daemon=True)
    thread.start()
    try:
        while (run := made.get()) is not None:
            if isinstance(run, BaseException):
                raise run
            room.release()
            yield run
            if used is not None:
                used.put(run.room)
    finally:
        stopping.set()
        room.release()
        thread.join()


def join(
    blocks: Iterable[Block],
    where: Callable[[], Path],
    most: int = RUN_COMMANDS,
    used: queue.SimpleQueue[Room] | None = None,
    split_after: int = 0,
    with_events: bool = False,
) -> Iterator[Run]:
    """Blocks joined to runs; `where` tells the segment of the block that came last. used: where memory comes back to
    that runs had; the rest as `runs` has it."""
    making: _Making | None = None
    try:
        for block in blocks:
            header, segment = block.header, where()
            if making is not None and (
                not making.has_room(header)
                or block.payload
                or making.run.payload
                or making.run.segment != segment
                or header.first_seq == split_after + 1
            ):
                yield making.finish()
                making = None
            if making is None:
                making = _Making(segment, _room(max(most, header.commands), used), with_events)
            making.add(block)
    except Rot:
        if making is not None:
            yield making.finish()  # what comes before the damage is carried out first: its own may be found there
        raise
    if making is not None:
        yield making.finish()


def _room(commands: int, used: queue.SimpleQueue[Room] | None) -> Room:
    """Room for so many commands: memory that was given back, for the system asks a price for new memory."""
    if used is not None:
        with contextlib.suppress(queue.Empty):
            room = used.get_nowait()
            if len(room) >= commands * COMMAND.itemsize:
                return room
    return np.empty(commands * COMMAND.itemsize, np.uint8)


class _Making:
    """A run being joined: the rows of its blocks are copied one behind the other, as bytes, which is quickest."""

    def __init__(self, segment: Path, room: Room, with_events: bool) -> None:
        self.bytes = memoryview(room.data)
        self.filled = 0
        self.events: list[bytes] | None = [] if with_events else None
        self.run = Run(segment, room)

    def has_room(self, header: BlockHeader) -> bool:
        return self.filled + header.commands * COMMAND.itemsize <= len(self.bytes)

    def add(self, block: Block) -> None:
        end = self.filled + len(block.rows)
        self.bytes[self.filled : end] = block.rows
        self.filled = end
        self.run.headers.append(block.header)
        self.run.offsets.append(block.offset)
        self.run.payload = block.payload
        if self.events is not None:
            self.events.append(bytes(block.event_rows))

    def finish(self) -> Run:
        self.run.commands = self.run.room[: self.filled].view(COMMAND)
        if self.events is not None:
            self.run.events = np.frombuffer(bytearray().join(self.events), EVENT)
        return self.run
