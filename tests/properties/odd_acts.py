"""Every act in every wrong form the flow knows: keys left out, unknown or repeated, and each odd value for each key.

The flow comes by some of these once in a million commands; here each stands once, as scripts for both programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from engine.schema import COMMAND, CommandKind, Limits
from tests.flow import act_rows, encode
from tests.flow_mix import terms_of
from tests.flow_odd import ODD_ENDS, ODD_VALUES
from tests.properties.pair import Block, Script

LIMITS: Final = Limits(instruments=64, accounts=64, orders=16, levels=1 << 24, day_ids=16)
DAY: Final = {"trading_day": "2026-11-23", "next_trade_id": 7}
TEXTS: Final = {"why": "w", "by": "b"}
MOVE: Final = {"phase": "pre_open", "draw": 5, "at_last_match": 0, **TEXTS}
TERMS: Final = {
    **terms_of("S9", "0.5", "1.0", "9.0", centre="3.0", protection=3, window=5, group="G1").payload,
    "name": "nuts",
}
ACTS: Final[tuple[tuple[CommandKind, dict[str, Any]], ...]] = (
    (CommandKind.INSTRUMENT_DEFINE, TERMS),
    (CommandKind.ACCOUNT_DEFINE, {"account": "A9", "member": "M1", "owner": "B1"}),
    (CommandKind.PHASE_SET, {**MOVE, "symbol": "S1", "override": 1}),
    (CommandKind.PHASE_SET, {**MOVE, "group": "G1"}),
    (CommandKind.PHASE_SET, {**MOVE, "symbol": "ALL"}),
    (CommandKind.PHASE_SET, {"phase": "closed", "symbol": "S1", "at_last_match": 1}),
    (CommandKind.AUCTION_UNCROSS, {"symbol": "S1", **TEXTS}),
    (CommandKind.DAY_START, {}),
)


def forms(act: dict[str, Any]) -> Iterator[bytes]:
    """An act as it should be, and in every form that may be wrong."""
    yield encode(act)
    for key in act:
        yield encode({name: value for name, value in act.items() if name != key})
        for value in ODD_VALUES:
            yield encode({**act, key: value})
    for key in ("colour", "group", "symbol", "override", "draw", "at_last_match", "why", "name", "phase"):
        yield encode({**act, key: act.get(key, 1)})
        yield encode({**act, key: "S1"})
    text = encode(act)
    for end in ODD_ENDS:
        yield text[:-1] + (end if act else end.lstrip(b","))
    yield from (b"", b"[]", b"null", b"1", b'"a"', text[:-1], text + b"}", b" " + text, b"\xef\xbb\xbf" + text)


def scripts() -> Iterator[Script]:
    """One venue that is told all acts, and one for each form of day.open, which must come first."""
    opening = [
        (CommandKind.INSTRUMENT_DEFINE, encode(terms_of("S1", "1", "1", "9", group="G1").payload)),
        (CommandKind.INSTRUMENT_DEFINE, encode(terms_of("S2", "1", "1", "9").payload)),
        (CommandKind.ACCOUNT_DEFINE, encode({"account": "A1", "member": "M1", "owner": "B1"})),
    ]
    acts = [(kind, text) for kind, act in ACTS for text in forms(act)]
    blocks = [Block(*act_rows(opening, 1))]
    seq = 1 + len(opening)
    for kind, text in acts:
        blocks.append(Block(*act_rows([(kind, text)], seq)))
        seq += 1
        if kind == CommandKind.PHASE_SET:
            # Back to where the next form finds what the first one found.
            for symbol in ("S1", "S2"):
                back = (CommandKind.PHASE_SET, encode({"symbol": symbol, "phase": "closed"}))
                blocks.append(Block(*act_rows([back], seq)))
                seq += 1
    blocks += [Block(row, b"{}") for row in misplaced(seq)]
    yield Script(LIMITS, blocks)
    for text in forms(DAY):
        rows, payload = act_rows([(CommandKind.DAY_OPEN, text), (CommandKind.DAY_START, b"{}")], 5)
        rows["target_lo"][1], rows["target_hi"][1] = len(payload) - 2, 2
        yield Script(LIMITS, [Block(rows, payload)])


def misplaced(seq: int) -> Iterator[Any]:
    """Acts whose payload does not lie in the payload section, or only just."""
    for low, size in ((0, 2), (0, 3), (-1, 2), (0, -1), (2, 0), (1, 1), (1 << 62, 1 << 62), (-(1 << 63), 2), (3, -1)):
        row = np.zeros(1, COMMAND)
        row["kind"], row["seq"], row["target_lo"], row["target_hi"] = CommandKind.DAY_START, seq, low, size
        seq += 1
        yield row
