from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.recovery import Log
from engine.reference import Reference
from engine.runs import Run, runs
from engine.scan import DayScan, Rot
from engine.schema import MAX_BLOCK_ROWS
from tests.logs import MONDAY, Echo, flip, open_log, rows, segments, trade


def scan(root: Path) -> DayScan:
    return DayScan(root / "days" / MONDAY)


@pytest.fixture
def traded(tmp_path: Path) -> Path:
    """A day of several small segments, blocks of 1 to 9 commands, some with a payload."""
    log = open_log(tmp_path)
    for seed, block in enumerate((1, 4, 9), 1):
        trade(log, 150, seed=seed, block=block, close=True)
    log.close()
    assert len(segments(tmp_path)) > 2
    return tmp_path


@pytest.mark.parametrize("most", [1, 7, 64, 4096])
def test_runs_hold_the_blocks_in_order_joined_as_far_as_they_may_be(traded: Path, most: int) -> None:
    blocks = list(scan(traded).blocks())
    made = list(runs(scan(traded), most=most, with_events=True))
    assert [header for run in made for header in run.headers] == [block.header for block in blocks]
    assert [offset for run in made for offset in run.offsets] == [block.offset for block in blocks]
    assert np.concatenate([run.commands for run in made]).tobytes() == b"".join(block.rows for block in blocks)
    assert b"".join(run.events.tobytes() for run in made) == b"".join(block.event_rows for block in blocks)  # type: ignore[union-attr]
    assert b"".join(run.payload for run in made) == b"".join(block.payload for block in blocks)
    for run in made:
        assert run.commands.flags.carray and len(run.commands) == sum(header.commands for header in run.headers)
        assert len(run.headers) == 1 or (len(run.commands) <= most and not run.payload)
    for run, after in itertools.pairwise(made):
        full = len(run.commands) + after.headers[0].commands > most
        assert full or run.payload or after.payload or run.segment != after.segment
    assert {run.segment for run in made} == set(segments(traded))


def test_a_run_ends_at_the_seq_that_is_named(traded: Path) -> None:
    ends = [block.header.last_seq for block in scan(traded).blocks()]
    for seq in ends[::17]:
        assert seq in [run.last_seq for run in runs(scan(traded), split_after=seq)]


def test_a_run_that_may_not_be_kept_gives_its_memory_to_a_later_one(traded: Path) -> None:
    seen, parts = set(), []
    for run in runs(scan(traded), most=4, keep=False):
        seen.add(run.room.ctypes.data)
        parts.append(run.commands.tobytes())
    assert len(seen) < len(parts) and b"".join(parts) == b"".join(block.rows for block in scan(traded).blocks())


def test_a_block_larger_than_a_run_is_one(tmp_path: Path) -> None:
    log = open_log(tmp_path, Echo, segment_bytes=1 << 20)
    seq = log.journal.last_seq + 1
    for count in (3, 200, 3):
        commands = rows(seq, count)
        seq = log.journal.append(seq, commands, b"", log.matcher.run_block(commands)) + 1
    log.close()
    assert MAX_BLOCK_ROWS > 200
    assert [len(run.commands) for run in runs(scan(tmp_path), most=10)][-3:] == [3, 200, 3]


def test_what_comes_before_damage_is_given_before_it_is_told(traded: Path) -> None:
    blocks = [block for block in scan(traded).blocks() if block.end < 60_000]
    flip(segments(traded)[0], blocks[40].offset + 250)
    seen: list[Run] = []
    with pytest.raises(Rot) as told:
        for run in runs(scan(traded)):
            seen.append(run)
    assert [header for run in seen for header in run.headers] == [block.header for block in blocks[:40]]
    assert (told.value.damage.offset, told.value.damage.seq) == (blocks[40].offset, blocks[40].header.first_seq)


def test_the_reading_thread_ends_with_its_reader(traded: Path) -> None:
    before = threading.active_count()
    ahead = runs(scan(traded), most=1)
    next(ahead)
    assert threading.active_count() == before + 1
    ahead.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("change", ["altered", "fewer", "more"])
@pytest.mark.parametrize("at", [0.0, 0.5, 1.0])
def test_the_block_whose_events_differ_is_named(traded: Path, change: str, at: float) -> None:
    """Whatever is wrong with them, and wherever in a run of many blocks."""
    run = max(runs(scan(traded), with_events=True), key=lambda one: len(one.headers))
    assert run.events is not None and len(run.headers) > 20
    run.compare(run.events)
    run.count(run.events)
    place = int(at * (len(run.events) - 1))
    wrong = run.events.copy()
    if change == "altered":
        wrong["qty"][place] += 1
    elif change == "fewer":
        wrong = np.delete(wrong, place)
    else:
        wrong = np.insert(wrong, place, wrong[place])
    seq = int(run.events["seq"][place])
    header, offset = next((h, o) for h, o in zip(run.headers, run.offsets, strict=True) if h.last_seq >= seq)
    for check in (run.compare, run.count):
        if check == run.count and change == "altered":
            check(wrong)
            continue
        with pytest.raises(Rot, match="the rules give other events") as told:
            check(wrong)
        assert (told.value.damage.offset, told.value.damage.seq) == (offset, header.first_seq)


def test_events_of_no_command_are_told_of_the_last_block(traded: Path) -> None:
    run = next(runs(scan(traded), with_events=True))
    assert run.events is not None
    wrong = np.concatenate([run.events, run.events[-1:]])
    wrong["seq"][-1] += 1_000_000
    with pytest.raises(Rot, match="other events"):
        run.compare(wrong)


class Miscounting(Reference):
    """Gives a trade another quantity: the same number of events."""

    def run_block(self, commands: Any, payload: bytes = b"") -> Any:
        events = super().run_block(commands, payload)
        events["qty"] += events["kind"] == 12
        return events


def test_a_start_that_does_not_compare_still_proves_the_chain(traded: Path) -> None:
    log = open_log(traded, compare=False)
    assert isinstance(log, Log) and log.recovery.commands == log.journal.last_seq
    log.close()
    offset = list(scan(traded).blocks())[3].offset
    for at in (200, 260):
        flip(segments(traded)[0], offset + at)
        with pytest.raises(Rot):
            open_log(traded, compare=False)
        flip(segments(traded)[0], offset + at)
    open_log(traded, compare=False).close()
