"""Orders that a new trading day finds again (R45): the form of a restore, and putting the order where it waited."""

from __future__ import annotations

from engine.core.accounts import BY_MARGIN, overloads
from engine.core.book import append, join, wait_as_stop
from engine.core.controls import outside_contract, outside_limits
from engine.core.entry import (
    DUPLICATE,
    GTD,
    LIMIT,
    MALFORMED,
    PRICE_BAND,
    RESTORED_EVENT,
    STOP,
    STOP_LIMIT,
    UNKNOWN_ACCOUNT,
    UNKNOWN_INSTRUMENT,
    bears_id,
    enter_other,
    high_word,
    is_lasting,
    look_up,
    low_word,
    room_for,
    take_record,
)  # fmt: skip
from engine.core.events import put_id, put_order_row, reject_place
from engine.core.ids import find_order
from engine.core.lane import I, outline
from engine.core.layout import (
    ACCOUNTS,
    ASIDE,
    DISPLAY,
    EXPIRE,
    ICEBERG,
    INSTRUMENT_WORDS,
    INSTRUMENTS,
    MORE_WORDS,
    NEXT_EXPIRY,
    RESTORED,
    SEQ,
    SHOWN,
    STOPPED,
    SUSPENDED,
)  # fmt: skip
from engine.core.memory import core, door
from engine.schema import INACTIVE, MAX_ORDER_QTY, MAX_SMP_ID


@outline
def _restore_form(d, c):
    """R2 of a restore, as R45 has it; whether it is well formed."""
    s = core(d)
    w0 = s.cmd[c]
    side = (w0 >> 8) & 255
    ord_type = (w0 >> 16) & 255
    tif = (w0 >> 24) & 255
    qty = s.cmd[c + 3]
    smp_id = high_word(s.cmd[c + 1])
    if side < 1 or side > 2 or (w0 >> 32) & 255 > 5 or w0 >> 48 != 0 or not bears_id(door(s), c):
        return False
    if qty < 1 or qty > MAX_ORDER_QTY or smp_id < 0 or smp_id > MAX_SMP_ID or not is_lasting(tif):
        return False
    stop = ord_type == STOP or ord_type == STOP_LIMIT
    if ord_type != LIMIT and not stop:
        return False
    leaves = high_word(s.cmd[c + 11])
    display = low_word(s.cmd[c + 11])
    shown = s.cmd[c + 9]
    if leaves < 1 or leaves > qty or display < 0 or display > MAX_ORDER_QTY or (display != 0 and stop):
        return False
    if (display == 0 and shown != 0) or (display != 0 and (shown < 1 or shown > min(display, leaves))):
        return False
    expire = s.cmd[c + 12]
    if (tif == GTD and expire < 1) or (tif != GTD and expire != 0):
        return False
    order_id = s.cmd[c + 8]
    return order_id >= 1 and order_id < s.h[SEQ] and find_order(s, order_id) == 0


@outline
def restore(d, n, c):
    """ORDER_RESTORE, while a trading day is being opened (R45)."""
    s = core(d)
    h = s.h
    if not _restore_form(door(s), c):
        return reject_place(door(s), n, c, I(MALFORMED))
    account = s.cmd[c + 15] & 0xFFFFFFFF
    if account - 1 >= h[ACCOUNTS] or account == 0:
        return reject_place(door(s), n, c, I(UNKNOWN_ACCOUNT))
    instrument = s.cmd[c + 1] & 0xFFFFFFFF
    if instrument - 1 >= h[INSTRUMENTS] or instrument == 0:
        return reject_place(door(s), n, c, I(UNKNOWN_INSTRUMENT))
    key, e = look_up(door(s), account, c)
    if e != 0:
        return reject_place(door(s), n, c, I(DUPLICATE))
    row = instrument * INSTRUMENT_WORDS
    w0 = s.cmd[c]
    g = ((w0 >> 8) & 255) - 1
    ord_type = (w0 >> 16) & 255
    stop = ord_type != LIMIT
    price = s.cmd[c + 2] if ord_type != STOP else I(0)
    if (ord_type != STOP and outside_contract(s, row, price)) or (stop and outside_contract(s, row, s.cmd[c + 10])):
        return reject_place(door(s), n, c, I(PRICE_BAND))
    if overloads(door(s), account, instrument, g, high_word(s.cmd[c + 11])):
        return reject_place(door(s), n, c, I(BY_MARGIN))
    suspended = not stop and outside_limits(s, row, price)
    code = room_for(door(s), c, row, g, price, not stop and not suspended, stop)
    if code != 0:
        return reject_place(door(s), n, c, code)
    x = take_record(s)
    leaves = high_word(s.cmd[c + 11])
    display = low_word(s.cmd[c + 11])
    extra = I(STOPPED) if stop else I(0)
    if suspended:
        extra |= SUSPENDED
    if display != 0:
        extra |= ICEBERG
    enter_other(door(s), c, x, account, instrument, s.cmd[c + 8], price, leaves, key, extra)
    s.more[x * MORE_WORDS + DISPLAY] = display
    s.more[x * MORE_WORDS + SHOWN] = s.cmd[c + 9]
    if s.cmd[c + 12] != 0:
        s.more[x * MORE_WORDS + EXPIRE] = s.cmd[c + 12]
        h[NEXT_EXPIRY] = min(h[NEXT_EXPIRY], s.cmd[c + 12])
    if stop:
        wait_as_stop(door(s), row, g, x, s.cmd[c + 10])
    elif suspended:
        append(s, s.ins[row + ASIDE], x)
    else:
        join(s, row, g, x, price)
    h[RESTORED] += 1
    put_order_row(door(s), n, I(RESTORED_EVENT), x, leaves, display, s.cmd[c + 10] if stop else I(0), I(0),
                  I(INACTIVE) if stop or suspended else I(0))  # fmt: skip
    put_id(s, n, s.cmd, c + 4)
    return n + 1
