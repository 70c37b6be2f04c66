"""The readable matcher's money as things: positions, and what lots are worth, cost and hold (rules R71, R72, R74, R75).

`Costs` never changes: an act makes another one, so that a refused one leaves no trace.  Exact integers and fractions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil, floor
from typing import Final

from engine.reference_acts import InstrumentTerms
from engine.reference_terms import Fees, Fixing
from engine.schema import MAX_ORDER_QTY, Side

__all__ = ["Costs", "Position", "is_exact_enough", "round_half_away"]

BASIS_POINTS: Final = 10_000
MAX_NUMERATOR: Final = 2**31
MAX_PRODUCT: Final = 10**11
MAX_VALUE: Final = 2**61
MAX_WORST_FEE: Final = 10**9


@dataclass(slots=True)
class Position:
    """R71: lots bought less lots sold, and the open lots of live buys and sells; of an account, or added up.

    `held` is what R74 holds for it, 0 of an account that is not checked.
    """

    lots: int = 0
    buys: int = 0
    sells: int = 0
    held: int = 0

    @property
    def long(self) -> int:
        """What it would be if all the buys traded, and none of the sells."""
        return self.lots + self.buys

    @property
    def short(self) -> int:
        """The mirror of `long`: how many lots short it would be if all the sells traded."""
        return self.sells - self.lots

    def move(self, side: Side, opened: int, traded: int = 0) -> None:
        """Lots of an order of this side come to be open (negative: stop being it), or are traded."""
        if side == Side.BUY:
            self.buys += opened
            self.lots += traded
        else:
            self.sells += opened
            self.lots -= traded

    def moved(self, side: Side, opened: int) -> Position:
        """What it would be with so many more lots open."""
        other = replace(self)
        other.move(side, opened)
        return other

    def facing(self, side: Side) -> int:
        """R76: the lots that a cap is about, for an order of this side."""
        return self.long if side == Side.BUY else self.short


def round_half_away(amount: Fraction) -> int:
    """R75: to the nearest integer, halves away from zero.

    >>> [round_half_away(Fraction(n, 2)) for n in (-3, -2, -1, 0, 1, 3)]
    [-2, -1, -1, 0, 1, 2]
    """
    size = floor(abs(amount) + Fraction(1, 2))
    return size if amount > 0 else -size


def tick_value(terms: InstrumentTerms, fixing: Fixing) -> Fraction:
    """R72: the value of one tick of one lot."""
    return Fraction(terms.tick.units, 10**terms.tick.scale) * terms.contract_size * fixing.exact_rate


def is_exact_enough(terms: InstrumentTerms, fixing: Fixing) -> bool:
    """R72: whether the value of a tick of a lot is a fraction of a bearable size."""
    value = tick_value(terms, fixing)
    return value.numerator <= MAX_NUMERATOR and value.numerator * value.denominator <= MAX_PRODUCT


def _worst_price(terms: InstrumentTerms) -> int:
    """R75: the price at which a lot is worth most."""
    return max(abs(terms.min_price), abs(terms.max_price))


@dataclass(frozen=True)
class Costs:
    """What was set: fixings by (ccy, per); margins per lot and fees by (symbol, ccy)."""

    fixings: Mapping[tuple[str, str], Fixing] = field(default_factory=dict)
    margins: Mapping[tuple[str, str], int] = field(default_factory=dict)
    fees: Mapping[tuple[str, str], Fees] = field(default_factory=dict)
    # By (symbol, ccy), found when first asked for; a fraction is slow to make.
    _tick_values: dict[tuple[str, str], Fraction | None] = field(default_factory=dict)
    _worst_fees: dict[tuple[str, str], int] = field(default_factory=dict)

    def with_fixing(self, fixing: Fixing) -> Costs:
        """R72: the same with another fixing."""
        return Costs({**self.fixings, (fixing.ccy, fixing.per): fixing}, self.margins, self.fees)

    def with_margin(self, symbols: Iterable[str], ccy: str, per_lot: int) -> Costs:
        """R74: the same with another margin per lot of these instruments."""
        margins = {**self.margins, **{(symbol, ccy): per_lot for symbol in symbols}}
        return Costs(self.fixings, margins, self.fees)

    def with_fees(self, symbols: Iterable[str], ccy: str, fees: Fees) -> Costs:
        """R75: the same with other fees of these instruments."""
        return Costs(self.fixings, self.margins, {**self.fees, **{(symbol, ccy): fees for symbol in symbols}})

    def tick_value(self, terms: InstrumentTerms, ccy: str) -> Fraction | None:
        """R72: the value of one tick of one lot to an account of this currency; None without a fixing."""
        key = terms.symbol, ccy
        if key not in self._tick_values:
            fixing = self.fixings.get((terms.ccy, ccy))
            self._tick_values[key] = None if fixing is None else tick_value(terms, fixing)
        return self._tick_values[key]

    def value(self, terms: InstrumentTerms, ccy: str, price: int, lots: int) -> Fraction:
        """R72: the value of lots at a price; there must be a fixing."""
        one = self.tick_value(terms, ccy)
        assert one is not None, "who asks for a value has looked for the fixing"
        return abs(price) * lots * one

    def fee(self, terms: InstrumentTerms, ccy: str, price: int, lots: int, role: str) -> int:
        """R75: what a trade costs one side, which is the `taker`, the `maker` or one of an `auction`."""
        fees = self.fees.get((terms.symbol, ccy))
        if fees is None:
            return 0
        rate: int = getattr(fees, role)
        if fees.basis == "lot":
            return rate * lots
        if self.tick_value(terms, ccy) is None:
            return 0
        return round_half_away(self.value(terms, ccy, price, lots) * rate / BASIS_POINTS)

    def worst_fee(self, terms: InstrumentTerms, ccy: str) -> int:
        """R75: the most that trading a lot may cost."""
        key = terms.symbol, ccy
        if key not in self._worst_fees:
            self._worst_fees[key] = self._find_worst_fee(terms, ccy)
        return self._worst_fees[key]

    def _find_worst_fee(self, terms: InstrumentTerms, ccy: str) -> int:
        fees = self.fees.get((terms.symbol, ccy))
        if fees is None:
            return 0
        if fees.basis == "lot":
            return fees.highest
        if self.tick_value(terms, ccy) is None:
            return 0
        return ceil(self.value(terms, ccy, _worst_price(terms), 1) * fees.highest / BASIS_POINTS)

    def has_bearable_fees(self, terms: InstrumentTerms, ccy: str) -> bool:
        """R75: whether no order, and no fee of it, could be too large to count."""
        fees = self.fees.get((terms.symbol, ccy))
        if fees is None or fees.basis == "lot" or self.tick_value(terms, ccy) is None:
            return True
        most = self.value(terms, ccy, _worst_price(terms), MAX_ORDER_QTY)
        return most <= MAX_VALUE and self.worst_fee(terms, ccy) <= MAX_WORST_FEE

    def may_be_traded(self, terms: InstrumentTerms, ccy: str) -> bool:
        """R74: whether checked accounts of this currency can be told what a lot costs and is worth."""
        return (terms.symbol, ccy) in self.margins and self.tick_value(terms, ccy) is not None

    def held(self, terms: InstrumentTerms, ccy: str, position: Position) -> int:
        """R74: what is held for a position of a checked account."""
        per_lot = self.margins.get((terms.symbol, ccy))
        if per_lot is None:
            return 0
        most = max(abs(position.long), abs(position.short))
        return per_lot * most + self.worst_fee(terms, ccy) * (position.buys + position.sells)
