"""The gates and effects of order commands, in the precedence of RULES.md (R2-R15, R24-R34, R45).

Each function handles one command at offset `c` of the command words and returns the event count.
"""

from __future__ import annotations

from engine.core.book import far_level, is_far, join, leave
from engine.core.events import put_body, put_head, put_id, put_order_row, reject_other, reject_place
from engine.core.ids import (
    add_id,
    find_id,
    find_key,
    find_order,
    fold_low,
    index_order,
    is_client_id,
    root_of,
)  # fmt: skip
from engine.core.lane import I, inline, outline
from engine.core.layout import (
    ACCOUNT,
    ACCOUNT_WORDS,
    ACCOUNTS,
    BEARS,
    BEST,
    BUMP,
    CURSOR,
    ENTRY,
    ENTRY_END,
    ENTRY_ORDER,
    ENTRY_PLACE,
    ENTRY_QTY,
    ENTRY_WORDS,
    FAR_COUNT,
    FLAG_POST,
    FLAG_SMP,
    FLAG_TIF,
    FLAG_TYPE,
    FLAGS,
    FREE,
    ID_LIMIT,
    IDS,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    INSTRUMENTS,
    LEAVES,
    LIVE,
    MAX_PRICE,
    MAX_QTY,
    MEMBER,
    MIN_PRICE,
    NEXT,
    NO_BUY,
    NO_SELL,
    NODE4,
    NODE8,
    OPEN_ORDERS,
    ORDER_ID,
    ORDER_LIMIT,
    OWNER,
    PHASE,
    PRICE,
    PROTECTION,
    QTY,
    RESTORED,
    SEQ,
    SESSION,
    SMP_KEY,
)  # fmt: skip
from engine.core.matching import ENDED_CANCELED, cancel_resting, fok_fills, settle, sweep
from engine.core.memory import core, door
from engine.schema import (
    DUP,
    HAS_PRICE,
    HAS_QTY,
    MAX_FAR_LEVELS,
    MAX_ORDER_QTY,
    MAX_SMP_ID,
    OFF_TICK,
    POST_ONLY,
    PRIORITY_KEPT,
    Code,
    EventKind,
    OrdStatus,
    OrdType,
    Phase,
    Reason,
    Smp,
    TimeInForce,
)  # fmt: skip

MALFORMED, UNKNOWN_ACCOUNT = int(Code.MALFORMED), int(Code.UNKNOWN_ACCOUNT)
UNKNOWN_INSTRUMENT, INVALID_COMBINATION = int(Code.UNKNOWN_INSTRUMENT), int(Code.INVALID_COMBINATION)
DUPLICATE, UNKNOWN_ORDER, NOT_OWNER, TOO_LATE = (
    int(Code.DUPLICATE), int(Code.UNKNOWN_ORDER), int(Code.NOT_OWNER), int(Code.TOO_LATE),
)  # fmt: skip
WRONG_PHASE, TOO_MUCH, TICK_SIZE, PRICE_BAND = (
    int(Code.PHASE), int(Code.MAX_ORDER_QTY), int(Code.TICK_SIZE), int(Code.PRICE_BAND),
)  # fmt: skip
WOULD_TAKE, WOULD_CROSS = int(Code.POST_ONLY), int(Code.WOULD_CROSS)
DAY_ID_LIMIT, ORDERS_FULL, FAR_FULL = int(Code.DAY_ID_LIMIT), int(Code.ORDERS_FULL), int(Code.FAR_LEVELS_FULL)
PRE_OPEN, CONTINUOUS, HALTED = int(Phase.PRE_OPEN), int(Phase.CONTINUOUS), int(Phase.HALTED)
LIMIT, MARKET = int(OrdType.LIMIT), int(OrdType.MARKET)
GTC, IOC, FOK = int(TimeInForce.GTC), int(TimeInForce.IOC), int(TimeInForce.FOK)
DEFAULT_SMP = int(Smp.CANCEL_RESTING)
ACCEPTED, AMENDED, RESTORED_EVENT = (
    int(EventKind.ORDER_ACCEPTED), int(EventKind.ORDER_AMENDED), int(EventKind.ORDER_RESTORED),
)  # fmt: skip
CANCELED, STATUS = int(EventKind.ORDER_CANCELED), int(EventKind.ORDER_STATUS)
REQUESTED, TO_FILLED = int(Reason.REQUESTED), int(Reason.AMENDED_TO_FILLED)
NEW, PARTIALLY_FILLED = int(OrdStatus.NEW), int(OrdStatus.PARTIALLY_FILLED)


