"""The door of the compiled core: one call takes commands until an act, the end, or no room for events.

`run` is the only function that Python calls.  It returns (first command not taken) << 32 | (events in the buffer).
"""

from __future__ import annotations

from engine.core.accounts import position_at
from engine.core.calls import tell
from engine.core.entry import MALFORMED, UNKNOWN_ACCOUNT, UNKNOWN_INSTRUMENT, bears_id, is_lasting
from engine.core.events import mark_last, put_body, put_head, reject_other, reject_place
from engine.core.ids import ask_for_id, find_order, fold_low, group_of
from engine.core.lane import LANE, I, U, inline, kernel, outline
from engine.core.layout import (
    ACCOUNT,
    ACCOUNT_WORDS,
    ACCOUNTS,
    AHEAD,
    AHEAD_KEPT,
    BASE,
    BLIND,
    BUMP,
    CALLING,
    CANCELING,
    CAPACITY,
    CLOSING,
    CLOSING_OF,
    CURSOR,
    CURSOR_AT,
    CURSOR_COUNT,
    CURSOR_REASON,
    DIRECT_MASK,
    DIRTY,
    ELECT,
    ENTRY,
    ENTRY_WORDS,
    EXPIRE,
    FLAG_TIF,
    FLAGS,
    FRESH,
    IDLE,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    INSTRUMENTS,
    KEYS,
    KEYS_KEPT,
    LEVELS,
    LINKS,
    MORE_WORDS,
    NEVER,
    NEXT,
    NEXT_EXPIRY,
    NODE4,
    NODE8,
    OP,
    OPEN,
    OPEN_ORDERS,
    ORDER_BASE,
    ORDER_ID,
    PENDING,
    PLACES,
    PREV,
    RESTATING,
    SEQ,
    SESSION,
    STAGE,
    STUCK,
    TELL_AT,
    TELL_TO,
    TIME,
    WINDOW_LO,
    WORK_AT,
    WORK_COUNT,
)  # fmt: skip
from engine.core.matching import ENDED_CANCELED, ENDED_EXPIRED, cancel_resting, go_on
from engine.core.memory import core, door, enter, fetch, fetch_either
from engine.core.orders import MAY_CANCEL, may_leave
from engine.core.restore import restore
from engine.core.sorting import sort_scratch
from engine.core.stops import elect
from engine.core.swift import amend, cancel, place
from engine.core.uncross import work
from engine.schema import ACT_FIRST, OF_SESSION, Code, CommandKind, EventKind, Reason, TimeInForce

PLACE, CANCEL, AMEND = int(CommandKind.ORDER_PLACE), int(CommandKind.ORDER_CANCEL), int(CommandKind.ORDER_AMEND)
MASS_CANCEL, TICK = int(CommandKind.ORDER_MASS_CANCEL), int(CommandKind.CLOCK_TICK)
DISCONNECT, RESTORE = int(CommandKind.DISCONNECT), int(CommandKind.ORDER_RESTORE)
ACT_LAST = int(max(CommandKind))
CANCELED, EXPIRED = int(EventKind.ORDER_CANCELED), int(EventKind.ORDER_EXPIRED)
MASS_CANCELED, DISCONNECTED = int(EventKind.MASS_CANCELED), int(EventKind.DISCONNECTED)
TICKED = int(EventKind.CLOCK_TICKED)
BY_MASS_CANCEL, BY_DISCONNECT = int(Reason.MASS_CANCEL), int(Reason.DISCONNECT)
DAY_ORDER = int(Code.DAY_ORDER)
GTD = int(TimeInForce.GTD)
LOOKS = LANE == "compiled"
ROWS, FAR, NEAR, SOON = 24, 14, 9, 5  # how many commands ahead memory is asked for
ROOM = 8  # events that a command may write before it asks for room again


@outline
def _gather(d, account, instrument, side, session, most):
    """Order ids of live orders to cancel, rising, in scratch; how many (R33, R34).

    account 0: any account, and then only orders of the client session that are neither gtc nor gtd."""
    s = core(d)
    h = s.h
    count = I(0)
    x = h[ORDER_BASE]
    while x < h[BUMP] and count < most:
        r4 = x * NODE4
        order_id = s.n8[x * NODE8 + ORDER_ID]
        if order_id != 0:
            flags = I(s.n4[r4 + FLAGS])
            own = I(s.n4[r4 + INSTRUMENT])
            wanted = session == 0 or I(s.n4[r4 + SESSION]) == session
            if account != 0:
                wanted = wanted and I(s.n4[r4 + ACCOUNT]) == account
            else:
                wanted = wanted and not is_lasting((flags >> FLAG_TIF) & 7)
            if wanted and (instrument == 0 or own == instrument) and (side == 0 or flags & 3 == side):
                if may_leave(s, x, own * INSTRUMENT_WORDS, I(MAY_CANCEL)):
                    s.scratch[count] = order_id
                    count += 1
        x += 1
    sort_scratch(door(s), count)
    return count


