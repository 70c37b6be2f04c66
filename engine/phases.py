"""The table of trading phases, declared once: what each lets in, what it does with orders, what may follow it.

Floor 0, beside the schema: guards of both matchers, `engine/PHASES.md` with its diagram, and the exhaustive test of
phase by command by order type derive from it.  Rules R9 and R42; precedents are CME's and HNX's session states.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final, NamedTuple

from engine.schema import Phase, word

__all__ = ["PHASES", "Mode", "Permit", "PhaseRule", "document"]


class Mode(IntEnum):
    """What a phase does with orders that could trade (R9)."""

    NONE = 1
    CALL = 2
    CONTINUOUS = 3
    AT_CLOSE = 4


class Permit(IntFlag):
    """What a phase lets in (R9): kinds of new orders, amends, cancels."""

    ENTER = 1
    UNPRICED = 2
    AT_ONCE = 4
    STOPS = 8
    AT_OPEN = 16
    AT_CLOSE = 32
    AMEND = 64
    CANCEL = 128
    LASTING_ONLY = 256


class PhaseRule(NamedTuple):
    """One row of the table of phases (R9, R42)."""

    mode: Mode
    permits: Permit
    next: frozenset[Phase]


_COLLECTS: Final = Permit.ENTER | Permit.UNPRICED | Permit.STOPS | Permit.AT_CLOSE
_MENDS: Final = Permit.AMEND | Permit.CANCEL
_ENDS: Final = frozenset({Phase.HALTED, Phase.CLOSED})

# The table of phases, declared once: guards of both matchers, the drawn diagram and the exhaustive test derive from it.
PHASES: Final[dict[Phase, PhaseRule]] = {
    Phase.CLOSED: PhaseRule(Mode.NONE, Permit(0), frozenset({Phase.PRE_OPEN, Phase.CONTINUOUS})),
    Phase.PRE_OPEN: PhaseRule(
        Mode.CALL, _COLLECTS | _MENDS | Permit.AT_OPEN,
        _ENDS | {Phase.NO_CANCEL, Phase.OPENING_AUCTION, Phase.CONTINUOUS},
    ),
    Phase.NO_CANCEL: PhaseRule(
        Mode.CALL, _COLLECTS | Permit.AT_OPEN, _ENDS | {Phase.PRE_OPEN, Phase.OPENING_AUCTION, Phase.CONTINUOUS}
    ),
    Phase.OPENING_AUCTION: PhaseRule(Mode.NONE, Permit(0), _ENDS | {Phase.CONTINUOUS}),
    Phase.CONTINUOUS: PhaseRule(
        Mode.CONTINUOUS, _COLLECTS | _MENDS | Permit.AT_ONCE,
        _ENDS
        | {Phase.PRE_OPEN, Phase.BREAK, Phase.VOLATILITY_AUCTION}
        | {Phase.PRE_CLOSE, Phase.SETTLEMENT, Phase.POST_CLOSE},
    ),
    Phase.BREAK: PhaseRule(Mode.NONE, Permit.CANCEL, _ENDS | {Phase.PRE_OPEN, Phase.CONTINUOUS, Phase.PRE_CLOSE}),
    Phase.VOLATILITY_AUCTION: PhaseRule(
        Mode.CALL, _COLLECTS | _MENDS, _ENDS | {Phase.CONTINUOUS, Phase.PRE_OPEN, Phase.PRE_CLOSE}
    ),
    Phase.HALTED: PhaseRule(
        Mode.NONE, Permit.CANCEL,
        frozenset({
            Phase.PRE_OPEN, Phase.VOLATILITY_AUCTION, Phase.PRE_CLOSE, Phase.SETTLEMENT, Phase.POST_CLOSE, Phase.CLOSED,
        }),
    ),
    Phase.PRE_CLOSE: PhaseRule(
        Mode.CALL, _COLLECTS | _MENDS, _ENDS | {Phase.CLOSE_NO_CANCEL, Phase.CLOSING_AUCTION}
    ),
    Phase.CLOSE_NO_CANCEL: PhaseRule(Mode.CALL, _COLLECTS, _ENDS | {Phase.PRE_CLOSE, Phase.CLOSING_AUCTION}),
    Phase.CLOSING_AUCTION: PhaseRule(
        Mode.NONE, Permit(0), _ENDS | {Phase.TRADE_AT_CLOSE, Phase.SETTLEMENT, Phase.POST_CLOSE}
    ),
    Phase.TRADE_AT_CLOSE: PhaseRule(
        Mode.AT_CLOSE, Permit.ENTER | Permit.CANCEL, _ENDS | {Phase.SETTLEMENT, Phase.POST_CLOSE}
    ),
    Phase.SETTLEMENT: PhaseRule(Mode.NONE, Permit(0), frozenset({Phase.POST_CLOSE, Phase.CLOSED})),
    Phase.POST_CLOSE: PhaseRule(Mode.NONE, Permit.ENTER | _MENDS | Permit.LASTING_ONLY, frozenset({Phase.CLOSED})),
}  # fmt: skip


_COLUMNS: Final = (
    ("limit, iceberg", Permit.ENTER),
    ("market, market_to_limit", Permit.UNPRICED),
    ("ioc, fok, min_qty", Permit.AT_ONCE),
    ("stop, stop_limit", Permit.STOPS),
    ("at_open", Permit.AT_OPEN),
    ("at_close", Permit.AT_CLOSE),
    ("amend", Permit.AMEND),
    ("cancel", Permit.CANCEL),
)


def document() -> str:
    """The text of engine/PHASES.md: the table, and the diagram of what may follow what (Mermaid)."""
    rows = []
    for phase, rule in PHASES.items():
        yes = "gtc, gtd" if rule.permits & Permit.LASTING_ONLY else "yes"
        cells = [yes if rule.permits & permit else "no" for _, permit in _COLUMNS]
        rows.append("| " + " | ".join([word(phase), *cells, word(rule.mode).replace("_", " ")]) + " |")
    arrows = [
        f"    {word(phase)} --> {word(follower)}" for phase, rule in PHASES.items() for follower in sorted(rule.next)
    ]
    return "\n".join(
        [
            "# Trading phases",
            "",
            "Generated from `engine/phases.py` (`python -m engine.phases > engine/PHASES.md`); a test keeps it"
            " current.",
            "",
            "| phase | " + " | ".join(name for name, _ in _COLUMNS) + " | orders that could trade |",
            "|---" * (len(_COLUMNS) + 2) + "|",
            *rows,
            "",
            "```mermaid",
            "stateDiagram-v2",
            "    [*] --> closed",
            *arrows,
            "```",
            "",
        ]
    )


if __name__ == "__main__":
    print(document(), end="")
