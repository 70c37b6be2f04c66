from __future__ import annotations

from datetime import date

import pytest

from engine.day import genesis, restatement
from engine.instruments import CONTRACTS, last_trading_day, listed, listed_months
from engine.reference import Reference
from engine.schema import EventKind, Limits, Tick

MONDAY = "2026-11-23"


def by_symbol(trading_day: str = MONDAY) -> dict[str, dict[str, object]]:
    return {str(terms["symbol"]): terms for terms in listed(trading_day)}


def test_the_venue_accepts_every_instrument() -> None:
    matcher, kinds = Reference(Limits()), []
    for _, rows, payload in restatement(genesis(listed(MONDAY)), MONDAY, first_seq=1, time_ns=1):
        kinds += matcher.run_block(rows, payload)["kind"].tolist()
    assert kinds.count(EventKind.INSTRUMENT_DEFINED) == len(listed(MONDAY)) == 25
    assert EventKind.ACT_REJECTED not in kinds


def test_the_benchmark_future_has_its_real_terms() -> None:
    terms = by_symbol()["W320F2703"]
    assert {key: terms[key] for key in ("ccy", "unit", "contract_size", "tick", "max_order_qty")} == {
        "ccy": "USD", "unit": "lb", "contract_size": 3500, "tick": "0.005", "max_order_qty": 500,
    }  # fmt: skip
    assert (terms["min_price"], terms["reference_price"], terms["max_price"]) == ("1.000", "3.000", "9.000")


@pytest.mark.parametrize(
    ("symbol", "price", "lot_value"),
    [
        ("W320F2703", "3.000", 10_500),
        ("RAFF2703", "1370", 13_700),
        ("RBPF2703", "40000", 200_000_000),
        ("W320S", "3.00", 52_500),
    ],
)
def test_a_lot_is_worth_what_the_contract_says(symbol: str, price: str, lot_value: int) -> None:
    terms = by_symbol()[symbol]
    tick = Tick.parse(str(terms["tick"]))
    ticks = tick.ticks(price)
    assert ticks is not None
    assert ticks * tick.units * int(str(terms["contract_size"])) == lot_value * 10**tick.scale


def test_every_band_holds_the_prices_of_the_last_years() -> None:
    envelope = {
        "W320F": (2.80, 5.50),
        "W320S": (2.80, 5.50),
        "RAFF": (900, 2450),
        "WSS": (2.00, 4.65),
        "LPS": (1.60, 3.85),
    }
    for terms in listed(MONDAY):
        low, high = envelope.get(str(terms["symbol"]).rstrip("0123456789"), (None, None))
        assert (
            low is None
            or high is None
            or float(str(terms["min_price"])) <= low < high <= float(str(terms["max_price"]))
        )


def test_the_window_covers_every_band() -> None:
    for terms in listed(MONDAY):
        tick = Tick.parse(str(terms["tick"]))
        low, high = tick.ticks(str(terms["min_price"])), tick.ticks(str(terms["max_price"]))
        assert low is not None and high is not None and high - low < 4096


def test_four_months_and_two_quarters_of_kernels_are_listed() -> None:
    kernels = CONTRACTS[0]
    assert listed_months(kernels, date(2026, 11, 23)) == [
        (2026, 12),
        (2027, 1),
        (2027, 2),
        (2027, 3),
        (2027, 6),
        (2027, 9),
    ]
    assert listed_months(kernels, date(2026, 12, 15))[0] == (2026, 12), "the last trading day is one"
    assert listed_months(kernels, date(2026, 12, 16))[0] == (2027, 1)


def test_spot_instruments_have_no_months() -> None:
    assert [listed_months(contract, date(2026, 11, 23)) for contract in CONTRACTS if not contract.months] == [[]] * 5


def test_the_last_trading_day_is_never_a_weekend() -> None:
    assert last_trading_day(2027, 5) == date(2027, 5, 14) and last_trading_day(2026, 11) == date(2026, 11, 13)
    for month in range(1, 13):
        assert last_trading_day(2027, month).weekday() < 5
