"""`cashew md` and `cashew instruments` in a pipe."""

from __future__ import annotations

import asyncio
import json
import sys

from tests.cashew.conftest import Background
from tests.cashew.fake_exchange import crc
from tests.cashew.run import cashew

SYMBOL = "W320F2703"


def fill(background: Background) -> None:
    head = {"symbol": SYMBOL, "type": "snapshot", "seq": 5, "prev": 0}
    bids, asks = [["3.005", 10, 2]], [["3.010", 7, 1]]
    trades = [{"trade_id": 1, "price": "3.005", "qty": 4, "aggressor_side": "sell", "ts": 1764208800000000}]
    background.exchange.snapshots = {
        ("book", SYMBOL): {"ev": "book", **head, "bids": bids, "asks": asks, "crc": crc([(601, 10)], [(602, 7)])},
        ("trades", SYMBOL): {"ev": "trade", **head, "trades": trades},
        ("status", SYMBOL): {"ev": "status", **head, "phase": "halted", "reason": "fire"},
        ("auction", SYMBOL): {
            "ev": "auction",
            **head,
            "state": "indicative",
            "price": "3.005",
            "qty": 4,
            "surplus": 6,
            "surplus_side": "buy",
            "step": "volume",
            "ts": 1764208800000000,
        },
    }


async def first_lines(url: str, count: int, *options: str) -> list[str]:
    """Run `cashew md` as a process of its own and take its first lines."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cashew", "md", SYMBOL, "--url", url, *options, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        lines = [(await process.stdout.readline()).decode().rstrip("\n") for _ in range(count)]
        process.send_signal(2)
        assert await process.wait() == 130
        await process.stdout.read()
    return lines


def test_pipe_gets_a_line_per_change(background: Background) -> None:
    fill(background)
    assert sorted(asyncio.run(first_lines(background.url, 4))) == [
        "W320F2703 book seq 5: bid 10 @ 3.005 | ask 7 @ 3.010",
        "W320F2703 call: would trade 4 @ 3.005, 6 more to buy",
        "W320F2703 is halted (fire)",
        "W320F2703 trade 1: 4 @ 3.005, sell came in, 02:00:00 UTC",
    ]


def test_json_gives_an_object_per_line(background: Background) -> None:
    fill(background)
    lines = [json.loads(line) for line in asyncio.run(first_lines(background.url, 4, "--json"))]
    by_kind = {line["ev"]: line for line in lines}
    assert by_kind["book"]["bids"] == [["3.005", 10, 2]]
    assert by_kind["trade"]["trade_id"] == 1
    assert by_kind["status"]["phase"] == "halted"
    assert (by_kind["auction"]["price"], by_kind["auction"]["qty"]) == ("3.005", 4)


def test_unknown_symbol_is_exit_1_with_the_list(background: Background) -> None:
    ran = cashew("md", "XYZ", "--url", background.url)
    assert ran.code == 1
    assert ran.err == "cashew: there is no instrument 'XYZ'; listed are: W320F2703 [UNKNOWN_SYMBOL]\n"


def test_instruments_are_listed(background: Background) -> None:
    assert (
        cashew("instruments", "--url", background.url).out.splitlines()[1].startswith("W320F2703\tcontinuous\tUSD/lb")
    )
    lines = cashew("instruments", "--url", background.url, "--json").lines
    assert [line["symbol"] for line in lines] == [SYMBOL]
