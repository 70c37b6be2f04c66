"""How many small wrong changes to the reference are noticed: `python -m tests.mutation [--quick] [--seed N] …`.

Prints the seed, for each file how many mutants the scenario tables alone notice and how many with invariants and the
differential run, and every survivor with its place. `equivalent.txt` lists mutants that change nothing anybody could
see, each with the reason; one that is listed and noticed, or listed and no longer there, is named too.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.mutation.hunt import HUNTED, Verdict, hunt, list_all, prepare
from tests.mutation.mutants import Mutant

LIST: Final = Path(__file__).with_name("equivalent.txt")
QUICK: Final = 80


def read_reasons(text: str) -> dict[str, str]:
    """Names of mutants and why nothing can notice them; a line is `path | function | change | reason`."""
    reasons = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.rpartition(" | ")
            assert name.count(" | ") >= 2 and reason.strip(), f"not a mutant with a reason: {line}"
            reasons[name.strip()] = reason.strip()
    return reasons


def sample(mutants: Sequence[Mutant], seed: int, most: int | None) -> list[Mutant]:
    """The mutants to hunt: all in a drawn order, or the first `most` of it."""
    drawn = list(mutants)
    random.Random(seed).shuffle(drawn)
    return drawn[:most]


def report(verdicts: Sequence[Verdict], reasons: dict[str, str]) -> list[str]:
    """The counts of each file and of all, and what is to be looked at."""
    lines = [f"{'file':34s} mutants  by tables  by all  equivalent  survive"]
    for path in (*HUNTED, ""):
        own = [one for one in verdicts if one.mutant.path.startswith(path)]
        if not own:
            continue
        tables = sum(one.by.startswith("table") or one.by in ("time", "crash") for one in own)
        equivalent = sum(not one.killed and one.mutant.name in reasons for one in own)
        killed, due = sum(one.killed for one in own), len(own) - equivalent
        share = [f"{100 * number / due:5.1f} %" if due else "    -" for number in (tables, killed)]
        lines.append(f"{path or 'all':34s} {len(own):7d}    {share[0]} {share[1]}  {equivalent:10d}  {due - killed:7d}")
    noticed = Counter("table" if one.by.startswith("table") else one.by.split(" (")[0] for one in verdicts)
    lines.append("noticed first by: " + ", ".join(f"{name} {count}" for name, count in noticed.most_common()))
    for one in sorted(verdicts, key=lambda one: (one.mutant.path, one.mutant.number)):
        listed = one.mutant.name in reasons
        if one.killed and not listed:
            continue
        word = "noticed, though listed as equivalent" if one.killed else "equivalent" if listed else "survives"
        reason = f" ({reasons[one.mutant.name]})" if listed else ""
        lines.append(f"{one.mutant.path}:{one.mutant.line}: {word}: {one.mutant.name.partition(' | ')[2]}{reason}")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Hunt and print; 1 if `--strict` and somebody survived without a reason."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} mutants against short runs")
    parser.add_argument("--seed", type=int, default=1, help="which mutants come first, and which flow they meet")
    parser.add_argument("--most", type=int, help="how many mutants at most")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="files and functions whose name contains this")
    parser.add_argument("--strict", action="store_true", help="fail if a mutant survives that is not listed")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    everyone = list_all()
    meant = [one for one in everyone if options.only in f"{one.path}:{one.function}"]
    mutants = sample(meant, options.seed, options.most or (QUICK if options.quick else None))
    seeds = [10_000 * options.seed + number for number in range(12 if options.quick else 80)]
    material = prepare(seeds, 1000 if options.quick else 1500)
    print(
        f"seed {options.seed}: {len(mutants)} of {len(everyone)} mutants, {len(material.cases)} cases of tables,"
        f" {len(seeds)} runs of generated flow from seed {seeds[0]}; ready after {time.monotonic() - started:.0f} s",
        flush=True,
    )
    for name in material.broken:
        print(f"left out, for the unchanged reference fails it: {name}")
    verdicts = []
    for verdict in hunt(mutants, material, workers=options.workers):
        verdicts.append(verdict)
        if len(verdicts) % 50 == 0:
            killed = sum(one.killed for one in verdicts)
            print(f"  {len(verdicts)} done, {killed} noticed, {time.monotonic() - started:.0f} s", flush=True)
    reasons = read_reasons(LIST.read_text(encoding="utf-8"))
    print("\n".join(report(verdicts, reasons)))
    for name in sorted(reasons.keys() - {one.name for one in everyone}):
        print(f"listed, and no longer there: {name}")
    print(f"{time.monotonic() - started:.0f} s")
    alive = [one for one in verdicts if not one.killed and one.mutant.name not in reasons]
    return 1 if options.strict and alive else 0


if __name__ == "__main__":
    sys.exit(main())
