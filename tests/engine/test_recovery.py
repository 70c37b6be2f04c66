from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.blocks import NO_DIGEST
from engine.day import PASSING, canonical
from engine.journal import LogBusy
from engine.recovery import DayNotComplete, Log
from engine.reference import Reference
from engine.replay import EXIT_GOOD, verify
from engine.scan import DayScan, Rot, day_folders
from engine.schema import CommandKind, EventKind, Limits
from engine.sequencer import CompletedBlock
from tests.logs import (
    ACCOUNTS,
    INSTRUMENTS,
    MONDAY,
    OPENING_NS,
    SMALL,
    TUESDAY,
    WEDNESDAY,
    Echo,
    flip,
    open_log,
    run,
    segments,
    sequencer,
    set_phase,
    trade,
    without,
)  # fmt: skip


def test_the_first_start_opens_a_day_with_the_given_instruments(tmp_path: Path) -> None:
    seen: list[CompletedBlock] = []
    log = open_log(tmp_path, on_block=seen.append)
    world = log.matcher.dump()
    assert log.recovery.first_start and log.recovery.epoch == 1 and log.trading_day == MONDAY
    assert [terms["symbol"] for terms in world["instruments"]] == [terms["symbol"] for terms in INSTRUMENTS]
    assert world["accounts"] == [{**account, "balance": 0, "checked": 0} for account in ACCOUNTS]
    assert world["trading_day"] == MONDAY
    assert [block.first_seq for block in seen] == [1, world["seq"]]
    log.close()
    assert verify(tmp_path).exit_code == EXIT_GOOD


@pytest.mark.parametrize("clean", [True, False])
def test_a_restart_brings_back_the_same_world(tmp_path: Path, clean: bool) -> None:
    log = open_log(tmp_path)
    trade(log, 120, block=7)
    before = log.matcher.dump()
    (log.close if clean else log.abandon)()
    seen: list[CompletedBlock] = []
    log = open_log(tmp_path, on_block=seen.append)
    assert log.matcher.dump() == before
    assert (log.recovery.clean, log.recovery.epoch, log.recovery.torn) == (clean, 2, None)
    assert log.time_ns == before["time"] and log.journal.last_seq == before["seq"]
    assert np.concatenate([block.commands["seq"] for block in seen]).tolist() == list(range(1, before["seq"] + 1))
    trade(log, 30, seed=2)
    log.close()
    report = verify(tmp_path)
    assert report.exit_code == EXIT_GOOD and report.days[0].commands == log.recovery.commands + 30


def test_each_start_has_a_higher_epoch_even_if_nothing_was_written(tmp_path: Path) -> None:
    for epoch in range(1, 5):
        log = open_log(tmp_path)
        assert log.recovery.epoch == log.journal.epoch == epoch
        (log.close if epoch % 2 else log.abandon)()


def test_a_day_keeps_the_limits_it_was_written_under(tmp_path: Path) -> None:
    made: list[Limits] = []

    def make(limits: Limits) -> Reference:
        made.append(limits)
        return Reference(limits)

    log = open_log(tmp_path, make)
    trade(log, 5, close=True)
    log.close()
    wide = SMALL._replace(orders=9_999)
    log = open_log(tmp_path, make, limits=wide)
    assert made == [SMALL, SMALL] and verify(tmp_path, make_matcher=make).exit_code == EXIT_GOOD
    log.roll(TUESDAY, OPENING_NS)
    log.close()
    made.clear()
    assert verify(tmp_path, make_matcher=make).exit_code == EXIT_GOOD and made == [SMALL, wide]


