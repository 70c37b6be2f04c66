"""The world's pictures, and invariants that notice damage."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.reference import Reference
from engine.reference_book import Cross, Order, Where
from engine.reference_bounds import Bounds
from engine.schema import AuctionStep, Limits, OrdStatus, Phase, TimeInForce
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
    assert told["accounts"][4] == {"account": "A5", "member": "M2", "owner": "B1", "balance": 0, "checked": 0}
    assert [order["cl_ord_id"] for order in told["orders"]] == ["b3", "s1", "s2", "v1"]
    assert told["orders"][2] == {
        "order_id": 12,
        "account": "A2",
        "symbol": "W",
        "side": "sell",
        "ord_type": "limit",
        "price": 101,
        "stop_price": 0,
        "order_qty": 4,
        "leaves_qty": 4,
        "cum_qty": 0,
        "display_qty": 0,
        "shown_qty": 0,
        "cl_ord_id": "s2",
        "time_in_force": "gtc",
        "expire_time": 0,
        "smp": "none",
        "smp_id": 9,
        "flags": 1,
        "client_session": 3,
        "inactive": 0,
    }
    assert (told["orders"][1]["order_qty"], told["orders"][1]["leaves_qty"], told["orders"][1]["cum_qty"]) == (5, 2, 3)
    assert told["orders"][1]["smp"] == "cancel_resting"


WAITING = (("A1", "sell 9 @ 101 as i1 display 4"), ("A2", "buy 5 @ 101 as b1"), ("A3", "buy 1 stop 103 as w1"),
           ("A3", "buy 1 stop 102 @ 105 as w2 gtd until 99000"), ("A3", "sell 2 stop 50 as w3"),
           ("A3", "sell 2 stop 60 as w4"), ("A4", "sell 3 market as c1 at_close"),
           ("A4", "buy 9 @ 90 as c2 at_close display 2"))  # fmt: skip


def test_the_dump_tells_what_waits_and_what_shows() -> None:
    told = venue(*WAITING, ("venue", "phase V volatility_auction override")).dump()
    keys = ("cl_ord_id", "ord_type", "price", "stop_price", "display_qty", "shown_qty", "expire_time", "inactive")
    assert [tuple(order[key] for key in keys) for order in told["orders"]] == [
        ("i1", "limit", 101, 0, 4, 3, 0, 0),
        ("w2", "stop_limit", 105, 102, 0, 0, 99_000, 1),
        ("w1", "stop", 0, 103, 0, 0, 0, 1),
        ("w4", "stop", 0, 60, 0, 0, 0, 1),
        ("w3", "stop", 0, 50, 0, 0, 0, 1),
        ("c1", "market", 1, 0, 0, 0, 0, 1),
        ("c2", "limit", 90, 0, 2, 0, 0, 1),
    ]
    keys = ("phase", "override", "last_price", "close_price")
    assert [tuple(terms[key] for key in keys) for terms in told["instruments"]] == [
        ("continuous", 0, 101, None),
        ("volatility_auction", 1, None, None),
    ]
    assert all("reference_price" not in terms for terms in told["instruments"])


def test_the_indicative_is_told_in_any_phase() -> None:
    reference = venue(*BOOK)
    assert reference.indicative(1) == (0, 0, 0, AuctionStep.NO_CROSS)


def test_the_book_tells_queues() -> None:
    reference = venue(*BOOK)
    assert reference.book(1) == {"bids": [(99, 6, [(14, 6)])], "asks": [(101, 6, [(11, 2), (12, 4)])]}
    assert reference.book(2) == {"bids": [(98, 7, [(16, 7)])], "asks": []}


def test_an_empty_world() -> None:
    assert Reference(Limits(1, 1, 1, 64, 1)).dump() == {
        "trading_day": "", "margined": 0, "seq": 0, "time": 0, "next_trade_id": 1, "instruments": [], "accounts": [],
        "orders": [],
        "positions": [], "fixings": [], "margins": [], "fees": [], "caps": [], "kills": [], "income": {},
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


def show_too_much(reference: Reference) -> None:
    reference.live[19].shown_qty = 5


def show_nothing(reference: Reference) -> None:
    reference.live[19].shown_qty = 0


def misplace_a_stop(reference: Reference) -> None:
    reference.live[17].stop_price += 1


def let_a_stop_wait_in_vain(reference: Reference) -> None:
    reference.instruments[0].last_price = 150


def keep_a_day_order_aside(reference: Reference) -> None:
    reference.live[18].time_in_force = TimeInForce.DAY


def be_in_two_places(reference: Reference) -> None:
    reference.instruments[0].aside[11] = reference.live[11]


def forget_what_was_told(reference: Reference) -> None:
    reference.instruments[1].phase = Phase.PRE_OPEN
    reference.instruments[1].told = Cross(1, 1, 1, AuctionStep.VOLUME)


def close_with_day_orders(reference: Reference) -> None:
    reference.instruments[1].phase = Phase.CLOSED


def forget_a_date(reference: Reference) -> None:
    reference.live[11].time_in_force = TimeInForce.GTD


MORE = (
    *BOOK,
    ("A1", "sell 5 stop 50 as w1"),
    ("A1", "buy 5 @ 98 as c1 at_close"),
    ("A1", "buy 9 @ 98 as i1 display 4"),
    ("A1", "buy 5 stop 140 as w2"),
)
DAMAGE = [
    show_too_much,
    show_nothing,
    misplace_a_stop,
    let_a_stop_wait_in_vain,
    keep_a_day_order_aside,
    be_in_two_places,
    forget_what_was_told,
    close_with_day_orders,
    forget_a_date,
    lose_lots,
    rest_empty,
    forget_an_order,
    cross_the_book,
    misplace_an_order,
    end_a_resting_order,
    rest_an_ioc,
    lose_a_client_id,
    give_an_order_away,
    miscount_far_levels,
]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_check_notices(damage: Callable[[Reference], None]) -> None:
    reference = venue(*MORE)
    reference.check()
    damage(reference)
    with pytest.raises(AssertionError):
        reference.check()


CONTROLLED = (
    ("venue", "control V limit_steps=1000,2000 short_ticks=5 max_order_value=07.0"), ("venue", "phase V halted"),
    ("venue", "limit V settlement 100 step 1"), ("venue", "control V max_order_value=0"),
    ("venue", "phase V volatility_auction"), ("venue", "phase V continuous"),
    ("A1", "buy 1 @ 111 as g1 gtc in V"), ("A1", "buy 1 market as m1 at_close in V"),
    ("A2", "buy 9 @ 90 as g2 gtc in V"),
    ("A3", "sell 9 @ 89 as g3 gtc display 4 in V"), ("A3", "sell 1 @ 90 as g4 gtc in V"),
)  # fmt: skip


def test_the_dump_tells_controls_limits_and_what_is_suspended() -> None:
    told = venue(*CONTROLLED).dump()
    plain, controlled = told["instruments"]
    assert plain["controls"] == {}
    assert plain["limits"] == {"settlement": 500, "step": 0, "side": 0, "locked": 0, "low": 1, "high": 1000}
    assert controlled["controls"] == {"limit_steps": "1000,2000", "short_ticks": 5, "max_order_value": "0"}
    assert controlled["limits"] == {"settlement": 100, "step": 1, "side": 0, "locked": 0, "low": 90, "high": 110}
    keys = ("cl_ord_id", "price", "shown_qty", "inactive")
    assert [tuple(order[key] for key in keys) for order in told["orders"]] == [
        ("g2", 90, 0, 0), ("g1", 111, 0, 1), ("m1", 110, 0, 1), ("g3", 89, 4, 1),
    ]  # fmt: skip


def named(reference: Reference, name: str) -> Order:
    return next(order for order in reference.live.values() if order.cl_ord_id == name.encode())


def suspend_inside(reference: Reference) -> None:
    named(reference, "g1").price = 110


def suspend_a_day_order(reference: Reference) -> None:
    named(reference, "g1").time_in_force = TimeInForce.DAY


def rest_outside(reference: Reference) -> None:
    reference.instruments[1].limits.low = 91


def keep_a_lasting_order_aside(reference: Reference) -> None:
    named(reference, "g1").where = Where.ASIDE


def pull_outside_a_call(reference: Reference) -> None:
    reference.instruments[1].trigger.pull(Bounds(1, 2))


def extend_outside_a_call(reference: Reference) -> None:
    reference.instruments[0].trigger.extend()


def remember_yesterdays_trades(reference: Reference) -> None:
    reference.instruments[2].trigger.note(0, 5)


@pytest.mark.parametrize(
    "damage",
    [suspend_inside, suspend_a_day_order, rest_outside, keep_a_lasting_order_aside, pull_outside_a_call,
     extend_outside_a_call, remember_yesterdays_trades],
    ids=lambda damage: damage.__name__,
)  # fmt: skip
def test_check_notices_what_price_controls_leave(damage: Callable[[Reference], None]) -> None:
    reference = venue(*CONTROLLED, ("venue", "define U"))
    reference.check()
    damage(reference)
    with pytest.raises(AssertionError):
        reference.check()
