"""The log read by those who do not write it: verify, and replay to any point. Needs neither a server nor numba.

Owns the question whether a log is what the rules make of its commands. Writes nothing; may import all of the engine's
shell and engine.reference; the compiled core is imported only by `compiled`, for those who ask for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine import day
from engine.blocks import NO_DIGEST, Block, rows_digest
from engine.journal import Lock
from engine.recovery import Matcher, MatcherFactory
from engine.reference import Reference
from engine.scan import Damage, DayScan, Rot, Torn, day_folders, is_day, log_root
from engine.schema import EVENT, CommandKind, Limits

__all__ = [
    "EXIT_DAMAGED",
    "EXIT_GOOD",
    "DayReport",
    "Difference",
    "Replayed",
    "Report",
    "compiled",
    "replay",
    "verify",
]

EXIT_GOOD: Final = 0
EXIT_DAMAGED: Final = 3

Rows = npt.NDArray[np.void]
Progress = Callable[[str, int], None]
_PROGRESS_COMMANDS: Final = 50_000


def compiled(limits: Limits) -> Matcher:
    """A matcher of the compiled core. Imports numba; ImportError without it."""
    from engine.compiled import Compiled

    return Compiled(limits)


@dataclass
class DayReport:
    """What was found in one day's folder."""

    trading_day: str
    first_seq: int = 0
    last_seq: int = 0
    blocks: int = 0
    commands: int = 0
    events: int = 0
    digest: str = ""  # of the last block: the head of the chain
    clean: bool = False
    torn: Torn | None = None


@dataclass
class Report:
    """The outcome of `verify`. exit_code: 0 good, 3 damaged; `damage` names the first damage."""

    path: str
    days: list[DayReport] = field(default_factory=list)
    damage: Damage | None = None
    live: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return EXIT_GOOD if self.damage is None else EXIT_DAMAGED

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"ok": self.damage is None, "exit_code": self.exit_code, **asdict(self)}

    def lines(self) -> list[str]:
        """What was found, for people."""
        said = []
        for found in self.days:
            state = "stopped properly" if found.clean else "being written" if self.live else "not stopped properly"
            said.append(
                f"{found.trading_day}: seq {found.first_seq} to {found.last_seq}, {found.commands} commands in"
                f" {found.blocks} blocks, {found.events} events, {state}; sha256 {found.digest[:16]}"
            )
            if found.torn is not None:
                said.append(f"  {found.torn}; nothing of it had been acknowledged")
        said += self.notes
        said.append("verified: no damage" if self.damage is None else f"DAMAGED: {self.damage}")
        return said


@dataclass
class _Passing:
    """What one day hands to the next while a log is verified."""

    digest: bytes = NO_DIGEST
    last_seq: int = 0
    epoch: int = 0
    world: dict[str, Any] | None = None


def verify(path: Path, *, make_matcher: MatcherFactory = Reference, progress: Progress | None = None) -> Report:
    """Check a log (or the folder of one of its days) byte by byte, and carry out its commands by the rules.

    Checks the chain within and between days, gap-free seqs, epochs, every checksum, the watermark, that all else is
    zero, that each event is the one the rules give, and that each day starts with the world the day before ended
    with. Safe while a venue writes the log: what comes after the durable part is then left alone. progress(trading
    day, commands so far) is called now and then. FileNotFoundError if there is no log.
    """
    folders = day_folders(path)
    if not folders:
        raise FileNotFoundError(f"no log in {path}")
    report = Report(str(path), live=Lock.is_held(log_root(path)))
    passing = _Passing()
    if is_day(path):
        report.notes.append("one day alone: that it follows the day before it was not checked")
    try:
        for folder in folders:
            whole = not is_day(path)
            _verify_day(folder, folder == folders[-1], whole, passing, report, make_matcher, progress)
    except Rot as rot:
        report.damage = rot.damage
    return report


def _verify_day(
    folder: Path,
    last: bool,
    whole: bool,
    passing: _Passing,
    report: Report,
    make_matcher: MatcherFactory,
    progress: Progress | None,
) -> None:
    scan = DayScan(folder, live=report.live and last)
    start = scan.segments[0].path
    found = DayReport(folder.name, scan.first.first_seq, scan.first.first_seq - 1, clean=scan.clean)
    report.days.append(found)
    if whole and (scan.first.previous, scan.first.first_seq) != (passing.digest, passing.last_seq + 1):
        raise Rot(Damage(str(start), 0, scan.first.first_seq, "the day does not follow the one before it"))
    if not (last or scan.clean):
        raise Rot(
            Damage(str(scan.segments[-1].path), 0, 0, "a day that was followed by another was not ended properly")
        )
    if scan.unreadable:
        raise Rot(scan.unreadable[0])
    matcher = make_matcher(scan.first.limits)
    restating = whole and passing.world is not None
    told = 0
    for block in scan.blocks():
        commands = block.commands()
        if block.header.epoch < passing.epoch:
            raise Rot(Damage(str(scan.present), block.offset, block.header.first_seq, "its epoch is over"))
        passing.epoch = block.header.epoch
        events = matcher.run_block(commands, block.payload)
        _compare(scan.present, block, commands, events)
        found.blocks += 1
        found.commands += len(commands)
        found.events += len(events)
        found.last_seq, found.digest = block.header.last_seq, block.header.digest.hex()
        if restating and commands[-1]["kind"] == CommandKind.DAY_START:
            restating = False
            assert passing.world is not None
            lost = day.difference(passing.world, matcher.dump(), added=True)
            if lost is not None:
                what = f"the day does not start with the world the day before ended with: {lost}"
                raise Rot(Damage(str(scan.present), block.offset, block.header.last_seq, what))
        if progress is not None and found.commands >= told + _PROGRESS_COMMANDS:
            told = found.commands
            progress(folder.name, told)
    found.torn = scan.torn
    assert scan.tail is not None, "a scanned log has an end"
    passing.digest, passing.last_seq = scan.tail.digest, scan.tail.last_seq
    passing.world = None if last else matcher.dump()