@outline
def _gather_due(d):
    """Order ids of the gtd orders whose time has come, rising, in scratch; how many (R49)."""
    s = core(d)
    h = s.h
    count = I(0)
    following = I(NEVER)
    x = h[ORDER_BASE]
    while x < h[BUMP]:
        order_id = s.n8[x * NODE8 + ORDER_ID]
        if order_id != 0 and (I(s.n4[x * NODE4 + FLAGS]) >> FLAG_TIF) & 7 == GTD:
            expire = s.more[x * MORE_WORDS + EXPIRE]
            if expire <= h[TIME]:
                s.scratch[count] = order_id
                count += 1
            else:
                following = min(following, expire)
        x += 1
    h[NEXT_EXPIRY] = following
    sort_scratch(door(s), count)
    return count


@outline
def _cancel_list(d, n):
    """Go on with a mass cancel, disconnect or expiry: the orders of scratch, from CURSOR_AT to CURSOR_COUNT."""
    s = core(d)
    h = s.h
    i = h[CURSOR_AT]
    reason = h[CURSOR_REASON]
    while i < h[CURSOR_COUNT] and n < h[CAPACITY]:
        x = find_order(s, s.scratch[i])
        if reason == 0:
            n = cancel_resting(door(s), n, x, I(EXPIRED), I(ENDED_EXPIRED), I(0), False)
        else:
            n = cancel_resting(door(s), n, x, I(CANCELED), I(ENDED_CANCELED), reason, False)
        i += 1
    h[CURSOR_AT] = i
    if i == h[CURSOR_COUNT]:
        h[CURSOR] = IDLE
    else:
        h[STUCK] = 1
    return n


@inline
def _cancel_many(s, count, reason, closing, of):
    """Set about canceling the orders of scratch; then indicatives, and the command's own closing event."""
    h = s.h
    h[CURSOR] = CANCELING
    h[CURSOR_AT] = 0
    h[CURSOR_COUNT] = count
    h[CURSOR_REASON] = reason
    h[CLOSING] = closing
    h[CLOSING_OF] = of
    h[TELL_AT] = 1
    h[TELL_TO] = h[INSTRUMENTS]
    h[PENDING] = 1


@outline
def _rare(d, n, c, kind):
    """Mass cancel, disconnect, clock tick, and kinds that do not exist."""
    s = core(d)
    h = s.h
    w0 = s.cmd[c]
    side = (w0 >> 8) & 255
    if (s.cmd[c + 4] | s.cmd[c + 5] | s.cmd[c + 6] | s.cmd[c + 7]) != 0 and not bears_id(door(s), c):
        return reject_other(door(s), n, c, I(MALFORMED), I(0))
    if kind == TICK:
        if h[TIME] >= h[NEXT_EXPIRY]:
            count = _gather_due(door(s))
            h[CURSOR_COUNT] = count
            _cancel_many(s, count, I(0), I(TICKED), I(0))
            return n
        put_head(s, n, I(TICKED), I(0), I(0), I(0), I(0), I(0), I(0))
        put_body(s, n, I(0), I(0), I(0), I(0), I(0), I(0))
        return n + 1
    if (kind != MASS_CANCEL and kind != DISCONNECT) or (kind == MASS_CANCEL and side > 2):
        return reject_other(door(s), n, c, I(MALFORMED), I(0))
    account = s.cmd[c + 15] & 0xFFFFFFFF
    if account - 1 >= h[ACCOUNTS] or account == 0:
        return reject_other(door(s), n, c, I(UNKNOWN_ACCOUNT), I(0))
    session = s.cmd[c + 15] >> 32
    if kind == DISCONNECT:
        count = I(0)
        if session != 0:
            count = _gather(door(s), I(0), I(0), I(0), session, h[BUMP])
        _cancel_many(s, count, I(BY_DISCONNECT), I(DISCONNECTED), account)
        return n
    instrument = s.cmd[c + 1] & 0xFFFFFFFF
    if instrument > h[INSTRUMENTS]:
        return reject_other(door(s), n, c, I(UNKNOWN_INSTRUMENT), I(0))
    count = I(0)
    of_session = (w0 >> 40) & OF_SESSION != 0
    if not (of_session and session == 0):
        count = _gather(door(s), account, instrument, side, session if of_session else I(0),
                        s.acc[account * ACCOUNT_WORDS + OPEN_ORDERS])  # fmt: skip
    _cancel_many(s, count, I(BY_MASS_CANCEL), I(MASS_CANCELED), account | (instrument << 32) | (side << 56))
    return n


