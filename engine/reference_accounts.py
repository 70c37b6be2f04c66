"""The readable matcher's accounts: what they hold, pay and may not do any more (rules R71, R73 to R77).

Keeps positions, balances and margins up to date, each command by a few sums; `engine/reference_levers.py` has the acts.
Invariants (see `check`): positions have the leaves of the live orders, margins are the sums of what is held.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import Any, Final

from engine.reference_book import Account, Instrument, Order
from engine.reference_costs import Costs, Position
from engine.reference_world import DEFAULT_LIMITS, World
from engine.schema import MAX_MARGIN, Code, Limits, Side

__all__ = ["Accounts"]

_VALUE_PER_COLLATERAL: Final = 20  # R74: the 5 % of the law


class Accounts(World):
    """A world that knows who holds what, and what that costs."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self.costs = Costs()
        self.income: dict[str, int] = {}  # R75: of the exchange today, in each currency that was named (R41)
        self.caps: dict[tuple[str, str], int] = {}  # R76: by commodity and owner, "" for who has none of his own
        self.kills: set[tuple[str, str]] = set()  # R77: what is switched off: scope and whom, "" for the exchange
        # R76: by owner and commodity, the sums over his accounts and its instruments.
        self.holdings: defaultdict[tuple[str, str], Position] = defaultdict(Position)

    # --- positions and margin ----------------------------------------------------------------------------------

    def _account_of(self, order: Order) -> Account:
        return self.accounts[order.account - 1]

    def _holding(self, account: Account, instrument: Instrument) -> Position:
        """R76: what its beneficial owner has of the instrument's commodity."""
        return self.holdings[account.terms.owner, instrument.terms.commodity]

    def _open(self, order: Order, lots: int) -> None:
        """R71: so many lots of an order come to be open, or (negative) are not open any more."""
        self._move(order, lots)

    def _buy_or_sell(self, order: Order, lots: int) -> None:
        """R71: so many open lots of an order are traded."""
        self._move(order, -lots, lots)

    def _move(self, order: Order, opened: int, traded: int = 0) -> None:
        account, instrument = self._account_of(order), order.instrument
        position = account.positions[instrument.number]
        position.move(order.side, opened, traded)
        self._holding(account, instrument).move(order.side, opened, traded)
        self._hold_anew(account, instrument, position)

    def _hold_anew(self, account: Account, instrument: Instrument, position: Position) -> None:
        """R74: the margin follows what a position holds now."""
        if account.is_checked:
            account.margin -= position.held
            position.held = self.costs.held(instrument.terms, account.terms.ccy, position)
            account.margin += position.held

    def _checks_everyone(self, costs: Costs) -> bool:
        """R73: whether under these costs every account is checked, whatever was said of its collateral."""
        return self.is_margined and bool(costs.margins)

    def _margin_under(self, costs: Costs, account: Account) -> int:
        """R74: the margin of an account under these costs, were it checked."""
        return sum(
            costs.held(self.instruments[number - 1].terms, account.terms.ccy, position)
            for number, position in account.positions.items()
        )

    def _find_margin(self, account: Account) -> None:
        """R74: find all that is held for an account anew."""
        for number, position in account.positions.items():
            terms = self.instruments[number - 1].terms
            position.held = self.costs.held(terms, account.terms.ccy, position) if account.is_checked else 0
        account.margin = sum(position.held for position in account.positions.values())

    # --- fees --------------------------------------------------------------------------------------------------

    def _charge(self, order: Order, role: str, lots: int, price: int) -> int:
        """R75: one side of a trade pays its fee; how much."""
        account = self._account_of(order)
        ccy = account.terms.ccy
        fee = self.costs.fee(order.instrument.terms, ccy, price, lots, role)
        if fee:
            account.balance -= fee
            self.income[ccy] += fee
        return fee

    # --- gates -------------------------------------------------------------------------------------------------

    def _killed(self, account: Account) -> Code:
        """R77: the kill switch that is on for an account, or OK."""
        if ("account", account.terms.account) in self.kills:
            return Code.KILLED_ACCOUNT
        if ("member", account.terms.member) in self.kills:
            return Code.KILLED_MEMBER
        return Code.KILLED_EXCHANGE if ("exchange", "") in self.kills else Code.OK

    def _would_exceed_cap(self, account: Account, instrument: Instrument, side: Side, opened: int) -> bool:
        """R76: whether with so many more lots open the owner would be above the cap."""
        owner, commodity = account.terms.owner, instrument.terms.commodity
        cap = self.caps.get((commodity, owner)) or self.caps.get((commodity, ""))
        return cap is not None and self._holding(account, instrument).facing(side) + opened > cap

    def _is_uncovered(
        self, account: Account, instrument: Instrument, side: Side, price: int, leaves_qty: int, leaves_before: int = 0
    ) -> bool:
        """R74: whether the free collateral does not cover an order with these leaves at this price."""
        if not account.is_checked:
            return False
        terms, ccy = instrument.terms, account.terms.ccy
        if not self.costs.may_be_traded(terms, ccy):
            return True
        position = account.positions[instrument.number]
        without = position.moved(side, -leaves_before)
        held_without = self.costs.held(terms, ccy, without)
        held_with = self.costs.held(terms, ccy, without.moved(side, leaves_qty))
        free = account.balance - (account.margin - position.held + held_without)
        value: Fraction = self.costs.value(terms, ccy, price, leaves_qty)
        return held_with - held_without > free or _VALUE_PER_COLLATERAL * free < value

    def _would_hold_too_much(self, account: Account, instrument: Instrument, side: Side, opened: int) -> bool:
        """R78: whether a restored order would raise the margin of a checked account above what can be counted."""
        if not account.is_checked:
            return False
        position = account.positions[instrument.number]
        held = self.costs.held(instrument.terms, account.terms.ccy, position.moved(side, opened))
        return account.margin - position.held + held > MAX_MARGIN

    # --- pictures of the world ---------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """The canonical picture of the world, what accounts hold and what was set for them included."""
        by_number = {instrument.terms.symbol: instrument.number for instrument in self.instruments}

        def in_turn(symbol_and_ccy: tuple[str, str]) -> tuple[int, str]:
            symbol, ccy = symbol_and_ccy
            return by_number[symbol], ccy

        return {
            **super().dump(),
            "positions": [self._position_picture(*place) for place in self._places()],
            "fixings": [
                {"ccy": ccy, "per": per, "date": fixing.date, "rate": fixing.rate}
                for (ccy, per), fixing in sorted(self.costs.fixings.items())
            ],
            "margins": [
                {"symbol": key[0], "ccy": key[1], "per_lot": self.costs.margins[key]}
                for key in sorted(self.costs.margins, key=in_turn)
            ],
            "fees": [
                {"symbol": key[0], "ccy": key[1], **self.costs.fees[key].picture()}
                for key in sorted(self.costs.fees, key=in_turn)
            ],
            "caps": [
                {"commodity": commodity, "owner": owner, "lots": lots}
                for (commodity, owner), lots in sorted(self.caps.items())
            ],
            "kills": [{"scope": scope, "whom": whom} for scope, whom in sorted(self.kills)],
            "income": dict(sorted(self.income.items())),
        }

    def _places(self) -> list[tuple[Account, Instrument]]:
        """Every account and instrument of which there is something, in the order of their numbers."""
        return [
            (account, self.instruments[number - 1])
            for account in self.accounts
            for number, position in sorted(account.positions.items())
            if position.lots or position.buys or position.sells
        ]

    @staticmethod
    def _position_picture(account: Account, instrument: Instrument) -> dict[str, int | str]:
        position = account.positions[instrument.number]
        return {
            "account": account.terms.account,
            "symbol": instrument.terms.symbol,
            "lots": position.lots,
            "buys": position.buys,
            "sells": position.sells,
            "held": position.held,
        }

    def check(self) -> None:
        """Assert the invariants of the state."""
        super().check()
        sums: defaultdict[tuple[str, str], Position] = defaultdict(Position)
        for account in self.accounts:
            self._check_account(account)
            for number, position in account.positions.items():
                total = sums[account.terms.owner, self.instruments[number - 1].terms.commodity]
                total.lots += position.lots
                total.buys += position.buys
                total.sells += position.sells
        for place, holding in self.holdings.items():
            assert holding == sums[place], "owners hold what their accounts hold"
        if not self._restating:
            for instrument in self.instruments:
                assert not self._lots_of_all(instrument), "every lot bought is a lot sold"

    def _lots_of_all(self, instrument: Instrument) -> int:
        """R71, R78: what the positions of an instrument sum to."""
        number = instrument.number
        return sum(account.positions[number].lots for account in self.accounts if number in account.positions)

    def _check_account(self, account: Account) -> None:
        open_lots: defaultdict[int, Position] = defaultdict(Position)
        for order in account.live.values():
            open_lots[order.instrument.number].move(order.side, order.leaves_qty)
        for number, position in account.positions.items():
            counted = open_lots[number]
            assert (position.buys, position.sells) == (counted.buys, counted.sells), "what is live is open"
            terms = self.instruments[number - 1].terms
            held = self.costs.held(terms, account.terms.ccy, position) if account.is_checked else 0
            assert position.held == held, "what is held is what the rule says"
        assert open_lots.keys() <= account.positions.keys()
        assert account.margin == sum(position.held for position in account.positions.values()) <= MAX_MARGIN
        if self._checks_everyone(self.costs):
            assert account.is_checked, "everybody is checked"
        else:
            assert account.terms.ccy or not account.is_checked, "who is checked has a currency"
