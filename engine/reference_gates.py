"""The readable matcher's gates: rules R2 to R15, each command's in the order of their codes.

A gate looks and does not touch: whatever is refused here has changed nothing.  The one thing that is kept is the order
that a cancel or amend was found to be about.
"""

from __future__ import annotations

import re
from typing import Final

from engine.reference_book import Command, Instrument
from engine.reference_world import World
from engine.schema import (
    CL_ORD_ID_PATTERN,
    HAS_PRICE,
    HAS_QTY,
    MAX_ORDER_QTY,
    MAX_SMP_ID,
    OFF_TICK,
    POST_ONLY,
    Code,
    OrdType,
    Side,
    Smp,
    TimeInForce,
)

__all__ = ["Gates"]

_CL_ORD_ID: Final = re.compile(CL_ORD_ID_PATTERN.encode())
_AT_ONCE: Final = (TimeInForce.IOC, TimeInForce.FOK)


class Gates(World):
    """A world that can say why a command must be refused."""

    def _place_refused(self, command: Command) -> Code:
        """The first gate that refuses a place, or OK."""
        if not self._place_is_well_formed(command):
            return Code.MALFORMED  # R2
        if self._account(command.account) is None:
            return Code.UNKNOWN_ACCOUNT  # R3
        instrument = self._instrument(command.instrument)
        if instrument is None:
            return Code.UNKNOWN_INSTRUMENT  # R4
        limit = command.ord_type == OrdType.LIMIT
        at_once = command.time_in_force in _AT_ONCE
        if command.flags & POST_ONLY and (at_once or not limit):
            return Code.INVALID_COMBINATION  # R5
        if self._owner_of_id(command.account, command.cl_ord_id) is not None:
            return Code.DUPLICATE  # R6
        if not instrument.may_enter or (not instrument.matches and (at_once or not limit)):
            return Code.PHASE  # R9
        if command.order_qty > instrument.terms.max_order_qty:
            return Code.MAX_ORDER_QTY  # R10
        if limit:
            price_code = self._price_refused(
                command, instrument, Side(command.side), command.price, bool(command.flags & POST_ONLY)
            )
            if price_code:
                return price_code
        if len(self.day_ids) >= self.limits.day_ids:
            return Code.DAY_ID_LIMIT  # R15
        if len(self.live) >= self.limits.orders:
            return Code.ORDERS_FULL  # R15
        rests = limit and not at_once
        if rests and instrument.sides[Side(command.side)].has_no_room_at(command.price):
            return Code.FAR_LEVELS_FULL  # R15
        return Code.OK

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

    @staticmethod
    def _place_is_well_formed(command: Command) -> bool:
        """R2 for a place; a restore has the same form but for the fields that it uses in its own way (R45)."""
        return (
            command.side in (Side.BUY, Side.SELL)
            and command.ord_type in (OrdType.LIMIT, OrdType.MARKET)
            and TimeInForce.DAY <= command.time_in_force <= TimeInForce.FOK
            and 0 <= command.smp <= Smp.DECREMENT
            and 1 <= command.order_qty <= MAX_ORDER_QTY
            and _CL_ORD_ID.fullmatch(command.cl_ord_id) is not None
            and 0 <= command.smp_id <= MAX_SMP_ID
            and bool(command.flags & HAS_PRICE) == (command.ord_type == OrdType.LIMIT)
            and not command.flags & HAS_QTY
            and not (command.stop_price or command.display_qty or command.min_qty or command.expire_time)
            and not (command.reserved or command.target_lo or command.target_hi)
        )

    def _price_refused(self, command: Command, instrument: Instrument, side: Side, price: int, post_only: bool) -> Code:
        """R11 to R14, for the price of a limit order placed or amended."""
        if command.flags & HAS_PRICE:
            if command.flags & OFF_TICK:
                return Code.TICK_SIZE  # R11
            if not instrument.terms.min_price <= price <= instrument.terms.max_price:
                return Code.PRICE_BAND  # R12
        if instrument.against(side).reached_by(price):
            if not instrument.matches:
                return Code.WOULD_CROSS  # R14
            if post_only:
                return Code.POST_ONLY  # R13
        return Code.OK

    def _amend_refused(self, command: Command) -> Code:
        """The first gate that refuses an amend, or OK; finds the order."""
        if not (
            self._names_order(command)
            and (command.flags & (HAS_PRICE | HAS_QTY) or command.new_cl_ord_id)
            and (not command.flags & HAS_QTY or 1 <= command.order_qty <= MAX_ORDER_QTY)
        ):
            return Code.MALFORMED  # R2
        if self._account(command.account) is None:
            return Code.UNKNOWN_ACCOUNT  # R3
        new_id = command.new_cl_ord_id
        if new_id and self._owner_of_id(command.account, new_id) is not None:
            return Code.DUPLICATE  # R6
        code = self._find(command)
        if code:
            return code  # R7, R8
        order = self._found()
        instrument = order.instrument
        if not instrument.may_enter:
            return Code.PHASE  # R9
        if command.flags & HAS_QTY and command.order_qty > instrument.terms.max_order_qty:
            return Code.MAX_ORDER_QTY  # R10
        price = command.price if command.flags & HAS_PRICE else order.price
        code = self._price_refused(command, instrument, order.side, price, order.post_only)
        if code:
            return code  # R11 to R14
        if new_id and len(self.day_ids) >= self.limits.day_ids:
            return Code.DAY_ID_LIMIT  # R15
        if command.flags & HAS_PRICE and instrument.sides[order.side].has_no_room_at(price):
            return Code.FAR_LEVELS_FULL  # R15
        return Code.OK

    def _cancel_refused(self, command: Command) -> Code:
        """The first gate that refuses a cancel, or OK; finds the order."""
        if not self._names_order(command):
            return Code.MALFORMED  # R2
        if self._account(command.account) is None:
            return Code.UNKNOWN_ACCOUNT  # R3
        code = self._find(command)
        if code:
            return code  # R7, R8
        return Code.OK if self._found().instrument.may_cancel else Code.PHASE  # R9

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

    def _restore_refused(self, command: Command) -> Code:
        """The first gate that refuses a restore, or OK (R45)."""
        as_place = command._replace(flags=HAS_PRICE | command.flags & POST_ONLY, min_qty=0, target_lo=0)
        if not (
            self._place_is_well_formed(as_place)
            and command.ord_type == OrdType.LIMIT
            and command.time_in_force == TimeInForce.GTC
            and 1 <= command.target_lo < command.seq
            and command.target_lo not in self.live
            and 1 <= command.min_qty <= command.order_qty
        ):
            return Code.MALFORMED  # R2
        if self._account(command.account) is None:
            return Code.UNKNOWN_ACCOUNT  # R3
        instrument = self._instrument(command.instrument)
        if instrument is None:
            return Code.UNKNOWN_INSTRUMENT  # R4
        if self._owner_of_id(command.account, command.cl_ord_id) is not None:
            return Code.DUPLICATE  # R6
        if not instrument.terms.min_price <= command.price <= instrument.terms.max_price:
            return Code.PRICE_BAND  # R12
        side = Side(command.side)
        if instrument.against(side).reached_by(command.price):
            return Code.WOULD_CROSS  # R14
        if len(self.day_ids) >= self.limits.day_ids:
            return Code.DAY_ID_LIMIT  # R15
        if len(self.live) >= self.limits.orders:
            return Code.ORDERS_FULL  # R15
        if instrument.sides[side].has_no_room_at(command.price):
            return Code.FAR_LEVELS_FULL  # R15
        return Code.OK
