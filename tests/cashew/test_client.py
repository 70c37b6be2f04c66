"""The client against a stand-in exchange: answers, errors by fate, and lost connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import cashew
from cashew.client import Client
from cashew.messages import Execution, Gap
from tests.cashew.fake_exchange import FakeExchange, fake_exchange

Scene = Callable[[FakeExchange, Client], Awaitable[None]]


def play(scene: Scene, *, timeout: float = 5.0, token: str = "alice-secret", reconnect: bool = True) -> None:
    """Run a scene with an exchange and a client logged on to it; nothing may take longer than 20 seconds."""

    async def run() -> None:
        options = {"token": token, "timeout": timeout, "reconnect": reconnect}
        async with (
            asyncio.timeout(20),
            fake_exchange() as exchange,
            cashew.connect(exchange.url, **options) as client,
        ):
            await scene(exchange, client)

    asyncio.run(run())


def test_place_amend_cancel_and_status_return_the_state() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        assert client.session.accounts == ("A1",)
        order = await client.place("W320F2703", "buy", 10, price="3.005", cl_ord_id="a-1")
        assert (order.order_id, order.status, order.leaves_qty, order.dup) == (1, "new", 10, False)
        assert order.is_live
        amended = await client.amend("a-1", price="3.010", order_qty=12)
        assert (amended.price, amended.order_qty) == ("3.010", 12)
        assert [one.cl_ord_id for one in await client.mass_status()] == ["a-1"]
        canceled = await client.cancel("a-1")
        assert (canceled.status, canceled.is_live) == ("canceled", False)
        assert (await client.status("a-1")).status == "canceled"
        assert (await client.mass_cancel()).count == 0
        await client.ping()

    play(scene)


def test_request_frames_hold_only_what_was_said() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        await client.place("W320F2703", "sell", 3, ord_type="market", time_in_force="ioc", cl_ord_id="m-1")
        await client.place("W320F2703", "sell", 3, price="3.000", post_only=True, cl_ord_id="p-1", account="A1")
        market, limit = exchange.received
        p = {"symbol": "W320F2703", "side": "sell", "order_qty": 3}
        assert market == {
            "op": "order.place",
            "id": market["id"],
            "p": {**p, "ord_type": "market", "time_in_force": "ioc", "cl_ord_id": "m-1"},
        }
        assert limit["p"] == {**p, "price": "3.000", "post_only": True, "cl_ord_id": "p-1"}
        assert limit["account"] == "A1"
        assert limit["id"] > market["id"]

    play(scene)


def test_new_kinds_of_orders_and_amends_are_sent_as_said() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        terms = {"ord_type": "stop_limit", "stop_price": "3.100", "display_qty": 2, "min_qty": 3, "expire_time": 9}
        order = await client.place("W320F2703", "buy", 5, price="3.105", cl_ord_id="s-1", **terms)  # type: ignore[arg-type]
        assert (order.stop_price, order.display_qty, order.expire_time) == ("3.100", 2, 9)
        await client.amend("s-1", stop_price="3.110", expire_time=10)
        await client.mass_cancel(session=True)
        place, amend, cancel = [request["p"] for request in exchange.received]
        assert place.items() >= terms.items()
        assert amend == {"cl_ord_id": "s-1", "stop_price": "3.110", "expire_time": 10}
        assert cancel == {"session": True}

    play(scene)


def test_made_up_ids_differ() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        orders = await asyncio.gather(*(client.place("W320F2703", "buy", 1, price="3.000") for _ in range(20)))
        assert len({order.cl_ord_id for order in orders}) == 20

    play(scene)


def test_repeated_id_is_answered_with_the_original() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        first = await client.place("W320F2703", "buy", 10, price="3.005", cl_ord_id="a-1")
        again = await client.place("W320F2703", "buy", 99, price="9.000", cl_ord_id="a-1")
        assert (again.dup, again.order_id, again.order_qty) == (True, first.order_id, 10)

    play(scene)


@pytest.mark.parametrize(
    ("answer", "kind", "fate"),
    [
        (
            {"ev": "order.rejected", "code": "PRICE_BAND", "rule": "R12", "fate": "not_done"},
            cashew.Rejected,
            "not_done",
        ),
        ({"ev": "error", "code": "BAD_VALUE", "text": "no", "fate": "not_done"}, cashew.NotDone, "not_done"),
        ({"ev": "error", "code": "BUSY", "text": "no", "fate": "unknown"}, cashew.Unknown, "unknown"),
        ({"ev": "error", "code": "ODD", "text": "no", "fate": "done"}, cashew.Done, "done"),
    ],
)
def test_negative_answer_raises_the_error_of_its_fate(answer: dict, kind: type, fate: str) -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        exchange.refuse["order.place"] = answer
        with pytest.raises(cashew.CashewError) as caught:
            await client.place("W320F2703", "buy", 10, price="3.005", cl_ord_id="a-1")
        assert type(caught.value) is kind
        assert (caught.value.code, caught.value.fate, caught.value.cl_ord_id) == (answer["code"], fate, "a-1")

    play(scene)


def test_wrong_token_is_refused_at_logon() -> None:
    async def run() -> None:
        async with fake_exchange() as exchange:
            with pytest.raises(cashew.LogonRefused, match="unknown token"):
                async with cashew.connect(exchange.url, token="wrong"):
                    pass

    asyncio.run(run())


def test_nobody_listens_is_cannot_connect() -> None:
    async def run() -> None:
        async with fake_exchange() as exchange:
            url = exchange.url
        with pytest.raises(cashew.CannotConnect, match="no exchange answers"):
            async with cashew.connect(url, token="x"):
                pass
        with pytest.raises(cashew.CannotConnect, match="no address"):
            async with cashew.connect("nonsense://", token="x"):
                pass

    asyncio.run(run())


def test_orders_need_a_key() -> None:
    async def run() -> None:
        async with fake_exchange() as exchange, cashew.connect(exchange.url) as client:
            with pytest.raises(cashew.NotDone, match="needs a key"):
                await client.ping()

    asyncio.run(run())


def test_key_file_opens_the_client(tmp_path: Path) -> None:
    key = tmp_path / "alice.key"
    key.write_text('{"token": "alice-secret", "member": "M1"}')
    key.chmod(0o600)

    async def run() -> None:
        async with fake_exchange() as exchange, cashew.connect(exchange.url, key=key) as client:
            assert client.session.member == "M1"

    asyncio.run(run())


def test_executions_come_in_order_to_every_listener() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        one, two = client.executions(), client.executions()
        events = [{"ev": "exec", "exec_id": f"7.{i}", "seq": 7, "i": i, "exec": "trade", "last_qty": i} for i in (1, 2)]
        await exchange.tell(*events, {"ev": "some.future.event", "x": 1})
        for stream in (one, two):
            assert [(await anext(stream)).last_qty, (await anext(stream)).last_qty] == [1, 2]
        one.close()
        with pytest.raises(StopAsyncIteration):
            await anext(one)

    play(scene)


def test_reader_that_falls_behind_is_told_and_nobody_else_waits() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        slow = client.executions(limit=2)
        await exchange.tell(*({"ev": "exec", "seq": n, "exec": "trade"} for n in range(1, 5)))
        await client.ping()
        first = [await anext(slow), await anext(slow)]
        assert [event.seq for event in first] == [1, 2]
        with pytest.raises(cashew.FellBehind):
            await anext(slow)

    play(scene)


def test_lost_answer_is_found_again_by_the_order_id() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        executions = client.executions()
        exchange.swallow.add("order.place")
        order = await client.place("W320F2703", "buy", 10, price="3.005", cl_ord_id="a-1")
        assert (order.recovered, order.order_id, order.status) == (True, 1, "new")
        assert [request["op"] for request in exchange.received] == ["order.place", "order.status"]
        assert isinstance(await anext(executions), Gap)

    play(scene)


def test_lost_request_is_not_resent_unless_allowed() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        exchange.drop.add("order.place")
        with pytest.raises(cashew.Unknown) as caught:
            await client.place("W320F2703", "buy", 10, price="3.005", cl_ord_id="a-1")
        assert caught.value.cl_ord_id == "a-1"
        assert exchange.orders == {}
        exchange.drop.add("order.place")
        order = await client.place("W320F2703", "buy", 10, price="3.005", cl_ord_id="a-2", resend=True)
        assert (order.status, order.recovered) == ("new", False)
        assert list(exchange.orders) == ["a-2"]

    play(scene)


def test_request_is_not_done_if_the_exchange_restarted_without_it() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        exchange.silent.add("order.place")
        placing = asyncio.create_task(client.place("W320F2703", "buy", 10, price="3.005"))
        while not exchange.received:
            await asyncio.sleep(0)
        await exchange.stop()
        while not client._link.was_refused:
            await asyncio.sleep(0)
        await exchange.start()
        with pytest.raises(cashew.NotDone) as caught:
            await placing
        assert caught.value.code == "LOST_BEFORE_DONE"

    play(scene)


def test_new_trading_day_makes_a_lost_request_unknown_and_never_resends_it() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        exchange.drop.add("order.place")
        exchange.trading_day = "2026-11-24"
        with pytest.raises(cashew.Unknown):
            await client.place("W320F2703", "buy", 10, price="3.005", resend=True)
        assert [request["op"] for request in exchange.received].count("order.place") == 1

    play(scene)


def test_lost_cancel_is_sent_again_and_a_done_one_is_recovered() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        for name in ("a-1", "a-2"):
            await client.place("W320F2703", "buy", 10, price="3.005", cl_ord_id=name)
        exchange.drop.add("order.cancel")
        assert (await client.cancel("a-1")).recovered is False
        exchange.swallow.add("order.cancel")
        assert (await client.cancel("a-2")).recovered is True
        assert {order["status"] for order in exchange.orders.values()} == {"canceled"}

    play(scene)


def test_lost_amend_is_judged_by_what_the_order_is_now() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        await client.place("W320F2703", "buy", 10, price="3.005", cl_ord_id="a-1")
        exchange.swallow.add("order.amend")
        assert (await client.amend("a-1", price="3.010")).recovered is True
        exchange.drop.add("order.amend")
        with pytest.raises(cashew.Unknown):
            await client.amend("a-1", price="3.020")
        exchange.swallow.add("order.amend")
        assert (await client.amend("a-1", order_qty=5, new_cl_ord_id="a-2")).recovered is True

    play(scene)


def test_many_requests_in_flight_are_all_settled() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        exchange.silent.add("order.place")
        placing = [
            asyncio.create_task(client.place("W320F2703", "buy", 1, price="3.000", resend=True)) for _ in range(50)
        ]
        while len(exchange.received) < 50:
            await asyncio.sleep(0)
        exchange.silent.clear()
        exchange.cut()
        orders = await asyncio.gather(*placing)
        assert len({order.order_id for order in orders}) == 50 == len(exchange.orders)

    play(scene)


def test_late_answer_is_unknown_and_a_late_read_is_not_done() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        exchange.silent |= {"order.place", "order.status"}
        with pytest.raises(cashew.Unknown, match="no answer within"):
            await client.place("W320F2703", "buy", 10, price="3.005", cl_ord_id="a-1")
        with pytest.raises(cashew.NotDone, match="no answer within"):
            await client.status("a-1")

    play(scene, timeout=0.2)


def test_without_reconnect_a_lost_connection_ends_everything() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        executions = client.executions()
        exchange.drop.add("order.place")
        with pytest.raises(cashew.Unknown):
            await client.place("W320F2703", "buy", 10, price="3.005", cl_ord_id="a-1")
        with pytest.raises(cashew.CannotConnect):
            await client.place("W320F2703", "buy", 10, price="3.005", cl_ord_id="a-2")
        with pytest.raises(cashew.CannotConnect):
            await anext(executions)

    play(scene, reconnect=False)


def test_key_disabled_meanwhile_ends_the_reconnecting() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        executions = client.executions()
        client._token = "no longer good"
        exchange.cut()
        assert isinstance(await anext(executions), Gap)
        with pytest.raises(cashew.LogonRefused):
            await anext(executions)
        with pytest.raises(cashew.LogonRefused):
            await client.ping()

    play(scene)


def test_closing_ends_waiting_requests_with_their_fate() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        exchange.silent.add("order.place")
        placing = asyncio.create_task(client.place("W320F2703", "buy", 10, price="3.005"))
        while not exchange.received:
            await asyncio.sleep(0)
        await client.close()
        with pytest.raises(cashew.Unknown):
            await placing

    play(scene)


def test_execution_fields_of_the_protocol_are_kept() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        stream = client.executions()
        event = {
            "ev": "exec", "exec_id": "98124.1", "seq": 98124, "i": 1, "exec": "trade", "account": "A1",
            "symbol": "W320F2703", "side": "buy", "order_id": 9, "cl_ord_id": "a-1", "status": "partially_filled",
            "order_qty": 10, "leaves_qty": 6, "cum_qty": 4, "last_px": "3.005", "last_qty": 4, "trade_id": 1,
            "aggressor": True, "ts": 1764208800000000,
        }  # fmt: skip
        await exchange.tell(event)
        seen = await anext(stream)
        assert isinstance(seen, Execution)
        assert {name: getattr(seen, name) for name in event if name != "ev"} == {
            name: value for name, value in event.items() if name != "ev"
        }

    play(scene)


@pytest.mark.parametrize("nonsense", [7, {"ev": "exec", "order_id": "seven"}, {"seq": "x"}, "text"])
def test_message_that_cannot_be_understood_costs_the_connection_only(nonsense: object) -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        executions = client.executions()
        await exchange.traders[0].send(json.dumps([nonsense]))
        assert isinstance(await anext(executions), Gap)
        await client.ping()

    play(scene)


def test_lost_read_is_asked_again_also_on_another_day() -> None:
    async def scene(exchange: FakeExchange, client: Client) -> None:
        exchange.drop.add("order.mass_status")
        exchange.trading_day = "2026-11-24"
        assert await client.mass_status() == []

    play(scene)
