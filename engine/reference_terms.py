"""What acts say of accounts and costs: the readable reading of their payloads (rules R72 to R78), as plain objects.

What needs the instrument or the account to be judged is judged in `engine/reference_levers.py`, behind it.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Final

from engine.reference_payload import (
    Payload,
    check_date,
    check_keys,
    check_text,
    read_integer,
    read_name,
    read_string,
    read_subject,
    refuse,
)

__all__ = [
    "Balance",
    "Cap",
    "Collateral",
    "FeeChange",
    "Fees",
    "Fixing",
    "Kill",
    "MarginChange",
    "Restored",
]

MAX_AMOUNT: Final = 10**15
MAX_PER_LOT: Final = 10**9
MAX_LOTS: Final = 10**12
MAX_BALANCE: Final = 10**18
# R75: how many minor units a lot, or basis points, a fee or rebate may be.
MAX_FEE: Final = {"lot": 100_000, "bps": 1_000}
_RATE: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")


@dataclass(frozen=True)
class Collateral:
    """R73: what an account has put up."""

    account: str
    amount: int

    @classmethod
    def read(cls, payload: Payload) -> Collateral:
        """Read a collateral.set."""
        _check_keys(payload, must="account amount")
        return cls(read_name(payload, "account"), read_integer(payload, "amount", 0, MAX_AMOUNT))


@dataclass(frozen=True)
class Fixing:
    """R72: how many minor units of `per` one unit of `ccy` is worth, as it was said on that date."""

    date: str
    ccy: str
    per: str
    rate: str

    @classmethod
    def read(cls, payload: Payload) -> Fixing:
        """Read a fixing.set."""
        _check_keys(payload, must="date ccy per rate")
        fixing = cls(
            date=read_string(payload, "date"),
            ccy=read_name(payload, "ccy"),
            per=read_name(payload, "per"),
            rate=read_string(payload, "rate"),
        )
        check_date(fixing.date)
        if not _RATE.fullmatch(fixing.rate) or not fixing.exact_rate:
            refuse()
        return fixing

    @property
    def exact_rate(self) -> Fraction:
        """The rate as a number."""
        return Fraction(self.rate)

    @property
    def date_number(self) -> int:
        """The date as the number yyyymmdd."""
        return int(self.date.replace("-", ""))


@dataclass(frozen=True)
class MarginChange:
    """R74: what one lot of an instrument, or of each of a group (the other one is empty), costs in a currency."""

    symbol: str
    group: str
    ccy: str
    per_lot: int

    @classmethod
    def read(cls, payload: Payload) -> MarginChange:
        """Read a margin.set."""
        check_keys(payload, must="ccy per_lot", may="symbol group why by")
        symbol, group = read_subject(payload, is_all_meant=False)
        return cls(symbol, group, read_name(payload, "ccy"), read_integer(payload, "per_lot", 0, MAX_PER_LOT))


@dataclass(frozen=True)
class Fees:
    """R75: what trading costs in one currency: minor units a lot, or basis points; negative ones are rebates."""

    basis: str
    taker: int
    maker: int
    auction: int

    @property
    def highest(self) -> int:
        """The highest of 0 and the three."""
        return max(0, self.taker, self.maker, self.auction)

    def picture(self) -> dict[str, int | str]:
        """What the dump says of them."""
        return asdict(self)


@dataclass(frozen=True)
class FeeChange:
    """R75: the fees of an instrument, or of each of a group (the other one is empty), in a currency."""

    symbol: str
    group: str
    ccy: str
    fees: Fees

    @classmethod
    def read(cls, payload: Payload) -> FeeChange:
        """Read a fee.set."""
        check_keys(payload, must="ccy basis taker maker auction", may="symbol group why by")
        symbol, group = read_subject(payload, is_all_meant=False)
        basis = read_string(payload, "basis")
        if basis not in MAX_FEE:
            refuse()
        most = MAX_FEE[basis]
        taker, maker, auction = (read_integer(payload, key, -most, most) for key in ("taker", "maker", "auction"))
        return cls(symbol, group, read_name(payload, "ccy"), Fees(basis, taker, maker, auction))


@dataclass(frozen=True)
class Cap:
    """R76: the most lots of a commodity, 0: any number, of one owner, or (owner empty) of each without an own cap."""

    commodity: str
    owner: str
    lots: int

    @classmethod
    def read(cls, payload: Payload) -> Cap:
        """Read a cap.set."""
        _check_keys(payload, must="commodity lots", may="owner")
        owner = read_name(payload, "owner") if "owner" in payload else ""
        return cls(read_name(payload, "commodity"), owner, read_integer(payload, "lots", 0, MAX_LOTS))


@dataclass(frozen=True)
class Kill:
    """R77: a kill switch, of an account, a member or the exchange (`scope`); `whom` is empty for the exchange."""

    scope: str
    whom: str
    is_on: bool

    @classmethod
    def read(cls, payload: Payload) -> Kill:
        """Read a kill.set."""
        _check_keys(payload, must="on", may="account member exchange")
        scopes = [key for key in ("account", "member", "exchange") if key in payload]
        if len(scopes) != 1:
            refuse()
        scope, whom = scopes[0], ""
        if scope == "exchange":
            read_integer(payload, scope, 1, 1)
        else:
            whom = read_name(payload, scope)
        return cls(scope, whom, bool(read_integer(payload, "on", 0, 1)))


@dataclass(frozen=True)
class Restored:
    """R78: the position of an account in an instrument, as it was."""

    account: str
    symbol: str
    lots: int

    @classmethod
    def read(cls, payload: Payload) -> Restored:
        """Read a position.restore."""
        check_keys(payload, must="account symbol lots")
        lots = read_integer(payload, "lots", -MAX_LOTS, MAX_LOTS)
        if not lots:
            refuse()
        return cls(read_name(payload, "account"), read_name(payload, "symbol"), lots)


@dataclass(frozen=True)
class Balance:
    """R78: the balance of an account, as it was, and whether it is checked."""

    account: str
    balance: int
    is_checked: bool

    @classmethod
    def read(cls, payload: Payload) -> Balance:
        """Read a balance.restore."""
        check_keys(payload, must="account balance checked")
        return cls(
            account=read_name(payload, "account"),
            balance=read_integer(payload, "balance", -MAX_BALANCE, MAX_BALANCE),
            is_checked=bool(read_integer(payload, "checked", 0, 1)),
        )


def _check_keys(payload: Payload, must: str, may: str = "") -> None:
    """The keys of an act that says why and by whom, if it likes to."""
    check_keys(payload, must=must, may=f"{may} why by")
    check_text(payload, "why")
    check_text(payload, "by")
