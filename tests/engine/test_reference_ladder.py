"""The auction price (R52): its vectors, each step of the ladder, and the mirror image of every book."""

from __future__ import annotations

import random

import pytest

from engine.reference import Reference
from engine.reference_ladder import auction_price
from engine.schema import AuctionStep
from tests.scenarios.table import Commands, world

VOLUME, SURPLUS, PRESSURE, REFERENCE, UNPRICED, NO_CROSS = AuctionStep

# name, buys, sells (a lot number at a price; a price 0 is a market order), reference price, cross
VECTORS = [
    ("A", "100@310", "100@300", 304, (304, 100, 0, REFERENCE)),
    ("A", "100@310", "100@300", 320, (310, 100, 0, REFERENCE)),
    ("A", "100@310", "100@300", 290, (300, 100, 0, REFERENCE)),
    ("B", "150@310", "100@300", 304, (310, 100, 50, PRESSURE)),
    ("B'", "100@310", "150@300", 304, (300, 100, -50, PRESSURE)),
    ("C", "100@310 50@306", "100@300 50@304", 320, (306, 150, 0, REFERENCE)),
    ("D", "100@310 50@305", "100@300 20@305", 304, (305, 120, 30, VOLUME)),
    ("E", "100@310 60@304", "100@300 60@306", 300, (304, 100, 60, REFERENCE)),
    ("E", "100@310 60@304", "100@300 60@306", 305, (305, 100, 0, REFERENCE)),
    ("E", "100@310 60@304", "100@300 60@306", 307, (306, 100, -60, REFERENCE)),
    ("F", "100@308 50@304", "100@300 50@305", 300, (304, 100, 50, REFERENCE)),
    ("surplus", "100@308 50@305", "100@300 20@308", 304, (308, 100, -20, SURPLUS)),
    ("touching", "7@300", "5@300", 304, (300, 5, 2, VOLUME)),
    ("apart", "7@299", "5@300", 304, (0, 0, 0, NO_CROSS)),
    ("one side", "7@299 5@300", "", 304, (0, 0, 0, NO_CROSS)),
    ("nothing", "", "", 304, (0, 0, 0, NO_CROSS)),
    ("unpriced only", "7@0 2@0", "5@0", 304, (304, 5, 4, UNPRICED)),
    ("unpriced one side", "7@0", "", 304, (0, 0, 0, NO_CROSS)),
    ("unpriced meets priced", "7@0", "5@300 5@301", 304, (301, 7, -3, VOLUME)),
    ("unpriced sell", "7@299", "9@0", 304, (299, 7, -2, VOLUME)),
    ("an edge is no candidate", "7@0 5@300", "12@0", 304, (300, 12, 0, VOLUME)),
    ("a priced order at the edge is one", "7@0 1@1000", "5@300", 304, (1000, 5, 3, PRESSURE)),
]


def cross(buys: str, sells: str, reference: int) -> tuple[int, int, int, int]:
    limits, acts = world([f"reference_price={reference}", "phase=pre_open"])
    venue, commands = Reference(limits), Commands()

    def say(who: str, text: str) -> None:
        row = commands.write(who, text)
        venue.run_block(row, commands.payload)
        venue.check()

    for act in acts:
        say("venue", act)
    for account, side, orders in (("A1", "buy", buys), ("A2", "sell", sells)):
        for number, text in enumerate(orders.split()):
            lots, _, price = text.partition("@")
            say(account, f"{side} {lots} {'market' if price == '0' else f'@ {price}'} as {side}{number}")
    return venue.indicative(1)


@pytest.mark.parametrize(("name", "buys", "sells", "reference", "expected"), VECTORS)
def test_vectors(name: str, buys: str, sells: str, reference: int, expected: tuple[int, int, int, int]) -> None:
    assert cross(buys, sells, reference) == expected, name


@pytest.mark.parametrize("seed", range(200))
def test_the_price_trades_most_and_mirrors(seed: int) -> None:
    """No candidate trades more; none that trades as much leaves less; mirrored orders give the mirrored price."""
    dice = random.Random(seed)
    buys, sells = ({dice.randint(1, 12): dice.randint(1, 5) for _ in range(dice.randint(0, 5))} for _ in range(2))
    reference = dice.randint(1, 12)
    candidates = buys.keys() | sells.keys()

    def demand_and_supply(price: int) -> tuple[int, int]:
        demand = sum(lots for at, lots in buys.items() if at >= price)
        return demand, sum(lots for at, lots in sells.items() if at <= price)

    found = auction_price(set(candidates), buys, sells, reference)
    volumes = [min(demand_and_supply(price)) for price in candidates]
    if not any(volumes):
        assert found is None
        return
    assert found is not None
    price, step = found
    demand, supply = demand_and_supply(price)
    assert min(demand, supply) == max(volumes)
    surpluses = [
        abs(demand_and_supply(at)[0] - demand_and_supply(at)[1])
        for at in candidates
        if min(demand_and_supply(at)) == max(volumes)
    ]
    assert abs(demand - supply) <= min(surpluses)
    mirrored = [{-at: lots for at, lots in orders.items()} for orders in (sells, buys)]
    assert auction_price({-at for at in candidates}, mirrored[0], mirrored[1], -reference) == (-price, step)
