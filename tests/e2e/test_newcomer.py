"""The first hour of the three users, with real processes: the exchange, its bots, and the commands people type."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import cashew
from cashew.client import Client
from cashew.messages import Auction, Execution

pytestmark = pytest.mark.e2e

SYMBOL = "W320F"
START_S = 120
STORY_S = 150


class House:
    """A demonstration venue in a process of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.url = ""
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, *options: str, port: int = 0) -> None:
        command = [sys.executable, "-m", "cashew", "serve", "--data", str(self.data), "--port", str(port), *options]
        if port:
            command += ["--md-port", "0"]
        self.process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert self.process.stdout is not None
        async with asyncio.timeout(START_S):
            banner = (await self.process.stdout.readline()).decode()
        found = re.search(r"http://[^/]+", banner)
        assert found is not None, f"the first line names the address: {banner!r}"
        self.url = found.group(0)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def key(self, name: str) -> str:
        return str(self.data / "keys.d" / f"{name}.key")

    async def end(self, number: int) -> int:
        """Send a signal and wait for the end; the pipe closes only when the bots, who share it, have ended as well."""
        process = self.process
        assert process is not None
        assert process.stdout is not None
        self.process = None
        process.send_signal(number)
        async with asyncio.timeout(30):
            await process.stdout.read()
            return await process.wait()


@asynccontextmanager
async def house(data: Path, *options: str) -> AsyncIterator[House]:
    venue = House(data)
    try:
        await venue.start(*options)
        yield venue
    finally:
        if venue.process is not None:
            await venue.end(signal.SIGKILL)


