"""Rot and torn tails: any byte of a clean log that changes is found and named; a killed log loses only what nobody
saw."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from engine import journal
from engine.blocks import SLOT
from engine.disk import Disk
from engine.journal import Journal
from engine.replay import EXIT_DAMAGED, EXIT_GOOD, verify
from engine.scan import DayScan, Rot, day_number
from tests.logs import MONDAY, SMALL, Echo, flip, open_log, rows, segments, trade

pytestmark = pytest.mark.fault

SEGMENT = 8 << 10


@pytest.fixture
def no_idle_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the last block above the watermark, as in the 50 ms after its write."""
    monkeypatch.setattr(journal, "MARK_SECONDS", 3600)


def echo_log(root: Path, blocks: int, *, clean: bool, marked: int = 0) -> list[tuple[Path, int, int, int]]:
    """A log of blocks of one command with a few bytes of payload; where each lies: file, offset, end, seq.

    `marked`: the block that 50 ms without a write are to follow.
    """
    (root / "days").mkdir(parents=True)
    log = Journal.create(
        root / "days" / MONDAY, trading_day=day_number(MONDAY), first_seq=1, previous=bytes(32), epoch=1, limits=SMALL,
        segment_bytes=SEGMENT,
    )  # fmt: skip
    matcher = Echo()
    for seq in range(1, blocks + 1):
        command = rows(seq)
        log.append(seq, command, b"x" * (seq % 3), matcher.run_block(command))
        log.wait()
        if seq == marked:
            log._mark_idle()
    if clean:
        log.close()
    else:
        log.abandon()
    scan = DayScan(root / "days" / MONDAY)
    return [(scan.present, block.offset, block.end, block.header.first_seq) for block in scan.blocks()]


def test_every_byte_of_a_clean_log_is_guarded_and_its_place_named(tmp_path: Path) -> None:
    blocks = echo_log(tmp_path, 9, clean=True)
    assert verify(tmp_path, make_matcher=Echo).exit_code == EXIT_GOOD
    assert len(segments(tmp_path)) == 2
    for path in segments(tmp_path):
        for offset in range(path.stat().st_size):
            flip(path, offset)
            report = verify(tmp_path, make_matcher=Echo)
            flip(path, offset)
            assert report.exit_code == EXIT_DAMAGED, (path, offset)
            assert report.damage is not None and report.damage.file == str(path)
            assert report.damage.offset <= offset < report.damage.offset + 600, report.damage
            of = [seq for file, start, end, seq in blocks if file == path and start <= offset < end]
            if of:
                assert report.damage.seq == of[0]
    assert verify(tmp_path, make_matcher=Echo).exit_code == EXIT_GOOD


def test_a_killed_log_tells_rot_from_a_torn_tail_at_every_byte(tmp_path: Path, no_idle_mark: None) -> None:
    """Below the watermark, the block before the last by that one's header, a flip is never called a torn tail."""
    blocks = echo_log(tmp_path, 9, clean=False)
    path, last_start, _, last_seq = blocks[-1]
    assert verify(tmp_path, make_matcher=Echo).exit_code == EXIT_GOOD
    for offset in range(SEGMENT):
        flip(path, offset)
        report = verify(tmp_path, make_matcher=Echo)
        flip(path, offset)
        if offset < last_start:
            assert report.exit_code == EXIT_DAMAGED, offset
            assert all(day.torn is None for day in report.days)
        else:
            torn = report.days[-1].torn
            assert report.exit_code == EXIT_GOOD and torn is not None, offset
            assert torn.seq in (last_seq, last_seq + 1) and torn.offset <= offset
            assert any("torn tail" in line for line in report.lines())