@outline
def _close(d, n):
    """The closing event of a mass cancel, a disconnect or a tick that let orders expire; n + 1."""
    s = core(d)
    h = s.h
    if n >= h[CAPACITY]:
        h[STUCK] = 1
        return n
    packed = h[CLOSING_OF]
    count = h[CURSOR_COUNT] if h[CLOSING] != TICKED else I(0)
    put_head(s, n, h[CLOSING], (packed >> 32) & 0xFFFFFF, packed & 0xFFFFFFFF, I(0), I(0), (packed >> 56) << 24, I(0))
    put_body(s, n, I(0), count, I(0), I(0), I(0), I(0))
    h[CLOSING] = 0
    return n + 1


@outline
def _tell_next(d, n):
    """Tell the next of the instruments whose indicative may have changed (R53); n."""
    s = core(d)
    h = s.h
    instrument = h[TELL_AT]
    row = instrument * INSTRUMENT_WORDS
    if s.ins[row + CALLING] != 0 and s.ins[row + DIRTY] != 0:
        n = tell(door(s), n, instrument)
        if h[STUCK] != 0:
            return n
        s.ins[row + DIRTY] = 0
    h[TELL_AT] = instrument + 1
    return n


@outline
def _carry_on(d, n):
    """Do what the present command still has to do, as far as there is room for events (R36); n."""
    s = core(d)
    h = s.h
    h[STUCK] = 0
    while h[STUCK] == 0:
        if h[CURSOR] == CANCELING:
            n = _cancel_list(door(s), n)
        elif h[CURSOR] != IDLE:
            n = go_on(door(s), n)
        elif h[ELECT] != 0:
            n = elect(door(s), n)
        elif h[WORK_AT] < h[WORK_COUNT]:
            n = work(door(s), n, s.work[h[WORK_AT]])
        elif h[TELL_AT] <= h[TELL_TO]:
            n = _tell_next(door(s), n)
        elif h[CLOSING] != 0:
            n = _close(door(s), n)
        else:
            h[PENDING] = 0
            h[WORK_COUNT] = 0
            h[WORK_AT] = 0
            h[TELL_TO] = 0
            h[TELL_AT] = 1
            break
    return n


@inline
def _out_of_day(s, n, c, kind):
    """A command refused because a trading day is being opened, or a restore when none is (R44)."""
    if kind == PLACE or kind == RESTORE:
        return reject_place(door(s), n, c, I(DAY_ORDER))
    return reject_other(door(s), n, c, I(DAY_ORDER), I(0))


@outline
def _restating(d, n, c, kind):
    s = core(d)
    if kind == RESTORE:
        return restore(door(s), n, c)
    return _out_of_day(s, n, c, kind)


@inline
def _level_ahead(s, c):
    """Level that a place of the future would join; what may be read, whatever the command says."""
    row = min(s.cmd[c + 1] & 0xFFFFFFFF, s.h[INSTRUMENTS]) * INSTRUMENT_WORDS
    level = s.ins[row + LEVELS - 1 + ((s.cmd[c] >> 8) & 3)] + I(s.cmd[c + 2]) - s.ins[row + WINDOW_LO]
    return I(min(U(level), U(s.h[ORDER_BASE])))


@inline
def _look_at(s, i):
    """Fold the client id of command i, FAR ahead, and ask for the line in which it or the order named is looked up."""
    c = i * 16
    named = s.cmd[c + 8]
    key = fold_low(s.cmd, c + 4)
    s.h[KEYS + (i & (KEYS_KEPT - 1))] = key
    group = group_of(s, s.cmd[c + 15] & 0xFFFFFFFF, key)
    fetch_either(named == 0, s.tab, group * PLACES, s.direct, named & s.h[DIRECT_MASK])


@inline
def _look_up(s, i):
    """Ask for the order that command i, NEAR ahead, names, or for the level that it will join."""
    c = i * 16
    named = s.cmd[c + 8]
    x = I(s.direct[named & s.h[DIRECT_MASK]])
    level = _level_ahead(s, c)
    r = x if named != 0 else level
    x = x if named != 0 else I(0)
    s.h[AHEAD + (i & (AHEAD_KEPT - 1))] = r
    fetch(s.n4, x * NODE4)
    fetch(s.link, r * LINKS)


@inline
def _look_around(s, i):
    """Ask for the neighbours of the order or level of command i, SOON, the order's client id and the account."""
    c = i * 16
    account = s.cmd[c + 15] & 0xFFFFFFFF
    r = s.h[AHEAD + (i & (AHEAD_KEPT - 1))]
    x = r if r >= s.h[ORDER_BASE] else I(0)
    fetch(s.acc, account * ACCOUNT_WORDS)
    fetch(s.link, I(s.link[r * LINKS + NEXT]) * LINKS)
    fetch(s.link, I(s.link[r * LINKS + PREV]) * LINKS)
    fetch(s.ids, I(s.n4[x * NODE4 + ENTRY]) * ENTRY_WORDS)
    fetch(s.pos, position_at(s, account, (s.cmd[c + 1] & 0xFFFF) | I(s.n4[x * NODE4 + INSTRUMENT])))


