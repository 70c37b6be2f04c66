"""The one order of all things: gives waiting commands their seq and time, has them carried out, and writes them down.

Owns seq, time and the order in which blocks leave. May import engine.schema and engine.journal; the matcher is handed
in, so that nothing here needs numba. Synchronous and without a clock: the venue's loop calls `turn` with the time and
fetches what has become durable with `completed`.

Invariants
- seq rises by one with each command; time never runs backwards (R1).
- A block leaves `completed` only when it is on disk, whole, and after all blocks before it.
- While a block syncs the next ones are carried out and written, up to `max_in_flight`; then commands wait and gather.
- The queue is bounded: `submit` refuses what would exceed it.
"""

from __future__ import annotations

import logging
import struct
from collections import deque
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from engine.journal import Journal
from engine.schema import COMMAND, MAX_BLOCK_ROWS, MAX_PAYLOAD_BYTES

__all__ = ["CompletedBlock", "QueueFull", "RunBlock", "Sequencer"]

Rows = npt.NDArray[np.void]

STEP_BACK_NS: Final = 1_000_000_000
_ROW_BYTES: Final = COMMAND.itemsize
_field = COMMAND.fields
assert _field is not None
_SEQ_OFFSET: Final = _field["seq"][1]
_TARGET_OFFSET: Final = _field["target_lo"][1]
assert _field["time"][1] == _SEQ_OFFSET + 8 and _field["target_hi"][1] == _TARGET_OFFSET + 8
_PAIR: Final = struct.Struct("<qq")

logger = logging.getLogger(__name__)


class QueueFull(Exception):
    """So many commands wait already that this one is refused; it was not taken."""


class RunBlock(Protocol):
    """What carries a block out: COMMAND rows and their payload section in, a fresh array of EVENT rows out."""

    def __call__(self, commands: Rows, payload: bytes = b"", /) -> Rows: ...


class CompletedBlock(NamedTuple):
    """A block that is on disk. `origins[i]` is what was given with the command in `commands[i]`."""

    first_seq: int
    last_seq: int
    time_ns: int
    commands: Rows
    payload: bytes
    events: Rows
    origins: tuple[Any, ...]


