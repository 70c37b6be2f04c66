"""What can be seen of a venue, and a venue to try refusals on: the core alone, or beside the reference.

A refusal is one coded event with its rule's number, and leaves all that can be seen as it was, but for seq and time.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from engine.core.lane import CHECKED, PLAIN
from engine.schema import CODE_RULE, COMMAND, LAST, Code, CommandKind, EventKind, Limits
from tests.flow import encode
from tests.properties.pair import Block, Core, Pair, Rows, unequal_parts

REFUSALS: Final = (EventKind.ORDER_REJECTED, EventKind.ORDER_STATUS, EventKind.ACT_REJECTED)
REFERENCE: Final = "reference"
# The ways in which a property runs; what the reference says is the same in every build of the core.
BESIDE: Final = ["core"] if PLAIN or CHECKED else ["core", REFERENCE]


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
