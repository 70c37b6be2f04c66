"""Finding orders: the day's client ids (R6, R7) and the index of live orders by order_id (R37).

Client ids: entries lie in the order of their acceptance; a hash table of (tag, entry) finds them, and the text
itself decides, so two different ids are never taken for one.  Order ids: they rise by one per command, so a
direct table by the low bits finds nearly all; an order that outlives a whole turn of it moves to a spill table.
"""

from __future__ import annotations

from engine.core.lane import I, U, bytes_in, copy_text, inline, lowest, outline, places_with, shl, times
from engine.core.layout import (
    ACCOUNT,
    BLIND,
    DIRECT_MASK,
    ENTRY,
    ENTRY_END,
    ENTRY_ORDER,
    ENTRY_PLACE,
    ENTRY_QTY,
    ENTRY_WORDS,
    ID_BITS,
    ID_GROUPS,
    IDS,
    INSTRUMENT,
    LATE,
    LATE_COUNT,
    LATE_MOST,
    NODE4,
    NODE8,
    ORDER_ID,
    PLACES,
    QTY,
    SEEN_WORDS,
    SPILL_MASK,
    SPILL_TOP,
    SPILLED,
)  # fmt: skip
from engine.core.memory import core, door, fetch
from engine.schema import KEY_FACTORS, KEY_FINISH

F0, F1, F2, F3 = (U(factor) for factor in KEY_FACTORS)
FINISH = U(KEY_FINISH)
letters = bytes_in(((0x2D, 0x2E), (0x30, 0x3A), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)))  # - . 0-9 : A-Z _ a-z
nothing = bytes_in(((0, 0),))


@inline
def is_client_id(words, at):
    """Whether words[at:at+4] is a client id of 1 to 32 characters, padded with zeros (R2)."""
    good = letters(words, at)
    return good & 1 != 0 and good & (good + 1) == 0 and good ^ 0xFFFFFFFF == nothing(words, at)


@inline
def fold_low(words, at):
    """First half of schema.cl_ord_id_key of words[at:at+4], 62 bits."""
    m = times(U(words[at]), F0) ^ times(U(words[at + 1]), F1)
    if words[at + 2] | words[at + 3] != 0:  # mostly an id is shorter, and who makes long ones makes no others
        m ^= times(U(words[at + 2]), F2) ^ times(U(words[at + 3]), F3)
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
def _share(key, account, size):
    """Which of `size` parts an account's id falls to; the account spreads equal texts."""
    return (((I(key) ^ (I(account) * 0x9E3779B1)) & 0xFFFFFFFF) * I(size)) >> 32


@inline
def group_of(s, account, key):
    """Group of the table where the search for an account's id starts."""
    return _share(key, account, s.h[ID_GROUPS])


@inline
def ask_for_id(s, account, key):
    """Ask for the memory in which an account's client id of this key is looked up, ahead of doing so."""
    fetch(s.seen, _share(key, account, s.h[SEEN_WORDS]))
    fetch(s.tab, group_of(s, account, key) * PLACES)


@inline
def _tag(key, bits):
    """What stands of a key above the number of its entry: its highest bits, and never 0."""
    return max(I(key) >> (31 + bits), I(1))


@inline
def _entry(s, place, bits):
    """Number of the entry in a place of the table."""
    return I(s.tab[place]) & ((I(1) << bits) - 1)


@inline
def _is_text(s, b, words, at):
    """Whether the entry at word b has the text at words[at]."""
    return (
        (s.ids[b] ^ words[at]) | (s.ids[b + 1] ^ words[at + 1])
        | (s.ids[b + 2] ^ words[at + 2]) | (s.ids[b + 3] ^ words[at + 3])
    ) == 0  # fmt: skip


@inline
def seek_id(s, account, key, words, at):
    """(entry of the account's client id with this text or 0, place where it would be); key = fold_low of the text."""
    groups = s.h[ID_GROUPS]
    bits = s.h[ID_BITS]
    i = _share(key, account, groups)
    tag = _tag(key, bits)
    e = I(0)
    while True:
        places = places_with(s.tab, i * PLACES, tag, bits)
        alike = places & 0xFFFF
        while alike != 0:
            found = _entry(s, i * PLACES + lowest(alike), bits)
            b = found * ENTRY_WORDS
            if _is_text(s, b, words, at) and (s.ids[b + ENTRY_PLACE] & 0xFFFFFFFF) == account:
                e = found
                break
            alike &= alike - 1
        free = places >> 16
        if e != 0 or free != 0:
            break
        i = i + 1 if i + 1 < groups else I(0)
    if e == 0 and s.h[LATE_COUNT] != 0:
        e = _late_entry(door(s), account, key, words, at)
    return e, i * PLACES + lowest(free | 0x10000)


@outline
def _late_entry(d, account, key, words, at):
    """The entry of a text among those that are not in the table yet, or 0."""
    s = core(d)
    k = I(0)
    while k < s.h[LATE_COUNT]:
        e = s.h[IDS] - k
        b = e * ENTRY_WORDS
        if s.h[LATE + (e & (LATE_MOST - 1))] == key and (s.ids[b + ENTRY_PLACE] & 0xFFFFFFFF) == account:
            if _is_text(s, b, words, at):
                return e
        k += 1
    return I(0)


@inline
def _free_place(s, account, key):
    """The place of the table in which an id that is in none would be."""
    i = group_of(s, account, key)
    free = places_with(s.tab, i * PLACES, I(0), I(31)) >> 16
    while free == 0:
        i = i + 1 if i + 1 < s.h[ID_GROUPS] else I(0)
        free = places_with(s.tab, i * PLACES, I(0), I(31)) >> 16
    return i * PLACES + lowest(free)


