"""Orders coming in, in every way but the commonest: all types in all phases, and orders restored (R2-R19, R45-R60).

`place` in engine/core/orders.py takes the plain orders of a continuous phase by a shorter way with the same gates;
everything else comes here.  Each function handles one command at offset `c` of the command words.
"""

from __future__ import annotations

from engine.core.accounts import exceeds, killed, move_lots
from engine.core.book import append, far_full, is_far, join, stops_full, wait_as_stop
from engine.core.calls import count_lots, edge_of
from engine.core.controls import beyond_band, outside_contract, outside_limits, too_dear
from engine.core.events import WAITS, put_body, put_head, put_id, put_order_row, reject_place
from engine.core.ids import add_id, find_id, fold_low, index_order, is_client_id, root_of
from engine.core.lane import I, inline, outline
from engine.core.layout import (
    ACCOUNT,
    ACCOUNT_WORDS,
    ACCOUNTS,
    AS_IN_COMMANDS,
    ASIDE,
    BEARS,
    BEST,
    BUMP,
    BY_ACCOUNT,
    BY_VALUE,
    CALLING,
    CLOSE,
    CLOSE_KNOWN,
    DISPLAY,
    ENTRY,
    ENTRY_END,
    ENTRY_ORDER,
    ENTRY_PLACE,
    ENTRY_QTY,
    ENTRY_WORDS,
    EXPIRE,
    FIRST_TRADE,
    FLAG_POST,
    FLAG_SMP,
    FLAG_TIF,
    FLAGS,
    FREE,
    GATE,
    GATED,
    GIVES_UP,
    ICEBERG,
    ID_LIMIT,
    IDS,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    INSTRUMENTS,
    KILLED,
    LEAVERS,
    LEAVES,
    LEVEL,
    LINKS,
    LIVE,
    MAX_PRICE,
    MAX_QTY,
    MEMBER,
    MIN_PRICE,
    MODE_AT,
    MORE_WORDS,
    NEXT,
    NEXT_EXPIRY,
    NEXT_TRADE,
    NO_BUY,
    NO_SELL,
    NODE4,
    NODE8,
    OPEN_ORDERS,
    ORDER_ID,
    ORDER_LIMIT,
    OUTSIDE,
    OWNER,
    PARKED,
    PENDING,
    PERMITS,
    PHASE,
    PRICE,
    PROTECTION,
    QTY,
    SEQ,
    SESSION,
    SHOWN,
    SMP_KEY,
    STOPPED,
    SUSPENDED,
    TELL_AT,
    TELL_TO,
    TIME,
    TOTAL,
    UNPRICED,
)  # fmt: skip
from engine.core.matching import bring_in, cancel_incoming, fok_fills, within_bounds
from engine.core.memory import core, door
from engine.core.stops import carry_out_stop, is_reached
from engine.phases import Mode, Permit
from engine.schema import (
    DUP,
    HAS_EXPIRE,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    INACTIVE,
    MAX_ORDER_QTY,
    MAX_SMP_ID,
    OF_SESSION,
    OFF_TICK,
    POST_ONLY,
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
BAD_DISPLAY, BAD_MINIMUM, BAD_STOP = int(Code.DISPLAY_QTY), int(Code.MIN_QTY), int(Code.STOP_PRICE)
BAD_EXPIRE, BAD_CLOSE = int(Code.EXPIRE_TIME), int(Code.CLOSE_PRICE)
DUPLICATE, WRONG_PHASE, TOO_MUCH = int(Code.DUPLICATE), int(Code.PHASE), int(Code.MAX_ORDER_QTY)
TICK_SIZE, PRICE_BAND, WOULD_TAKE = int(Code.TICK_SIZE), int(Code.PRICE_BAND), int(Code.POST_ONLY)
DAY_ID_LIMIT, ORDERS_FULL, FAR_FULL = int(Code.DAY_ID_LIMIT), int(Code.ORDERS_FULL), int(Code.FAR_LEVELS_FULL)
STOPS_FULL = int(Code.STOP_LEVELS_FULL)
PRICE_LIMIT, MOVING_BAND, TOO_DEAR = int(Code.PRICE_LIMIT), int(Code.MOVING_BAND), int(Code.MAX_ORDER_VALUE)
LIMIT, MARKET, STOP = int(OrdType.LIMIT), int(OrdType.MARKET), int(OrdType.STOP)
STOP_LIMIT, MARKET_TO_LIMIT = int(OrdType.STOP_LIMIT), int(OrdType.MARKET_TO_LIMIT)
GTC, IOC, FOK, GTD = int(TimeInForce.GTC), int(TimeInForce.IOC), int(TimeInForce.FOK), int(TimeInForce.GTD)
AT_OPEN, AT_CLOSE = int(TimeInForce.AT_OPEN), int(TimeInForce.AT_CLOSE)
CONTINUOUS, PRE_CLOSE, CLOSE_NO_CANCEL = int(Phase.CONTINUOUS), int(Phase.PRE_CLOSE), int(Phase.CLOSE_NO_CANCEL)
IN_CALL, IN_CONTINUOUS, AT_THE_CLOSE = int(Mode.CALL), int(Mode.CONTINUOUS), int(Mode.AT_CLOSE)
ENTER, UNPRICED_ONES, AT_ONCE, STOPS_IN = (
    int(Permit.ENTER), int(Permit.UNPRICED), int(Permit.AT_ONCE), int(Permit.STOPS),
)  # fmt: skip
OPEN_IN, CLOSE_IN, LASTING_ONLY = int(Permit.AT_OPEN), int(Permit.AT_CLOSE), int(Permit.LASTING_ONLY)
DEFAULT_SMP = int(Smp.CANCEL_RESTING)
ACCEPTED, RESTORED_EVENT = int(EventKind.ORDER_ACCEPTED), int(EventKind.ORDER_RESTORED)
STATUS = int(EventKind.ORDER_STATUS)
BY_MINIMUM = int(Reason.MIN_QTY)
NEW, PARTIALLY_FILLED = int(OrdStatus.NEW), int(OrdStatus.PARTIALLY_FILLED)
NO_FLAGS = int(HAS_QTY | HAS_EXPIRE | OF_SESSION)


@inline
def _smp_key(s, account, smp_id):
    """The order's self-match id (R27): its beneficial owner, or its own id within the member (negative)."""
    a = account * ACCOUNT_WORDS
    if smp_id == 0:
        return s.acc[a + OWNER]
    return -((s.acc[a + MEMBER] << 16) | smp_id)


@inline
def take_record(s):
    """A free record for an order; the caller knows that there is one (R15)."""
    h = s.h
    x = h[FREE]
    if x != 0:
        h[FREE] = I(s.link[x * LINKS + NEXT])
    else:
        x = h[BUMP]
        h[BUMP] = x + 1
    h[LIVE] += 1
    return x


@inline
def enter(s, c, x, e, account, instrument, order_id, price, qty, leaves, extra):
    """Fill in the record of an accepted order, with `extra` FLAGS, that consumed entry e."""
    w0 = s.cmd[c]
    r4 = x * NODE4
    default = I(DEFAULT_SMP << FLAG_SMP) if (w0 >> 32) & 255 == 0 else I(0)
    s.n4[r4 + LEAVES] = leaves
    s.n4[r4 + ACCOUNT] = account
    s.n4[r4 + ENTRY] = e
    s.n4[r4 + BEARS] = e
    s.n4[r4 + SMP_KEY] = _smp_key(s, account, s.cmd[c + 1] >> 32)
    post = ((w0 >> 40) & POST_ONLY) << FLAG_POST
    s.n4[r4 + FLAGS] = ((w0 >> 8) & AS_IN_COMMANDS) | default | post | extra
    s.n4[r4 + QTY] = qty
    s.n4[r4 + SESSION] = s.cmd[c + 15] >> 32
    s.n4[r4 + INSTRUMENT] = instrument
    s.n8[x * NODE8 + ORDER_ID] = order_id
    s.n8[x * NODE8 + PRICE] = price
    index_order(s, order_id, x)
    s.acc[account * ACCOUNT_WORDS + OPEN_ORDERS] += 1
    move_lots(s, account, instrument, ((w0 >> 8) & 3) - 1, leaves, I(0))


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
        waits = I(WAITS) if I(s.n4[x * NODE4 + FLAGS]) & OUTSIDE != 0 else I(0)
        put_order_row(door(s), n, I(STATUS), x, leaves, I(0), I(0), status, I(DUP) | waits)
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
def high_word(w):
    """The signed upper half of a command word."""
    return w >> 32


@inline
def low_word(w):
    """The signed lower half of a command word."""
    return ((w & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


@outline
def bears_id(d, c):
    """Whether a command's client id has the right form (R2)."""
    s = core(d)
    return is_client_id(s.cmd, c + 4)


@outline
def look_up(d, account, c):
    """A command's client id: (its key, the entry of the order that consumed it, or 0)."""
    s = core(d)
    key = fold_low(s.cmd, c + 4)
    return key, find_id(s, account, key, s.cmd, c + 4)


@outline
def enter_other(d, c, x, account, instrument, order_id, price, leaves, key, extra):
    s = core(d)
    e = add_id(door(s), account, key, c, order_id, x)
    enter(s, c, x, e, account, instrument, order_id, price, s.cmd[c + 3], leaves, extra)
    return I(0)


@outline
def _form(d, c):
    """R2 of a place; 0 or the code."""
    s = core(d)
    w0 = s.cmd[c]
    side = (w0 >> 8) & 255
    ord_type = (w0 >> 16) & 255
    tif = (w0 >> 24) & 255
    flags = (w0 >> 40) & 255
    qty = s.cmd[c + 3]
    smp_id = high_word(s.cmd[c + 1])
    if side < 1 or side > 2 or ord_type < 1 or ord_type > 5 or tif < 1 or tif > 7 or (w0 >> 32) & 255 > 5:
        return I(MALFORMED)
    if qty < 1 or qty > MAX_ORDER_QTY or smp_id < 0 or smp_id > MAX_SMP_ID or not bears_id(door(s), c):
        return I(MALFORMED)
    if (flags & HAS_PRICE != 0) != (ord_type == LIMIT or ord_type == STOP_LIMIT) or flags & NO_FLAGS != 0:
        return I(MALFORMED)
    if w0 >> 48 != 0 or (s.cmd[c + 8] | s.cmd[c + 9]) != 0:
        return I(MALFORMED)
    return I(0)


@outline
def _combination(d, c):
    """R5 and R16 to R19 of a place; 0 or the code."""
    s = core(d)
    w0 = s.cmd[c]
    ord_type = (w0 >> 16) & 255
    tif = (w0 >> 24) & 255
    flags = (w0 >> 40) & 255
    stop = ord_type == STOP or ord_type == STOP_LIMIT
    at_once = tif == IOC or tif == FOK
    at_auction = tif == AT_OPEN or tif == AT_CLOSE
    display = low_word(s.cmd[c + 11])
    minimum = high_word(s.cmd[c + 11])
    post = flags & POST_ONLY != 0
    if (
        (post and (ord_type != LIMIT or at_once or at_auction))
        or (stop and (at_once or at_auction))
        or (at_auction and ord_type != LIMIT and ord_type != MARKET)
        or (ord_type == MARKET_TO_LIMIT and at_once)
        or (display != 0 and (ord_type != LIMIT or at_once))
        or (minimum != 0 and (post or tif == FOK or at_auction or stop))
    ):
        return I(INVALID_COMBINATION)
    if display < 0 or display > s.cmd[c + 3]:
        return I(BAD_DISPLAY)
    if minimum < 0 or minimum > s.cmd[c + 3]:
        return I(BAD_MINIMUM)
    if stop != (flags & HAS_STOP != 0):
        return I(BAD_STOP)
    expire = s.cmd[c + 12]
    if (tif == GTD and expire <= s.h[TIME]) or (tif != GTD and expire != 0):
        return I(BAD_EXPIRE)
    return I(0)


@inline
def _needed(ord_type, tif, minimum):
    """The permits that a place needs (R9)."""
    needed = I(ENTER)
    if ord_type == MARKET or ord_type == MARKET_TO_LIMIT:
        needed = I(UNPRICED_ONES)
    elif ord_type != LIMIT:
        needed = I(STOPS_IN)
    if tif == IOC or tif == FOK or minimum != 0:
        needed |= AT_ONCE
    if tif == AT_OPEN:
        needed |= OPEN_IN
    if tif == AT_CLOSE:
        needed |= CLOSE_IN
    return needed


@inline
def is_lasting(tif):
    """Whether an order of this time in force outlives its day."""
    return tif == GTC or tif == GTD


@outline
def _gates(d, c, row, g):
    """R77, R9 to R13, R59, R66 to R68, R76 and R74 of a place; 0 or the code."""
    s = core(d)
    w0 = s.cmd[c]
    ord_type = (w0 >> 16) & 255
    tif = (w0 >> 24) & 255
    flags = (w0 >> 40) & 255
    permits = s.ins[row + PERMITS]
    mode = permits >> MODE_AT
    needed = _needed(ord_type, tif, high_word(s.cmd[c + 11]))
    account = s.cmd[c + 15] & 0xFFFFFFFF
    if s.acc[account * ACCOUNT_WORDS + GATE] & KILLED != 0:
        return killed(door(s), account)
    if needed & permits != needed or (permits & LASTING_ONLY != 0 and not is_lasting(tif)):
        return I(WRONG_PHASE)
    if s.cmd[c + 3] > s.ins[row + MAX_QTY]:
        return I(TOO_MUCH)
    if flags & (HAS_PRICE | HAS_STOP) != 0 and flags & OFF_TICK != 0:
        return I(TICK_SIZE)
    price = s.cmd[c + 2]
    if flags & HAS_PRICE != 0 and outside_contract(s, row, price):
        return I(PRICE_BAND)
    stop = s.cmd[c + 10]
    if flags & HAS_STOP != 0 and outside_contract(s, row, stop):
        return I(PRICE_BAND)
    suspended = ord_type == LIMIT and outside_limits(s, row, price)
    if flags & HAS_PRICE != 0 and outside_limits(s, row, price):
        if not is_lasting(tif) or high_word(s.cmd[c + 11]) != 0:
            return I(PRICE_LIMIT)
    if s.ins[row + GATED] & BY_VALUE != 0:
        if flags & HAS_PRICE != 0 and not suspended and beyond_band(s, row, g, price):
            return I(MOVING_BAND)
        if too_dear(s, row, _worth(door(s), c, row, g), s.cmd[c + 3]):
            return I(TOO_DEAR)
    if mode == AT_THE_CLOSE and (s.ins[row + CLOSE_KNOWN] == 0 or price != s.ins[row + CLOSE]):
        return I(BAD_CLOSE)
    if flags & POST_ONLY != 0 and mode >= IN_CONTINUOUS and not suspended:
        if (price - s.ins[row + BEST + 1 - g]) * (1 - 2 * g) >= 0:
            return I(WOULD_TAKE)
    if s.ins[row + GATED] & BY_ACCOUNT != 0 or s.acc[account * ACCOUNT_WORDS + GATE] != 0:
        return exceeds(door(s), account, row // INSTRUMENT_WORDS, g, s.cmd[c + 3], I(0), _worth(door(s), c, row, g),
                       True, True)  # fmt: skip
    return I(0)


@outline
def _worth(d, c, row, g):
    """The price by which a place is valued (R66)."""
    s = core(d)
    w0 = s.cmd[c]
    ord_type = (w0 >> 16) & 255
    tif = (w0 >> 24) & 255
    if ord_type == LIMIT or ord_type == STOP_LIMIT:
        return s.cmd[c + 2]
    if ord_type == STOP:
        return s.cmd[c + 10]
    if s.ins[row + PERMITS] >> MODE_AT >= IN_CONTINUOUS and tif != AT_CLOSE:
        _, price = _protected(s, row, g)
        return price
    return edge_of(s, row, g)


@inline
def _protected(s, row, g):
    """The protection limit of a market order (R24): (whether there is an opposite order, price)."""
    best = s.ins[row + BEST + 1 - g]
    if best == NO_BUY or best == NO_SELL:
        return False, I(0)
    limit = best + (1 - 2 * g) * s.ins[row + PROTECTION]
    return True, min(max(limit, s.ins[row + MIN_PRICE]), s.ins[row + MAX_PRICE])


@outline
def room_for(d, c, row, g, price, rests, waits):
    """R15 of a place; 0 or the code."""
    s = core(d)
    if s.h[IDS] >= s.h[ID_LIMIT]:
        return I(DAY_ID_LIMIT)
    if s.h[LIVE] >= s.h[ORDER_LIMIT]:
        return I(ORDERS_FULL)
    if rests and is_far(s, row, price) and far_full(door(s), row, g, price):
        return I(FAR_FULL)
    if waits and stops_full(door(s), row, g, s.cmd[c + 10]):
        return I(STOPS_FULL)
    return I(0)


@inline
def tell_later(s, instrument):
    """Have the instrument's indicative told when the command has done what it does (R53)."""
    s.h[TELL_AT] = instrument
    s.h[TELL_TO] = instrument
    s.h[PENDING] = 1


@outline
def join_call(d, x, row, g, price):
    """Put record x into the book, and into the sums of a call if one runs; an iceberg shows its part."""
    s = core(d)
    join(s, row, g, x, price)
    flags = I(s.n4[x * NODE4 + FLAGS])
    leaves = I(s.n4[x * NODE4 + LEAVES])
    if flags & ICEBERG != 0:
        s.more[x * MORE_WORDS + SHOWN] = min(s.more[x * MORE_WORDS + DISPLAY], leaves)
    tif = (flags >> FLAG_TIF) & 7
    if flags & UNPRICED != 0 or tif == AT_OPEN or tif == AT_CLOSE:
        s.ins[row + LEAVERS] = 1
    if s.ins[row + CALLING] != 0:
        level = I(s.n4[x * NODE4 + LEVEL])
        if I(s.link[level * LINKS + NEXT]) == x and I(s.link[x * LINKS + NEXT]) == level:
            s.n8[level * NODE8 + TOTAL] = 0  # of a call long past
        count_lots(door(s), row, g, level, price, leaves, I(1) if flags & UNPRICED == 0 else I(0))
        tell_later(s, row // INSTRUMENT_WORDS)
    return I(0)


@outline
def place_other(d, n, c):
    """ORDER_PLACE of any kind in any phase."""
    s = core(d)
    h = s.h
    code = _form(door(s), c)
    if code != 0:
        return reject_place(door(s), n, c, code)
    account = s.cmd[c + 15] & 0xFFFFFFFF
    if account - 1 >= h[ACCOUNTS] or account == 0:
        return reject_place(door(s), n, c, I(UNKNOWN_ACCOUNT))
    instrument = s.cmd[c + 1] & 0xFFFFFFFF
    if instrument - 1 >= h[INSTRUMENTS] or instrument == 0:
        return reject_place(door(s), n, c, I(UNKNOWN_INSTRUMENT))
    code = _combination(door(s), c)
    if code != 0:
        return reject_place(door(s), n, c, code)
    key, e = look_up(door(s), account, c)
    if e != 0:
        return put_status(door(s), n, c, e)
    row = instrument * INSTRUMENT_WORDS
    w0 = s.cmd[c]
    g = ((w0 >> 8) & 255) - 1
    code = _gates(door(s), c, row, g)
    if code != 0:
        return reject_place(door(s), n, c, code)
    ord_type = (w0 >> 16) & 255
    tif = (w0 >> 24) & 255
    phase = s.ins[row + PHASE]
    mode = s.ins[row + PERMITS] >> MODE_AT
    stop = ord_type == STOP or ord_type == STOP_LIMIT
    aside = tif == AT_CLOSE and phase != PRE_CLOSE and phase != CLOSE_NO_CANCEL
    waits = stop and not is_reached(s, row, g, s.cmd[c + 10])
    price = s.cmd[c + 2]
    extra = I(0)
    trades = mode >= IN_CONTINUOUS and not stop and not aside
    if tif == IOC or tif == FOK:
        extra |= GIVES_UP
    if ord_type == MARKET or ord_type == MARKET_TO_LIMIT:
        extra |= GIVES_UP
        price = edge_of(s, row, g)
        if trades:
            found, price = _protected(s, row, g)
            trades = found
        elif not aside:
            extra |= UNPRICED
    elif ord_type == STOP:
        price = I(0)
    display = low_word(s.cmd[c + 11])
    if display != 0 and display < s.cmd[c + 3]:
        extra |= ICEBERG
    if ord_type == LIMIT and outside_limits(s, row, price):
        extra |= SUSPENDED
        trades = False
    rests = not stop and not aside and (extra & GIVES_UP == 0 or extra & UNPRICED != 0) and extra & SUSPENDED == 0
    code = room_for(door(s), c, row, g, price, rests, waits)
    if code != 0:
        return reject_place(door(s), n, c, code)
    if aside:
        extra |= PARKED
    if waits:
        extra |= STOPPED
    return _admit(door(s), n, c, key, price, extra, trades, stop)


@outline
def _admit(d, n, c, key, price, extra, trades, stop):
    """Accept a place that has passed the gates, and let it do what it does."""
    s = core(d)
    h = s.h
    w0 = s.cmd[c]
    account = s.cmd[c + 15] & 0xFFFFFFFF
    instrument = s.cmd[c + 1] & 0xFFFFFFFF
    row = instrument * INSTRUMENT_WORDS
    g = ((w0 >> 8) & 255) - 1
    tif = (w0 >> 24) & 255
    qty = s.cmd[c + 3]
    x = take_record(s)
    enter_other(door(s), c, x, account, instrument, h[SEQ], price, qty, key, extra)
    display = low_word(s.cmd[c + 11]) if extra & ICEBERG != 0 else I(0)
    if extra & ICEBERG != 0:
        s.more[x * MORE_WORDS + DISPLAY] = display
    if tif == GTD:
        s.more[x * MORE_WORDS + EXPIRE] = s.cmd[c + 12]
        h[NEXT_EXPIRY] = min(h[NEXT_EXPIRY], s.cmd[c + 12])
    inactive = I(INACTIVE) if stop or extra & (PARKED | SUSPENDED) != 0 else I(0)
    put_head(s, n, I(ACCEPTED), instrument, account, s.ins[row + PHASE], I(0),
             (inactive << 16) | (((w0 >> 8) & 3) << 24) | (((w0 >> 16) & 7) << 32) | (tif << 40), h[SEQ])  # fmt: skip
    put_body(s, n, price, qty, qty, I(0), display, s.cmd[c + 10] if stop else I(0))
    put_id(s, n, s.cmd, c + 4)
    n += 1
    if extra & STOPPED != 0:
        wait_as_stop(door(s), row, g, x, s.cmd[c + 10])
        return n
    if stop:
        return carry_out_stop(door(s), n, x, s.cmd[c + 10])
    if extra & (PARKED | SUSPENDED) != 0:
        append(s, s.ins[row + ASIDE], x)
        return n
    mode = s.ins[row + PERMITS] >> MODE_AT
    if mode < IN_CONTINUOUS:
        join_call(door(s), x, row, g, price)
        return n
    return _come_in(door(s), n, c, x, row, g, price, trades)


@outline
def _come_in(d, n, c, x, row, g, price, trades):
    """Trade an accepted order where orders trade, and settle what is left (R23-R26, R46, R48, R59)."""
    s = core(d)
    qty = I(s.n4[x * NODE4 + LEAVES])
    flags = I(s.n4[x * NODE4 + FLAGS])
    key = I(s.n4[x * NODE4 + SMP_KEY])
    smp = (flags >> FLAG_SMP) & 7
    minimum = high_word(s.cmd[c + 11])
    limit = within_bounds(s, x, price)
    if minimum != 0 and not (trades and fok_fills(door(s), row, 1 - g, limit, minimum, key, smp)):
        return cancel_incoming(door(s), n, x, I(BY_MINIMUM))
    s.h[FIRST_TRADE] = s.h[NEXT_TRADE]
    if trades and ((flags >> FLAG_TIF) & 7 != FOK or fok_fills(door(s), row, 1 - g, limit, qty, key, smp)):
        bring_in(s, x, price, True)
    else:
        bring_in(s, x, price, False)
    return n
