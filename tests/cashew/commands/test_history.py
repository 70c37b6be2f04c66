"""`cashew verify` and `cashew replay` over a small log: what an auditor sees, and the exit codes scripts rely on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cashew.run import cashew
from tests.logs import MONDAY, OPENING_NS, TUESDAY, flip, open_log, segments, trade


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two days of trading, stopped properly."""
    log = open_log(tmp_path)
    trade(log, 60, block=5, close=True)
    log.roll(TUESDAY, OPENING_NS + 10**9)
    trade(log, 40, seed=2)
    log.close()
    return tmp_path


def test_good_log_is_exit_0_with_a_line_per_day(log: Path) -> None:
    ran = cashew("verify", str(log))
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [MONDAY, TUESDAY, "verified"]
    (report,) = cashew("verify", str(log), "--json").lines
    assert (report["ev"], report["ok"], len(report["days"])) == ("verified", True, 2)


def test_compiled_matcher_verifies_the_same(log: Path) -> None:
    assert cashew("verify", str(log), "--compiled").out == cashew("verify", str(log)).out


def test_flipped_byte_is_exit_3_and_named(log: Path) -> None:
    segment = segments(log, MONDAY)[0]
    flip(segment, 5_000)
    ran = cashew("verify", str(log))
    assert ran.code == 3
    assert segment.name in ran.out.splitlines()[-1]
    (report,) = cashew("verify", str(log), "--json").lines
    assert (report["ok"], report["exit_code"], segment.name in str(report["damage"])) == (False, 3, True)
    assert cashew("replay", str(log), "--until", "50").code == 3


def test_no_log_is_one_sentence(tmp_path: Path) -> None:
    for command in ("verify", "replay"):
        ran = cashew(command, str(tmp_path))
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith("cashew: no log in ")


def test_replay_says_where_it_leads(log: Path) -> None:
    (end,) = cashew("replay", str(log), "--json").lines
    assert (end["ev"], end["trading_day"], end["compared"]) == ("replayed", TUESDAY, False)
    (point,) = cashew("replay", str(log), "--until", "30", "--json").lines
    assert (point["seq"], point["trading_day"]) == (30, MONDAY)
    (both,) = cashew("replay", str(log), "--compare", "--json").lines
    assert both == {**end, "compared": True}


def test_book_at_any_point_shows_the_queue(log: Path) -> None:
    (end,) = cashew("replay", str(log), "--json").lines
    symbol = next(iter(end["phases"]))
    (book,) = cashew("replay", str(log), "--book", symbol, "--json").lines
    assert (book["symbol"], book["seq"]) == (symbol, end["seq"])
    for side in ("bids", "asks"):
        assert all(level["qty"] == sum(order["leaves_qty"] for order in level["orders"]) for level in book[side])
    text = cashew("replay", str(log), "--book", symbol).out.splitlines()
    assert text[0].split("\t") == ["side", "price", "qty", "orders in queue order"]
    assert len(text) == 1 + len(book["bids"]) + len(book["asks"])


def test_impossible_points_are_one_sentence(log: Path) -> None:
    ran = cashew("replay", str(log), "--until", "999999")
    assert (ran.code, ran.err.startswith("cashew: cannot replay until 999999: the log ends at seq ")) == (1, True)
    ran = cashew("replay", str(log), "--book", "XYZ")
    assert (ran.code, "no instrument 'XYZ'" in ran.err) == (1, True)


def test_verify_needs_neither_numba_nor_a_server(log: Path) -> None:
    program = "import sys; from cashew.cli import main; code = main(['verify', sys.argv[1]]); "
    program += "print([name for name in ('numba', 'fastapi', 'uvicorn', 'websockets') if name in sys.modules]); "
    program += "sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", program, str(log)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