class WatchedDisk(Disk):
    """Tells when a watermark slot has been written and synced."""

    def __init__(self) -> None:
        self.slots = 0
        self.marked = threading.Event()

    def write(self, fd: int, buffers: Sequence[Any], offset: int) -> int:
        self.slots += len(buffers) == 1 and len(buffers[0]) == SLOT.size  # not the next segment's zeros
        return super().write(fd, buffers, offset)

    def sync(self, fd: int) -> None:
        super().sync(fd)
        if self.slots:
            self.marked.set()


def test_fifty_milliseconds_of_rest_put_the_last_block_below_the_watermark(tmp_path: Path) -> None:
    echo_log(tmp_path, 3, clean=False)
    disk = WatchedDisk()
    log = open_log(tmp_path, Echo, disk=disk)
    command = rows(4)
    log.journal.append(4, command, b"", log.matcher.run_block(command))
    log.journal.wait()
    disk.slots = 0
    disk.marked.clear()
    assert disk.marked.wait(10)
    log.abandon()
    path = segments(tmp_path)[-1]
    last = list(DayScan(path.parent).blocks())[-1]
    flip(path, last.offset + 200)
    assert verify(tmp_path, make_matcher=Echo).exit_code == EXIT_DAMAGED


def test_a_broken_block_below_the_watermark_keeps_the_venue_from_starting(tmp_path: Path, no_idle_mark: None) -> None:
    blocks = echo_log(tmp_path, 5, clean=False)
    path, offset, _, seq = blocks[-2]
    flip(path, offset + 170)
    before = path.read_bytes()
    with pytest.raises(Rot) as refused:
        open_log(tmp_path, Echo)
    assert (refused.value.damage.file, refused.value.damage.offset, refused.value.damage.seq) == (
        str(path),
        offset,
        seq,
    )
    assert path.read_bytes() == before


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_a_log_that_ends_early_loses_only_what_is_above_the_watermark(
    tmp_path: Path, no_idle_mark: None, keep: int
) -> None:
    """Truncated at every byte of its last three blocks, two of which a slot says to be on disk: only the very last one
    may go, and then it is told."""
    original = tmp_path / "original"
    blocks = echo_log(original, 6, clean=False, marked=5)
    path, start, end, seq = blocks[-keep]
    content = path.read_bytes()
    for length in range(start, end, 1 if keep == 1 else 37):
        path.write_bytes(content[:length])
        report = verify(original, make_matcher=Echo)
        if keep > 1:
            assert report.exit_code == EXIT_DAMAGED, length
            continue
        assert report.exit_code == EXIT_GOOD and report.days[-1].torn is not None
        if length % 41 == 0:
            copy = tmp_path / f"copy-{length}"
            shutil.copytree(original, copy)
            log = open_log(copy, Echo)
            assert log.journal.last_seq == seq - 1 and log.recovery.torn is not None
            assert any("torn tail" in line for line in log.recovery.lines())
            log.close()
            assert verify(copy, make_matcher=Echo).exit_code == EXIT_GOOD


def test_a_torn_tail_is_cut_and_the_log_goes_on(tmp_path: Path, no_idle_mark: None) -> None:
    blocks = echo_log(tmp_path, 4, clean=False)
    path, start, end, seq = blocks[-1]
    with path.open("r+b") as file:
        file.seek(end - 60)
        file.write(b"\xff" * 1000)
    log = open_log(tmp_path, Echo)
    assert log.recovery.torn is not None and log.recovery.torn.offset == start
    assert not any(path.read_bytes()[start:])
    command = rows(seq)
    log.journal.append(seq, command, b"", log.matcher.run_block(command))
    log.close()
    report = verify(tmp_path, make_matcher=Echo)
    assert report.exit_code == EXIT_GOOD and report.days[0].last_seq == seq and report.days[0].clean


