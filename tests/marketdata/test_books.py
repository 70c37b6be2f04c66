"""One side of a book, and the texts of its prices."""

from __future__ import annotations

import random

import pytest

from marketdata.books import PRICE_TEXTS_MAX, Levels, Market


@pytest.mark.parametrize("sign", [1, -1], ids=["bids", "asks"])
def test_the_best_price_comes_first_and_an_empty_level_goes(sign: int) -> None:
    side = Levels(sign)
    for price in (600, 604, 598, 604):
        side.add(price, 5)
    assert [key * sign for key in side.best(2)] == ([604, 600] if sign == 1 else [598, 600])
    side.take(604, 5, 1)
    assert side.at[604 * sign] == (5, 1)
    side.take(604, 5, 1)
    assert 604 * sign not in side.at and len(side.best(0)) == 2


def test_lots_may_come_and_go_without_an_order() -> None:
    side = Levels(1)
    side.add(600, 5)
    side.take(600, 5, 0)
    assert side.at == {600: (0, 1)}, "all that it shows is traded, and it has more"
    side.take(600, -4, 0)
    assert side.at == {600: (4, 1)}


def test_what_a_command_changed_and_changed_back_is_no_change() -> None:
    side = Levels(-1)
    side.add(600, 5)
    side.before = {}
    side.add(601, 2)
    side.take(600, 1, 0)
    side.take(601, 2, 1)
    assert side.changed() == [-600] and side.before == {-600: (5, 1), -601: None}


def test_keys_stay_sorted_whatever_happens() -> None:
    draw, side = random.Random(1), Levels(-1)
    for _ in range(2000):
        price = draw.randint(590, 610)
        lots, orders = side.at.get(-price, (0, 0))
        if orders and draw.random() < 0.5:
            side.take(price, lots if orders == 1 else 1, 1)
        else:
            side.add(price, draw.randint(1, 9) + 9)
        assert side.keys == sorted(side.at)


def test_texts_of_prices_are_kept_within_bounds() -> None:
    market = Market(1, "W1", "0.005", 1, 1, 1)
    assert [market.price_text(price) for price in range(PRICE_TEXTS_MAX + 2)][601] == "3.005"
    assert len(market._texts) <= PRICE_TEXTS_MAX