@inline
def _place_form(s, c, w0, qty, restoring):
    """R2 for a place; a restore may have a target and min_qty and need not say HAS_PRICE (R45)."""
    side = (w0 >> 8) & 255
    ord_type = (w0 >> 16) & 255
    tif = (w0 >> 24) & 255
    smp = (w0 >> 32) & 255
    flags = (w0 >> 40) & 255
    reserved = w0 >> 48
    w1 = s.cmd[c + 1]
    smp_id = w1 >> 32
    w11 = s.cmd[c + 11]
    if side - 1 > 1 or side == 0 or ord_type - 1 > 1 or ord_type == 0 or tif - 1 > 3 or tif == 0 or smp > 5:
        return False
    if qty < 1 or qty > MAX_ORDER_QTY or smp_id < 0 or smp_id > MAX_SMP_ID:
        return False
    if (reserved | s.cmd[c + 10] | s.cmd[c + 12]) != 0:
        return False
    if restoring:
        if ord_type != LIMIT or tif != GTC or (w11 & 0xFFFFFFFF) != 0 or s.cmd[c + 9] != 0:
            return False
    elif (
        (s.cmd[c + 8] | s.cmd[c + 9] | w11) != 0
        or flags & HAS_QTY != 0
        or ((flags & HAS_PRICE != 0) != (ord_type == LIMIT))
    ):
        return False
    return is_client_id(s.cmd, c + 4)


@inline
def _smp_key(s, account, smp_id):
    """The order's self-match id (R27): its beneficial owner, or its own id within the member (negative)."""
    a = account * ACCOUNT_WORDS
    if smp_id == 0:
        return s.acc[a + OWNER]
    return -((s.acc[a + MEMBER] << 16) | smp_id)


@inline
def _take_record(s):
    """A free record for an order; the caller knows that there is one (R15)."""
    h = s.h
    x = h[FREE]
    if x != 0:
        h[FREE] = I(s.n4[x * NODE4 + NEXT])
    else:
        x = h[BUMP]
        h[BUMP] = x + 1
    h[LIVE] += 1
    return x


@inline
def _enter(s, c, x, account, instrument, order_id, price, qty, leaves, key):
    """Fill in the record of an accepted order and consume its client id (R6)."""
    w0 = s.cmd[c]
    r4 = x * NODE4
    smp = (w0 >> 32) & 255
    if smp == 0:
        smp = I(DEFAULT_SMP)
    e = add_id(s, account, key, s.cmd, c + 4, order_id, x)
    s.n4[r4 + LEAVES] = leaves
    s.n4[r4 + ACCOUNT] = account
    s.n4[r4 + ENTRY] = e
    s.n4[r4 + BEARS] = e
    s.n4[r4 + SMP_KEY] = _smp_key(s, account, s.cmd[c + 1] >> 32)
    s.n4[r4 + FLAGS] = (
        ((w0 >> 8) & 3) | (((w0 >> 24) & 7) << FLAG_TIF) | (smp << FLAG_SMP)
        | (((w0 >> 40) & POST_ONLY) << FLAG_POST) | (((w0 >> 16) & 3) << FLAG_TYPE)
    )  # fmt: skip
    s.n4[r4 + QTY] = qty
    s.n4[r4 + SESSION] = s.cmd[c + 15] >> 32
    s.n4[r4 + INSTRUMENT] = instrument
    s.n8[x * NODE8 + ORDER_ID] = order_id
    s.n8[x * NODE8 + PRICE] = price
    index_order(s, order_id, x)
    s.acc[account * ACCOUNT_WORDS + OPEN_ORDERS] += 1


