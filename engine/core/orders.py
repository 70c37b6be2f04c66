"""The gates and effects of order commands, in the precedence of RULES.md (R2-R15, R24-R34).

Each function handles one command at offset `c` of the command words and returns the event count.  `place` and `amend`
hold the way of a plain order in a continuous phase, which is nearly every order; the rest is sent on.
"""

from __future__ import annotations

from engine.core.accounts import exceeds, killed, move_lots
from engine.core.book import (
    append,
    far_full,
    is_far,
    leave,
    stop_price_of,
    stops_full,
    wait_as_stop,
)  # fmt: skip
from engine.core.calls import count_lots
from engine.core.controls import beyond_band, outside_contract, outside_limits, too_dear
from engine.core.entry import (
    BAD_EXPIRE,
    DAY_ID_LIMIT,
    FAR_FULL,
    IN_CONTINUOUS,
    INVALID_COMBINATION,
    LASTING_ONLY,
    MALFORMED,
    MOVING_BAND,
    PRICE_BAND,
    PRICE_LIMIT,
    STOP,
    STOPS_FULL,
    TICK_SIZE,
    TOO_DEAR,
    TOO_MUCH,
    UNKNOWN_ACCOUNT,
    WOULD_TAKE,
    WRONG_PHASE,
    is_lasting,
    join_call,
    put_status,
    tell_later,
)  # fmt: skip
from engine.core.events import put_id, put_order_row, reject_other
from engine.core.ids import add_id, find_id, find_key, find_order, fold_low, is_client_id, root_of
from engine.core.lane import I, inline, outline
from engine.core.layout import (
    ACCOUNT,
    ACCOUNT_WORDS,
    ACCOUNTS,
    APART,
    ASIDE,
    BEARS,
    BEST,
    BY_ACCOUNT,
    BY_VALUE,
    CALLING,
    ENTRY,
    ENTRY_END,
    ENTRY_PLACE,
    ENTRY_WORDS,
    EXPIRE,
    FLAG_POST,
    FLAG_TIF,
    FLAG_TYPE,
    FLAGS,
    GATE,
    GATED,
    GIVES_UP,
    ICEBERG,
    ID_LIMIT,
    IDS,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    KILLED,
    LEAVES,
    LEVEL,
    MAX_QTY,
    MODE_AT,
    MORE_WORDS,
    NEXT_EXPIRY,
    NODE4,
    NODE8,
    ORDER_ID,
    OUTSIDE,
    PARKED,
    PERMITS,
    PHASE,
    PRICE,
    QTY,
    SHOWN,
    STOPPED,
    SUBJECT,
    SUSPENDED,
    TIME,
)  # fmt: skip
from engine.core.matching import ENDED_CANCELED, bring_in, cancel_resting, settle, withdraw
from engine.core.memory import core, door
from engine.core.stops import carry_out_stop, is_reached
from engine.phases import Permit
from engine.schema import (
    HAS_EXPIRE,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    INACTIVE,
    MAX_ORDER_QTY,
    OFF_TICK,
    PRIORITY_KEPT,
    Code,
    EventKind,
    OrdType,
    Phase,
    Reason,
    TimeInForce,
)  # fmt: skip

UNKNOWN_ORDER, NOT_OWNER, TOO_LATE = int(Code.UNKNOWN_ORDER), int(Code.NOT_OWNER), int(Code.TOO_LATE)
CONTINUOUS = int(Phase.CONTINUOUS)
STOP_LIMIT, FOK, GTD = int(OrdType.STOP_LIMIT), int(TimeInForce.FOK), int(TimeInForce.GTD)
AMENDED, CANCELED = int(EventKind.ORDER_AMENDED), int(EventKind.ORDER_CANCELED)
REQUESTED, TO_FILLED = int(Reason.REQUESTED), int(Reason.AMENDED_TO_FILLED)
MAY_AMEND, MAY_CANCEL = int(Permit.AMEND), int(Permit.CANCEL)


