"""How a kernel reaches the arrays: the tuple `Core`, and the door by which functions that are not inlined get it.

Compiled, every array is a typed pointer whose address stands in the header, so a call passes one pointer instead of
twenty-one and Python passes three arrays.  In the other lanes the tuple of arrays itself is passed.
"""

from __future__ import annotations

from collections import namedtuple

from engine.core.lane import LANE, address, as_int32, as_int64, as_uint64, inline, pointer, prefetch, prefetch_either
from engine.core.layout import ADDRESSES

Core = namedtuple(
    "Core", "h ins link n4 n8 bits far tab seen ids direct spill acc scratch more tree work ctl pos own cost cmd ev"
)
(
    INS, LINK, N4, N8, BITS, FAR, TAB, SEEN, IDS, DIRECT, SPILL, ACC, SCRATCH, MORE, TREE, WORK, CTL, POS, OWN,
    COST, CMD, EV,
) = range(ADDRESSES, ADDRESSES + 22)  # fmt: skip

if LANE == "compiled":

    @inline
    def core(d):
        """The arrays behind a door."""
        return Core(d, as_int64(d[INS]), as_int32(d[LINK]), as_int32(d[N8]), as_int64(d[N8]), as_uint64(d[BITS]),
                    as_int64(d[FAR]), as_int32(d[TAB]), as_uint64(d[SEEN]), as_int64(d[IDS]), as_int32(d[DIRECT]),
                    as_int64(d[SPILL]), as_int64(d[ACC]), as_int64(d[SCRATCH]), as_int64(d[MORE]), as_int64(d[TREE]),
                    as_int64(d[WORK]), as_int64(d[CTL]), as_int64(d[POS]), as_int64(d[OWN]), as_int64(d[COST]),
                    as_int64(d[CMD]), as_int64(d[EV]))  # fmt: skip

    @inline
    def door(s):
        """What to hand to a function that is not inlined."""
        return s.h

    @inline
    def enter(handle, cmd, ev):
        """The arrays of a state, given its header, and the caller's commands and events."""
        h = pointer(handle)
        h[CMD] = address(pointer(cmd))  # rows of 128 bytes, read and written as words
        h[EV] = address(pointer(ev))
        return core(h)

    @inline
    def fetch(array, index):
        """Ask for the cache line of array[index] ahead of its use; changes nothing."""
        prefetch(array, index)

    @inline
    def fetch_either(first, array, index, other, place):
        """Ask for the cache line of array[index] or of other[place]."""
        prefetch_either(first, array, index, other, place)

else:

    @inline
    def fetch(array, index):
        return None

    @inline
    def fetch_either(first, array, index, other, place):
        return None

    @inline
    def core(d):
        return d

    @inline
    def door(s):
        return s

    @inline
    def enter(handle, cmd, ev):
        return Core(handle[0], handle[1], handle[2], handle[3], handle[4], handle[5], handle[6], handle[7], handle[8],
                    handle[9], handle[10], handle[11], handle[12], handle[13], handle[14], handle[15], handle[16],
                    handle[17], handle[18], handle[19], handle[20], cmd, ev)  # fmt: skip


__all__ = ["Core", "core", "door", "enter", "fetch", "fetch_either"]
