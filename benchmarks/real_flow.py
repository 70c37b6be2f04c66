"""Replay real order flow and compare every fill and every book with the exchange's: does price-time priority hold?

    python -m benchmarks.real_flow DIR [--reference] [--json]

DIR holds LOBSTER files (`*_message_N.csv` beside `*_orderbook_N.csv`) and market-by-order files (`*_mbo*.csv`, beside
them perhaps `*_mbp*.csv`).  They are replayed through the compiled core and, with --reference, through the readable
matcher too; both must give the same events, byte for byte.  The engine is never told which order is to be hit.
Exit codes: 0 done, 1 the matchers differ, 2 no such files or not of the format.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks import flow_lobster, flow_mbo
from benchmarks.flow_report import Report
from benchmarks.flow_venue import CompiledMatcher, Matcher, Rows, Terms, Venue, limits_for
from engine.schema import COMMAND, Limits

BLOCK_ROWS: Final = 512
ROUNDS: Final = 5


class Source(NamedTuple):
    """One file ready to be replayed."""

    name: str
    terms: Terms
    messages: int
    replay: Callable[[Venue], Report]


class Run(NamedTuple):
    """What one matcher made of a source."""

    report: Report
    venue: Venue
    seconds: float


def sources(folder: Path) -> Iterator[Source]:
    """Read every file of a known format in a folder; ValueError if one is not of its format."""
    for messages, books in flow_lobster.find(folder):
        lobster = flow_lobster.read(messages, books)
        yield Source(lobster.name, lobster.terms, len(lobster.messages), partial(flow_lobster.replay, lobster))
    for messages, depths in flow_mbo.find(folder):
        by_order = flow_mbo.read(messages, depths)
        yield Source(by_order.name, by_order.terms, len(by_order.messages), partial(flow_mbo.replay, by_order))


def run(source: Source, matcher: Matcher) -> Run:
    """Replay a source through a matcher, one command a call."""
    start = time.perf_counter()
    venue = Venue(matcher, source.terms)
    report = source.replay(venue)
    return Run(report, venue, time.perf_counter() - start)


def blocks(venue: Venue) -> Iterator[tuple[Rows, bytes, bool]]:
    """The commands of a finished replay again, in order, in blocks; whether a block is of acts."""
    done = 0
    commands = np.concatenate(venue.commands) if venue.commands else np.zeros(0, COMMAND)
    for upto, rows, payload in [*venue.acts, (len(commands), None, b"")]:
        for first in range(done, upto, BLOCK_ROWS):
            yield commands[first : min(first + BLOCK_ROWS, upto)], b"", False
        done = upto
        if rows is not None:
            yield rows, payload, True


def speed(venue: Venue, make: Callable[[], Matcher], rounds: int) -> float:
    """Commands a second in blocks of 512, acts outside the clock: the median of `rounds`, each with the same events."""
    rates = []
    for _ in range(rounds):
        matcher, digest, spent = make(), hashlib.sha256(), 0
        for rows, payload, is_act in blocks(venue):
            start = time.thread_time_ns()
            events = matcher.run_block(rows, payload)
            spent += 0 if is_act else time.thread_time_ns() - start
            digest.update(events.tobytes())
        assert digest.digest() == venue.digest.digest(), "blocks give the events that single commands gave"
        rates.append(len(venue.commands) / (spent / 1e9))
    return sorted(rates)[len(rates) // 2]


def result(source: Source, *, reference: bool, rounds: int = ROUNDS) -> dict[str, Any]:
    """Everything there is to say about one source; `same` is absent without the reference."""
    limits: Limits = limits_for(source.messages)
    compiled = run(source, CompiledMatcher(limits))
    found = {
        **compiled.report.figures(),
        "commands": len(compiled.venue.commands),
        "refusals": compiled.venue.refusals,
        "queues_checked": compiled.venue.book_checks,
        "events_sha256": compiled.venue.digest.hexdigest(),
        "commands_per_second": round(speed(compiled.venue, lambda: CompiledMatcher(limits), rounds)),
        "differences": compiled.report.differences,
        "differences_not_kept": compiled.report.differences_not_kept,
    }
    if reference:
        from engine.reference import Reference

        readable = run(source, Reference(limits))
        found["same"] = (
            readable.venue.digest.digest() == compiled.venue.digest.digest() and readable.report == compiled.report
        )
        found["reference_commands_per_second"] = round(len(readable.venue.commands) / readable.seconds)
    return found


def tell(found: dict[str, Any]) -> str:
    """One file's result for people."""
    left_out = ", ".join(f"{count:,} {what}" for what, count in found["left_out"].items()) or "nothing"
    lines = [
        f"{found['name']} ({found['form']}, {found['messages']:,} messages; left out: {left_out})",
        f"  aggressive events exact {found['events_exact']:,} of {found['events']:,}",
        f"    where a named order stood in reach {found['decisive_exact']:,} of {found['decisive']:,}",
        f"    single fills {found['fills_exact']:,} of {found['fills']:,}",
        f"  books equal {found['books_equal']:,} of {found['books']:,}"
        f"  (levels taken over {found['levels_taken_over']:,}, entered again {found['levels_entered_again']:,};"
        f" queues checked {found['queues_checked']} times)",
        f"  {found['commands']:,} commands, {found['refusals']} refused,"
        f" {found['commands_per_second']:,} a second in blocks of {BLOCK_ROWS}; events {found['events_sha256'][:16]}",
    ]
    if "same" in found:
        verdict = "exactly the same" if found["same"] else "NOT THE SAME"
        lines.append(f"  compiled and reference: {verdict}")
    lines += [f"  differs: {text}" for text in found["differences"]]
    if found["differences_not_kept"]:
        lines.append(f"  and {found['differences_not_kept']:,} differences more")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_flow", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the files are")
    parser.add_argument("--reference", action="store_true", help="replay through the readable matcher too, and compare")
    parser.add_argument("--json", action="store_true", help="one JSON object per file")
    options = parser.parse_args(arguments)
    count, same = 0, True
    try:
        for source in sources(options.folder):
            print(f"replaying {source.name} …", file=sys.stderr, flush=True)
            found = result(source, reference=options.reference)
            print(json.dumps(found) if options.json else tell(found), flush=True)
            count += 1
            same &= found.get("same", True)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not count:
        print(f"error: no order flow in {options.folder} (see --help for the formats)", file=sys.stderr)
        return 2
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