@inline
def _named_order(s, c, account):
    """The order that a cancel or amend names (R7): (record, code); the record is 0 unless live."""
    low = s.cmd[c + 8]
    high = s.cmd[c + 9]
    if high == 0 and low != 0:
        x = find_order(s, low) if low > 0 else I(0)
        if x == 0:
            return x, I(UNKNOWN_ORDER)
        if I(s.n4[x * NODE4 + ACCOUNT]) != account:
            return x, I(NOT_OWNER)
        return x, I(0)
    if high == 0:
        e = find_id(s, account, fold_low(s.cmd, c + 4), s.cmd, c + 4)
    else:
        e = find_key(door(s), account, low, high)
    if e == 0:
        return I(0), I(UNKNOWN_ORDER)
    x = s.ids[root_of(s, e) * ENTRY_WORDS + ENTRY_PLACE] >> 32
    return x, (I(TOO_LATE) if x == 0 else I(0))


@inline
def _names_well(s, c):
    """R2: a cancel or amend names an order, and a client id that is present is one."""
    if s.cmd[c + 4] == 0 and (s.cmd[c + 5] | s.cmd[c + 6] | s.cmd[c + 7]) == 0:
        return (s.cmd[c + 8] | s.cmd[c + 9]) != 0
    return is_client_id(s.cmd, c + 4)


@outline
def cancel_any(d, n, c):
    """ORDER_CANCEL of any order in any phase (R29)."""
    s = core(d)
    if not _names_well(s, c):
        return reject_other(door(s), n, c, I(MALFORMED), I(0))
    account = s.cmd[c + 15] & 0xFFFFFFFF
    if account - 1 >= s.h[ACCOUNTS] or account == 0:
        return reject_other(door(s), n, c, I(UNKNOWN_ACCOUNT), I(0))
    x, code = _named_order(s, c, account)
    if code != 0:
        return reject_other(door(s), n, c, code, x)
    instrument = I(s.n4[x * NODE4 + INSTRUMENT])
    row = instrument * INSTRUMENT_WORDS
    if s.ins[row + PHASE] != CONTINUOUS:
        if not may_leave(s, x, row, I(MAY_CANCEL)):
            return reject_other(door(s), n, c, I(WRONG_PHASE), x)
        if s.ins[row + CALLING] != 0:
            tell_later(s, instrument)
    return cancel_resting(door(s), n, x, I(CANCELED), I(ENDED_CANCELED), I(REQUESTED), True)


@inline
def may_leave(s, x, row, permit):
    """Whether the phase permits to cancel (or to amend) the order in record x (R9)."""
    permits = s.ins[row + PERMITS]
    if permits & permit == 0:
        return False
    return permits & LASTING_ONLY == 0 or is_lasting((I(s.n4[x * NODE4 + FLAGS]) >> FLAG_TIF) & 7)


@outline
def _amend_gates(d, c, x, flags, row, g):
    """R77, R9, R5 and R16 of an amend of record x; 0 or the code."""
    s = core(d)
    account = I(s.n4[x * NODE4 + ACCOUNT])
    if s.acc[account * ACCOUNT_WORDS + GATE] & KILLED != 0:
        return killed(door(s), account)
    if not may_leave(s, x, row, I(MAY_AMEND)):
        return I(WRONG_PHASE)
    has = I(s.n4[x * NODE4 + FLAGS])
    if flags & HAS_PRICE != 0 and (has & GIVES_UP != 0 or (has & STOPPED != 0 and (has >> FLAG_TYPE) & 7 == STOP)):
        return I(INVALID_COMBINATION)
    if flags & HAS_STOP != 0 and has & STOPPED == 0:
        return I(INVALID_COMBINATION)
    if flags & HAS_EXPIRE != 0:
        if (has >> FLAG_TIF) & 7 != GTD:
            return I(INVALID_COMBINATION)
        if s.cmd[c + 12] <= s.h[TIME]:
            return I(BAD_EXPIRE)
    return _amend_prices(door(s), c, x, flags, row, g)


