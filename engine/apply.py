"""The single door into the core: kernel, act, kernel, until a block of commands is done.

`apply` is a total function of (state, commands, payload): it raises only for a caller's mistake (wrong dtype, a
buffer too small), never for what a command says; refusals are events.
"""

from __future__ import annotations

import gc
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.acts import ACTS, Fact, Refusal
from engine.acts.common import read_payload
from engine.core import lane
from engine.core.kernel import run
from engine.core.layout import (
    BASE,
    FRESH,
    NEXT_TRADE,
    OP,
    OPEN,
    PENDING,
    RESTATING,
    SEQ,
    STAGE,
    TIME,
)  # fmt: skip
from engine.core.state import Arrays
from engine.schema import (
    CODE_RULE,
    COMMAND,
    EVENT,
    LAST,
    MAX_EVENTS_PER_CALL,
    Code,
    CommandKind,
    EventKind,
    Limits,
)  # fmt: skip

if not __debug__:
    raise SystemExit("the exchange does not run with python -O: its assertions stay on")

Rows = npt.NDArray[Any]
WORD = np.dtype(np.int64)
MIN_EVENT_ROOM = 16
POOL_ROWS = 1 << 15
_DEFINITIONS = (
    CommandKind.INSTRUMENT_DEFINE, CommandKind.ACCOUNT_DEFINE, CommandKind.CONTROL_SET, CommandKind.LIMIT_SET,
    CommandKind.COLLATERAL_SET, CommandKind.FIXING_SET, CommandKind.MARGIN_SET, CommandKind.FEE_SET,
    CommandKind.CAP_SET, CommandKind.KILL_SET,
)  # fmt: skip
_RESTATES = (CommandKind.POSITION_RESTORE, CommandKind.BALANCE_RESTORE, CommandKind.DAY_START)
# Acts that are in place at each stage of the trading day (R44).
_BY_STAGE = {
    FRESH: (*_DEFINITIONS, CommandKind.PHASE_SET, CommandKind.AUCTION_UNCROSS, CommandKind.DAY_OPEN),
    RESTATING: (*_DEFINITIONS, *_RESTATES),
    OPEN: (*_DEFINITIONS, CommandKind.PHASE_SET, CommandKind.AUCTION_UNCROSS),
}


