"""The only way a venue starts: take the log, replay its last day, cut what a kill left unfinished, and go on.

Owns the folder of a log as a whole: its lock, its days, the roll from one day to the next. May import all of the
engine's shell; the matcher comes in through a factory, so that nothing here needs numba.

A start is safe to interrupt anywhere: a day being opened lies in a folder `….new` that counts for nothing until it is
whole, on disk and renamed; until then the day before is the last one, and the next start opens the new day again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from engine import day
from engine.blocks import NO_DIGEST, SEGMENT_BYTES, SLOT_OFFSETS, Slot, SlotState
from engine.disk import Disk, sync_folder
from engine.journal import Journal, Lock
from engine.runs import Run, runs
from engine.scan import Damage, DayScan, Place, Rot, Torn, day_folders, day_number
from engine.schema import EventKind, Limits
from engine.sequencer import CompletedBlock

__all__ = ["DayNotComplete", "Log", "Matcher", "MatcherFactory", "Recovery"]

Rows = npt.NDArray[np.void]
logger = logging.getLogger(__name__)

_TORN_CHUNK: Final = bytes(1 << 20)


class Matcher(Protocol):
    """Either matcher, as the log sees it."""

    def run_block(self, commands: Rows, payload: bytes = b"", /) -> Rows:
        """Carry out a block; its EVENT rows."""
        ...

    def dump(self) -> dict[str, Any]:
        """The canonical picture of the world."""
        ...

    def book(self, instrument: int, /) -> dict[str, Any]:
        """One instrument's book, by its number."""
        ...


class Restored(Protocol):
    """A matcher that a snapshot brought back, and where in the log it stands."""

    @property
    def matcher(self) -> Matcher: ...
    @property
    def place(self) -> Place: ...
    @property
    def time_ns(self) -> int: ...


MatcherFactory = Callable[[Limits], Matcher]
Restore = Callable[[Path, DayScan, Callable[[str], None]], Restored | None]
BlockWatcher = Callable[[CompletedBlock], None]


class DayNotComplete(Exception):
    """A day cannot be ended while an instrument is open."""


@dataclass
class Recovery:
    """What a start found and did; `lines` tells it to people."""

    trading_day: str
    epoch: int
    first_start: bool = False
    clean: bool = True
    blocks: int = 0
    commands: int = 0
    events: int = 0
    torn: Torn | None = None
    unreadable_slots: list[Damage] = field(default_factory=list)
    unfinished_days: list[str] = field(default_factory=list)
    rolled_from: str | None = None
    snapshot_seq: int = 0  # where the snapshot stood from which the core went on; 0: none was used
    notes: list[str] = field(default_factory=list)  # about snapshots that were not used

    def lines(self) -> list[str]:
        """One line for each thing worth knowing."""
        said = [
            f"trading day {self.trading_day}, epoch {self.epoch}:"
            f" {self.commands} commands in {self.blocks} blocks replayed"
        ]
        if self.snapshot_seq:
            said.append(f"the core went on from a snapshot at seq {self.snapshot_seq}")
        said += self.notes
        if not self.clean:
            said.append("the venue had not been stopped properly")
        if self.torn is not None:
            said.append(f"cut: {self.torn}")
        said += [f"repaired: {damage}" for damage in self.unreadable_slots]
        said += [f"removed: {name}, a day whose opening was not finished" for name in self.unfinished_days]
        if self.rolled_from is not None:
            said.append(f"new trading day after {self.rolled_from}")
        return said


