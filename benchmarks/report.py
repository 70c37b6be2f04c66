"""Write benchmarks/RESULTS.md from the JSON of the benches: the only place where a claim of speed stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from benchmarks import chart
from benchmarks.figures import number, spread, table
from benchmarks.measure import RESULTS, ROOT
from benchmarks.promises import targets

CHARTS: Final = ROOT / "benchmarks" / "charts"
REPORT: Final = ROOT / "benchmarks" / "RESULTS.md"
README: Final = ROOT / "README.md"
FIGURES: Final = ("<!-- figures: written by python -m benchmarks.run -->\n", "<!-- end of figures -->\n")
BENCHES: Final = (
    "kernel",
    "limit",
    "challenge",
    "scale",
    "versions",
    "auction",
    "journal",
    "block",
    "recovery",
    "wire",
    "feed",
    "real_flow",
)

Result = dict[str, Any]


def load(folder: Path = RESULTS) -> dict[str, Result]:
    """Read what the benches left, by name."""
    found = {}
    for name in BENCHES:
        path = folder / f"{name}.json"
        if path.is_file():
            found[name] = json.loads(path.read_text(encoding="utf-8"))
    return found


def kernel(result: Result) -> list[str]:
    """The core's tables."""
    lines = ["## Matching core", "", *(f"- **{n}**: {w['says']}" for n, w in result["workloads"].items()), ""]
    lines += [
        "Every gate on, an account per order out of 1,000, distinct client ids, every event written; thread CPU time,",
        "ns a command, median of the rounds with its 95 % interval. The reference and the plain book get the same",
        "slices in the same rounds; the plain book knows no self-match prevention: that comparison runs without it.",
        "",
    ]
    rows = []
    for name, found in result["workloads"].items():
        beside = found["beside"]
        plain = (
            [spread(beside["pybook"]["cpu_ns"]), spread(beside["times_pybook"])] if "pybook" in beside else ["–", "–"]
        )
        rows.append([
            f"{name} ({found['resident']:,})", spread(beside["core"]["cpu_ns"]), spread(beside["reference"]["cpu_ns"]),
            spread(beside["times_reference"]), spread(beside["core_without_smp"]["cpu_ns"]), *plain,
        ])  # fmt: skip
    heads = ["workload (resident)", "core", "reference", "times faster", "core, smp none", "plain book", "times faster"]
    lines += table(heads, rows)
    lines += ["A whole stream in blocks of 512 on a fresh venue:", ""]
    rows = []
    for name, found in result["workloads"].items():
        whole = found["throughput"]
        figures = [f"{whole['commands_per_second']:,}", spread(whole["cpu_ns"]), spread(whole["wall_ns"])]
        sums = [f"{whole['trades']:,}", f"`{whole['stream_sha256'][:12]}`", f"`{whole['events_sha256'][:12]}`"]
        rows.append([f"{name} ({whole['commands']:,} commands)", *figures, *sums])
    lines += table(
        ["workload", "commands a second", "CPU ns", "wall ns", "trades", "stream sha256", "events sha256"], rows
    )
    lines += ["By block size, ns a command:", ""]
    sizes = list(next(iter(result["workloads"].values()))["blocks"])
    rows = [
        [name, *(number(found["blocks"][size]["cpu_ns"]["median"]) for size in sizes)]
        for name, found in result["workloads"].items()
    ]
    lines += table(["workload", *(f"{int(size):,}" for size in sizes)], rows)
    lines += [
        "One `apply` call with one command, wall clock, closed loop, the clock's own cost included; beyond p99 the",
        "machine's other work shows:",
        "",
    ]
    rows = []
    for name, found in result["workloads"].items():
        call = found["one_call"]
        figures = [number(call[key] / 1000) for key in ("p50_ns", "p99_ns", "p999_ns", "max_ns")]
        rows.append([name, *figures, number(call["cpu_ns"] / 1000), f"{call['calls']:,}"])
    return lines + table(["workload", "p50 µs", "p99 µs", "p99.9 µs", "max µs", "mean CPU µs", "calls"], rows)


