"""The bench of scale: its flow, its stopwatch, its memory, its charts, and its part of the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks import bench_scale, chart, promises, report
from benchmarks.bench_scale import SWEEPS, bytes_by_layout, has_memory, sweep
from benchmarks.flows.scale import Size, generate
from benchmarks.flows.venue import shares
from benchmarks.latency import NO_COUNTER, Stopwatch, has_counter, percentiles
from benchmarks.peers import Core, Readable
from benchmarks.workloads import CANCEL, PLACE, PLACE_IOC
from engine.apply import new_state
from engine.schema import Limits

SIZES = (Size(300, 50), Size(300, 1_000, 7, 1), Size(2_000, 10, 3, 5_000))


@pytest.mark.parametrize("size", SIZES)
def test_flow_has_its_mix_keeps_its_size_and_trades_what_it_says(size: Size) -> None:
    stream = generate(size, 20_000)
    mix = shares(stream.plain[size.resident :])
    assert mix[PLACE] == pytest.approx(0.5, abs=0.02) and mix[CANCEL] == pytest.approx(0.45, abs=0.02)
    assert mix[PLACE_IOC] == pytest.approx(0.05, abs=0.01)
    core = Core(stream, keep_trades=True)
    core.run(0, 20_000)
    assert (len(core.kept), sum(trade[3] for trade in core.kept)) == (stream.trades, stream.volume)
    assert len(core.kept) == core.state.next_trade_id - 1 > 200
    assert int(core.state.arrays.h[5]) == pytest.approx(size.resident, rel=0.2)


@pytest.mark.parametrize("size", SIZES)
def test_both_matchers_give_the_same_events_of_the_flow(size: Size) -> None:
    stream = generate(size, 3_000)
    core, readable = Core(stream, keep_digest=True), Readable(stream)
    core.run(0, 3_000)
    readable.run(0, 3_000)
    assert core.digest.digest() == readable.digest.digest()


def test_flow_is_the_same_on_every_machine() -> None:
    assert generate(SIZES[0], 5_000).checksum[:16] == "657cd87c09578f3c"
    assert generate(SIZES[0], 5_000, seed=7).checksum[:16] != "657cd87c09578f3c"


def test_sweeps_reach_as_far_as_promised_and_turn_one_number_each() -> None:
    for name, sizes in SWEEPS.items():
        assert len({replace(size, **{name: 1}) for size in sizes}) == 1
        assert [getattr(size, name) for size in sizes] == sorted({getattr(size, name) for size in sizes})
    assert [size.resident for size in SWEEPS["resident"]] == [10**power for power in (3, 4, 5, 6, 7)]
    assert SWEEPS["instruments"][-1].instruments == 1_000 and SWEEPS["accounts"][-1].accounts > 10_000


def test_sweep_asserts_the_trades_of_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = (Size(200, 50), Size(200, 50, accounts=3))
    found = sweep("accounts", sizes, 2, 500)
    assert [point["size"] for point in found["points"]] == [1_000, 3]
    assert found["points"][0]["times_first"]["median"] == 1.0
    monkeypatch.setattr(bench_scale, "generate", lambda size, count: replace(generate(size, count), trades=1))
    with pytest.raises(AssertionError, match="otherwise than the flow's own book"):
        sweep("accounts", sizes, 1, 500)


def test_stopwatch_carries_out_what_it_times() -> None:
    if not has_counter():
        pytest.skip(NO_COUNTER)
    stream = generate(SIZES[0], 2_000)
    watch, core = Stopwatch(), Core(stream)
    taken = watch.run(core.state, stream.commands)
    assert core.state.next_trade_id - 1 == stream.trades
    assert len(taken) == 2_000 and 1 < np.median(taken) < 100_000
    assert 0 < watch.read_ns < 1_000 and 0.1 < watch.ns_a_tick < 2
    with pytest.raises(AssertionError, match="command 0 is an act"):
        watch.run(new_state(stream.limits), stream.setup)


def test_percentiles_are_nearest_ranks() -> None:
    found = percentiles(np.arange(1, 10_001))
    assert found == {"p50_ns": 5_000, "p99_ns": 9_900, "p999_ns": 9_990, "max_ns": 10_000}


def test_memory_of_an_order_is_what_the_layout_says_and_what_the_process_grows_by() -> None:
    found = bench_scale.memory(200_000)
    assert found["layout_without_id"] == pytest.approx(sum(found["layout"].values()) - 32, abs=0.1)
    assert found["layout_without_id"] <= 160
    # Large pages round every array up to 2 MB, which among 200,000 orders is 10 bytes for each of the six.
    assert 0.9 * found["layout_without_id"] < found["measured_without_id"] < found["layout_without_id"] + 6 * 10.5


def test_layout_counts_every_array_that_an_order_takes_room_in() -> None:
    limits = Limits(1, 1, 1 << 12, 64, 1 << 12)
    parts = bytes_by_layout(limits)
    arrays = new_state(limits).arrays
    assert parts["record"] == arrays.n8[:8].nbytes and parts["links"] == arrays.link[:2].nbytes
    entry = parts["client id"] + parts["entry, without the id"]
    assert entry == arrays.ids.nbytes / (limits.day_ids + 1)


def test_no_machine_has_all_memory() -> None:
    assert has_memory(1) and not has_memory(1 << 60)


def test_chart_is_well_formed_and_says_what_it_shows() -> None:
    line = [(10.0, 50.0, 48.0, 52.0), (1_000.0, 90.0, 80.0, 95.0)]
    drawn = chart.draw("Time < by size", "size", "ns", {"core": line, "floor": line})
    root = ElementTree.fromstring(drawn)
    texts = [found.text for found in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Time < by size", "size", "ns", "10", "1k", "core", "floor"} <= set(texts)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 4


def test_bench_in_the_small_fills_its_part_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_scale, "QUICK_ORDERS", 500)
    monkeypatch.setattr(bench_scale, "QUICK_SLICE", 500)
    monkeypatch.setattr(bench_scale, "QUICK_SINGLE", 500)
    monkeypatch.setattr(bench_scale, "back_memory", lambda: None)
    memory = {"orders": 500, "measured": 150.0, "measured_without_id": 118.0, "layout": {"record": 64},
              "layout_without_id": 119.0}  # fmt: skip
    monkeypatch.setattr(bench_scale, "memory", lambda orders: {**memory, "orders": orders})
    found = bench_scale.run(quick=True)
    page = "\n".join(report.scale(found))
    drawn = report.charts(found)
    for name in SWEEPS:
        assert f"charts/scale-{name}.svg" in page
        ElementTree.fromstring(drawn[f"scale-{name}.svg"])
    rows = promises.targets({"scale": found})
    assert [row[2] for row in rows[:3]] == ["kept"] * 3
    assert not has_counter() or ("melin" in page and len(rows) == 4)
    found["memory"]["measured_without_id"] = 161.0
    assert promises.targets({"scale": found})[2][2] == "**missed**"


def test_charts_beside_the_page_are_those_that_the_results_make() -> None:
    results = report.load()
    if "scale" not in results:
        pytest.skip("left out: the bench of scale has not been run in this checkout")
    for name, drawn in report.charts(results["scale"]).items():
        assert (Path(report.CHARTS) / name).read_text(encoding="utf-8") == drawn