@outline
def _amend_prices(d, c, x, flags, row, g):
    """R10 to R15 of an amend of record x; 0 or the code."""
    s = core(d)
    has = I(s.n4[x * NODE4 + FLAGS])
    if flags & HAS_QTY != 0 and s.cmd[c + 3] > s.ins[row + MAX_QTY]:
        return I(TOO_MUCH)
    if flags & (HAS_PRICE | HAS_STOP) != 0 and flags & OFF_TICK != 0:
        return I(TICK_SIZE)
    price = s.n8[x * NODE8 + PRICE]
    if flags & HAS_PRICE != 0:
        price = s.cmd[c + 2]
        if outside_contract(s, row, price):
            return I(PRICE_BAND)
    if flags & HAS_STOP != 0 and outside_contract(s, row, s.cmd[c + 10]):
        return I(PRICE_BAND)
    if flags & HAS_PRICE != 0 and outside_limits(s, row, price):
        return I(PRICE_LIMIT)
    if s.ins[row + GATED] & BY_VALUE != 0:
        if flags & HAS_PRICE != 0 and beyond_band(s, row, g, price):
            return I(MOVING_BAND)
        if flags & (HAS_PRICE | HAS_STOP | HAS_QTY) != 0 and _costs_too_much(door(s), c, x, flags, row, price):
            return I(TOO_DEAR)
    in_book = has & OUTSIDE == 0 or (has & SUSPENDED != 0 and flags & HAS_PRICE != 0)
    if in_book and (has >> FLAG_POST) & 1 != 0 and s.ins[row + PERMITS] >> MODE_AT >= IN_CONTINUOUS:
        if (price - s.ins[row + BEST + 1 - g]) * (1 - 2 * g) >= 0:
            return I(WOULD_TAKE)
    account = I(s.n4[x * NODE4 + ACCOUNT])
    if s.ins[row + GATED] & BY_ACCOUNT != 0 or s.acc[account * ACCOUNT_WORDS + GATE] != 0:
        code = _exceeds(door(s), c, x, flags, account, g, price)
        if code != 0:
            return code
    if _brings_id(s, c) and s.h[IDS] >= s.h[ID_LIMIT]:
        return I(DAY_ID_LIMIT)
    if flags & HAS_PRICE != 0 and in_book and is_far(s, row, price) and far_full(door(s), row, g, price):
        return I(FAR_FULL)
    if flags & HAS_STOP != 0 and stops_full(door(s), row, g, s.cmd[c + 10]):
        return I(STOPS_FULL)
    return I(0)


@outline
def _costs_too_much(d, c, x, flags, row, price):
    """R66 of an amend of record x, which has or gets `price`."""
    s = core(d)
    qty = s.cmd[c + 3] if flags & HAS_QTY != 0 else I(s.n4[x * NODE4 + QTY])
    return too_dear(s, row, _amend_worth(s, c, x, flags, price), qty)


@inline
def _amend_worth(s, c, x, flags, price):
    """The price by which an amended order is valued, which has or gets `price` (R66)."""
    has = I(s.n4[x * NODE4 + FLAGS])
    if has & STOPPED != 0 and (has >> FLAG_TYPE) & 7 == STOP:
        return s.cmd[c + 10] if flags & HAS_STOP != 0 else stop_price_of(s, x)
    return price


@outline
def _exceeds(d, c, x, flags, account, g, price):
    """R76 and R74 of an amend of record x; 0 or the code."""
    s = core(d)
    qty = I(s.n4[x * NODE4 + QTY])
    leaves = I(s.n4[x * NODE4 + LEAVES])
    total = s.cmd[c + 3] if flags & HAS_QTY != 0 else qty
    after = max(total - qty + leaves, I(0))
    raises = total > qty
    valued = raises or flags & (HAS_PRICE | HAS_STOP) != 0
    return exceeds(door(s), account, I(s.n4[x * NODE4 + INSTRUMENT]), g, after, leaves,
                   _amend_worth(s, c, x, flags, price), raises, valued)  # fmt: skip


@inline
def _brings_id(s, c):
    """Whether an amend has a new client id: a target and a cl_ord_id besides."""
    return (s.cmd[c + 8] | s.cmd[c + 9]) != 0 and s.cmd[c + 4] != 0


