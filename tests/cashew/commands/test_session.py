"""`cashew session` and `cashew new-day` against a small web server that answers as the operator's door does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.cashew.run import cashew


class Door(ThreadingHTTPServer):
    """Answers each POST with `status` and `content`, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.content: Any = []
        self.asked: list[tuple[str, str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Door

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers["Authorization"], body))
        answer = json.dumps(self.server.content).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def door() -> Iterator[Door]:
    server = Door()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("command", ["open", "pre-open", "halt", "resume", "close"])
def test_each_act_is_sent_with_its_reason(command: str, door: Door, alice: str) -> None:
    door.content = [{"ev": "phase.changed", "seq": 9, "i": 0, "symbol": "W320F2703", "phase": "halted"}]
    ran = cashew("session", command, "W320F2703", "--why", "a test", "--key", alice, "--url", door.url)
    assert (ran.code, ran.out, ran.err) == (0, "W320F2703 is now halted\n", "")
    body = {"action": command.replace("-", "_"), "symbol": "W320F2703", "why": "a test"}
    assert door.asked == [("/operator/session", "Bearer alice-secret", body)]


def test_events_are_lines_of_json(door: Door, alice: str) -> None:
    events = [{"ev": "phase.changed", "symbol": name, "phase": "continuous"} for name in ("X", "Y")]
    door.content = {"events": events}
    ran = cashew("session", "open", "ALL", "--why", "a test", "--key", alice, "--url", door.url, "--json")
    assert ran.lines == events


@pytest.mark.parametrize(
    ("status", "content", "sentence"),
    [
        (
            403,
            {"code": "NOT_PERMITTED", "text": "an operator's key is needed"},
            "an operator's key is needed [NOT_PERMI",
        ),
        (403, {"detail": {"code": "NOT_PERMITTED", "text": "no"}}, "no [NOT_PERMITTED]"),
        (401, {"detail": "who are you?"}, "who are you? [HTTP_401]"),
        (409, {"code": "PHASE_TRANSITION", "rule": "R42", "text": "it cannot"}, "it cannot [PHASE_TRANSITION, R42]"),
        (500, [], "the exchange refused it (status 500)"),
    ],
)
def test_refusal_is_one_sentence_and_exit_1(status: int, content: Any, sentence: str, door: Door, alice: str) -> None:
    door.status, door.content = status, content
    ran = cashew("session", "halt", "ALL", "--why", "a test", "--key", alice, "--url", door.url)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"cashew: {sentence}")


def test_new_day_names_the_day(door: Door, alice: str) -> None:
    door.content = [{"ev": "day.opened", "seq": 1, "trading_day": "2026-11-24"}]
    ran = cashew("new-day", "2026-11-24", "--why", "morning", "--key", alice, "--url", door.url)
    assert ran.out == "trading day 2026-11-24 has begun\n"
    assert door.asked[0][2] == {"trading_day": "2026-11-24", "why": "morning"}


def test_new_account_belongs_to_its_owner(door: Door, alice: str) -> None:
    door.content = [{"ev": "account.defined", "seq": 1, "account": "A1"}]
    ran = cashew("new-account", "A1", "--member", "M1", "--key", alice, "--url", door.url)
    assert ran.out == "account A1 of M1 is defined\n"
    cashew("new-account", "A2", "--member", "M1", "--owner", "B1", "--key", alice, "--url", door.url)
    assert [(path, body["owner"]) for path, _, body in door.asked] == [
        ("/operator/accounts", "A1"),
        ("/operator/accounts", "B1"),
    ]
