"""The tables of the compiled fold at their limits."""

from __future__ import annotations

from engine.schema import Limits, Side
from marketdata.derive import Derivation
from tests.marketdata.venue import Venue, levels


def test_a_full_house_is_emptied_and_filled_again() -> None:
    """Tables at the limits of their orders: each order at a price of its own, taken out in another order."""
    limits = Limits(instruments=1, accounts=4, orders=300, levels=4096, day_ids=1 << 14)
    venue, derivation = Venue("W1"), Derivation(limits)
    for block in venue.blocks:
        derivation.derive(block[0], block[2])
    for turn in range(3):
        ids = []
        for number in range(300):
            block = venue.place(Side.BUY, 1 + number % 7, 300 + (number * 37) % 300)
            ids.append(int(block[0]["seq"][0]))
            derivation.derive(block[0], block[2])
        assert derivation.book(1) == levels(venue.reference, 1) and len(derivation.book(1)["bids"]) == 300
        for order_id in ids[turn::3] + [one for n, one in enumerate(ids) if n % 3 != turn]:
            block = venue.cancel(order_id)
            derived = derivation.derive(block[0], block[2])
            assert len(derived.changes) == 1 and derived.changes[0]["orders"] == 0
        assert derivation.book(1) == {"bids": [], "asks": []}
