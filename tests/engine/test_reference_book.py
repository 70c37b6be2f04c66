"""One side of a book: order of prices, order in a level, far levels counted."""

from __future__ import annotations

import pytest

from engine.reference_acts import InstrumentTerms
from engine.reference_book import BookSide, Command, Instrument, Order
from engine.schema import COMMAND, MAX_FAR_LEVELS, OrdStatus, OrdType, Phase, Side, Smp, TimeInForce

TERMS = InstrumentTerms("W", 1, 9000, 500, 10, 100, 10, {})


def order(number: int, price: int, side: Side = Side.BUY) -> Order:
    return Order(
        number, 1, Instrument(1, TERMS), side, OrdType.LIMIT, TimeInForce.DAY, price, 5, 5, 0, b"x", Smp.CANCEL_RESTING,
        0, False, 0, ("owner", "B1", 0),
    )  # fmt: skip


@pytest.mark.parametrize(("side", "prices"), [(Side.BUY, [102, 101, 100]), (Side.SELL, [100, 101, 102])])
def test_best_price_first_then_first_come(side: Side, prices: list[int]) -> None:
    book = BookSide(side, TERMS)
    for number, price in enumerate([101, 100, 102, 101, 100], 1):
        book.add(order(number, price, side))
    assert [price for price, _, _ in book.picture()] == prices
    assert book.picture()[1] == (101, 10, [(1, 5), (4, 5)])
    assert book.best() == prices[0] and book.first().price == prices[0]
    assert [o.order_id for o in book.best_first() if o.price == 100] == [2, 5]


def test_a_price_is_reached_from_its_own_side_only() -> None:
    asks, bids = BookSide(Side.SELL, TERMS), BookSide(Side.BUY, TERMS)
    assert not asks.reached_by(9000) and not bids.reached_by(1)
    asks.add(order(1, 101, Side.SELL))
    bids.add(order(2, 99))
    assert [asks.reached_by(price) for price in (100, 101, 102)] == [False, True, True]
    assert [bids.reached_by(price) for price in (98, 99, 100)] == [True, True, False]
    assert order(3, 100).reaches(100) and not order(3, 100).reaches(101)
    assert order(4, 100, Side.SELL).reaches(100) and not order(4, 100, Side.SELL).reaches(99)


def test_far_levels_are_counted_once_and_given_back() -> None:
    side = BookSide(Side.BUY, TERMS)
    first, second, near = order(1, 50), order(2, 50), order(3, 105)
    for one in (first, second, near):
        side.add(one)
    assert side.far_levels == 1 and first.rests
    side.remove(first)
    assert side.far_levels == 1 and not first.rests
    side.remove(second)
    assert side.far_levels == 0 and side.best() == 105


def test_no_room_is_only_for_one_more_far_level() -> None:
    side = BookSide(Side.BUY, TERMS)
    for number in range(MAX_FAR_LEVELS):
        assert not side.has_no_room_at(8000)
        side.add(order(number, 1000 + number))
    assert side.has_no_room_at(8000) and side.has_no_room_at(99) and side.has_no_room_at(110)
    assert not side.has_no_room_at(100) and not side.has_no_room_at(109) and not side.has_no_room_at(1000)


def test_phases_permit_what_the_table_says() -> None:
    instrument = Instrument(1, TERMS)
    permitted = {}
    for phase in Phase:
        instrument.phase = phase
        permitted[phase] = (instrument.may_enter, instrument.may_cancel, instrument.matches)
    assert permitted == {
        Phase.CLOSED: (False, False, False),
        Phase.PRE_OPEN: (True, True, False),
        Phase.CONTINUOUS: (True, True, True),
        Phase.HALTED: (False, True, False),
    }
    assert instrument.against(Side.BUY).side == Side.SELL and instrument.against(Side.SELL).side == Side.BUY


def test_status_is_told_by_fills_until_the_end() -> None:
    one = order(1, 100)
    assert one.status == OrdStatus.NEW
    one.cum_qty = 1
    assert one.status == OrdStatus.PARTIALLY_FILLED
    one.ended = OrdStatus.EXPIRED
    assert one.status == OrdStatus.EXPIRED


def test_a_command_is_its_row_and_only_an_amend_by_target_has_a_new_id() -> None:
    command = Command._make(dict.fromkeys(COMMAND.names or (), 0).values())._replace(cl_ord_id=b"x")
    assert command.new_cl_ord_id == b""
    assert command._replace(target_lo=3).new_cl_ord_id == b"x"
    assert command._replace(target_hi=3).new_cl_ord_id == b"x"
