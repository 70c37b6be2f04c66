"""Hunts mutants of the reference: each in a child process of its own, against tables, invariants and the compiled core.

The parent imports everything, reads the scenario tables and records generated flow with what the core says to it;
children share that by fork. A child compiles the changed module, imports the reference anew around it, and says what
noticed the change first: a scenario table alone, an invariant, a difference from the core, or the clock.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import os
import resource
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.schema import Limits
from tests.flow import Flow
from tests.mutation.mutants import Mutant, list_mutants, mutate
from tests.properties import odd_acts
from tests.properties.pair import Block, Core, Script, cut
from tests.scenarios.runner import differences
from tests.scenarios.table import read_table

__all__ = ["HUNTED", "Material", "Verdict", "hunt", "list_all", "prepare"]

ROOT: Final = Path(__file__).resolve().parents[2]
TABLES: Final = ROOT / "tests" / "scenarios"
HUNTED: Final = tuple(sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "engine").glob("reference*.py")))
SURVIVED: Final = "survived"
PASSED: Final = "tables passed: "
Judge = Callable[[Mutant, "Material", dict[str, CodeType], Callable[[str], None]], str]
PATIENCE: Final = 10  # how many times its own time a child may take by the clock on the wall
MEMORY: Final = 3 << 30  # bytes of address space that a child may ask for
Rows = npt.NDArray[np.void]


class Recorded(NamedTuple):
    """A generated run: its blocks, what the core said to each, and what can be seen of it at the start and the end."""

    limits: Limits
    blocks: list[Block]
    events: list[bytes]
    views: list[Any]


class Played(NamedTuple):
    """A case of a scenario table: what its matcher was asked, and what a right one answers.

    Tables say every field of every event, so what a matcher answers otherwise no table agrees with; and playing the
    answers is many times as fast as reading the table again.
    """

    table: str
    limits: Limits
    steps: list[tuple[str, tuple[Any, ...], Any]]


@dataclass
class Material:
    """What mutants are held against."""

    cases: list[Played] = field(default_factory=list)
    runs: list[Recorded] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)  # tables that the unchanged reference fails: not used


class Verdict(NamedTuple):
    """What became of a mutant: the first thing that noticed it, or SURVIVED."""

    mutant: Mutant
    by: str

    @property
    def killed(self) -> bool:
        return self.by != SURVIVED


@cache
def source(path: str) -> str:
    """The text of a module, read once: whoever edits it during a hunt does not change what is hunted."""
    return (ROOT / path).read_text(encoding="utf-8")


def list_all(paths: Sequence[str] = HUNTED) -> list[Mutant]:
    """Every mutant of the reference."""
    return [mutant for path in paths for mutant in list_mutants(path, source(path))]


def prepare(seeds: Sequence[int], commands: int) -> Material:
    """Read the tables, and record seeds through the compiled core; the unchanged reference must agree with all."""
    material = Material()
    reference = importlib.import_module("engine.reference").Reference
    for path in sorted(TABLES.glob("r*.txt")):
        for case in read_table(path):
            listener = Listener(reference)
            if differences(case, listener, whole=True):
                material.broken.append(f"{path.name}: {case.title}")
            else:
                material.cases.append(Played(path.name, listener.limits, listener.steps))
    if seeds:
        material.runs = [replay(script) for script in odd_acts.scripts()]
    material.runs += [record(seed, commands) for seed in seeds]
    noticed = by_flow(reference, material.runs)
    assert noticed is None, f"the unchanged reference is at odds with the core: {noticed}"
    return material


class Listener:
    """A matcher that writes down what it is asked and answers; also the factory that makes it."""

    def __init__(self, reference: Any) -> None:
        self.reference = reference
        self.limits = Limits()
        self.steps: list[tuple[str, tuple[Any, ...], Any]] = []

    def __call__(self, limits: Limits) -> Listener:
        self.limits, self.matcher = limits, self.reference(limits)
        return self

    def run_block(self, commands: Rows, payload: bytes) -> Rows:
        # The payload grows while the table is read.
        arguments = (commands.copy(), bytes(payload))
        events: Rows = self.matcher.run_block(*arguments)
        self.steps.append(("run_block", arguments, events.tobytes()))
        return events

    def book(self, instrument: int) -> dict[str, Any]:
        seen: dict[str, Any] = self._look("book", instrument)
        return seen

    def indicative(self, instrument: int) -> Any:
        return self._look("indicative", instrument)

    def check(self) -> None:
        """The tables alone do without the invariants."""

    def _look(self, name: str, instrument: int) -> Any:
        seen = getattr(self.matcher, name)(instrument)
        self.steps.append((name, (instrument,), seen))
        return seen


def record(seed: int, commands: int) -> Recorded:
    """Run one seed through the compiled core."""
    flow = Flow(seed)
    core, cuts = Core(flow.mix.limits), np.random.default_rng(seed)
    run = Recorded(flow.mix.limits, [], [], [view(core)])
    rows, payload = flow.prologue()
    done = 0
    while done < commands:
        for part in cut(rows, cuts.integers(1, 200, len(rows)).tolist()):
            run.blocks.append(Block(part, payload))
            events = core.run(run.blocks[-1])
            run.events.append(events.tobytes())
            flow.observe(events)
        done += len(rows)
        rows, payload = flow.take(flow.ahead(256))
    run.views.append(view(core))
    return run


def replay(script: Script) -> Recorded:
    """Run a script through the compiled core."""
    core = Core(script.limits)
    run = Recorded(script.limits, script.blocks, [], [view(core)])
    run.events.extend(core.run(block).tobytes() for block in script.blocks)
    run.views.append(view(core))
    return run


def view(matcher: Any) -> Any:
    """All that can be looked at: the world, every book, and what each would trade in an uncross."""
    world = matcher.dump()
    numbers = range(1, len(world["instruments"]) + 1)
    return world, [(matcher.book(number), tuple(matcher.indicative(number))) for number in numbers]


# --- in the child ---------------------------------------------------------------------------------


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives modules from code that was compiled before."""

    def __init__(self, codes: dict[str, CodeType]) -> None:
        self.codes = codes

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self) if name in self.codes else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.codes[module.__name__], module.__dict__)


