"""The differential test for hours: `python -m tests.properties.soak --commands 100000000`.

Seeds are run one after the other, several at a time; a file keeps which are done, so that an interrupted soak goes on
where it was. Another state of the sources starts anew. A difference is shrunk into tests/corpus, told, and the other
seeds go on; the exit code is 1 if there was any.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.properties.campaign import run_seed

ROOT: Final = Path(__file__).resolve().parents[2]
STATE: Final = ROOT / ".run" / "soak.json"
FIRST_SEED: Final = 1_000_000
LOOK_EVERY: Final = 10_000


class Outcome(NamedTuple):
    """What one seed came to: events compared, seconds, and the text of the difference if there was one."""

    seed: int
    events: int
    seconds: float
    difference: str


def fingerprint(root: Path = ROOT) -> str:
    """What the soak is about: the engine, and what makes and compares its commands."""
    digest = hashlib.sha256()
    sources = [*root.glob("engine/**/*.py"), *root.glob("tests/flow*.py"), *root.glob("tests/properties/*.py")]
    for path in sorted(sources):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def run_one(task: tuple[int, int]) -> Outcome:
    """Run one seed in a worker."""
    seed, commands = task
    started = time.perf_counter()
    try:
        seen = run_seed(seed, commands, look_every=LOOK_EVERY)
    except AssertionError as difference:
        return Outcome(seed, 0, time.perf_counter() - started, str(difference))
    events = sum(count for (field, _), count in seen.items() if field == "kind")
    return Outcome(seed, events, time.perf_counter() - started, "")


class Progress:
    """What is done, on disk: commands per seed, seeds with their number of events, differences."""

    def __init__(self, path: Path, source: str, per_seed: int) -> None:
        self.path = path
        self.kept: dict[str, Any] = {"source": source, "per_seed": per_seed, "done": {}, "differences": {}}
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            if (found["source"], found["per_seed"]) == (source, per_seed):
                self.kept = found

    @property
    def done(self) -> dict[str, int]:
        done: dict[str, int] = self.kept["done"]
        return done

    def note(self, outcome: Outcome) -> None:
        """Write down a seed that has ended."""
        self.done[str(outcome.seed)] = outcome.events
        if outcome.difference:
            self.kept["differences"][str(outcome.seed)] = outcome.difference
        self.path.parent.mkdir(parents=True, exist_ok=True)
        half = self.path.with_suffix(".half")
        half.write_text(json.dumps(self.kept), encoding="utf-8")
        half.replace(self.path)


def waiting(progress: Progress, first: int, seeds: int, per_seed: int) -> Iterator[tuple[int, int]]:
    """The seeds that are not done yet."""
    return ((seed, per_seed) for seed in range(first, first + seeds) if str(seed) not in progress.done)


def soak(progress: Progress, first: int, seeds: int, per_seed: int, workers: int) -> int:
    """Run what is left, a line for each seed; the number of differences there are by then."""
    started, ran = time.monotonic(), 0
    tasks = waiting(progress, first, seeds, per_seed)
    # A worker ends with its seed: nothing that one leaves behind weighs on the next.
    with multiprocessing.get_context("fork").Pool(workers, maxtasksperchild=1) as pool:
        for outcome in pool.imap_unordered(run_one, tasks):
            progress.note(outcome)
            ran += per_seed
            done = len(progress.done) * per_seed
            pace = ran / (time.monotonic() - started)
            left = (seeds * per_seed - done) / pace / 3600
            found = f"{outcome.events:,} events equal" if not outcome.difference else f"!!\n{outcome.difference}\n"
            print(
                f"{done:,} of {seeds * per_seed:,} commands, seed {outcome.seed}: {found},"
                f" {pace:,.0f} commands/s, {left:.1f} h left",
                flush=True,
            )
    return len(progress.kept["differences"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the options and soak."""
    parser = argparse.ArgumentParser(prog="python -m tests.properties.soak", description=__doc__)
    parser.add_argument("--commands", type=int, default=100_000_000, help="how many in all")
    parser.add_argument("--per-seed", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="the first seed")
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--state", type=Path, default=STATE, help="where it is kept which seeds are done")
    parser.add_argument("--anew", action="store_true", help="forget what is done")
    options = parser.parse_args(arguments)
    if options.anew:
        options.state.unlink(missing_ok=True)
    progress = Progress(options.state, fingerprint(), options.per_seed)
    seeds = -(-options.commands // options.per_seed)
    if progress.done:
        print(f"{len(progress.done)} of {seeds} seeds are done already ({options.state})", flush=True)
    differences = soak(progress, options.first, seeds, options.per_seed, options.workers)
    print(f"{seeds * options.per_seed:,} commands, {sum(progress.done.values()):,} events, {differences} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