@outline
def _begin_looking(d, low, high):
    """Look ahead as the loop will, for the first commands of a block."""
    s = core(d)
    i = I(low)
    while i < high and i < low + FAR:
        _look_at(s, i)
        i += 1
    i = I(low)
    while i < high and i < low + NEAR:
        _look_up(s, i)
        i += 1
    return I(0)


@outline
def _look_on(d, i, last):
    """Look ahead near the end of a block, where there is nothing further to see."""
    s = core(d)
    _look_at(s, min(i + FAR, last))
    _look_up(s, min(i + NEAR, last))
    _look_around(s, min(i + SOON, last))
    return I(0)


@inline
def _look_ahead(s, i, last):
    """Ask for the memory that the next commands of the block will need: most of a command is waiting for it.

    It changes nothing that is told, and is left out where commands must not be known before their turn.  No branch
    asks what a command is: that is what nobody can foresee."""
    fetch(s.cmd, (i + ROWS) * 16)
    fetch(s.cmd, (i + ROWS) * 16 + 8)
    if i + FAR <= last:
        _look_at(s, i + FAR)
        _look_up(s, i + NEAR)
        _look_around(s, i + SOON)
    else:
        _look_on(door(s), i, last)


@inline
def _is_act(s, c):
    return ACT_FIRST <= s.cmd[c] & 255 <= ACT_LAST


@inline
def step(s, n, c, key):
    """Carry out the command at offset c as far as there is room for events; n, and whether there is more to do.

    If there is and nothing is pending, the command is an act, which is left to Python.  key: fold_low of its client id.
    """
    h = s.h
    kind = s.cmd[c] & 255
    h[SEQ] = s.cmd[c + 13]
    h[TIME] = max(h[TIME], s.cmd[c + 14])
    whole = False
    if h[STAGE] == RESTATING:
        if _is_act(s, c):
            return n, True
        h[BASE] = n
        h[OP] = kind
        n = _restating(door(s), n, c, kind)
    elif kind == PLACE:
        n, whole = place(s, n, c, key)
    elif kind == CANCEL:
        n, whole = cancel(s, n, c, key)
    elif kind == AMEND:
        n, whole = amend(s, n, c, key)
    elif _is_act(s, c):
        return n, True
    else:
        h[BASE] = n
        h[OP] = kind
        n = _other(door(s), n, c, kind)
    if whole:
        return n, False
    if (h[CURSOR] | h[PENDING]) != 0:
        h[PENDING] = 1
        n = _carry_on(door(s), n)
        if h[PENDING] != 0:
            return n, True
    mark_last(s, n)
    return n, False


@outline
def _other(d, n, c, kind):
    s = core(d)
    if kind == RESTORE:
        return _out_of_day(s, n, c, kind)
    return _rare(door(s), n, c, kind)


@inline
def resume(s, n):
    """Go on with the command whose events had no room, writing from event n; n."""
    s.h[BASE] += n
    n = _carry_on(door(s), n)
    if s.h[PENDING] == 0:
        mark_last(s, n)
    return n


@kernel
def run(handle, cmd, ev, low, high, events, room):
    """Carry out commands[low:high] on the state behind `handle`, writing events from number `events` up to `room`.

    Stops before an act, which Python carries out, and where room runs out (at least ROOM is needed to begin)."""
    s = enter(handle, cmd, ev)
    n = I(events)
    s.h[CAPACITY] = room
    looks = LOOKS and s.h[BLIND] == 0
    if s.h[PENDING] != 0:
        n = resume(s, n)
    i = I(low)
    if looks:
        _begin_looking(door(s), i, high)
    if s.h[STAGE] == FRESH and i < high and n + ROOM <= room and not _is_act(s, i * 16):
        s.h[STAGE] = OPEN
    more = s.h[PENDING] != 0
    last = I(room) - ROOM  # event from which on there is no room for another command
    while i < high and not more:
        c = i * 16
        if n > last:
            break
        if looks:
            _look_ahead(s, i, high - 1)
            key = s.h[KEYS + (i & (KEYS_KEPT - 1))]
        else:
            key = fold_low(s.cmd, c + 4)
            ask_for_id(s, s.cmd[c + 15] & 0xFFFFFFFF, key)
        n, more = step(s, n, c, key)
        if more and s.h[PENDING] == 0:
            break  # it is an act
        i += 1
    if s.h[PENDING] != 0:
        s.h[BASE] -= n
    return (i << 32) | n


__all__ = ["resume", "run", "step"]