def in_flight(root: Path, acknowledged: bool) -> list[tuple[int, int]]:
    """Two blocks at the end of a killed log; the first was known to be on disk before the second was written, or
    not."""
    (root / "days").mkdir(parents=True)
    log = Journal.create(
        root / "days" / MONDAY, trading_day=day_number(MONDAY), first_seq=1, previous=bytes(32), epoch=1, limits=SMALL,
        segment_bytes=SEGMENT, sync=False,
    )  # fmt: skip
    matcher = Echo()
    for seq in (1, 2, 3):
        command = rows(seq)
        log.append(seq, command, b"", matcher.run_block(command))
        if seq == 1 or acknowledged:
            log.wait()
    log.abandon()
    return [(block.offset, block.end) for block in DayScan(root / "days" / MONDAY).blocks()]


def test_a_whole_block_after_a_broken_one_proves_rot(tmp_path: Path) -> None:
    places = in_flight(tmp_path, acknowledged=True)
    path = segments(tmp_path)[0]
    assert DayScan(path.parent).watermark == 0, "no slot says so"
    flip(path, places[1][0] + 100)
    with pytest.raises(Rot, match="whole block") as refused:
        open_log(tmp_path, Echo)
    assert refused.value.damage.seq == 2


def test_blocks_that_reached_the_disk_in_the_wrong_order_are_a_torn_tail(tmp_path: Path) -> None:
    """Both were on their way when the power went; nobody had been answered, so the venue has to start."""
    places = in_flight(tmp_path, acknowledged=False)
    path = segments(tmp_path)[0]
    flip(path, places[1][0] + 100)
    log = open_log(tmp_path, Echo)
    assert log.recovery.torn is not None and log.journal.last_seq == 1
    log.close()
    assert verify(tmp_path, make_matcher=Echo).exit_code == EXIT_GOOD


def test_one_unreadable_slot_of_a_killed_log_is_told_and_repaired(tmp_path: Path) -> None:
    echo_log(tmp_path, 3, clean=False)
    path = segments(tmp_path)[0]
    flip(path, 1030)
    assert verify(tmp_path, make_matcher=Echo).exit_code == EXIT_DAMAGED
    log = open_log(tmp_path, Echo)
    assert [damage.offset for damage in log.recovery.unreadable_slots] == [1024]
    log.close()
    assert verify(tmp_path, make_matcher=Echo).exit_code == EXIT_GOOD


def test_two_unreadable_slots_are_rot(tmp_path: Path) -> None:
    echo_log(tmp_path, 3, clean=False)
    for slot in (1024, 2048):
        flip(segments(tmp_path)[0], slot)
    with pytest.raises(Rot):
        open_log(tmp_path, Echo)


@pytest.mark.parametrize("which", [0, 1])
def test_a_missing_segment_is_named(tmp_path: Path, which: int) -> None:
    echo_log(tmp_path, 9, clean=True)
    missing = segments(tmp_path)[which]
    missing.unlink()
    report = verify(tmp_path, make_matcher=Echo)
    assert report.exit_code == EXIT_DAMAGED and report.damage is not None
    assert report.damage.file == str(missing)


def flip_at_random(tmp_path: Path, count: int) -> None:
    root = tmp_path / "log"
    log = open_log(root, now_ns=1)
    trade(log, 150, block=5)
    log.close()
    assert verify(root).exit_code == EXIT_GOOD
    rng = random.Random(20261123)
    for _ in range(count):
        path = rng.choice(segments(root))
        offset, mask = rng.randrange(path.stat().st_size), rng.randrange(1, 256)
        flip(path, offset, mask)
        report = verify(root)
        flip(path, offset, mask)
        assert report.exit_code == EXIT_DAMAGED, (path, offset, mask)
        assert report.damage is not None and report.damage.file == str(path) and report.damage.offset <= offset
        assert report.damage.seq > 0


def test_flipped_bytes_of_a_real_day_are_found(tmp_path: Path) -> None:
    flip_at_random(tmp_path, 150)


@pytest.mark.nightly
def test_ten_thousand_flipped_bytes_of_a_real_day_are_found(tmp_path: Path) -> None:
    flip_at_random(tmp_path, 10_000)
