"""The commonest commands in one pass: a plain limit order in continuous trading, its amend, its cancel (R20-R32).

Each function tests all its gates at once, as bits and signs of one word.  Where any of them says no, or the command
asks for more than the plain case, it is handed on untouched to the function for every case (engine/core/entry.py,
engine/core/orders.py), which takes the gates in their order of precedence and finds the code.  So nothing is decided
here that is not decided there, and a gate costs the common case an addition.

Each returns n and whether that is all: a command that is told with one event, written here, needs no looking after.
"""

from __future__ import annotations

from engine.core.accounts import position_at
from engine.core.book import empty_window_level, join_window
from engine.core.entry import FOK, IOC, LIMIT, enter, place_other, take_record
from engine.core.events import ONLY, order_attributes, put_body, put_first_head, put_id, put_rest
from engine.core.ids import add_id_at, add_id_late, find_order, is_client_id, may_be_known, root_of, seek_id
from engine.core.lane import I, U, inline, inv, shl
from engine.core.layout import (
    ACCOUNT,
    ACCOUNT_WORDS,
    ACCOUNTS,
    APART,
    BASE,
    BEARS,
    BEST,
    BITS0,
    BLIND,
    BUYS_OPEN,
    CURSOR,
    ENTRY_PLACE,
    ENTRY_WORDS,
    FLAG_SMP,
    FLAGS,
    GATE,
    GATED,
    GIVES_UP,
    ICEBERG,
    ID_LIMIT,
    IDS,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    INSTRUMENTS,
    LEAVES,
    LEVELS,
    LINKS,
    LIVE,
    MAX_QTY,
    NEXT,
    NODE4,
    NODE8,
    OP,
    ORDER_ID,
    ORDER_LIMIT,
    PHASE,
    PLAIN_HIGH,
    PLAIN_LOW,
    PREV,
    PRICE,
    QTY,
    RULE_OF,
    SEQ,
    SMP_KEY,
    WINDOW_LO,
)  # fmt: skip
from engine.core.matching import ENDED_CANCELED, fok_fills, release, settle, sweep
from engine.core.memory import door, fetch
from engine.core.orders import amend_any, cancel_any
from engine.schema import (
    HAS_EXPIRE,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    MAX_SMP_ID,
    OFF_TICK,
    POST_ONLY,
    PRIORITY_KEPT,
    Code,
    CommandKind,
    EventKind,
    Phase,
    Reason,
)  # fmt: skip

CONTINUOUS = int(Phase.CONTINUOUS)
PLACE, CANCEL, AMEND = int(CommandKind.ORDER_PLACE), int(CommandKind.ORDER_CANCEL), int(CommandKind.ORDER_AMEND)
ACCEPTED, AMENDED = int(EventKind.ORDER_ACCEPTED), int(EventKind.ORDER_AMENDED)
CANCELED, REQUESTED = int(EventKind.ORDER_CANCELED), int(Reason.REQUESTED)
REJECTED, UNKNOWN_ORDER = int(EventKind.ORDER_REJECTED), int(Code.UNKNOWN_ORDER)
# Bytes of a plain place's first word that have one value only: kind, ord_type, flags but for post-only, reserved.
FIXED = (0xFFFF_0000_00FF_00FF | ((0xFF & ~POST_ONLY) << 40)) - (1 << 64)
PLAIN = PLACE | (LIMIT << 16) | (HAS_PRICE << 40)


@inline
def _odd_form(s, c, w0, qty):
    """Zero if R2 holds and the order is a plain limit order (but for its client id)."""
    smp_id = s.cmd[c + 1] >> 32
    odd = ((w0 & FIXED) ^ PLAIN) | ((((w0 >> 8) & 255) - 1) & ~1) | ((((w0 >> 24) & 255) - 1) & ~3)
    odd |= (smp_id & ~MAX_SMP_ID) | s.cmd[c + 8] | s.cmd[c + 9] | s.cmd[c + 11] | s.cmd[c + 12]
    return odd | (((5 - ((w0 >> 32) & 255)) | (I(qty) - 1)) >> 63)


@inline
def _odd_terms(s, row, account, price, qty):
    """Zero if R9, R10, R12, R67 and R77 hold, no other gate is set, and the price lies in the window."""
    signs = (price - I(s.ins[row + PLAIN_LOW])) | (I(s.ins[row + PLAIN_HIGH]) - price)
    signs |= I(s.ins[row + MAX_QTY]) - qty  # which is at most MAX_ORDER_QTY
    odd = (s.ins[row + PHASE] ^ CONTINUOUS) | s.ins[row + GATED] | s.acc[account * ACCOUNT_WORDS + GATE]
    return odd | (signs >> 63)


@inline
def _crosses(s, row, g, price):
    """Whether an order of side g trades at a price: at or above the best sell, at or below the best buy."""
    return ((price - I(s.ins[row + BEST + 1 - g]) - g) ^ -g) >= 0


