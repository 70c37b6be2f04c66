"""The readable matcher's acts about accounts and costs: collateral, fixings, margins, fees, caps, kill switches.

Rules R72 to R78, one method each.  What an act says is read by `engine/reference_terms.py`; a refused act raises
`Refused` before it has changed anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.reference_acts import InstrumentTerms
from engine.reference_book import Account, Instrument
from engine.reference_controls import PriceControls
from engine.reference_costs import Costs, is_exact_enough
from engine.reference_payload import Payload, Refused
from engine.reference_terms import Balance, Cap, Collateral, FeeChange, Fixing, Kill, MarginChange, Restored
from engine.schema import MAX_CURRENCIES, MAX_MARGIN, Code, CommandKind, EventKind, Reason

__all__ = ["Levers"]

_BASES: Final = {"lot": 1, "bps": 2}
_SCOPES: Final = {"account": 1, "member": 2, "exchange": 3}


class Levers(PriceControls):
    """A world in which operators say what accounts have, pay and may do."""

    def _levers(self) -> dict[CommandKind, Callable[[Payload], None]]:
        """The acts of this module."""
        return {
            CommandKind.COLLATERAL_SET: self._set_collateral,
            CommandKind.FIXING_SET: self._set_fixing,
            CommandKind.MARGIN_SET: self._set_margin,
            CommandKind.FEE_SET: self._set_fees,
            CommandKind.CAP_SET: self._set_cap,
            CommandKind.KILL_SET: self._set_kill,
            CommandKind.POSITION_RESTORE: self._restore_position,
            CommandKind.BALANCE_RESTORE: self._restore_balance,
        }

    # --- what is asked before anything changes -----------------------------------------------------------------

    def _account_named(self, name: str) -> Account:
        if name not in self.names:
            raise Refused(Code.UNKNOWN_ACCOUNT)
        return self.names[name]

    def _check_ccy(self, ccy: str) -> None:
        """R41: no more currencies may be named than there is room for."""
        if ccy and ccy not in self.income and len(self.income) >= MAX_CURRENCIES:
            raise Refused(Code.BAD_TERMS)

    def _name_ccy(self, ccy: str) -> None:
        """R41, R75: a currency is named, so that the exchange has an income in it."""
        if ccy:
            self.income.setdefault(ccy, 0)

    def _check_fixings(self, terms: InstrumentTerms) -> None:
        """R72: an instrument whose value would not be exact enough under a fixing of its ccy is not defined."""
        for fixing in self.costs.fixings.values():
            if fixing.ccy == terms.ccy and not is_exact_enough(terms, fixing):
                raise Refused(Code.BAD_TERMS)

    def _adopt(self, costs: Costs, ccy: str) -> None:
        """R74: new costs for accounts of this currency, unless the margin of a checked one would be too high."""
        newly = [one for one in self.accounts if self._checks_everyone(costs) and not one.is_checked]
        concerned = [one for one in self.accounts if one.is_checked and one.terms.ccy == ccy] + newly
        if any(self._margin_under(costs, account) > MAX_MARGIN for account in concerned):
            raise Refused(Code.BAD_TERMS)
        self.costs = costs
        self._name_ccy(ccy)
        for account in newly:
            account.is_checked = True
        for account in concerned:
            self._find_margin(account)

    # --- collateral and costs ----------------------------------------------------------------------------------

    def _set_collateral(self, payload: Payload) -> None:
        """R73."""
        said = Collateral.read(payload)
        account = self._account_named(said.account)
        self._set_balance(account, said.amount, is_checked=True)
        self._event(EventKind.COLLATERAL_SET, account=account.number, qty=account.balance)

    def _set_balance(self, account: Account, balance: int, *, is_checked: bool) -> None:
        """R73, R78: who is checked has a currency and a margin that can be counted."""
        if is_checked and not account.terms.ccy:
            raise Refused(Code.BAD_TERMS)
        is_checked = is_checked or self._checks_everyone(self.costs)
        if is_checked and self._margin_under(self.costs, account) > MAX_MARGIN:
            raise Refused(Code.BAD_TERMS)
        account.balance, account.is_checked = balance, is_checked
        self._find_margin(account)

    def _set_fixing(self, payload: Payload) -> None:
        """R72."""
        fixing = Fixing.read(payload)
        self._check_ccy(fixing.per)
        costs = self.costs.with_fixing(fixing)
        for instrument in self.instruments:
            terms = instrument.terms
            if terms.ccy == fixing.ccy and not (
                is_exact_enough(terms, fixing) and costs.has_bearable_fees(terms, fixing.per)
            ):
                raise Refused(Code.BAD_TERMS)
        self._adopt(costs, fixing.per)
        self._event(EventKind.FIXING_SET, qty=fixing.date_number)

    def _set_margin(self, payload: Payload) -> None:
        """R74."""
        change = MarginChange.read(payload)
        self._check_ccy(change.ccy)
        meant = self._named(change.symbol, change.group)
        self._adopt(self.costs.with_margin(_symbols(meant), change.ccy, change.per_lot), change.ccy)
        for instrument in meant:
            self._event(EventKind.MARGIN_SET, instrument=instrument.number, phase=instrument.phase, qty=change.per_lot)

    def _set_fees(self, payload: Payload) -> None:
        """R75."""
        change = FeeChange.read(payload)
        self._check_ccy(change.ccy)
        meant = self._named(change.symbol, change.group)
        costs = self.costs.with_fees(_symbols(meant), change.ccy, change.fees)
        if not all(costs.has_bearable_fees(instrument.terms, change.ccy) for instrument in meant):
            raise Refused(Code.BAD_TERMS)
        self._adopt(costs, change.ccy)
        for instrument in meant:
            self._event(
                EventKind.FEES_SET,
                instrument=instrument.number,
                phase=instrument.phase,
                price=change.fees.taker,
                old_price=change.fees.maker,
                qty=change.fees.auction,
                reason=_BASES[change.fees.basis],
            )

    # --- caps and kill switches --------------------------------------------------------------------------------

    def _set_cap(self, payload: Payload) -> None:
        """R76."""
        cap = Cap.read(payload)
        self.caps.pop((cap.commodity, cap.owner), None)
        if cap.lots:
            self.caps[cap.commodity, cap.owner] = cap.lots
        self._event(EventKind.CAP_SET, qty=cap.lots)

    def _set_kill(self, payload: Payload) -> None:
        """R77."""
        kill = Kill.read(payload)
        meant = self._accounts_meant(kill)
        if kill.is_on:
            self.kills.add((kill.scope, kill.whom))
        else:
            self.kills.discard((kill.scope, kill.whom))
        number = meant[0].number if kill.scope == "account" else 0
        self._event(EventKind.KILL_SET, account=number, reason=_SCOPES[kill.scope], qty=int(kill.is_on))
        if kill.is_on:
            self._cancel_all([order for account in meant for order in account.live.values()], Reason.KILL_SWITCH)

    def _accounts_meant(self, kill: Kill) -> list[Account]:
        """R77: the accounts that a switch stops now."""
        if kill.scope == "exchange":
            return self.accounts
        if kill.scope == "account":
            return [self._account_named(kill.whom)]
        meant = [account for account in self.accounts if account.terms.member == kill.whom]
        if not meant:
            raise Refused(Code.UNKNOWN_ACCOUNT)
        return meant

    # --- restating ---------------------------------------------------------------------------------------------

    def _restore_position(self, payload: Payload) -> None:
        """R78."""
        said = Restored.read(payload)
        account = self._account_named(said.account)
        if said.symbol not in self.symbols:
            raise Refused(Code.UNKNOWN_INSTRUMENT)
        instrument = self.symbols[said.symbol]
        position = account.positions[instrument.number]
        change = said.lots - position.lots
        position.lots += change
        if account.is_checked and self._margin_under(self.costs, account) > MAX_MARGIN:
            position.lots -= change
            raise Refused(Code.BAD_TERMS)
        self._holding(account, instrument).lots += change
        self._hold_anew(account, instrument, position)
        self._event(
            EventKind.POSITION_RESTORED,
            account=account.number,
            instrument=instrument.number,
            phase=instrument.phase,
            qty=said.lots,
        )

    def _restore_balance(self, payload: Payload) -> None:
        """R78."""
        said = Balance.read(payload)
        account = self._account_named(said.account)
        self._set_balance(account, said.balance, is_checked=said.is_checked)
        self._event(EventKind.BALANCE_RESTORED, account=account.number, qty=account.balance)

    def _check_positions(self) -> None:
        """R78: no day starts with lots that were bought and never sold."""
        if any(self._lots_of_all(instrument) for instrument in self.instruments):
            raise Refused(Code.BAD_TERMS)


def _symbols(instruments: list[Instrument]) -> list[str]:
    return [instrument.terms.symbol for instrument in instruments]
