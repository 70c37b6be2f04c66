"""kill -9 of a process that writes the log, at random instants: what it acknowledged is there, once and in order."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import NoReturn

import pytest

from engine.disk import Disk
from engine.recovery import Log
from engine.replay import EXIT_GOOD, verify
from engine.scan import Rot
from engine.sequencer import Sequencer
from tests.faults.disks import EarlyDisk
from tests.logs import Echo, open_log, rows

pytestmark = pytest.mark.fault

SEGMENT = 256 << 10


def write_for_ever(root: Path, tell: int, disk: Disk, trading_day: str | None) -> NoReturn:
    """The child: keeps blocks of one to eight commands in flight, and tells each durable seq down a pipe."""

    def acknowledge(seq: int) -> None:
        os.write(tell, seq.to_bytes(8, "little"))

    options = {"trading_day": trading_day} if trading_day else {}
    log = open_log(
        root, Echo, instruments=(), accounts=(), segment_bytes=SEGMENT, disk=disk, on_durable=acknowledge, **options
    )
    lane = Sequencer(log.matcher.run_block, log.journal, last_time_ns=log.time_ns)
    rng = random.Random(os.getpid())
    ready = rows(0).tobytes()
    while True:
        for _ in range(rng.randint(1, 8)):
            lane.submit(ready)
        while lane.waiting:
            if not lane.turn(1):
                lane.drain()


def kill_once(root: Path, rng: random.Random, disk: Disk, trading_day: str | None = None) -> int:
    """Start a writer, kill it somewhere in its first milliseconds; the last seq it acknowledged."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write_for_ever(root, tell, disk, trading_day)
        finally:
            os._exit(1)
    os.close(tell)
    acknowledged = 0
    wait_for_one = rng.random() < 0.8
    if wait_for_one:
        acknowledged = int.from_bytes(os.read(told, 8), "little")
    until = time.monotonic() + rng.random() * (0.02 if wait_for_one else 0.01)
    while time.monotonic() < until:
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(told, "rb") as pipe:
        for piece in iter(lambda: pipe.read(8), b""):
            if len(piece) == 8:
                acknowledged = max(acknowledged, int.from_bytes(piece, "little"))
    return acknowledged


def kill_often(root: Path, times: int, disk: Disk) -> tuple[int, int, int]:
    """How many kills, torn tails and acknowledged commands; raises at the first one that is lost."""
    rng = random.Random(times)
    torn = acknowledged = 0
    for turn in range(times):
        trading_day = f"2027-{1 + turn // 280:02d}-{1 + turn // 10 % 28:02d}" if turn % 10 < 3 else None
        acknowledged = max(acknowledged, kill_once(root, rng, disk, trading_day))
        log = open_log(root, Echo, instruments=(), accounts=(), segment_bytes=SEGMENT)
        assert log.journal.last_seq >= acknowledged, f"lost {acknowledged - log.journal.last_seq} at kill {turn}"
        torn += log.recovery.torn is not None
        one_each(log)
        log.abandon()
        if turn % 20 == 19:
            report = verify(root, make_matcher=Echo)
            assert report.exit_code == EXIT_GOOD, report.lines()
    return times, torn, acknowledged


def one_each(log: Log) -> None:
    """No command is there twice, none is missing: what the matcher was given on the last day rises by one."""
    assert isinstance(log.matcher, Echo)
    seqs = log.matcher.seqs
    assert seqs, "the opening of the day was acknowledged"
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def test_killed_writers_lose_nothing_they_acknowledged(tmp_path: Path) -> None:
    kills, _, acknowledged = kill_often(tmp_path, 60, Disk())
    assert kills == 60 and acknowledged > 1_000


@pytest.mark.nightly
def test_a_thousand_killed_writers_lose_nothing_they_acknowledged(tmp_path: Path) -> None:
    kills, torn, acknowledged = kill_often(tmp_path, 1_000, Disk())
    print(f"{kills} kills, {torn} torn tails, {acknowledged} commands acknowledged, 0 lost")


def test_a_log_is_verified_while_it_is_written_as_fast_as_it_goes(tmp_path: Path) -> None:
    """What is being written is never called damage, across the ends of segments; what was acknowledged is seen."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write_for_ever(tmp_path, tell, Disk(), None)
        finally:
            os._exit(1)
    os.close(tell)
    with os.fdopen(told, "rb") as pipe:
        for _ in range(15):
            acknowledged = int.from_bytes(pipe.read(8 * 40)[-8:], "little")
            report = verify(tmp_path, make_matcher=Echo)
            assert report.exit_code == EXIT_GOOD, report.lines()
            assert report.live and report.days[-1].last_seq >= acknowledged
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert verify(tmp_path, make_matcher=Echo).exit_code == EXIT_GOOD


def test_a_writer_that_acknowledges_before_it_writes_is_caught(tmp_path: Path) -> None:
    caught = 0
    for turn in range(8):
        root = tmp_path / str(turn)
        try:
            kill_often(root, 2, EarlyDisk(behind=8))
        except (AssertionError, Rot):
            caught += 1
        shutil.rmtree(root, ignore_errors=True)
    assert caught >= 6
