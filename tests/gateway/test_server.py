"""The trade door on real sockets: answers, the listed closes and no others, and clients that do not read."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway import server as server_module
from gateway.connection import Connection
from tests.gateway.kit import Floor, order
from tests.gateway.serving import Served, ask, masked, serving
from tests.gateway.test_malformed import CLOSING, KINDS, frames_of

STORY_S = 60


def run(story: Any) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(STORY_S):
            await story

    asyncio.run(bounded())


async def close_code(client: Any) -> int:
    """Read to the end; the code the server closed with."""
    try:
        while True:
            await client.recv()
    except ConnectionClosed as closed:
        assert closed.rcvd is not None, "the server says why it closes"
        return closed.rcvd.code


def test_two_clients_trade(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served, served.client("M2") as one, served.client("M1") as two:
            assert (await ask(one, "order.place", 1, **order("b-1")))["ev"] == "order.accepted"
            frame = {"op": "order.place", "id": 2, "account": "A1", "p": order("a-1", "sell")}
            await two.send(json.dumps(frame))
            heard = [json.loads(await two.recv()) for _ in range(3)]
            assert [(one["ev"], one.get("exec")) for one in heard] == [
                ("order.accepted", None), ("exec", "accepted"), ("exec", "trade"),
            ]  # fmt: skip
            heard = [json.loads(await one.recv()) for _ in range(2)]
            assert [(one["exec"], one["cum_qty"]) for one in heard] == [("accepted", 0), ("trade", 10)]

    run(story())


def test_batch_is_one_frame_per_block(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served, served.client() as client:
            token = served.floor.tokens["M2"]
            await client.send(json.dumps({"op": "logon", "id": 0, "p": {"token": token, "batch": True}}))
            assert [one["ev"] for one in json.loads(await client.recv())] == ["logon"]
            await client.send(json.dumps({"op": "order.place", "id": 1, "p": order("b-1")}))
            assert [one["ev"] for one in json.loads(await client.recv())] == ["order.accepted", "exec"]

    run(story())


async def send_malformed(served: Served, kind: str, count: int) -> int:
    """Send frames of a kind from fresh clients as they get closed; how many were closed, with the listed code."""
    closed = 0
    frames = frames_of(kind, seed=5, count=count)
    pending = next(frames, None)
    while pending is not None:
        async with served.client("M2") as client:
            while pending is not None:
                frame, code = pending
                if kind == "wrong_utf8":
                    assert isinstance(frame, bytes)
                    client.transport.write(masked(1, frame))
                else:
                    await client.send(frame)
                pending = next(frames, None)
                if code is None:
                    assert await close_code(client) == CLOSING[kind]
                    closed += 1
                    break
                answer = json.loads(await client.recv())
                assert (answer["ev"], answer["code"]) == ("error", code)
    return closed


@pytest.mark.parametrize("kind", KINDS)
def test_each_malformed_kind_is_answered_or_closed_and_nobody_else_notices(kind: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served, served.client("M1") as other:
            count = 100 if kind not in CLOSING else 10
            assert await send_malformed(served, kind, count) == (count if kind in CLOSING else 0)
            frame = {"op": "order.place", "id": 7, "account": "A1", "p": order("a-1")}
            await other.send(json.dumps(frame))
            assert json.loads(await other.recv())["id"] == 7

    run(story())


def test_frames_cut_into_fragments_are_one_request(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served, served.client("M2") as client:
            text = json.dumps({"op": "order.place", "id": 9, "p": order("b-1")})
            await client.send([text[:10], text[10:50], text[50:]])
            assert json.loads(await client.recv())["id"] == 9

    run(story())


def test_many_frames_at_once_are_answered_in_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served, served.client("M2") as client:
            texts = [json.dumps({"op": "ping", "id": number}).encode() for number in range(500)]
            client.transport.write(b"".join(masked(1, text) for text in texts))
            assert [json.loads(await client.recv())["id"] for _ in texts] == list(range(500))

    run(story())


def test_broken_frame_is_closed_with_1002(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path)) as served, served.client("M2") as client:
            client.transport.write(b"\xf1\x80\x00\x00\x00\x00")
            assert await close_code(client) == 1002

    run(story())


@pytest.mark.parametrize("first", ['{"op":"ping","id":1}', "nonsense", b"bytes", None])
def test_no_valid_logon_is_told_and_closed_with_4001(first: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path), logon_seconds=0.05) as served, served.client() as client:
            if first is not None:
                await client.send(first)
            assert json.loads(await client.recv())["ev"] == "error"
            assert await close_code(client) == 4001

    run(story())


def test_one_connection_too_many_is_refused_at_the_door(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(Floor(tmp_path), most_connections=1) as served:
            async with served.client("M2"):
                with pytest.raises(InvalidStatus) as refused:
                    async with served.client():
                        pass
                assert refused.value.response.status_code == 403
            while served.door.open:
                await asyncio.sleep(0)
            async with served.client("M1"):
                pass

    run(story())


def test_reader_too_slow_is_closed_with_4008_and_others_are_not_held_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "QUEUE_FRAMES", 64)

    async def story() -> None:
        floor = Floor(tmp_path)
        async with serving(floor) as served, served.client("M2") as slow, served.client("M1") as other:
            slow.transport.pause_reading()
            number = 0
            connection = next(one for one in floor.desk.connections if one.key and one.key.member == "M2")
            while not connection.close_code:
                connection.put({"ev": "x", "text": "y" * 50_000})
                connection.wake()
                number += 1
                assert number < 10_000, "the queue is bounded"
                if number % 50 == 0:
                    await ask(other, "ping", number)
            assert connection.close_code == 4008
            slow.transport.resume_reading()
            assert await close_code(slow) == 4008
            assert (await ask(other, "ping", 7))["id"] == 7

    run(story())


def test_reader_that_takes_nothing_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "QUEUE_FRAMES", 64)

    async def story() -> None:
        floor = Floor(tmp_path)
        async with serving(floor, linger_seconds=0.05) as served, served.client("M2") as stuck:
            stuck.transport.pause_reading()
            connection = next(iter(floor.desk.connections))
            while not connection.close_code:
                connection.put({"ev": "x", "text": "y" * 50_000})
                connection.wake()
                await asyncio.sleep(0)
            while served.door.open:
                await asyncio.sleep(0.01)
            assert connection not in floor.desk.connections
            stuck.transport.abort()

    run(story())


def test_error_of_ours_ends_that_connection_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    receive = Connection.receive

    def break_down(self: Connection, text: str) -> None:
        if "b-13" in text:
            raise ZeroDivisionError("planted")
        receive(self, text)

    monkeypatch.setattr(Connection, "receive", break_down)

    async def story() -> None:
        async with serving(Floor(tmp_path)) as served, served.client("M2") as one, served.client("M1") as other:
            await one.send(json.dumps({"op": "order.place", "id": 1, "p": order("b-13")}))
            assert await close_code(one) == 1011
            assert (await ask(other, "ping", 7))["id"] == 7

    run(story())
    assert "planted" in caplog.text


def test_what_was_asked_before_the_end_is_answered_before_the_close(tmp_path: Path) -> None:
    async def story() -> None:
        floor = Floor(tmp_path)
        async with serving(floor) as served, served.client("M2") as client:
            floor.desk.wake = lambda: None
            await client.send(json.dumps({"op": "order.place", "id": 1, "p": order("b-1")}))
            while not floor.desk.waiting:
                await asyncio.sleep(0)
            floor.turn()
            floor.desk.close_all()
            assert json.loads(await client.recv())["id"] == 1
            assert await close_code(client) == 1012

    run(story())
