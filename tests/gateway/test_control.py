"""REST: who may do what, and that an act's answer is what the log says of it."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.schema import CommandKind
from tests.gateway.kit import OTHER, SYMBOL, TERMS, Floor, order
from tests.gateway.serving import Served, ask, serving

ROUTES = ("/operator/session", "/operator/day", "/operator/accounts", "/operator/instruments", "/operator/act")


def run(story: Any) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await story

    asyncio.run(bounded())


async def post(served: Served, path: str, body: Any, member: str | None = "OPS") -> httpx.Response:
    headers = {} if member is None else {"Authorization": f"Bearer {served.floor.tokens.get(member, member)}"}
    content = body if isinstance(body, (bytes, str)) else json.dumps(body)
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://{served.url}") as http:
        return await http.post(path, content=content, headers=headers)


async def get(served: Served, path: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://{served.url}") as http:
        return await http.get(path)


def session(action: str, symbol: str = SYMBOL, why: str = "a reason", **more: Any) -> dict[str, Any]:
    return {"action": action, "symbol": symbol, "why": why, **more}


@pytest.mark.parametrize("path", ROUTES)
def test_operator_doors_open_for_operators_only(path: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served:
            for member, status, code in (
                (None, 401, "NOT_LOGGED_ON"), ("wrong", 401, "NOT_LOGGED_ON"), ("M1", 403, "NOT_PERMITTED"),
                ("AUD", 403, "NOT_PERMITTED"), ("OPS", 400, "BAD_JSON"),
            ):  # fmt: skip
                seq = served.floor.seq
                answer = await post(served, path, b"{", member)
                assert (answer.status_code, answer.json()["code"]) == (status, code)
                assert served.floor.seq == seq

    run(story())


def test_operator_halts_and_resumes_with_a_reason(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served:
            (event,) = (await post(served, "/operator/session", session("halt"))).json()
            assert (event["ev"], event["symbol"], event["phase"], event["previous"]) == (
                "phase.changed", SYMBOL, "halted", "continuous",
            )  # fmt: skip
            found = served.floor.desk.directory.instrument(SYMBOL)
            assert found is not None and found.why == "a reason"
            _, payload, _ = served.floor.blocks[-1]
            assert json.loads(payload)["by"] == "OPS"
            answer = await post(served, "/operator/session", session("halt"))
            assert (answer.status_code, answer.json()["code"], answer.json()["rule"]) == (
                409,
                "PHASE_TRANSITION",
                "R42",
            )
            assert (await post(served, "/operator/session", session("resume"))).json()[0]["phase"] == "pre_open"

    run(story())


def test_resume_of_all_opens_nothing_that_is_closed(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served:
            await post(served, "/operator/session", session("close", OTHER))
            await post(served, "/operator/session", session("halt", "ALL"))
            events = (await post(served, "/operator/session", session("resume", "ALL"))).json()
            assert [(event["symbol"], event["phase"]) for event in events] == [(SYMBOL, "pre_open")]
            assert (await get(served, "/health")).json()["phases"] == {SYMBOL: "pre_open", OTHER: "closed"}
            await post(served, "/operator/session", session("close", "ALL"))
            events = (await post(served, "/operator/session", session("pre_open", "ALL"))).json()
            assert [event["symbol"] for event in events] == [SYMBOL, OTHER]
            assert len({event["seq"] for event in events}) == 1, "one act for all"

    run(story())


def phases_of(events: list[dict[str, Any]]) -> dict[str, str]:
    return {event["symbol"]: event["phase"] for event in events if event["ev"] == "phase.changed"}


@pytest.mark.parametrize("seconds", [None, 0, 40])
def test_resume_begins_a_call_that_the_venue_is_told_to_end(seconds: int | None, tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served:
            await post(served, "/operator/session", session("halt"))
            more = {} if seconds is None else {"call_seconds": seconds}
            await post(served, "/operator/session", session("resume", **more))
            begun, directory = asyncio.get_running_loop().time(), served.floor.desk.directory
            assert served.calls.due(begun, directory) == [] and served.calls.held() == {SYMBOL}
            length = {None: 5, 0: None, 40: 40}[seconds]
            assert served.calls.due(begun + 4, directory) == []
            assert served.calls.due(begun + 39, directory) == ([(SYMBOL, False)] if length == 5 else [])
            assert served.calls.due(begun + 86_400, directory) == ([(SYMBOL, False)] if length else [])

    run(story())


def test_open_ends_a_call_with_its_uncross(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path, phase="pre_open")) as served, served.client("M2") as client:
            for name, side in (("b-1", "buy"), ("b-2", "sell")):
                assert (await ask(client, "order.place", **order(name, side, smp="none")))["ok"]
            events = (await post(served, "/operator/session", session("open"))).json()
            assert [event["ev"] for event in events] == ["phase.changed", "auction.uncrossed", "trade"]
            assert events[2]["auction"] is True and "aggressor_side" not in events[2]

    run(story())


def test_an_action_on_a_group_is_one_act_on_its_instruments(tmp_path: Path) -> None:
    async def story() -> None:
        floor = Floor(tmp_path)
        for symbol in ("G1", "G2"):
            floor.act(CommandKind.INSTRUMENT_DEFINE, {"symbol": symbol, **TERMS, "group": "G"})
        async with serving(floor) as served:
            body = {"action": "pre_open", "group": "G", "why": "morning"}
            events = (await post(served, "/operator/session", body)).json()
            assert phases_of(events) == {"G1": "pre_open", "G2": "pre_open"} and len({e["seq"] for e in events}) == 1
            await post(served, "/operator/session", session("halt", "G2"))
            events = (await post(served, "/operator/session", {**body, "action": "resume"})).json()
            assert phases_of(events) == {"G2": "pre_open"}
            for wrong, code in (({"group": "H"}, "UNKNOWN_INSTRUMENT"), ({"symbol": SYMBOL}, "MISSING_FIELD")):
                answer = await post(served, "/operator/session", {**body, **wrong})
                assert answer.json()["code"] == code

    run(story())


def test_a_phase_of_its_own_is_passed_by_until_the_instrument_is_named(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served:
            body = session("phase", phase="halted", override=True)
            (event,) = (await post(served, "/operator/session", body)).json()
            assert (event["phase"], event["override"]) == ("halted", True)
            answer = await post(served, "/operator/session", session("resume", "ALL"))
            assert (answer.status_code, answer.json()["code"]) == (409, "PHASE_TRANSITION")
            events = (await post(served, "/operator/session", session("resume"))).json()
            assert "override" not in events[0] and events[0]["phase"] == "pre_open"

    run(story())


def test_any_phase_that_the_table_lets_follow_can_be_set(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served:
            for phase in ("pre_close", "close_no_cancel", "closing_auction", "trade_at_close", "settlement"):
                events = (await post(served, "/operator/session", session("phase", phase=phase, draw=250))).json()
                assert (events[0]["phase"], events[0]["draw"]) == (phase, 250)
            answer = await post(served, "/operator/session", session("phase", phase="continuous"))
            assert (answer.status_code, answer.json()["code"]) == (409, "PHASE_TRANSITION")
            answer = await post(served, "/operator/session", session("uncross"))
            assert (answer.status_code, answer.json()["code"]) == (409, "NOT_IN_CALL")
            events = (await post(served, "/operator/session", session("phase", OTHER, phase="pre_close"))).json()
            assert (await post(served, "/operator/session", session("uncross", OTHER))).json()[0]["qty"] == 0

    run(story())


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/operator/session", session("explode"), 400, "BAD_VALUE"),
        ("/operator/session", session("halt", "nope"), 409, "UNKNOWN_INSTRUMENT"),
        ("/operator/session", session("halt", why=""), 400, "BAD_VALUE"),
        ("/operator/session", {"action": "halt", "symbol": SYMBOL}, 400, "MISSING_FIELD"),
        ("/operator/session", {"action": "halt", "why": "x"}, 400, "MISSING_FIELD"),
        ("/operator/session", session("halt", group="G"), 400, "MISSING_FIELD"),
        ("/operator/session", session("halt", override=True), 400, "BAD_VALUE"),
        ("/operator/session", session("resume", call_seconds=-1), 400, "BAD_VALUE"),
        ("/operator/session", session("phase", phase="lunch"), 400, "BAD_VALUE"),
        ("/operator/session", session("phase", "ALL", phase="halted", override=True), 409, "BAD_TERMS"),
        ("/operator/session", session("uncross", "nope"), 409, "UNKNOWN_INSTRUMENT"),
        ("/operator/session", {**session("halt"), "x": 1}, 400, "UNKNOWN_FIELD"),
        ("/operator/session", b'{"action":"halt","action":"open","symbol":"ALL","why":"x"}', 400, "DUPLICATE_KEY"),
        ("/operator/session", b"\xff", 400, "BAD_UTF8"),
        ("/operator/session", b"x" * 70_000, 413, "BAD_VALUE"),
        ("/operator/day", {"trading_day": "2026-11-25", "why": "next"}, 409, "DAY_ORDER"),
        ("/operator/day", {"trading_day": "tomorrow", "why": "next"}, 400, "BAD_VALUE"),
        ("/operator/accounts", {"account": "A1", "member": "M1", "owner": "A1"}, 409, "ACCOUNT_EXISTS"),
        ("/operator/instruments", {"symbol": SYMBOL, **TERMS}, 409, "INSTRUMENT_EXISTS"),
        ("/operator/instruments", {"symbol": "X"}, 409, "BAD_TERMS"),
        ("/operator/instruments", {"symbol": 1.5}, 400, "BAD_VALUE"),
    ],
)
def test_acts_that_cannot_be_done_say_why(path: str, body: Any, status: int, code: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served:
            answer = await post(served, path, body)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert answer.json()["text"] and answer.json()["fate"] == "not_done"

    run(story())


def test_body_that_grows_unannounced_is_cut_off(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served:

            async def pieces() -> Any:
                for _ in range(100):
                    yield b"x" * 10_000

            headers = {"Authorization": f"Bearer {served.floor.tokens['OPS']}"}
            async with httpx.AsyncClient(trust_env=False, base_url=f"http://{served.url}") as http:
                answer = await http.post("/operator/session", content=pieces(), headers=headers)
            assert answer.status_code == 413

    run(story())


def test_levers_are_pulled_by_name_and_the_log_says_by_whom(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served:

            async def pull(op: str, why: str = "a reason", **p: Any) -> httpx.Response:
                return await post(served, "/operator/act", {"op": op, "why": why, "p": p})

            answer = await pull("kill.set", member="M1", on=1)
            assert answer.status_code == 200
            (told,) = [{key: event[key] for key in event if key not in ("seq", "i", "ts")} for event in answer.json()]
            assert told == {
                "ev": "kill.set", "scope": "member", "member": "M1", "on": True, "by": "OPS", "why": "a reason",
            }  # fmt: skip
            commands, payload, _ = served.floor.blocks[-1]
            start, length = int(commands[-1]["target_lo"]), int(commands[-1]["target_hi"])
            assert json.loads(payload[start : start + length]) == {
                "member": "M1", "on": 1, "why": "a reason", "by": "OPS",
            }  # fmt: skip
            for op, p, status, code in (
                ("limit.set", {"symbol": "NOBODY"}, 409, "UNKNOWN_INSTRUMENT"),
                ("limit.set", {"symbol": SYMBOL, "step": 9}, 409, "BAD_TERMS"),
                ("phase.set", {"symbol": SYMBOL, "phase": "closed"}, 400, "BAD_VALUE"),
                ("day.open", {}, 400, "BAD_VALUE"),
            ):
                answer = await pull(op, **p)
                assert (answer.status_code, answer.json()["code"]) == (status, code)

    run(story())


def test_new_account_and_instrument_are_listed(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served:
            (event,) = (
                await post(served, "/operator/accounts", {"account": "A9", "member": "M9", "owner": "B9"})
            ).json()
            assert (event["ev"], event["account"], event["owner"]) == ("account.defined", "A9", "B9")
            (event,) = (await post(served, "/operator/instruments", {"symbol": "NEW", **TERMS})).json()
            assert (event["ev"], event["symbol"]) == ("instrument.defined", "NEW")
            listed = (await get(served, "/instruments")).json()
            assert [one["symbol"] for one in listed] == [SYMBOL, OTHER, "NEW"]
            assert listed[2] == {"instrument": 3, "symbol": "NEW", **TERMS, "phase": "closed"}

    run(story())


def test_health_says_how_it_is(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served:
            health = (await get(served, "/health")).json()
            assert (health["status"], health["sync"], health["durable_seq"]) == ("ok", "on", served.floor.seq)
            assert "warning" not in health and set(health["versions"]) == {"cashew", "format", "rules", "python"}
            served.floor.desk.sync = False
            served.floor.desk.stopping = True
            health = (await get(served, "/health")).json()
            assert (health["status"], health["sync"]) == ("stopping", "off") and "not on disk" in health["warning"]

    run(story())


def test_busy_venue_answers_503(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served:
            served.floor.desk.stopping = True
            answer = await post(served, "/operator/session", session("halt"))
            assert (answer.status_code, answer.json()["code"]) == (503, "BUSY")

    run(story())


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_ask_nothing_of_another_host(path: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served:
            answer = await get(served, path)
            assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
            assert not re.findall(r"(?:https?:)?//[^\s\"'<>]", answer.text), "no address of anybody else"
            assert "<script" not in answer.text

    run(story())


def test_openapi_describes_every_door(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served:
            document = (await get(served, "/openapi.json")).json()
            assert {*ROUTES, "/health", "/instruments"} == set(document["paths"])
            for path in ROUTES:
                assert "schema" in document["paths"][path]["post"]["requestBody"]["content"]["application/json"]

    run(story())