@outline
def _rename(d, c, x, account):
    """Give record x the command's client id besides those it has (R32)."""
    s = core(d)
    r4 = x * NODE4
    e = add_id(door(s), account, fold_low(s.cmd, c + 4), c, s.n8[x * NODE8 + ORDER_ID], x)
    s.ids[e * ENTRY_WORDS + ENTRY_PLACE] = account
    s.ids[e * ENTRY_WORDS + ENTRY_END] = -I(s.n4[r4 + ENTRY])
    s.n4[r4 + BEARS] = e
    return I(0)


@outline
def amend_any(d, n, c):
    """ORDER_AMEND of any order in any phase (R30-R32)."""
    s = core(d)
    w0 = s.cmd[c]
    flags = (w0 >> 40) & 255
    renames = _brings_id(s, c)
    if not _names_well(s, c) or (flags & (HAS_PRICE | HAS_QTY | HAS_STOP | HAS_EXPIRE) == 0 and not renames):
        return reject_other(door(s), n, c, I(MALFORMED), I(0))
    total = s.cmd[c + 3]
    if flags & HAS_QTY != 0 and (total < 1 or total > MAX_ORDER_QTY):
        return reject_other(door(s), n, c, I(MALFORMED), I(0))
    account = s.cmd[c + 15] & 0xFFFFFFFF
    if account - 1 >= s.h[ACCOUNTS] or account == 0:
        return reject_other(door(s), n, c, I(UNKNOWN_ACCOUNT), I(0))
    if renames:
        e = find_id(s, account, fold_low(s.cmd, c + 4), s.cmd, c + 4)
        if e != 0:
            return put_status(door(s), n, c, e)
    x, code = _named_order(s, c, account)
    if code != 0:
        return reject_other(door(s), n, c, code, x)
    r4 = x * NODE4
    has = I(s.n4[r4 + FLAGS])
    row = I(s.n4[r4 + INSTRUMENT]) * INSTRUMENT_WORDS
    g = (has & 3) - 1
    s.h[SUBJECT] = x
    if (
        s.ins[row + PHASE] != CONTINUOUS
        or s.ins[row + GATED] != 0
        or s.acc[account * ACCOUNT_WORDS + GATE] != 0
        or flags & (HAS_STOP | HAS_EXPIRE) != 0
        or has & (APART | ICEBERG) != 0
    ):
        return _amend_other(door(s), n, c, x)
    code = _amend_prices(door(s), c, x, flags, row, g)
    if code != 0:
        return reject_other(door(s), n, c, code, x)

    old_qty = I(s.n4[r4 + QTY])
    leaves = I(s.n4[r4 + LEAVES])
    filled = old_qty - leaves
    old_price = s.n8[x * NODE8 + PRICE]
    if flags & HAS_QTY == 0:
        total = old_qty
    if total <= filled:
        return cancel_resting(door(s), n, x, I(CANCELED), I(ENDED_CANCELED), I(TO_FILLED), True)
    price = s.cmd[c + 2] if flags & HAS_PRICE != 0 else old_price
    if renames:
        _rename(door(s), c, x, account)
    left = total - filled
    keeps = price == old_price and total <= old_qty
    move_lots(s, account, I(s.n4[r4 + INSTRUMENT]), g, left - leaves, I(0))
    if not keeps:
        leave(s, x, g)
    s.n4[r4 + QTY] = total
    s.n4[r4 + LEAVES] = left
    s.n8[x * NODE8 + PRICE] = price
    put_order_row(door(s), n, I(AMENDED), x, left, leaves, old_price, I(0), I(PRIORITY_KEPT) if keeps else I(0))
    put_id(s, n, s.ids, I(s.n4[r4 + BEARS]) * ENTRY_WORDS)
    n += 1
    if keeps:
        return n
    if (price - s.ins[row + BEST + 1 - g]) * (1 - 2 * g) >= 0:
        bring_in(s, x, price, True)
        return n
    return settle(s, n, x, row, g, price, left)


