"""The places that kernels read and write by number are those of the records in the schema."""

import numpy as np
import pytest

from engine.core import layout
from engine.core.layout import (
    ACCOUNT,
    ADDRESSES,
    BEARS,
    CURSOR_REASON,
    ENTRY,
    FAR_LEVELS,
    FLAG_POST,
    FLAG_SMP,
    FLAG_TIF,
    FLAG_TYPE,
    FLAGS,
    HEADER_WORDS,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    LEAVES,
    LEVEL,
    LINKS,
    NEXT,
    NO_BUY,
    NO_SELL,
    NODE4,
    NODE8,
    ORDER_ID,
    PREV,
    PRICE,
    QTY,
    RULE_OF,
    SESSION,
    SMP_KEY,
    STOPS,
)
from engine.core.memory import Core
from engine.phases import Mode, Permit
from engine.schema import (
    COMMAND,
    COMMAND_WORDS,
    EVENT,
    EVENT_WORDS,
    MAX_PRICE_TICKS,
    TRADE,
    WINDOW_SLICES,
    Code,
    OrdType,
    Side,
    Smp,
    TimeInForce,
)

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

# The word of a row and the bit in it at which the kernels look for a field.
COMMAND_PLACES = {
    "kind": (0, 0), "side": (0, 8), "ord_type": (0, 16), "time_in_force": (0, 24), "smp": (0, 32), "flags": (0, 40),
    "reserved": (0, 48), "instrument": (1, 0), "smp_id": (1, 32), "price": (2, 0), "order_qty": (3, 0),
    "cl_ord_id": (4, 0), "target_lo": (8, 0), "target_hi": (9, 0), "stop_price": (10, 0), "display_qty": (11, 0),
    "min_qty": (11, 32), "expire_time": (12, 0), "seq": (13, 0), "time": (14, 0), "account": (15, 0),
    "client_session": (15, 32),
}  # fmt: skip
EVENT_PLACES = {
    "seq": (0, 0), "time": (1, 0), "index": (2, 0), "instrument": (2, 32), "account": (3, 0), "kind": (3, 32),
    "phase": (3, 40), "code": (3, 48), "rule": (4, 0), "flags": (4, 16), "side": (4, 24), "ord_type": (4, 32),
    "time_in_force": (4, 40), "reason": (4, 48), "op": (4, 56), "order_id": (5, 0), "price": (6, 0), "qty": (7, 0),
    "leaves_qty": (8, 0), "cum_qty": (9, 0), "cl_ord_id": (10, 0), "delta_qty": (14, 0), "old_price": (15, 0),
}  # fmt: skip
TRADE_PLACES = {
    "trade_id": (10, 0), "resting_order_id": (11, 0), "resting_account": (12, 0), "smp": (12, 32),
    "resting_leaves_qty": (13, 0), "fee": (14, 0), "resting_fee": (15, 0),
}  # fmt: skip


