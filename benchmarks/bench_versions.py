"""Throughput of the core beside that of an earlier commit, in interleaved rounds of one run.

Both commits make the streams of `bench_kernel` themselves, in a process each; their checksums have to agree. The
earlier one is by default the last before the rules of phases, auctions, price controls and margin.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import ROOT, back_memory, progress, summary

BEFORE: Final = "63f67a8"
WORKLOADS: Final = ("small", "deep", "narrow")
ROUNDS: Final = 15
QUICK_ROUNDS: Final = 5
COMMANDS: Final = 400_000
QUICK_COMMANDS: Final = 100_000
LEAD_IN: Final = 8_192  # commands before a round that no figure counts

# Runs in a tree of its own: for each workload named says the checksum of its stream and the ns a command of one round.
# It names only what both trees have, and drives and times both alike.
CHILD: Final = """
import hashlib, sys, time
from benchmarks.measure import quiet
from benchmarks.peers import Core
from benchmarks.workloads import WORKLOADS, generate
from engine.apply import apply
lead_in, count = int(sys.argv[1]), int(sys.argv[2])
streams = {}
def drive(core, first, last):
    for at in range(first, last, 512):
        rows = core.stream.commands[at : min(at + 512, last)]
        while len(rows):
            done, _ = apply(core.state, rows, b"", core.buffer)
            rows = rows[done:]
for line in sys.stdin:
    name = line.strip()
    if name not in streams:
        resident = min(WORKLOADS[name].resident, 100_000)
        streams = {name: generate(name, lead_in + count, resident=resident)}
    stream = streams[name]
    core = Core(stream)
    with quiet():
        drive(core, 0, lead_in)
        start = time.thread_time_ns()
        drive(core, lead_in, lead_in + count)
        spent = time.thread_time_ns() - start
    digest = hashlib.sha256(stream.commands.tobytes()).hexdigest()[:16]
    print(digest, spent / count, flush=True)
"""


def checkout(commit: str, folder: Path) -> None:
    """Put the files of a commit into a folder; CalledProcessError if this clone does not have it."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed, check=True)


class Version:
    """A process that runs the streams on the core of one tree."""

    def __init__(self, tree: Path, commands: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(LEAD_IN), str(commands)],
            cwd=tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, workload: str) -> tuple[str, float]:
        """One round: (checksum of the stream, ns a command)."""
        assert self.process.stdin is not None and self.process.stdout is not None, "both are pipes"
        print(workload, file=self.process.stdin, flush=True)
        digest, took = self.process.stdout.readline().split()
        return digest, float(took)

    def close(self) -> None:
        """End the process: it goes on until its input ends."""
        self.process.communicate(timeout=60)


def run(*, before: str = BEFORE, quick: bool = False) -> dict[str, Any]:
    """Measure; per workload the ns a command of both and the throughput now as a share of what it was."""
    back_memory()
    rounds, commands = (QUICK_ROUNDS, QUICK_COMMANDS) if quick else (ROUNDS, COMMANDS)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        checkout(before, Path(folder))
        versions = [Version(Path(folder), commands), Version(ROOT, commands)]
        try:
            for workload in WORKLOADS:
                progress(f"{workload}: {rounds} rounds of {commands:,} commands on both")
                pairs = []
                for _ in range(rounds + 1):
                    (old_digest, old), (new_digest, new) = (version.run(workload) for version in versions)
                    assert old_digest == new_digest, "both commits run the same stream"
                    pairs.append((old, new))
                pairs = pairs[1:]  # the first warms up
                found[workload] = {
                    "before_ns": summary([old for old, _ in pairs]),
                    "now_ns": summary([new for _, new in pairs]),
                    "share": summary([old / new for old, new in pairs]),
                    "checksum": new_digest,
                }
        finally:
            for version in versions:
                version.close()
    return {"quick": quick, "before": before, "workloads": found}


def main(arguments: list[str] | None = None) -> None:
    """The command line: print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_versions", description=__doc__)
    parser.add_argument("--before", default=BEFORE, metavar="COMMIT")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    print(json.dumps(run(before=options.before, quick=options.quick), indent=1))


if __name__ == "__main__":
    main()