def _compare(segment: Path, block: Block, commands: Rows, events: Rows) -> None:
    """R1 and replay equality of one block: its seqs have no gap, and its events are those of the rules."""
    header = block.header
    gaps = np.flatnonzero(commands["seq"] != np.arange(header.first_seq, header.last_seq + 1))
    if len(gaps):
        seq = header.first_seq + int(gaps[0])
        raise Rot(Damage(str(segment), block.offset, seq, f"the command there is numbered {commands['seq'][gaps[0]]}"))
    if rows_digest(events) == header.events_sha256:
        return
    logged = block.events()
    shared = min(len(logged), len(events))
    differ = (index for index in range(shared) if logged[index].tobytes() != events[index].tobytes())
    index = next(differ, shared)
    seq = int((logged if index < len(logged) else events)[index]["seq"])
    offset = block.events_offset + 16 + index * EVENT.itemsize
    raise Rot(Damage(str(segment), offset, seq, "the event there is not the one the rules give"))


@dataclass(frozen=True)
class Difference:
    """The first event in which two matchers differ: its place, and the row each gives (None: none at all)."""

    seq: int
    index: int
    left: tuple[Any, ...] | None
    right: tuple[Any, ...] | None


@dataclass
class Replayed:
    """A world brought back: the matcher, and the seq it stands at."""

    trading_day: str
    seq: int
    commands: int
    matcher: Matcher
    difference: Difference | None = None

    def book(self, symbol: str) -> dict[str, Any]:
        """The book of an instrument as it was after `seq`; KeyError if there is no such symbol."""
        for number, terms in enumerate(self.matcher.dump()["instruments"], 1):
            if terms["symbol"] == symbol:
                return self.matcher.book(number)
        raise KeyError(symbol)


def replay(
    path: Path,
    *,
    until: int | None = None,
    make_matcher: MatcherFactory = Reference,
    compare: MatcherFactory | None = None,
    on_block: Callable[[Rows, Rows], None] | None = None,
    progress: Progress | None = None,
) -> Replayed:
    """Carry out the log's commands up to and including seq `until` (default: the end of the last day).

    A day restates the world, so only the day that holds `until` is read. compare: a second matcher that does the
    same; the first event in which they differ ends the replay and is in the result. on_block gets each block's
    commands and events. Rot if the log is damaged before that point; ValueError if it does not reach that seq.
    """
    folders = day_folders(path)
    if not folders:
        raise FileNotFoundError(f"no log in {path}")
    live = Lock.is_held(log_root(path))
    scan = DayScan(folders[-1], live=live)
    while until is not None and until < scan.first.first_seq and len(folders) > 1:
        folders.pop()
        scan = DayScan(folders[-1])
    if until is not None and until < scan.first.first_seq:
        raise ValueError(f"the log starts at seq {scan.first.first_seq}")
    first, second = make_matcher(scan.first.limits), compare(scan.first.limits) if compare is not None else None
    done = Replayed(folders[-1].name, scan.first.first_seq - 1, 0, first)
    told = 0
    for block in scan.blocks():
        commands = block.commands()
        if until is not None:
            commands = commands[: until - block.header.first_seq + 1]
        events = first.run_block(commands, block.payload)
        if second is not None:
            done.difference = _first_difference(events, second.run_block(commands, block.payload))
        done.commands += len(commands)
        done.seq = block.header.first_seq + len(commands) - 1
        if on_block is not None:
            on_block(commands, events)
        if done.difference is not None or done.seq == until:
            break
        if progress is not None and done.commands >= told + _PROGRESS_COMMANDS:
            told = done.commands
            progress(done.trading_day, told)
    if until is not None and done.seq < until and done.difference is None:
        raise ValueError(f"the log ends at seq {done.seq}")
    return done


def _first_difference(left: Rows, right: Rows) -> Difference | None:
    if left.tobytes() == right.tobytes():
        return None
    for index in range(max(len(left), len(right))):
        one = left[index] if index < len(left) else None
        other = right[index] if index < len(right) else None
        if one is None or other is None or one.tobytes() != other.tobytes():
            named = one if one is not None else other
            assert named is not None, "one of them has a row here"
            return Difference(
                int(named["seq"]), int(named["index"]), one.item() if one is not None else None,
                other.item() if other is not None else None,
            )  # fmt: skip
    raise AssertionError("unequal rows differ somewhere")
