"""The scenario tables, on both matchers, and the count of what they cover."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import apply as core
from engine import dump
from engine.core import invariants
from engine.reference import Reference
from engine.schema import EVENT, Limits
from tests.scenarios.runner import differences
from tests.scenarios.table import Matcher, Rows, read_table, uncovered

FOLDER = Path(__file__).parent
RULES = (FOLDER.parents[1] / "engine" / "RULES.md").read_text(encoding="utf-8")
TABLES = sorted(FOLDER.glob("r*.txt"))
CASES = [case for table in TABLES for case in read_table(table)]


class Core:
    """The compiled matcher behind the tables' interface."""

    def __init__(self, limits: Limits) -> None:
        self.state = core.new_state(limits)

    def run_block(self, commands: Rows, payload: bytes) -> Rows:
        return core.run_block(self.state, commands, payload)

    def book(self, instrument: int) -> dict[str, Any]:
        return dump.book(self.state, instrument)

    def indicative(self, instrument: int) -> tuple[int, int, int, int]:
        return dump.indicative(self.state, instrument)

    def check(self) -> None:
        invariants.check(self.state)


class CoreInParts(Core):
    """The same with room for 16 events a call, so that long commands are carried on in the next (R36)."""

    def run_block(self, commands: Rows, payload: bytes) -> Rows:
        parts, done = [], 0
        while done < len(commands) or self.state.pending:
            events = np.empty(16, EVENT)
            consumed, written = core.apply(self.state, commands[done:], payload, events)
            done += consumed
            parts.append(events[:written])
        return np.concatenate(parts)


MATCHERS: dict[str, Callable[[Limits], Matcher]] = {
    "reference": Reference,
    "core": Core,
    "core in parts": CoreInParts,
}


@pytest.mark.parametrize("matcher", MATCHERS)
@pytest.mark.parametrize("whole", [False, True], ids=["one by one", "one block"])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
def test_table(table: Path, whole: bool, matcher: str) -> None:
    reports = [report for case in read_table(table) for report in differences(case, MATCHERS[matcher], whole=whole)]
    assert not reports, "\n".join(["", *reports])


def test_every_rule_has_two_granting_rows_and_a_refusing_one() -> None:
    assert uncovered(RULES, CASES) == []


def test_a_table_is_named_after_its_rule() -> None:
    for table in TABLES:
        rule = int(table.stem[1:3])
        tagged = {number for case in read_table(table) for line in case.lines for _, number in line.rules}
        assert rule in tagged, table.name
