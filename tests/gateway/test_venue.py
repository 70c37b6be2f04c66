"""The venue's loop without sockets: turns, durability, days, failures, and what a restart finds."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from engine.journal import JournalFailed
from engine.replay import verify
from engine.schema import CommandKind, Phase
from gateway import venue as venue_module
from gateway.accounts import create_key
from gateway.connection import Connection
from gateway.demo import DemoCalendar
from gateway.settings import load_settings
from gateway.venue import Venue
from tests.gateway.kit import said

ACCOUNTS = ({"account": "A1", "member": "M1", "owner": "A1"},)
SMALL = {"orders": 4_096, "levels": 1 << 19, "day_ids": 1 << 14, "accounts": 64}
STORY_S = 120

Story = Callable[[Venue, Connection], Awaitable[None]]


def run(data: Path, story: Story, *, sync: str = "on", close: bool = True) -> Venue:
    """Open a venue on a folder, log a trader on, and let a story happen."""
    token = data.joinpath("token")
    data.mkdir(exist_ok=True)
    if not token.exists():
        token.write_text(create_key(data, "M1", "trader", ["A1"])[1])

    async def told() -> Venue:
        async with asyncio.timeout(STORY_S):
            venue = Venue(load_settings(data=data, sync=sync, **SMALL), accounts=ACCOUNTS)
            connection = Connection(venue.desk)
            connection.receive(json.dumps({"op": "logon", "id": 0, "p": {"token": token.read_text()}}))
            said(connection)
            await story(venue, connection)
            if close:
                venue._finish()
                venue._close_log()
            return venue

    return asyncio.run(told())


def symbol_of(venue: Venue) -> str:
    first = venue.desk.directory.instruments[1]
    assert first is not None
    return first.symbol


def place(venue: Venue, connection: Connection, name: str, side: str = "buy", **more: Any) -> None:
    p = {"symbol": symbol_of(venue), "side": side, "price": "3.000", "order_qty": 5, "cl_ord_id": name, **more}
    connection.receive(json.dumps({"op": "order.place", "id": 1, "p": p}))


async def heard(connection: Connection, count: int) -> list[dict[str, Any]]:
    """Wait until as many messages have come."""
    out: list[dict[str, Any]] = []
    while len(out) < count:
        await asyncio.sleep(0)
        out += said(connection)
    return out


async def open_all(venue: Venue) -> None:
    venue.ask(CommandKind.PHASE_SET, {"symbol": "ALL", "phase": "continuous"})
    while venue.desk.waiting or venue.sequencer.in_flight or venue.sequencer.waiting:
        await asyncio.sleep(0)


@pytest.mark.parametrize("sync", ["on", "off"])
def test_order_is_answered_and_a_restart_knows_it(sync: str, tmp_path: Path) -> None:
    async def first(venue: Venue, connection: Connection) -> None:
        await open_all(venue)
        place(venue, connection, "a-1")
        answer, report = await heard(connection, 2)
        assert (answer["ev"], report["exec"]) == ("order.accepted", "accepted")
        assert venue.log.journal.durable_seq >= answer["seq"]

    async def second(venue: Venue, connection: Connection) -> None:
        connection.receive(json.dumps({"op": "order.status", "id": 1, "p": {"cl_ord_id": "a-1"}}))
        assert said(connection)[0]["status"] == "new"
        place(venue, connection, "a-1")
        assert (await heard(connection, 1))[0]["dup"] is True
        assert venue.log.recovery.clean and venue.health()["epoch"] == 2

    assert run(tmp_path / "v", first, sync=sync).exit_code == 0
    assert run(tmp_path / "v", second, sync=sync).exit_code == 0
    assert verify(tmp_path / "v").exit_code == 0


def test_nothing_is_told_before_the_sync_has_come_back(tmp_path: Path) -> None:
    async def story(venue: Venue, connection: Connection) -> None:
        await open_all(venue)
        venue._turn_ns = venue_module.QUICK_TURN_NS  # so that the sync thread syncs
        disk = venue.log.journal._disk
        sync, held = disk.sync, asyncio.Event()
        loop = asyncio.get_running_loop()

        def hold(fd: int) -> None:
            asyncio.run_coroutine_threadsafe(held.wait(), loop).result()
            sync(fd)

        disk.sync = hold  # type: ignore[method-assign]
        place(venue, connection, "a-1")
        for _ in range(50):
            await asyncio.sleep(0)
        assert said(connection) == [] and venue.sequencer.in_flight == 1
        assert venue.desk.reports.live(1) == [], "the edges do not know it either"
        held.set()
        assert (await heard(connection, 2))[0]["ev"] == "order.accepted"
        disk.sync = sync  # type: ignore[method-assign]

    run(tmp_path / "v", story)


def test_idle_venue_with_a_quick_disk_answers_within_the_turn_and_after_the_sync(tmp_path: Path) -> None:
    async def story(venue: Venue, connection: Connection) -> None:
        await open_all(venue)
        for _ in range(3):
            await asyncio.sleep(0)
        venue._turn_ns = 0
        disk, told = venue.log.journal._disk, []
        disk.sync = lambda fd: told.append(said(connection))  # type: ignore[method-assign]
        place(venue, connection, "a-1")
        assert told == [[]], "nothing was said when the sync was asked for"
        assert [one["ev"] for one in said(connection)] == ["order.accepted", "exec"]
        del disk.sync

    run(tmp_path / "v", story)


def test_slow_disk_is_left_to_the_other_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venue_module, "QUICK_TURN_NS", 100)

    async def story(venue: Venue, connection: Connection) -> None:
        await open_all(venue)
        for _ in range(3):
            await asyncio.sleep(0)
        venue._turn_ns = 99
        place(venue, connection, "a-1")
        assert len(said(connection)) == 2 and venue._turn_ns > 100
        for _ in range(3):
            await asyncio.sleep(0)
        place(venue, connection, "a-2")
        assert said(connection) == []
        assert len(await heard(connection, 2)) == 2

    run(tmp_path / "v", story)


@pytest.mark.parametrize("idle", [False, True])
@pytest.mark.parametrize("broken", ["write", "sync"])
def test_failed_disk_stops_the_venue_without_an_answer(
    broken: str, idle: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An idle venue prepares the answer while the disk is at work: it must not go out either."""

    async def story(venue: Venue, connection: Connection) -> None:
        await open_all(venue)
        if idle:
            for _ in range(3):
                await asyncio.sleep(0)
            venue._turn_ns = 0

        def fail(*_: Any) -> int:
            raise OSError(28, "No space left on device")

        setattr(venue.log.journal._disk, broken, fail)
        place(venue, connection, "a-1")
        await venue.stopped.wait()
        assert said(connection) == []
        place(venue, connection, "a-2")
        assert [one["code"] for one in said(connection)] == ["BUSY"]

    venue = run(tmp_path / "v", story)
    assert venue.exit_code == 1
    assert "without acknowledging" in caplog.text and "No space left" in caplog.text


