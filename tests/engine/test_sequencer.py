from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.day import act_row
from engine.disk import Disk
from engine.recovery import Log
from engine.scan import DayScan
from engine.schema import MAX_BLOCK_ROWS, MAX_PAYLOAD_BYTES, CommandKind
from engine.sequencer import QueueFull, Sequencer
from tests.logs import OPENING_NS, TUESDAY, Echo, open_log, rows, run, sequencer

TICK = rows(0).tobytes()


class Held(Disk):
    """A disk whose syncs wait while it is told to hold."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()

    def sync(self, fd: int) -> None:
        assert self.free.wait(30)
        super().sync(fd)


@pytest.fixture
def disk() -> Held:
    return Held()


@pytest.fixture
def log(tmp_path: Path, disk: Held) -> Iterator[Log]:
    log = open_log(tmp_path, Echo, instruments=(), accounts=(), segment_bytes=4 << 20, disk=disk)
    yield log
    disk.free.set()
    log.abandon()


def test_commands_are_numbered_in_the_order_in_which_they_came(log: Log) -> None:
    lane = sequencer(log)
    first = lane.next_seq
    for origin in range(10):
        lane.submit(TICK, origin=origin)
    assert lane.waiting == 10 and lane.turn(OPENING_NS + 5) == 10 and lane.waiting == 0
    (block,) = lane.drain()
    assert block.commands["seq"].tolist() == list(range(first, first + 10))
    assert block.commands["time"].tolist() == [OPENING_NS + 5] * 10
    assert block.origins == tuple(range(10)) and (block.first_seq, block.last_seq) == (first, first + 9)
    assert block.events["seq"].tolist() == block.commands["seq"].tolist()


def test_what_a_client_wrote_into_the_stamped_fields_is_overwritten(log: Log) -> None:
    lane = sequencer(log)
    forged = rows(77, time=1).tobytes()
    for count in (1, 3):
        for _ in range(count):
            lane.submit(forged)
        first = lane.next_seq
        lane.turn(OPENING_NS)
        (block,) = lane.drain()
        assert block.commands["seq"].tolist() == list(range(first, first + count))
        assert set(block.commands["time"].tolist()) == {OPENING_NS}


def test_nothing_leaves_before_it_is_on_disk_and_later_blocks_are_carried_out_meanwhile(log: Log, disk: Held) -> None:
    lane = sequencer(log, max_in_flight=3)
    disk.free.clear()
    for _ in range(5):
        lane.submit(TICK)
        lane.turn(OPENING_NS)
    assert lane.completed() == [] and lane.in_flight == 3 and lane.waiting == 2
    assert isinstance(log.matcher, Echo) and log.matcher.seqs[-1] == lane.next_seq - 1
    disk.free.set()
    done = lane.drain()
    assert [block.first_seq for block in done] == [lane.next_seq - 3, lane.next_seq - 2, lane.next_seq - 1]
    assert lane.turn(OPENING_NS) == 2, "what waited meanwhile makes one block"


def test_time_never_runs_backwards_and_a_step_is_told_once(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    lane = sequencer(log)
    times = [
        OPENING_NS + 10**10,
        OPENING_NS + 9 * 10**9 + 5 * 10**8,
        OPENING_NS,
        OPENING_NS - 1,
        OPENING_NS + 2 * 10**10,
    ]
    stamped = []
    with caplog.at_level(logging.WARNING):
        for now in times:
            lane.submit(TICK)
            lane.turn(now)
            stamped += [int(block.time_ns) for block in lane.drain()]
    assert stamped == [times[0]] * 4 + [times[4]]
    assert len(caplog.records) == 1 and "behind the last command" in caplog.text


def test_a_block_holds_at_most_its_number_of_rows(log: Log) -> None:
    lane = sequencer(log)
    for _ in range(MAX_BLOCK_ROWS + 3):
        lane.submit(TICK)
    assert lane.turn(OPENING_NS) == MAX_BLOCK_ROWS and lane.turn(OPENING_NS) == 3
    assert [len(block.commands) for block in lane.drain()] == [MAX_BLOCK_ROWS, 3]


def test_payloads_lie_where_their_rows_say_and_split_a_block_that_would_be_too_long(log: Log) -> None:
    lane = sequencer(log)
    act = act_row(CommandKind.ACCOUNT_DEFINE, principal=9)
    texts = [b"a" * (MAX_PAYLOAD_BYTES // 2), b"b" * 7, b"c" * (MAX_PAYLOAD_BYTES // 2), b"d"]
    lane.submit(act, texts[0])
    lane.submit(TICK)
    for text in texts[1:]:
        lane.submit(act, text)
    blocks = run(lane)
    assert [len(block.commands) for block in blocks] == [3, 2]
    found = [
        block.payload[row["target_lo"] : row["target_lo"] + row["target_hi"]]
        for block in blocks
        for row in block.commands
        if row["kind"] == CommandKind.ACCOUNT_DEFINE
    ]
    assert found == texts
    lane.submit(act, b"alone")
    (block,) = run(lane)
    assert (block.payload, *block.commands[0][["target_lo", "target_hi"]]) == (b"alone", 0, 5)
    assert int(block.commands["client_session"][0]) == 9


def test_a_full_queue_refuses(log: Log) -> None:
    lane = sequencer(log, max_waiting=2)
    lane.submit(TICK)
    lane.submit(TICK)
    with pytest.raises(QueueFull):
        lane.submit(TICK)
    assert lane.turn(OPENING_NS) == 2


def test_rows_given_together_stand_with_single_ones_in_the_order_in_which_they_came(log: Log) -> None:
    lane = sequencer(log)
    first = lane.next_seq
    lane.submit(TICK, origin="one")
    many = np.repeat(rows(0), 5)
    lane.submit_rows(many, tuple(range(5)))
    many["kind"] = 0  # they were copied
    lane.submit(TICK, origin="last")
    assert lane.waiting == 7 and lane.turn(OPENING_NS) == 7 and lane.waiting == 0
    (block,) = lane.drain()
    assert block.origins == ("one", 0, 1, 2, 3, 4, "last")
    assert block.commands["seq"].tolist() == list(range(first, first + 7))
    assert set(block.commands["kind"].tolist()) == {CommandKind.CLOCK_TICK}
    lane.submit_rows(many[:1], ("alone",))
    assert lane.turn(OPENING_NS) == 1 and lane.drain()[0].origins == ("alone",)


def test_rows_given_together_are_split_into_blocks_and_taken_whole_or_not_at_all(log: Log) -> None:
    lane = sequencer(log, max_waiting=MAX_BLOCK_ROWS + 10)
    many = np.repeat(rows(0), MAX_BLOCK_ROWS + 7)
    lane.submit(TICK)
    lane.submit_rows(many, tuple(range(len(many))))
    with pytest.raises(QueueFull, match="3 more"):
        lane.submit_rows(many[:3], (None,) * 3)
    assert lane.waiting == MAX_BLOCK_ROWS + 8
    blocks = run(lane)
    assert [len(block.commands) for block in blocks] == [1, MAX_BLOCK_ROWS, 7]
    assert [one for block in blocks for one in block.origins] == [None, *range(len(many))]


def test_an_empty_turn_makes_no_block(log: Log) -> None:
    lane = sequencer(log)
    assert lane.turn(OPENING_NS) == 0 and lane.completed() == [] and lane.drain() == []


def test_what_is_in_the_log_is_what_left(log: Log) -> None:
    lane = sequencer(log)
    rng = np.random.default_rng(3)
    left: list[Any] = []
    for _ in range(40):
        for _ in range(int(rng.integers(1, 9))):
            lane.submit(TICK)
        lane.turn(OPENING_NS)
        left += lane.completed()
    left += lane.drain()
    written = list(DayScan(log.journal.folder, live=True).blocks())[-len(left) :]
    assert [block.rows for block in written] == [block.commands.tobytes() for block in left]
    assert [block.event_rows for block in written] == [block.events.tobytes() for block in left]


def test_seq_and_time_go_on_in_a_new_day(log: Log) -> None:
    lane = sequencer(log)
    lane.submit(TICK)
    run(lane, now_ns=OPENING_NS + 7)
    before = lane.next_seq
    opening = log.roll(TUESDAY, OPENING_NS + 9)
    lane.change_day(log.matcher.run_block, log.journal, log.time_ns)
    lane.submit(TICK)
    (block,) = run(lane, now_ns=OPENING_NS)
    assert opening[0].first_seq == before and block.first_seq == opening[-1].last_seq + 1
    assert block.time_ns == OPENING_NS + 9
    assert isinstance(lane, Sequencer)
