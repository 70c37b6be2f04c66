"""Records: unknown fields are ignored, wrong types are not."""

from __future__ import annotations

import msgspec
import pytest

from cashew.messages import Auction, Order, record


def test_unknown_fields_are_ignored_so_that_the_exchange_may_grow() -> None:
    order = record({"ev": "order.accepted", "order_id": 7, "status": "new", "a_future_field": [1]}, Order)
    assert (order.order_id, order.is_live) == (7, True)


@pytest.mark.parametrize("status", ["filled", "canceled", "expired", ""])
def test_ended_order_is_not_live(status: str) -> None:
    assert not Order(status=status).is_live


def test_auction_that_would_trade_nothing_has_no_price() -> None:
    told = {"ev": "auction", "symbol": "X", "state": "indicative", "price": None, "surplus_side": None, "qty": 0}
    assert record(told, Auction) == Auction(symbol="X", state="indicative")


def test_wrong_type_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        record({"order_id": "7"}, Order)