def test_broken_invariant_stops_the_venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(venue: Venue, connection: Connection) -> None:
        await open_all(venue)

        def fall_over(*_: Any) -> None:
            raise AssertionError("planted")

        monkeypatch.setattr(venue.publisher, "on_block", fall_over)
        place(venue, connection, "a-1")
        await venue.stopped.wait()

    assert run(tmp_path / "v", story).exit_code == 1


def test_rows_of_one_pass_after_the_first_share_a_block(tmp_path: Path) -> None:
    async def story(venue: Venue, connection: Connection) -> None:
        await open_all(venue)
        venue._publish()
        blocks: list[int] = []
        on_block = venue.publisher.on_block

        def note(commands: Any, payload: bytes, events: Any) -> None:
            blocks.append(len(commands))
            on_block(commands, payload, events)

        venue.publisher.on_block = note  # type: ignore[method-assign]
        await asyncio.sleep(0)
        for number in range(100):
            place(venue, connection, f"a-{number}")
        answers = [one for one in await heard(connection, 200) if "id" in one]
        assert [one["cl_ord_id"] for one in answers] == [f"a-{number}" for number in range(100)]
        venue._publish()
        assert blocks == [1, 99]

    run(tmp_path / "v", story)


def test_new_day_restates_what_is_left_and_old_ids_are_free(tmp_path: Path) -> None:
    async def story(venue: Venue, connection: Connection) -> None:
        await open_all(venue)
        place(venue, connection, "gtc", time_in_force="gtc")
        place(venue, connection, "day")
        await heard(connection, 4)
        with pytest.raises(ValueError, match="open"):
            await venue.open_day("2099-01-05")
        venue.ask(CommandKind.PHASE_SET, {"symbol": "ALL", "phase": "closed"})
        (gone,) = await heard(connection, 1)
        assert (gone["exec"], gone["cl_ord_id"]) == ("expired", "day")
        for wrong in ("2000-01-01", "2099-02-30"):
            with pytest.raises(ValueError):
                await venue.open_day(wrong)
        events = await venue.open_day("2099-01-05")
        assert (events[0]["ev"], events[0]["trading_day"], events[-1]["ev"]) == (
            "day.opened",
            "2099-01-05",
            "day.started",
        )
        assert venue.desk.trading_day() == "2099-01-05"
        connection.receive(json.dumps({"op": "order.mass_status", "id": 5}))
        assert [one["cl_ord_id"] for one in said(connection)[0]["orders"]] == ["gtc"]
        await open_all(venue)
        place(venue, connection, "day")
        assert (await heard(connection, 2))[0]["ev"] == "order.accepted"

    assert run(tmp_path / "v", story).exit_code == 0
    assert verify(tmp_path / "v").exit_code == 0


