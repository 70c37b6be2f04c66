"""Sorting of order ids in the scratch array: heap sort, without recursion and without allocation."""

from __future__ import annotations

from engine.core.lane import I, outline
from engine.core.memory import core, door


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
def sort_scratch(d, count):
    """Sort scratch[0:count], rising."""
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


__all__ = ["sort_scratch"]
