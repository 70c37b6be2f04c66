from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.blocks import PAGE_BYTES, SlotState
from engine.disk import Disk
from engine.journal import Journal, JournalFailed, Lock, LogBusy
from engine.scan import DayScan, day_number
from tests.logs import MONDAY, SMALL, Echo, rows

SEGMENT = 16 << 10


@pytest.fixture
def create(tmp_path: Path) -> Iterator[Callable[..., Journal]]:
    made: list[Journal] = []

    def create(**options: Any) -> Journal:
        settings = {
            "trading_day": day_number(MONDAY), "first_seq": 1, "previous": bytes(32), "epoch": 1, "limits": SMALL,
            "segment_bytes": SEGMENT,
        }  # fmt: skip
        made.append(Journal.create(tmp_path / MONDAY, **(settings | options)))
        return made[-1]

    yield create
    for journal in made:
        journal.abandon()


def append(journal: Journal, count: int = 1, payload: bytes = b"", events: int | None = None) -> int:
    commands = rows(journal.last_seq + 1, count)
    out = Echo().run_block(rows(journal.last_seq + 1, events or count))
    return journal.append(journal.last_seq + 1, commands, payload, out)


class Gate(Disk):
    """A disk whose syncs wait until they are let through."""

    def __init__(self) -> None:
        self.closed = False
        self.entered = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.syncs = 0

    def sync(self, fd: int) -> None:
        if self.closed:
            self.entered.release()
            self.gate.acquire()
        self.syncs += 1
        super().sync(fd)


def test_nothing_is_durable_before_its_sync_has_come_back(create: Callable[..., Journal]) -> None:
    disk, heard = Gate(), threading.Event()
    journal = create(disk=disk, on_durable=lambda seq: heard.set())
    disk.closed = True
    assert append(journal) == 1
    disk.entered.acquire()
    assert journal.durable_seq == 0 and not heard.is_set()
    disk.closed = False
    disk.gate.release()
    assert heard.wait(10) and journal.durable_seq == 1


def test_blocks_written_during_a_sync_share_the_next_one(create: Callable[..., Journal]) -> None:
    disk = Gate()
    journal = create(disk=disk, segment_bytes=1 << 20)
    disk.closed = True
    append(journal)
    disk.entered.acquire()
    for _ in range(5):
        append(journal, 2)
    before = disk.syncs
    disk.closed = False
    disk.gate.release()
    assert journal.wait() == 11
    assert disk.syncs == before + 2


def test_a_block_says_what_was_durable_when_it_was_written(create: Callable[..., Journal]) -> None:
    disk = Gate()
    journal = create(disk=disk)
    append(journal)
    journal.wait()
    disk.closed = True
    append(journal)
    disk.entered.acquire()
    append(journal)
    disk.closed = False
    disk.gate.release()
    journal.wait()
    append(journal)
    journal.close()
    found = [block.header.durable_seq for block in DayScan(journal.folder).blocks()]
    assert found == [0, 1, 1, 3]


def test_durable_seqs_are_told_in_rising_order(create: Callable[..., Journal]) -> None:
    heard: list[int] = []
    journal = create(on_durable=heard.append)
    for count in range(1, 30):
        append(journal, count)
    last = journal.wait()
    assert heard == sorted(set(heard)) and heard[-1] == last == journal.durable_seq


def test_a_full_segment_is_sealed_and_the_next_goes_on(create: Callable[..., Journal]) -> None:
    journal = create()
    for _ in range(60):
        append(journal, payload=b"{}")
    journal.close()
    scan = DayScan(journal.folder)
    assert len(scan.segments) >= 3 and scan.clean
    assert [block.header.first_seq for block in scan.blocks()] == list(range(1, 61))
    for segment in scan.segments[:-1]:
        assert segment.says(SlotState.SEALED) and segment.length == SEGMENT
    assert not (journal.folder / "spare").exists()


def test_a_block_larger_than_a_segment_gets_one_that_is_large_enough(create: Callable[..., Journal]) -> None:
    journal = create()
    append(journal)
    append(journal, 1, events=1000)
    for _ in range(20):
        append(journal)
    journal.close()
    scan = DayScan(journal.folder)
    blocks = list(scan.blocks())
    assert [block.header.events for block in blocks] == [1, 1000, *(20 * [1])]
    assert scan.segments[1].head.segment_bytes > SEGMENT and scan.segments[2].head.segment_bytes == SEGMENT


def test_the_rest_of_a_segment_stays_zero(create: Callable[..., Journal]) -> None:
    journal = create()
    append(journal)
    journal.close()
    path = journal.folder / "segment-000000.log"
    end = next(iter(DayScan(journal.folder).blocks())).end
    data = path.read_bytes()
    assert len(data) == SEGMENT and not any(data[end:]) and end > PAGE_BYTES


def test_a_lone_block_can_be_synced_by_its_writer_and_is_marked_after_the_idle_time(
    create: Callable[..., Journal],
) -> None:
    heard: list[tuple[int, int]] = []
    journal = create(on_durable=lambda seq: heard.append((seq, threading.get_ident())))
    for seq in (1, 2, 3):
        commands = rows(seq)
        assert journal.append(seq, commands, b"", Echo().run_block(commands), here=True) == seq
        assert journal.is_left and journal.durable_seq == seq - 1, "what is left is not durable yet"
        journal.sync_here()
        assert journal.durable_seq == seq and not journal.is_left
    assert heard == [(seq, threading.get_ident()) for seq in (1, 2, 3)]
    late = time.monotonic() + 10
    while journal.marked_seq < 3:
        assert time.monotonic() < late, "the idle mark follows"
    journal.close()
    assert DayScan(journal.folder).clean


