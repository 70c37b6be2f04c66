"""The bench of the challenge's scenarios: what it checks, what it measures, and its part of the page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks import bench_challenge, report, run
from benchmarks.bench_challenge import WAYS, check, venue, worst
from benchmarks.flows.challenge import SCENARIOS, generate
from engine.core.layout import BLIND


def test_only_blocks_may_look_ahead() -> None:
    stream = generate("static", 100)
    assert {way: int(venue(stream, way).state.arrays.h[BLIND]) for way in WAYS} == {
        "one_by_one": 1, "blocks": 0, "calls": 1,
    }  # fmt: skip


def test_check_notices_events_that_are_not_the_reference_s(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = generate("normal", 300)
    assert check(stream, 200)["events"] > len(stream.commands)
    wrong = stream.commands.copy()
    wrong["order_qty"][0] += 1
    readable = bench_challenge.Readable
    monkeypatch.setattr(bench_challenge, "Readable", lambda given: readable(replace(given, commands=wrong)))
    with pytest.raises(AssertionError, match="not the events of the reference"):
        check(stream, 200)


def test_worst_scenario_is_the_one_of_the_lowest_median() -> None:
    scenarios: dict[str, Any] = {
        name: {"blocks": {"cpu_rate": {"median": rate}}} for name, rate in (("a", 3.0), ("b", 2.0), ("c", 4.0))
    }
    assert worst(scenarios, "blocks") == {"scenario": "b", "cpu_rate": {"median": 2.0}}


def test_bench_in_the_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_challenge, "QUICK_ORDERS", 500)
    monkeypatch.setattr(bench_challenge, "QUICK_PREFIX", 300)
    monkeypatch.setattr(bench_challenge, "back_memory", lambda: None)
    found = bench_challenge.run(quick=True)
    assert list(found["scenarios"]) == list(SCENARIOS)
    for one in found["scenarios"].values():
        assert one["checked_by_reference"] == 300 and one["events"] > one["messages"]
        assert all(one[way]["cpu_rate"]["min"] > 0 for way in WAYS)
    slowest = min(one["blocks"]["cpu_rate"]["median"] for one in found["scenarios"].values())
    assert found["worst"]["blocks"]["cpu_rate"]["median"] == slowest
    page = "\n".join(report.challenge(found))
    assert page.count("worst of five") == len(WAYS) and "flash-crash" in page


def test_bench_is_one_of_those_that_run_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(bench_challenge, "run", lambda *, quick: asked.append(quick) or {})
    monkeypatch.setattr(run, "save", lambda name, found: run.ROOT / name)
    monkeypatch.setattr(report, "main", lambda: None)
    assert run.main(["--quick", "challenge"]) == 0
    assert asked == [True]
