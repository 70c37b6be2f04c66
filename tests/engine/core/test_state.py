"""The arrays are as large as the limits say, and limits that cannot be served are refused."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest

from engine.core.lane import LANE
from engine.core.layout import (
    CONTROL_WORDS,
    COST_WORDS,
    DIRECT_MASK,
    HEADER_WORDS,
    ID_BITS,
    ID_GROUPS,
    ID_LIMIT,
    LEVEL_LIMIT,
    LINKS,
    NODE8,
    ORDER_BASE,
    ORDER_LIMIT,
    OUTSIDE_LEVELS,
    PLACES,
    POSITION_WORDS,
    RULE_OF,
    SPILL_MASK,
    STRIDE,
)
from engine.core.memory import BITS, Core
from engine.core.state import Arrays, _power
from engine.schema import CODE_RULE, MAX_CURRENCIES, Limits
from tests.engine.world import BUY, SELL, World

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

LEAST = Limits(instruments=1, accounts=1, orders=1, levels=1, day_ids=1)


@pytest.mark.parametrize("limits", (LEAST, Limits(3, 5, 7, 11, 13), Limits(2, 2, 65, 129, 129)))
def test_tables_have_room_for_what_they_hold_and_more(limits: Limits) -> None:
    a = Arrays(limits)
    for size, least in (
        (a.direct.size, 4 * limits.orders),
        (a.spill.size // 2, 2 * limits.orders),
    ):
        assert size >= max(64, least) and size & (size - 1) == 0
    assert [int(a.h[field]) + 1 for field in (DIRECT_MASK, SPILL_MASK)] == [a.direct.size, a.spill.size // 2]
    assert a.tab.size == int(a.h[ID_GROUPS]) * PLACES >= 1.25 * limits.day_ids + 1
    assert limits.day_ids < 1 << int(a.h[ID_BITS]) <= 1 << 27
    assert [int(a.h[field]) for field in (ORDER_LIMIT, ID_LIMIT, LEVEL_LIMIT)] == [
        limits.orders, limits.day_ids, limits.levels,
    ]  # fmt: skip
    assert a.h.size == HEADER_WORDS
    assert a.link.size == a.n8.size // NODE8 * LINKS
    stride = limits.instruments + 1
    assert int(a.h[STRIDE]) == stride and a.ctl.size == stride * CONTROL_WORDS
    assert a.pos.size == a.own.size == (limits.accounts + 1) * stride * POSITION_WORDS
    assert a.cost.size == (MAX_CURRENCIES + 1) * stride * COST_WORDS
    assert int(a.h[ORDER_BASE]) == limits.levels + limits.instruments * OUTSIDE_LEVELS + 1
    assert {code: int(a.h[RULE_OF + code]) for code in CODE_RULE} == CODE_RULE


def test_powers() -> None:
    assert [_power(least) for least in (0, 1, 64, 65, 128, 129)] == [64, 64, 64, 128, 128, 256]


def test_both_views_of_the_records_are_one_memory() -> None:
    a = Arrays(LEAST)
    a.n8[9] = 0x0123456789ABCDEF
    assert [hex(word) for word in a.n4[18:20].tolist()] == ["-0x76543211", "0x1234567"]
    assert a.n4.size == 2 * a.n8.size


@pytest.mark.parametrize("field", Limits._fields)
@pytest.mark.parametrize("size", (0, -1, 1 << 27))
def test_a_limit_out_of_range_is_refused_by_name(field: str, size: int) -> None:
    with pytest.raises(ValueError, match=field):
        Arrays(LEAST._replace(**{field: size}))


def test_more_accounts_than_a_self_match_key_can_tell_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="32,767"):
        Arrays(LEAST._replace(accounts=1 << 15))
    assert Arrays(LEAST._replace(accounts=(1 << 15) - 1)).acc.size


def test_more_instruments_than_a_cursor_can_name_are_refused() -> None:
    with pytest.raises(ValueError, match="16,777,215"):
        Arrays(LEAST._replace(instruments=1 << 24))


def test_a_venue_is_not_copied() -> None:
    """A copy would hold the addresses of the original, and its kernels would write there."""
    world = World()
    for copying in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be copied"):
            copying(world.state.arrays)
    for copying in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be copied"):
            copying(world.state)


def test_kernels_are_handed_the_arrays_of_the_lane() -> None:
    a = Arrays(LEAST)
    if LANE == "compiled":
        assert a.handle is a.h
        assert int(a.h[BITS]) == a.bits.ctypes.data
    else:
        assert [array.dtype for array in a.handle] == [getattr(a, name).dtype for name in Core._fields[:-2]]
        assert all(given is getattr(a, name) for given, name in zip(a.handle, Core._fields, strict=False))


def test_a_venue_as_small_as_can_be_trades() -> None:
    world = World(Limits(1, 4, 2, 2, 8), terms=({"min_price": "5", "max_price": "5"},))
    world.place(1, SELL, 3, 5)
    assert world.place(3, BUY, 3, 5)["leaves_qty"].tolist() == [3, 0]
    assert world.book() == {"bids": [], "asks": []}


def test_memory_is_reserved_once() -> None:
    """Thousands of commands leave no more Python memory behind than hundreds."""
    world = World()
    world.checks = False

    def day(count: int) -> None:
        for _ in range(count):
            world.state.arrays.h[8] = 0  # a new day's ids, or the table would fill up
            world.state.arrays.tab[:] = 0
            world.place(1, BUY, 1, 100)
            world.mass_cancel(1)

    day(50)
    tracemalloc.start()
    day(20)
    before, _ = tracemalloc.get_traced_memory()
    day(200)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 20_000
    assert np.count_nonzero(world.state.arrays.direct) == 0
