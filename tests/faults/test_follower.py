"""The follower of a running exchange, as a process: killed, it comes back; damage it finds stops the exchange."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import snapshot
from engine.replay import EXIT_DAMAGED, EXIT_GOOD
from engine.scan import DayScan, day_folders
from tests.exchange import SYMBOL, Exchange
from tests.logs import flip

pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the follower's process in Linux's /proc"),
]

PATIENCE_S = 60.0


def until(exchange: Exchange, found: Callable[[], object], what: str) -> None:
    """Ask the exchange how it is until another process has done what is waited for: it serves meanwhile."""
    end = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < end, f"within {PATIENCE_S:.0f} s: {what}"
        assert exchange.get("/health")["seq"]


def follower_of(exchange: Exchange) -> int:
    """The process id of its follower; 0 if none runs."""
    process = exchange.process
    assert process is not None
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        if b"engine.follower" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    return 0


def halt_and_resume(exchange: Exchange, times: int) -> None:
    for turn in range(2 * times):
        action = ("halt", "resume")[turn % 2]
        status, _ = exchange.post("/operator/session", {"action": action, "symbol": SYMBOL, "why": "test"})
        assert status == 200


@pytest.fixture
def followed(tmp_path: Path) -> Exchange:
    return Exchange(tmp_path / "venue", CASHEW_FOLLOWER="on", CASHEW_SNAPSHOT_EVERY="3")


def test_a_follower_that_is_killed_comes_back_and_a_start_goes_on_from_what_it_kept(followed: Exchange) -> None:
    with followed as exchange:
        exchange.define(A1="M1")
        until(exchange, lambda: follower_of(exchange), "the follower runs")
        first = follower_of(exchange)
        os.kill(first, signal.SIGKILL)
        until(exchange, lambda: follower_of(exchange) not in (0, first), "another one runs")
        halt_and_resume(exchange, 6)
        last = exchange.get("/health")["seq"]
        kept = exchange.data / snapshot.FOLDER
        until(
            exchange,
            lambda: last - max((int(p.stem[-15:]) for p in kept.glob("*.snapshot")), default=0) < 3,
            "a snapshot",
        )
        assert exchange.end() == EXIT_GOOD
        assert "the follower ended with code -9: again" in exchange.log.read_text()
        exchange.start()
        assert "the core went on from a snapshot at seq" in exchange.log.read_text()
        halt_and_resume(exchange, 1)
        assert exchange.get("/health")["seq"] >= last + 2  # and a tick of the clock, if all this took long
        assert exchange.end() == EXIT_GOOD


def test_an_exchange_whose_log_is_not_what_it_was_stops_and_does_not_start_again(followed: Exchange) -> None:
    with followed as exchange:
        until(exchange, lambda: follower_of(exchange), "the follower runs")
        until(exchange, lambda: "follows" in exchange.log.read_text(), "it has begun")
        follower = follower_of(exchange)
        os.kill(follower, signal.SIGSTOP)
        exchange.define(A1="M1")
        blocks = list(DayScan(day_folders(exchange.data)[0], live=True).blocks())
        path = day_folders(exchange.data)[0] / "segment-000000.log"
        flip(path, blocks[-1].events_offset + 40)
        os.kill(follower, signal.SIGCONT)
        assert exchange.process is not None
        exchange.process.wait(timeout=PATIENCE_S)
        assert exchange.end() == EXIT_DAMAGED
        said = exchange.log.read_text()
        assert f"seq {blocks[-1].header.first_seq}: the event rows do not match their sha256" in said
        assert "the venue stops, without acknowledging: its follower finds" in said
        with pytest.raises(AssertionError, match="it serves"):
            exchange.start()
        assert exchange.end() == EXIT_DAMAGED
