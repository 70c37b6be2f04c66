"""How the cost of a command grows with the venue, how long single commands take, and what a resting order occupies.

Four sweeps, each turning one number of the same even flow (benchmarks/flows/scale): resident orders, prices,
instruments, accounts; thread CPU time a command in blocks of 512, all points of a sweep alive and in turns.  Then
single commands in compiled code (benchmarks/latency), on fresh venues that carry out the same commands again and again:
as they came, and undisturbed, which takes of every command its shortest time over the rounds and so leaves out what
other work on the machine did.  Memory is measured in a process of its own.  Trades are asserted against the flow.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from benchmarks.flows import mixes
from benchmarks.flows.scale import Size, generate
from benchmarks.latency import NO_COUNTER, Stopwatch, has_counter, percentiles
from benchmarks.measure import ROOT, back_memory, progress, quiet, save, summary
from benchmarks.peers import BLOCK_ROWS, Core, Spent
from benchmarks.workloads import Stream
from engine.core.layout import ENTRY_WORDS, LINKS, NODE8, PLACES
from engine.schema import CL_ORD_ID_BYTES, Limits

ROUNDS: Final = 9
QUICK_ROUNDS: Final = 3
SLICE: Final = 40_000
QUICK_SLICE: Final = 8_000
LEAD_IN: Final = 8_192  # commands before each slice that no figure counts
SINGLE: Final = 50_000  # commands timed one by one in a round: 50 of them are beyond p99.9
QUICK_SINGLE: Final = 5_000
HUGE: Final = 10_000_000  # resident orders of the one point that is measured where there is memory for it
HUGE_BYTES: Final = 8 << 30  # what making and holding it takes at most
MEMORY_ORDERS: Final = 1_000_000
QUICK_ORDERS: Final = 100_000

# Name of a sweep -> the sizes that it goes through.
SWEEPS: Final[dict[str, tuple[Size, ...]]] = {
    "resident": tuple(Size(resident=10**power) for power in (3, 4, 5, 6, 7)),
    "prices": tuple(Size(prices=10**power) for power in (1, 2, 3, 4, 5)),
    "instruments": tuple(Size(instruments=10**power) for power in (0, 1, 2, 3)),
    "accounts": tuple(Size(accounts=count) for count in (1, 10, 100, 1_000, 10_000, 30_000)),
}
# Name -> a function of the number of commands that gives the stream on which single commands are timed.
SINGLES: Final[dict[str, Callable[[int], Stream]]] = {
    **{name: partial(mixes.gated, name) for name in ("small", "narrow", "xcore", "melin")},
    **{f"scale {size.resident:,}": partial(generate, size) for size in SWEEPS["resident"][:4]},
}


def has_memory(needed: int) -> bool:
    """Whether the system could give so many bytes now."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        free = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return free["MemAvailable"] * 1024 > needed


def sweep(name: str, sizes: tuple[Size, ...], rounds: int, size: int) -> dict[str, Any]:
    """ns a command at every size of a sweep, and how many times the first size's the last one's and each one's are."""
    count = rounds * (LEAD_IN + size)
    cores: list[Core] = []
    for one in sizes:
        stream = generate(one, count)
        core = Core(stream, touch=one.resident < HUGE)
        nothing = stream.prefill[:0].copy()
        core.stream = replace(stream, commands=stream.commands.copy(), prefill=nothing, plain=stream.plain[:0].copy())
        cores.append(core)
        progress(f"{name} {getattr(one, name):,}: filled")
    spent: list[list[Spent]] = [[] for _ in sizes]
    with quiet():
        for number in range(rounds):
            first = number * (LEAD_IN + size)
            for place in range(len(cores))[:: 1 if number % 2 else -1]:
                cores[place].run(first, first + LEAD_IN)
                spent[place].append(cores[place].run(first + LEAD_IN, first + LEAD_IN + size))
    for core in cores:
        assert core.state.next_trade_id - 1 == core.stream.trades, "the core trades otherwise than the flow's own book"
    points = []
    for one, core, taken in zip(sizes, cores, spent, strict=True):
        points.append({
            "size": getattr(one, name), "resident": one.resident, "prices": one.prices,
            "instruments": one.instruments, "accounts": one.accounts,
            "cpu_ns": summary([done.cpu / size for done in taken]),
            "times_first": summary([done.cpu / least.cpu for done, least in zip(taken, spent[0], strict=True)]),
            "events": core.events, "trades": core.stream.trades, "stream_sha256": core.stream.checksum,
        })  # fmt: skip
    return {"points": points, "rounds": rounds, "slice": size}


