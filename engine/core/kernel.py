"""The door of the compiled core: one call takes commands until an act, the end, or no room for events.

`run` is the only function that Python calls.  It returns (first command not taken) << 32 | (events in the buffer).
"""

from __future__ import annotations

from engine.core.events import mark_last, put_body, put_head, reject_other, reject_place
from engine.core.ids import fetch_id, find_order, is_client_id
from engine.core.lane import I, inline, kernel, outline
from engine.core.layout import (
    ACCOUNT,
    ACCOUNT_WORDS,
    ACCOUNTS,
    BASE,
    BUMP,
    CANCELING,
    CAPACITY,
    CURSOR,
    CURSOR_AT,
    CURSOR_COUNT,
    CURSOR_REASON,
    CURSOR_RECORD,
    DIRECT_MASK,
    ENTRY,
    ENTRY_WORDS,
    FLAG_TIF,
    FLAGS,
    FRESH,
    IDLE,
    IDS,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    INSTRUMENTS,
    LEAVES,
    LEVELS,
    LIVE,
    MATCHING,
    NEXT,
    NODE4,
    NODE8,
    OP,
    OPEN,
    OPEN_ORDERS,
    ORDER_BASE,
    ORDER_ID,
    PHASE,
    PREV,
    RESTATING,
    SEQ,
    SESSION,
    STAGE,
    TIME,
    WINDOW,
    WINDOW_LO,
)  # fmt: skip
from engine.core.matching import ENDED_CANCELED, ENDED_EXPIRED, cancel_resting, settle, sweep
from engine.core.memory import core, door, enter, fetch
from engine.core.orders import MALFORMED, PRE_OPEN, UNKNOWN_ACCOUNT, UNKNOWN_INSTRUMENT, amend, cancel, place, restore
from engine.schema import ACT_FIRST, Code, CommandKind, EventKind, Reason, TimeInForce

PLACE, CANCEL, AMEND = int(CommandKind.ORDER_PLACE), int(CommandKind.ORDER_CANCEL), int(CommandKind.ORDER_AMEND)
MASS_CANCEL, TICK = int(CommandKind.ORDER_MASS_CANCEL), int(CommandKind.CLOCK_TICK)
DISCONNECT, RESTORE = int(CommandKind.DISCONNECT), int(CommandKind.ORDER_RESTORE)
ACT_LAST = int(max(CommandKind))
CANCELED, EXPIRED = int(EventKind.ORDER_CANCELED), int(EventKind.ORDER_EXPIRED)
MASS_CANCELED, DISCONNECTED = int(EventKind.MASS_CANCELED), int(EventKind.DISCONNECTED)
TICKED = int(EventKind.CLOCK_TICKED)
BY_MASS_CANCEL, BY_DISCONNECT = int(Reason.MASS_CANCEL), int(Reason.DISCONNECT)
DAY_ORDER = int(Code.DAY_ORDER)
DAY = int(TimeInForce.DAY)
AHEAD = 8  # how many commands ahead memory is asked for
LARGE = 20_000  # ids or live orders from which on that pays
ROOM = 8  # events that a command may write before it asks for room again


@outline
def _sift(d, start, count):
    """Restore the heap order of scratch[0:count] below `start` (largest first)."""
    s = core(d)
    root = start
    value = s.scratch[root]
    while True:
        child = 2 * root + 1
        if child >= count:
            break
        if child + 1 < count and s.scratch[child + 1] > s.scratch[child]:
            child += 1
        if s.scratch[child] <= value:
            break
        s.scratch[root] = s.scratch[child]
        root = child
    s.scratch[root] = value
    return I(0)


@outline
def _sort(d, count):
    """Sort scratch[0:count], rising (heap sort: no recursion, no allocation)."""
    s = core(d)
    i = count // 2 - 1
    while i >= 0:
        _sift(door(s), i, count)
        i -= 1
    end = count - 1
    while end > 0:
        top = s.scratch[0]
        s.scratch[0] = s.scratch[end]
        s.scratch[end] = top
        _sift(door(s), I(0), end)
        end -= 1
    return I(0)