@outline
def _amend_other(d, n, c, x):
    """An amend of any order in any phase, once its order is found."""
    s = core(d)
    r4 = x * NODE4
    flags = (s.cmd[c] >> 40) & 255
    has = I(s.n4[r4 + FLAGS])
    row = I(s.n4[r4 + INSTRUMENT]) * INSTRUMENT_WORDS
    g = (has & 3) - 1
    code = _amend_gates(door(s), c, x, flags, row, g)
    if code != 0:
        return reject_other(door(s), n, c, code, x)
    old_qty = I(s.n4[r4 + QTY])
    leaves = I(s.n4[r4 + LEAVES])
    filled = old_qty - leaves
    total = s.cmd[c + 3] if flags & HAS_QTY != 0 else old_qty
    if s.ins[row + CALLING] != 0:
        tell_later(s, I(s.n4[r4 + INSTRUMENT]))
    if total <= filled:
        return cancel_resting(door(s), n, x, I(CANCELED), I(ENDED_CANCELED), I(TO_FILLED), True)
    old_price = s.n8[x * NODE8 + PRICE]
    price = s.cmd[c + 2] if flags & HAS_PRICE != 0 else old_price
    stop = stop_price_of(s, x) if has & STOPPED != 0 else I(0)
    keeps = price == old_price and total <= old_qty
    if has & STOPPED != 0:
        keeps = flags & HAS_STOP == 0 or s.cmd[c + 10] == stop
    if _brings_id(s, c):
        _rename(door(s), c, x, I(s.n4[r4 + ACCOUNT]))
    left = total - filled
    move_lots(s, I(s.n4[r4 + ACCOUNT]), I(s.n4[r4 + INSTRUMENT]), g, left - leaves, I(0))
    if not keeps:
        withdraw(door(s), x)
        if flags & HAS_PRICE != 0:
            has &= ~I(SUSPENDED)
            s.n4[r4 + FLAGS] = has
    elif s.ins[row + CALLING] != 0 and has & OUTSIDE == 0:
        count_lots(door(s), row, g, I(s.n4[r4 + LEVEL]), price, left - leaves, I(0))
    s.n4[r4 + QTY] = total
    s.n4[r4 + LEAVES] = left
    s.n8[x * NODE8 + PRICE] = price
    if flags & HAS_EXPIRE != 0:
        s.more[x * MORE_WORDS + EXPIRE] = s.cmd[c + 12]
        s.h[NEXT_EXPIRY] = min(s.h[NEXT_EXPIRY], s.cmd[c + 12])
    if keeps and has & ICEBERG != 0:
        s.more[x * MORE_WORDS + SHOWN] = min(s.more[x * MORE_WORDS + SHOWN], left)
    told = I(PRIORITY_KEPT) if keeps else I(0)
    if has & OUTSIDE != 0:
        told |= INACTIVE
    put_order_row(door(s), n, I(AMENDED), x, left, leaves, old_price, I(0), told)
    put_id(s, n, s.ids, I(s.n4[r4 + BEARS]) * ENTRY_WORDS)
    n += 1
    if keeps:
        return n
    if has & STOPPED != 0:
        if is_reached(s, row, g, s.cmd[c + 10]):
            return carry_out_stop(door(s), n, x, s.cmd[c + 10])
        wait_as_stop(door(s), row, g, x, s.cmd[c + 10])
        return n
    return _come_back(door(s), n, x, row, g, price)


@outline
def _come_back(d, n, x, row, g, price):
    """An amended order that lost its place: kept aside again, into the book, or incoming (R31)."""
    s = core(d)
    if I(s.n4[x * NODE4 + FLAGS]) & (PARKED | SUSPENDED) != 0:
        append(s, s.ins[row + ASIDE], x)
        return n
    if s.ins[row + PERMITS] >> MODE_AT < IN_CONTINUOUS:
        join_call(door(s), x, row, g, price)
        return n
    bring_in(s, x, price, True)
    return n


__all__ = ["amend_any", "cancel_any", "may_leave"]