def singles(streams: dict[str, Callable[[int], Stream]], rounds: int, count: int) -> dict[str, Any]:
    """What single commands take in compiled code, ns: percentiles of the rounds, and of the shortest times."""
    watch = Stopwatch()
    found: dict[str, Any] = {"counter_ns": round(watch.read_ns, 2), "commands": count, "rounds": rounds, "streams": {}}
    made = {name: make(LEAD_IN + count) for name, make in streams.items()}
    taken: dict[str, list[Any]] = {name: [] for name in made}
    with quiet():
        for number in range(rounds):
            progress(f"single commands: round {number + 1} of {rounds}")
            for name, stream in made.items():
                core = Core(stream)
                core.run(0, LEAD_IN)
                taken[name].append(watch.run(core.state, stream.commands[LEAD_IN:]))
    for name, stream in made.items():
        by_round = [percentiles(one) for one in taken[name]]
        alone = percentiles(np.min(taken[name], axis=0))
        found["streams"][name] = {
            "resident": len(stream.prefill),
            "raw": {key: summary([one[key] for one in by_round]) for key in alone},
            "raw_ratio": summary([one["p999_ns"] / one["p50_ns"] for one in by_round]),
            "undisturbed": alone,
            "undisturbed_ratio": round(alone["p999_ns"] / alone["p50_ns"], 2),
            "stream_sha256": stream.checksum,
        }
    return found


# --- memory -------------------------------------------------------------------------------------------------------


def bytes_by_layout(limits: Limits) -> dict[str, float]:
    """Bytes of state an order has when as many rest as the limits allow, by where they lie (engine/core/layout)."""
    from engine.apply import new_state

    arrays, orders = new_state(limits).arrays, limits.orders
    return {
        "record": NODE8 * 8,
        "links": LINKS * 4,
        "client id": CL_ORD_ID_BYTES,
        "entry, without the id": ENTRY_WORDS * 8 - CL_ORD_ID_BYTES,
        f"table of ids, {PLACES} places to a line": round(arrays.tab.nbytes / orders, 2),
        "order index": 4.0,  # one for each order id: ids in turn lie side by side
    }


def rss() -> int:
    """Bytes of memory that this process occupies."""
    with open("/proc/self/statm", encoding="ascii") as line:
        return int(line.read().split()[1]) * 4096


def occupied(orders: int) -> dict[str, Any]:
    """Fill a new venue with `orders` resting orders; how much the process grew for each, and the layout."""
    from engine.apply import apply

    stream = generate(Size(resident=orders), 1)
    limits = stream.limits._replace(orders=orders, day_ids=orders)
    Core(generate(Size(resident=64, prices=10), 1))  # the program itself comes into memory with the first commands
    before = rss()
    core = Core(replace(stream, limits=limits, prefill=stream.prefill[:0]), touch=False)
    for first in range(0, orders, BLOCK_ROWS):
        rows = stream.prefill[first : min(first + BLOCK_ROWS, orders)]
        consumed, written = apply(core.state, rows, b"", core.buffer)
        assert consumed == written == len(rows), "an order did not rest"
    grown = (rss() - before) / orders
    layout = bytes_by_layout(limits)
    return {
        "orders": orders,
        "measured": round(grown, 1),
        "measured_without_id": round(grown - CL_ORD_ID_BYTES, 1),
        "layout": layout,
        "layout_without_id": round(sum(layout.values()) - CL_ORD_ID_BYTES, 1),
    }


def memory(orders: int) -> dict[str, Any]:
    """`occupied` in a process of its own, where nothing was freed before that could be used again."""
    command = [sys.executable, "-m", "benchmarks.bench_scale", "--memory", str(orders)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run(*, quick: bool) -> dict[str, Any]:
    """All of it; the result is what benchmarks/results/scale.json holds."""
    rounds, size, single = (QUICK_ROUNDS, QUICK_SLICE, QUICK_SINGLE) if quick else (ROUNDS, SLICE, SINGLE)
    found: dict[str, Any] = {"quick": quick, "memory": memory(QUICK_ORDERS if quick else MEMORY_ORDERS), "sweeps": {}}
    back_memory()
    for name, sizes in SWEEPS.items():
        fits = tuple(one for one in sizes if one.resident < HUGE or (not quick and has_memory(HUGE_BYTES)))
        if quick:
            fits = tuple(replace(one, resident=min(one.resident, QUICK_ORDERS)) for one in fits[:3])
        if len(fits) < len(sizes):
            progress(f"{name}: the largest sizes are left out")
        found["sweeps"][name] = sweep(name, fits, rounds, size)
    if has_counter():
        streams = dict(list(SINGLES.items())[:4]) if quick else SINGLES
        found["singles"] = singles(streams, rounds, single)
    else:
        progress(f"single commands are left out: {NO_COUNTER}")
    return found


def main() -> None:
    """The command line: `python -m benchmarks.bench_scale [--quick]`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(",")[0])
    parser.add_argument("--quick", action="store_true", help="smaller venues and fewer rounds")
    parser.add_argument("--memory", type=int, metavar="ORDERS", help="only say what so many resting orders occupy")
    options = parser.parse_args()
    if options.memory:
        print(json.dumps(occupied(options.memory)))
        return
    print(save("scale", run(quick=options.quick)))


if __name__ == "__main__":
    main()