@outline
def _gather(d, account, instrument, side, session, most):
    """Order ids of live orders to cancel, rising, in scratch; how many (R33, R34).

    account 0: any account, and then only day orders of the client session."""
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
            if account != 0:
                wanted = I(s.n4[r4 + ACCOUNT]) == account
            else:
                wanted = I(s.n4[r4 + SESSION]) == session and (flags >> FLAG_TIF) & 7 == DAY
            if wanted and (instrument == 0 or own == instrument) and (side == 0 or flags & 3 == side):
                if s.ins[own * INSTRUMENT_WORDS + PHASE] >= PRE_OPEN:
                    s.scratch[count] = order_id
                    count += 1
        x += 1
    _sort(door(s), count)
    return count


@outline
def _cancel_list(d, n, start, count, reason):
    """Cancel scratch[start:count] one by one; returns (n, first one not done)."""
    s = core(d)
    i = start
    while i < count:
        if n + ROOM > s.h[CAPACITY]:
            break
        x = find_order(s, s.scratch[i])
        if reason == 0:
            n = cancel_resting(door(s), n, x, I(EXPIRED), I(ENDED_EXPIRED), I(0), False)
        else:
            n = cancel_resting(door(s), n, x, I(CANCELED), I(ENDED_CANCELED), reason, False)
        i += 1
    return n, i


@outline
def _cancel_many(d, n, start, count, reason):
    """Go on with a mass cancel, disconnect or expiry; its own closing event comes last."""
    s = core(d)
    h = s.h
    n, done = _cancel_list(door(s), n, start, count, reason)
    if done < count:
        h[CURSOR] = CANCELING
        h[CURSOR_AT] = done
        h[CURSOR_COUNT] = count
        h[CURSOR_REASON] = reason
        return n
    h[CURSOR] = IDLE
    if reason != 0:
        kind = I(MASS_CANCELED) if reason == BY_MASS_CANCEL else I(DISCONNECTED)
        packed = h[CURSOR_RECORD]
        instrument = (packed >> 32) & 0xFFFFFF
        put_head(s, n, kind, instrument, packed & 0xFFFFFFFF, I(0), I(0), (packed >> 56) << 24, I(0))
        put_body(s, n, I(0), count, I(0), I(0), I(0), I(0))
        n += 1
    return n


@outline
def _rare(d, n, c, kind):
    """Mass cancel, disconnect, clock tick, and kinds that do not exist."""
    s = core(d)
    h = s.h
    w0 = s.cmd[c]
    side = (w0 >> 8) & 255
    if (s.cmd[c + 4] | s.cmd[c + 5] | s.cmd[c + 6] | s.cmd[c + 7]) != 0 and not is_client_id(s.cmd, c + 4):
        return reject_other(door(s), n, c, I(MALFORMED), I(0))
    if kind == TICK:
        put_head(s, n, I(TICKED), I(0), I(0), I(0), I(0), I(0), I(0))
        put_body(s, n, I(0), I(0), I(0), I(0), I(0), I(0))
        return n + 1
    if (kind != MASS_CANCEL and kind != DISCONNECT) or (kind == MASS_CANCEL and side > 2):
        return reject_other(door(s), n, c, I(MALFORMED), I(0))
    account = s.cmd[c + 15] & 0xFFFFFFFF
    if account - 1 >= h[ACCOUNTS] or account == 0:
        return reject_other(door(s), n, c, I(UNKNOWN_ACCOUNT), I(0))
    if kind == DISCONNECT:
        session = s.cmd[c + 15] >> 32
        h[CURSOR_RECORD] = account
        count = I(0)
        if session != 0:
            count = _gather(door(s), I(0), I(0), I(0), session, h[BUMP])
        return _cancel_many(door(s), n, I(0), count, I(BY_DISCONNECT))
    instrument = s.cmd[c + 1] & 0xFFFFFFFF
    if instrument > h[INSTRUMENTS]:
        return reject_other(door(s), n, c, I(UNKNOWN_INSTRUMENT), I(0))
    h[CURSOR_RECORD] = account | (instrument << 32) | (side << 56)
    count = _gather(door(s), account, instrument, side, I(0), s.acc[account * ACCOUNT_WORDS + OPEN_ORDERS])
    return _cancel_many(door(s), n, I(0), count, I(BY_MASS_CANCEL))