class Sequencer:
    """Takes COMMAND rows, makes blocks of them. One thread only calls it."""

    def __init__(
        self,
        run_block: RunBlock,
        journal: Journal,
        *,
        last_time_ns: int = 0,
        max_waiting: int = 65_536,
        max_in_flight: int = 8,
    ) -> None:
        """Go on behind the journal's last seq and `last_time_ns`, the time of the command with it."""
        self._run_block = run_block
        self._journal = journal
        self._next_seq = journal.last_seq + 1
        self._time_ns = last_time_ns
        self._max_waiting = max_waiting
        self._max_in_flight = max_in_flight
        self._waiting: deque[tuple[bytes, bytes, tuple[Any, ...]]] = deque()  # rows, payload, an origin for each row
        self._count = 0  # rows that wait
        self._in_flight: deque[CompletedBlock] = deque()
        self._stepped_back = False

    @property
    def waiting(self) -> int:
        """How many commands have no seq yet."""
        return self._count

    @property
    def in_flight(self) -> int:
        """How many blocks have been carried out and are not fetched yet."""
        return len(self._in_flight)

    @property
    def next_seq(self) -> int:
        return self._next_seq

    @property
    def time_ns(self) -> int:
        """The time of the last command."""
        return self._time_ns

    def submit(self, row: bytes, payload: bytes = b"", origin: Any = None) -> None:
        """Queue one command: a COMMAND row as 128 bytes, its account and client_session stamped; an act with its
        payload.

        seq, time and the place of the payload are filled in here. QueueFull if too many wait.
        """
        if self._count >= self._max_waiting:
            raise QueueFull(f"{self._max_waiting} commands are waiting")
        assert len(row) == _ROW_BYTES, "a command is one row"
        assert len(payload) <= MAX_PAYLOAD_BYTES, "an act's payload fits into a block"
        self._waiting.append((row, payload, (origin,)))
        self._count += 1

    def submit_rows(self, rows: Rows, origins: tuple[Any, ...]) -> None:
        """Queue many commands without payload at once: COMMAND rows, shape (n,), and an origin for each.

        They are copied. QueueFull if not all of them have room: then none was taken.
        """
        count = len(rows)
        if self._count + count > self._max_waiting:
            raise QueueFull(f"{self._count} commands are waiting, and {count} more would be too many")
        assert rows.dtype == COMMAND and count == len(origins)
        for first in range(0, count, MAX_BLOCK_ROWS):
            part = slice(first, first + MAX_BLOCK_ROWS)
            self._waiting.append((rows[part].tobytes(), b"", origins[part]))
        self._count += count

    def turn(self, now_ns: int, *, here: bool = False) -> int:
        """Make one block of what waits: stamp, carry out, write. Returns its number of commands.

        0 if nothing waits, or if so many blocks are being synced that waiting is better. JournalFailed is final.
        `here`: sync in this thread if nothing else waits for the disk (Journal.append).
        """
        waiting = self._waiting
        if not waiting or len(self._in_flight) >= self._max_in_flight:
            return 0
        time_ns = self._stamp_time(now_ns)
        first_seq = self._next_seq
        if self._count == 1:
            row, payload, origins = waiting.popleft()
            self._count = 0
            raw = bytearray(row)
            _PAIR.pack_into(raw, _SEQ_OFFSET, first_seq, time_ns)
            if payload:
                _PAIR.pack_into(raw, _TARGET_OFFSET, 0, len(payload))
            commands: Rows = np.frombuffer(raw, COMMAND)
        else:
            commands, payload, origins = self._gather(first_seq, time_ns)
        events = self._run_block(commands, payload)
        last_seq = self._journal.append(first_seq, commands, payload, events, here=here)
        self._journal.sync_here()
        self._next_seq = last_seq + 1
        self._in_flight.append(CompletedBlock(first_seq, last_seq, time_ns, commands, payload, events, origins))
        return len(origins)

    def alone(self, row: bytes, origin: Any, now_ns: int, *, here: bool = False) -> CompletedBlock | None:
        """The same for one command beside which nothing waits or is in flight, without the queues.

        None if the sync thread has the block: then `completed` gives it. Else the block, which may be told when
        `Journal.sync_here` has come back; what needs no disk can be done before, for the disk has begun.
        """
        assert not self._waiting and not self._in_flight, "who is alone does not overtake"
        time_ns = self._stamp_time(now_ns)
        first_seq = self._next_seq
        raw = bytearray(row)
        _PAIR.pack_into(raw, _SEQ_OFFSET, first_seq, time_ns)
        commands: Rows = np.frombuffer(raw, COMMAND)
        events = self._run_block(commands, b"")
        journal = self._journal
        journal.append(first_seq, commands, b"", events, here=here)
        self._next_seq = first_seq + 1
        block = CompletedBlock(first_seq, first_seq, time_ns, commands, b"", events, (origin,))
        if journal.is_left or journal.durable_seq == first_seq:
            return block
        self._in_flight.append(block)
        return None

    def completed(self) -> list[CompletedBlock]:
        """The blocks that have become durable since the last call, in order. JournalFailed once the log has failed."""
        in_flight = self._in_flight
        durable_seq = self._journal.durable_seq
        done = []
        while in_flight and in_flight[0].last_seq <= durable_seq:
            done.append(in_flight.popleft())
        if not done:
            self._journal.check()
        return done

    def drain(self) -> list[CompletedBlock]:
        """Wait until all blocks in flight are on disk; these. Commands that wait stay where they are."""
        if self._in_flight:
            self._journal.wait()
        return self.completed()

    def change_day(self, run_block: RunBlock, journal: Journal, time_ns: int) -> None:
        """Go on in a new day's log, whose restatement has taken the seqs in between. Nothing may be in flight."""
        assert not self._in_flight, "a day ends when its last block is on disk"
        self._run_block, self._journal = run_block, journal
        self._next_seq = journal.last_seq + 1
        self._time_ns = max(self._time_ns, time_ns)

    def _stamp_time(self, now_ns: int) -> int:
        """R1: the greater of now and the time of the command before; a clock that was set back is told once."""
        behind = self._time_ns - now_ns
        if behind <= 0:
            self._time_ns = now_ns
            self._stepped_back = False
        elif behind > STEP_BACK_NS and not self._stepped_back:
            self._stepped_back = True
            logger.warning(
                "the clock is %.3f s behind the last command; time stands still until it has caught up", behind / 1e9
            )
        return self._time_ns

    def _gather(self, first_seq: int, time_ns: int) -> tuple[Rows, bytes, tuple[Any, ...]]:
        """As many of the waiting commands as one block may hold."""
        waiting = self._waiting
        rows: list[bytes] = []
        payloads: list[bytes] = []
        origins: list[Any] = []
        places: list[tuple[int, int, int]] = []
        length = count = 0
        while waiting:
            row, payload, given = waiting[0]
            if count + len(given) > MAX_BLOCK_ROWS:
                break
            if payload:
                if length + len(payload) > MAX_PAYLOAD_BYTES:
                    break
                places.append((count, length, len(payload)))
                payloads.append(payload)
                length += len(payload)
            waiting.popleft()
            rows.append(row)
            origins += given
            count += len(given)
        self._count -= count
        raw = bytearray().join(rows)
        for place, start, size in places:
            _PAIR.pack_into(raw, place * _ROW_BYTES + _TARGET_OFFSET, start, size)
        commands: Rows = np.frombuffer(raw, COMMAND)
        commands["seq"] = np.arange(first_seq, first_seq + count)
        commands["time"] = time_ns
        return commands, b"".join(payloads), tuple(origins)
