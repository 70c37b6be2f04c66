"""Order entry over real sockets against a real exchange: trading, restarts, operators, bad clients, the end."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from engine.replay import verify
from tests.exchange import SYMBOL, Exchange
from tests.gateway.serving import masked
from tests.gateway.test_malformed import CLOSING, KINDS, mixed

pytestmark = pytest.mark.e2e

STORY_S = 120
MIXED = 3_000
NIGHTLY_MIXED = 10_000
MIB = 1 << 20


def run(story: Any) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(STORY_S):
            await story

    asyncio.run(bounded())


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    venue = Exchange(tmp_path / "venue")
    venue.add_trader("M1", "A1")
    venue.add_trader("M2", "A2")
    with venue:
        venue.define(A1="M1", A2="M2")
        yield venue


@asynccontextmanager
async def client(venue: Exchange, member: str, **p: Any) -> AsyncIterator[ClientConnection]:
    async with connect(venue.socket_url, compression=None, proxy=None) as socket:
        await socket.send(json.dumps({"op": "logon", "id": 0, "p": {"token": venue.tokens[member], **p}}))
        assert json.loads(await socket.recv())["ok"]
        yield socket


def order(name: str, side: str = "buy", price: str = "3.00", qty: int = 5, **more: Any) -> dict[str, Any]:
    return {"symbol": SYMBOL, "side": side, "price": price, "order_qty": qty, "cl_ord_id": name, **more}


async def ask(
    socket: ClientConnection, op: str, request_id: int, **p: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Send a request; its answer, and the private events that came before it."""
    await socket.send(json.dumps({"op": op, "id": request_id, "p": p}))
    events: list[dict[str, Any]] = []
    while True:
        message = json.loads(await socket.recv())
        if message.get("id") == request_id:
            return message, events
        events.append(message)