def limit(result: Result) -> list[str]:
    """The core beside the floor."""
    lines = [
        "## Beside the floor of the possible",
        "",
        f"The core with every gate, and the same algorithm in C without any rule ({result['compiler']},",
        f"`{result['flags']}`), reading the same commands and writing the same events, byte for byte; blocks of",
        f"{result['block']:,}, thread CPU time, ns a command, interleaved rounds. The floor looks orders and client",
        "ids up, and has no gates, no positions, no memory of ended client ids and no hand-over from Python. The aim",
        "is 1.25 times the floor.",
        "",
    ]
    rows = []
    for name, found in result["mixes"].items():
        times = found["times_floor"]
        figures = [spread(found["floor_ns"]), spread(found["core_ns"]), spread(times)]
        extremes = f"{number(times['min'])}–{number(times['max'])}"
        rows.append([f"{name} ({found['resident']:,})", *figures, extremes, f"`{found['events_sha256'][:12]}`"])
    heads = ["mix (resident)", "floor", "core", "times the floor", "least and most", "events sha256"]
    return lines + table(heads, rows)


def challenge(result: Result) -> list[str]:
    """The challenge's scenarios."""
    ways = {
        "one_by_one": "one message at a time in compiled code",
        "blocks": f"blocks of {result['block']:,}, looking ahead",
        "calls": "one call from Python a message",
    }
    lines = [
        "## The flow of the public challenge",
        "",
        "Five scenarios made here by the challenge's published laws (benchmarks/flows/challenge.py says which and what",
        "was left to choose), every gate on, every event written; million messages a second of thread CPU time, median",
        f"of {result['rounds']} interleaved rounds, each on a fresh venue, with its interval and extremes. There is no",
        "second thread here that takes reports, as the challenge has it (benchmarks/challenge/README.md).",
        "",
    ]
    rows = []
    for way, words in ways.items():
        for name, found in result["scenarios"].items():
            cpu, wall = found[way]["cpu_rate"], found[way]["wall_rate"]
            extremes = f"{number(cpu['min'])}–{number(cpu['max'])}"
            rows.append([f"{words}: {name}", spread(cpu), extremes, number(wall["median"])])
        found = result["worst"][way]
        cpu, wall = found["cpu_rate"], found["wall_rate"]
        extremes = f"{number(cpu['min'])}–{number(cpu['max'])}"
        rows.append([f"**{words}: worst of five**", f"**{spread(cpu)}**", extremes, number(wall["median"])])
    lines += table(["", "million a second", "least and most", "by the wall"], rows)
    lines += ["The same events in all three ways, and those of the reference over the beginning:", ""]
    rows = [
        [f"{name}: {found['says']}", f"{found['messages']:,}", f"{found['events']:,}",
         f"{found['checked_by_reference']:,}", f"`{found['stream_sha256'][:12]}`", f"`{found['events_sha256'][:12]}`"]
        for name, found in result["scenarios"].items()
    ]  # fmt: skip
    return lines + table(["scenario", "messages", "events", "reference", "stream sha256", "events sha256"], rows)


SWEPT: Final = {
    "resident": "resident orders",
    "prices": "prices of the instrument",
    "instruments": "instruments",
    "accounts": "accounts",
}


def charts(result: Result) -> dict[str, str]:
    """The charts of the sweeps, by file name, as SVG."""
    found = {}
    for name, sweep in result["sweeps"].items():
        line = [
            (point["size"], *(point["cpu_ns"][key] for key in ("median", "low", "high"))) for point in sweep["points"]
        ]
        title = f"Time of a command by {SWEPT[name]}"
        found[f"scale-{name}.svg"] = chart.draw(title, SWEPT[name], "ns a command (95 % interval)", {"core": line})
    return found


