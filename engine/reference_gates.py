"""The readable matcher's gates: rules R2 to R19, R59, R66 to R68, R74, R76, R77, in the order of their codes.

A gate looks and does not touch: whatever is refused here has changed nothing.  The one thing that is kept is the order
that a cancel or amend was found to be about.
"""

from __future__ import annotations

import re
from typing import Final

from engine.phases import Mode, Permit
from engine.reference_accounts import Accounts
from engine.reference_book import LASTING, STOP_TYPES, UNPRICED_TYPES, Account, Command, Instrument, Order, Where
from engine.schema import (
    CL_ORD_ID_PATTERN,
    HAS_EXPIRE,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    MAX_ORDER_QTY,
    MAX_SMP_ID,
    OF_SESSION,
    OFF_TICK,
    POST_ONLY,
    Code,
    OrdType,
    Phase,
    Side,
    Smp,
    TimeInForce,
)

__all__ = ["Gates"]

_CL_ORD_ID: Final = re.compile(CL_ORD_ID_PATTERN.encode())
_AT_ONCE: Final = (TimeInForce.IOC, TimeInForce.FOK)
_OF_ONE_CALL: Final = (TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE)
_PRICED: Final = (OrdType.LIMIT, OrdType.STOP_LIMIT)
_PERMIT_OF_TYPE: Final = {
    OrdType.LIMIT: Permit.ENTER,
    OrdType.MARKET: Permit.UNPRICED,
    OrdType.MARKET_TO_LIMIT: Permit.UNPRICED,
    OrdType.STOP: Permit.STOPS,
    OrdType.STOP_LIMIT: Permit.STOPS,
}
_PERMIT_OF_TIME_IN_FORCE: Final = {
    TimeInForce.IOC: Permit.AT_ONCE,
    TimeInForce.FOK: Permit.AT_ONCE,
    TimeInForce.AT_OPEN: Permit.AT_OPEN,
    TimeInForce.AT_CLOSE: Permit.AT_CLOSE,
}


