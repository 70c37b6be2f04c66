"""The tuple that kernels work on, and the door by which it is handed over."""

import numpy as np
import pytest

from engine.apply import new_state
from engine.core.lane import LANE, inline, outline
from engine.core.memory import CMD, EV, INS, Core, core, door, enter, fetch
from engine.schema import Limits
from tests.engine.core.alone import alone

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]
TINY = Limits(1, 1, 1, 64, 1)


@outline
def deeper(d, value):
    s = core(d)
    s.ins[3] = value
    s.n8[8] = value + 1
    s.bits[1] |= s.bits[1] - s.bits[1]
    return s.n4[16] + s.cmd[2]


@inline
def write(s, value):
    s.ev[5] = value


@alone  # as `run`, but not kept: it is of no use to anybody else
@outline
def through_the_door(handle, cmd, ev, value):
    s = enter(handle, cmd, ev)
    fetch(s.tab, value)
    write(s, value)
    return deeper(door(s), value)


def test_what_is_written_through_the_door_is_in_the_arrays() -> None:
    state = new_state(TINY)
    a = state.arrays
    cmd, ev = np.arange(16), np.zeros(16, np.int64)
    assert through_the_door(a.handle, cmd, ev, 41) == 42 + 2
    assert a.ins[3] == 41 and a.n8[8] == 42 and ev.tolist() == [0] * 5 + [41] + [0] * 10


def test_addresses_stand_in_the_order_of_the_tuple() -> None:
    assert Core._fields.index("cmd") == CMD - INS + 1 and Core._fields.index("ev") == EV - INS + 1
    if LANE == "compiled":
        a = new_state(TINY).arrays
        stored = [int(a.h[INS + place]) for place in range(len(Core._fields) - 3)]
        assert stored == [getattr(a, name).ctypes.data for name in Core._fields[1:-2]]


def test_two_venues_of_one_process_do_not_meet() -> None:
    first, second = new_state(TINY), new_state(TINY)
    cmd, ev = np.arange(16), np.zeros(16, np.int64)
    through_the_door(first.arrays.handle, cmd, ev, 41)
    assert not second.arrays.ins.any() and not second.arrays.n8[8]