@outline
def _far_full(d, row, g, price):
    """R15: a new far level beyond the maximum."""
    s = core(d)
    return s.ins[row + FAR_COUNT + g] >= MAX_FAR_LEVELS and far_level(door(s), row, g, price) == 0


@outline
def put_status(d, n, c, e):
    """ORDER_STATUS about the order that consumed entry e, answering a repeated client id (R6); n + 1."""
    s = core(d)
    b = root_of(s, e) * ENTRY_WORDS
    place = s.ids[b + ENTRY_PLACE]
    x = place >> 32
    if x != 0:
        leaves = I(s.n4[x * NODE4 + LEAVES])
        status = I(NEW) if leaves == I(s.n4[x * NODE4 + QTY]) else I(PARTIALLY_FILLED)
        put_order_row(door(s), n, I(STATUS), x, leaves, I(0), I(0), status, I(DUP))
    else:
        end = s.ids[b + ENTRY_END]
        packed = s.ids[b + ENTRY_QTY]
        instrument = packed >> 32
        put_head(s, n, I(STATUS), instrument, place & 0xFFFFFFFF, s.ins[instrument * INSTRUMENT_WORDS + PHASE], I(0),
                 (I(DUP) << 16) | ((end >> 40) << 48), s.ids[b + ENTRY_ORDER])  # fmt: skip
        put_body(s, n, I(0), packed & 0xFFFFFFFF, I(0), end & 0xFFFFFFFFFF, I(0), I(0))
    s.ev[n * 16 + 3] |= I(DUPLICATE) << 48
    s.ev[n * 16 + 4] |= s.h[64 + DUPLICATE]
    put_id(s, n, s.cmd, c + 4)
    return n + 1


@inline
def place(s, n, c):
    """ORDER_PLACE."""
    h = s.h
    w0 = s.cmd[c]
    qty = s.cmd[c + 3]
    if not _place_form(s, c, w0, qty, False):
        return reject_place(door(s), n, c, I(MALFORMED))
    account = s.cmd[c + 15] & 0xFFFFFFFF
    if account - 1 >= h[ACCOUNTS] or account == 0:
        return reject_place(door(s), n, c, I(UNKNOWN_ACCOUNT))
    instrument = s.cmd[c + 1] & 0xFFFFFFFF
    if instrument - 1 >= h[INSTRUMENTS] or instrument == 0:
        return reject_place(door(s), n, c, I(UNKNOWN_INSTRUMENT))
    g = ((w0 >> 8) & 255) - 1
    limit_order = (w0 >> 16) & 255 == LIMIT
    tif = (w0 >> 24) & 255
    flags = (w0 >> 40) & 255
    post = flags & POST_ONLY
    if post != 0 and (tif >= IOC or not limit_order):
        return reject_place(door(s), n, c, I(INVALID_COMBINATION))
    key = fold_low(s.cmd, c + 4)
    e = find_id(s, account, key, s.cmd, c + 4)
    if e != 0:
        return put_status(door(s), n, c, e)
    row = instrument * INSTRUMENT_WORDS
    phase = s.ins[row + PHASE]
    matching = phase == CONTINUOUS
    if not matching and (phase != PRE_OPEN or tif >= IOC or not limit_order):
        return reject_place(door(s), n, c, I(WRONG_PHASE))
    if qty > s.ins[row + MAX_QTY]:
        return reject_place(door(s), n, c, I(TOO_MUCH))
    price = s.cmd[c + 2]
    og = 1 - g
    sign = 2 * og - 1
    best = s.ins[row + BEST + og]
    if limit_order:
        if flags & OFF_TICK != 0:
            return reject_place(door(s), n, c, I(TICK_SIZE))
        if price < s.ins[row + MIN_PRICE] or price > s.ins[row + MAX_PRICE]:
            return reject_place(door(s), n, c, I(PRICE_BAND))
        if (post != 0 or not matching) and (price - best) * sign >= 0:
            return reject_place(door(s), n, c, I(WOULD_TAKE) if matching else I(WOULD_CROSS))
    elif best == NO_BUY or best == NO_SELL:
        price = I(0)
    else:
        price = min(max(best + sign * s.ins[row + PROTECTION], s.ins[row + MIN_PRICE]), s.ins[row + MAX_PRICE])
    if h[IDS] >= h[ID_LIMIT]:
        return reject_place(door(s), n, c, I(DAY_ID_LIMIT))
    if h[LIVE] >= h[ORDER_LIMIT]:
        return reject_place(door(s), n, c, I(ORDERS_FULL))
    if is_far(s, row, price) and limit_order and tif < IOC:
        if _far_full(door(s), row, g, price):
            return reject_place(door(s), n, c, I(FAR_FULL))

    x = _take_record(s)
    order_id = h[SEQ]
    _enter(s, c, x, account, instrument, order_id, price, qty, qty, key)
    put_head(s, n, I(ACCEPTED), instrument, account, phase, I(0),
             (((w0 >> 8) & 3) << 24) | (((w0 >> 16) & 3) << 32) | (tif << 40), order_id)  # fmt: skip
    put_body(s, n, price, qty, qty, I(0), I(0), I(0))
    put_id(s, n, s.cmd, c + 4)
    n += 1
    left = qty
    if matching and (price - best) * sign >= 0:
        if tif != FOK or fok_fills(
            door(s), row, og, price, qty, I(s.n4[x * NODE4 + SMP_KEY]), (I(s.n4[x * NODE4 + FLAGS]) >> FLAG_SMP) & 7
        ):
            n, left = sweep(s, n, x, row, og, price, qty)
            if h[CURSOR] != 0:
                return n
    return settle(s, n, x, row, g, price, left)


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


