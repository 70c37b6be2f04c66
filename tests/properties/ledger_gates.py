"""What accounts have, and what they may: positions, margin (R74), caps (R76) and kill switches (R77), exactly.

`tests/properties/ledger_money.py` writes down what happens; here is asked whether an order may come in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from engine.schema import HAS_PRICE, HAS_STOP, OrdType
from tests.properties.ledger_asked import Asked, Wish
from tests.properties.ledger_book import BUY, SELL, Event


@dataclass
class Account:
    """An account, and what it has (R73)."""

    name: str
    member: str
    owner: str
    ccy: str
    balance: int = 0
    checked: bool = False


@dataclass
class Open:
    """What money needs to know of an order."""

    account: int
    instrument: int
    side: int
    ord_type: int
    time_in_force: int
    price: int
    stop_price: int
    qty: int
    leaves: int

    @classmethod
    def told_by(cls, event: Event, stop_price: int, leaves: int) -> Open:
        """An order as an event has it, or as a refused place would have made it."""
        names = ("account", "instrument", "side", "ord_type", "time_in_force", "price", "qty")
        return cls(**{name: event[name] for name in names}, stop_price=stop_price, leaves=leaves)

    @property
    def worth_at(self) -> int:
        """The price at which its value is found (R66)."""
        return self.stop_price if self.ord_type == OrdType.STOP else self.price


@dataclass
class Holdings:
    """All accounts, what they have, and what was set for them; `asked` learns of the commands before."""

    asked: Asked
    accounts: dict[int, Account] = field(default_factory=dict)
    orders: dict[int, Open] = field(default_factory=dict)  # live ones
    positions: dict[tuple[int, int], int] = field(default_factory=dict)  # by account and instrument (R71)
    open: dict[tuple[int, int, int], int] = field(default_factory=dict)  # and side: the leaves of live orders (R71)
    income: dict[str, int] = field(default_factory=dict)
    put_in: dict[str, int] = field(default_factory=dict)  # what acts have changed balances by, in each currency
    rates: dict[tuple[str, str], Fraction] = field(default_factory=dict)  # R72
    per_lot: dict[tuple[int, str], int] = field(default_factory=dict)  # R74
    fees: dict[tuple[int, str], tuple[int, int, int, int]] = field(default_factory=dict)  # taker, maker, auction, basis
    caps: dict[tuple[str, str], int] = field(default_factory=dict)  # R76, by commodity and owner
    kills: set[tuple[int, str]] = field(default_factory=set)  # R77, by scope and whom
    margined: bool = False  # the day was opened so that everybody is checked
    _worst: dict[tuple[int, str], int] = field(default_factory=dict)

    @property
    def checks_everybody(self) -> bool:
        """R73: whether every account is checked, with or without a currency."""
        return self.margined and bool(self.per_lot)

    def _value(self, account: int, instrument: int, price: int, lots: int) -> Fraction | None:
        """R72: the value of lots to an account; None without a fixing."""
        listed = self.asked.listed[instrument]
        rate = self.rates.get((listed.ccy, self.accounts[account].ccy))
        return None if rate is None else abs(price) * lots * listed.lot * rate

    def _worst_fee(self, account: int, instrument: int) -> int:
        """R75: the most that a lot may cost."""
        key = instrument, self.accounts[account].ccy
        if key not in self._worst:
            *fees, basis = self.fees.get(key, (0, 0, 0, 1))
            most, listed = max(0, *fees), self.asked.listed[instrument]
            if basis == 2:
                value = self._value(account, instrument, max(abs(listed.low), abs(listed.high)), 1)
                most = 0 if value is None else ceil(value * most / 10_000)
            self._worst[key] = most
        return self._worst[key]

    def _held(self, account: int, instrument: int, more: dict[int, int] | None = None) -> int:
        """R74: what is held for an account in an instrument, with so many more lots open on its sides."""
        per_lot = self.per_lot.get((instrument, self.accounts[account].ccy))
        if per_lot is None:
            return 0
        lots = self.positions.get((account, instrument), 0)
        buys, sells = (self.open.get((account, instrument, s), 0) + (more or {}).get(s, 0) for s in (BUY, SELL))
        most = max(abs(lots + buys), abs(lots - sells))
        return per_lot * most + self._worst_fee(account, instrument) * (buys + sells)

    def _uncovered(self, order: Open, before: Open | None, wish: Wish) -> bool:
        """R74: whether the free collateral does not cover an order that comes in, or what an amend makes of one."""
        account = self.accounts[order.account]
        asks = before is None or wish.flags & (HAS_PRICE | HAS_STOP) or order.qty > before.qty
        if not account.checked or not asks:
            return False
        value = self._value(order.account, order.instrument, order.worth_at, order.leaves)
        if (order.instrument, account.ccy) not in self.per_lot or value is None:
            return True
        gone = 0 if before is None else before.leaves
        without = self._held(order.account, order.instrument, {order.side: -gone})
        rise = self._held(order.account, order.instrument, {order.side: order.leaves - gone}) - without
        margin = sum(self._held(order.account, other) for other in self.asked.listed if other != order.instrument)
        free = account.balance - margin - without
        return rise > free or 20 * free < value

    def _above_cap(self, order: Open, before: Open | None) -> bool:
        """R76: whether the owner would have more of the commodity than the cap, by an order or a raised one."""
        if before is not None and order.qty <= before.qty:
            return False
        owner, commodity = self.accounts[order.account].owner, self.asked.listed[order.instrument].commodity
        cap = self.caps.get((commodity, owner), self.caps.get((commodity, "")))
        if cap is None:
            return False
        his = [number for number, account in self.accounts.items() if account.owner == owner]
        of_it = [number for number, listed in self.asked.listed.items() if listed.commodity == commodity]
        sign = 1 if order.side == BUY else -1
        lots = order.leaves - (0 if before is None else before.leaves)
        for place in ((account, instrument) for account in his for instrument in of_it):
            lots += sign * self.positions.get(place, 0) + self.open.get((*place, order.side), 0)
        return lots > cap

    def _switches(self, account: int) -> list[tuple[int, str]]:
        """R77: the switches that stop an account, in the order of their codes."""
        one = self.accounts[account]
        return [(1, one.name), (2, one.member), (3, "")]