class Log:
    """The log of a venue, open for writing: its matcher, and the journal of its present day. Made by `open`.

    A venue's loop uses it like this (`wake`, called in the sync thread, hands over by loop.call_soon_threadsafe):

        log = Log.open(root, make_matcher, now_ns=clock(), instruments=listed(day), on_block=fold, on_durable=wake)
        lane = Sequencer(log.matcher.run_block, log.journal, last_time_ns=log.time_ns)
        lane.submit(row, payload, origin)             # from the edges, any time
        lane.turn(clock())                            # while something waits
        for block in lane.completed(): publish(block) # when woken; JournalFailed once the log has failed: stop
        for block in log.roll(next_day, clock()): publish(block)   # when all is closed and nothing is in flight, then
        lane.change_day(log.matcher.run_block, log.journal, log.time_ns)
        log.close()
    """

    def __init__(self, root: Path, lock: Lock, settings: Settings) -> None:
        self.root = root
        self._lock = lock
        self.settings = settings
        self.matcher: Matcher
        self.journal: Journal
        self.recovery: Recovery
        self.time_ns = 0
        self._told_seq = 0  # of the replay: up to where on_block has been called

    @classmethod
    def open(
        cls,
        root: Path,
        make_matcher: MatcherFactory,
        *,
        now_ns: int,
        trading_day: str | None = None,
        instruments: Sequence[Mapping[str, Any]] = (),
        accounts: Sequence[Mapping[str, str]] = (),
        limits: Limits | None = None,
        on_block: BlockWatcher | None = None,
        on_durable: Callable[[int], None] | None = None,
        sync: bool = True,
        segment_bytes: int = SEGMENT_BYTES,
        disk: Disk | None = None,
        compare: bool = True,
        restore: Restore | None = None,
    ) -> Log:
        """Start: the first day if there is none, else replay the last one, and open a new day if that one is over.

        A day is over when all its instruments are closed and `trading_day` (default: the date in Asia/Ho_Chi_Minh at
        `now_ns`) is later. `instruments` and `accounts` are define payloads: the first day lists them, a new day adds
        those it does not know. `limits` hold from the next day that is opened; a log goes on under those it was
        written with. on_block gets each block of the last day as it is replayed (`origins` empty), then those of a
        day that this call opens. compare: whether each replayed block's events are compared with the digest the log has
        of them; without it only their number is, the chain being proved all the same: a third of the time less, for
        whoever has a follower that compares. restore: `engine.snapshot.restore`, or whatever else brings back a matcher
        that stands somewhere in the day. What is before is then not carried out; without on_block it is not even read,
        with it the events are the log's own, by their digests. Raises LogBusy, or Rot naming file, offset and seq if
        the log is damaged.
        """
        root.mkdir(parents=True, exist_ok=True)
        (root / "days").mkdir(exist_ok=True)
        sync_folder(root)
        settings = Settings(
            make_matcher, limits or Limits(), on_block, on_durable, sync, segment_bytes, disk or Disk(), compare,
            restore,
        )  # fmt: skip
        log = cls(root, Lock(root), settings)
        try:
            wanted = trading_day or day.trading_day_of(now_ns)
            unfinished = log._remove_unfinished()
            folders = day_folders(root)
            opening: list[CompletedBlock] = []
            if folders:
                log._replay(folders)
                present = log.recovery.trading_day
                if wanted > present and day.is_complete(log.matcher.dump()):
                    opening = log.roll(wanted, now_ns, instruments=instruments, accounts=accounts)
                    log.recovery.rolled_from, log.recovery.trading_day = present, wanted
            else:
                world = day.genesis((), ())
                log.recovery = Recovery(wanted, 1, first_start=True)
                opening = log._open_day(world, wanted, now_ns, 1, NO_DIGEST, instruments, accounts)
            log.recovery.unfinished_days = unfinished
            if on_block is not None:
                for block in opening:
                    on_block(block)
        except BaseException:
            log._lock.release()
            raise
        for line in log.recovery.lines():
            logger.info("%s", line)
        return log

    @property
    def trading_day(self) -> str:
        return self.journal.folder.name

    def roll(
        self,
        trading_day: str,
        now_ns: int,
        *,
        instruments: Sequence[Mapping[str, Any]] = (),
        accounts: Sequence[Mapping[str, str]] = (),
    ) -> list[CompletedBlock]:
        """End the present day and open `trading_day`; `matcher` and `journal` are new ones afterwards.

        Returns the blocks of the restatement, all on disk. Raises DayNotComplete if an instrument is open, ValueError
        if the day is not later than the present one or its restatement is refused (the present day then goes on).
        Nothing may be in flight in a sequencer.
        """
        if trading_day <= self.trading_day:
            raise ValueError(f"{trading_day} does not follow {self.trading_day}")
        world = self.matcher.dump()
        if not day.is_complete(world):
            raise DayNotComplete(f"{self.trading_day} is not over: an instrument is open")
        ending = self.journal
        ending.wait()
        first_seq, previous = ending.last_seq + 1, ending.last_digest
        return self._open_day(world, trading_day, now_ns, first_seq, previous, instruments, accounts, ending)

    def close(self) -> None:
        """Stop: sync, mark the log clean, give up the lock."""
        try:
            self.journal.close()
        finally:
            self._lock.release()

    def abandon(self) -> None:
        """Let go of everything as a kill would: the log is not marked clean."""
        self.journal.abandon()
        self._lock.release()

    def _remove_unfinished(self) -> list[str]:
        unfinished = sorted((self.root / "days").glob("*.new"))
        for folder in unfinished:
            shutil.rmtree(folder)
        return [folder.name for folder in unfinished]

    def _replay(self, folders: Sequence[Path]) -> None:
        """Replay the last day, cut its torn tail, and open it for writing under the next epoch."""
        folder = folders[-1]
        (folder / "spare").unlink(missing_ok=True)
        scan = DayScan(folder)
        if len(folders) > 1:
            self._check_link(folders[-2], scan)
        done = Recovery(folder.name, scan.last_epoch + 1, clean=scan.clean)
        restored = None
        if self.settings.restore is not None:
            restored = self.settings.restore(self.root, scan, done.notes.append)
        try:
            matcher = self._carry_out(scan, done, restored)
        except Rot as rot:
            if restored is None:
                raise
            # The log may be right and the snapshot wrong: only what is carried out from the beginning can tell.
            self.time_ns = 0
            done = Recovery(folder.name, done.epoch, clean=scan.clean, notes=done.notes)
            done.notes.append(f"the snapshot at seq {restored.place.seq} was wrong, or the log is damaged: {rot}")
            scan = DayScan(folder)
            matcher = self._carry_out(scan, done, None)
        tail = scan.tail
        assert tail is not None, "a scanned log has an end"
        done.torn, done.unreadable_slots = scan.torn, scan.unreadable
        _seal(scan, self.settings.disk)
        if scan.torn is not None:
            _cut(Path(scan.torn.file), scan.torn.offset, tail.head.segment_bytes, self.settings.disk)
        settings = self.settings
        self.matcher, self.recovery = matcher, done
        self.journal = Journal.resume(
            folder, tail, epoch=done.epoch, segment_bytes=settings.segment_bytes, sync=settings.sync,
            on_durable=settings.on_durable, disk=settings.disk,
        )  # fmt: skip

    def _carry_out(self, scan: DayScan, done: Recovery, restored: Restored | None) -> Matcher:
        """Carry out a day again, or what follows a snapshot; the matcher. Rot if the log is not what comes of it."""
        settings = self.settings
        start: Place | None = None
        from_seq = 0
        if restored is None:
            matcher = settings.make_matcher(scan.first.limits)
        else:
            matcher, from_seq = restored.matcher, restored.place.seq
            done.snapshot_seq = from_seq
            if settings.on_block is None:
                start, self.time_ns = restored.place, restored.time_ns
        told = settings.on_block is not None
        ahead = runs(scan, keep=told, start=start, split_after=from_seq, with_events=told and from_seq > 0)
        with contextlib.closing(ahead):
            for run in ahead:
                if run.last_seq <= from_seq:
                    events = run.events
                    assert events is not None, "it was asked for"
                    run.compare(events)
                else:
                    events = matcher.run_block(run.commands, run.payload)
                    (run.compare if settings.compare else run.count)(events)
                    done.blocks += len(run.headers)
                    done.commands += len(run.commands)
                    done.events += len(events)
                self._learn(run, events)
        return matcher

    def _learn(self, run: Run, events: Rows) -> None:
        """Take over the time of a run, and tell its blocks to whoever wants them, each once."""
        on_block = self.settings.on_block
        if on_block is None:
            self.time_ns = max(self.time_ns, int(run.commands["time"].max()))
            return
        for header, commands, caused in run.split(events):
            self.time_ns = max(self.time_ns, int(commands["time"].max()))
            if header.first_seq > self._told_seq:
                self._told_seq = header.last_seq
                on_block(
                    CompletedBlock(header.first_seq, header.last_seq, self.time_ns, commands, run.payload, caused, ())
                )

    def _check_link(self, before: Path, scan: DayScan) -> None:
        """The first block of a day carries the digest of the last one of the day before."""
        ended = DayScan(before)
        last = ended.segments[-1]
        if not ended.clean or last.newest.digest != scan.first.previous:
            what = (
                "the day before was not ended properly" if not ended.clean else "the day does not follow the one before"
            )
            raise Rot(Damage(str(scan.segments[0].path), 0, scan.first.first_seq, what))

    def _open_day(
        self,
        world: day.World,
        trading_day: str,
        now_ns: int,
        first_seq: int,
        previous: bytes,
        instruments: Sequence[Mapping[str, Any]],
        accounts: Sequence[Mapping[str, str]],
        ending: Journal | None = None,
    ) -> list[CompletedBlock]:
        """Write a new day's folder under another name, end the day before, then give it its own name."""
        settings = self.settings
        folder = self.root / "days" / trading_day
        unfinished = folder.with_name(f"{trading_day}.new")
        time_ns = max(now_ns, self.time_ns)
        journal: Journal | None = None
        opening: list[CompletedBlock] = []
        try:
            matcher = settings.make_matcher(settings.limits)
            journal = Journal.create(
                unfinished, trading_day=day_number(trading_day), first_seq=first_seq, previous=previous,
                epoch=self.recovery.epoch, limits=settings.limits, segment_bytes=settings.segment_bytes,
                sync=settings.sync, disk=settings.disk,
            )  # fmt: skip
            for seq, rows, payload in day.restatement(
                world, trading_day, first_seq=first_seq, time_ns=time_ns, instruments=instruments, accounts=accounts
            ):
                events = matcher.run_block(rows, payload)
                _refuse_refusals(events, rows, payload)
                last_seq = journal.append(seq, rows, payload, events)
                opening.append(CompletedBlock(seq, last_seq, time_ns, rows, payload, events, (None,) * len(rows)))
            lost = day.difference(world, matcher.dump(), added=True)
            if lost is not None and ending is not None:
                raise ValueError(f"the new day would not be what the old one was: {lost}")
            journal.wait()
            if ending is not None:
                ending.close()
            settings.disk.rename(unfinished, folder)
            journal.folder = folder
            if settings.on_durable is not None:
                journal.on_durable = settings.on_durable  # not before: until it has its name the day does not count
        except BaseException:
            if journal is not None:
                journal.abandon()
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        self.matcher, self.journal, self.time_ns = matcher, journal, time_ns
        return opening