@inline
def cancel(s, n, c):
    """ORDER_CANCEL (R29)."""
    if not _names_well(s, c):
        return reject_other(door(s), n, c, I(MALFORMED), I(0))
    account = s.cmd[c + 15] & 0xFFFFFFFF
    if account - 1 >= s.h[ACCOUNTS] or account == 0:
        return reject_other(door(s), n, c, I(UNKNOWN_ACCOUNT), I(0))
    x, code = _named_order(s, c, account)
    if code != 0:
        return reject_other(door(s), n, c, code, x)
    phase = s.ins[I(s.n4[x * NODE4 + INSTRUMENT]) * INSTRUMENT_WORDS + PHASE]
    if phase < PRE_OPEN:
        return reject_other(door(s), n, c, I(WRONG_PHASE), x)
    return cancel_resting(door(s), n, x, I(CANCELED), I(ENDED_CANCELED), I(REQUESTED), True)


@outline
def _amend_gates(d, c, x, flags, row, g):
    """R9-R15 of an amend of record x; 0 or the code."""
    s = core(d)
    phase = s.ins[row + PHASE]
    if phase != CONTINUOUS and phase != PRE_OPEN:
        return I(WRONG_PHASE)
    if flags & HAS_QTY != 0 and s.cmd[c + 3] > s.ins[row + MAX_QTY]:
        return I(TOO_MUCH)
    price = s.n8[x * NODE8 + PRICE]
    if flags & HAS_PRICE != 0:
        if flags & OFF_TICK != 0:
            return I(TICK_SIZE)
        price = s.cmd[c + 2]
        if price < s.ins[row + MIN_PRICE] or price > s.ins[row + MAX_PRICE]:
            return I(PRICE_BAND)
    reaches = (price - s.ins[row + BEST + 1 - g]) * (1 - 2 * g) >= 0
    if reaches and phase == PRE_OPEN:
        return I(WOULD_CROSS)
    if reaches and (I(s.n4[x * NODE4 + FLAGS]) >> FLAG_POST) & 1 != 0:
        return I(WOULD_TAKE)
    if _brings_id(s, c) and s.h[IDS] >= s.h[ID_LIMIT]:
        return I(DAY_ID_LIMIT)
    if flags & HAS_PRICE != 0 and is_far(s, row, price) and _far_full(door(s), row, g, price):
        return I(FAR_FULL)
    return I(0)


