"""How far the core is from the floor of the possible: the same algorithm in C without the rules (benchmarks/limit).

Both carry out the same slices of the same streams in blocks of 512, in rounds that take turns at who goes first (who
does fetches the commands from further away).  The core has every gate on and is called once a block from Python; the
floor has neither gates nor calls.  Self-match prevention is off in the streams, for the floor knows none.  Every event
of both is compared by digest, on the whole stream.
"""

from __future__ import annotations

import argparse
import ctypes
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.flows import mixes
from benchmarks.limit.floor import FLAGS, NO_COMPILER, Floor, build, compiler_version, find_compiler, load
from benchmarks.measure import back_memory, progress, quiet, save, summary
from benchmarks.peers import BLOCK_ROWS, Core, Engine, Spent
from benchmarks.workloads import Stream

ROUNDS: Final = 15
QUICK_ROUNDS: Final = 5
SLICE: Final = 40_000
QUICK_SLICE: Final = 8_000
QUICK_RESIDENT: Final = 50_000
LEAD_IN: Final = 8_192  # commands before each slice that no figure counts

Mix = Callable[[int, int], Stream]

# Name -> a function of (number of commands, most resident orders or 0) that gives a stream without self-match
# prevention, of commands that the floor can do (benchmarks/limit/floor.refusal).  Melin's flow is then without market,
# stop and post-only orders (benchmarks/flows/melin.py).
MIXES: Final[dict[str, Mix]] = {name: partial(mixes.plain, name) for name in mixes.MIXES}


def compare(stream: Stream, library: ctypes.CDLL, rounds: int, size: int) -> dict[str, Any]:
    """Core and floor on one stream of rounds * (LEAD_IN + size) commands: ns a command, and core / floor by round."""
    count = rounds * (LEAD_IN + size)
    assert len(stream.commands) >= count
    engines: dict[str, Engine] = {"core": Core(stream), "floor": Floor(stream, library)}
    spent: dict[str, list[Spent]] = {name: [] for name in engines}
    with quiet():
        for number in range(rounds):
            first = number * (LEAD_IN + size)
            for name in list(engines)[:: 1 if number % 2 else -1]:
                engines[name].run(first, first + LEAD_IN)
                spent[name].append(engines[name].run(first + LEAD_IN, first + LEAD_IN + size))
    core, floor = Core(stream, keep_digest=True), Floor(stream, library, keep_digest=True)
    core.run(0, count)
    floor.run(0, count)
    assert core.events == floor.events, "core and floor write different numbers of events"
    assert core.digest.digest() == floor.digest.digest(), "core and floor write different events"
    return {
        "floor_ns": summary([one.cpu / size for one in spent["floor"]]),
        "core_ns": summary([one.cpu / size for one in spent["core"]]),
        "times_floor": summary([a.cpu / b.cpu for a, b in zip(spent["core"], spent["floor"], strict=True)]),
        "resident": len(stream.prefill),
        "rounds": rounds,
        "slice": size,
        "events": floor.events,
        "stream_sha256": stream.checksum,
        "events_sha256": floor.digest.hexdigest(),
    }


def run(*, quick: bool) -> dict[str, Any] | None:
    """All of it; the result is what benchmarks/results/limit.json holds.  None where there is no C compiler."""
    compiler = find_compiler()
    if compiler is None:
        return None
    rounds, size = (QUICK_ROUNDS, QUICK_SLICE) if quick else (ROUNDS, SLICE)
    back_memory()
    found: dict[str, Any] = {
        "quick": quick,
        "compiler": compiler_version(compiler),
        "flags": " ".join(FLAGS),
        "block": BLOCK_ROWS,
        "mixes": {},
    }
    with TemporaryDirectory() as folder:
        library = load(build(Path(folder), compiler))
        for name, mix in MIXES.items():
            stream = mix(rounds * (LEAD_IN + size), QUICK_RESIDENT if quick else 0)
            found["mixes"][name] = one = compare(stream, library, rounds, size)
            core, floor, times = (one[key]["median"] for key in ("core_ns", "floor_ns", "times_floor"))
            progress(f"{name}: floor {floor} ns, core {core} ns, {times} times the floor")
    return found


def main() -> None:
    """The command line: `python -m benchmarks.bench_limit [--quick]`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--quick", action="store_true", help="smaller books and fewer rounds")
    found = run(quick=parser.parse_args().quick)
    if found is None:
        raise SystemExit(f"left out: {NO_COMPILER}")
    print(save("limit", found))


if __name__ == "__main__":
    main()