def test_a_complete_day_is_followed_by_a_new_one_at_the_next_start(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    trade(log, 200, close=True)
    closed = log.matcher.dump()
    head = log.journal.last_digest
    log.close()
    seen: list[CompletedBlock] = []
    log = open_log(tmp_path, trading_day=TUESDAY, on_block=seen.append)
    assert log.trading_day == TUESDAY and log.recovery.rolled_from == MONDAY
    assert without(log.matcher.dump(), PASSING) == without(closed, PASSING) and closed["orders"]
    scan = DayScan(tmp_path / "days" / TUESDAY)
    first = next(iter(scan.blocks()))
    assert first.header.previous == head and first.header.first_seq == closed["seq"] + 1
    assert seen[-1].last_seq == log.journal.last_seq and int(seen[-1].events[-1]["kind"]) == EventKind.DAY_STARTED
    trade(log, 20, seed=3, close=True)
    log.close()
    log = open_log(tmp_path, trading_day=WEDNESDAY)
    log.close()
    report = verify(tmp_path)
    assert report.exit_code == EXIT_GOOD and [day.trading_day for day in report.days] == [MONDAY, TUESDAY, WEDNESDAY]


def test_the_date_decides_when_no_day_is_named(tmp_path: Path) -> None:
    log = open_log(tmp_path, trading_day=None)
    assert log.trading_day == MONDAY
    trade(log, 1, close=True)
    log.close()
    log = open_log(tmp_path, trading_day=None, now_ns=OPENING_NS + 86_400 * 10**9)
    assert log.trading_day == TUESDAY
    log.close()


def test_an_open_day_goes_on_although_the_date_has_changed(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    trade(log, 5)
    log.close()
    log = open_log(tmp_path, trading_day=TUESDAY)
    assert log.trading_day == MONDAY and log.recovery.rolled_from is None
    with pytest.raises(DayNotComplete):
        log.roll(TUESDAY, OPENING_NS)
    trade(log, 5, seed=2, close=True)
    with pytest.raises(ValueError, match="does not follow"):
        log.roll(MONDAY, OPENING_NS)
    log.close()


def test_trading_goes_on_after_a_roll(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    lane = trade(log, 100, close=True)
    closed = log.matcher.dump()
    opening = log.roll(TUESDAY, OPENING_NS + 10**9, instruments=[{**INSTRUMENTS[0], "symbol": "W320F2704"}])
    lane.change_day(log.matcher.run_block, log.journal, log.time_ns)
    assert opening[0].first_seq == closed["seq"] + 1
    set_phase(lane, "continuous")
    blocks = run(lane, now_ns=OPENING_NS)
    assert len(blocks[0].events) == 3 and blocks[0].time_ns == OPENING_NS + 10**9
    set_phase(lane, "closed")
    run(lane)
    log.close()
    assert verify(tmp_path).exit_code == EXIT_GOOD


def test_a_day_that_cannot_be_restated_is_not_opened(tmp_path: Path) -> None:
    """A limit below what is alive: the old day stays the present one, and is still open for business."""
    log = open_log(tmp_path)
    lane = trade(log, 100, close=True)
    alive = len(log.matcher.dump()["orders"])
    log.settings = log.settings.with_limits(SMALL._replace(orders=alive - 1))
    with pytest.raises(ValueError, match="refused with code"):
        log.roll(TUESDAY, OPENING_NS)
    assert log.trading_day == MONDAY and not (tmp_path / "days" / f"{TUESDAY}.new").exists()
    set_phase(lane, "continuous")
    run(lane)
    log.close()
    assert verify(tmp_path).exit_code == EXIT_GOOD


def test_a_day_whose_opening_was_interrupted_is_opened_again(tmp_path: Path) -> None:
    """The two states that a kill during the roll leaves: before the old day was ended, and after."""
    log = open_log(tmp_path)
    trade(log, 50, close=True)
    log.abandon()
    shutil.copytree(tmp_path / "days" / MONDAY, tmp_path / "killed")
    log = open_log(tmp_path, trading_day=TUESDAY)
    log.abandon()
    (tmp_path / "days" / TUESDAY).rename(tmp_path / "days" / f"{TUESDAY}.new")
    for restore in (False, True):
        if restore:
            shutil.rmtree(tmp_path / "days")
            (tmp_path / "days").mkdir()
            shutil.copytree(tmp_path / "killed", tmp_path / "days" / MONDAY)
            (tmp_path / "days" / f"{TUESDAY}.new").mkdir()
        log = open_log(tmp_path, trading_day=TUESDAY)
        assert log.recovery.unfinished_days == [f"{TUESDAY}.new"] and log.trading_day == TUESDAY
        assert any("not finished" in line for line in log.recovery.lines())
        log.close()
        assert day_folders(tmp_path) == [tmp_path / "days" / MONDAY, tmp_path / "days" / TUESDAY]
        assert verify(tmp_path).exit_code == EXIT_GOOD


def test_a_damaged_log_keeps_the_venue_from_starting_and_lets_go_of_the_lock(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    trade(log, 20)
    log.close()
    flip(segments(tmp_path)[0], 4096 + 250)
    for _ in range(2):
        with pytest.raises(Rot):
            open_log(tmp_path)
    flip(segments(tmp_path)[0], 4096 + 250)
    open_log(tmp_path).close()


def test_rules_that_give_other_events_keep_the_venue_from_starting(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    trade(log, 20)
    log.close()

    class Other(Reference):
        def run_block(self, commands: Any, payload: bytes = b"") -> Any:
            events = super().run_block(commands, payload)
            events["qty"][events["kind"] == EventKind.TRADE] += 1
            return events

    with pytest.raises(Rot, match="the rules give other events"):
        open_log(tmp_path, Other)


def test_a_day_before_that_is_not_its_own_keeps_the_venue_from_starting(tmp_path: Path) -> None:
    log = open_log(tmp_path, Echo)
    log.roll(TUESDAY, OPENING_NS)
    log.close()
    other = tmp_path / "other"
    log = open_log(other, Echo, accounts=())
    log.close()
    shutil.rmtree(tmp_path / "days" / MONDAY)
    shutil.copytree(other / "days" / MONDAY, tmp_path / "days" / MONDAY)
    with pytest.raises(Rot, match="does not follow"):
        open_log(tmp_path, Echo)


def test_one_venue_at_a_time(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    with pytest.raises(LogBusy):
        open_log(tmp_path)
    log.close()
    open_log(tmp_path).close()


def test_a_kill_between_a_new_segment_and_the_seal_of_the_old_one_is_mended(tmp_path: Path) -> None:
    log = open_log(tmp_path, Echo, segment_bytes=8 << 10)
    lane = sequencer(log)
    while len(segments(tmp_path)) < 2:
        unsealed = segments(tmp_path)[0].read_bytes()[:4096]
        set_phase(lane, "closed")
        run(lane)
    log.abandon()
    with segments(tmp_path)[0].open("r+b") as file:  # what the first page was before the roll
        file.write(unsealed)
    last_seq = log.journal.last_seq
    assert verify(tmp_path, make_matcher=Echo).exit_code == EXIT_GOOD
    log = open_log(tmp_path, Echo, segment_bytes=8 << 10)
    assert log.journal.last_seq == last_seq
    log.close()
    scan = DayScan(tmp_path / "days" / MONDAY)
    assert all(slot.state == 3 for slot in scan.segments[0].slots) and list(scan.blocks())


def test_the_first_block_follows_nothing(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.close()
    block = next(iter(DayScan(tmp_path / "days" / MONDAY).blocks()))
    assert block.header.previous == NO_DIGEST
    assert block.commands()[0]["kind"] == CommandKind.DAY_OPEN
    assert block.payload.startswith(canonical({"margined": 1, "next_trade_id": 1, "trading_day": MONDAY}))


def test_it_is_told_what_was_found(tmp_path: Path) -> None:
    open_log(tmp_path).abandon()
    log = open_log(tmp_path)
    assert isinstance(log, Log)
    assert log.recovery.lines()[:2] == [
        f"trading day {MONDAY}, epoch 2: {log.recovery.commands} commands in 2 blocks replayed",
        "the venue had not been stopped properly",
    ]
    log.close()
