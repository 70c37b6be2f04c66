"""Writing EVENT rows, one word at a time, forward into the caller's buffer (layout: engine/schema.py)."""

from __future__ import annotations

from engine.core.lane import I, copy_text, inline, outline
from engine.core.layout import (
    ACCOUNT,
    AS_IN_EVENTS,
    BASE,
    BEARS,
    ENTRY_WORDS,
    FLAGS,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    LEAVES,
    NODE4,
    NODE8,
    OP,
    ORDER_ID,
    OUTSIDE,
    PHASE,
    PRICE,
    QTY,
    RULE_OF,
    SEQ,
    SUBJECT,
    TIME,
)  # fmt: skip
from engine.core.memory import core, door
from engine.schema import INACTIVE, LAST, CommandKind, EventKind

AMEND = int(CommandKind.ORDER_AMEND)
CANCEL = int(CommandKind.ORDER_CANCEL)
REJECTED = int(EventKind.ORDER_REJECTED)
CANCELED = int(EventKind.ORDER_CANCELED)
TRADE = int(EventKind.TRADE)
PREVENTED = int(EventKind.ORDER_PREVENTED)
UNCROSSED = int(EventKind.AUCTION_UNCROSSED)
WAITS = int(INACTIVE)
ONLY = int(LAST) << 16  # attribute of an event that is its command's last


@inline
def put_head(s, n, kind, instrument, account, phase, code, attributes, order_id):
    """Write the common head of event n.

    attributes = flags << 16 | side << 24 | ord_type << 32 | time_in_force << 40 | reason << 48."""
    e = n * 16
    h = s.h
    s.ev[e] = h[SEQ]
    s.ev[e + 1] = h[TIME]
    s.ev[e + 2] = (n - h[BASE]) | (instrument << 32)
    s.ev[e + 3] = (account & 0xFFFFFFFF) | (kind << 32) | (phase << 40) | (code << 48)
    s.ev[e + 4] = h[RULE_OF + code] | attributes | (((h[OP] ^ 128) - 128) << 56)
    s.ev[e + 5] = order_id


@inline
def put_first_head(s, n, c, kind, op, instrument, account, phase, attributes, order_id):
    """The head of the first event of command c of kind `op`, which refuses nothing, and of which no field needs cutting
    to size: what the header keeps of a command is for those that are told of in more than one way."""
    e = n * 16
    s.ev[e] = s.cmd[c + 13]
    s.ev[e + 1] = s.h[TIME]
    s.ev[e + 2] = instrument << 32
    s.ev[e + 3] = account | (kind << 32) | (phase << 40)
    s.ev[e + 4] = attributes | (op << 56)
    s.ev[e + 5] = order_id


@inline
def put_rest(s, n, price, qty, leaves, cum, delta, old_price):
    """Write the body of an order event but for its client id."""
    e = n * 16
    s.ev[e + 6] = price
    s.ev[e + 7] = qty
    s.ev[e + 8] = leaves
    s.ev[e + 9] = cum
    s.ev[e + 14] = delta
    s.ev[e + 15] = old_price


@inline
def put_body(s, n, price, qty, leaves, cum, delta, old_price):
    """Write the body of an order event without a client id."""
    put_rest(s, n, price, qty, leaves, cum, delta, old_price)
    for word in range(n * 16 + 10, n * 16 + 14):
        s.ev[word] = 0


@inline
def put_id(s, n, words, at):
    """Copy the four words of a client id from words[at:at+4] into event n."""
    copy_text(s.ev, n * 16 + 10, words, at)


@inline
def order_attributes(flags):
    """Side, type and time in force of an order record as the attribute word of an event."""
    return (flags & AS_IN_EVENTS) << 24


@outline
def put_order_row(d, n, kind, x, leaves, delta, old_price, reason, extra):
    """Write an event about the order in record x; `extra` are event flag bits.  Returns n + 1.

    The client id is given where the command in hand is a cancel or an amend (which then names this order)."""
    s = core(d)
    r4 = x * NODE4
    flags = I(s.n4[r4 + FLAGS])
    instrument = I(s.n4[r4 + INSTRUMENT])
    qty = I(s.n4[r4 + QTY])
    put_head(s, n, kind, instrument, I(s.n4[r4 + ACCOUNT]), s.ins[instrument * INSTRUMENT_WORDS + PHASE], I(0),
             order_attributes(flags) | (extra << 16) | (reason << 48), s.n8[x * NODE8 + ORDER_ID])  # fmt: skip
    put_body(s, n, s.n8[x * NODE8 + PRICE], qty, leaves, qty - I(s.n4[r4 + LEAVES]), delta, old_price)
    return n + 1


