"""Snapshots: what comes back is the same venue, and nothing that is wrong with one is ever believed."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import snapshot
from engine.apply import State, new_state, run_block
from engine.blocks import rows_digest
from engine.compiled import Compiled
from engine.core import invariants
from engine.core.lane import CHECKED, PLAIN
from engine.core.layout import NEXT_TRADE
from engine.disk import Disk
from engine.dump import dump
from engine.recovery import Log
from engine.replay import EXIT_GOOD, compiled, verify
from engine.scan import DayScan, Place, Rot, day_folders
from engine.schema import Limits
from engine.sequencer import CompletedBlock
from tests.flow import Flow
from tests.logs import MONDAY, SMALL, TUESDAY, flip, open_log, segments, trade

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

NOWHERE = Place(0, 0, 4096, 0, 0, bytes(32))
DAYS = range(300, 302 if PLAIN else 303 if CHECKED else 312)


def flow_of(seed: int, commands: int) -> tuple[Limits, list[tuple[Any, bytes]]]:
    """A generated day in blocks, as it comes when its own events are seen."""
    flow = Flow(seed)
    state = new_state(flow.mix.limits)
    blocks = [flow.prologue()]
    flow.observe(run_block(state, *blocks[0]))
    while sum(len(rows) for rows, _ in blocks) < commands:
        blocks.append(flow.take(60))
        flow.observe(run_block(state, *blocks[-1]))
    return flow.mix.limits, blocks


def place_of(folder: Path, seq: int = 1 << 62) -> Place:
    """The end of the last block of a day's log that does not go beyond `seq`."""
    scan = DayScan(folder)
    found = scan.begin
    for block in scan.blocks():
        header = block.header
        if header.last_seq <= seq:
            found = Place(len(scan.ends), block.offset, block.end, header.last_seq, header.epoch, header.digest)
    return found


def snapshots(root: Path) -> list[Path]:
    return sorted((root / snapshot.FOLDER).glob("*"))


def state_of(log: Log) -> State:
    assert isinstance(log.matcher, Compiled)
    return log.matcher.state


def snap(root: Path, log: Log) -> Path:
    """Write a snapshot of a log that stands still."""
    log.journal.wait()
    return snapshot.save(root, log.trading_day, state_of(log), place_of(log.journal.folder))


@pytest.mark.parametrize("seed", DAYS)
def test_a_venue_goes_on_from_a_snapshot_as_if_there_had_been_none(tmp_path: Path, seed: int) -> None:
    limits, blocks = flow_of(seed, 400 if PLAIN else 4_000)
    cut = random.Random(seed).randrange(len(blocks))
    first, other = new_state(limits), None
    for number, block in enumerate(blocks):
        events = run_block(first, *block)
        if other is not None:
            assert rows_digest(run_block(other, *block)) == rows_digest(events)
        if number == cut:
            path = snapshot.save(tmp_path, MONDAY, first, NOWHERE._replace(seq=first.seq))
            other = snapshot.load(path, limits)
            assert dump(other) == dump(first)
    assert other is not None and dump(other) == dump(first)
    invariants.check(other)
    one = snapshot.save(tmp_path, MONDAY, first, NOWHERE).read_bytes()
    assert one == snapshot.save(tmp_path, MONDAY, other, NOWHERE).read_bytes(), "what is not in the dump is equal"


def test_whatever_a_state_has_is_in_a_snapshot() -> None:
    passing = {"limits", "arrays", "backlog", "pool", "pool_at"}
    passing |= {"command_type", "event_type", "checked", "room", "words"}  # what the last call was given
    assert set(vars(new_state(SMALL))) == passing | {*snapshot.PLAIN, *snapshot.PAIRED, *snapshot.SETS}


@pytest.fixture
def stood(tmp_path: Path) -> Path:
    """A log with a snapshot in the middle of its second segment, and more behind it."""
    log = open_log(tmp_path, compiled)
    trade(log, 300, block=3)
    snap(tmp_path, log)
    trade(log, 150, seed=2, block=2)
    log.close()
    assert len(segments(tmp_path)) > 2
    return tmp_path


def opened(root: Path, **options: Any) -> Log:
    log = open_log(root, compiled, restore=snapshot.restore, **options)
    log.journal.wait()
    return log


