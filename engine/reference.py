"""The readable matcher: the rule book made runnable, and the oracle for the compiled one.

Plain Python objects, one method per rule, the rule's number beside it.  It gives the same EVENT rows as the core,
byte for byte, and shares nothing with it but the schema.  No clock, randomness or I/O.

Invariants (see `Reference.check`): every live order rests in exactly one level, order_qty = cum_qty + leaves_qty,
leaves_qty > 0, and no book is crossed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.reference_acts import AccountTerms, InstrumentTerms, Payload, PhaseChange, Refused, TradingDay, read_payload
from engine.reference_book import Account, Command, Instrument, Order, SelfMatchId
from engine.reference_gates import Gates
from engine.schema import (
    ACT_FIRST,
    HAS_PRICE,
    HAS_QTY,
    PHASE_NEXT,
    POST_ONLY,
    PRIORITY_KEPT,
    SYMBOL_ALL,
    Code,
    CommandKind,
    EventKind,
    OrdStatus,
    OrdType,
    Phase,
    Reason,
    Side,
    Smp,
    TimeInForce,
)

__all__ = ["Reference"]

_ACTS: Final = frozenset(int(kind) for kind in CommandKind if kind >= ACT_FIRST)


class Reference(Gates):
    """A venue in memory: feed it blocks of commands, read its events.

    Not safe for use by several threads.
    """

    def run_block(self, commands: npt.NDArray[np.void], payload: bytes = b"") -> npt.NDArray[np.void]:
        """Carry out a block: COMMAND rows (n,) and their payload section in, a fresh array of EVENT rows out.

        Every command yields at least one event; refusals are events (codes in order of precedence), never exceptions.
        About 15 µs a command.
        """
        self._rows, self._trades, self._lasts = [], [], []
        for fields in commands.tolist():
            self._run(Command._make(fields), payload)
        return self._written()

    def _run(self, command: Command, payload: bytes) -> None:
        """R1: one command after the other, in a time that never runs backwards."""
        self._begin(command)
        if command.kind in _ACTS:
            try:
                self._act(command, payload)
            except Refused as refused:
                self._event(EventKind.ACT_REJECTED, code=refused.code)
        elif self._restating != (command.kind == CommandKind.ORDER_RESTORE):  # R44
            self._reject(command, Code.DAY_ORDER)
        else:
            match command.kind:
                case CommandKind.ORDER_PLACE:
                    self._place(command)
                case CommandKind.ORDER_CANCEL:
                    self._cancel_named(command)
                case CommandKind.ORDER_AMEND:
                    self._amend(command)
                case CommandKind.ORDER_MASS_CANCEL:
                    self._mass_cancel(command)
                case CommandKind.DISCONNECT:
                    self._disconnect(command)
                case CommandKind.CLOCK_TICK:
                    self._clock_tick(command)
                case CommandKind.ORDER_RESTORE:
                    self._restore(command)
                case _:
                    self._reject(command, Code.MALFORMED)  # R2
        self._lasts.append(len(self._rows) - 1)

    # --- orders coming in --------------------------------------------------------------------------------------

    def _place(self, command: Command) -> None:
        """Accept an order, match it, and let rest what may."""
        code = self._place_refused(command)
        if code:
            self._refuse(command, code)
            return
        order = self._enter(command, order_id=command.seq, leaves_qty=command.order_qty)
        instrument = order.instrument
        has_limit = True
        if order.ord_type == OrdType.MARKET:
            protection = self._protection_limit(order)
            has_limit, order.price = protection is not None, protection or 0
        self._order_event(EventKind.ORDER_ACCEPTED, order, cl_ord_id=order.cl_ord_id)
        fills = has_limit and (order.time_in_force != TimeInForce.FOK or self._would_fill(order))
        if fills and instrument.matches:
            self._match(order)
        if order.ended is not None:
            return
        if order.time_in_force == TimeInForce.FOK:
            self._cancel(order, Reason.FOK)  # R26
        elif order.ord_type == OrdType.MARKET:
            self._cancel(order, Reason.PROTECTION)  # R24
        elif order.time_in_force == TimeInForce.IOC:
            self._cancel(order, Reason.IOC)  # R25
        else:
            instrument.sides[order.side].add(order)  # R23

    def _refuse(self, command: Command, code: Code) -> None:
        """Refuse a place or amend; a repeated client id is answered with what became of the first (R6)."""
        if code == Code.DUPLICATE:
            self._answer_duplicate(command)
        else:
            self._reject(command, code)

    def _enter(self, command: Command, order_id: int, leaves_qty: int) -> Order:
        """Make a live order of a place or restore; it consumes its client id (R6)."""
        account = self.accounts[command.account - 1]
        self_match: SelfMatchId = ("owner", account.terms.owner, 0)
        if command.smp_id:
            self_match = ("smp_id", account.terms.member, command.smp_id)  # R27
        order = Order(
            order_id=order_id,  # R37
            account=account.number,
            instrument=self.instruments[command.instrument - 1],
            side=Side(command.side),
            ord_type=OrdType(command.ord_type),
            time_in_force=TimeInForce(command.time_in_force),
            price=command.price,
            order_qty=command.order_qty,
            leaves_qty=leaves_qty,
            cum_qty=command.order_qty - leaves_qty,
            cl_ord_id=command.cl_ord_id,
            smp=Smp(command.smp or Smp.CANCEL_RESTING),
            smp_id=command.smp_id,
            post_only=bool(command.flags & POST_ONLY),
            client_session=command.client_session,
            self_match=self_match,
        )
        self.live[order_id] = account.live[order_id] = order
        self._consume_id(order)
        return order

    def _protection_limit(self, order: Order) -> int | None:
        """R24: how far a market order may go; None without an opposite order."""
        terms = order.instrument.terms
        best = order.instrument.against(order.side).best()
        if best is None:
            return None
        if order.side == Side.BUY:
            return min(best + terms.protection_ticks, terms.max_price)
        return max(best - terms.protection_ticks, terms.min_price)

    def _would_fill(self, order: Order) -> bool:
        """R26: walk as matching would, touching nothing."""
        wanted = order.leaves_qty
        for resting in order.instrument.against(order.side).best_first():
            if not order.reaches(resting.price):
                return False
            if self._may_not_trade(order, resting):
                if order.smp != Smp.CANCEL_RESTING:
                    return False
                continue
            wanted -= resting.leaves_qty
            if wanted <= 0:
                return True
        return False

    def _match(self, order: Order) -> None:
        """R20, R21, R23: trade with the best opposite order while the limit reaches it."""
        opposite = order.instrument.against(order.side)
        while order.ended is None and opposite.reached_by(order.price):
            resting = opposite.first()
            if self._may_not_trade(order, resting):
                self._prevent(order, resting)
            else:
                self._trade(order, resting)

    def _trade(self, order: Order, resting: Order) -> None:
        """R22: one trade, at the resting order's price."""
        qty = min(order.leaves_qty, resting.leaves_qty)
        for party in (order, resting):
            party.leaves_qty -= qty
            party.cum_qty += qty
        self._trade_event(EventKind.TRADE, order, resting, qty, trade_id=self.next_trade_id)
        self.next_trade_id += 1
        for party in (order, resting):
            if party.leaves_qty == 0:
                self._end(party, OrdStatus.FILLED)

    def _may_not_trade(self, order: Order, resting: Order) -> bool:
        """R27: whether the incoming order's instruction forbids this match."""
        return order.smp != Smp.NONE and order.self_match == resting.self_match

    def _prevent(self, order: Order, resting: Order) -> None:
        """R27: carry out the incoming order's instruction instead of a trade."""
        qty = min(order.leaves_qty, resting.leaves_qty)
        if order.smp == Smp.DECREMENT:
            for party in (order, resting):
                party.leaves_qty -= qty
                party.order_qty -= qty
            self._trade_event(EventKind.ORDER_PREVENTED, order, resting, qty, smp=order.smp)
            for party in (resting, order):
                if party.leaves_qty == 0:
                    self._cancel(party, Reason.SELF_MATCH, delta_qty=qty)
            return
        leavers = {
            Smp.CANCEL_RESTING: (resting,),
            Smp.CANCEL_INCOMING: (order,),
            Smp.CANCEL_BOTH: (resting, order),
        }[order.smp]
        self._trade_event(EventKind.ORDER_PREVENTED, order, resting, qty, smp=order.smp, leavers=leavers)
        for party in leavers:
            self._cancel(party, Reason.SELF_MATCH)

    # --- orders changed and taken out --------------------------------------------------------------------------

    def _amend(self, command: Command) -> None:
        """R30 to R32."""
        code = self._amend_refused(command)
        if code:
            self._refuse(command, code)
            return
        order = self._found()
        price = command.price if command.flags & HAS_PRICE else order.price
        order_qty = command.order_qty if command.flags & HAS_QTY else order.order_qty
        if order_qty <= order.cum_qty:
            self._cancel(order, Reason.AMENDED_TO_FILLED)  # R30
            return
        side = order.instrument.sides[order.side]
        keeps_place = price == order.price and order_qty <= order.order_qty  # R31
        if not keeps_place:
            side.remove(order)
        before = {"delta_qty": order.leaves_qty, "old_price": order.price}
        order.price, order.order_qty, order.leaves_qty = price, order_qty, order_qty - order.cum_qty
        if command.new_cl_ord_id:
            order.cl_ord_id = command.new_cl_ord_id  # R32
            self._consume_id(order)
        flags = PRIORITY_KEPT if keeps_place else 0
        self._order_event(EventKind.ORDER_AMENDED, order, flags=flags, cl_ord_id=order.cl_ord_id, **before)
        if keeps_place:
            return
        if order.instrument.matches:
            self._match(order)
        if order.ended is None:
            side.add(order)

    def _cancel_named(self, command: Command) -> None:
        """R29."""
        code = self._cancel_refused(command)
        if code:
            self._reject(command, code)
        else:
            self._cancel(self._found(), Reason.REQUESTED)

    def _mass_cancel(self, command: Command) -> None:
        """R33."""
        code = self._mass_cancel_refused(command)
        if code:
            self._reject(command, code)
            return
        meant = [
            order
            for order in self.accounts[command.account - 1].live.values()
            if command.side in (0, order.side) and command.instrument in (0, order.instrument.number)
        ]
        count = self._cancel_all(meant, Reason.MASS_CANCEL)
        self._event(
            EventKind.MASS_CANCELED,
            account=command.account,
            instrument=command.instrument,
            side=command.side,
            qty=count,
        )

    def _disconnect(self, command: Command) -> None:
        """R34."""
        code = self._disconnect_refused(command)
        if code:
            self._reject(command, code)
            return
        meant = [
            order
            for order in self.live.values()
            if order.client_session == command.client_session != 0 and order.time_in_force == TimeInForce.DAY
        ]
        count = self._cancel_all(meant, Reason.DISCONNECT)
        self._event(EventKind.DISCONNECTED, account=command.account, qty=count)

    def _cancel_all(self, orders: Iterable[Order], reason: Reason) -> int:
        """Cancel in rising order_id, except where the phase permits none; how many."""
        may_go = [order for order in orders if order.instrument.may_cancel]
        for order in sorted(may_go, key=lambda order: order.order_id):
            self._cancel(order, reason)
        return len(may_go)

    def _cancel(self, order: Order, reason: Reason, delta_qty: int = 0) -> None:
        """End an order, canceled; `delta_qty` only where decrements took its lots already (R27)."""
        delta_qty = delta_qty or order.leaves_qty
        self._end(order, OrdStatus.CANCELED)
        cl_ord_id = order.cl_ord_id if order is self._subject else b""
        self._order_event(EventKind.ORDER_CANCELED, order, reason=reason, delta_qty=delta_qty, cl_ord_id=cl_ord_id)

    def _end(self, order: Order, how: OrdStatus) -> None:
        """Take an order out of the world of the living; its client ids still name it."""
        if order.rests:
            order.instrument.sides[order.side].remove(order)
        order.ended = how
        order.leaves_qty = 0
        del self.live[order.order_id]
        del self.accounts[order.account - 1].live[order.order_id]

    def _clock_tick(self, command: Command) -> None:
        """R35."""
        if self._id_is_well_formed(command):
            self._event(EventKind.CLOCK_TICKED)
        else:
            self._reject(command, Code.MALFORMED)  # R2

    def _restore(self, command: Command) -> None:
        """R45."""
        code = self._restore_refused(command)
        if code:
            self._reject(command, code)
            return
        order = self._enter(command, order_id=command.target_lo, leaves_qty=command.min_qty)
        order.instrument.sides[order.side].add(order)
        self._restored += 1
        self._order_event(EventKind.ORDER_RESTORED, order, cl_ord_id=order.cl_ord_id)

    # --- acts --------------------------------------------------------------------------------------------------

    def _act(self, command: Command, payload: bytes) -> None:
        """R40 to R44: an act in its turn; raises Refused before it has changed anything."""
        in_place = {
            CommandKind.DAY_OPEN: self._commands == 1,
            CommandKind.DAY_START: self._restating,
            CommandKind.PHASE_SET: not self._restating,
        }
        if not in_place.get(CommandKind(command.kind), True):
            raise Refused(Code.DAY_ORDER)  # R44
        act: dict[CommandKind, Callable[[Payload], None]] = {
            CommandKind.INSTRUMENT_DEFINE: self._define_instrument,
            CommandKind.ACCOUNT_DEFINE: self._define_account,
            CommandKind.PHASE_SET: self._set_phase,
            CommandKind.DAY_OPEN: self._open_day,
            CommandKind.DAY_START: self._start_day,
        }
        act[CommandKind(command.kind)](read_payload(payload, command.target_lo, command.target_hi))

    def _define_instrument(self, payload: Payload) -> None:
        """R40."""
        terms = InstrumentTerms.read(payload)
        if terms.symbol in self.symbols:
            raise Refused(Code.INSTRUMENT_EXISTS)
        levels = terms.levels + sum(instrument.terms.levels for instrument in self.instruments)
        if len(self.instruments) >= self.limits.instruments or levels > self.limits.levels:
            raise Refused(Code.INSTRUMENTS_FULL)
        instrument = Instrument(len(self.instruments) + 1, terms)
        self.instruments.append(instrument)
        self.symbols[terms.symbol] = instrument
        self._event(EventKind.INSTRUMENT_DEFINED, instrument=instrument.number, phase=instrument.phase)

    def _define_account(self, payload: Payload) -> None:
        """R41."""
        terms = AccountTerms.read(payload)
        if terms.account in self.account_names:
            raise Refused(Code.ACCOUNT_EXISTS)
        if len(self.accounts) >= self.limits.accounts:
            raise Refused(Code.ACCOUNTS_FULL)
        self.accounts.append(Account(len(self.accounts) + 1, terms))
        self.account_names.add(terms.account)
        self._event(EventKind.ACCOUNT_DEFINED, account=len(self.accounts))

    def _set_phase(self, payload: Payload) -> None:
        """R42, R43."""
        change = PhaseChange.read(payload)
        if change.symbol != SYMBOL_ALL and change.symbol not in self.symbols:
            raise Refused(Code.UNKNOWN_INSTRUMENT)
        meant = self.instruments if change.symbol == SYMBOL_ALL else [self.symbols[change.symbol]]
        changing = [instrument for instrument in meant if change.phase in PHASE_NEXT[instrument.phase]]
        if not changing:
            raise Refused(Code.PHASE_TRANSITION)
        for instrument in changing:
            before, instrument.phase = instrument.phase, change.phase
            self._event(EventKind.PHASE_CHANGED, instrument=instrument.number, phase=instrument.phase, reason=before)
        if change.phase == Phase.CLOSED:
            self._expire_day_orders(changing)

    def _expire_day_orders(self, closed: list[Instrument]) -> None:
        """R43: in rising order_id over all the instruments closed by one act."""
        due = [
            order
            for order in self.live.values()
            if order.instrument in closed and order.time_in_force == TimeInForce.DAY
        ]
        for order in sorted(due, key=lambda order: order.order_id):
            delta_qty = order.leaves_qty
            self._end(order, OrdStatus.EXPIRED)
            self._order_event(EventKind.ORDER_EXPIRED, order, delta_qty=delta_qty)

    def _open_day(self, payload: Payload) -> None:
        """R44."""
        day = TradingDay.read(payload)
        self.trading_day, self.next_trade_id = day.trading_day, day.next_trade_id
        self._restating = True
        self._event(EventKind.DAY_OPENED, qty=day.number)

    def _start_day(self, payload: Payload) -> None:
        """R44."""
        TradingDay.read_start(payload)
        self._restating = False
        self._event(EventKind.DAY_STARTED, qty=self._restored)
