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


@pytest.mark.parametrize("command", ["open", "pre-open", "halt", "close", "uncross"])
def test_each_act_is_sent_with_its_reason(command: str, door: Door, alice: str) -> None:
    door.content = [{"ev": "phase.changed", "seq": 9, "i": 0, "symbol": "W320F2703", "phase": "halted"}]
    ran = cashew("session", command, "W320F2703", "--why", "a test", "--key", alice, "--url", door.url)
    assert (ran.code, ran.out, ran.err) == (0, "W320F2703 is now halted\n", "")
    body = {"action": command.replace("-", "_"), "symbol": "W320F2703", "why": "a test"}
    assert door.asked == [("/operator/session", "Bearer alice-secret", body)]


@pytest.mark.parametrize(
    ("options", "seconds", "sentence"),
    [
        ((), 5, "this call ends by itself in 5 s, with its uncross: then X is continuous again"),
        (("--call", "60"), 60, "this call ends by itself in 60 s, with its uncross: then X is continuous again"),
        (("--call", "0"), 0, "this call lasts until somebody ends it: cashew session open"),
    ],
)
def test_resume_says_when_its_call_ends(
    options: tuple[str, ...], seconds: int, sentence: str, door: Door, alice: str
) -> None:
    door.content = [{"ev": "phase.changed", "symbol": "X", "phase": "pre_open"}]
    ran = cashew("session", "resume", "X", "--why", "a test", *options, "--key", alice, "--url", door.url)
    assert ran.out == f"X is now pre_open\n{sentence}\n"
    assert door.asked[0][2] == {"action": "resume", "symbol": "X", "why": "a test", "call_seconds": seconds}
    ran = cashew("session", "resume", "X", "--why", "a test", "--key", alice, "--url", door.url, "--json")
    assert ran.lines == door.content


def test_a_group_is_named_in_place_of_a_symbol(door: Door, alice: str) -> None:
    operator = ("--why", "a test", "--key", alice, "--url", door.url)
    cashew("session", "halt", "--group", "W320F", *operator)
    cashew("session", "phase", "pre-close", "--group", "W320F", *operator)
    exact = {"override": False, "at_last_match": False}
    assert [body for _, _, body in door.asked] == [
        {"action": "halt", "group": "W320F", "why": "a test"},
        {"action": "phase", "phase": "pre_close", "group": "W320F", "why": "a test", **exact},
    ]
    for arguments in (("halt",), ("halt", "X", "--group", "G"), ("phase", "halted"), ("phase", "X", "Y", "halted")):
        ran = cashew("session", *arguments, *operator)
        assert (ran.code, ran.out) == (2, "") and ran.err.startswith("cashew: name one instrument")


def test_any_phase_is_set_and_its_uncross_is_told(door: Door, alice: str) -> None:
    door.content = [
        {"ev": "phase.changed", "symbol": "X", "phase": "opening_auction"},
        {"ev": "auction.uncrossed", "symbol": "X", "price": "3.005", "qty": 4, "surplus": 0, "step": "volume"},
        {"ev": "trade", "symbol": "X", "price": "3.005", "qty": 4},
        {"ev": "order.expired", "symbol": "X"},
    ]
    options = ("--override", "--why", "a test", "--key", alice, "--url", door.url)
    ran = cashew("session", "phase", "X", "opening_auction", *options)
    assert ran.out == "X is now opening_auction\nX was uncrossed: it traded 4 @ 3.005\n1 orders have expired\n"
    assert door.asked[0][2]["override"] is True
    assert cashew("session", "phase", "X", "opening_auction", *options, "--json").lines == door.content


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


def test_a_lever_is_pulled_with_its_terms_and_reason(door: Door, alice: str) -> None:
    door.content = [{"ev": "kill.set", "seq": 7, "i": 0, "ts": 1, "scope": "member", "on": True}]
    ran = cashew("act", "kill.set", '{"member":"M1","on":1}', "--why", "no answer", "--key", alice, "--url", door.url)
    assert ran.out == "kill.set: scope member on True\n"
    assert [(path, body) for path, _, body in door.asked] == [
        ("/operator/act", {"op": "kill.set", "why": "no answer", "p": {"member": "M1", "on": 1}})
    ]
    ran = cashew("act", "kill.set", "{member:M1}", "--why", "x", "--key", alice, "--url", door.url)
    assert ran.code == 2 and "this is no JSON" in ran.err


def test_an_account_may_settle_in_a_currency(door: Door, alice: str) -> None:
    door.content = [{"ev": "account.defined", "seq": 1, "account": "A1"}]
    cashew("new-account", "A1", "--member", "M1", "--ccy", "VND", "--key", alice, "--url", door.url)
    assert [body["ccy"] for _, _, body in door.asked] == ["VND"]