async def settled(venue: Venue) -> None:
    """Wait until nothing is on its way."""
    while venue.desk.waiting or venue.sequencer.in_flight or venue.sequencer.waiting:
        await asyncio.sleep(0)


def test_order_of_a_date_expires_when_its_time_has_come_and_not_before(tmp_path: Path) -> None:
    far = 4_000_000_000_000_000

    async def first(venue: Venue, connection: Connection) -> None:
        await open_all(venue)
        soon = time.time_ns() // 1000 + 100_000
        for name, end in (("g-1", soon), ("g-2", far), ("g-3", far)):
            place(venue, connection, name, time_in_force="gtd", expire_time=end)
        amend = {"op": "order.amend", "id": 2, "p": {"cl_ord_id": "g-3", "expire_time": far + 5}}
        connection.receive(json.dumps(amend))
        await heard(connection, 8)
        seq = venue.health()["seq"]
        venue._tell_time(soon * 1000 - 1)
        await settled(venue)
        assert venue.health()["seq"] == seq, "no tick while nothing is due"
        while venue.desk.reports.next_expiry() != far * 1000:
            venue._tell_time(time.time_ns())
            await settled(venue)
            await asyncio.sleep(0)
        (gone,) = await heard(connection, 1)
        assert (gone["exec"], gone["cl_ord_id"], gone["status"]) == ("expired", "g-1", "expired")

    async def second(venue: Venue, connection: Connection) -> None:
        connection.receive(json.dumps({"op": "order.mass_status", "id": 9}))
        orders = said(connection)[0]["orders"]
        assert [(one["cl_ord_id"], one["expire_time"]) for one in orders] == [("g-2", far), ("g-3", far + 5)]
        assert venue.desk.reports.next_expiry() == far * 1000

    run(tmp_path / "v", first)
    run(tmp_path / "v", second)
    assert verify(tmp_path / "v").exit_code == 0


