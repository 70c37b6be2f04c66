"""The readable matcher: the rule book made runnable, and the oracle for the compiled one.

Plain Python objects, one method per rule, the rule's number beside it.  It gives the same EVENT rows as the core,
byte for byte, and shares nothing with it but the schema and the table of phases.  No clock, randomness or I/O.

Invariants (see `Reference.check`): every live order is in exactly one of book, waiting stops and what is kept aside;
order_qty = cum_qty + leaves_qty, leaves_qty > 0; no book is crossed where orders trade; an iceberg shows some lots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.phases import PHASES, Mode
from engine.reference_acts import (
    AccountTerms,
    InstrumentTerms,
    PhaseChange,
    TradingDay,
    read_uncross,
)
from engine.reference_book import LASTING, STOP_TYPES, Account, Command, Instrument, Order, SelfMatchId, Where
from engine.reference_levers import Levers
from engine.reference_payload import Payload, Refused, read_payload
from engine.schema import (
    ACT_FIRST,
    HAS_EXPIRE,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    INACTIVE,
    OF_SESSION,
    OVERRIDE,
    POST_ONLY,
    PRIORITY_KEPT,
    SYMBOL_ALL,
    Code,
    CommandKind,
    EventKind,
    OrdType,
    Phase,
    Reason,
    Side,
    Smp,
    TimeInForce,
)

__all__ = ["Reference"]

_ACTS: Final = frozenset(int(kind) for kind in CommandKind if kind >= ACT_FIRST)


class Reference(Levers):
    """A venue in memory: feed it blocks of commands, read its events.

    Not safe for use by several threads.
    """

    def run_block(self, commands: npt.NDArray[np.void], payload: bytes = b"") -> npt.NDArray[np.void]:
        """Carry out a block: COMMAND rows (n,) and their payload section in, a fresh array of EVENT rows out.

        Every command yields at least one event; refusals are events (codes in order of precedence), never exceptions.
        About 15 µs a command, 50 µs where most are placed in calls.
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
        self._tell_touched()  # R53
        self._lasts.append(len(self._rows) - 1)

    # --- orders coming in --------------------------------------------------------------------------------------

    def _place(self, command: Command) -> None:
        """Accept an order; it waits, rests or trades as its type and the phase say (R9)."""
        code = self._place_refused(command)
        if code:
            self._refuse(command, code)
            return
        shows_a_part = 0 < command.display_qty < command.order_qty  # R47
        display_qty = command.display_qty if shows_a_part else 0
        order = self._enter(command, command.seq, command.order_qty, display_qty)
        instrument = order.instrument
        if order.is_stop:
            instrument.stops[order.side].add(order)
            self._accept(order)
            if instrument.elects_at_once(order.side, order.stop_price):
                self._elect(order)  # R60
        elif instrument.keeps_aside(order.time_in_force):
            order.price = instrument.edge(order.side) if order.is_unpriced else order.price
            instrument.keep_aside(order)  # R58
            self._accept(order)
        elif not order.is_unpriced and not instrument.limits.admit(order.price):
            instrument.suspend(order)  # R67
            self._accept(order)
        elif instrument.matches:
            order.price = instrument.protection_limit(order.side) if order.is_unpriced else order.price
            self._accept(order)
            self._carry_out(order, command.min_qty)
        else:
            order.price = instrument.edge(order.side) if order.is_unpriced else order.price  # R51
            self._accept(order)
            self._rest(order)  # R50
        self._elect_reached(instrument)  # R61

    def _accept(self, order: Order) -> None:
        self._order_event(
            EventKind.ORDER_ACCEPTED,
            order,
            flags=INACTIVE if order.is_inactive else 0,
            cl_ord_id=order.cl_ord_id,
            delta_qty=order.display_qty,
            old_price=order.stop_price,
        )

    def _refuse(self, command: Command, code: Code) -> None:
        """Refuse a place or amend; a repeated client id is answered with what became of the first (R6)."""
        if code == Code.DUPLICATE:
            self._answer_duplicate(command)
        else:
            self._reject(command, code)

    def _enter(self, command: Command, order_id: int, leaves_qty: int, display_qty: int) -> Order:
        """Make a live order of a place or restore; it consumes its client id (R6)."""
        account = self.accounts[command.account - 1]
        self_match: SelfMatchId = ("owner", account.terms.owner, 0)
        if command.smp_id:
            self_match = ("smp_id", account.terms.member, command.smp_id)  # R27
        is_priced = command.ord_type in (OrdType.LIMIT, OrdType.STOP_LIMIT)
        order = Order(
            order_id=order_id,  # R37
            account=account.number,
            instrument=self.instruments[command.instrument - 1],
            side=Side(command.side),
            ord_type=OrdType(command.ord_type),
            time_in_force=TimeInForce(command.time_in_force),
            price=command.price if is_priced else 0,
            order_qty=command.order_qty,
            leaves_qty=leaves_qty,
            cum_qty=command.order_qty - leaves_qty,
            cl_ord_id=command.cl_ord_id,
            smp=Smp(command.smp or Smp.CANCEL_RESTING),
            smp_id=command.smp_id,
            post_only=bool(command.flags & POST_ONLY),
            client_session=command.client_session,
            self_match=self_match,
            display_qty=display_qty,
            stop_price=command.stop_price if command.ord_type in STOP_TYPES else 0,
            expire_time=command.expire_time,
        )
        self.live[order_id] = account.live[order_id] = order
        self._open(order, leaves_qty)  # R71
        self._consume_id(order)
        return order

    def _restore(self, command: Command) -> None:
        """R45."""
        code = self._restore_refused(command)
        if code:
            self._reject(command, code)
            return
        order = self._enter(command, command.target_lo, command.min_qty, command.display_qty)
        if order.is_stop:
            order.instrument.stops[order.side].add(order)
        elif not order.instrument.limits.admit(order.price):
            order.instrument.suspend(order)  # R67
        else:
            order.instrument.sides[order.side].add(order)
            order.shown_qty = command.target_hi
        self._restored += 1
        self._order_event(
            EventKind.ORDER_RESTORED,
            order,
            flags=INACTIVE if order.is_inactive else 0,
            cl_ord_id=order.cl_ord_id,
            delta_qty=order.display_qty,
            old_price=order.stop_price,
        )

    # --- orders changed and taken out --------------------------------------------------------------------------

    def _amend(self, command: Command) -> None:
        """R30 to R32."""
        code = self._amend_refused(command)
        if code:
            self._refuse(command, code)
            return
        order = self._found()
        instrument = order.instrument
        price = command.price if command.flags & HAS_PRICE else order.price
        stop_price = command.stop_price if command.flags & HAS_STOP else order.stop_price
        order_qty = command.order_qty if command.flags & HAS_QTY else order.order_qty
        if order_qty <= order.cum_qty:
            self._cancel(order, Reason.AMENDED_TO_FILLED)  # R30
            return
        keeps_place = price == order.price and order_qty <= order.order_qty  # R31
        if order.is_stop:
            keeps_place = stop_price == order.stop_price
        was = order.where
        if was == Where.SUSPENDED and command.flags & HAS_PRICE:
            was, keeps_place = Where.BOOK, False  # R67: it comes back
        if not keeps_place:
            instrument.take_out(order)
        before = {"delta_qty": order.leaves_qty, "old_price": order.price}
        order.price, order.stop_price = price, stop_price
        order.order_qty, order.leaves_qty = order_qty, order_qty - order.cum_qty
        self._open(order, order.leaves_qty - before["delta_qty"])  # R71
        order.shown_qty = min(order.shown_qty, order.leaves_qty)  # R47
        order.expire_time = command.expire_time if command.flags & HAS_EXPIRE else order.expire_time
        if command.new_cl_ord_id:
            order.cl_ord_id = command.new_cl_ord_id  # R32
            self._consume_id(order)
        flags = (PRIORITY_KEPT if keeps_place else 0) | (INACTIVE if was != Where.BOOK else 0)
        self._order_event(EventKind.ORDER_AMENDED, order, flags=flags, cl_ord_id=order.cl_ord_id, **before)
        if not keeps_place:
            self._come_again(order, was)
        if order.is_stop and instrument.elects_at_once(order.side, order.stop_price):
            self._elect(order)  # R60
        self._elect_reached(instrument)  # R61

    def _come_again(self, order: Order, was: Where) -> None:
        """R31: an amended order that has lost its place takes the last one where it was, or is incoming again."""
        match was:
            case Where.STOPS:
                order.instrument.stops[order.side].add(order)
            case Where.ASIDE:
                order.instrument.keep_aside(order)
            case Where.SUSPENDED:
                order.instrument.suspend(order)
            case _ if order.instrument.matches:
                self._carry_out(order)
            case _:
                self._rest(order)

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
            if command.side in (0, order.side)
            and command.instrument in (0, order.instrument.number)
            and (not command.flags & OF_SESSION or order.client_session == command.client_session != 0)
        ]
        count = self._cancel_all(meant, Reason.MASS_CANCEL)
        self._tell_touched()  # R53
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
            if order.client_session == command.client_session != 0 and order.time_in_force not in LASTING
        ]
        count = self._cancel_all(meant, Reason.DISCONNECT)
        self._tell_touched()  # R53
        self._event(EventKind.DISCONNECTED, account=command.account, qty=count)

    def _clock_tick(self, command: Command) -> None:
        """R35, R49."""
        if not self._id_is_well_formed(command):
            self._reject(command, Code.MALFORMED)  # R2
            return
        self._expire_all(order for order in self.live.values() if 0 < order.expire_time <= self.time)
        self._tell_touched()  # R53
        self._event(EventKind.CLOCK_TICKED)

    def _expire_all(self, orders: Iterable[Order]) -> None:
        """R43, R49: in rising order_id over all instruments."""
        for order in sorted(orders, key=lambda order: order.order_id):
            self._expire(order)

    # --- acts --------------------------------------------------------------------------------------------------

    def _act(self, command: Command, payload: bytes) -> None:
        """R40 to R44, R54, R66, R67, R72 to R78: an act in its turn; raises Refused before it has changed anything."""
        in_place = {
            CommandKind.DAY_OPEN: self._commands == 1,
            CommandKind.DAY_START: self._restating,
            CommandKind.PHASE_SET: not self._restating,
            CommandKind.AUCTION_UNCROSS: not self._restating,
            CommandKind.POSITION_RESTORE: self._restating,
            CommandKind.BALANCE_RESTORE: self._restating,
        }
        if not in_place.get(CommandKind(command.kind), True):
            raise Refused(Code.DAY_ORDER)  # R44
        act: dict[CommandKind, Callable[[Payload], None]] = {
            CommandKind.INSTRUMENT_DEFINE: self._define_instrument,
            CommandKind.ACCOUNT_DEFINE: self._define_account,
            CommandKind.PHASE_SET: self._set_phase,
            CommandKind.DAY_OPEN: self._open_day,
            CommandKind.DAY_START: self._start_day,
            CommandKind.AUCTION_UNCROSS: self._uncross_now,
            CommandKind.CONTROL_SET: self._set_controls,
            CommandKind.LIMIT_SET: self._set_limits,
            **self._levers(),
        }
        act[CommandKind(command.kind)](read_payload(payload, command.target_lo, command.target_hi))

    def _define_instrument(self, payload: Payload) -> None:
        """R40."""
        terms = InstrumentTerms.read(payload)
        self._check_fixings(terms)  # R72
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
        self._check_ccy(terms.ccy)
        if terms.account in self.names:
            raise Refused(Code.ACCOUNT_EXISTS)
        if len(self.accounts) >= self.limits.accounts:
            raise Refused(Code.ACCOUNTS_FULL)
        account = Account(len(self.accounts) + 1, terms, is_checked=self._checks_everyone(self.costs))
        self.accounts.append(account)
        self.names[terms.account] = account
        self._name_ccy(terms.ccy)
        self._event(EventKind.ACCOUNT_DEFINED, account=len(self.accounts))

    def _set_phase(self, payload: Payload) -> None:
        """R42, R43, R70."""
        change = PhaseChange.read(payload)
        meant = self._instruments_meant(change)
        changing = [instrument for instrument in meant if change.phase in PHASES[instrument.phase].next]
        if not changing:
            raise Refused(Code.PHASE_TRANSITION)
        if change.auto and self._extend_call(changing[0]):
            return
        before = [instrument.phase for instrument in changing]
        for instrument in changing:
            self._change_phase(instrument, change)
        if change.phase == Phase.CLOSED:
            self._expire_all(
                order for order in self.live.values() if order.instrument in changing and not _outlives_the_day(order)
            )  # R43
        for instrument, phase_before in zip(changing, before, strict=True):
            self._enter_phase(instrument, phase_before)

    def _instruments_meant(self, change: PhaseChange) -> list[Instrument]:
        """R42, R65: the one named, or all (of the group) that have no phase of their own."""
        is_for_all = change.symbol == SYMBOL_ALL
        meant = self.instruments if is_for_all else self._named(change.symbol, change.group)
        if change.symbol and not is_for_all:
            return meant
        return [instrument for instrument in meant if not instrument.is_overridden]

    def _change_phase(self, instrument: Instrument, change: PhaseChange) -> None:
        """R42, R63 to R65, R67, for one instrument."""
        before, instrument.phase = instrument.phase, change.phase
        last_trade_id, last_price = 0, 0
        if change.at_last_match and instrument.last_price is not None:
            last_trade_id, last_price = instrument.last_trade_id, instrument.last_price  # R63
        instrument.is_overridden = change.override  # R65: whoever is passed by does not come here
        instrument.trigger.let_go()  # R70
        locked_side = 0
        if instrument.phase == Phase.CLOSED:
            instrument.end_day()
            locked_side = instrument.limits.locked_side
        self._event(
            EventKind.PHASE_CHANGED,
            instrument=instrument.number,
            phase=instrument.phase,
            flags=OVERRIDE if instrument.is_overridden else 0,
            side=locked_side,
            reason=before,
            order_id=last_trade_id,
            price=last_price,
            qty=change.draw,
        )

    def _uncross_now(self, payload: Payload) -> None:
        """R54: the act auction.uncross."""
        symbol = read_uncross(payload)
        if symbol not in self.symbols:
            raise Refused(Code.UNKNOWN_INSTRUMENT)
        instrument = self.symbols[symbol]
        if instrument.mode != Mode.CALL:
            raise Refused(Code.NOT_IN_CALL)
        self._uncross(instrument)

    def _open_day(self, payload: Payload) -> None:
        """R44."""
        day = TradingDay.read(payload)
        self.trading_day, self.next_trade_id = day.trading_day, day.next_trade_id
        self.is_margined = day.is_margined
        self._restating = True
        self._event(EventKind.DAY_OPENED, qty=day.number)

    def _start_day(self, payload: Payload) -> None:
        """R44, R78."""
        TradingDay.read_start(payload)
        self._check_positions()
        self._restating = False
        self._event(EventKind.DAY_STARTED, qty=self._restored)


def _outlives_the_day(order: Order) -> bool:
    """R43: gtc and gtd orders that have a price, or wait as stops."""
    return order.time_in_force in LASTING and not order.is_unpriced
