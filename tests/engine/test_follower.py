"""The follower: it finds what the log has, keeps what it found, and says where a log is not what the rules give."""

from __future__ import annotations

import errno
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import snapshot
from engine.disk import Disk
from engine.dump import dump
from engine.follower import Follower
from engine.recovery import Log
from engine.replay import EXIT_DAMAGED, EXIT_GOOD, compiled
from engine.scan import DayScan, Rot
from tests.logs import MONDAY, OPENING_NS, TUESDAY, flip, open_log, segments, trade

pytestmark = [pytest.mark.jit_off]


def marked(log: Log) -> int:
    """Have all that was appended called durable by a slot, as 50 ms of rest would; its last seq."""
    log.journal.wait()
    if log.journal.marked_seq < log.journal.last_seq:
        log.journal._mark_idle()
    return log.journal.last_seq


def follow(follower: Follower) -> int:
    """Follow until nothing more comes; the commands carried out."""
    done = 0
    while took := follower.step():
        done += took
    return done


def worlds_agree(follower: Follower, log: Log) -> bool:
    assert follower.matcher is not None
    return follower.matcher.dump() == log.matcher.dump()


class Lying:
    """A matcher that gives one event otherwise: what a fault of the machine would write down."""

    def __init__(self, matcher: Any, seq: int) -> None:
        self.matcher, self.seq = matcher, seq
        self.dump = matcher.dump

    def run_block(self, commands: Any, payload: bytes = b"") -> Any:
        events = self.matcher.run_block(commands, payload)
        wrong = np.flatnonzero(events["seq"] == self.seq)
        if len(wrong):
            events = events.copy()
            events["qty"][wrong[0]] += 1
        return events


def test_it_follows_a_venue_through_segments_stops_and_days(tmp_path: Path) -> None:
    follower = Follower(tmp_path, every=0)
    assert (follower.step(), follower.seq) == (0, 0), "there is no log yet"
    (tmp_path / "days").mkdir()
    log = open_log(tmp_path, compiled)
    for seed in range(1, 4):
        trade(log, 100, seed=seed, block=seed)
        last = marked(log)
        follow(follower)
        assert follower.seq == last and worlds_agree(follower, log)
    assert len(segments(tmp_path)) > 2
    log.abandon()  # killed: nothing is said to be clean
    log = open_log(tmp_path, compiled)
    trade(log, 20, seed=4, close=True)
    marked(log)
    assert follow(follower) and worlds_agree(follower, log)
    log.roll(TUESDAY, OPENING_NS)
    trade(log, 20, seed=5)
    last = marked(log)
    follow(follower)  # finds Monday ended
    follow(follower)
    assert follower.folder is not None and follower.folder.name == TUESDAY
    assert follower.seq == last and worlds_agree(follower, log)
    log.close()
    assert follow(follower) == 0


def test_it_carries_out_no_more_than_the_slots_call_durable(tmp_path: Path) -> None:
    log = open_log(tmp_path, compiled)
    marked(log)
    follower = Follower(tmp_path, every=0)
    follow(follower)
    for seed in range(5):
        trade(log, 5, seed=seed)
        log.journal.wait()
        said = DayScan(log.journal.folder, live=True).watermark
        follow(follower)
        assert said <= follower.seq <= DayScan(log.journal.folder, live=True).watermark
    last = marked(log)
    follow(follower)
    assert follower.seq == last
    log.close()


def test_it_makes_a_snapshot_every_so_many_commands_and_goes_on_from_the_newest(tmp_path: Path) -> None:
    log = open_log(tmp_path, compiled)
    trade(log, 200, block=4)
    last = marked(log)
    follower = Follower(tmp_path, every=50)
    assert 50 <= follower.step() < 60, "up to the first that is due"
    follow(follower)
    kept = sorted((tmp_path / snapshot.FOLDER).iterdir())
    assert len(kept) == snapshot.KEPT and last - int(kept[-1].stem[-15:]) < 60
    other = Follower(tmp_path, every=50)
    assert follow(other) == last - int(kept[-1].stem[-15:])
    assert worlds_agree(other, log)
    trade(log, 100, seed=2)
    last = marked(log)
    follow(other)
    newest = max((tmp_path / snapshot.FOLDER).iterdir())
    log.close()
    log = open_log(tmp_path, compiled, restore=snapshot.restore)
    assert log.recovery.snapshot_seq == int(newest.stem[-15:]) > last - 60
    assert worlds_agree(other, log)
    log.close()


