"""The trader's library and the command line of the exchange.

>>> import cashew
>>> sorted(cashew.__all__)[:3]
['Auction', 'Book', 'CannotConnect']

Names are imported when they are first used, so that `import cashew` costs nothing that is not needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cashew.book import Book
    from cashew.client import Client, connect
    from cashew.errors import (
        CannotConnect,
        CashewError,
        Done,
        FellBehind,
        LogonRefused,
        NotDone,
        Rejected,
        Unknown,
    )
    from cashew.market import MarketData
    from cashew.messages import Auction, Execution, Gap, Instrument, MassCanceled, Order, PhaseChange, Trade

_HOMES = {
    "Auction": "cashew.messages",
    "Book": "cashew.book",
    "CannotConnect": "cashew.errors",
    "CashewError": "cashew.errors",
    "Client": "cashew.client",
    "Done": "cashew.errors",
    "Execution": "cashew.messages",
    "FellBehind": "cashew.errors",
    "Gap": "cashew.messages",
    "Instrument": "cashew.messages",
    "LogonRefused": "cashew.errors",
    "MarketData": "cashew.market",
    "MassCanceled": "cashew.messages",
    "NotDone": "cashew.errors",
    "Order": "cashew.messages",
    "PhaseChange": "cashew.messages",
    "Rejected": "cashew.errors",
    "Trade": "cashew.messages",
    "Unknown": "cashew.errors",
    "connect": "cashew.client",
}

__all__ = [
    "Auction",
    "Book",
    "CannotConnect",
    "CashewError",
    "Client",
    "Done",
    "Execution",
    "FellBehind",
    "Gap",
    "Instrument",
    "LogonRefused",
    "MarketData",
    "MassCanceled",
    "NotDone",
    "Order",
    "PhaseChange",
    "Rejected",
    "Trade",
    "Unknown",
    "connect",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'cashew' has no attribute {name!r}")