@inline
def _put_late(s, e):
    """Write a late entry into the table."""
    key = s.h[LATE + (e & (LATE_MOST - 1))]
    bits = s.h[ID_BITS]
    place = _free_place(s, s.ids[e * ENTRY_WORDS + ENTRY_PLACE] & 0xFFFFFFFF, key)
    s.tab[place] = (_tag(key, bits) << bits) | e


@outline
def _settle(d):
    """Write all late entries into the table."""
    s = core(d)
    while s.h[LATE_COUNT] != 0:
        _put_late(s, s.h[IDS] - s.h[LATE_COUNT] + 1)
        s.h[LATE_COUNT] -= 1
    return I(0)


@inline
def _marks(key):
    """What an id leaves in its word of the filter: three bits."""
    return shl(U(1), (key >> 32) & 63) | shl(U(1), (key >> 38) & 63) | shl(U(1), (key >> 44) & 63)


@inline
def may_be_known(s, account, key):
    """False if no id of this key was consumed; the filter is kept only where commands are not known ahead."""
    marks = _marks(key)
    return s.seen[_share(key, account, s.h[SEEN_WORDS])] & marks == marks


@inline
def _mark(s, account, key):
    s.seen[_share(key, account, s.h[SEEN_WORDS])] |= _marks(key)


@inline
def find_id(s, account, key, words, at):
    """Entry of the account's client id with this text, or 0; key = fold_low of the text."""
    e, _ = seek_id(s, account, key, words, at)
    return e


@outline
def find_key(d, account, low, high):
    """Entry of the account's client id whose 128-bit key this is, or 0 (COMMAND.target)."""
    s = core(d)
    if low < 0 or low >> 62 != 0:
        return I(0)
    groups = s.h[ID_GROUPS]
    bits = s.h[ID_BITS]
    i = _share(low, account, groups)
    tag = _tag(low, bits)
    while True:
        places = places_with(s.tab, i * PLACES, tag, bits)
        alike = places & 0xFFFF
        while alike != 0:
            e = _entry(s, i * PLACES + lowest(alike), bits)
            b = e * ENTRY_WORDS
            if (s.ids[b + ENTRY_PLACE] & 0xFFFFFFFF) == account and fold_low(s.ids, b) == low:
                if fold_high(s.ids, b) == high:
                    return e
            alike &= alike - 1
        if places >> 16 != 0:
            return _late_key(door(s), account, low, high) if s.h[LATE_COUNT] != 0 else I(0)
        i = i + 1 if i + 1 < groups else I(0)


@outline
def _late_key(d, account, low, high):
    """The same, among the entries that are not in the table yet."""
    s = core(d)
    k = I(0)
    while k < s.h[LATE_COUNT]:
        e = s.h[IDS] - k
        b = e * ENTRY_WORDS
        if s.h[LATE + (e & (LATE_MOST - 1))] == low and (s.ids[b + ENTRY_PLACE] & 0xFFFFFFFF) == account:
            if fold_high(s.ids, b) == high:
                return e
        k += 1
    return I(0)


@outline
def add_id(d, account, key, c, order_id, x):
    """Consume the client id of the command at offset c (R6); returns its entry.  The caller knows there is room."""
    s = core(d)
    _settle(door(s))
    if s.h[BLIND] != 0:
        _mark(s, account, key)
    _, place = seek_id(s, account, key, s.cmd, c + 4)
    return add_id_at(s, place, account, key, s.cmd, c + 4, order_id, x)


@inline
def add_id_late(s, account, key, words, at, order_id, x):
    """Consume a client id whose place in the table nobody has looked up; returns its entry."""
    h = s.h
    e = _add(s, account, words, at, order_id, x)
    if h[LATE_COUNT] == LATE_MOST:
        _put_late(s, e - LATE_MOST)
    else:
        h[LATE_COUNT] += 1
    h[LATE + (e & (LATE_MOST - 1))] = key
    _mark(s, account, key)
    return e


@inline
def add_id_at(s, place, account, key, words, at, order_id, x):
    """Consume a client id that has this free place; returns its entry."""
    e = _add(s, account, words, at, order_id, x)
    bits = s.h[ID_BITS]
    s.tab[place] = (_tag(key, bits) << bits) | e
    return e


@inline
def _add(s, account, words, at, order_id, x):
    h = s.h
    e = h[IDS] + 1
    h[IDS] = e
    b = e * ENTRY_WORDS
    copy_text(s.ids, b, words, at)
    s.ids[b + ENTRY_ORDER] = order_id
    s.ids[b + ENTRY_PLACE] = account | (x << 32)
    s.ids[b + ENTRY_END] = 0
    s.ids[b + ENTRY_QTY] = 0
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
    s.h[SPILL_TOP] = max(s.h[SPILL_TOP], order_id)
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
    if s.h[SPILLED] == 0:
        s.h[SPILL_TOP] = 0
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
    if s.n8[x * NODE8 + ORDER_ID] == order_id:  # record 0 has none
        return x
    if order_id <= s.h[SPILL_TOP]:
        return _spill_get(door(s), order_id)
    return I(0)


__all__ = [
    "add_id",
    "add_id_at",
    "add_id_late",
    "ask_for_id",
    "close_entry",
    "find_id",
    "find_key",
    "find_order",
    "fold_low",
    "group_of",
    "index_order",
    "is_client_id",
    "may_be_known",
    "root_of",
    "seek_id",
    "unindex_order",
]  # fmt: skip