def test_a_start_from_a_snapshot_is_the_start_from_the_log(stood: Path) -> None:
    told: list[list[CompletedBlock]] = [[], []]
    plain = open_log(stood, compiled, on_block=told[0].append)
    expected, commands, ends = plain.matcher.dump(), plain.recovery.commands, plain.journal.last_digest
    plain.close()
    for watcher in (None, told[1].append):
        log = opened(stood, on_block=watcher)
        assert log.recovery.snapshot_seq > 300 and log.recovery.notes == []
        assert log.recovery.commands == commands - log.recovery.snapshot_seq
        assert (log.matcher.dump(), log.journal.last_digest) == (expected, ends)
        assert log.time_ns == expected["time"]
        assert f"snapshot at seq {log.recovery.snapshot_seq}" in "\n".join(log.recovery.lines())
        log.close()
    assert [block.events.tobytes() for block in told[1]] == [block.events.tobytes() for block in told[0]]
    assert [block[:3] for block in told[1]] == [block[:3] for block in told[0]]
    log = opened(stood)
    trade(log, 40, seed=3, close=True)
    log.close()
    assert verify(stood, make_matcher=compiled).exit_code == EXIT_GOOD


def test_a_snapshot_at_the_very_end_leaves_nothing_to_carry_out(stood: Path) -> None:
    log = opened(stood)
    snap(stood, log)
    world = log.matcher.dump()
    log.abandon()
    log = opened(stood)
    assert (log.recovery.commands, log.recovery.snapshot_seq) == (0, world["seq"])
    assert log.matcher.dump() == world
    trade(log, 10, seed=4)
    log.close()
    assert verify(stood, make_matcher=compiled).exit_code == EXIT_GOOD


def test_the_newest_two_are_kept_and_those_of_earlier_days_go(stood: Path) -> None:
    log = opened(stood)
    for seed in (5, 6, 7):
        trade(log, 3, seed=seed)
        snap(stood, log)
    assert len(snapshots(stood)) == 2
    trade(log, 3, seed=8, close=True)
    log.roll(TUESDAY, log.time_ns)
    snap(stood, log)
    assert [path.name[:10] for path in snapshots(stood)] == [TUESDAY]
    log.close()


def test_every_damaged_byte_and_length_is_told_and_the_log_is_carried_out_instead(stood: Path) -> None:
    (path,) = snapshots(stood)
    whole = path.read_bytes()
    log = opened(stood)
    world = log.matcher.dump()
    log.close()
    rng = random.Random(7)
    index = int.from_bytes(whole[12:16], "little")
    places = [*range(0, 56, 5), *(rng.randrange(64, 64 + index) for _ in range(60)), len(whole) - 1]
    for place in places:
        path.write_bytes(whole)
        flip(path, place, 1 << rng.randrange(8))
        with pytest.raises(snapshot.Stale):
            snapshot.load(path, SMALL)
    for length in (0, 1, 63, 64, 65, 64 + index, len(whole) - 1, len(whole) + 1):
        path.write_bytes(whole[:length].ljust(length, b"\0"))
        with pytest.raises(snapshot.Stale):
            snapshot.load(path, SMALL)
    flip(path, 40)
    log = opened(stood)
    assert log.recovery.snapshot_seq == 0 and "is not used" in log.recovery.notes[0]
    assert log.recovery.notes[0] in log.recovery.lines() and log.matcher.dump() == world
    log.close()


def test_a_snapshot_of_another_program_other_limits_or_another_log_is_not_used(
    stood: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = snapshots(stood)
    with pytest.raises(snapshot.Stale, match="limits"):
        snapshot.load(path, SMALL._replace(orders=5_000))
    other = tmp_path_factory.mktemp("other")
    log = open_log(other, compiled)
    trade(log, 310, seed=9, block=3)
    log.close()
    shutil.copytree(stood / snapshot.FOLDER, other / snapshot.FOLDER)
    log = opened(other)
    assert log.recovery.snapshot_seq == 0 and "block there is" in log.recovery.notes[0]
    log.close()
    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "fingerprint", lambda: "another")
        with pytest.raises(snapshot.Stale, match="version"):
            snapshot.load(path, SMALL)