async def run(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Run a `cashew` command with --json; its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cashew",
        *arguments,
        "--json",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, [json.loads(line) for line in out.splitlines()]


async def phase_of(client: Client, symbol: str, phase: str) -> None:
    """Wait until an instrument is in a phase."""
    async for change in await client.watch_status(symbol):
        if change.phase == phase:
            return


async def uncrossed(client: Client, symbol: str) -> Auction:
    """Wait until an instrument's call has been uncrossed."""
    async for auction in await client.watch_auction(symbol):
        if auction.state == "uncrossed":
            return auction
    raise AssertionError("the stream ended")


async def trade_with_each_other(alice: Client, bob: Client, symbol: str) -> int:
    """Let one buy from the other, at a price between the bots' quotes; the id of the trade both have seen."""
    books = await alice.watch_book(symbol)
    async for book in books:
        if book.best_bid is None or book.best_ask is None:
            continue
        ours, theirs = alice.executions(), bob.executions()
        ask = book.tick.ticks(book.best_ask.price)
        assert ask is not None
        price = book.tick.text(ask - 1)
        order = await alice.place(symbol, "buy", 3, price=price)
        await bob.place(symbol, "sell", 3, price=price, time_in_force="ioc")
        await asyncio.gather(alice.ping(), bob.ping())
        seen = [
            {one.trade_id for one in stream.take_waiting() if isinstance(one, Execution)} for stream in (ours, theirs)
        ]
        ours.close()
        theirs.close()
        common = (seen[0] & seen[1]) - {0}
        if common:
            return common.pop()
        if (await alice.status(order.cl_ord_id)).is_live:
            await alice.cancel(order.cl_ord_id)
    raise AssertionError("the book ended")


def test_three_users_on_one_evening(tmp_path: Path) -> None:
    async def story() -> None:
        async with asyncio.timeout(STORY_S), house(tmp_path / "venue", "--demo") as venue:
            operator = ("--key", venue.key("operator"), "--url", venue.url)
            async with (
                cashew.connect(venue.url, key=venue.key("alice"), timeout=30) as alice,
                cashew.connect(venue.url, key=venue.key("bob")) as bob,
            ):
                await alice.market.open()
                symbol = next(name for name in alice.market.instruments if name.startswith(SYMBOL))
                # The day opens with an auction, in which the bots' orders trade at one price.
                opening = await uncrossed(alice, symbol)
                await phase_of(alice, symbol, "continuous")
                assert opening.qty > 0
                first = await anext(await alice.watch_trades(symbol))
                assert (first.auction, first.price) == (True, opening.price)

                # Two traders trade with each other, and the public sees it.
                trade_id = await trade_with_each_other(alice, bob, symbol)
                public = await alice.watch_trades(symbol)
                async for trade in public:
                    if trade.trade_id == trade_id:
                        break

                # A trader's key does not halt; an operator's does, and nobody can place an order.
                halt = ("session", "halt", symbol, "--why", "a drill")
                code, lines = await run(*halt, "--key", venue.key("alice"), "--url", venue.url)
                assert (code, lines[0]["code"]) == (1, "NOT_PERMITTED")
                code, lines = await run(*halt, *operator)
                assert (code, [line["phase"] for line in lines]) == (0, ["halted"])
                code, lines = await run(
                    "order", "buy", symbol, "1", "@", "3.000", "--key", venue.key("bob"), "--url", venue.url
                )
                assert (code, lines[0]["code"], lines[0]["fate"]) == (1, "PHASE", "not_done")

                # After the resume the bots trade on.
                await phase_of(bob, symbol, "halted")
                await phase_of(alice, symbol, "halted")
                public.take_waiting()
                code, lines = await run("session", "resume", symbol, "--why", "over", "--call", "3", *operator)
                assert (code, lines[0]["phase"]) == (0, "pre_open")
                await phase_of(alice, symbol, "continuous")
                await anext(public)

                # A good-till-canceled order outlives a killed exchange, and so does its client.
                order = await alice.place(symbol, "buy", 1, price="2.000", time_in_force="gtc", cl_ord_id="keep-1")
                assert await venue.end(signal.SIGKILL) == -signal.SIGKILL
                await venue.start("--demo", port=venue.port)
                kept = await alice.status("keep-1")
                assert (kept.order_id, kept.leaves_qty, kept.status) == (order.order_id, 1, "new")
                again = await alice.place(symbol, "buy", 9, price="2.000", cl_ord_id="keep-1")
                assert (again.dup, again.order_id) == (True, order.order_id)
                await phase_of(alice, symbol, "continuous")
                await trade_with_each_other(alice, bob, symbol)

                # Ctrl-C ends it; the auditor needs no server.
                assert await venue.end(signal.SIGINT) == 0
            code, lines = await run("verify", str(venue.data))
            assert (code, lines[0]["ok"]) == (0, True)
            code, lines = await run("replay", str(venue.data), "--book", symbol)
            assert code == 0
            assert [line["symbol"] for line in lines] == [symbol]

    asyncio.run(story())


def test_venue_of_ones_own_is_set_up_from_the_command_line(tmp_path: Path) -> None:
    async def story() -> None:
        data, keys = tmp_path / "venue", tmp_path
        for member, options in (("EXCHANGE", ["--role", "operator"]), ("M1", ["--account", "A1"])):
            made = ("keys", "create", member, *options, "--data", str(data), "--out", str(keys / f"{member}.key"))
            assert (await run(*made))[0] == 0
        async with asyncio.timeout(STORY_S), house(data) as venue:
            operator = ("--key", str(keys / "EXCHANGE.key"), "--url", venue.url)
            trader = ("--key", str(keys / "M1.key"), "--url", venue.url)
            code, lines = await run("instruments", "--url", venue.url)
            symbol = lines[0]["symbol"]
            assert {line["phase"] for line in lines} == {"closed"}
            assert (await run("new-account", "A1", "--member", "M1", *operator))[0] == 0
            assert (await run("session", "open", "ALL", "--why", "morning", *operator))[0] == 0
            code, lines = await run("order", "buy", symbol, "1", "@", "2.500", "--tif", "gtc", "--id", "a-1", *trader)
            assert (code, lines[0]["status"]) == (0, "new")
            code, lines = await run("order", "sell", symbol, "1", "@", "2.500", "--smp", "none", *trader)
            assert (code, [line.get("last_px") for line in lines]) == (0, [None, "2.500"])
            code, lines = await run("session", "close", "ALL", "--why", "evening", *operator)
            assert (code, {line["phase"] for line in lines if line["ev"] == "phase.changed"}) == (0, {"closed"})
            code, lines = await run("new-day", "2030-01-02", "--why", "another day", *operator)
            assert code == 0
            assert await venue.end(signal.SIGTERM) == 0
        code, lines = await run("verify", str(data))
        assert (code, len(lines[0]["days"])) == (0, 2)

    asyncio.run(story())


def test_margin_and_kill_switch_bind_from_the_command_line_over_night(tmp_path: Path) -> None:
    """R73, R74, R77: without collateral nobody trades once a margin exists; a switch takes the orders off."""

    async def story() -> None:
        data, keys = tmp_path / "venue", tmp_path
        for member, options in (("EXCHANGE", ["--role", "operator"]), ("M1", ["--account", "A1", "--account", "A2"])):
            made = ("keys", "create", member, *options, "--data", str(data), "--out", str(keys / f"{member}.key"))
            assert (await run(*made))[0] == 0
        async with asyncio.timeout(STORY_S), house(data) as venue:
            operator = ("--key", str(keys / "EXCHANGE.key"), "--url", venue.url)
            trader = ("--key", str(keys / "M1.key"), "--url", venue.url)

            async def pull(op: str, **terms: Any) -> dict[str, Any]:
                code, lines = await run("act", op, json.dumps(terms), "--why", "test", *operator)
                assert code == 0, lines
                return lines[0]

            async def buy(lots: int, *more: str) -> list[dict[str, Any]]:
                return (await run("order", "buy", symbol, str(lots), "@", "2.500", *more, *trader))[1]

            symbol = (await run("instruments", "--url", venue.url))[1][0]["symbol"]
            assert (await run("new-account", "A1", "--member", "M1", "--ccy", "USD", *operator))[0] == 0
            assert (await run("new-account", "A2", "--member", "M1", *operator))[0] == 0
            assert (await run("session", "open", "ALL", "--why", "morning", *operator))[0] == 0
            assert (await buy(1, "--account", "A1", "--tif", "gtc"))[0]["status"] == "new"
            await pull("fixing.set", date="2026-11-23", ccy="USD", per="USD", rate="100")
            await pull("margin.set", symbol=symbol, ccy="USD", per_lot=50_000)
            for account in ("A1", "A2"):
                (refused,) = await buy(1, "--account", account)
                assert refused["code"] == "MARGIN"
            assert (await pull("collateral.set", account="A1", amount=150_000))["ev"] == "collateral.set"
            assert (await buy(2, "--account", "A1", "--tif", "gtc", "--id", "kept"))[0]["status"] == "new"
            assert (await buy(1, "--account", "A1"))[0]["code"] == "MARGIN"
            assert (await run("session", "close", "ALL", "--why", "evening", *operator))[0] == 0
            assert (await run("new-day", "2030-01-02", "--why", "another day", *operator))[0] == 0
            assert (await run("session", "open", "ALL", "--why", "morning", *operator))[0] == 0
            for account in ("A1", "A2"):
                assert (await buy(1, "--account", account))[0]["code"] == "MARGIN"
            await pull("kill.set", member="M1", on=1)
            assert (await buy(1, "--account", "A1"))[0]["code"] == "KILLED_MEMBER"
            await pull("kill.set", member="M1", on=0)
            # The switch took both orders off, and with them what was held.
            assert (await buy(3, "--account", "A1"))[0]["status"] == "new"
            assert await venue.end(signal.SIGTERM) == 0
        code, lines = await run("verify", str(data))
        assert (code, len(lines[0]["days"])) == (0, 2)

    asyncio.run(story())


def test_address_in_use_and_second_venue_on_one_log_are_one_sentence(tmp_path: Path) -> None:
    async def story() -> None:
        async with asyncio.timeout(STORY_S), house(tmp_path / "venue") as venue:
            code, _ = await run_plain("serve", "--data", str(tmp_path / "other"), "--port", str(venue.port))
            assert code == (1, True)
            code, _ = await run_plain("serve", "--data", str(venue.data), "--port", "0")
            assert code == (1, True)

    asyncio.run(story())


async def run_plain(*arguments: str) -> tuple[tuple[int, bool], str]:
    """Run a command for people: its exit code, whether it said one sentence and no traceback, and what."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cashew", *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    text = err.decode()
    assert process.returncode is not None
    return (process.returncode, "cashew: " in text and "Traceback" not in text), text
