"""Disks that fail: the log stops at once, acknowledges nothing afterwards, and starts again with all it
acknowledged."""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from engine import journal
from engine.disk import Disk
from engine.journal import Journal, JournalFailed
from engine.recovery import Log
from engine.replay import EXIT_GOOD, verify
from engine.scan import Rot
from tests.faults.disks import EarlyDisk, FailingDisk, PowerDisk
from tests.logs import MONDAY, OPENING_NS, TUESDAY, Echo, open_log, rows, sequencer

pytestmark = pytest.mark.fault

NEVER = 1 << 40
SEGMENT = 8 << 10


class Heard:
    """What was acknowledged: the highest seq, and whether anything came after the failure."""

    def __init__(self) -> None:
        self.seq = 0
        self.disk: FailingDisk | None = None
        self.after_failure = 0

    def __call__(self, seq: int) -> None:
        if self.disk is not None and self.disk.failed and seq > self.seq:
            self.after_failure += 1
        self.seq = max(self.seq, seq)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the calls of a script the same each time: no segment is made ahead of time, no mark is written while
    idle."""
    monkeypatch.setattr(Journal, "_prepare", lambda opened: None)
    monkeypatch.setattr(journal, "MARK_SECONDS", 3600)


def script(root: Path, heard: Heard, disk: Disk) -> None:
    """A venue's life: a first day with three segments, a restart in it, and the roll to a second day."""
    log = open_log(root, Echo, instruments=(), accounts=(), segment_bytes=SEGMENT, disk=disk, on_durable=heard)
    journals: list[Log] = [log]
    try:
        heard(log.journal.durable_seq)
        work(log, 11)
        log.close()
        log = open_log(root, Echo, instruments=(), accounts=(), segment_bytes=SEGMENT, disk=disk, on_durable=heard)
        journals.append(log)
        work(log, 5)
        log.roll(TUESDAY, OPENING_NS)
        heard(log.journal.durable_seq)
        work(log, 3)
        log.close()
    finally:
        for opened in journals:
            opened.abandon()


def break_off(root: Path, heard: Heard, disk: FailingDisk) -> None:
    """Run the script until the disk fails it. Two blocks may share a sync, so a run may end a call or two earlier."""
    try:
        script(root, heard, disk)
    except (JournalFailed, OSError):
        assert disk.failed
    else:
        assert not disk.failed


def work(log: Log, count: int) -> None:
    lane = sequencer(log)
    for _ in range(count):
        lane.submit(rows(0).tobytes())
        lane.turn(OPENING_NS)
        lane.drain()


def test_the_log_stops_at_the_first_error_and_starts_again_with_all_it_acknowledged(
    tmp_path: Path, counted: None
) -> None:
    """Every write, sync and rename of a venue's life fails once, from there on for good."""
    counting = FailingDisk(NEVER)
    script(tmp_path / "whole", Heard(), counting)
    assert counting.calls > 80
    for at in range(1, counting.calls + 1):
        root = tmp_path / str(at)
        heard, disk = Heard(), FailingDisk(at, errno.ENOSPC if at % 2 else errno.EIO)
        heard.disk = disk
        break_off(root, heard, disk)
        assert heard.after_failure == 0, at
        recovered(root, heard.seq)
        shutil.rmtree(root)


def recovered(root: Path, acknowledged: int) -> None:
    log = open_log(root, Echo, instruments=(), accounts=(), segment_bytes=SEGMENT)
    assert log.journal.last_seq >= acknowledged
    log.close()
    report = verify(root, make_matcher=Echo)
    assert report.exit_code == EXIT_GOOD, report.lines()


def cut_power(tmp_path: Path, seeds: range) -> int:
    """Power cuts at random calls, each leaving any of the unsynced sectors; the number of acknowledged seqs they
    risked."""
    counting = FailingDisk(NEVER)
    script(tmp_path / "whole", Heard(), counting)
    risked = 0
    for seed in seeds:
        rng = random.Random(seed)
        root = tmp_path / str(seed)
        heard, disk = Heard(), PowerDisk(rng.randint(1, counting.calls), rng)
        break_off(root, heard, disk)
        disk.cut_power()
        recovered(root, heard.seq)
        risked += heard.seq
        shutil.rmtree(root)
    return risked