def scale(result: Result) -> list[str]:
    """How cost grows with size, single commands, memory."""
    lines = [
        "## Scale",
        "",
        "50 % new, 45 % cancels, 5 % IOC, everything drawn evenly (benchmarks/flows/scale.py): 100,000 resident",
        "orders, 1,000 prices, 1 instrument, 1,000 accounts, of which a sweep changes one. Blocks of 512, thread CPU",
        "time, ns a command, interleaved rounds. Nothing is searched for, so what grows is the time to reach memory.",
        "",
    ]
    for name, sweep in result["sweeps"].items():
        rows = [
            [f"{point['size']:,}", spread(point["cpu_ns"]), f"{number(point['cpu_ns']['min'])}–"
             f"{number(point['cpu_ns']['max'])}", spread(point["times_first"])]
            for point in sweep["points"]
        ]  # fmt: skip
        lines += table([SWEPT[name], "ns a command", "least and most", "times the first"], rows)
        lines += [f"![Time of a command by {SWEPT[name]}](charts/scale-{name}.svg)", ""]
    if singles := result.get("singles"):
        lines += [
            "Single commands inside compiled code, no look ahead, ns: the time-stamp counter around one call of the",
            f"kernel, {number(singles['counter_ns'])} ns for reading it subtracted. As they came: medians of",
            f"{singles['rounds']} rounds of {singles['commands']:,} commands, the machine's other work included.",
            "Undisturbed: every command's shortest time of these rounds, which all do the same.",
            "",
        ]
        rows = []
        for name, found in singles["streams"].items():
            raw, alone = found["raw"], found["undisturbed"]
            keys = ("p50_ns", "p99_ns", "p999_ns")
            rows.append([
                f"{name} ({found['resident']:,})", *(number(raw[key]["median"]) for key in keys),
                number(found["raw_ratio"]["median"]), *(number(alone[key]) for key in keys),
                number(found["undisturbed_ratio"]),
            ])  # fmt: skip
        heads = ["stream (resident)", "as they came: p50", "p99", "p99.9", "p99.9 / p50"]
        lines += table([*heads, "undisturbed: p50", "p99", "p99.9", "p99.9 / p50"], rows)
    found = result["memory"]
    lines += [f"Memory of a resting order, bytes, with {found['orders']:,} of them in tables made for as many:", ""]
    rows = [[part, number(value)] for part, value in found["layout"].items()]
    rows.append(["by the layout, without the id's text", number(found["layout_without_id"])])
    rows.append(["growth of the process, without the id's text", number(found["measured_without_id"])])
    return lines + table(["", "bytes"], rows)


def versions(result: Result) -> list[str]:
    """The core beside an earlier one."""
    lines = [
        "## Beside an earlier version",
        "",
        f"The core of commit {result['before']} and the present one, in processes of their own and interleaved",
        "rounds on the same streams; thread CPU time, ns a command, and throughput now as a share of what it was.",
        "",
    ]
    rows = [
        [name, spread(found["before_ns"]), spread(found["now_ns"]), spread(found["share"])]
        for name, found in result["workloads"].items()
    ]
    return lines + table(["workload", "before", "now", "share"], rows)


def auction(result: Result) -> list[str]:
    """What calls cost."""
    lines = [
        "## Calls and auctions",
        "",
        f"Calls on {result['levels']:,} price levels; thread CPU time in ns, events included: an order that enters,",
        "one update of the indicative, a trade of the uncross, and a plain fill of one resting order by another.",
        "",
    ]
    rows = [
        [
            f"{row['orders']:,}", spread(row["enter_ns"]), spread(row["update_ns"]), f"{row['trades']:,}",
            spread(row["uncross_ns"]), spread(row["fill_ns"]), spread(row["times_fill"]),
        ]
        for row in result["rows"]
    ]  # fmt: skip
    heads = ["orders", "enter", "update", "trades", "uncross, a trade", "plain fill", "times a fill"]
    return lines + table(heads, rows)


def journal(result: Result) -> list[str]:
    """The log's table."""
    lines = [
        "## Log",
        "",
        "A block made, hashed, written (and synced) beside one write (and sync) of as many bytes; µs.",
        "",
    ]
    rows = [
        [
            f"{row['commands']:,} commands, sync {'on' if row['sync'] else 'off'}", f"{row['bytes']:,}",
            spread(row["journal"]["median_us"]), number(row["journal"]["p99_us"]),
            spread(row["bare"]["median_us"]), number(row["bare"]["p99_us"]), spread(row["times_bare"]),
        ]
        for row in result["rows"]
    ]  # fmt: skip
    return lines + table(["block", "bytes", "log", "p99", "bare disk", "p99", "times"], rows)