@inline
def _brings_id(s, c):
    """Whether an amend has a new client id: a target and a cl_ord_id besides."""
    return (s.cmd[c + 8] | s.cmd[c + 9]) != 0 and s.cmd[c + 4] != 0


@outline
def _rename(d, c, x, account):
    """Give record x the command's client id besides those it has (R32)."""
    s = core(d)
    r4 = x * NODE4
    e = add_id(s, account, fold_low(s.cmd, c + 4), s.cmd, c + 4, s.n8[x * NODE8 + ORDER_ID], x)
    s.ids[e * ENTRY_WORDS + ENTRY_PLACE] = account
    s.ids[e * ENTRY_WORDS + ENTRY_END] = -I(s.n4[r4 + ENTRY])
    s.n4[r4 + BEARS] = e
    return I(0)


@inline
def amend(s, n, c):
    """ORDER_AMEND (R30-R32)."""
    w0 = s.cmd[c]
    flags = (w0 >> 40) & 255
    renames = _brings_id(s, c)
    if not _names_well(s, c) or (flags & (HAS_PRICE | HAS_QTY) == 0 and not renames):
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
    row = I(s.n4[r4 + INSTRUMENT]) * INSTRUMENT_WORDS
    g = (I(s.n4[r4 + FLAGS]) & 3) - 1
    code = _amend_gates(door(s), c, x, flags, row, g)
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
    if s.ins[row + PHASE] == CONTINUOUS:
        n, left = sweep(s, n, x, row, 1 - g, price, left)
        if s.h[CURSOR] != 0:
            return n
    return settle(s, n, x, row, g, price, left)


@outline
def restore(d, n, c):
    """ORDER_RESTORE, while a trading day is being opened (R45)."""
    s = core(d)
    h = s.h
    qty = s.cmd[c + 3]
    order_id = s.cmd[c + 8]
    leaves = s.cmd[c + 11] >> 32
    if not _place_form(s, c, s.cmd[c], qty, True) or leaves < 1 or leaves > qty or order_id < 1 or order_id >= h[SEQ]:
        return reject_place(door(s), n, c, I(MALFORMED))
    if find_order(s, order_id) != 0:
        return reject_place(door(s), n, c, I(MALFORMED))
    account = s.cmd[c + 15] & 0xFFFFFFFF
    if account - 1 >= h[ACCOUNTS] or account == 0:
        return reject_place(door(s), n, c, I(UNKNOWN_ACCOUNT))
    instrument = s.cmd[c + 1] & 0xFFFFFFFF
    if instrument - 1 >= h[INSTRUMENTS] or instrument == 0:
        return reject_place(door(s), n, c, I(UNKNOWN_INSTRUMENT))
    key = fold_low(s.cmd, c + 4)
    if find_id(s, account, key, s.cmd, c + 4) != 0:
        return reject_place(door(s), n, c, I(DUPLICATE))
    row = instrument * INSTRUMENT_WORDS
    g = ((s.cmd[c] >> 8) & 255) - 1
    price = s.cmd[c + 2]
    if price < s.ins[row + MIN_PRICE] or price > s.ins[row + MAX_PRICE]:
        return reject_place(door(s), n, c, I(PRICE_BAND))
    if (price - s.ins[row + BEST + 1 - g]) * (1 - 2 * g) >= 0:
        return reject_place(door(s), n, c, I(WOULD_CROSS))
    if h[IDS] >= h[ID_LIMIT]:
        return reject_place(door(s), n, c, I(DAY_ID_LIMIT))
    if h[LIVE] >= h[ORDER_LIMIT]:
        return reject_place(door(s), n, c, I(ORDERS_FULL))
    if is_far(s, row, price) and _far_full(door(s), row, g, price):
        return reject_place(door(s), n, c, I(FAR_FULL))
    x = _take_record(s)
    _enter(s, c, x, account, instrument, order_id, price, qty, leaves, key)
    join(s, row, g, x, price)
    h[RESTORED] += 1
    put_order_row(door(s), n, I(RESTORED_EVENT), x, leaves, I(0), I(0), I(0), I(0))
    put_id(s, n, s.cmd, c + 4)
    return n + 1
