"""The table of phases: complete, without dead ends, as the page shows it."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.phases import PHASES, Mode, Permit, PhaseRule, document
from engine.schema import Phase, word

ROOT = Path(__file__).resolve().parents[2]
MATCHING = (Mode.CONTINUOUS, Mode.AT_CLOSE)


def reachable(start: Phase) -> set[Phase]:
    found, waiting = {start}, [start]
    while waiting:
        new = PHASES[waiting.pop()].next - found
        found |= new
        waiting += new
    return found


def test_every_phase_has_its_row() -> None:
    assert set(PHASES) == set(Phase)
    assert {rule.mode for rule in PHASES.values()} == set(Mode)
    assert next(iter(PHASES)) == Phase.CLOSED, "where every instrument starts"


def test_every_phase_is_reached_and_every_phase_can_be_closed() -> None:
    assert reachable(Phase.CLOSED) == set(Phase)
    for phase in Phase:
        assert Phase.CLOSED in reachable(phase)
        assert phase == Phase.CLOSED or Phase.CLOSED in PHASES[phase].next, "and at once, whatever happened"
        assert phase not in PHASES[phase].next, "no phase follows itself"


def test_a_halt_is_left_through_a_call_or_not_into_trading_at_all() -> None:
    for phase in PHASES[Phase.HALTED].next:
        assert PHASES[phase].mode not in MATCHING
    for phase in (Phase.CONTINUOUS, Phase.OPENING_AUCTION, Phase.CLOSING_AUCTION, Phase.TRADE_AT_CLOSE):
        assert phase not in PHASES[Phase.HALTED].next


def test_whatever_trades_or_collects_can_be_halted() -> None:
    for rule in PHASES.values():
        if rule.mode != Mode.NONE:
            assert Phase.HALTED in rule.next


def test_an_auction_follows_a_call_only() -> None:
    for phase, rule in PHASES.items():
        if rule.next & {Phase.OPENING_AUCTION, Phase.CLOSING_AUCTION}:
            assert rule.mode == Mode.CALL, phase
    before_close = {phase for phase, rule in PHASES.items() if Phase.CLOSING_AUCTION in rule.next}
    assert before_close == {Phase.PRE_CLOSE, Phase.CLOSE_NO_CANCEL}
    at_close = {phase for phase, rule in PHASES.items() if Phase.TRADE_AT_CLOSE in rule.next}
    assert at_close == {Phase.CLOSING_AUCTION}, "which finds its price"


@pytest.mark.parametrize("phase", Phase)
def test_permits_go_with_the_mode(phase: Phase) -> None:
    mode, permits, _ = PHASES[phase]
    assert bool(permits & Permit.AT_ONCE) == (mode == Mode.CONTINUOUS), "what has to trade at once can"
    assert mode != Mode.CALL or permits & Permit.ENTER, "a call collects orders"
    assert not permits & Permit.AT_OPEN or phase in (Phase.PRE_OPEN, Phase.NO_CANCEL)
    if permits & Permit.AMEND:
        assert permits & Permit.CANCEL and permits & Permit.ENTER
    if permits & (Permit.UNPRICED | Permit.STOPS):
        assert mode in (Mode.CALL, Mode.CONTINUOUS)


# --- the page ---------------------------------------------------------------------------------------------


def test_the_page_is_current() -> None:
    assert (ROOT / "engine" / "PHASES.md").read_text(encoding="utf-8") == document()


def test_the_page_is_what_the_module_prints() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engine.phases"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == document()


def test_the_page_tells_every_row_and_every_arrow() -> None:
    text = document()
    for phase, rule in PHASES.items():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {word(phase)} |")]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 10 and cells[-1] == word(rule.mode).replace("_", " ")
        assert [cell != "no" for cell in cells[1:-1]] == [
            bool(rule.permits & permit)
            for permit in (
                Permit.ENTER, Permit.UNPRICED, Permit.AT_ONCE, Permit.STOPS, Permit.AT_OPEN, Permit.AT_CLOSE,
                Permit.AMEND, Permit.CANCEL,
            )
        ]  # fmt: skip
        assert {line.split(" --> ")[1] for line in text.splitlines() if line.startswith(f"    {word(phase)} --> ")} == {
            word(follower) for follower in rule.next
        }


def test_a_change_of_the_table_changes_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    before = document()
    rule = PHASES[Phase.BREAK]
    for changed in (
        PhaseRule(Mode.CALL, rule.permits, rule.next),
        PhaseRule(rule.mode, rule.permits | Permit.ENTER, rule.next),
        PhaseRule(rule.mode, rule.permits | Permit.LASTING_ONLY, rule.next),
        PhaseRule(rule.mode, rule.permits, rule.next - {Phase.PRE_OPEN}),
    ):
        monkeypatch.setitem(PHASES, Phase.BREAK, changed)
        assert document() != before
