"""What is promised of speed and size, beside what was measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.figures import number, spread

SNAPSHOT_BYTES = 256 << 20  # up to as much used state a start from a snapshot is promised
Promise = Callable[[str, str, bool], None]


def targets(results: dict[str, dict[str, Any]]) -> list[list[str]]:
    """What is promised, what was measured, and whether it is kept."""
    rows = []

    def promise(text: str, measured: str, kept: bool) -> None:
        rows.append([text, measured, "kept" if kept else "**missed**"])

    beside = {name: found["beside"] for name, found in results.get("kernel", {}).get("workloads", {}).items()}
    for key, least, words in (("times_reference", 50, "the reference"), ("times_pybook", 10, "the plain book")):
        if measured := {name: found[key] for name, found in beside.items() if key in found}:
            name, times = min(measured.items(), key=lambda item: item[1]["median"])
            text = f"blocks of 512: at least {least} times {words} (worst of {len(measured)}: {name})"
            promise(text, spread(times), times["median"] >= least)
    if "kernel" in results:
        workloads = results["kernel"]["workloads"]
        rate = workloads["small"]["throughput"]["commands_per_second"]
        promise("small book: at least 10 million commands a second", f"{rate / 1e6:.1f} million", rate >= 10_000_000)
        call, name = max((found["one_call"]["p50_ns"], name) for name, found in workloads.items())
        promise(f"one-command call, {name}: under 2 µs at the median", f"{call / 1000:.2f} µs", call < 2_000)
    if mixes := results.get("limit", {}).get("mixes"):
        name, found = max(mixes.items(), key=lambda item: item[1]["times_floor"]["median"])
        times = found["times_floor"]
        text = f"at most 1.6 times the floor in C (worst of {len(mixes)}: {name})"
        promise(text, spread(times), times["median"] <= 1.6)
    if sizes := results.get("scale"):
        for name, words in (("resident", "resident orders"), ("instruments", "instruments")):
            points = [point for point in sizes["sweeps"][name]["points"] if point["size"] <= 1_000_000]
            least, most = points[0]["size"], points[-1]["size"]
            times = points[-1]["times_first"]
            text = f"{most:,} {words}: at most 3 times the time a command with {least:,}"
            promise(text, spread(times), times["median"] <= 3)
        found = sizes["memory"]
        most = max(found["measured_without_id"], found["layout_without_id"])
        promise("a resting order: at most 160 bytes beside its id text", f"{number(most)} bytes", most <= 160)
        if singles := sizes.get("singles"):
            ratios = {name: found["undisturbed_ratio"] for name, found in singles["streams"].items()}
            worst = max(ratios, key=lambda name: ratios[name])
            of = f"worst of {len(ratios)}: {worst}"
            text = f"one command in compiled code, undisturbed: p99.9 at most 10 times p50 ({of})"
            promise(text, number(ratios[worst]), ratios[worst] <= 10)
    if before := results.get("versions"):
        name, found = min(before["workloads"].items(), key=lambda item: item[1]["share"]["median"])
        share = found["share"]
        text = f"{name}: at least 0.65 of the throughput before phases, auctions, limits and margin"
        promise(text, spread(share), share["median"] >= 0.65)
    if calls := results.get("auction"):
        largest = calls["rows"][-1]
        size = f"{largest['orders']:,} orders on {calls['levels']:,} levels"
        times = largest["times_fill"]
        promise(f"uncross of {size}: at most 10 times as many plain fills", spread(times), times["median"] <= 10)
    if rows_of := results.get("block", {}).get("rows", ())[1::2]:  # full blocks, which is what a loaded venue makes
        worst = min(rows_of, key=lambda row: row["whole"]["median"])
        rate = worst["whole"]["median"]
        text = (
            f"blocks of {worst['commands']:,} through sequencer, log (sync off) and feed: at least 1.5 million a second"
        )
        promise(f"{text} (worst: {worst['workload']})", f"{rate / 1e6:.2f} million", rate >= 1_500_000)
        worst = min(rows_of, key=lambda row: row["share_of_limit"]["median"])
        share, synced = worst["share_of_limit"], worst["synced"]["median"]
        text = "the same with sync on: at least 0.8 of sync off or of the bare disk, whichever is less"
        promise(
            f"{text} (worst: {worst['workload']})",
            f"{spread(share)} ({synced / 1e6:.2f} million)",
            share["median"] >= 0.8,
        )
    if "recovery" in results:
        _back(results["recovery"], promise)
    for client, words in (("client", "ordinary client"), ("bare", "bare socket")) if "wire" in results else ():
        off, on = results["wire"]["sync_off"], results["wire"]["sync_on"]
        times = off[f"{client}_ratios"]["times_echo"]
        promise(f"round trip, sync off, {words}: at most 1.6 echoes", spread(times), times["median"] <= 1.6)
        share = on[f"{client}_ratios"]["share_of_allowance"]
        text = f"round trip, sync on, {words}: at most 1.6 echoes + 1.5 bare syncs (= 1)"
        promise(text, spread(share), share["median"] <= 1)
    return rows


def _back(found: dict[str, Any], promise: Promise) -> None:
    """How soon a venue is back."""
    days = found["days"]
    for way, least, words in (("compared", 1.5, "every event compared"), ("counted", 3.0, "events not compared")):
        worst = min(days, key=lambda day: day[way]["rate"]["median"])
        rate = worst[way]["rate"]["median"] / 1e6
        size = f"{worst['commands'] / 1e6:.0f} million commands"
        text = f"recovery of {size} from the log, {words}: at least {least:g} million a second"
        promise(f"{text} (worst: {worst['workload']})", f"{rate:.2f} million", rate >= least)
    by_size = sorted(days, key=lambda day: day["followed"]["snapshot_bytes"])
    within = [day for day in by_size if day["followed"]["snapshot_bytes"] <= SNAPSHOT_BYTES] or by_size[:1]
    worst = max(within, key=lambda day: day["snapshot"]["seconds"]["median"])
    seconds = worst["snapshot"]["seconds"]
    size = f"{worst['followed']['snapshot_bytes'] / 1e6:.0f} MB"
    text = f"recovery of that day from a snapshot of {size} and what followed it: at most 2 s ({worst['workload']})"
    promise(text, f"{spread(seconds)} s", seconds["median"] <= 2)
    wall, cpu = found["start"]["wall_seconds"], found["start"]["cpu_seconds"]
    text = "start to the first accepted order: at most 2.5 s, and 2.0 s of CPU time"
    promise(text, f"{spread(wall)} s, {spread(cpu)} s", wall["median"] <= 2.5 and cpu["median"] <= 2)