def compiled() -> dict[str, CodeType]:
    """The reference's modules, unchanged."""
    return {name_of(path): compile(source(path), path, "exec") for path in HUNTED}


def name_of(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def changed_reference(codes: dict[str, CodeType], path: str, tree: ast.Module) -> Any:
    """Import the reference around one changed module. Only for a process that ends with it."""
    for name in codes:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Changed({**codes, name_of(path): compile(tree, path, "exec")}))
    return importlib.import_module("engine.reference").Reference


def by_tables(reference: Any, cases: Sequence[Played]) -> str | None:
    """The first table that notices something; the invariants are not asked."""
    for case in cases:
        matcher = reference(case.limits)
        for method, arguments, answer in case.steps:
            try:
                given = getattr(matcher, method)(*arguments)
                if (given.tobytes() if method == "run_block" else given) != answer:
                    return f"table {case.table}"
            except Exception as trouble:
                return f"table {case.table} ({type(trouble).__name__})"
    return None


def differs(matcher: Any, wanted: Any) -> bool:
    """Whether a matcher looks otherwise, or cannot be looked at."""
    try:
        return bool(view(matcher) != wanted)
    except Exception:
        return True


def by_flow(reference: Any, runs: Sequence[Recorded]) -> str | None:
    """The first difference from the core, or invariant of the reference that breaks."""
    for run in runs:
        matcher, since = reference(run.limits), 0
        if differs(matcher, run.views[0]):
            return "differential (view)"
        for block, events in zip(run.blocks, run.events, strict=True):
            try:
                if matcher.run_block(block.rows, block.payload).tobytes() != events:
                    return "differential"
            except Exception as trouble:
                return f"differential ({type(trouble).__name__})"
            since += len(block.rows)
            if since >= 500:
                since = 0
                try:
                    matcher.check()
                except Exception:
                    return "invariants"
        if differs(matcher, run.views[1]):
            return "differential (view)"
    return None


