"""Finding orders: the day's client ids (R6, R7) and the index of live orders by order_id (R37).

Client ids: entries lie in the order of their acceptance; a hash table of (31-bit tag, entry) finds them, and the
text itself decides, so two different ids are never taken for one.  Order ids: they rise by one per command, so a
direct table by the low bits finds nearly all; an order that outlives a whole turn of it moves to a spill table.
"""

from __future__ import annotations

from engine.core.lane import I, U, inline, inv, outline, shl, times
from engine.core.layout import (
    ACCOUNT,
    BEARS,
    DIRECT_MASK,
    ENTRY,
    ENTRY_END,
    ENTRY_ORDER,
    ENTRY_PLACE,
    ENTRY_QTY,
    ENTRY_WORDS,
    ID_MASK,
    IDS,
    INSTRUMENT,
    NODE4,
    NODE8,
    ORDER_ID,
    QTY,
    SPILL_MASK,
    SPILLED,
)  # fmt: skip
from engine.core.memory import core, door, fetch
from engine.schema import KEY_FACTORS, KEY_FINISH

F0, F1, F2, F3 = (U(factor) for factor in KEY_FACTORS)
FINISH = U(KEY_FINISH)
HIGH = U(0x8080808080808080)
ONES = U(0x0101010101010101)
# Addends that carry into a byte's top bit when the byte reaches a bound (bytes below 0x80).
AT_DASH, AFTER_DOT = U(0x5353535353535353), U(0x5151515151515151)  # 0x2D, 0x2F
AT_0, AFTER_COLON = U(0x5050505050505050), U(0x4545454545454545)  # 0x30, 0x3B
AT_A, AFTER_Z = U(0x3F3F3F3F3F3F3F3F), U(0x2525252525252525)  # 0x41, 0x5B
AT_UNDER, AFTER_UNDER = U(0x2121212121212121), U(0x2020202020202020)  # 0x5F, 0x60
AT_SMALL_A, AFTER_SMALL_Z = U(0x1F1F1F1F1F1F1F1F), U(0x0505050505050505)  # 0x61, 0x7B
BYTE = U(255)
FULL = U(0xFFFFFFFFFFFFFFFF)


@inline
def _allowed(w):
    """Mask (0xFF per byte) of the bytes of w that may stand in a client id; w's bytes are below 0x80."""
    ok = (w + AT_DASH) & inv(w + AFTER_DOT)
    ok |= (w + AT_0) & inv(w + AFTER_COLON)
    ok |= (w + AT_A) & inv(w + AFTER_Z)
    ok |= (w + AT_UNDER) & inv(w + AFTER_UNDER)
    ok |= (w + AT_SMALL_A) & inv(w + AFTER_SMALL_Z)
    return times((ok & HIGH) >> U(7), BYTE)


@inline
def _bad_word(w, follows):
    """Non-zero unless w holds allowed bytes and then only zero bytes, and is empty unless `follows` is full."""
    if (w & HIGH) != U(0):
        return U(1)
    m = _allowed(w)
    bad = (w & inv(m)) | ((m >> U(8)) & inv(m))
    if follows != FULL:
        bad |= w
    return bad


@inline
def is_client_id(words, at):
    """Whether words[at:at+4] is a client id of 1 to 32 characters, padded with zeros (R2)."""
    w0 = U(words[at])
    w1 = U(words[at + 1])
    if w0 == U(0) or _bad_word(w0, FULL) != U(0):
        return False
    if (w1 | U(words[at + 2]) | U(words[at + 3])) == U(0):
        return True
    m0 = _allowed(w0)
    if _bad_word(w1, m0) != U(0):
        return False
    w2 = U(words[at + 2])
    w3 = U(words[at + 3])
    if (w2 | w3) == U(0):
        return True
    m1 = _allowed(w1)
    if _bad_word(w2, m1) != U(0):
        return False
    return _bad_word(w3, _allowed(w2)) == U(0)


@inline
def fold_low(words, at):
    """First half of schema.cl_ord_id_key of words[at:at+4], 62 bits."""
    m = (
        times(U(words[at]), F0)
        ^ times(U(words[at + 1]), F1)
        ^ times(U(words[at + 2]), F2)
        ^ times(U(words[at + 3]), F3)
    )
    m ^= m >> U(32)
    m = times(m, FINISH)
    m ^= m >> U(29)
    return I(m >> U(2))


@outline
def fold_high(words, at):
    """Second half of schema.cl_ord_id_key, 62 bits, never 0."""
    m = (
        times(U(words[at]), F1)
        ^ times(U(words[at + 1]), F2)
        ^ times(U(words[at + 2]), F3)
        ^ times(U(words[at + 3]), F0)
    )
    m ^= m >> U(32)
    m = times(m, FINISH)
    m ^= m >> U(29)
    return I((m >> U(2)) | U(1))


@inline
def _home(key, account, mask):
    """Table position where the search for an account's id starts; the account spreads equal texts."""
    return (key ^ (account * 0x9E3779B1)) & mask


@inline
def fetch_id(s, account, words, at):
    """Ask ahead for the table line where an account's client id would be found."""
    fetch(s.tab, _home(fold_low(words, at), account, s.h[ID_MASK]))


