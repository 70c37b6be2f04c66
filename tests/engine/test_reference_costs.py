"""Money as things: positions (R71), values (R72), what is held (R74) and fees (R75), in exact numbers."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from engine.reference_acts import InstrumentTerms
from engine.reference_costs import Costs, Position, is_exact_enough, round_half_away
from engine.reference_terms import Fees, Fixing
from engine.schema import Side, Tick

# A tick of a lot is 0.005 × 3500 = 17.50 USD.
TERMS = InstrumentTerms("W", 3500, -10, 1000, 500, 10, 500, 1, 1000, Tick.parse("0.005"), "", {}, "USD")
COSTS = Costs().with_fixing(Fixing("2026-11-23", "USD", "USD", "100")).with_margin(["W", "V"], "USD", 40_000)


def fixing(rate: str) -> Fixing:
    return Fixing("2026-11-23", "USD", "VND", rate)


def bps(*rates: int) -> Costs:
    return COSTS.with_fees(["W"], "USD", Fees("bps", *rates))


def test_a_position_moves_with_its_orders() -> None:
    position = Position()
    position.move(Side.BUY, 10)
    position.move(Side.SELL, 4)
    assert (position.long, position.short) == (10, 4)
    position.move(Side.BUY, -3, 3)
    position.move(Side.SELL, -1, 1)
    assert position == Position(lots=2, buys=7, sells=3)
    assert (position.facing(Side.BUY), position.facing(Side.SELL)) == (9, 1)
    assert position.moved(Side.SELL, 5) == Position(2, 7, 8)
    assert position == Position(2, 7, 3), "what it would be is another"


@pytest.mark.parametrize(
    ("amount", "rounded"), [("0", 0), ("0.5", 1), ("-0.5", -1), ("0.4999", 0), ("-1.5", -2), ("2.5", 3), ("-2.4", -2)]
)
def test_halves_are_rounded_away_from_zero(amount: str, rounded: int) -> None:
    assert round_half_away(Fraction(amount)) == rounded


def test_values_are_exact_and_of_the_currency_that_is_asked_for() -> None:
    assert COSTS.tick_value(TERMS, "USD") == 1750
    assert (
        COSTS.tick_value(TERMS, "VND") is None
        and COSTS.tick_value(replace(TERMS, ccy="EUR", symbol="E"), "USD") is None
    )
    assert COSTS.value(TERMS, "USD", -3, 2) == 10_500
    assert COSTS.with_fixing(fixing("0.000001")).value(TERMS, "VND", 1, 1) == Fraction(35, 2_000_000)


@pytest.mark.parametrize(
    ("size", "tick", "rate", "fits"),
    [
        (1, "1", "2147.483648", False),  # the denominator is 5**6
        (1_000_000, "1", "2147.483648", True),  # 2**31
        (1_000_000, "1", "2147.483649", False),
        (1, "0.00000000001", "1", True),  # 1 / 10**11
        (1, "0.000000000001", "1", False), (3, "0.00000000001", "1", False), (1, "0.0001", "1000.0001", False),
    ],
)  # fmt: skip
def test_a_tick_of_a_lot_has_a_value_of_bearable_size(size: int, tick: str, rate: str, fits: bool) -> None:
    value = Fraction(tick) * size * Fraction(rate)
    assert fits == (value.numerator <= 2**31 and value.numerator * value.denominator <= 10**11)
    assert is_exact_enough(replace(TERMS, contract_size=size, tick=Tick.parse(tick)), fixing(rate)) == fits


def test_fees_by_lot_need_no_fixing() -> None:
    costs = Costs().with_fees(["W"], "VND", Fees("lot", 5, -2, 9))
    roles = "taker", "maker", "auction"
    assert [costs.fee(TERMS, "VND", 77, 3, role) for role in roles] == [15, -6, 27]
    assert [costs.fee(TERMS, "USD", 77, 3, role) for role in roles] == [0, 0, 0]
    assert (costs.worst_fee(TERMS, "VND"), costs.worst_fee(TERMS, "USD")) == (9, 0)
    assert costs.has_bearable_fees(TERMS, "VND")


def test_fees_in_basis_points_are_of_the_value_of_the_trade() -> None:
    costs = bps(2, -2, 1)
    assert costs.fee(TERMS, "USD", 100, 1, "taker") == 35
    assert costs.fee(TERMS, "USD", 101, 1, "taker") == 35  # 35.35
    assert costs.fee(TERMS, "USD", -10, 1, "taker") == 4  # 3.5
    assert costs.fee(TERMS, "USD", 10, 1, "maker") == -4
    assert costs.fee(TERMS, "USD", 10, 0, "auction") == 0
    assert costs.with_fees(["W"], "VND", Fees("bps", 9, 9, 9)).fee(TERMS, "VND", 100, 1, "taker") == 0, "no fixing"


def test_the_worst_fee_is_found_where_a_lot_is_worth_most() -> None:
    assert bps(1, -2, 0).worst_fee(TERMS, "USD") == 175
    assert bps(1, -2, 3).worst_fee(replace(TERMS, max_price=7), "USD") == 6  # 10 ticks below zero, 5.25 rounded up
    assert bps(-1, -2, -3).worst_fee(TERMS, "USD") == 0
    assert Costs().with_fees(["W"], "USD", Fees("bps", 9, 9, 9)).worst_fee(TERMS, "USD") == 0


def test_fees_must_stay_countable() -> None:
    costs = Costs().with_fees(["W"], "VND", Fees("bps", 1000, 0, 0))
    one = replace(TERMS, contract_size=200, min_price=0, max_price=1)  # a tick of a lot is the rate
    assert costs.has_bearable_fees(one, "VND"), "no fixing, no value"
    assert costs.with_fixing(fixing("999999999")).has_bearable_fees(one, "VND")
    high = replace(one, symbol="W", max_price=2_000_000_000)
    assert costs.with_fixing(fixing("1")).has_bearable_fees(high, "VND")
    assert not costs.with_fixing(fixing("1.2")).has_bearable_fees(high, "VND"), "10**9 lots above 2**61"
    some = replace(one, max_price=1_000_000_000)
    assert (
        not Costs()
        .with_fees(["W"], "VND", Fees("bps", 0, 0, 0))
        .with_fixing(fixing("3"))
        .has_bearable_fees(some, "VND")
    )


def test_held_is_the_greater_exposure_and_the_worst_fees() -> None:
    assert COSTS.held(TERMS, "USD", Position(lots=5, buys=2, sells=3)) == 7 * 40_000
    assert COSTS.held(TERMS, "USD", Position(lots=-5, buys=2, sells=3)) == 8 * 40_000
    assert COSTS.held(TERMS, "USD", Position(lots=1, buys=2, sells=9)) == 8 * 40_000
    assert bps(1, 0, 0).held(TERMS, "USD", Position(5, 2, 3)) == 7 * 40_000 + 5 * 175
    assert COSTS.held(TERMS, "VND", Position(5, 2, 3)) == 0
    assert bps(1, 0, 0).with_margin(["W"], "USD", 0).held(TERMS, "USD", Position(5, 2, 3)) == 5 * 175


def test_what_is_set_replaces_and_leaves_the_rest() -> None:
    other = COSTS.with_margin(["W"], "USD", 1).with_fixing(Fixing("2026-11-24", "USD", "USD", "1"))
    assert (other.margins, other.tick_value(TERMS, "USD")) == ({("W", "USD"): 1, ("V", "USD"): 40_000}, Fraction(35, 2))
    assert (COSTS.margins["W", "USD"], COSTS.tick_value(TERMS, "USD")) == (40_000, 1750), "another, not this one"
    assert COSTS.may_be_traded(TERMS, "USD") and not COSTS.may_be_traded(TERMS, "VND")
    assert not COSTS.with_margin(["W"], "VND", 1).may_be_traded(TERMS, "VND")
    assert not Costs().with_fixing(fixing("1")).may_be_traded(TERMS, "VND")
