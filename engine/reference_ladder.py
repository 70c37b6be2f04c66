"""The readable matcher's auction price: rule R52, as it is said there.

Looks at a book and changes nothing.  Every level is summed anew; nothing is remembered between two looks.
"""

from __future__ import annotations

from engine.reference_book import NO_CROSS, Cross, Instrument
from engine.schema import AuctionStep, Side

__all__ = ["auction_price", "find_cross"]


def find_cross(instrument: Instrument) -> Cross:
    """R52: the price at which the book would trade now, and what would trade there."""
    buys, sells = instrument.sides[Side.BUY], instrument.sides[Side.SELL]
    best_buy = buys.best()
    if best_buy is None or not sells.reached_by(best_buy):
        return NO_CROSS  # no buy reaches any sell: no volume at any price
    demanded, supplied = buys.lots(), sells.lots()
    # R52 says it of the step UNPRICED only; of the others it changes nothing, for all candidates lie within the limits.
    reference = instrument.limits.held(instrument.reference_price)
    found = auction_price(_candidates(instrument), demanded, supplied, reference)
    if found is None:
        return NO_CROSS
    price, step = found
    demand = sum(lots for at, lots in demanded.items() if at >= price)
    supply = sum(lots for at, lots in supplied.items() if at <= price)
    return Cross(price, min(demand, supply), demand - supply, step)


def _candidates(instrument: Instrument) -> set[int]:
    """R52: the distinct prices of the priced orders in the book; an edge is none by itself (R51)."""
    return {
        price
        for side in instrument.sides.values()
        for price, level in side.levels.items()
        if price != instrument.edge(side.side) or not all(order.is_unpriced for order in level.values())
    }


def auction_price(
    candidates: set[int], demanded: dict[int, int], supplied: dict[int, int], reference: int
) -> tuple[int, AuctionStep] | None:
    """R52: climb the ladder; price and deciding step, None without a price.

    `demanded` and `supplied` are the lots of buys and sells at each price, those of unpriced orders at their edges.

    >>> auction_price({300, 310}, {310: 100}, {300: 100}, reference=304)
    (304, <AuctionStep.REFERENCE: 4>)
    >>> auction_price({300, 310}, {310: 150}, {300: 100}, reference=304)
    (310, <AuctionStep.PRESSURE: 3>)
    """
    if not candidates:
        return (reference, AuctionStep.UNPRICED) if demanded and supplied else None
    demand, supply = _from_best(demanded, supplied)
    volume = {price: min(demand[price], supply[price]) for price in candidates}
    surplus = {price: demand[price] - supply[price] for price in candidates}

    most = max(volume.values())
    if most == 0:
        return None
    remaining = [price for price in candidates if volume[price] == most]
    if len(remaining) == 1:
        return remaining[0], AuctionStep.VOLUME

    least = min(abs(surplus[price]) for price in remaining)
    remaining = [price for price in remaining if abs(surplus[price]) == least]
    if len(remaining) == 1:
        return remaining[0], AuctionStep.SURPLUS

    if all(surplus[price] > 0 for price in remaining):
        return max(remaining), AuctionStep.PRESSURE
    if all(surplus[price] < 0 for price in remaining):
        return min(remaining), AuctionStep.PRESSURE

    if least == 0:
        low, high = min(remaining), max(remaining)
    else:
        low = max(price for price in remaining if surplus[price] > 0)
        high = min(price for price in remaining if surplus[price] < 0)
    return min(max(reference, low), high), AuctionStep.REFERENCE


def _from_best(demanded: dict[int, int], supplied: dict[int, int]) -> tuple[dict[int, int], dict[int, int]]:
    """R52: at each price in the book, the lots of the buys at it or higher, and of the sells at it or lower."""
    prices = sorted(demanded.keys() | supplied.keys())
    demand, supply = {}, {}
    lots = 0
    for price in reversed(prices):
        lots += demanded.get(price, 0)
        demand[price] = lots
    lots = 0
    for price in prices:
        lots += supplied.get(price, 0)
        supply[price] = lots
    return demand, supply
