"""The contracts of the cashew exchange as data: what `instrument.define` is told about each (rule R40).

Owns units, lots, ticks, listed months and price bands. Pure; may import engine.schema only. Prices are those at which
cashew last traded for certain (end of May 2024, FOB Ho Chi Minh City for kernels, CFR for West African nuts); the
band of each instrument reaches from a third of that to three times it, which holds every price since 2012 twice over.
Daily limits around a settlement price are another, narrower layer, and come with the settlement.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from engine.schema import Tick

__all__ = ["CONTRACTS", "Contract", "last_trading_day", "listed", "listed_months"]

MONTH_NAMES: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
QUARTERS: Final = (3, 6, 9, 12)
EVERY_MONTH: Final = tuple(range(1, 13))
BAND_FACTOR: Final = 3
PROTECTION_PERCENT: Final = 2
MAX_ORDER_LOTS: Final = 500


class Contract(NamedTuple):
    """What all months of a contract, or a spot instrument (no months), have alike.

    lot: units of `unit` in one lot, so that price × lot × lots is money in `ccy`. months: (calendar months, how many
    of them are listed), in the order in which they are chosen.
    """

    root: str
    name: str
    ccy: str
    unit: str
    lot: int
    tick: str
    reference_price: str
    months: tuple[tuple[tuple[int, ...], int], ...] = ()


_KERNEL_MONTHS: Final = ((EVERY_MONTH, 4), (QUARTERS, 2))
_IMPORT_MONTHS: Final = (((1, 3, 5, 7, 9, 11), 4),)
_HARVEST_MONTHS: Final = (((3, 4, 5, 7, 9, 12), 4),)

CONTRACTS: Final = (
    Contract("W320F", "WW320 kernels, FOB Ho Chi Minh City", "USD", "lb", 3_500, "0.005", "3.000", _KERNEL_MONTHS),
    Contract("W240F", "WW240 kernels, FOB Ho Chi Minh City", "USD", "lb", 3_500, "0.005", "3.225", _KERNEL_MONTHS),
    Contract("W320S", "WW320 kernels, spot warrant of 350 cartons", "USD", "lb", 17_500, "0.01", "3.00"),
    Contract("W450S", "WW450 kernels, spot warrant of 350 cartons", "USD", "lb", 17_500, "0.01", "2.61"),
    Contract("WSS", "White splits, spot warrant of 350 cartons", "USD", "lb", 17_500, "0.01", "2.19"),
    Contract("LPS", "Large white pieces, spot warrant of 350 cartons", "USD", "lb", 17_500, "0.01", "1.65"),
    Contract("SPS", "Small white pieces, spot warrant of 350 cartons", "USD", "lb", 17_500, "0.01", "1.20"),
    Contract("RAFF", "West African raw nuts, KOR 48, CFR Cát Lái", "USD", "MT", 10, "1", "1370", _IMPORT_MONTHS),
    Contract("RBPF", "Bình Phước raw nuts, ex warehouse", "VND", "kg", 5_000, "50", "40500", _HARVEST_MONTHS),
)  # fmt: skip


def last_trading_day(year: int, month: int) -> date:
    """The 15th of the contract month, or the weekday before it.

    >>> last_trading_day(2027, 3), last_trading_day(2027, 5)
    (datetime.date(2027, 3, 15), datetime.date(2027, 5, 14))
    """
    day = date(year, month, 15)
    return day - timedelta(days=max(0, day.weekday() - 4))


def listed_months(contract: Contract, trading_day: date) -> list[tuple[int, int]]:
    """The (year, month) of a contract that are open for trading on a day, nearest first; none for spot.

    >>> listed_months(CONTRACTS[0], date(2026, 11, 23))
    [(2026, 12), (2027, 1), (2027, 2), (2027, 3), (2027, 6), (2027, 9)]
    """
    year, month = trading_day.year, trading_day.month
    if trading_day > last_trading_day(year, month):
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    listed: list[tuple[int, int]] = []
    for calendar, count in contract.months:
        wanted = len(listed) + count
        while len(listed) < wanted:
            if month in calendar:
                listed.append((year, month))
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return listed


def listed(trading_day: str) -> list[dict[str, Any]]:
    """The `instrument.define` payloads of all instruments of a trading day (`YYYY-MM-DD`)."""
    on = date.fromisoformat(trading_day)
    payloads = []
    for contract in CONTRACTS:
        if not contract.months:
            payloads.append(_payload(contract, contract.root, contract.name))
        for year, month in listed_months(contract, on):
            symbol = f"{contract.root}{year % 100:02d}{month:02d}"
            payloads.append(_payload(contract, symbol, f"{contract.name}, {MONTH_NAMES[month - 1]} {year}"))
    return payloads


def _payload(contract: Contract, symbol: str, name: str) -> dict[str, Any]:
    tick = Tick.parse(contract.tick)
    reference = tick.ticks(contract.reference_price)
    assert reference is not None, "a reference price is on tick"
    return {
        "symbol": symbol,
        "name": name,
        "group": contract.root,
        "ccy": contract.ccy,
        "unit": contract.unit,
        "contract_size": contract.lot,
        "tick": contract.tick,
        "min_price": tick.text(reference // BAND_FACTOR),
        "max_price": tick.text(reference * BAND_FACTOR),
        "max_order_qty": MAX_ORDER_LOTS,
        "protection_ticks": max(1, reference * PROTECTION_PERCENT // 100),
        "reference_price": tick.text(reference),
    }
