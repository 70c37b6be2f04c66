"""The world's pictures, and invariants that notice damage."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.reference import Reference
from engine.schema import Limits, OrdStatus, TimeInForce
from tests.scenarios.table import Commands, world


def venue(*commands: tuple[str, str]) -> Reference:
    limits, acts = world([])
    reference, writer = Reference(limits), Commands()
    for who, text in [*(("venue", act) for act in acts), *commands]:
        row = writer.write(who, text)
        reference.run_block(row, writer.payload)
    return reference


BOOK = (("A1", "sell 5 @ 101 as s1"), ("A2", "sell 4 @ 101 as s2 gtc post smp none smp_id 9 session 3"),
        ("A3", "buy 3 @ 101 as b1 ioc"), ("A3", "buy 7 @ 99 as b2"), ("A3", "amend b2 qty 6 as b3"),
        ("A3", "buy 7 @ 98 as v1 in V"))  # fmt: skip


def test_the_dump_tells_all() -> None:
    told = venue(*BOOK).dump()
    assert (told["trading_day"], told["seq"], told["time"], told["next_trade_id"]) == ("", 16, 16_000, 2)
    assert [(i["symbol"], i["max_price"], i["phase"]) for i in told["instruments"]] == [
        ("W", "1000", "continuous"), ("V", "1000", "continuous"),
    ]  # fmt: skip
    assert told["accounts"][4] == {"account": "A5", "member": "M2", "owner": "B1"}
    assert [order["cl_ord_id"] for order in told["orders"]] == ["b3", "s1", "s2", "v1"]
    assert told["orders"][2] == {
        "order_id": 12, "account": "A2", "symbol": "W", "side": "sell", "price": 101, "order_qty": 4, "leaves_qty": 4,
        "cum_qty": 0, "cl_ord_id": "s2", "time_in_force": "gtc", "smp": "none", "smp_id": 9, "flags": 1,
        "client_session": 3,
    }  # fmt: skip
    assert (told["orders"][1]["order_qty"], told["orders"][1]["leaves_qty"], told["orders"][1]["cum_qty"]) == (5, 2, 3)
    assert told["orders"][1]["smp"] == "cancel_resting"


def test_the_book_tells_queues() -> None:
    reference = venue(*BOOK)
    assert reference.book(1) == {"bids": [(99, 6, [(14, 6)])], "asks": [(101, 6, [(11, 2), (12, 4)])]}
    assert reference.book(2) == {"bids": [(98, 7, [(16, 7)])], "asks": []}


def test_an_empty_world() -> None:
    assert Reference(Limits(1, 1, 1, 64, 1)).dump() == {
        "trading_day": "", "seq": 0, "time": 0, "next_trade_id": 1, "instruments": [], "accounts": [], "orders": [],
    }  # fmt: skip


def lose_lots(reference: Reference) -> None:
    reference.live[11].leaves_qty -= 1


def rest_empty(reference: Reference) -> None:
    reference.live[11].leaves_qty = 0
    reference.live[11].order_qty = reference.live[11].cum_qty


def forget_an_order(reference: Reference) -> None:
    del reference.live[11]


def cross_the_book(reference: Reference) -> None:
    order = reference.live[14]
    reference.instruments[0].sides[order.side].remove(order)
    order.price = 101
    reference.instruments[0].sides[order.side].add(order)


def misplace_an_order(reference: Reference) -> None:
    reference.live[11].price = 102


def end_a_resting_order(reference: Reference) -> None:
    reference.live[11].ended = OrdStatus.FILLED


def rest_an_ioc(reference: Reference) -> None:
    reference.live[11].time_in_force = TimeInForce.IOC


def lose_a_client_id(reference: Reference) -> None:
    del reference.day_ids[(1, b"s1")]


def give_an_order_away(reference: Reference) -> None:
    reference.live[11].account = 2


def miscount_far_levels(reference: Reference) -> None:
    reference.instruments[0].sides[reference.live[11].side].far_levels += 1


DAMAGE = [lose_lots, rest_empty, forget_an_order, cross_the_book, misplace_an_order, end_a_resting_order, rest_an_ioc,
          lose_a_client_id, give_an_order_away, miscount_far_levels]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_check_notices(damage: Callable[[Reference], None]) -> None:
    reference = venue(*BOOK)
    reference.check()
    damage(reference)
    with pytest.raises(AssertionError):
        reference.check()
