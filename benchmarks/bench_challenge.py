"""The core on the five scenarios of the public challenge (benchmarks/flows/challenge), scored by the worst of them.

What runs is `engine.apply.apply` with all gates on, every event row written, in three ways: one message at a time in
compiled code (BLIND: nothing of a later message is looked at, as the challenge wants it), blocks of 512 with looking
ahead, and one call from Python for each message.  Each round gives every scenario in every way a fresh venue and the
whole stream; rounds are interleaved.  The events of the three ways are the same over the whole stream, and those of the
readable matcher over its beginning: by digest.

This is our flow by the challenge's laws, on our side of its interface: no reports are handed to another thread.  The
adapter that the challenge's own harness drives is benchmarks/challenge.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any, Final

from benchmarks.flows.challenge import ORDERS, SCENARIOS, generate
from benchmarks.measure import back_memory, progress, quiet, save, summary
from benchmarks.peers import BLOCK_ROWS, Core, Readable, Spent
from benchmarks.workloads import Stream

ROUNDS: Final = 9
QUICK_ROUNDS: Final = 3
QUICK_ORDERS: Final = 20_000
PREFIX: Final = 60_000  # messages that the readable matcher carries out too
QUICK_PREFIX: Final = 5_000
CALLS: Final = 200_000  # messages of a round with one call from Python for each
WAYS: Final = ("one_by_one", "blocks", "calls")


def venue(stream: Stream, way: str, *, keep_digest: bool = False) -> Core:
    """A fresh venue that takes a stream in one of the WAYS."""
    core = Core(stream, keep_digest=keep_digest)
    core.block = 1 if way == "calls" else BLOCK_ROWS
    if way != "blocks":
        core.state.arrays.go_blind()
    return core


def check(stream: Stream, prefix: int) -> dict[str, Any]:
    """Carry out a stream in every way and its beginning by the reference; all must write the same events."""
    told = {way: venue(stream, way, keep_digest=True) for way in WAYS}
    readable = Readable(stream)
    readable.run(0, prefix)
    for way, core in told.items():
        core.run(0, prefix)
        assert core.digest.digest() == readable.digest.digest(), f"{way}: not the events of the reference"
        core.run(prefix, len(stream.commands))
    digests = {core.digest.hexdigest() for core in told.values()}
    assert len(digests) == 1, "events depend on the way in which messages are handed over"
    events = told["blocks"].events
    return {
        "messages": len(stream.commands),
        "events": events,
        "stream_sha256": stream.checksum,
        "events_sha256": digests.pop(),
        "checked_by_reference": prefix,
    }


def rates(spent: list[Spent], messages: int) -> dict[str, Any]:
    """Million messages a second of rounds, by CPU and by wall time."""
    return {
        "cpu_rate": summary([1e3 * messages / one.cpu for one in spent]),
        "wall_rate": summary([1e3 * messages / one.wall for one in spent]),
    }


def run(*, quick: bool) -> dict[str, Any]:
    """All of it; the result is what benchmarks/results/challenge.json holds."""
    rounds, orders, prefix = (QUICK_ROUNDS, QUICK_ORDERS, QUICK_PREFIX) if quick else (ROUNDS, ORDERS, PREFIX)
    back_memory()
    found: dict[str, Any] = {"quick": quick, "rounds": rounds, "block": BLOCK_ROWS, "orders": orders, "scenarios": {}}
    streams: dict[str, Stream] = {}
    for name, scenario in SCENARIOS.items():
        stream = generate(name, orders)
        found["scenarios"][name] = {"says": scenario.says, **check(stream, prefix)}
        streams[name] = replace(stream, plain=stream.plain[:0])  # the plain form is not needed any more
        progress(f"{name}: {len(stream.commands):,} messages, {found['scenarios'][name]['events']:,} events agree")
    spent: dict[tuple[str, str], list[Spent]] = {(name, way): [] for name in streams for way in WAYS}
    calls = min(CALLS, orders)
    with quiet():
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}")
            for name, stream in streams.items():
                for way in WAYS[:: 1 if number % 2 else -1]:
                    last = calls if way == "calls" else len(stream.commands)
                    spent[name, way].append(venue(stream, way).run(0, last))
    for name, stream in streams.items():
        for way in WAYS:
            messages = calls if way == "calls" else len(stream.commands)
            found["scenarios"][name][way] = rates(spent[name, way], messages)
    found["worst"] = {way: worst(found["scenarios"], way) for way in WAYS}
    return found


def worst(scenarios: dict[str, Any], way: str) -> dict[str, Any]:
    """The scenario whose median is the lowest, and its figures: what the challenge scores by."""
    name = min(scenarios, key=lambda one: scenarios[one][way]["cpu_rate"]["median"])
    return {"scenario": name, **scenarios[name][way]}


def main() -> None:
    """The command line: `python -m benchmarks.bench_challenge [--quick]`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--quick", action="store_true", help="short scenarios and fewer rounds")
    print(save("challenge", run(quick=parser.parse_args().quick)))


if __name__ == "__main__":
    main()