def test_a_block_beside_which_others_wait_is_left_to_the_sync_thread(create: Callable[..., Journal]) -> None:
    disk, heard = Gate(), threading.Event()
    journal = create(disk=disk, on_durable=lambda seq: heard.set() if seq == 2 else None)
    disk.closed = True
    append(journal)
    disk.entered.acquire()
    commands = rows(2)
    journal.append(2, commands, b"", Echo().run_block(commands), here=True)
    assert not journal.is_left, "the sync thread has it"
    journal.sync_here()
    assert journal.durable_seq == 0, "it returned without a sync of its own"
    disk.closed = False
    disk.gate.release()
    assert heard.wait(10) and journal.durable_seq == 2


def test_a_failed_sync_in_the_writers_thread_is_final(create: Callable[..., Journal]) -> None:
    journal = create()

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "planted")

    journal._disk.sync = fail  # type: ignore[method-assign]
    commands = rows(1)
    journal.append(1, commands, b"", Echo().run_block(commands), here=True)
    with pytest.raises(JournalFailed, match="planted"):
        journal.sync_here()
    assert journal.durable_seq == 0


def test_a_block_left_to_its_writer_is_not_forgotten(create: Callable[..., Journal]) -> None:
    journal = create()
    journal.append(1, rows(1), b"", Echo().run_block(rows(1)), here=True)
    with pytest.raises(AssertionError, match="left"):
        append(journal)
    assert journal.wait() == 1 == journal.durable_seq
    append(journal)
    journal.append(3, rows(3), b"", Echo().run_block(rows(3)), here=True)
    journal.close()
    scan = DayScan(journal.folder)
    assert [block.header.first_seq for block in scan.blocks()] == [1, 2, 3] and scan.clean


def test_slots_are_written_in_their_own_time_and_not_with_every_block(
    create: Callable[..., Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While blocks follow each other their headers say what is durable; a slot costs the sync a second page."""

    class Counting(Disk):
        slots = 0

        def write(self, fd: int, buffers: Any, offset: int) -> int:
            self.slots += offset < PAGE_BYTES and len(buffers) == 1 and len(buffers[0]) < PAGE_BYTES
            return super().write(fd, buffers, offset)

    disk, now = Counting(), [1000.0]
    monkeypatch.setattr("engine.journal.time.monotonic", lambda: now[0])
    monkeypatch.setattr("engine.journal.MARK_SECONDS", 3600)  # the idle mark waits in real time, and must not come
    journal = create(disk=disk, segment_bytes=1 << 20)
    for _ in range(40):
        append(journal)
        journal.wait()
    assert disk.slots == 0 and journal.marked_seq == 0
    now[0] += 3600
    append(journal)
    assert disk.slots == 1 and journal.marked_seq == 40
    journal.wait()
    append(journal)
    assert disk.slots == 1


def test_with_sync_off_nothing_is_synced_before_the_close(create: Callable[..., Journal]) -> None:
    disk, heard = Gate(), []
    journal = create(disk=disk, sync=False, on_durable=heard.append)
    before = disk.syncs
    assert append(journal) == 1 and journal.durable_seq == 1 and heard == [1]
    assert disk.syncs == before
    journal.close()
    assert disk.syncs > before
    assert [block.header.durable_seq for block in DayScan(journal.folder).blocks()] == [0]


def test_a_log_is_resumed_where_it_ended_under_a_new_epoch(create: Callable[..., Journal]) -> None:
    journal = create()
    append(journal, 3)
    journal.close()
    scan = DayScan(journal.folder)
    list(scan.blocks())
    assert scan.tail is not None
    resumed = Journal.resume(journal.folder, scan.tail, epoch=2, segment_bytes=SEGMENT)
    assert not DayScan(journal.folder).clean and DayScan(journal.folder).last_epoch == 2
    append(resumed)
    resumed.close()
    scan = DayScan(journal.folder)
    assert [(block.header.epoch, block.header.first_seq) for block in scan.blocks()] == [(1, 1), (2, 4)] and scan.clean


def test_a_block_that_leaves_a_gap_is_a_broken_promise(create: Callable[..., Journal]) -> None:
    journal = create()
    with pytest.raises(AssertionError):
        journal.append(5, rows(5), b"", Echo().run_block(rows(5)))


def test_a_listener_that_raises_stops_the_log(create: Callable[..., Journal]) -> None:
    def raise_it(seq: int) -> None:
        raise RuntimeError("the loop is closed")

    journal = create(on_durable=raise_it)
    append(journal)
    with pytest.raises(JournalFailed, match="loop is closed"):
        journal.wait()
    journal.close()


def test_closing_twice_does_nothing(create: Callable[..., Journal]) -> None:
    journal = create()
    journal.close()
    journal.close()
    journal.abandon()


def test_a_second_writer_is_refused_and_looking_does_not_disturb(tmp_path: Path) -> None:
    assert not Lock.is_held(tmp_path)
    first = Lock(tmp_path)
    assert Lock.is_held(tmp_path)
    with pytest.raises(LogBusy, match="another venue"):
        Lock(tmp_path, tries=2)
    # A POSIX lock would be lost as soon as any descriptor of the file is closed.
    os.close(os.open(tmp_path / "lock", os.O_RDWR))
    assert Lock.is_held(tmp_path)
    first.release()
    first.release()
    Lock(tmp_path).release()
    assert not Lock.is_held(tmp_path)