def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path, counted: None) -> None:
    assert cut_power(tmp_path, range(80)) > 300


@pytest.mark.nightly
def test_three_thousand_power_cuts_lose_nothing_that_was_acknowledged(tmp_path: Path, counted: None) -> None:
    assert cut_power(tmp_path, range(10_000, 13_000)) > 10_000


class UnsyncedDisk(PowerDisk):
    """The control: a disk whose syncs do nothing."""

    def sync(self, fd: int) -> None:
        self._count("sync")


def test_a_disk_that_does_not_sync_is_caught(tmp_path: Path) -> None:
    lost = 0
    for seed in range(20):
        rng = random.Random(seed)
        root = tmp_path / str(seed)
        heard, disk = Heard(), UnsyncedDisk(NEVER, rng)
        log = open_log(root, Echo, instruments=(), accounts=(), disk=disk, on_durable=heard)
        work(log, 10)
        log.abandon()
        disk.cut_power()
        try:
            log = open_log(root, Echo, instruments=(), accounts=())
        except Rot:
            lost += 1
            continue
        lost += log.journal.last_seq < heard.seq
        log.close()
    assert lost >= 10


def test_a_segment_that_may_not_grow_stops_the_log(tmp_path: Path) -> None:
    """A real short write, from the kernel: RLIMIT_FSIZE in a child."""
    open_log(tmp_path, Echo, instruments=(), accounts=(), segment_bytes=SEGMENT).close()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            log = open_log(tmp_path, Echo, instruments=(), accounts=(), segment_bytes=SEGMENT)
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (6_400, resource.RLIM_INFINITY))
            try:
                work(log, 20)
            except JournalFailed:
                os.write(tell, str(log.journal.durable_seq).encode())
                code = 0
        finally:
            os._exit(code)
    os.close(tell)
    _, status = os.waitpid(child, 0)
    acknowledged = int(os.read(told, 100))
    os.close(told)
    assert os.waitstatus_to_exitcode(status) == 0 and acknowledged > 2
    log = open_log(tmp_path, Echo, instruments=(), accounts=(), segment_bytes=SEGMENT)
    assert log.journal.last_seq == acknowledged and log.recovery.torn is not None
    log.close()
    assert verify(tmp_path, make_matcher=Echo).exit_code == EXIT_GOOD


def test_after_a_failed_sync_nothing_is_written_or_tried_again(tmp_path: Path) -> None:
    class Counting(FailingDisk):
        def __init__(self) -> None:
            super().__init__(NEVER)
            self.after: list[str] = []

        def write(self, fd: int, buffers: Any, offset: int) -> int:
            if self.failed:
                self.after.append("write")
            return super().write(fd, buffers, offset)

        def sync(self, fd: int) -> None:
            if self.failed:
                self.after.append("sync")
            super().sync(fd)

    disk = Counting()
    log = open_log(tmp_path, Echo, instruments=(), accounts=(), disk=disk)
    disk.calls, disk.at, disk.kinds = 0, 1, frozenset({"sync"})
    lane = sequencer(log)
    lane.submit(rows(0).tobytes())
    lane.turn(OPENING_NS)
    with pytest.raises(JournalFailed):
        lane.drain()
    for _ in range(3):
        lane.submit(rows(0).tobytes())
        with pytest.raises(JournalFailed):
            lane.turn(OPENING_NS)
        with pytest.raises(JournalFailed):
            lane.completed()
    log.close()
    assert disk.after == [] and (log.root / "days" / MONDAY).exists()


def test_the_control_disk_acknowledges_before_it_writes(tmp_path: Path) -> None:
    """What makes the kill test of the whole venue worth something."""
    log = open_log(tmp_path, Echo, instruments=(), accounts=(), disk=EarlyDisk())
    work(log, 10)
    acknowledged = log.journal.durable_seq
    assert acknowledged == 12
    log.abandon()
    try:
        log = open_log(tmp_path, Echo, instruments=(), accounts=())
    except Rot:  # a slot had been written meanwhile, and told on it
        return
    assert log.journal.last_seq < acknowledged
    log.close()