@dataclass(frozen=True)
class Settings:
    """What a log was opened with; it holds for the days to come as well."""

    make_matcher: MatcherFactory
    limits: Limits
    on_block: BlockWatcher | None
    on_durable: Callable[[int], None] | None
    sync: bool
    segment_bytes: int
    disk: Disk
    compare: bool = True
    restore: Restore | None = None

    def with_limits(self, limits: Limits) -> Settings:
        """The same, but for the limits of the days to come."""
        return replace(self, limits=limits)


def _refuse_refusals(events: Rows, rows: Rows, payload: bytes) -> None:
    """A world that was there yesterday is accepted whole, or the day is not opened."""
    refused = events[
        np.isin(events["kind"], (EventKind.ACT_REJECTED, EventKind.ORDER_REJECTED, EventKind.ORDER_STATUS))
    ]
    if len(refused):
        row = rows[rows["seq"] == refused[0]["seq"]][0]
        said = payload[row["target_lo"] : row["target_lo"] + row["target_hi"]] if payload else row["cl_ord_id"]
        raise ValueError(f"restating the world was refused with code {refused[0]['code']}: {said!r}")


def _seal(scan: DayScan, disk: Disk) -> None:
    """Seal every segment that has a successor; a kill may have come in between, or a slot may have been unreadable."""
    for segment, (seq, end, digest) in zip(scan.segments[:-1], scan.ends, strict=False):
        if len(segment.slots) == len(SLOT_OFFSETS) and segment.says(SlotState.SEALED):
            continue
        fd = os.open(segment.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            for generation in (segment.newest.generation + 1, segment.newest.generation + 2):
                slot = Slot(generation, scan.last_epoch, seq, end, SlotState.SEALED, digest)
                disk.write(fd, [slot.pack()], slot.offset)
                disk.sync(fd)
        finally:
            os.close(fd)


def _cut(path: Path, offset: int, end: int, disk: Disk) -> None:
    """Set everything from `offset` to the end of the segment to zero, on disk before anything new is written."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        for start in range(offset, end, len(_TORN_CHUNK)):
            part = _TORN_CHUNK[: end - start]
            if disk.write(fd, [part], start) != len(part):
                raise OSError(f"short write while cutting the torn tail of {path.name}")
        disk.sync_new(fd)
    finally:
        os.close(fd)
