"""The bots as a whole, against a stand-in exchange: they trade, come back, and leave cleanly."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from cashew.bots import read_keys, run
from tests.cashew.conftest import write_key
from tests.cashew.fake_exchange import FakeExchange, crc, fake_exchange

SYMBOL = "W320F2703"


def give_market(exchange: FakeExchange) -> None:
    head = {"symbol": SYMBOL, "type": "snapshot", "seq": 5, "prev": 0}
    bids, asks = [["2.995", 10, 2]], [["3.005", 7, 1]]
    exchange.snapshots = {
        ("book", SYMBOL): {"ev": "book", **head, "bids": bids, "asks": asks, "crc": crc([(599, 10)], [(601, 7)])},
        ("status", SYMBOL): {"ev": "status", **head, "phase": "continuous", "reason": None},
    }


async def until(exchange: FakeExchange, orders: int) -> None:
    while sum(request["op"] == "order.place" for request in exchange.received) < orders:
        await asyncio.sleep(0.001)


def test_bots_trade_come_back_and_leave(tmp_path: Path) -> None:
    write_key(tmp_path / "maker-1.key", "alice-secret")
    write_key(tmp_path / "taker-1.key", "alice-secret")

    async def play() -> int:
        async with asyncio.timeout(20), fake_exchange() as exchange:
            give_market(exchange)
            stop = asyncio.Event()
            bots = asyncio.create_task(run(exchange.url, tmp_path, rate=2000.0, stop=stop))
            await until(exchange, 12)
            sent = [request["p"] for request in exchange.received if request["op"] == "order.place"]
            assert {order.get("time_in_force", "day") for order in sent} == {"day", "ioc"}
            exchange.cut()
            await until(exchange, 24)
            stop.set()
            code = await bots
            assert exchange.received[-1]["op"] == "order.mass_cancel"
            return code

    assert asyncio.run(play()) == 0


def test_bots_wait_for_an_exchange_that_is_not_there_yet(tmp_path: Path) -> None:
    write_key(tmp_path / "maker-1.key", "alice-secret")

    async def play() -> int:
        async with fake_exchange() as exchange:
            url = exchange.url
        stop = asyncio.Event()
        bots = asyncio.create_task(run(url, tmp_path, stop=stop))
        await asyncio.sleep(0.05)
        assert not bots.done()
        stop.set()
        return await bots

    assert asyncio.run(play()) == 0


def test_no_keys_is_a_clear_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncio.run(run("http://127.0.0.1:1", tmp_path)) == 1
    assert "no traders' key files" in capsys.readouterr().err


def test_keys_are_dealt_by_name_or_by_turns(tmp_path: Path) -> None:
    for name in ("bot-maker-1", "bot-taker-1", "alice"):
        write_key(tmp_path / f"{name}.key", "secret")
    (tmp_path / "operator.key").write_text('{"token": "x", "role": "operator"}')
    makers, takers = read_keys(tmp_path)
    assert ([path.stem for path in makers], [path.stem for path in takers]) == (["bot-maker-1"], ["bot-taker-1"])
    for name in ("bot-maker-1", "bot-taker-1"):
        (tmp_path / f"{name}.key").unlink()
    write_key(tmp_path / "bob.key", "secret")
    makers, takers = read_keys(tmp_path)
    assert ([path.stem for path in makers], [path.stem for path in takers]) == (["alice"], ["bob"])


def test_bots_leave_when_whoever_started_them_has_gone(tmp_path: Path) -> None:
    write_key(tmp_path / "maker-1.key", "alice-secret")

    async def play() -> bytes:
        bots = [sys.executable, "-m", "cashew.bots", "--keys-dir", str(tmp_path), "--url", "http://127.0.0.1:1"]
        script = f"import os, subprocess; subprocess.Popen([*{bots!r}, '--parent', str(os.getpid())])"
        starter = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        assert starter.stdout is not None
        async with asyncio.timeout(20):
            return await starter.stdout.read()  # ends only when the bots, who share it, have ended as well

    assert asyncio.run(play()) == b""