@inline
def find_id(s, account, key, words, at):
    """Entry of the account's client id with this text, or 0; key = fold_low of the text."""
    mask = s.h[ID_MASK]
    i = _home(key, account, mask)
    tag = key >> 31
    while True:
        slot = s.tab[i]
        if slot == 0:
            return I(0)
        if (slot >> 32) == tag:
            e = slot & 0xFFFFFFFF
            b = e * ENTRY_WORDS
            if (
                (s.ids[b] ^ words[at])
                | (s.ids[b + 1] ^ words[at + 1])
                | (s.ids[b + 2] ^ words[at + 2])
                | (s.ids[b + 3] ^ words[at + 3])
                | ((s.ids[b + ENTRY_PLACE] & 0xFFFFFFFF) ^ account)
            ) == 0:
                return e
        i = (i + 1) & mask


@outline
def find_key(d, account, low, high):
    """Entry of the account's client id whose 128-bit key this is, or 0 (COMMAND.target)."""
    s = core(d)
    if low < 0 or low >> 62 != 0:
        return I(0)
    mask = s.h[ID_MASK]
    i = _home(low, account, mask)
    tag = low >> 31
    while True:
        slot = s.tab[i]
        if slot == 0:
            return I(0)
        if (slot >> 32) == tag:
            e = slot & 0xFFFFFFFF
            b = e * ENTRY_WORDS
            if (s.ids[b + ENTRY_PLACE] & 0xFFFFFFFF) == account and fold_low(s.ids, b) == low:
                if fold_high(s.ids, b) == high:
                    return e
        i = (i + 1) & mask


@inline
def add_id(s, account, key, words, at, order_id, x):
    """Consume a client id (R6): write its entry and table slot; returns the entry.  The caller knows there is room."""
    h = s.h
    e = h[IDS] + 1
    h[IDS] = e
    b = e * ENTRY_WORDS
    s.ids[b] = words[at]
    s.ids[b + 1] = words[at + 1]
    s.ids[b + 2] = words[at + 2]
    s.ids[b + 3] = words[at + 3]
    s.ids[b + ENTRY_ORDER] = order_id
    s.ids[b + ENTRY_PLACE] = account | (x << 32)
    s.ids[b + ENTRY_END] = 0
    s.ids[b + ENTRY_QTY] = 0
    mask = h[ID_MASK]
    i = _home(key, account, mask)
    while s.tab[i] != 0:
        i = (i + 1) & mask
    s.tab[i] = ((key >> 31) << 32) | e
    return e


@inline
def root_of(s, e):
    """The entry that an order was placed under, for any of its ids."""
    end = s.ids[e * ENTRY_WORDS + ENTRY_END]
    return -end if end < 0 else e


@inline
def close_entry(s, x, status):
    """Note in the root entry of record x how its order ended; QTY and LEAVES are the final ones."""
    r4 = x * NODE4
    b = I(s.n4[r4 + ENTRY]) * ENTRY_WORDS
    qty = I(s.n4[r4 + QTY])
    s.ids[b + ENTRY_PLACE] = I(s.n4[r4 + ACCOUNT])
    s.ids[b + ENTRY_QTY] = qty | (I(s.n4[r4 + INSTRUMENT]) << 32)
    return b


@inline
def _spill_home(order_id, mask):
    return I(times(U(order_id), F0) >> U(20)) & mask


@outline
def _spill_put(d, order_id, x):
    s = core(d)
    mask = s.h[SPILL_MASK]
    i = _spill_home(order_id, mask)
    while s.spill[2 * i] != 0:
        i = (i + 1) & mask
    s.spill[2 * i] = order_id
    s.spill[2 * i + 1] = x
    s.h[SPILLED] += 1
    return I(0)


@outline
def _spill_get(d, order_id):
    s = core(d)
    mask = s.h[SPILL_MASK]
    i = _spill_home(order_id, mask)
    while s.spill[2 * i] != 0:
        if s.spill[2 * i] == order_id:
            return s.spill[2 * i + 1]
        i = (i + 1) & mask
    return I(0)


@outline
def _spill_drop(d, order_id):
    s = core(d)
    mask = s.h[SPILL_MASK]
    i = _spill_home(order_id, mask)
    while s.spill[2 * i] != order_id:
        i = (i + 1) & mask
    j = i
    while True:
        j = (j + 1) & mask
        other = s.spill[2 * j]
        if other == 0:
            break
        if ((j - _spill_home(other, mask)) & mask) >= ((j - i) & mask):
            s.spill[2 * i] = other
            s.spill[2 * i + 1] = s.spill[2 * j + 1]
            i = j
    s.spill[2 * i] = 0
    s.spill[2 * i + 1] = 0
    s.h[SPILLED] -= 1
    return I(0)


@inline
def index_order(s, order_id, x):
    """Make a live order findable by its order_id."""
    i = order_id & s.h[DIRECT_MASK]
    old = I(s.direct[i])
    if old != 0:
        _spill_put(door(s), s.n8[old * NODE8 + ORDER_ID], old)
    s.direct[i] = x


@inline
def unindex_order(s, order_id, x):
    """Forget an order that has ended."""
    i = order_id & s.h[DIRECT_MASK]
    if I(s.direct[i]) == x:
        s.direct[i] = 0
    else:
        _spill_drop(door(s), order_id)


@inline
def find_order(s, order_id):
    """Record of a live order by its order_id, or 0."""
    x = I(s.direct[order_id & s.h[DIRECT_MASK]])
    if x != 0 and s.n8[x * NODE8 + ORDER_ID] == order_id:
        return x
    if s.h[SPILLED] > 0:
        return _spill_get(door(s), order_id)
    return I(0)


__all__ = [
    "BEARS",
    "add_id",
    "close_entry",
    "fetch_id",
    "find_id",
    "find_key",
    "find_order",
    "fold_low",
    "index_order",
    "is_client_id",
    "root_of",
    "shl",
    "unindex_order",
]  # fmt: skip