@outline
def put_canceled(d, n, kind, x, delta, reason, named):
    """ORDER_CANCELED or ORDER_EXPIRED of record x, whose LEAVES are still what they were (R29); n + 1.

    Its client id is told where the command means this order: a cancel (`named`), or an amend."""
    s = core(d)
    extra = I(WAITS) if I(s.n4[x * NODE4 + FLAGS]) & OUTSIDE != 0 else I(0)
    put_order_row(door(s), n, kind, x, I(0), delta, I(0), reason, extra)
    if named or (s.h[OP] == AMEND and s.h[SUBJECT] == x):
        put_id(s, n, s.ids, I(s.n4[x * NODE4 + BEARS]) * ENTRY_WORDS)
    return n + 1


@outline
def put_bearing(d, n, kind, x, delta, old_price, extra):
    """The same as put_order_row, with the client id that the order bears; n + 1."""
    s = core(d)
    put_order_row(door(s), n, kind, x, I(s.n4[x * NODE4 + LEAVES]), delta, old_price, I(0), extra)
    put_id(s, n, s.ids, I(s.n4[x * NODE4 + BEARS]) * ENTRY_WORDS)
    return n + 1


@outline
def put_auction(d, n, kind, instrument, price, volume, surplus, step):
    """AUCTION_INDICATIVE or AUCTION_UNCROSSED (R53, R54); n + 1."""
    s = core(d)
    side = I(0)
    if surplus > 0:
        side = I(1)
    elif surplus < 0:
        side = I(2)
    put_head(s, n, kind, instrument, I(0), s.ins[instrument * INSTRUMENT_WORDS + PHASE], I(0),
             (side << 24) | (step << 48), I(0))  # fmt: skip
    put_body(s, n, price, volume, abs(surplus), I(0), I(0), I(0))
    return n + 1


@inline
def put_trade(s, n, kind, instrument, account, phase, attributes, order_id, price, qty, leaves, cum,
              trade_id, other_id, other_account, smp, other_leaves):  # fmt: skip
    """Write a TRADE or ORDER_PREVENTED row, which names both sides."""
    e = n * 16
    put_head(s, n, kind, instrument, account, phase, I(0), attributes, order_id)
    s.ev[e + 6] = price
    s.ev[e + 7] = qty
    s.ev[e + 8] = leaves
    s.ev[e + 9] = cum
    s.ev[e + 10] = trade_id
    s.ev[e + 11] = other_id
    s.ev[e + 12] = other_account | (smp << 32)
    s.ev[e + 13] = other_leaves
    s.ev[e + 14] = 0
    s.ev[e + 15] = 0


@outline
def reject_place(d, n, c, code):
    """ORDER_REJECTED of a place or restore: repeats what the command said (R2-R15)."""
    s = core(d)
    w0 = s.cmd[c]
    instrument = s.cmd[c + 1]
    instrument = ((instrument & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000
    phase = I(0)
    if 1 <= instrument <= s.h[2]:
        phase = s.ins[instrument * INSTRUMENT_WORDS + PHASE]
    attributes = (((w0 >> 8) & 255) << 24) | (((w0 >> 16) & 255) << 32) | (((w0 >> 24) & 255) << 40)
    put_head(s, n, I(REJECTED), instrument, s.cmd[c + 15], phase, code, attributes, I(0))
    put_body(s, n, s.cmd[c + 2], s.cmd[c + 3], I(0), I(0), I(0), I(0))
    put_id(s, n, s.cmd, c + 4)
    return n + 1


@outline
def reject_other(d, n, c, code, x):
    """ORDER_REJECTED of any other command; x is the record of the order it named, or 0."""
    s = core(d)
    w0 = s.cmd[c]
    instrument = I(0)
    phase = I(0)
    order_id = I(0)
    if x > 0:
        instrument = I(s.n4[x * NODE4 + INSTRUMENT])
        order_id = s.n8[x * NODE8 + ORDER_ID]
    elif w0 & 255 == I(CommandKind.ORDER_MASS_CANCEL):
        instrument = ((s.cmd[c + 1] & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000
    if 1 <= instrument <= s.h[2]:
        phase = s.ins[instrument * INSTRUMENT_WORDS + PHASE]
    put_head(s, n, I(REJECTED), instrument, s.cmd[c + 15], phase, code, ((w0 >> 8) & 255) << 24, order_id)
    put_body(s, n, s.cmd[c + 2], s.cmd[c + 3], I(0), I(0), I(0), I(0))
    put_id(s, n, s.cmd, c + 4)
    return n + 1


@inline
def mark_last(s, n):
    """Flag event n - 1 as the last of its command (R1)."""
    s.ev[(n - 1) * 16 + 4] |= I(ONLY)