def block(result: Result) -> list[str]:
    """What a block costs on its way."""
    lines = [
        "## The way of a block",
        "",
        "Million commands a second through one thread, given as rows a block at a time: the core alone; with sequencer",
        "and journal; with the derivation of the public feed; the same with sync on; and the bare disk with as many",
        "bytes in as many writes and syncs. Interleaved rounds, wall time.",
        "",
    ]
    ways = ("core", "journal", "whole", "synced", "bare disk")
    rows = []
    for row in result["rows"]:
        figures = [spread({key: value / 1e6 for key, value in row[way].items()}) for way in ways]
        least = f"{row['whole']['min'] / 1e6:.2f}–{row['whole']['max'] / 1e6:.2f}"
        rows.append([f"{row['workload']}, {row['commands']:,}", *figures, least, f"`{row['events_sha256'][:12]}`"])
    heads = ["workload, block", "core", "and journal", "and feed", "and sync", "bare disk", "and feed, least and most"]
    return lines + table([*heads, "events sha256"], rows)


def recovery(result: Result) -> list[str]:
    """How soon a venue is back."""
    lines = [
        "## Recovery and start",
        "",
        "A long day's log carried out again by a start, in a process of its own: every event compared with the log's",
        "digests; only counted, as where a follower has compared them; from the newest snapshot and what followed it.",
        f"Blocks of {result['block']}, the log in the system's memory; seconds, and million commands a second.",
        "",
    ]
    ways = {"compared": "every event compared", "counted": "counted", "snapshot": "from a snapshot"}
    rows = []
    for day in result["days"]:
        for way, words in ways.items():
            found = day[way]
            seconds = found["seconds"]
            rows.append([
                f"{day['workload']} ({day['resident']:,} resident), {words}", f"{found['carried_out']:,}",
                spread(seconds), f"{number(seconds['min'])}–{number(seconds['max'])}",
                number(found["cpu_seconds"]["median"]), number(found["rate"]["median"] / 1e6),
            ])  # fmt: skip
    lines += table(["", "commands", "seconds", "least and most", "CPU seconds", "million a second"], rows)
    lines += ["The follower, writing a snapshot every half a million commands, once:", ""]
    rows = [
        [day["workload"], f"{day['commands']:,}", number(day["log_bytes"] / 1e6), number(day["followed"]["rate"] / 1e6),
         number(day["followed"]["snapshot_bytes"] / 1e6), f"`{day['stream_sha256'][:12]}`"]
        for day in result["days"]
    ]  # fmt: skip
    heads = ["day", "commands", "log, MB", "million a second", "last snapshot, MB", "stream sha256"]
    lines += table(heads, rows)
    lines += ["From making the venue's process to the answer that the first order is accepted, sync on; seconds:", ""]
    start = result["start"]
    wall, cpu = start["wall_seconds"], start["cpu_seconds"]
    rows = [["warm", spread(wall), f"{number(wall['min'])}–{number(wall['max'])}", spread(cpu)]]
    if cold := start.get("nothing_compiled"):
        rows.append(["nothing compiled yet, once", number(cold["wall_seconds"]), "", number(cold["cpu_seconds"])])
    return lines + table(["start", "wall", "least and most", "CPU"], rows)