class Gates(Accounts):
    """A world that can say why a command must be refused."""

    # --- place -------------------------------------------------------------------------------------------------

    def _place_refused(self, command: Command) -> Code:
        """The first gate that refuses a place, or OK."""
        if not self._place_is_well_formed(command):
            return Code.MALFORMED  # R2
        account = self._account(command.account)
        if account is None:
            return Code.UNKNOWN_ACCOUNT  # R3
        instrument = self._instrument(command.instrument)
        if instrument is None:
            return Code.UNKNOWN_INSTRUMENT  # R4
        if self._place_combines_badly(command):
            return Code.INVALID_COMBINATION  # R5
        if not 0 <= command.display_qty <= command.order_qty:
            return Code.DISPLAY_QTY  # R17
        if not 0 <= command.min_qty <= command.order_qty:
            return Code.MIN_QTY  # R19
        if bool(command.flags & HAS_STOP) != (command.ord_type in STOP_TYPES):
            return Code.STOP_PRICE  # R18
        if not self._place_expires_rightly(command):
            return Code.EXPIRE_TIME  # R16
        if self._owner_of_id(command.account, command.cl_ord_id) is not None:
            return Code.DUPLICATE  # R6
        code = self._killed(account)
        if code:
            return code  # R77
        if not instrument.permits(self._place_needs(command), command.time_in_force):
            return Code.PHASE  # R9
        if command.order_qty > instrument.terms.max_order_qty:
            return Code.MAX_ORDER_QTY  # R10
        code = self._prices_refused(command, instrument)
        if code:
            return code  # R11, R12
        code = self._place_uncontrolled(command, instrument)
        if code:
            return code  # R67, R68, R66
        if instrument.phase == Phase.TRADE_AT_CLOSE and command.price != instrument.close_price:
            return Code.CLOSE_PRICE  # R59
        takes = self._would_take(instrument, Side(command.side), command.price)
        if command.flags & POST_ONLY and takes and not self._place_is_suspended(command, instrument):
            return Code.POST_ONLY  # R13
        side, price = Side(command.side), self._place_ranks_at(command, instrument)
        if self._would_exceed_cap(account, instrument, side, command.order_qty):
            return Code.POSITION_CAP  # R76
        if self._is_uncovered(account, instrument, side, price, command.order_qty):
            return Code.MARGIN  # R74
        if len(self.day_ids) >= self.limits.day_ids:
            return Code.DAY_ID_LIMIT  # R15
        if len(self.live) >= self.limits.orders:
            return Code.ORDERS_FULL  # R15
        return self._place_has_no_level(command, instrument)  # R15

    @staticmethod
    def _place_is_well_formed(command: Command) -> bool:
        """R2 for a place."""
        return (
            Gates._order_is_well_formed(command)
            and bool(command.flags & HAS_PRICE) == (command.ord_type in _PRICED)
            and not command.flags & (HAS_QTY | HAS_EXPIRE | OF_SESSION)
            and not (command.target_lo or command.target_hi)
        )

    @staticmethod
    def _order_is_well_formed(command: Command) -> bool:
        """R2, in as far as a place and a restore have the same form (R45)."""
        return (
            command.side in (Side.BUY, Side.SELL)
            and OrdType.LIMIT <= command.ord_type <= OrdType.MARKET_TO_LIMIT
            and TimeInForce.DAY <= command.time_in_force <= TimeInForce.AT_CLOSE
            and 0 <= command.smp <= Smp.DECREMENT
            and 1 <= command.order_qty <= MAX_ORDER_QTY
            and _CL_ORD_ID.fullmatch(command.cl_ord_id) is not None
            and 0 <= command.smp_id <= MAX_SMP_ID
            and not command.reserved
        )

    @staticmethod
    def _place_combines_badly(command: Command) -> bool:
        """R5 for a place."""
        limit = command.ord_type == OrdType.LIMIT
        stop = command.ord_type in STOP_TYPES
        at_once = command.time_in_force in _AT_ONCE
        of_one_call = command.time_in_force in _OF_ONE_CALL
        post_only = bool(command.flags & POST_ONLY)
        return (
            (post_only and (not limit or at_once or of_one_call))
            or (stop and (at_once or of_one_call))
            or (of_one_call and command.ord_type not in (OrdType.LIMIT, OrdType.MARKET))
            or (command.ord_type == OrdType.MARKET_TO_LIMIT and at_once)
            or (command.display_qty != 0 and (not limit or at_once))
            or (command.min_qty != 0 and (post_only or stop or of_one_call or command.time_in_force == TimeInForce.FOK))
        )

    def _place_expires_rightly(self, command: Command) -> bool:
        """R16 for a place."""
        if command.time_in_force == TimeInForce.GTD:
            return command.expire_time > self.time
        return command.expire_time == 0

    @staticmethod
    def _place_needs(command: Command) -> Permit:
        """R9: the permits that a place needs."""
        needed = _PERMIT_OF_TYPE[OrdType(command.ord_type)]
        needed |= _PERMIT_OF_TIME_IN_FORCE.get(TimeInForce(command.time_in_force), Permit(0))
        return needed | Permit.AT_ONCE if command.min_qty else needed

    @staticmethod
    def _place_has_no_level(command: Command, instrument: Instrument) -> Code:
        """R15: whether the price at which it might have to rest or wait has no room."""
        side = Side(command.side)
        if command.ord_type in STOP_TYPES:
            waits = not instrument.elects_at_once(side, command.stop_price)
            no_room = waits and instrument.stops[side].has_no_room_at(command.stop_price)
            return Code.STOP_LEVELS_FULL if no_room else Code.OK
        unpriced = command.ord_type in UNPRICED_TYPES
        may_rest = (
            command.time_in_force not in _AT_ONCE
            and not instrument.keeps_aside(command.time_in_force)
            and (not unpriced or instrument.mode == Mode.CALL)
        )
        price = instrument.edge(side) if unpriced else command.price
        may_rest = may_rest and instrument.limits.admit(price)  # R67, R45: else it is suspended
        no_room = may_rest and instrument.sides[side].has_no_room_at(price)
        return Code.FAR_LEVELS_FULL if no_room else Code.OK

    @staticmethod
    def _prices_refused(command: Command, instrument: Instrument) -> Code:
        """R11, R12, for the prices that a place or amend names."""
        if command.flags & OFF_TICK and command.flags & (HAS_PRICE | HAS_STOP):
            return Code.TICK_SIZE  # R11
        for flag, price in ((HAS_PRICE, command.price), (HAS_STOP, command.stop_price)):
            if command.flags & flag and not instrument.terms.min_price <= price <= instrument.terms.max_price:
                return Code.PRICE_BAND  # R12
        return Code.OK

    @staticmethod
    def _would_take(instrument: Instrument, side: Side, price: int) -> bool:
        """R13: whether an order at this price would trade at once."""
        return instrument.matches and instrument.against(side).reached_by(price)

    # --- price controls ----------------------------------------------------------------------------------------

    def _place_uncontrolled(self, command: Command, instrument: Instrument) -> Code:
        """R67, R68, R66: the first price control that a place does not pass, or OK."""
        side, is_priced = Side(command.side), command.ord_type in _PRICED
        is_suspended = self._place_is_suspended(command, instrument)
        if is_priced and not instrument.limits.admit(command.price):
            waits = command.ord_type == OrdType.STOP_LIMIT and command.time_in_force in LASTING
            if not waits and not is_suspended:
                return Code.PRICE_LIMIT  # R67
        if is_priced and not is_suspended and self._is_beyond_band(instrument, side, command.price):
            return Code.MOVING_BAND  # R68
        too_much = self._is_too_much(instrument, self._place_ranks_at(command, instrument), command.order_qty)
        return Code.MAX_ORDER_VALUE if too_much else Code.OK  # R66

    @staticmethod
    def _place_is_suspended(command: Command, instrument: Instrument) -> bool:
        """R67: whether a place is accepted, though its price lies outside the daily limits, and suspended."""
        return (
            command.ord_type == OrdType.LIMIT
            and command.time_in_force in LASTING
            and not command.min_qty
            and not instrument.limits.admit(command.price)
        )

    @staticmethod
    def _place_ranks_at(command: Command, instrument: Instrument) -> int:
        """R66: the price at which the value of a place is found."""
        side = Side(command.side)
        if command.ord_type in _PRICED:
            return command.price
        if command.ord_type == OrdType.STOP:
            return command.stop_price
        if instrument.matches and not instrument.keeps_aside(command.time_in_force):
            return instrument.protection_limit(side)
        return instrument.edge(side)

    @staticmethod
    def _is_beyond_band(instrument: Instrument, side: Side, price: int) -> bool:
        """R68: a buy too far above the reference price, or a sell too far below it."""
        band = instrument.controls.band_ticks
        away = price - instrument.reference_price
        return bool(band) and (away if side == Side.BUY else -away) > band

    @staticmethod
    def _is_too_much(instrument: Instrument, price: int, order_qty: int) -> bool:
        """R66: more than the greatest value of an order."""
        most = instrument.controls.most_value(instrument.terms)
        return most is not None and abs(price) * order_qty > most

    def _amend_uncontrolled(self, command: Command, order: Order) -> Code:
        """R67, R68, R66: the first price control that an amend does not pass, or OK."""
        instrument = order.instrument
        if command.flags & HAS_PRICE:
            if not instrument.limits.admit(command.price):
                return Code.PRICE_LIMIT  # R67
            if self._is_beyond_band(instrument, order.side, command.price):
                return Code.MOVING_BAND  # R68
        price = self._amend_ranks_at(command, order)
        order_qty = command.order_qty if command.flags & HAS_QTY else order.order_qty
        names_value = command.flags & (HAS_PRICE | HAS_STOP | HAS_QTY)
        too_much = names_value and self._is_too_much(instrument, price, order_qty)
        return Code.MAX_ORDER_VALUE if too_much else Code.OK  # R66

    @staticmethod
    def _amend_ranks_at(command: Command, order: Order) -> int:
        """R66: the price at which the value of an amended order is found."""
        if order.ord_type == OrdType.STOP:
            return command.stop_price if command.flags & HAS_STOP else order.stop_price
        return command.price if command.flags & HAS_PRICE else order.price

    # --- commands about many orders ----------------------------------------------------------------------------

    def _mass_cancel_refused(self, command: Command) -> Code:
        """The first gate that refuses a mass cancel, or OK."""
        if not self._id_is_well_formed(command) or command.side not in (0, Side.BUY, Side.SELL):
            return Code.MALFORMED  # R2
        if self._account(command.account) is None:
            return Code.UNKNOWN_ACCOUNT  # R3
        if command.instrument and self._instrument(command.instrument) is None:
            return Code.UNKNOWN_INSTRUMENT  # R4
        return Code.OK

    def _disconnect_refused(self, command: Command) -> Code:
        """The first gate that refuses a disconnect, or OK."""
        if not self._id_is_well_formed(command):
            return Code.MALFORMED  # R2
        return Code.UNKNOWN_ACCOUNT if self._account(command.account) is None else Code.OK  # R3

    @staticmethod
    def _id_is_well_formed(command: Command) -> bool:
        """R2: a client id that is present has the right form."""
        return not command.cl_ord_id or _CL_ORD_ID.fullmatch(command.cl_ord_id) is not None

    # --- amend and cancel --------------------------------------------------------------------------------------

    def _amend_refused(self, command: Command) -> Code:
        """The first gate that refuses an amend, or OK; finds the order."""
        if not (
            self._names_order(command)
            and (command.flags & (HAS_PRICE | HAS_QTY | HAS_STOP | HAS_EXPIRE) or command.new_cl_ord_id)
            and (not command.flags & HAS_QTY or 1 <= command.order_qty <= MAX_ORDER_QTY)
        ):
            return Code.MALFORMED  # R2
        account = self._account(command.account)
        if account is None:
            return Code.UNKNOWN_ACCOUNT  # R3
        new_id = command.new_cl_ord_id
        if new_id and self._owner_of_id(command.account, new_id) is not None:
            return Code.DUPLICATE  # R6
        code = self._find(command)
        if code:
            return code  # R7, R8
        order = self._found()
        instrument = order.instrument
        code = self._killed(account)
        if code:
            return code  # R77
        if not instrument.permits(Permit.AMEND, order.time_in_force):
            return Code.PHASE  # R9
        if self._amend_combines_badly(command, order):
            return Code.INVALID_COMBINATION  # R5
        if command.flags & HAS_EXPIRE and command.expire_time <= self.time:
            return Code.EXPIRE_TIME  # R16
        if command.flags & HAS_QTY and command.order_qty > instrument.terms.max_order_qty:
            return Code.MAX_ORDER_QTY  # R10
        code = self._prices_refused(command, instrument)
        if code:
            return code  # R11, R12
        code = self._amend_uncontrolled(command, order)
        if code:
            return code  # R67, R68, R66
        comes_back = order.where == Where.SUSPENDED and command.flags & HAS_PRICE  # R67
        in_book = order.where == Where.BOOK or comes_back
        price = command.price if command.flags & HAS_PRICE else order.price
        if in_book and order.post_only and self._would_take(instrument, order.side, price):
            return Code.POST_ONLY  # R13
        code = self._amend_unaffordable(command, order, account)
        if code:
            return code  # R76, R74
        if new_id and len(self.day_ids) >= self.limits.day_ids:
            return Code.DAY_ID_LIMIT  # R15
        if in_book and command.flags & HAS_PRICE and instrument.sides[order.side].has_no_room_at(price):
            return Code.FAR_LEVELS_FULL  # R15
        if command.flags & HAS_STOP and instrument.stops[order.side].has_no_room_at(command.stop_price):
            return Code.STOP_LEVELS_FULL  # R15
        return Code.OK

    def _amend_unaffordable(self, command: Command, order: Order, account: Account) -> Code:
        """R76, R74: why the owner or the account may not have the order that an amend makes, or OK."""
        raises = command.flags & HAS_QTY and command.order_qty > order.order_qty
        order_qty = command.order_qty if command.flags & HAS_QTY else order.order_qty
        leaves_qty = max(order_qty - order.cum_qty, 0)
        opened = leaves_qty - order.leaves_qty
        if raises and self._would_exceed_cap(account, order.instrument, order.side, opened):
            return Code.POSITION_CAP
        price = self._amend_ranks_at(command, order)
        uncovered = (raises or command.flags & (HAS_PRICE | HAS_STOP)) and self._is_uncovered(
            account, order.instrument, order.side, price, leaves_qty, order.leaves_qty
        )
        return Code.MARGIN if uncovered else Code.OK

    @staticmethod
    def _amend_combines_badly(command: Command, order: Order) -> bool:
        """R5 for an amend."""
        return bool(
            (command.flags & HAS_PRICE and order.ord_type not in _PRICED)
            or (command.flags & HAS_STOP and order.where != Where.STOPS)
            or (command.flags & HAS_EXPIRE and order.time_in_force != TimeInForce.GTD)
        )

    def _cancel_refused(self, command: Command) -> Code:
        """The first gate that refuses a cancel, or OK; finds the order."""
        if not self._names_order(command):
            return Code.MALFORMED  # R2
        if self._account(command.account) is None:
            return Code.UNKNOWN_ACCOUNT  # R3
        code = self._find(command)
        if code:
            return code  # R7, R8
        order = self._found()
        return Code.OK if order.instrument.may_cancel(order) else Code.PHASE  # R9

    def _names_order(self, command: Command) -> bool:
        """R2: an order is named, by target or by cl_ord_id itself."""
        names = command.target_lo or command.target_hi or command.cl_ord_id
        return bool(names) and self._id_is_well_formed(command)

    def _find(self, command: Command) -> Code:
        """R7, R8: the order that a cancel or amend names becomes the subject; OK, or why it may not be touched."""
        if command.target_hi == 0 and command.target_lo != 0:
            order = self.live.get(command.target_lo)
            self._subject = order
            if order is None:
                return Code.UNKNOWN_ORDER
            return Code.OK if order.account == command.account else Code.NOT_OWNER
        if command.target_hi:
            order = self._owner_of_key(command.account, command.target_lo, command.target_hi)
        else:
            order = self._owner_of_id(command.account, command.cl_ord_id)
        if order is None:
            return Code.UNKNOWN_ORDER
        if order.ended is not None:
            return Code.TOO_LATE
        self._subject = order
        return Code.OK

    # --- restore -----------------------------------------------------------------------------------------------

    def _restore_refused(self, command: Command) -> Code:
        """The first gate that refuses a restore, or OK (R45)."""
        if not self._restore_is_well_formed(command):
            return Code.MALFORMED  # R2
        account = self._account(command.account)
        if account is None:
            return Code.UNKNOWN_ACCOUNT  # R3
        instrument = self._instrument(command.instrument)
        if instrument is None:
            return Code.UNKNOWN_INSTRUMENT  # R4
        if self._owner_of_id(command.account, command.cl_ord_id) is not None:
            return Code.DUPLICATE  # R6
        has_price = HAS_PRICE if command.ord_type in _PRICED else 0
        has_stop = HAS_STOP if command.ord_type in STOP_TYPES else 0
        code = self._prices_refused(command._replace(flags=has_price | has_stop), instrument)
        if code:
            return code  # R12
        if self._would_hold_too_much(account, instrument, Side(command.side), command.min_qty):
            return Code.MARGIN  # R78
        if len(self.day_ids) >= self.limits.day_ids:
            return Code.DAY_ID_LIMIT  # R15
        if len(self.live) >= self.limits.orders:
            return Code.ORDERS_FULL  # R15
        return self._place_has_no_level(command, instrument)  # R15

    def _restore_is_well_formed(self, command: Command) -> bool:
        """R2 for a restore (R45)."""
        shows_rightly = (
            1 <= command.target_hi <= min(command.display_qty, command.min_qty)
            if command.display_qty
            else command.target_hi == 0
        )
        return (
            self._order_is_well_formed(command)
            and command.ord_type in (OrdType.LIMIT, *STOP_TYPES)
            and command.time_in_force in LASTING
            and 1 <= command.target_lo < command.seq
            and command.target_lo not in self.live
            and 1 <= command.min_qty <= command.order_qty
            and 0 <= command.display_qty <= MAX_ORDER_QTY
            and shows_rightly
            and not (command.display_qty and command.ord_type in STOP_TYPES)
            and (command.expire_time > 0 if command.time_in_force == TimeInForce.GTD else command.expire_time == 0)
        )
