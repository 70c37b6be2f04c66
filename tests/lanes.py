"""Run the tests lane by lane, each in its own process, environment and time budget, and count what happened.

The folder of a test decides its lane; the markers `jit_off` and `bounds` send it through another build of the kernels
as well, `nightly` and `slow` keep it out of shorter runs. A lane that runs a quarter over its budget fails, and so does
one that finds no test: silence is not success. Budgets are for a quiet machine, and longer by as much as this one is
slower before or after the lane (tests/calibration.py). The last line printed is always `N passed, N failed, N skipped`.

    python -m tests.lanes [--fast | --nightly] [LANE ...]
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.calibration import slowness

ROOT = Path(__file__).resolve().parent.parent
SCRATCH = Path(".run/lanes")
OVER_BUDGET = 1.25  # a lane may take this many times its budget before it fails
HARD_STOP = 2.0  # and this many times before it is ended: something hangs
NO_TESTS = 5  # pytest's exit code when nothing was collected
CORE = "engine/core/*,engine/apply.py,engine/apply/*"
CORE_COVERAGE_MIN = 90

# Set by us alone: what the caller's shell carries must not turn one lane into another.
SWITCHES = frozenset(
    {"NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK", "CASHEW_BOUNDSCHECK", "CASHEW_LANE"}
    | {"PYTEST_ADDOPTS", "PYTHONOPTIMIZE", "PYTHONPATH"}
)

# Debian packages that some tests need and that the set-up here cannot install: command → what is not tested without it.
OUTSIDE = {"strace": "the order of write, sync and send as the operating system sees it"}


@dataclass(frozen=True, kw_only=True)
class Lane:
    """Which tests run together, how, and how long they may take."""

    name: str
    budget_s: float
    folders: tuple[str, ...]
    without: tuple[str, ...] = ()
    marker: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    workers: int = 0
    options: tuple[str, ...] = ()
    fast_s: float = 0  # its budget in the fast run; 0 keeps it out
    nightly: bool = True
    covers_core: bool = False


OWN_FOLDERS = ("tests/properties", "tests/tracebook", "tests/faults", "tests/e2e", "tests/bench_guards")
TWO_BUILDS = ("tests/engine", "tests/properties", "tests/scenarios", "tests/test_canary.py")

LANES = (
    Lane(name="unit", budget_s=240, folders=("tests",), without=OWN_FOLDERS, workers=2, fast_s=60),
    Lane(name="differential", budget_s=240, folders=("tests/properties", "tests/tracebook"), workers=2, fast_s=60),
    Lane(
        name="jit_off",
        budget_s=120,
        folders=TWO_BUILDS,
        marker="jit_off",
        environment={"NUMBA_DISABLE_JIT": "1"},
        nightly=False,  # a full count, uncompiled, would take until morning
        covers_core=True,
    ),
    Lane(
        name="bounds",
        budget_s=120,
        folders=TWO_BUILDS,
        marker="bounds",
        environment={"CASHEW_BOUNDSCHECK": "1"},
        workers=2,
    ),
    Lane(name="faults", budget_s=300, folders=("tests/faults",)),
    Lane(name="e2e", budget_s=240, folders=("tests/e2e",)),
    Lane(name="bench", budget_s=120, folders=("tests/bench_guards",), options=("--benchmark-enable",)),
)


@dataclass
class Outcome:
    """What one lane did."""

    name: str
    budget_s: float = 0
    seconds: float = 0
    slowness: float = 1  # how many times as long this machine takes as the one that budgets are for
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    trouble: list[str] = field(default_factory=list)

    def fail(self, why: str) -> None:
        """Count a failure that is not one of a single test."""
        self.failed += 1
        self.trouble.append(why)


def selection(lane: Lane, mode: str) -> str:
    """Write the marker expression of a lane in a mode: full, fast or nightly."""
    parts = [lane.marker] if lane.marker else []
    parts.append("nightly" if mode == "nightly" else "not nightly")
    if mode == "fast":
        parts.append("not slow")
    return " and ".join(parts)


def budget_of(lane: Lane, mode: str) -> float:
    """Seconds a lane may take; 0 where nobody waits for it."""
    return {"full": lane.budget_s, "fast": lane.fast_s, "nightly": 0}[mode]


def environment_of(lane: Lane) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in SWITCHES}
    return {**kept, **lane.environment, "CASHEW_LANE": lane.name}


def command_of(lane: Lane, mode: str, root: Path) -> list[str]:
    """Build the call of pytest for a lane."""
    python = [sys.executable]
    if lane.covers_core:
        python += [
            "-m",
            "coverage",
            "run",
            "--branch",
            "--source=engine",
            f"--data-file={SCRATCH / lane.name}.coverage",
        ]
    command = [
        *python,
        "-m",
        "pytest",
        "-q",
        "-rfE",
        "-m",
        selection(lane, mode),
        f"--junit-xml={SCRATCH / lane.name}.xml",
    ]
    if lane.workers:
        command += ["-n", str(min(lane.workers, os.cpu_count() or 1)), "--dist", "loadfile"]
    elif mode == "nightly":
        command.append("--capture=no")  # the full counts tell what they count
    command += [f"--ignore={folder}" for folder in lane.without]
    return [*command, *lane.options, *(folder for folder in lane.folders if (root / folder).exists())]


def run_lane(lane: Lane, mode: str = "full", root: Path = ROOT) -> Outcome:
    """Run a lane to its end, or stop it at its hard limit, and read what it reported."""
    outcome = Outcome(lane.name, budget_of(lane, mode))
    report = root / SCRATCH / f"{lane.name}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    before = slowness()
    started = time.monotonic()
    code: int | None = NO_TESTS
    if any((root / folder).exists() for folder in lane.folders):
        code = call(command_of(lane, mode, root), environment_of(lane), root, outcome.budget_s * HARD_STOP * before)
    outcome.seconds = time.monotonic() - started
    outcome.slowness = max(before, slowness())
    if report.exists():
        read_report(report, outcome)
    if code is None:
        outcome.fail(f"was ended after {outcome.seconds:.0f} s: something hangs")
    elif code == NO_TESTS:
        # A nightly run asks every lane, and not every lane has a full count; the total is checked at the end.
        if mode != "nightly":
            outcome.fail("found no test")
    elif code != 0 and not outcome.failed:
        outcome.fail(f"pytest ended with code {code}")
    if outcome.budget_s and outcome.seconds > outcome.budget_s * OVER_BUDGET * outcome.slowness:
        outcome.fail(f"took {outcome.seconds:.0f} s, more than a quarter over its {outcome.budget_s:.0f} s")
    if lane.covers_core and not outcome.failed:
        report_coverage(lane, outcome, root)
    return outcome


def call(command: Sequence[str], environment: Mapping[str, str], root: Path, limit_s: float) -> int | None:
    """Run a command in a process group of its own; return its exit code, or nothing where the limit ended it."""
    process = subprocess.Popen(command, cwd=root, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait(limit_s or None)
    except subprocess.TimeoutExpired:
        return None
    finally:
        # Whatever a lane started goes with it: also on Ctrl-C, which the lane, being in another group, does not hear.
        for sent in (signal.SIGINT, signal.SIGKILL):
            try:
                os.killpg(process.pid, sent)
                process.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def read_report(report: Path, outcome: Outcome) -> None:
    """Add the counts of a JUnit report, and the reasons of what was skipped."""
    for suite in ElementTree.parse(report).iter("testsuite"):
        total, failures, errors, skipped = (
            int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")
        )
        outcome.failed += failures + errors
        outcome.skipped += skipped
        outcome.passed += max(0, total - failures - errors - skipped)
    outcome.reasons.update(node.get("message", "") for node in ElementTree.parse(report).iter("skipped"))


def report_coverage(lane: Lane, outcome: Outcome, root: Path) -> None:
    """Print the branch coverage of the core; too little of it fails the lane."""
    command = [
        sys.executable,
        "-m",
        "coverage",
        "report",
        f"--data-file={SCRATCH / lane.name}.coverage",
        f"--include={CORE}",
    ]
    command += ["--skip-covered", "--show-missing", f"--fail-under={CORE_COVERAGE_MIN}"]
    if subprocess.run(command, cwd=root, check=False).returncode:
        outcome.fail(f"branch coverage of the core is under {CORE_COVERAGE_MIN} %")


def compile_kernels(lanes: Sequence[Lane]) -> Outcome:
    """Compile before any lane starts, so that no worker does it twice and no budget pays for it; once per build."""
    outcome = Outcome("compile")
    started = time.monotonic()
    builds = {
        tuple(sorted(lane.environment.items())): lane for lane in lanes if "NUMBA_DISABLE_JIT" not in lane.environment
    }
    for build, lane in builds.items():
        say(f"kernels: {' '.join('='.join(pair) for pair in build) or 'as they run in production'}")
        if call([sys.executable, "-m", "engine.compile"], environment_of(lane), ROOT, 0):
            outcome.fail("the kernels do not compile")
    outcome.seconds = time.monotonic() - started
    return outcome


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def summary(outcomes: Sequence[Outcome]) -> str:
    """The closing line, in the form that other programs read."""
    passed, failed, skipped = (sum(getattr(o, key) for o in outcomes) for key in ("passed", "failed", "skipped"))
    return f"{passed} passed, {failed} failed, {skipped} skipped"


def close(outcomes: Sequence[Outcome]) -> int:
    """Print the table of lanes, what was left out and why, and the closing line; return the exit code."""
    say("lanes")
    for o in outcomes:
        budget = f" of {o.budget_s:.0f}" if o.budget_s else ""
        budget += f", machine {o.slowness:.1f} times as slow" if o.budget_s and o.slowness > 1.05 else ""
        counts = f"{o.passed:6d} passed {o.failed:4d} failed {o.skipped:4d} skipped"
        print(f"  {o.name:13s}{counts}   {o.seconds:6.1f} s{budget}", *(f"\n  {'':13s}{why}" for why in o.trouble))
    left_out = [f"{tool} is not installed: {what}" for tool, what in OUTSIDE.items() if not shutil.which(tool)]
    reasons: Counter[str] = sum((o.reasons for o in outcomes), Counter())
    left_out += [f"{count} skipped: {reason}" for reason, count in sorted(reasons.items())]
    if left_out:
        say("left out")
        print(*(f"  {line}" for line in left_out), sep="\n")
    if not any(o.passed + o.failed for o in outcomes):
        outcomes = [*outcomes, Outcome("all", failed=1, trouble=["no test ran"])]
        print("\n  no test ran")
    print(f"\n{summary(outcomes)}", flush=True)
    return 1 if any(o.failed for o in outcomes) else 0


def main(arguments: Sequence[str] | None = None) -> int:
    # A shell starts its background jobs deaf to Ctrl-C, and children inherit that; some tests send it to theirs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="python -m tests.lanes", description=__doc__.partition("\n")[0])
    names = [lane.name for lane in LANES]
    parser.add_argument("lanes", nargs="*", metavar="LANE", help=f"only these: {', '.join(names)}")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--fast", action="store_const", const="fast", dest="mode", help="the quick part, under two minutes"
    )
    how.add_argument(
        "--nightly", action="store_const", const="nightly", dest="mode", help="the full counts, without budgets"
    )
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.lanes) - set(names)):
        parser.error(f"no lane {', '.join(unknown)}; there are {', '.join(names)}")
    mode = options.mode or "full"
    lanes = [lane for lane in LANES if not options.lanes or lane.name in options.lanes]
    lanes = [lane for lane in lanes if (mode != "fast" or lane.fast_s) and (mode != "nightly" or lane.nightly)]
    outcomes = [compile_kernels(lanes)]
    try:
        for number, lane in enumerate(lanes, 1):
            if outcomes[0].failed:
                break
            budget = budget_of(lane, mode)
            say(f"lane {number} of {len(lanes)}: {lane.name}" + (f", {budget:.0f} s" if budget else ""))
            outcomes.append(run_lane(lane, mode))
    except KeyboardInterrupt:
        outcomes.append(Outcome("interrupted", failed=1))
    return close(outcomes)


if __name__ == "__main__":
    sys.exit(main())
