"""One seed of the differential test: a flow, cut into blocks of random size, through a pair, with regular looks.

A venue whose day has used up its client ids lets hardly anything in any more; the seed then goes on with a new venue.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from engine.schema import Code, EventKind, Limits
from tests.flow import Flow
from tests.properties.pair import SMALLEST_BUFFER, Block, Difference, Pair, Rows, play, save, shrink

CHUNK: Final = 512
LOOK_EVERY: Final = 1000  # commands between two comparisons of the whole world
SPENT_AFTER: Final = 500  # commands refused for want of client ids, after which a venue is left


def run_seed(
    seed: int,
    commands: int,
    make: Callable[[Limits], Pair] = Pair,
    look_every: int = LOOK_EVERY,
    **fixed: Any,
) -> Counter[tuple[str, int]]:
    """Run `commands` generated commands; return how often each event kind and each code came up.

    AssertionError with the first difference, field by field, and the name of the shrunk file in the corpus.
    """
    seen: Counter[tuple[str, int]] = Counter()
    venue, done = 0, 0
    while done < commands:
        flow = Flow((seed, venue) if venue else seed, **fixed)
        done += run_venue(seed, flow, commands - done, make, seen, look_every)
        venue += 1
    return seen


def run_venue(
    seed: int,
    flow: Flow,
    commands: int,
    make: Callable[[Limits], Pair],
    seen: Counter[tuple[str, int]],
    look_every: int,
) -> int:
    """Run a flow through a pair of its own until it has made `commands` or is spent; return how many it made."""
    pair = make(flow.mix.limits)
    try:
        return drive(flow, pair, commands, seen, look_every)
    except Difference as difference:
        script = shrink(pair.script, lambda tried: play(tried, make))
        text = play(script, make) or str(difference)
        path = save(script, text, f"found-{seed}-{int(pair.script.blocks[-1].rows['seq'][0])}")
        raise AssertionError(
            f"seed {seed}: {difference}\nshrunk from {len(pair.script)} to {len(script)} commands in {path}:\n{text}"
        ) from difference


def drive(flow: Flow, pair: Pair, commands: int, seen: Counter[tuple[str, int]], look_every: int) -> int:
    """Feed a flow to a pair in blocks of 1 to 512 rows; Difference where the two disagree.

    Return how many commands were fed: no more than a block's worth beyond `commands`, fewer if the venue is spent.
    """
    cuts = np.random.default_rng(flow.mix.width + 1000 * flow.seq)
    done, next_look, without_id = 0, 0, 0
    rows, payload = flow.prologue()
    while True:
        start = 0
        while start < len(rows):
            size = int(CHUNK ** cuts.random())
            # Half of the calls write into a buffer so small that long commands must be carried on (R36).
            buffer = int(SMALLEST_BUFFER + cuts.integers(0, 48)) if cuts.random() < 0.5 else 0
            block = Block(rows[start : start + size], payload, buffer)
            events = pair.run(block)
            flow.observe(events)
            count_events(events, seen)
            without_id += int((events["code"] == Code.DAY_ID_LIMIT).sum())
            start += size
            done += len(block.rows)
            if done >= next_look:
                pair.compare()
                pair.check()
                next_look = done + look_every
        if done >= commands or without_id > SPENT_AFTER:
            break
        # A chunk aims at what lived before it: where little lives, shorter chunks miss less.
        rows, payload = flow.take(flow.ahead(min(CHUNK, commands - done)))
    pair.compare()
    pair.check()
    return done


def count_events(events: Rows, seen: Counter[tuple[str, int]]) -> None:
    """Add up kinds, codes, reasons of canceled orders and steps of auctions."""
    canceled = events["kind"] == EventKind.ORDER_CANCELED
    called = (events["kind"] == EventKind.AUCTION_INDICATIVE) | (events["kind"] == EventKind.AUCTION_UNCROSSED)
    for name, found in (
        *(("kind", events["kind"]), ("code", events["code"])),
        *(("reason", events["reason"][canceled]), ("step", events["reason"][called])),
    ):
        values, counts = np.unique(found, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            seen[name, value] += count


def main() -> None:
    """`python -m tests.properties.campaign FIRST LAST COMMANDS`: run seeds by hand, with a line for each."""
    first, last, commands = (int(word) for word in sys.argv[1:4])
    for seed in range(first, last):
        started = time.perf_counter()
        try:
            seen = run_seed(seed, commands)
        except AssertionError as difference:
            print(difference, flush=True)
            continue
        events = sum(count for (field, _), count in seen.items() if field == "kind")
        rate = (time.perf_counter() - started) / commands * 1e6
        print(f"seed {seed}: {commands} commands, {events} events, no difference, {rate:.1f} us a command", flush=True)


if __name__ == "__main__":
    main()