@pytest.mark.parametrize(
    "wrong",
    [{"end": 1 << 60}, {"block": 1 << 62}, {"block": -1}, {"end": 0}, {"segment": -1}, {"segment": 99}, {"block": 0},
     {"segment": 0}, {"seq": 5}, {"epoch": 9}, {"digest": bytes(32)}],
)  # fmt: skip
def test_a_place_that_the_log_has_not_is_no_start(stood: Path, wrong: dict[str, Any]) -> None:
    log = opened(stood)
    world, place = log.matcher.dump(), place_of(log.journal.folder)
    assert DayScan(log.journal.folder).doubt(place) == ""
    snapshot.save(stood, MONDAY, state_of(log), place._replace(**wrong))
    newest = max(snapshots(stood), key=lambda path: path.stat().st_mtime_ns)
    for path in snapshots(stood):
        if path != newest:
            path.unlink()
    log.close()
    log = opened(stood)
    assert log.recovery.snapshot_seq == 0 and len(log.recovery.notes) == 1
    assert log.matcher.dump() == world
    log.close()


def test_an_older_snapshot_is_used_when_the_newest_is_damaged(stood: Path) -> None:
    (older,) = snapshots(stood)
    log = opened(stood)
    newest = snap(stood, log)
    log.close()
    flip(newest, 100)
    log = opened(stood)
    assert older.name.removesuffix(".snapshot").endswith(f"{log.recovery.snapshot_seq:015d}")
    assert len(log.recovery.notes) == 1 and newest.name in log.recovery.notes[0]
    log.close()


def test_a_snapshot_of_blocks_that_a_kill_took_back_is_not_used(stood: Path) -> None:
    shutil.copytree(stood / "days", stood / "before")
    log = opened(stood)
    trade(log, 5, seed=9)
    newest = snap(stood, log)
    log.abandon()
    shutil.rmtree(stood / "days")
    shutil.move(stood / "before", stood / "days")  # the last blocks had never reached the disk
    log = opened(stood)
    assert newest.name in log.recovery.notes[0] and "block there is not whole" in log.recovery.notes[0]
    assert log.recovery.snapshot_seq > 300
    log.close()


def test_a_wrong_snapshot_does_not_put_the_blame_on_the_log(stood: Path) -> None:
    log = opened(stood)
    good = log.matcher.dump()
    state_of(log).arrays.h[NEXT_TRADE] += 1  # as an error in the program might
    log.journal.wait()
    for path in snapshots(stood):
        path.unlink()
    snapshot.save(stood, MONDAY, state_of(log), place_of(log.journal.folder, 60))
    log.close()
    for watched in (False, True):
        told: list[CompletedBlock] = []
        log = opened(stood, on_block=told.append if watched else None)
        assert log.recovery.snapshot_seq == 0 and "was wrong" in log.recovery.notes[0]
        assert log.matcher.dump() == good
        if watched:
            seqs = np.concatenate([block.commands["seq"] for block in told])
            assert seqs.tolist() == list(range(1, good["seq"] + 1)), "every block is told once"
        log.close()


def test_rot_behind_a_snapshot_is_found_and_before_it_by_whoever_reads_it(stood: Path) -> None:
    blocks = list(DayScan(day_folders(stood)[-1]).blocks())
    flip(segments(stood)[0], blocks[5].offset + 200)
    log = opened(stood)  # nobody wants what was before: it is not read
    assert log.recovery.snapshot_seq > 0
    log.close()
    with pytest.raises(Rot):
        opened(stood, on_block=lambda _block: None)
    assert verify(stood, make_matcher=compiled).exit_code != EXIT_GOOD


class FullDisk(Disk):
    def write(self, fd: int, buffers: Any, offset: int) -> int:
        return super().write(fd, buffers[:1], offset)


def test_a_snapshot_that_cannot_be_written_leaves_nothing(stood: Path) -> None:
    before = snapshots(stood)
    log = opened(stood)
    with pytest.raises(OSError, match="short write"):
        snapshot.save(stood, MONDAY, state_of(log), place_of(log.journal.folder), disk=FullDisk())
    assert snapshots(stood) == before
    log.close()