def places(record: np.dtype) -> dict[str, tuple[int, int]]:
    assert record.fields is not None
    return {name: (field[1] // 8, field[1] % 8 * 8) for name, field in record.fields.items()}


def test_rows_are_where_the_kernels_look() -> None:
    assert places(COMMAND) == COMMAND_PLACES
    assert places(EVENT) == EVENT_PLACES
    shared = {
        name: place for name, place in EVENT_PLACES.items() if name not in ("cl_ord_id", "delta_qty", "old_price")
    }
    assert places(TRADE) == {**shared, **TRADE_PLACES}
    assert COMMAND_WORDS == EVENT_WORDS == 16


def test_fields_of_a_record_do_not_overlap_and_fill_one_cache_line() -> None:
    narrow = [LEVEL, LEAVES, ACCOUNT, ENTRY, SMP_KEY, FLAGS, QTY, SESSION, INSTRUMENT, BEARS]
    wide = [half for field in (ORDER_ID, PRICE) for half in (2 * field, 2 * field + 1)]
    assert layout.TOTAL == ORDER_ID, "a level has no order_id"
    assert sorted((NEXT, PREV)) == [0, 1] and LINKS == 2, "links lie apart, eight to a line"
    assert sorted(narrow + wide) == sorted(set(narrow + wide))
    assert max(narrow + wide) < NODE4 == 2 * NODE8
    assert NODE8 * 8 == 64


def test_attributes_of_an_order_fit_their_bits() -> None:
    marks = (1 << FLAG_POST, layout.ICEBERG, layout.GIVES_UP, layout.UNPRICED, layout.STOPPED, layout.PARKED,
             layout.SUSPENDED)  # fmt: skip
    assert [mark.bit_count() for mark in marks] == [1] * 7 and len(set(marks)) == 7
    attributes = (0, Side), (FLAG_TYPE, OrdType), (FLAG_TIF, TimeInForce), (FLAG_SMP, Smp)
    taken = sum(marks)
    for place, values in attributes:
        bits = (1 << max(values).bit_length()) - 1 << place
        assert taken & bits == 0 and layout.AS_IN_COMMANDS & 0xFF << place == bits
        taken |= bits
    assert taken < 1 << 31, "FLAGS is an int32"
    assert sum(0xFF << place & layout.AS_IN_COMMANDS for place, _ in attributes[:3]) == layout.AS_IN_EVENTS
    assert attributes == tuple((COMMAND_PLACES[name][1] - 8, kind) for name, kind in (
        ("side", Side), ("ord_type", OrdType), ("time_in_force", TimeInForce), ("smp", Smp)))  # fmt: skip
    assert layout.OUTSIDE == layout.STOPPED | layout.PARKED | layout.SUSPENDED
    assert layout.APART == layout.OUTSIDE | layout.UNPRICED


def test_what_few_orders_have_does_not_overlap() -> None:
    assert sorted((layout.SHOWN, layout.DISPLAY, layout.EXPIRE)) == [0, 1, 2] and layout.MORE_WORDS > 2


def test_instrument_fields_do_not_overlap() -> None:
    pairs = [layout.LEVELS, layout.BEST, layout.BITS0, layout.BITS1, layout.BITS2, layout.FAR_COUNT, layout.FAR_BASE,
             layout.EDGE_PRICED]  # fmt: skip
    single = [layout.PHASE, layout.PLAIN_LOW, layout.PLAIN_HIGH, layout.MAX_QTY, layout.GATED, layout.WINDOW_LO,
              layout.WINDOW, layout.PERMITS, layout.WORDS2, layout.FAR_LEVELS, layout.LAST, layout.LAST_ID,
              layout.REFERENCE, layout.CLOSE, layout.CLOSE_KNOWN, layout.ASIDE]  # fmt: skip
    used = single + pairs + [field + 1 for field in pairs]
    assert sorted(used) == sorted(set(used))
    assert max(FAR_LEVELS, *used) < STOPS < INSTRUMENT_WORDS


def test_the_book_of_stops_has_its_own_fields_beside_those_of_the_call() -> None:
    """A book without a window uses these of its half, and the last two have to stay 0."""
    pairs = [layout.BEST, layout.FAR_COUNT, layout.FAR_BASE]
    stops = [STOPS + field for field in (*pairs, *(field + 1 for field in pairs), layout.WINDOW, layout.WINDOW_LO)]
    others = [layout.HIGH, layout.LOW, layout.OVERRIDE, layout.GROUP, layout.CALLING, layout.DIRTY, layout.TREE,
              layout.TREE + 1, layout.TOLD_PRICE, layout.TOLD_VOLUME, layout.TOLD_SURPLUS, layout.TOLD_STEP,
              layout.LEAVERS, layout.BUYS, layout.PROTECTION, layout.COMMODITY, layout.MIN_PRICE,
              layout.MAX_PRICE]  # fmt: skip
    used = stops + others
    assert sorted(used) == sorted(set(used)) and min(used) >= STOPS and max(used) < INSTRUMENT_WORDS


def test_fields_of_controls_accounts_and_costs_do_not_overlap() -> None:
    single = [layout.BAND_MIN, layout.BAND_MAX, layout.MAX_VALUE, layout.BAND, layout.BOUND_LOW, layout.BOUND_HIGH,
              layout.TRIGGERED, layout.EXTENSIONS, layout.SETTLEMENT, layout.STEP, layout.RUN_SIDE,
              layout.LOCKED]  # fmt: skip
    pairs = [layout.TICKS, layout.SLICE_NS]
    used = single + pairs + [field + 1 for field in pairs]
    assert sorted(used) == sorted(set(used)) and max(used) < layout.SLICES
    assert layout.WINDOW_WORDS == WINDOW_SLICES * layout.SLICE_WORDS
    assert layout.SLICES + 2 * layout.WINDOW_WORDS == layout.CONTROL_WORDS
    account = [
        layout.MEMBER,
        layout.OWNER,
        layout.OPEN_ORDERS,
        layout.GATE,
        layout.CCY,
        layout.BALANCE,
        layout.REQUIRED,
    ]
    assert sorted(set(account)) == account and max(account) < layout.ACCOUNT_WORDS
    gates = [layout.KILLED_ONE, layout.KILLED_MEMBER, layout.KILLED_ALL, layout.CHECKED, layout.NO_ACCOUNT]
    assert sum(gates) == layout.KILLED | layout.CHECKED | layout.NO_ACCOUNT == (1 << len(gates)) - 1
    assert layout.SELLS_OPEN == layout.BUYS_OPEN + 1 and layout.CAP == layout.HELD == layout.POSITION_WORDS - 1
    costs = [layout.VALUE, layout.VALUE_OF, layout.PER_LOT, layout.TAKER, layout.MAKER, layout.AUCTION, layout.BASIS,
             layout.WORST]  # fmt: skip
    assert costs == list(range(layout.COST_WORDS))
    assert (layout.BY_VALUE, layout.BY_TRIGGER, layout.BY_ACCOUNT) == (1, 2, 4)


def test_a_permit_is_read_apart_from_the_mode() -> None:
    assert max(Permit) < 1 << layout.MODE_AT and max(Mode) << layout.MODE_AT < 1 << 31


def test_a_task_is_read_apart_from_its_instrument() -> None:
    tasks = (layout.ENTERS_CALL, layout.ACTIVATES, layout.UNCROSSES, layout.IF_CROSSED, layout.SETS_CLOSE,
             layout.ELECTS)  # fmt: skip
    assert [task.bit_count() for task in tasks] == [1] * 6 and len(set(tasks)) == 6 and min(tasks) == 1 << 32


def test_header_fields_do_not_overlap() -> None:
    names = ("TIME ACCOUNTS INSTRUMENTS FREE BUMP LIVE ORDER_LIMIT NEXT_TRADE IDS ID_LIMIT ID_GROUPS DIRECT_MASK "
             "SPILL_MASK SPILLED ORDER_BASE LEVEL_LIMIT LEVELS_USED STAGE RESTORED SEQ BASE OP CAPACITY CURSOR "
             "CURSOR_RECORD CURSOR_AT CURSOR_COUNT CURSOR_REASON INCOMING_ENDED BITS_USED FAR_USED SUBJECT FIRST_TRADE "
             "NEXT_EXPIRY TREE_USED PENDING ELECT WORK_AT WORK_COUNT WORK_STEP WORK_SUB TELL_AT TELL_TO CLOSING "
             "CLOSING_OF UNCROSS_PRICE UNCROSS_LEFT UNCROSS_VOLUME STUCK STRIDE BLIND SPILL_TOP ID_BITS "
             "SEEN_WORDS LATE_COUNT LATE")  # fmt: skip
    used = [getattr(layout, name) for name in names.split()]
    assert len(set(used)) == len(used)
    assert CURSOR_REASON < max(used) < RULE_OF
    assert layout.LATE + layout.LATE_MOST <= RULE_OF and RULE_OF + max(Code) < ADDRESSES
    assert ADDRESSES + len(Core._fields) - 1 <= HEADER_WORDS


def test_prices_of_an_empty_side_are_beyond_every_price_and_their_distance_is_an_int64() -> None:
    assert NO_BUY < -MAX_PRICE_TICKS and MAX_PRICE_TICKS < NO_SELL
    assert NO_SELL + MAX_PRICE_TICKS < 1 << 63 and NO_BUY - MAX_PRICE_TICKS > -(1 << 63)