@inline
def _begin(s, n, kind):
    """Keep in the header what those need who may write more than one event, or go on later."""
    s.h[BASE] = n
    s.h[OP] = kind


@inline
def place(s, n, c, key):
    """ORDER_PLACE; key: fold_low of its client id, as in the other two."""
    h = s.h
    _begin(s, n, I(PLACE))
    w0 = I(s.cmd[c])
    qty = I(s.cmd[c + 3])
    instrument = s.cmd[c + 1] & 0xFFFFFFFF
    account = s.cmd[c + 15] & 0xFFFFFFFF
    if _odd_form(s, c, w0, qty) != 0 or instrument > h[INSTRUMENTS] or account > h[ACCOUNTS]:
        return place_other(door(s), n, c), False
    row = instrument * INSTRUMENT_WORDS
    price = I(s.cmd[c + 2])
    offset = price - I(s.ins[row + WINDOW_LO])
    odd = _odd_terms(s, row, account, price, qty)
    odd |= ((h[ID_LIMIT] - 1 - h[IDS]) | (h[ORDER_LIMIT] - 1 - h[LIVE])) >> 63  # R15
    if odd != 0 or not is_client_id(s.cmd, c + 4):
        return place_other(door(s), n, c), False
    g = ((w0 >> 8) & 255) - 1
    blind = h[BLIND] != 0
    e = slot = I(0)
    if blind:
        fetch(s.link, (s.ins[row + LEVELS + g] + offset) * LINKS)
    if not blind or may_be_known(s, account, key):
        e, slot = seek_id(s, account, key, s.cmd, c + 4)
    crosses = _crosses(s, row, g, price)
    tif = (w0 >> 24) & 255
    if e != 0 or ((crosses or tif >= IOC) and (w0 >> 40) & POST_ONLY != 0):
        return place_other(door(s), n, c), False

    x = take_record(s)
    if blind:
        e = add_id_late(s, account, key, s.cmd, c + 4, h[SEQ], x)
    else:
        e = add_id_at(s, slot, account, key, s.cmd, c + 4, h[SEQ], x)
    enter(s, c, x, e, account, instrument, h[SEQ], price, qty, qty, I(GIVES_UP) if tif >= IOC else I(0))
    rests = not crosses and tif < IOC
    put_first_head(s, n, c, I(ACCEPTED), I(PLACE), instrument, account, I(CONTINUOUS),
                   ((w0 & 0x07070300) << 16) | (I(ONLY) if rests else I(0)), h[SEQ])  # fmt: skip
    put_rest(s, n, price, qty, qty, I(0), I(0), I(0))
    put_id(s, n, s.cmd, c + 4)
    n += 1
    if rests:
        join_window(s, row, g, x, price, offset)
        return n, True
    left = qty
    if crosses:
        if tif != FOK or fok_fills(
            door(s), row, 1 - g, price, qty, I(s.n4[x * NODE4 + SMP_KEY]), (I(s.n4[x * NODE4 + FLAGS]) >> FLAG_SMP) & 7
        ):
            n, left = sweep(s, n, x, row, 1 - g, price, qty)
            if h[CURSOR] != 0:
                return n, False
    return settle(s, n, x, row, g, price, left), False


@inline
def _is_unnamed(s, c):
    """Whether a command has neither a client id nor the second half of a key of one."""
    return (s.cmd[c + 4] | s.cmd[c + 5] | s.cmd[c + 6] | s.cmd[c + 7] | s.cmd[c + 9]) == 0


@inline
def named(s, c, account, key):
    """The order that a cancel or amend names by its order_id or by its own client id alone; 0: no such, or not so."""
    low = s.cmd[c + 8]
    if low > 0:
        return find_order(s, low) if _is_unnamed(s, c) else I(0)
    if low < 0 or s.cmd[c + 9] != 0:
        return I(0)
    e, _ = seek_id(s, account, key, s.cmd, c + 4)
    return s.ids[root_of(s, e) * ENTRY_WORDS + ENTRY_PLACE] >> 32


@inline
def _leave_window(s, x, row, g, price):
    """Take record x out of the queue of a price in the window."""
    after = I(s.link[x * LINKS + NEXT])
    before = I(s.link[x * LINKS + PREV])
    s.link[before * LINKS + NEXT] = after
    s.link[after * LINKS + PREV] = before
    offset = price - s.ins[row + WINDOW_LO]
    at = s.ins[row + BITS0 + g] + (offset >> 6)
    # Whether a level runs empty is a toss-up; that its word does too, or that it was the best, is rare.
    alone = U(1) if after == before else U(0)
    word = s.bits[at] & inv(shl(alone, offset & 63))
    s.bits[at] = word
    if U(after ^ before) | min(word, U(s.ins[row + BEST + g] ^ price)) == U(0):
        empty_window_level(door(s), row, g, price)


@inline
def _is_far(s, row, price):
    """Not zero if a price may lie outside the window, or lies outside limits that are narrower by now."""
    return ((price - s.ins[row + PLAIN_LOW]) | (s.ins[row + PLAIN_HIGH] - price)) >> 63


