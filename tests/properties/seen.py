"""What can be seen of a venue, and a venue to try refusals on: the core alone, or beside the reference.

A refusal is one coded event with its rule's number, and leaves all that can be seen as it was, but for seq and time.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
import pytest

from engine.reference import Reference
from engine.schema import CODE_RULE, COMMAND, LAST, Code, CommandKind, EventKind, Limits
from tests.flow import act_rows, encode
from tests.flow_mix import terms_of
from tests.properties.pair import Block, Core, Pair, Rows, unequal_parts

REFUSALS: Final = (EventKind.ORDER_REJECTED, EventKind.ORDER_STATUS, EventKind.ACT_REJECTED)
BESIDE: Final = ["core", "reference"]  # the two ways in which a property runs
NEWEST_ACTS: Final[tuple[tuple[CommandKind, dict[str, Any]], ...]] = (
    (CommandKind.DAY_OPEN, {"trading_day": "2026-11-23", "next_trade_id": 1}),
    (CommandKind.INSTRUMENT_DEFINE, {**terms_of("S1", "1", "1", "9", group="G1").payload, "commodity": "nuts"}),
    (CommandKind.ACCOUNT_DEFINE, {"account": "A1", "member": "M1", "owner": "B1", "ccy": "USD"}),
    (CommandKind.CONTROL_SET, {"symbol": "S1", "limit_steps": "700", "band_ticks": 5}),
    (CommandKind.LIMIT_SET, {"symbol": "S1", "step": 1, "locked": 1, "side": 1}),
    (CommandKind.FIXING_SET, {"date": "2026-11-23", "ccy": "USD", "per": "USD", "rate": "1"}),
    (CommandKind.MARGIN_SET, {"group": "G1", "ccy": "USD", "per_lot": 1}),
    (CommandKind.FEE_SET, {"symbol": "S1", "ccy": "USD", "basis": "lot", "taker": 1, "maker": 0, "auction": 0}),
    (CommandKind.CAP_SET, {"commodity": "nuts", "lots": 10}),
    (CommandKind.COLLATERAL_SET, {"account": "A1", "amount": 1}),
    (CommandKind.BALANCE_RESTORE, {"account": "A1", "balance": 1, "checked": 0}),
    (CommandKind.KILL_SET, {"account": "A1", "on": 1}),
    (CommandKind.POSITION_RESTORE, {"account": "A1", "symbol": "S1", "lots": 1}),
)


@cache
def reference_knows_controls() -> bool:
    """Whether the reference carries out the acts of R66 to R78 at all."""
    reference = Reference(Limits(1, 1, 1, 1 << 5, 1))
    rows, payload = act_rows([(kind, encode(terms)) for kind, terms in NEWEST_ACTS], 1)
    try:
        events = reference.run_block(rows, payload)
    except (KeyError, LookupError, AttributeError, NotImplementedError):
        return False
    return EventKind.ACT_REJECTED not in events["kind"].tolist() and "kills" in reference.dump()


def is_paired(beside: str) -> bool:
    """Whether a property is to be run beside the reference; skips where that knows less than the rules."""
    if beside == "reference" and not reference_knows_controls():
        pytest.skip("the reference does not carry out R66 to R78 yet")
    return beside == "reference"


class Venue:
    """A core, alone or in a pair; `seq` is that of the next command, and the time of each is its seq."""

    def __init__(self, limits: Limits, *, paired: bool = False, seq: int = 1) -> None:
        self.pair = Pair(limits) if paired else None
        self.core: Any = self.pair.actual if self.pair else Core(limits)
        self.seq = seq

    def run(self, rows: Rows, payload: bytes = b"") -> Rows:
        """Carry out a block of rows that are stamped."""
        self.seq = int(rows["seq"][-1]) + 1
        block = Block(rows, payload)
        events: Rows = self.pair.run(block) if self.pair else self.core.run(block)
        return events

    def row(self, kind: int, **fields: Any) -> Rows:
        """One stamped COMMAND row."""
        row = np.zeros(1, COMMAND)
        row["kind"], row["seq"], row["time"] = kind, self.seq, self.seq
        for name, value in fields.items():
            row[name] = value
        return row

    def send(self, kind: int, **fields: Any) -> Rows:
        return self.run(self.row(kind, **fields))

    def act(self, kind: int, payload: bytes | None = None, /, **terms: Any) -> Rows:
        """An act, by its terms or by the text of its payload."""
        text = encode(terms) if payload is None else payload
        return self.run(self.row(kind, target_hi=len(text)), text)

    def must(self, kind: int, **terms: Any) -> Rows:
        """An act that is carried out."""
        events = self.act(kind, **terms)
        assert not events["code"].any(), f"{CommandKind(kind).name} of {terms}: {Code(int(events['code'][0])).name}"
        return events

    def seen(self, *, deep: bool = False) -> dict[str, Any]:
        """Everything that can be seen: the world, every book, every indicative; but for seq and time.

        The indicative of a deep book takes the square of its levels, and is left out."""
        picture = _picture(self.core, deep)
        if self.pair:
            expected = _picture(self.pair.expected, deep)
            assert picture == expected, "\n".join(["core and reference differ", *unequal_parts(expected, picture)])
        return picture

    def check(self) -> None:
        """Assert the invariants."""
        (self.pair or self.core).check()


def _picture(matcher: Any, deep: bool) -> dict[str, Any]:
    world = matcher.dump()
    numbers = range(1, len(world["instruments"]) + 1)
    return {
        **{key: value for key, value in world.items() if key not in ("seq", "time")},
        "books": [matcher.book(number) for number in numbers],
        "indicatives": [] if deep else [matcher.indicative(number) for number in numbers],
    }


def kinds(events: Rows) -> list[EventKind]:
    """What happened, in order."""
    return [EventKind(kind) for kind in events["kind"].tolist()]


def refusal(events: Rows) -> Code:
    """The code of a refusal, which is one event with its code's rule; OK if it is none.

    A repeated client id (R6) is answered by the state of the first one's order: a refusal too."""
    if not events["code"].any():
        assert not set(kinds(events)) & set(REFUSALS), "a refusal has a code"
        return Code.OK
    assert len(events) == 1, "a refusal is one event"
    (event,) = events
    code = Code(int(event["code"]))
    assert event["kind"] in REFUSALS and event["flags"] & LAST and event["index"] == 0
    assert event["rule"] == CODE_RULE[code], "a refusal names its rule"
    assert (event["kind"] == EventKind.ORDER_STATUS) == (code == Code.DUPLICATE and event["op"] != 7)
    return code
