"""A bookkeeper of money: positions, balances, income, margins, caps and kill switches, from events and acts.

It knows the laws of R71 to R78 as the page states them, with exact fractions, and keeps no book: of an order it knows
whose it is, its side and what is open. What acts say and events do not (currencies, rates, owners, members) it reads in
the commands, which it must be shown first (`Asked`). An AssertionError names the event.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.phases import PHASES, Permit
from engine.schema import (
    HAS_PRICE,
    HAS_QTY,
    LAST,
    UNCROSS,
    Code,
    CommandKind,
    EventKind,
    OrdType,
    Phase,
    Reason,
    Smp,
)
from tests.properties.ledger_book import AN_ORDERS_END, BUY, LASTING, SELL, UNPRICED, Event, events_of
from tests.properties.ledger_gates import Account, Holdings, Open

Rows = npt.NDArray[np.void]
KILLED = {Code.KILLED_ACCOUNT: 1, Code.KILLED_MEMBER: 2, Code.KILLED_EXCHANGE: 3}
OF_AN_ORDER = (EventKind.ORDER_ACCEPTED, EventKind.ORDER_RESTORED, EventKind.ORDER_AMENDED)
REPRICED = (EventKind.ORDER_TRIGGERED, EventKind.ORDER_ACTIVATED)
ROLES = ("taker", "maker", "auction")


@dataclass
class Money(Holdings):
    """Feed it all events of a venue in order; `asked` learns of the commands before."""

    phases: dict[int, Phase] = field(default_factory=dict)
    restating: bool = False
    _killing: tuple[int, str] | None = None  # the switch that the command has put on

    def feed(self, rows: Rows) -> None:
        """Take note of events; AssertionError where one breaks a law."""
        for event in events_of(rows):
            try:
                self._note(event)
            except AssertionError as broken:
                raise AssertionError(f"{broken}: {EventKind(event['kind']).name} {event}") from broken

    def _note(self, event: Event) -> None:
        kind = event["kind"]
        if kind in OF_AN_ORDER:
            self._comes(event)
        elif kind in AN_ORDERS_END:
            if event["reason"] == Reason.KILL_SWITCH:
                assert self._killing in self._switches(event["account"]), "a kill switch cancels whom it means (R77)"
            self._leaves(event["order_id"], 0)
        elif kind in REPRICED:
            order = self.orders[event["order_id"]]
            order.price = event["price"]
            if kind == EventKind.ORDER_TRIGGERED:
                order.ord_type = OrdType.MARKET if order.ord_type == OrdType.STOP else OrdType.LIMIT
        else:
            self._note_more(event)
        if event["flags"] & LAST:
            self._close()

    def _note_more(self, event: Event) -> None:
        match event["kind"]:
            case EventKind.TRADE:
                self._trade(event)
            case EventKind.ORDER_PREVENTED:
                self._prevented(event)
            case EventKind.ORDER_REJECTED:
                self._refused(event)
            case EventKind.PHASE_CHANGED:
                self.phases[event["instrument"]] = Phase(event["phase"])
            case EventKind.INSTRUMENT_DEFINED:
                self.asked.defined_instrument(event["seq"], event["instrument"])
            case EventKind.DAY_OPENED:
                self.restating, self.margined = True, bool(self.asked.terms[event["seq"]].get("margined"))
            case EventKind.DAY_STARTED:
                self.restating = False
            case EventKind.POSITION_RESTORED:
                assert self.restating, "positions are restored while a day is restated (R78)"
                self.positions[event["account"], event["instrument"]] = event["qty"]
            case _:
                self._act(event)

    def _close(self) -> None:
        """Between two commands: every lot bought was sold, and nobody who was just stopped has orders."""
        if not self.restating:
            sums: dict[int, int] = {}
            for (_, instrument), lots in self.positions.items():
                sums[instrument] = sums.get(instrument, 0) + lots
            assert not any(sums.values()), f"what one buys another sells (R71): {sums}"
        killing, self._killing = self._killing, None
        if killing is not None:
            meant = [i for i, o in self.orders.items() if killing in self._switches(o.account) and self._may_cancel(o)]
            assert not meant, f"the kill switch cancels orders {meant} too (R77)"

    # --- orders -------------------------------------------------------------------------------------

    def _comes(self, event: Event) -> None:
        """An order is accepted, amended or restored: it, and what is open, are as the event says."""
        order_id, account = event["order_id"], event["account"]
        wish, before = self.asked.wishes[event["seq"]], self.orders.get(order_id)
        stop_price = event["old_price"]
        if event["kind"] == EventKind.ORDER_AMENDED:
            assert before is not None, "a live order is amended"
            stop_price = before.stop_price if wish.stop_price is None else wish.stop_price
        order = Open.told_by(event, stop_price, event["leaves_qty"])
        if event["kind"] != EventKind.ORDER_RESTORED:
            on = self.kills & set(self._switches(account))
            assert not on, f"nothing is accepted while a kill switch is on (R77): {on}"
            assert not self._above_cap(order, before), "above the position cap (R76)"
            assert not self._uncovered(order, before, wish), "not covered by the free collateral (R74)"
        leaves, order.leaves = order.leaves, 0 if before is None else before.leaves
        self.orders[order_id] = order
        self._leaves(order_id, leaves)

    def _leaves(self, order_id: int, leaves: int) -> None:
        """So many lots of an order are open from now on (R71); without any it has ended."""
        order = self.orders.get(order_id)
        if order is None:
            assert not leaves, "who has ended is not open again"
            return
        key = order.account, order.instrument, order.side
        self.open[key] = self.open.get(key, 0) + leaves - order.leaves
        assert self.open[key] >= 0
        order.leaves = leaves
        if not leaves:
            del self.orders[order_id]

    def _prevented(self, event: Event) -> None:
        for prefix in ("", "resting_"):
            if event["smp"] == Smp.DECREMENT:
                self.orders[event[f"{prefix}order_id"]].qty -= event["qty"]
            self._leaves(event[f"{prefix}order_id"], event[f"{prefix}leaves_qty"])

    def _refused(self, event: Event) -> None:
        """R74, R76, R77: whom a gate refuses had a reason to be refused, in as far as the event tells."""
        code, account = event["code"], event["account"]
        if code in KILLED:
            on = [switch for switch in self._switches(account) if switch in self.kills]
            assert on and on[0][0] == KILLED[code], f"the first switch that is on refuses (R77): {on}"
        if code not in (Code.POSITION_CAP, Code.MARGIN) or event["op"] == CommandKind.ORDER_RESTORE:
            return
        wish, before = self.asked.wishes[event["seq"]], self.orders.get(event["order_id"])
        if before is None:
            order = Open.told_by(event, wish.stop_price or 0, event["qty"])
        else:
            qty = event["qty"] if wish.flags & HAS_QTY else before.qty
            order = replace(before, qty=qty, leaves=max(0, qty - before.qty + before.leaves))
            order.price = event["price"] if wish.flags & HAS_PRICE else before.price
            order.stop_price = before.stop_price if wish.stop_price is None else wish.stop_price
        if code == Code.POSITION_CAP:
            assert self._above_cap(order, before), "the cap has room for it (R76)"
        elif before is not None or order.ord_type not in UNPRICED:  # else its price is not in the event
            assert self._uncovered(order, before, wish), "the free collateral covers it (R74)"

    # --- positions and fees -------------------------------------------------------------------------

    def _trade(self, event: Event) -> None:
        """R71, R75: lots and fees of both sides."""
        for prefix, at_once in (("", 0), ("resting_", 1)):
            order, account = self.orders[event[f"{prefix}order_id"]], event[f"{prefix}account"]
            assert order.account == account, "an order's trade is its account's"
            role, fee = 2 if event["flags"] & UNCROSS else at_once, event[f"{prefix}fee"]
            owed = self._fee(order, event["price"], event["qty"], role)
            assert fee == owed, f"the fee of the {ROLES[role]} is {owed} (R75)"
            place = account, order.instrument
            lots = event["qty"] if order.side == BUY else -event["qty"]
            self.positions[place] = self.positions.get(place, 0) + lots
            self._leaves(event[f"{prefix}order_id"], event[f"{prefix}leaves_qty"])
            if fee:
                ccy = self.accounts[account].ccy
                self.accounts[account].balance -= fee
                self.income[ccy] += fee

    def _fee(self, order: Open, price: int, lots: int, role: int) -> int:
        """R75: halves are rounded away from zero."""
        *fees, basis = self.fees.get((order.instrument, self.accounts[order.account].ccy), (0, 0, 0, 1))
        if basis == 1:
            return fees[role] * lots
        value = self._value(order.account, order.instrument, price, lots)
        if value is None:
            return 0
        exact = value * fees[role] / 10_000
        return floor(exact + Fraction(1, 2)) if exact >= 0 else ceil(exact - Fraction(1, 2))

    def _may_cancel(self, order: Open) -> bool:
        permits = PHASES[self.phases.get(order.instrument, Phase.CLOSED)].permits
        return Permit.CANCEL in permits and (order.time_in_force in LASTING or Permit.LASTING_ONLY not in permits)

    # --- acts ---------------------------------------------------------------------------------------

    def _act(self, event: Event) -> None:
        """R41, R72 to R78: what acts set, as the event and the payload say."""
        said, instrument, amount = self.asked.terms.get(event["seq"], {}), event["instrument"], event["qty"]
        match event["kind"]:
            case EventKind.ACCOUNT_DEFINED:
                ccy = said.get("ccy", "")
                names = (said["account"], said["member"], said["owner"], ccy)
                self.accounts[event["account"]] = Account(*names, checked=self.checks_everybody)
                self._name(ccy)
            case EventKind.COLLATERAL_SET:
                assert amount == said["amount"], "the balance becomes the amount (R73)"
                self._put(event["account"], amount, checked=True)
            case EventKind.BALANCE_RESTORED:
                assert self.restating, "balances are restored while a day is restated (R78)"
                self._put(event["account"], amount, checked=bool(said["checked"]))
            case EventKind.FIXING_SET:
                self.rates[said["ccy"], said["per"]] = Fraction(said["rate"])
                self._name(said["per"])
            case EventKind.MARGIN_SET:
                self.per_lot[instrument, said["ccy"]] = amount
                for account in self.accounts.values():
                    account.checked |= self.checks_everybody
                self._name(said["ccy"])
            case EventKind.FEES_SET:
                self.fees[instrument, said["ccy"]] = event["price"], event["old_price"], amount, event["reason"]
                self._name(said["ccy"])
            case EventKind.CAP_SET:
                self.caps.pop((said["commodity"], said.get("owner", "")), None)
                if amount:
                    self.caps[said["commodity"], said.get("owner", "")] = amount
            case EventKind.KILL_SET:
                self._kill(event, said)

    def _name(self, ccy: str) -> None:
        """R75: there is an income in every currency that was named; and what a lot costs at worst may have changed."""
        self._worst.clear()
        if ccy:
            self.income.setdefault(ccy, 0)

    def _put(self, account: int, balance: int, *, checked: bool) -> None:
        one = self.accounts[account]
        assert one.ccy or not checked, "who is checked has a currency (R73)"
        self.put_in[one.ccy] = self.put_in.get(one.ccy, 0) + balance - one.balance
        one.balance, one.checked = balance, checked or self.checks_everybody

    def _kill(self, event: Event, said: dict[str, Any]) -> None:
        """R77."""
        scope = event["reason"]
        whom = ("", said.get("account", ""), said.get("member", ""), "")[scope]
        assert event["account"] == 0 or self.accounts[event["account"]].name == whom
        (self.kills.add if event["qty"] else self.kills.discard)((scope, whom))
        self._killing = (scope, whom) if event["qty"] else None

    # --- the end ------------------------------------------------------------------------------------

    def audit(self, world: dict[str, Any]) -> None:
        """At the end: what the core holds is what the events tell; and no money was made or lost but by acts."""
        balances = {one["account"]: (one["balance"], one["checked"]) for one in world["accounts"]}
        assert balances == {one.name: (one.balance, int(one.checked)) for one in self.accounts.values()}, "balances"
        assert world["income"] == self.income, "income"
        holdings = {(one["account"], one["symbol"]): tuple(one.values())[2:] for one in world["positions"]}
        assert holdings == self._holdings(), "positions, open lots and what is held"
        ccys = {one["account"]: one.get("ccy", "") for one in world["accounts"]}
        for ccy in {*ccys.values()}:
            held = sum(one["balance"] for one in world["accounts"] if ccys[one["account"]] == ccy)
            assert held + world["income"].get(ccy, 0) == self.put_in.get(ccy, 0), f"money in {ccy} is conserved (R75)"

    def _holdings(self) -> dict[tuple[str, str], tuple[int, ...]]:
        """In the shape of the dump: lots, open buys and sells, what is held; of all that have any."""
        found: dict[tuple[str, str], tuple[int, ...]] = {}
        for number, account in self.accounts.items():
            for instrument, listed in self.asked.listed.items():
                lots = self.positions.get((number, instrument), 0)
                buys, sells = (self.open.get((number, instrument, side), 0) for side in (BUY, SELL))
                held = self._held(number, instrument) if account.checked else 0
                if lots or buys or sells:
                    found[account.name, listed.symbol] = lots, buys, sells, held
        return found