class State:
    """One venue: the core's arrays and the names that acts gave to numbers."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.arrays = Arrays(limits)
        self.symbols: dict[str, int] = {}
        self.instrument_terms: list[dict[str, Any]] = []
        self.controls: list[dict[str, Any]] = []  # what control.set has named, by instrument
        self.account_numbers: dict[str, int] = {}
        self.account_terms: list[dict[str, str]] = []
        self.commodities: dict[str, int] = {}
        self.ccys: dict[str, int] = {}  # of accounts, margins, fees and fixings
        self.fixings: dict[tuple[str, str], tuple[str, str]] = {}  # (of, per): date, rate
        self.margins: dict[tuple[int, str], int] = {}  # (instrument, currency)
        self.fees: dict[tuple[int, str], tuple[str, int, int, int]] = {}  # basis, taker, maker, auction
        self.caps: dict[tuple[str, str], int] = {}  # (commodity, owner or "")
        self.kills: set[tuple[str, str]] = set()  # (scope, whom)
        self.members: dict[str, int] = {}
        self.owners: dict[str, int] = {}
        self.groups: dict[str, int] = {"": 0}
        self.trading_day = ""
        self.margined = False
        self.backlog: Rows = np.zeros(0, EVENT)  # events of an act that await room
        # What `apply` was given last and found to be right: types of rows, and the buffer, how many of its rows are
        # used, and its words. To compare a type, or to tell the compiler's kind of an array of rows, costs more than
        # a command.
        self.command_type: Any = COMMAND
        self.event_type: Any = EVENT
        self.checked: Rows | None = None
        self.room = 0
        self.words = np.zeros(0, np.int64)
        self.pool: Rows = np.empty(POOL_ROWS, EVENT)  # rows that `run_block` gives out, from pool_at on
        self.pool_at = 0

    @property
    def pending(self) -> bool:
        """Whether the last command still has events to write (R36)."""
        return bool(self.arrays.h[PENDING] != 0) or self.backlog.size > 0

    @property
    def seq(self) -> int:
        """Sequence number of the last command carried out."""
        return int(self.arrays.h[SEQ])

    @property
    def time(self) -> int:
        """Venue time in ns (R1)."""
        return int(self.arrays.h[TIME])

    @property
    def next_trade_id(self) -> int:
        """The id that the next trade will have (R22)."""
        return int(self.arrays.h[NEXT_TRADE])


def new_state(limits: Limits | None = None) -> State:
    """An empty venue; compiles the core (or loads it from its cache) the first time in a process."""
    warm()
    return State(Limits() if limits is None else limits)


_WARM = False


def warm() -> bool:
    """Make the kernels ready; True if they had to be compiled."""
    global _WARM
    if _WARM:
        return False
    _WARM = True
    if lane.CACHE is None:
        return False
    from engine import kernel_cache

    fresh = not kernel_cache.is_sealed(lane.CACHE)
    state = State(Limits(1, 1, 1, 64, 1))
    collects = gc.isenabled()
    gc.disable()  # compiling makes millions of objects and hardly any garbage: a sixth of its time
    try:
        run(state.arrays.handle, np.zeros(0, np.int64), np.zeros(0, np.int64), 0, 0, 0, MIN_EVENT_ROOM)
    finally:
        if collects:
            gc.enable()
    if fresh:
        kernel_cache.seal(lane.CACHE)
    return fresh


def apply(state: State, commands: Rows, payload: bytes, events: Rows) -> tuple[int, int]:
    """Carry out commands in order and write their events from the start of `events`.

    commands: C-contiguous, writeable ndarray[COMMAND], stamped (rows that may not be written are another type to
    the compiler, which would build the kernels anew); payload: the block's payload section; events: C-contiguous
    ndarray[EVENT] of at least 16 rows, of which at most 65,536 are used.  Returns (commands consumed, events written).
    May stop early for want of room: drain the events and call again with the rest while `state.pending` or commands
    remain.
    """
    if commands.dtype is not state.command_type:
        assert commands.dtype == COMMAND
        state.command_type = commands.dtype
    assert commands.flags.carray, "the kernel reads rows as plain words, and has one type"
    if events is not state.checked:  # mostly the buffer is that of the call before
        if events.dtype is not state.event_type:
            assert events.dtype == EVENT
            state.event_type = events.dtype
        assert events.size >= MIN_EVENT_ROOM
        assert events.flags.carray, "the kernel writes rows as plain words"
        state.checked, state.room = events, min(events.size, MAX_EVENTS_PER_CALL)
        state.words = events.view(np.int64)
    handle, words, room = state.arrays.handle, state.words, state.room
    rows = np.frombuffer(commands, WORD)  # as words; a view of them would take twice as long
    done = written = 0
    count = len(commands)
    if state.backlog.size:
        written = _flush(state, events, 0, room)
        if state.backlog.size:
            return 0, written
    while True:
        out = run(handle, rows, words, done, count, written, room)
        done, written = out >> 32, out & 0xFFFFFFFF
        if done == count or state.arrays.h[PENDING] != 0 or room - written < MIN_EVENT_ROOM // 2:
            return done, written
        state.backlog = _act(state, commands[done], payload)
        done += 1
        written = _flush(state, events, written, room)
        if state.backlog.size:
            return done, written


def _flush(state: State, events: Rows, written: int, room: int) -> int:
    take = min(room - written, state.backlog.size)
    events[written : written + take] = state.backlog[:take]
    state.backlog = state.backlog[take:]
    return written + take


def _act(state: State, command: Any, payload: bytes) -> Rows:
    """Carry out one act; its event rows (a cursor may be left for what the kernel is to do after them)."""
    h = state.arrays.h
    kind = int(command["kind"])
    h[SEQ] = command["seq"]
    h[TIME] = max(int(h[TIME]), int(command["time"]))
    h[OP] = kind
    code = Code.OK
    facts: list[Fact]
    try:
        if kind not in _BY_STAGE[int(h[STAGE])]:
            raise Refusal(Code.DAY_ORDER)
        facts = ACTS[kind](state, read_payload(payload, int(command["target_lo"]), int(command["target_hi"])))
    except Refusal as refusal:
        code = refusal.code
        facts = [Fact(EventKind.ACT_REJECTED)]
    if h[STAGE] == FRESH:
        h[STAGE] = OPEN
    rows = np.zeros(len(facts), EVENT)
    rows["seq"], rows["time"], rows["op"] = h[SEQ], h[TIME], kind
    rows["index"] = np.arange(len(facts))
    rows["code"], rows["rule"] = code, CODE_RULE.get(code, 0)
    for column in Fact._fields:
        rows[column] = [getattr(fact, column) for fact in facts]
    if h[PENDING] == 0:
        rows["flags"][-1] |= LAST
    else:
        h[BASE] = -len(facts)
    return rows


def run_block(state: State, commands: Rows, payload: bytes = b"") -> Rows:
    """All events of a block of commands, in an array that nobody else writes.

    Small blocks get consecutive slices of one large array: making an array of structured rows costs more than
    a command."""
    count = len(commands)
    start = state.pool_at
    if start + 3 * count + MIN_EVENT_ROOM > POOL_ROWS:
        state.pool, start = np.empty(POOL_ROWS, EVENT), 0
    done, written = apply(state, commands, payload, state.pool[start:])
    state.pool_at = start + written
    parts = [state.pool[start : start + written]]
    if done == count and not state.pending:
        return parts[0]
    while done < count or state.pending:
        events = np.empty(MAX_EVENTS_PER_CALL, EVENT)
        consumed, written = apply(state, commands[done:], payload, events)
        done += consumed
        parts.append(events[:written].copy())
    return np.concatenate(parts)


def act_payload(terms: dict[str, Any]) -> bytes:
    """Canonical JSON of an act's terms (DESIGN: UTF-8, sorted keys, no spaces)."""
    return json.dumps(terms, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
