"""The lane runner: what it selects, what it counts, and that nothing but real success looks like success."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests import calibration, lanes
from tests.lanes import LANES, Lane, Outcome, close, command_of, environment_of, main, run_lane, selection, summary

MIXED = """
import pytest

def test_good(): pass

@pytest.mark.parametrize("n", [1, 2])
def test_bad(n): assert n == 1

def test_absent(): pytest.skip("the file is not here")
"""


def planted(root: Path, body: str, folder: str = "tests/unit") -> Lane:
    (root / folder).mkdir(parents=True)
    (root / folder / "test_it.py").write_text(body)
    return Lane(name="planted", budget_s=60, folders=(folder,))


def test_every_folder_of_tests_belongs_to_one_lane() -> None:
    owned = [folder for lane in LANES if not lane.marker for folder in lane.folders]
    unit = next(lane for lane in LANES if lane.name == "unit")
    assert unit.folders == ("tests",)
    assert sorted(unit.without) == sorted(set(owned) - {"tests"})
    assert len(owned) == len(set(owned))


def test_budgets_are_those_promised() -> None:
    minutes = {lane.name: lane.budget_s / 60 for lane in LANES}
    assert minutes == {"unit": 4, "differential": 4, "jit_off": 2, "bounds": 2, "faults": 5, "e2e": 4, "bench": 2}
    assert sum(minutes.values()) <= 25
    assert sum(lane.fast_s for lane in LANES) <= 120


@pytest.mark.parametrize(
    ("mode", "expression"),
    [
        ("full", "jit_off and not nightly"),
        ("fast", "jit_off and not nightly and not slow"),
        ("nightly", "jit_off and nightly"),
    ],
)
def test_selection_by_mode(mode: str, expression: str) -> None:
    assert selection(Lane(name="x", budget_s=1, folders=(), marker="jit_off"), mode) == expression


def test_switches_of_the_caller_reach_no_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    for switch in ("NUMBA_DISABLE_JIT", "CASHEW_BOUNDSCHECK", "PYTEST_ADDOPTS"):
        monkeypatch.setenv(switch, "1")
    for lane in LANES:
        passed_on = {key for key in environment_of(lane) if key in lanes.SWITCHES}
        assert passed_on == {*lane.environment, "CASHEW_LANE"}


def test_only_the_uncompiled_lane_counts_coverage() -> None:
    counting = [lane.name for lane in LANES if "coverage" in command_of(lane, "full", lanes.ROOT)]
    assert counting == ["jit_off"]


def test_counts_and_reasons_come_from_the_report(tmp_path: Path) -> None:
    outcome = run_lane(planted(tmp_path, MIXED), root=tmp_path)
    assert (outcome.passed, outcome.failed, outcome.skipped) == (2, 1, 1)
    assert outcome.reasons == {"the file is not here": 1}
    assert outcome.trouble == []
    assert summary([outcome, outcome]) == "4 passed, 2 failed, 2 skipped"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "found no test"),
        ("def test_gone(): import os; os._exit(7)", "pytest ended with code 7"),
        ("import nothing_here", ""),
    ],
    ids=["empty", "crash", "import error"],
)
def test_silence_is_failure(tmp_path: Path, body: str, why: str) -> None:
    outcome = run_lane(planted(tmp_path, body), root=tmp_path)
    assert outcome.failed == 1
    assert outcome.trouble == ([why] if why else [])


def test_missing_folder_is_failure(tmp_path: Path) -> None:
    assert run_lane(Lane(name="x", budget_s=60, folders=("tests/none",)), root=tmp_path).trouble == ["found no test"]


def test_lane_without_full_counts_is_fine_at_night(tmp_path: Path) -> None:
    outcome = run_lane(planted(tmp_path, "def test_good(): pass"), "nightly", tmp_path)
    assert (outcome.passed, outcome.failed) == (0, 0)


def test_night_without_any_test_is_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert close([Outcome("compile"), Outcome("faults")]) == 1
    assert capsys.readouterr().out.endswith("\n0 passed, 1 failed, 0 skipped\n")


@pytest.mark.parametrize(("slower", "failed"), [(1.0, 1), (60.0, 0)])
def test_lane_over_budget_fails_though_its_tests_pass(tmp_path: Path, slower: float, failed: int) -> None:
    lane = replace(planted(tmp_path, "import threading\ndef test_long(): threading.Event().wait(1)"), budget_s=0.79)
    # A quarter over is not reached by the hard stop: this one is stretched, so that the test sees a whole lane.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanes, "HARD_STOP", 60)
        patch.setattr(lanes, "slowness", lambda: slower)
        outcome = run_lane(lane, root=tmp_path)
    assert outcome.passed == 1
    assert [why.partition(",")[2] for why in outcome.trouble] == [" more than a quarter over its 1 s"] * failed


@pytest.mark.parametrize(("quiet", "slower"), [(0.5, 1.0), (1.0, 1.0), (1.5, 1.5), (9.0, calibration.MOST)])
def test_slowness_is_that_of_the_machine_within_bounds(quiet: float, slower: float) -> None:
    assert calibration.slowness(lambda: quiet * calibration.QUIET_SECONDS) == pytest.approx(slower)


def test_lane_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    body = f"""
import subprocess, threading

def test_hang():
    child = subprocess.Popen([{sys.executable!r}, "-c", "import threading; threading.Event().wait()"])
    open("child", "w").write(str(child.pid))
    threading.Event().wait()
"""
    outcome = run_lane(replace(planted(tmp_path, body), budget_s=1.5), root=tmp_path)
    assert any("something hangs" in why for why in outcome.trouble)
    state = Path("/proc") / (tmp_path / "child").read_text() / "stat"
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_summary_is_alone_on_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert close([Outcome("unit", passed=3, skipped=1)]) == 0
    assert capsys.readouterr().out.endswith("\n\n3 passed, 0 failed, 1 skipped\n")


def test_missing_tool_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "OUTSIDE", {"no-such-tool": "the sound of rain"})
    close([Outcome("unit", passed=1)])
    assert "no-such-tool is not installed: the sound of rain" in capsys.readouterr().out


def test_unknown_lane_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["unti"])
    assert ended.value.code == 2