def test_a_disk_that_takes_no_snapshot_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Full(Disk):
        def write(self, fd: int, buffers: Any, offset: int) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    log = open_log(tmp_path, compiled)
    trade(log, 120, block=4)
    last = marked(log)
    follower = Follower(tmp_path, every=50, disk=Full())
    with caplog.at_level(logging.WARNING):
        follow(follower)
    assert follower.seq == last and "No space left" in caplog.text
    assert not list((tmp_path / snapshot.FOLDER).iterdir())
    log.close()


@pytest.mark.parametrize("every", [0, 40])
def test_an_event_that_the_rules_do_not_give_is_found_where_it_is(tmp_path: Path, every: int) -> None:
    log = open_log(tmp_path, compiled)
    wrong = marked(log) + 90
    log.matcher = Lying(log.matcher, wrong)
    trade(log, 150)
    marked(log)
    follower = Follower(tmp_path, every=every)
    with pytest.raises(Rot, match=f"seq {wrong}: the rules give other events than the log has"):
        follow(follower)
    log.close()
    if every:
        with pytest.raises(Rot, match=f"seq {wrong}: the rules"):
            follow(Follower(tmp_path, every=every))


def test_a_snapshot_that_is_wrong_accuses_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = open_log(tmp_path, compiled)
    trade(log, 120, block=4)
    marked(log)
    follower = Follower(tmp_path, every=60)
    follow(follower)
    assert follower.matcher is not None and follower.folder is not None
    other = compiled(DayScan(follower.folder).first.limits)  # an empty world in the place of the true one
    snapshot.save(tmp_path, MONDAY, other.state, follower._place)
    trade(log, 30, seed=2)
    last = marked(log)
    later = Follower(tmp_path, every=0)
    with caplog.at_level(logging.WARNING):
        follow(later)
    assert later.seq == last and worlds_agree(later, log)
    assert "was wrong, or the log is" in caplog.text
    log.close()


def test_damage_below_the_watermark_is_told_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    log = open_log(tmp_path, compiled, segment_bytes=1 << 20)
    trade(log, 60, block=2)
    marked(log)
    folder = log.journal.folder
    blocks = list(DayScan(folder, live=True).blocks())
    follower = Follower(tmp_path, every=0)
    follow(follower)
    path = segments(tmp_path)[0]
    with path.open("r+b") as file:  # half a block, as a writer would have it
        file.seek(blocks[-1].end)
        file.write(b"CASHBLCK" + bytes(100))
    assert follow(follower) == 0
    with path.open("r+b") as file:
        file.seek(blocks[-1].end)
        file.write(bytes(108))
    trade(log, 10, seed=2)
    marked(log)
    flip(path, blocks[-1].end + 300)
    with pytest.raises(Rot, match=f"seq {blocks[-1].header.last_seq + 1}: "):
        follow(follower)
    log.abandon()


def test_a_day_that_does_not_follow_the_one_before_is_told(tmp_path: Path) -> None:
    log = open_log(tmp_path, compiled)
    trade(log, 20, close=True)
    follower = Follower(tmp_path, every=0)
    marked(log)
    follow(follower)
    log.roll(TUESDAY, OPENING_NS)
    log.close()
    follower._place = follower._place._replace(digest=bytes(32))
    with pytest.raises(Rot, match="the day does not follow the one before"):
        follow(follower)


def run_process(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "engine.follower", str(root), *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_the_program_ends_with_its_input_and_says_by_its_code_what_it_found(tmp_path: Path) -> None:
    log = open_log(tmp_path, compiled)
    trade(log, 80)
    last = marked(log)
    good = run_process(tmp_path, "--every", "30")
    assert good.returncode == EXIT_GOOD, good.stderr
    assert "follows" in good.stderr and f"{MONDAY}-" in good.stderr
    assert dump(snapshot.load(max((tmp_path / snapshot.FOLDER).iterdir()), log.journal._head.limits))["seq"] > last - 30
    log.matcher = Lying(log.matcher, last + 1)
    trade(log, 3, seed=2)
    log.close()
    bad = run_process(tmp_path)
    assert bad.returncode == EXIT_DAMAGED
    assert f"seq {last + 1}: the rules give other events" in bad.stderr