async def execs(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    while len(out) < count:
        message = json.loads(await socket.recv())
        if message["ev"] == "exec":
            out.append(message)
    return out


def test_two_clients_trade_and_a_repeated_id_is_answered_before_and_after_a_restart(exchange: Exchange) -> None:
    placed: dict[str, Any] = {}

    async def before() -> None:
        async with client(exchange, "M1") as one, client(exchange, "M2") as two:
            first, _ = await ask(one, "order.place", 1, **order("a-1"))
            placed.update(first)
            await execs(one, 1)
            _, _ = await ask(two, "order.place", 1, **order("b-1", "sell", qty=3))
            (heard,) = await execs(one, 1)
            assert (heard["exec"], heard["last_qty"], heard["leaves_qty"], heard["aggressor"]) == ("trade", 3, 2, False)
            again, _ = await ask(one, "order.place", 2, **order("a-1", qty=99))
            assert (again["dup"], again["order_id"], again["status"]) == (True, first["order_id"], "partially_filled")

    run(before())
    assert exchange.end() == 0
    exchange.start()

    async def after() -> None:
        async with client(exchange, "M1") as one:
            again, _ = await ask(one, "order.place", 3, **order("a-1"))
            assert (again["ok"], again["dup"], again["order_id"]) == (True, True, placed["order_id"])
            state, _ = await ask(one, "order.status", 4, cl_ord_id="a-1")
            assert (state["status"], state["leaves_qty"], state["cum_qty"]) == ("partially_filled", 2, 3)
            canceled, _ = await ask(one, "order.cancel", 5, cl_ord_id="a-1")
            assert (canceled["ok"], canceled["canceled_qty"]) == (True, 2)

    run(after())
    assert exchange.end() == 0 and verify(exchange.data).exit_code == 0


def test_operator_halts_and_traders_are_refused_that(exchange: Exchange) -> None:
    halt = {"action": "halt", "symbol": SYMBOL, "why": "fire in a warehouse"}
    assert exchange.post("/operator/session", halt, "M1")[0] == 403
    assert exchange.post("/operator/session", halt)[0] == 200

    async def story() -> None:
        async with client(exchange, "M1") as one:
            refused, _ = await ask(one, "order.place", 1, **order("a-1"))
            assert (refused["ok"], refused["code"], refused["rule"]) == (False, "PHASE", "R9")
            assert exchange.post("/operator/session", {**halt, "action": "resume", "call_seconds": 1})[0] == 200
            assert exchange.get("/health")["phases"][SYMBOL] == "pre_open"
            assert (await ask(one, "order.place", 2, **order("a-1")))[0]["ok"]
            assert (await ask(one, "order.place", 3, **order("a-2", "sell", smp="none")))[0]["ok"]
            traded = [event for event in await execs(one, 3) if event["exec"] == "trade"]
            assert [event["auction"] for event in traded] == [True, True], "the call ends by itself"

    run(story())
    assert exchange.get("/health")["phases"][SYMBOL] == "continuous"


def test_stop_and_iceberg_outlive_a_killed_exchange(exchange: Exchange) -> None:
    async def before() -> None:
        async with client(exchange, "M1") as one:
            stop = order("s-1", "buy", "3.05", ord_type="stop_limit", stop_price="3.02", time_in_force="gtc")
            assert (await ask(one, "order.place", 1, **stop))[0]["inactive"] is True
            iceberg = order("i-1", "sell", "3.01", qty=9, display_qty=4, time_in_force="gtc")
            assert (await ask(one, "order.place", 2, **iceberg))[0]["display_qty"] == 4

    run(before())
    exchange.end(signal.SIGKILL)
    exchange.start()

    async def after() -> None:
        async with client(exchange, "M1") as one, client(exchange, "M2") as two:
            state, _ = await ask(one, "order.status", 1, cl_ord_id="s-1")
            assert (state["ord_type"], state["stop_price"], state["inactive"]) == ("stop_limit", "3.02", True)
            assert (await ask(two, "order.place", 1, **order("b-1", "buy", "3.01", qty=6)))[0]["ok"]
            told = [event["exec"] for event in await execs(one, 3)]
            assert told == ["trade", "refreshed", "trade"]
            assert (await ask(two, "order.place", 2, **order("b-2", "sell", "3.02", qty=2)))[0]["ok"]
            assert (await ask(two, "order.place", 3, **order("b-3", "buy", "3.02", qty=5, smp="none")))[0]["ok"]
            told = [(event["cl_ord_id"], event["exec"]) for event in await execs(one, 4)]
            assert told == [("i-1", "trade"), ("i-1", "refreshed"), ("i-1", "trade"), ("s-1", "triggered")]

    run(after())
    assert exchange.end() == 0 and verify(exchange.data).exit_code == 0


async def misbehave(exchange: Exchange, seed: int, count: int, stop: asyncio.Event | None = None) -> tuple[int, int]:
    """Send malformed frames of every kind, most of them answered, some to be closed for; how many of each."""
    answered = closed = 0
    # Closing kinds are one in a hundred, as with a client that is broken rather than hostile.
    frames = mixed(seed, count, tuple(kind for kind in KINDS if kind not in CLOSING) * 5 + tuple(CLOSING))
    pending = next(frames, None)
    while pending is not None:
        async with client(exchange, "M2") as bad:
            while pending is not None:
                kind, frame, code = pending
                pending = next(frames, None)
                if kind == "wrong_utf8":
                    assert isinstance(frame, bytes)
                    bad.transport.write(masked(1, frame))
                else:
                    await bad.send(frame)
                if code is None:
                    with pytest.raises(ConnectionClosed) as end:
                        await bad.recv()
                    assert end.value.rcvd is not None and end.value.rcvd.code == CLOSING[kind]
                    closed += 1
                    break
                answer = json.loads(await bad.recv())
                assert (answer["ev"], answer["code"]) == ("error", code), (kind, frame[:200])
                answered += 1
    if stop is not None:
        stop.set()
    return answered, closed


@pytest.mark.parametrize("count", [MIXED, pytest.param(NIGHTLY_MIXED, marks=pytest.mark.nightly)])
def test_malformed_frames_disturb_nobody_and_leak_nothing(count: int, exchange: Exchange) -> None:
    """No wrong answer, no lost event for the one who trades meanwhile; memory no longer grows in the second half."""
    assert exchange.process is not None
    process = psutil.Process(exchange.process.pid)

    async def trade(seed: int, stop: asyncio.Event) -> int:
        done = 0
        async with client(exchange, "M1") as good, client(exchange, "M1") as watcher:
            while not stop.is_set():
                done += 1
                name = f"a-{seed}-{done}"
                answer, _ = await ask(good, "order.place", 2 * done, **order(name, price="2.50"))
                assert (answer["ok"], answer["ev"], answer["cl_ord_id"]) == (True, "order.accepted", name)
                answer, _ = await ask(good, "order.cancel", 2 * done + 1, cl_ord_id=name)
                assert answer["ev"] == "order.canceled"
                heard = await execs(watcher, 2)
                assert [(one["exec"], one["cl_ord_id"]) for one in heard] == [("accepted", name), ("canceled", name)]
        return done

    async def half(seed: int) -> tuple[int, int, int]:
        stop = asyncio.Event()
        (answered, closed), traded = await asyncio.gather(
            misbehave(exchange, seed, count // 2, stop), trade(seed, stop)
        )
        return answered, closed, traded

    async def story() -> None:
        first = await half(1)
        size = process.memory_info().rss
        second = await half(2)
        grown = process.memory_info().rss - size
        answered, closed = first[0] + second[0], first[1] + second[1]
        assert answered + closed == count and closed <= count // 100, "closes are the exception"
        assert min(first[2], second[2]) > 10, "somebody traded all the while"
        assert grown <= 10 * MIB, f"memory grew by {grown / MIB:.1f} MiB"
        beside = f"{first[2] + second[2]} orders placed and canceled beside"
        print(f"{answered} answered, {closed} closed, {beside}, {grown / MIB:+.1f} MiB")

    run(story())
    assert exchange.end() == 0 and verify(exchange.data).exit_code == 0


def test_slow_reader_is_closed_with_4008_and_others_trade_on(exchange: Exchange) -> None:
    async def story() -> None:
        async with client(exchange, "M1") as slow, client(exchange, "M1") as busy:
            slow.transport.pause_reading()
            for number in range(40_000):
                await busy.send(json.dumps({"op": "ping", "id": number}))
                await busy.recv()
                if number % 64 == 0:
                    names = [f"s-{number}-{turn}" for turn in range(64)]
                    for turn, name in enumerate(names):
                        await busy.send(json.dumps({"op": "order.place", "id": number + turn, "p": order(name)}))
                    heard = 0
                    while heard < 128:
                        heard += json.loads(await busy.recv())["ev"] in ("order.accepted", "exec")
                    await ask(busy, "order.mass_cancel", number)
                    if exchange.get("/health")["connections"] == 1:
                        break
            slow.transport.resume_reading()
            with pytest.raises(ConnectionClosed) as end:
                while True:
                    await slow.recv()
            assert end.value.rcvd is not None and end.value.rcvd.code == 4008

    run(story())


def test_clean_stop_answers_what_was_asked_and_says_1012(exchange: Exchange) -> None:
    async def story() -> None:
        async with client(exchange, "M1") as one:
            for number in range(200):
                await one.send(json.dumps({"op": "order.place", "id": number, "p": order(f"a-{number}")}))
            first = json.loads(await one.recv())
            assert first["id"] == 0 and exchange.process is not None
            exchange.process.send_signal(signal.SIGINT)
            told: dict[int, str] = {0: first["ev"]}
            with pytest.raises(ConnectionClosed) as end:
                while True:
                    message = json.loads(await one.recv())
                    if "id" in message:
                        told[message["id"]] = message["ev"] if message["ok"] else message["code"]
            assert end.value.rcvd is not None and end.value.rcvd.code == 1012
            assert set(told.values()) <= {"order.accepted", "BUSY"}
            accepted.update(number for number, what in told.items() if what == "order.accepted")

    accepted: set[int] = set()
    run(story())
    assert exchange.process is not None and exchange.process.wait(30) == 0
    exchange.end()
    assert verify(exchange.data).exit_code == 0
    exchange.start()

    async def after() -> None:
        async with client(exchange, "M1") as one:
            live, _ = await ask(one, "order.mass_status", 1)
            assert {int(one["cl_ord_id"][2:]) for one in live["orders"]} == accepted

    run(after())