def test_venue_ends_a_reopening_call_with_its_uncross(tmp_path: Path) -> None:
    async def story(venue: Venue, connection: Connection) -> None:
        await open_all(venue)
        symbol = symbol_of(venue)
        for phase in ("halted", "pre_open"):
            venue.ask(CommandKind.PHASE_SET, {"symbol": symbol, "phase": phase})
            await settled(venue)
        found = venue.desk.directory.instrument(symbol)
        assert found is not None
        venue.calls.begin(symbol, found.phase_seq, 100.0, 5)
        place(venue, connection, "a-1")
        place(venue, connection, "a-2", "sell", smp="none")
        assert {one["exec"] for one in await heard(connection, 4) if one["ev"] == "exec"} == {"accepted"}
        calendar = DemoCalendar()
        venue._step_phases(100.0, calendar)
        venue._step_phases(104.9, calendar)
        await settled(venue)
        assert found.phase is Phase.PRE_OPEN
        venue._step_phases(105.0, calendar)
        trades = await heard(connection, 2)
        assert all(one["exec"] == "trade" and one["auction"] for one in trades)
        assert found.phase is Phase.CONTINUOUS and found.why == "the re-opening call ends"
        venue._step_phases(200.0, calendar)
        await settled(venue)
        assert found.phase is Phase.CONTINUOUS and venue.calls.held() == frozenset()

    run(tmp_path / "v", story)


def test_demonstration_opens_all_instruments_with_an_auction(tmp_path: Path) -> None:
    async def story(venue: Venue, _connection: Connection) -> None:
        await settled(venue)
        calendar, seen = DemoCalendar(), []
        for quarter in range(80):
            venue._step_phases(quarter / 4, calendar)
            await settled(venue)
            phases = {one.phase for one in venue.desk.directory.listed()}
            assert len(phases) == 1, "all of them together"
            seen += [phase for phase in phases if phase not in seen]
        assert seen == [Phase.PRE_OPEN, Phase.NO_CANCEL, Phase.OPENING_AUCTION, Phase.CONTINUOUS]

    run(tmp_path / "v", story)


def test_orders_of_cancel_on_disconnect_clients_go_at_a_clean_stop(tmp_path: Path) -> None:
    async def first(venue: Venue, connection: Connection) -> None:
        await open_all(venue)
        connection.cancel_on_disconnect = True
        place(venue, connection, "a-1")
        await heard(connection, 2)

    async def second(venue: Venue, connection: Connection) -> None:
        connection.receive(json.dumps({"op": "order.status", "id": 1, "p": {"cl_ord_id": "a-1"}}))
        assert said(connection)[0]["status"] == "canceled"

    run(tmp_path / "v", first)
    run(tmp_path / "v", second)


def test_venue_that_was_not_stopped_is_found_whole(tmp_path: Path) -> None:
    async def first(venue: Venue, connection: Connection) -> None:
        await open_all(venue)
        place(venue, connection, "a-1")
        await heard(connection, 2)
        venue.log.abandon()

    async def second(venue: Venue, connection: Connection) -> None:
        assert not venue.log.recovery.clean
        connection.receive(json.dumps({"op": "order.status", "id": 1, "p": {"cl_ord_id": "a-1"}}))
        assert said(connection)[0]["status"] == "new"

    run(tmp_path / "v", first, close=False)
    run(tmp_path / "v", second)


def test_log_that_cannot_be_closed_properly_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(venue: Venue, connection: Connection) -> None:
        def fail() -> None:
            raise JournalFailed("planted")

        close = venue.log.close
        monkeypatch.setattr(venue.log, "close", lambda: (close(), fail()))

    assert run(tmp_path / "v", story).exit_code == 1


def test_python_without_assertions_is_refused(tmp_path: Path) -> None:
    program = (
        "from gateway.settings import load_settings; from gateway.venue import serve; "
        f"raise SystemExit(serve(load_settings(data={str(tmp_path)!r}, port=0)))"
    )
    done = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "-O" in done.stderr
    assert list(tmp_path.iterdir()) == []