@outline
def _resume(d, n):
    """Go on with the command that ran out of room (R36)."""
    s = core(d)
    h = s.h
    if h[CURSOR] == CANCELING:
        return _cancel_many(door(s), n, h[CURSOR_AT], h[CURSOR_COUNT], h[CURSOR_REASON])
    h[CURSOR] = IDLE
    x = h[CURSOR_RECORD]
    limit = h[CURSOR_AT]
    r4 = x * NODE4
    g = (I(s.n4[r4 + FLAGS]) & 3) - 1
    row = I(s.n4[r4 + INSTRUMENT]) * INSTRUMENT_WORDS
    n, left = sweep(s, n, x, row, 1 - g, limit, I(s.n4[r4 + LEAVES]))
    if h[CURSOR] == MATCHING:
        return n
    return settle(s, n, x, row, g, limit, left)


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
    """Level that a place of the future would join, or 0 where that cannot be told."""
    instrument = s.cmd[c + 1] & 0xFFFFFFFF
    if instrument - 1 >= s.h[INSTRUMENTS]:
        return I(0)
    row = instrument * INSTRUMENT_WORDS
    offset = I(s.cmd[c + 2]) - I(s.ins[row + WINDOW_LO])
    if offset < 0 or offset >= s.ins[row + WINDOW]:
        return I(0)
    return s.ins[row + LEVELS + (((s.cmd[c] >> 8) & 255) == 2)] + offset


@inline
def _look_ahead(s, i, high, wide):
    """Ask for the memory that the next commands will need; only on a state too large for the near caches."""
    c = (i + AHEAD) * 16
    if i + AHEAD < high:
        kind = s.cmd[c] & 255
        if kind == PLACE:
            fetch_id(s, s.cmd[c + 15] & 0xFFFFFFFF, s.cmd, c + 4)
        elif wide and s.cmd[c + 9] == 0:
            fetch(s.direct, s.cmd[c + 8] & s.h[DIRECT_MASK])
    if wide and i + AHEAD // 2 < high:
        c = (i + AHEAD // 2) * 16
        if s.cmd[c] & 255 != PLACE:
            if s.cmd[c + 9] == 0:
                fetch(s.n4, I(s.direct[s.cmd[c + 8] & s.h[DIRECT_MASK]]) * NODE4)
        else:
            fetch(s.n4, _level_ahead(s, c) * NODE4)
        c = (i + AHEAD // 4) * 16
        if s.cmd[c] & 255 != PLACE:
            if s.cmd[c + 9] == 0:
                r4 = I(s.direct[s.cmd[c + 8] & s.h[DIRECT_MASK]]) * NODE4
                fetch(s.n4, I(s.n4[r4 + NEXT]) * NODE4)
                fetch(s.n4, I(s.n4[r4 + PREV]) * NODE4)
                fetch(s.ids, I(s.n4[r4 + ENTRY]) * ENTRY_WORDS)
        else:
            fetch(s.n4, I(s.n4[_level_ahead(s, c) * NODE4 + PREV]) * NODE4)


@kernel
def run(handle, cmd, ev, low, high, events, room):
    """Carry out commands[low:high] on the state behind `handle`, writing events from number `events` up to `room`.

    Stops before an act, which Python carries out, and where room runs out (at least ROOM is needed to begin)."""
    s = enter(handle, cmd, ev)
    n = I(events)
    s.h[CAPACITY] = room
    if s.h[CURSOR] != IDLE:
        s.h[BASE] += n
        n = _resume(door(s), n)
        if s.h[CURSOR] == IDLE:
            mark_last(s, n)
    i = I(low)
    large = s.h[IDS] > LARGE
    wide = s.h[LIVE] > LARGE
    while i < high and s.h[CURSOR] == IDLE:
        c = i * 16
        kind = s.cmd[c] & 255
        if ACT_FIRST <= kind <= ACT_LAST or n + ROOM > room:
            break
        if s.h[STAGE] == FRESH:
            s.h[STAGE] = OPEN
        if large:
            _look_ahead(s, i, high, wide)
        s.h[SEQ] = s.cmd[c + 13]
        s.h[TIME] = max(s.h[TIME], s.cmd[c + 14])
        s.h[BASE] = n
        s.h[OP] = kind
        if s.h[STAGE] == RESTATING:
            n = _restating(door(s), n, c, kind)
        elif kind == PLACE:
            n = place(s, n, c)
        elif kind == CANCEL:
            n = cancel(s, n, c)
        elif kind == AMEND:
            n = amend(s, n, c)
        elif kind == RESTORE:
            n = _out_of_day(s, n, c, kind)
        else:
            n = _rare(door(s), n, c, kind)
        i += 1
        if s.h[CURSOR] == IDLE:
            mark_last(s, n)
    if s.h[CURSOR] != IDLE:
        s.h[BASE] -= n
    return (i << 32) | n


__all__ = ["run"]