def judge(mutant: Mutant, material: Material, codes: dict[str, CodeType], note: Callable[[str], None]) -> str:
    """What notices a mutant; runs in the child. `note` tells the parent how far it got, should it come to no end."""
    tree = mutate(source(mutant.path), mutant.number)
    try:
        reference = changed_reference(codes, mutant.path, tree)
    except Exception as trouble:
        return f"table (cannot be imported: {type(trouble).__name__})"
    noticed = by_tables(reference, material.cases)
    if noticed is None:
        note(PASSED)
        noticed = by_flow(reference, material.runs)
    return noticed or SURVIVED


# --- in the parent --------------------------------------------------------------------------------


@dataclass
class Child:
    """A process with one mutant, and the pipe on which it says its verdict."""

    mutant: Mutant
    process: int
    pipe: int
    deadline: float
    said: bytes = b""


def hunt(
    mutants: Sequence[Mutant],
    material: Material,
    *,
    workers: int = 2,
    seconds: float = 20,
    judge: Judge = judge,
) -> Iterator[Verdict]:
    """Give each mutant a child and yield what became of it, in the order in which they end.

    A child that computes longer than `seconds` for the tables or for the flow, or dies of anything, counts as noticed:
    such a reference is of no use. What counts is its own time, so that a busy machine notices nothing by itself; one
    that neither computes nor ends is ended after ten times as long.
    """
    codes = compiled()
    waiting = list(reversed(mutants))
    running: dict[int, Child] = {}
    telling: Counter[str] = Counter()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                child = start(waiting.pop(), material, codes, judge, seconds)
                running[child.pipe] = child
            ready, _, _ = select.select(list(running), [], [], 0.2)
            for pipe, child in list(running.items()):
                ended = False
                if pipe in ready:
                    more = os.read(pipe, 4096)
                    child.said += more
                    ended = not more
                    child.deadline = time.monotonic() + PATIENCE * seconds  # it got further
                if ended or child.deadline < time.monotonic():
                    verdict = finish(running.pop(pipe), late=not ended)
                    yield verdict
                    if verdict.by.startswith("table "):
                        # What noticed many is asked first: most mutants end sooner.
                        telling[verdict.by.split()[1]] += 1
                        material.cases.sort(key=lambda case: -telling[case.table])
    finally:
        for child in running.values():
            finish(child, late=True)


def start(
    mutant: Mutant,
    material: Material,
    codes: dict[str, CodeType],
    judge: Judge,
    seconds: float,
) -> Child:
    reader, writer = os.pipe()
    process = os.fork()
    if process:
        os.close(writer)
        return Child(mutant, process, reader, time.monotonic() + PATIENCE * seconds)
    said = "crash"
    try:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        said = judge(mutant, material, codes, lambda text: note(writer, text, seconds))
    except MemoryError:
        said = "time (memory)"
    finally:
        os.write(writer, said.encode())
        os._exit(0)


def note(pipe: int, text: str, seconds: float) -> None:
    """Say how far a child has got; its time starts anew."""
    os.write(pipe, text.encode())
    signal.setitimer(signal.ITIMER_PROF, seconds)


def finish(child: Child, *, late: bool) -> Verdict:
    """Take a child from the table of processes, ending it if it is late, and read its verdict."""
    if late:
        os.kill(child.process, signal.SIGKILL)
    _, status = os.waitpid(child.process, 0)
    os.close(child.pipe)
    late = late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF)
    text = child.said.decode()
    passed = text.startswith(PASSED)
    verdict = text.removeprefix(PASSED) or ("time" if late else "crash")
    return Verdict(child.mutant, f"{verdict} behind the tables" if passed and verdict in ("time", "crash") else verdict)
