"""The state of the core: preallocated arrays sized by Limits, and nothing else.

Memory is reserved, not touched: the system gives pages as orders arrive, so generous limits cost nothing at start.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.core.lane import LANE
from engine.core.layout import (
    ACCOUNT_WORDS,
    ADDRESSES,
    BITS_USED,
    BLIND,
    BUMP,
    CONTROL_WORDS,
    COST_WORDS,
    DIRECT_MASK,
    ENTRY_WORDS,
    FAR_USED,
    GATE,
    HEADER_WORDS,
    ID_BITS,
    ID_GROUPS,
    ID_LIMIT,
    IDS,
    INSTRUMENT_WORDS,
    LEVEL_LIMIT,
    LEVELS_USED,
    MORE_WORDS,
    NEVER,
    NEXT_EXPIRY,
    NEXT_TRADE,
    NO_ACCOUNT,
    NODE4,
    NODE8,
    ORDER_BASE,
    ORDER_LIMIT,
    OUTSIDE_LEVELS,
    PLACES,
    POSITION_WORDS,
    RULE_OF,
    SEEN_WORDS,
    SPILL_MASK,
    STRIDE,
    TELL_AT,
)  # fmt: skip
from engine.schema import CODE_RULE, MAX_CURRENCIES, MAX_FAR_LEVELS, Limits

Words = npt.NDArray[np.int64]
LINE_WORDS = 8
LARGE_PAGE = 2 << 20


def _power(least: int) -> int:
    size = 64
    while size < least:
        size *= 2
    return size


def _zeros(words: int) -> Words:
    """Zeros that begin at a cache line; many begin at a large page, and the system is asked to give such pages.

    numpy's own zeros may lie in memory that was in use before, and then in small pages: every look into a table is then
    a look into the page tables too.
    """
    if words * 8 < LARGE_PAGE:
        raw = np.zeros(words + LINE_WORDS, np.int64)
        skip = -raw.ctypes.data % (8 * LINE_WORDS) // 8
    else:
        whole = mmap.mmap(-1, words * 8 + LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            whole.madvise(mmap.MADV_HUGEPAGE)
        raw = np.frombuffer(whole, np.int64)
        skip = -raw.ctypes.data % LARGE_PAGE // 8
    return raw[skip : skip + words]


def _pieces(sizes: dict[str, int]) -> dict[str, Words]:
    """One memory cut into arrays of so many words by name, each beginning at a cache line."""
    begins, end = {}, 0
    for name, words in sizes.items():
        begins[name] = end
        end += -(-words // LINE_WORDS) * LINE_WORDS
    memory = _zeros(end)
    return {name: memory[begins[name] : begins[name] + words] for name, words in sizes.items()}


class Arrays:
    """All arrays of one venue (fields and strides: engine/core/layout.py).

    h header; ins instruments; link the queues; n4, n8 the records of levels and orders (the same memory as int32 and
    int64); bits the occupancy bitmaps; far the far lists (price, level); tab the table of client ids, ids the ids;
    direct, spill the order index; acc accounts; scratch room for sorting; more what few orders have; tree the sums of
    calls; work what phases bring; ctl the price controls; pos positions and open lots, own their sums by owner and
    commodity; cost margins and fees.
    """

    __slots__ = (
        "acc", "bits", "cost", "ctl", "direct", "far", "h", "handle", "ids", "ins", "link", "more", "n4", "n8", "own",
        "pos", "scratch", "seen", "spill", "tab", "tree", "work",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        for name, size in limits._asdict().items():
            if not 0 < size < 1 << 27:
                raise ValueError(f"limit {name} out of range: {size}")
        if limits.accounts >= 1 << 15:
            raise ValueError("more than 32,767 accounts are not supported")
        if limits.instruments >= 1 << 24:
            raise ValueError("more than 16,777,215 instruments are not supported")
        levels = limits.levels + limits.instruments * OUTSIDE_LEVELS
        order_base = levels + 1
        stride = limits.instruments + 1
        positions = (limits.accounts + 1) * stride * POSITION_WORDS
        groups = -(-(limits.day_ids + limits.day_ids // 4) // PLACES) + 1
        # What every command needs comes first, for small arrays then share a large page.
        pieces = _pieces({
            "h": HEADER_WORDS,
            "ins": stride * INSTRUMENT_WORDS,
            "bits": limits.levels // 16 + 16 * limits.instruments,
            "acc": (limits.accounts + 1) * ACCOUNT_WORDS,
            "link": order_base + limits.orders,
            "n8": (order_base + limits.orders) * NODE8,
            "direct": _power(4 * limits.orders) // 2,
            "pos": positions,
            "tab": groups * PLACES // 2,
            "seen": limits.day_ids // 8 + 1,
            "ids": (limits.day_ids + 1) * ENTRY_WORDS,
            "spill": 2 * _power(2 * limits.orders),
            "ctl": stride * CONTROL_WORDS,
            "work": stride,
            "cost": (MAX_CURRENCIES + 1) * stride * COST_WORDS,
            "own": positions,
            "more": (order_base + limits.orders) * MORE_WORDS,
            "tree": limits.levels + 2 * stride,
            "far": 2 * (levels + MAX_FAR_LEVELS),
            "scratch": limits.orders + 1,
        })  # fmt: skip
        self.h, self.ins, self.acc, self.n8, self.ids = (pieces[name] for name in ("h", "ins", "acc", "n8", "ids"))
        self.spill, self.ctl, self.work, self.cost = (pieces[name] for name in ("spill", "ctl", "work", "cost"))
        self.pos, self.own, self.more, self.tree = (pieces[name] for name in ("pos", "own", "more", "tree"))
        self.far, self.scratch = pieces["far"], pieces["scratch"]
        self.link, self.direct = pieces["link"].view(np.int32), pieces["direct"].view(np.int32)
        self.bits, self.seen = pieces["bits"].view(np.uint64), pieces["seen"].view(np.uint64)
        self.n4, self.tab = self.n8.view(np.int32), pieces["tab"].view(np.int32)
        assert self.n4.size == self.n8.size // NODE8 * NODE4
        self.acc[GATE] = NO_ACCOUNT
        self.h[STRIDE] = stride
        self.h[NEXT_EXPIRY] = NEVER
        self.h[TELL_AT] = 1
        self.h[BUMP] = self.h[ORDER_BASE] = order_base
        self.h[ORDER_LIMIT], self.h[ID_LIMIT], self.h[LEVEL_LIMIT] = limits.orders, limits.day_ids, limits.levels
        self.h[LEVELS_USED] = self.h[NEXT_TRADE] = 1
        self.h[ID_GROUPS], self.h[ID_BITS] = groups, limits.day_ids.bit_length()
        self.h[SEEN_WORDS] = self.seen.size
        self.h[DIRECT_MASK] = self.direct.size - 1
        self.h[SPILL_MASK] = self.spill.size // 2 - 1
        self.h[BITS_USED] = self.h[FAR_USED] = 0
        for code, rule in CODE_RULE.items():
            self.h[RULE_OF + code] = rule

        arrays: tuple[npt.NDArray[Any], ...] = (
            self.h, self.ins, self.link, self.n4, self.n8, self.bits, self.far, self.tab, self.seen, self.ids,
            self.direct, self.spill, self.acc, self.scratch, self.more, self.tree, self.work, self.ctl, self.pos,
            self.own, self.cost,
        )  # fmt: skip
        for place, array in enumerate(arrays[1:]):
            self.h[ADDRESSES + place] = array.ctypes.data
        self.handle: Any = self.h if LANE == "compiled" else arrays
        """What `kernel.run` takes: the header, which holds the addresses of the rest, or the arrays themselves."""

    def go_blind(self) -> None:
        """From now on commands are not known before their turn.  ValueError once there are client ids."""
        if self.h[IDS]:
            raise ValueError("this venue has taken client ids already")
        self.h[BLIND] = 1

    def touch(self) -> None:
        """Have the system give all the memory now: a virtual machine may take milliseconds for each new piece."""
        for name in self.__slots__:
            if name != "handle":
                getattr(self, name).view(np.int64)[:: 4096 // 8] += 0

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be copied or pickled: the header holds addresses, so a copy would write into the original."""
        raise TypeError("a venue cannot be copied; replay its log instead")