def wire(result: Result) -> list[str]:
    """The order socket's tables."""
    lines = [
        "## Order socket",
        "",
        "Round trip, closed loop, one in flight, µs. The echo is in the same process and gets the same frames.",
        "",
    ]
    rows = []
    for word in ("off", "on"):
        for client, words in (("client", "ordinary client"), ("bare", "bare socket")):
            found = result[f"sync_{word}"]
            order, echo, ratios = (found[f"{client}_{what}"] for what in ("order", "echo", "ratios"))
            disk = found.get("disk")
            rows.append([
                f"sync {word}, {words}", spread(order["median_us"]), spread(order["p99_us"]), spread(echo["median_us"]),
                spread(echo["p99_us"]), spread(disk["median_us"]) if disk else "–", spread(ratios["times_echo"]),
                spread(ratios["p99_times_echo"]),
            ])  # fmt: skip
    heads = ["", "order", "p99", "echo", "p99", "bare write + sync", "times echo", "p99 times echo"]
    lines += table(heads, rows)
    lines += ["Open loop on one connection, µs from the instant at which a request was due:", ""]
    rows = []
    for word in ("off", "on"):
        for step in result[f"open_loop_sync_{word}"]:
            for what in ("order", "echo"):
                one = step[what]
                figures = [number(one[key]) for key in ("p50_us", "p99_us", "p999_us", "max_us", "sender_late_us")]
                rows.append(
                    [f"sync {word}, {what}, {step['rate']:,} a second", f"{one['answered_per_second']:,}", *figures]
                )
    return lines + table(["", "answered a second", "p50", "p99", "p99.9", "max", "sender late by"], rows)


def feed(result: Result) -> list[str]:
    """The feed's table."""
    lines = [
        "## Public feed",
        "",
        "From sending an order (sync off) until the first and the last reader had its book update; µs.",
        "",
    ]
    rows = [
        [
            f"{row['readers']:,}", spread(row["first_us"]), spread(row["last_us"]), number(row["last_p99_us"]),
            f"{row['frames_per_second']:,}",
        ]
        for row in result["rows"]
    ]  # fmt: skip
    return lines + table(["readers", "first", "last", "last, p99", "frames a second in a burst"], rows)


def real_flow(result: Result) -> list[str]:
    """The agreement with real exchanges."""
    lines = [
        "## Real order flow",
        "",
        "`python -m benchmarks.real_flow` on samples that are not part of this repository.",
        "",
    ]
    rows = [
        [
            row["form"], f"{row['events_exact']:,} of {row['events']:,}",
            f"{row['decisive_exact']:,} of {row['decisive']:,}",
            f"{row['fills_exact']:,} of {row['fills']:,}", f"{row['books_equal']:,} of {row['books']:,}",
            f"{row['commands_per_second']:,}", "yes" if row.get("same") else "–",
        ]
        for row in result["rows"]
    ]  # fmt: skip
    heads = ["file", "aggressive events exact", "of those that could differ", "fills", "books equal"]
    heads += ["commands a second", "reference the same"]
    return lines + table(heads, rows)


def render(results: dict[str, Result]) -> str:
    """The whole page."""
    lines = ["# Results", "", "Generated by `python -m benchmarks.run`; do not edit.", ""]
    for name, result in results.items():
        about = result["machine"]
        packages = ", ".join(f"{package} {version}" for package, version in about["packages"].items())
        lines.append(
            f"- {name}: {result['made']}, commit {about['commit']}{'' if about['clean'] else ' and changes'},"
            f" {about['cores']} × {about['cpu']}, {about['kernel']}, Python {about['python']}, {packages};"
            f" load {about['load']}{', quick run' if result.get('quick') else ''}"
        )
    if promised := targets(results):
        lines += ["", "## Promises", "", *table(["promise", "measured", ""], promised)]
    sections = (kernel, limit, challenge, scale, versions, auction, journal, block, recovery, wire, feed, real_flow)
    for name, section in zip(BENCHES, sections, strict=True):
        if name in results:
            lines += section(results[name])
    return "\n".join(lines).rstrip() + "\n"


def with_figures(page: str, results: dict[str, Result]) -> str:
    """README's text with the table of promises between its two marks."""
    start, end = (page.index(mark) for mark in FIGURES)
    promised = "\n".join(table(["promise", "measured", ""], targets(results)))
    return page[: start + len(FIGURES[0])] + promised + page[end:]


def main() -> None:
    """Write the page, and the table of promises into the README."""
    results = load()
    REPORT.write_text(render(results), encoding="utf-8")
    if "scale" in results:
        CHARTS.mkdir(exist_ok=True)
        for name, drawn in charts(results["scale"]).items():
            (CHARTS / name).write_text(drawn, encoding="utf-8")
    README.write_text(with_figures(README.read_text(encoding="utf-8"), results), encoding="utf-8")
    print(REPORT.relative_to(ROOT))


if __name__ == "__main__":
    main()
