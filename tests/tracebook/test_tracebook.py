"""An outside oracle: campaigns of tracebook-conformance against the compiled core, over the protocol on stdio.

The oracle generates each trace, runs its own engine, and compares after every event the outcome, the trades and all
queues. What is mapped how stands in README.md beside this file. The full count is 200 traces of 500 events, three
seeds, three profiles.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tracebook.conformance.campaign import CampaignResult, generate_campaign_trace, run_campaign
from tracebook.conformance.compare import run_conformance
from tracebook.conformance.external import ExternalProcessAdapterFactory
from tracebook.conformance.qualification import qualification_case_names
from tracebook.conformance.suite import copy_bundled_conformance_suite

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROFILES = ("fifo-limit-v1", "fifo-full-v1", "fifo-partial-fill-v1")
SEEDS = (42, 1337, 2027)


@pytest.fixture(scope="module")
def candidate() -> Iterator[ExternalProcessAdapterFactory]:
    """Start one warm adapter; every trace gets a relay of its own to it."""
    command = [sys.executable, "-m", "tests.tracebook.adapter", "--warm"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as warm:
        assert warm.stdout is not None and warm.stdin is not None
        port = warm.stdout.readline().strip()
        relay = [sys.executable, "-I", "-S", str(HERE / "relay.py"), port]
        yield ExternalProcessAdapterFactory(relay, timeout_seconds=30.0)
        warm.stdin.close()
        assert warm.wait(10) == 0


def assert_conformant(result: CampaignResult, traces: int, events: int) -> None:
    """No difference, nothing left out, and every capability of the profile exercised."""
    assert result.failure is None, result.failure_bundle_dict() if result.failure else ""
    assert len(result.traces) == traces
    assert sum(trace.report.compared_events for trace in result.traces) == traces * events
    assert result.candidate_engine.name == "cashew-exchange"
    assert not result.semantic_coverage.uncovered_capabilities


@pytest.mark.parametrize("profile", PROFILES)
def test_short_campaign_shows_no_difference(candidate: ExternalProcessAdapterFactory, profile: str) -> None:
    result = run_campaign(candidate, profile=profile, seed=SEEDS[0], traces=10, events_per_trace=100)
    assert_conformant(result, 10, 100)


@pytest.mark.parametrize("profile", PROFILES)
def test_fixed_cases_of_the_profile_show_no_difference(
    candidate: ExternalProcessAdapterFactory, profile: str, tmp_path: Path
) -> None:
    """The oracle's own adversarial traces for the profile."""
    suite = copy_bundled_conformance_suite(tmp_path / "suite")
    names = qualification_case_names(profile)
    cases = [case for case in suite.cases if case.name in names]
    assert len(cases) == len(names)
    for case in cases:
        report = run_conformance(case.load_events(), candidate, config=case.config, trace_name=case.name)
        assert report.conformant, report.to_dict()


@pytest.mark.nightly
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("profile", PROFILES)
def test_full_campaign_shows_no_difference(
    candidate: ExternalProcessAdapterFactory, profile: str, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    started = time.perf_counter()
    result = run_campaign(candidate, profile=profile, seed=seed, traces=200, events_per_trace=500)
    assert_conformant(result, 200, 500)
    with capsys.disabled():
        print(
            f"\n  {profile}, seed {seed}: 100,000 events, no difference, {time.perf_counter() - started:.0f} s", end=""
        )


# --- the tests of the test ------------------------------------------------------------------------


def test_a_trace_is_served_on_plain_stdio() -> None:
    """Without a relay the adapter speaks the same protocol, and refuses what it cannot map."""
    factory = ExternalProcessAdapterFactory(
        [sys.executable, "-m", "tests.tracebook.adapter"], timeout_seconds=120.0, cwd=str(ROOT)
    )
    result = run_campaign(factory, profile="fifo-limit-v1", seed=7, traces=1, events_per_trace=60)
    assert result.failure is None


@pytest.mark.parametrize("lost", ["priority", "trade"])
def test_an_adapter_that_bends_the_core_is_caught(candidate: ExternalProcessAdapterFactory, lost: str) -> None:
    """The campaign can fail: a replace that keeps its place, or a trade kept back, is a difference."""
    bend = {
        "priority": "a.Venue.replace = lambda self, event, symbol: self.reduce(event | {'quantity': 0.25}, symbol)",
        "trade": "was = a.Venue.outcome; a.Venue.outcome = lambda *words: (was(*words)[0], was(*words)[1][1:])",
    }[lost]
    script = f"import os; from tests.tracebook import adapter as a; {bend}; os._exit(a.main([]))"
    factory = ExternalProcessAdapterFactory([sys.executable, "-c", script], timeout_seconds=120.0, cwd=str(ROOT))
    report = run_conformance(generate_campaign_trace("fifo-limit-v1", 42, 80), factory)
    assert report.divergence is not None
    assert report.divergence.category == {"priority": "book_state", "trade": "trades"}[lost]
