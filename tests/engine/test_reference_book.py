"""The things of the readable matcher: queues of a book and of stops, what a phase permits, what a day leaves."""

from __future__ import annotations

import pytest

from engine.phases import Mode, Permit
from engine.reference_acts import InstrumentTerms
from engine.reference_book import BookSide, Command, Instrument, Order, StopSide, Where
from engine.schema import (
    COMMAND,
    MAX_FAR_LEVELS,
    MAX_STOP_LEVELS,
    OrdStatus,
    OrdType,
    Phase,
    Side,
    Smp,
    Tick,
    TimeInForce,
)

TERMS = InstrumentTerms("W", 3, 1, 9000, 500, 10, 4500, 100, 10, Tick(1, 0), "", {})


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
    assert side.far_levels == 1 and first.where == Where.BOOK
    side.remove(first)
    assert side.far_levels == 1 and first.where == Where.INCOMING
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
    lasting, any_tif = TimeInForce.GTD, TimeInForce.DAY
    told = {}
    for phase in (Phase.CLOSED, Phase.PRE_OPEN, Phase.TRADE_AT_CLOSE, Phase.POST_CLOSE):
        instrument.phase = phase
        told[phase] = (
            instrument.mode,
            instrument.matches,
            instrument.permits(Permit.ENTER, any_tif),
            instrument.permits(Permit.ENTER, lasting),
            instrument.permits(Permit.ENTER | Permit.AT_ONCE, any_tif),
            instrument.permits(Permit.CANCEL, any_tif),
        )
    assert told == {
        Phase.CLOSED: (Mode.NONE, False, False, False, False, False),
        Phase.PRE_OPEN: (Mode.CALL, False, True, True, False, True),
        Phase.TRADE_AT_CLOSE: (Mode.AT_CLOSE, True, True, True, False, True),
        Phase.POST_CLOSE: (Mode.NONE, False, False, True, False, False),
    }
    assert instrument.against(Side.BUY).side == Side.SELL and instrument.against(Side.SELL).side == Side.BUY
    assert (instrument.edge(Side.BUY), instrument.edge(Side.SELL)) == (9000, 1)


@pytest.mark.parametrize(("side", "turn"), [(Side.BUY, [2, 5, 1, 4, 3]), (Side.SELL, [3, 1, 4, 2, 5])])
def test_stops_are_elected_nearest_first_then_first_come(side: Side, turn: list[int]) -> None:
    stops = StopSide(side)
    for number, stop_price in enumerate([101, 100, 102, 101, 100], 1):
        one = order(number, 0, side)
        one.stop_price = stop_price
        stops.add(one)
    assert [one.order_id for one in stops.in_turn()] == turn
    elected = []
    while (one_more := stops.next_elected(low=101, high=101)) is not None:
        assert one_more.is_inactive
        elected.append(one_more.order_id)
        stops.remove(one_more)
        assert one_more.where == Where.INCOMING
    assert elected == turn[:4] if side == Side.BUY else turn[:3]
    assert stops.is_reached(100, 99, 101) and StopSide(side).next_elected(1, 9000) is None


def test_no_room_is_only_for_one_more_stop_price() -> None:
    stops = StopSide(Side.SELL)
    for number in range(MAX_STOP_LEVELS):
        assert not stops.has_no_room_at(8000)
        one = order(number, 0, Side.SELL)
        one.stop_price = 1000 + number
        stops.add(one)
    assert stops.has_no_room_at(8000) and not stops.has_no_room_at(1000)


def test_an_iceberg_that_is_refreshed_joins_its_level_last() -> None:
    side = BookSide(Side.BUY, TERMS)
    first, second = order(1, 100), order(2, 100)
    for one in (first, second):
        side.add(one)
    first.display_qty, first.leaves_qty = 3, 2
    side.refresh(first)
    assert first.shown_qty == first.may_trade_now() == 2 and second.may_trade_now() == 5
    assert [one.order_id for one in side.best_first()] == [2, 1]
    side.remove(first)
    assert first.shown_qty == 0


def test_only_what_is_for_another_call_is_kept_aside() -> None:
    instrument = Instrument(1, TERMS)
    aside = set()
    for phase in Phase:
        instrument.phase = phase
        assert not instrument.keeps_aside(TimeInForce.AT_OPEN) and not instrument.keeps_aside(TimeInForce.GTC)
        if instrument.keeps_aside(TimeInForce.AT_CLOSE):
            aside.add(phase)
    assert set(Phase) - aside == {Phase.PRE_CLOSE, Phase.CLOSE_NO_CANCEL}


def test_a_day_leaves_its_last_price_as_the_reference() -> None:
    instrument = Instrument(1, TERMS)
    instrument.end_day()
    assert (instrument.reference_price, instrument.said) == (4500, {})
    instrument.note_trade(7, 4321, 0)
    assert (instrument.reference_price, instrument.said) == (4321, {})
    instrument.end_day()
    assert (instrument.reference_price, instrument.last_price) == (4321, None)
    assert instrument.said == {"reference_price": "4321"}


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