@inline
def _is_gone(s, c, account):
    """Whether a cancel whose order was not found names it well, by order_id alone: mostly it comes too late (R7)."""
    return s.cmd[c + 8] > 0 and _is_unnamed(s, c) and 0 < account <= s.h[ACCOUNTS]


@inline
def _reject_gone(s, n, c, account):
    """The only event of such a cancel."""
    attributes = s.h[RULE_OF + UNKNOWN_ORDER] | (((s.cmd[c] >> 8) & 255) << 24) | I(ONLY)
    put_first_head(s, n, c, I(REJECTED | (UNKNOWN_ORDER << 16)), I(CANCEL), I(0), account, I(0), attributes, I(0))
    put_body(s, n, s.cmd[c + 2], s.cmd[c + 3], I(0), I(0), I(0), I(0))


@inline
def cancel(s, n, c, key):
    """ORDER_CANCEL (R29)."""
    account = s.cmd[c + 15] & 0xFFFFFFFF
    x = named(s, c, account, key)
    r4 = x * NODE4
    flags = I(s.n4[r4 + FLAGS])
    instrument = I(s.n4[r4 + INSTRUMENT])
    row = instrument * INSTRUMENT_WORDS
    price = I(s.n8[x * NODE8 + PRICE])
    odd = (I(s.n4[r4 + ACCOUNT]) ^ account) | (s.ins[row + PHASE] ^ CONTINUOUS) | (flags & APART)
    if x == 0 or (odd | _is_far(s, row, price)) != 0:
        if x == 0 and _is_gone(s, c, account):
            _reject_gone(s, n, c, account)
            return n + 1, True
        _begin(s, n, I(CANCEL))
        return cancel_any(door(s), n, c), False
    qty = I(s.n4[r4 + QTY])
    leaves = I(s.n4[r4 + LEAVES])
    _put(s, n, c, I(CANCELED), I(CANCEL), x, flags, instrument, account, I(REQUESTED << 48))
    put_rest(s, n, price, qty, I(0), qty - leaves, leaves, I(0))
    _leave_window(s, x, row, (flags & 3) - 1, price)
    release(s, x, I(ENDED_CANCELED))
    return n + 1, True


@inline
def _put(s, n, c, kind, op, x, flags, instrument, account, attributes):
    """The head and client id of the only event of command c, about record x."""
    attributes |= order_attributes(flags) | I(ONLY)
    put_first_head(s, n, c, kind, op, instrument, account, I(CONTINUOUS), attributes, s.n8[x * NODE8 + ORDER_ID])
    put_id(s, n, s.ids, I(s.n4[x * NODE4 + BEARS]) * ENTRY_WORDS)


@inline
def amend(s, n, c, key):
    """ORDER_AMEND (R30-R32)."""
    account = s.cmd[c + 15] & 0xFFFFFFFF
    flags = (s.cmd[c] >> 40) & 255
    x = named(s, c, account, key)
    r4 = x * NODE4
    has = I(s.n4[r4 + FLAGS])
    instrument = I(s.n4[r4 + INSTRUMENT])
    row = instrument * INSTRUMENT_WORDS
    g = (has & 3) - 1
    old_price = I(s.n8[x * NODE8 + PRICE])
    old_qty = I(s.n4[r4 + QTY])
    leaves = I(s.n4[r4 + LEAVES])
    price, total = I(s.cmd[c + 2]), I(s.cmd[c + 3])
    price = price if flags & HAS_PRICE != 0 else old_price
    total = total if flags & HAS_QTY != 0 else old_qty
    left = total - old_qty + leaves
    owner = I(s.n4[r4 + ACCOUNT])
    offset = price - I(s.ins[row + WINDOW_LO])
    odd = (owner ^ account) | (flags & (HAS_STOP | HAS_EXPIRE | OFF_TICK)) | (has & (APART | ICEBERG))
    odd |= _odd_terms(s, row, owner, price, total) | _is_far(s, row, old_price)
    odd |= (total | (left - 1)) >> 63
    # Record 0 is of account 0, which is gated.
    if _crosses(s, row, g, price) or odd != 0 or flags & (HAS_PRICE | HAS_QTY) == 0:
        _begin(s, n, I(AMEND))
        return amend_any(door(s), n, c), False

    keeps = price == old_price and total <= old_qty
    s.n4[r4 + QTY] = total
    s.n4[r4 + LEAVES] = left
    s.pos[position_at(s, account, instrument) + BUYS_OPEN + g] += left - leaves
    _put(s, n, c, I(AMENDED), I(AMEND), x, has, instrument, account, I(PRIORITY_KEPT << 16) if keeps else I(0))
    put_rest(s, n, price, total, left, total - left, leaves, old_price)
    if not keeps:
        _leave_window(s, x, row, g, old_price)
        s.n8[x * NODE8 + PRICE] = price
        join_window(s, row, g, x, price, offset)
    return n + 1, True


__all__ = ["amend", "cancel", "named", "place"]
