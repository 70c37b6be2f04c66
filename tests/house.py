"""The rules about the sources themselves, as data and as functions that report offences.

`tests/test_house.py` runs every rule on this repository and on planted offenders; `python -m tests.house` (part of
`make check`) prints what is wrong, and which files are about to grow too long. It needs the standard library only.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("engine", "gateway", "marketdata", "cashew")
PROJECT = (*PACKAGES, "audit", "console", "benchmarks", "tests")

FILE_LINES_MAX = 600
FILE_LINES_TARGET = 500
KERNEL_LINES_MAX = 90

# Whatever would make the same commands give different events on another day or another machine.
WORLD = frozenset(
    {"time", "datetime", "random", "secrets", "uuid", "os", "io", "pathlib", "tempfile", "logging"}
    | {"asyncio", "socket", "threading", "multiprocessing", "subprocess"}
)
# What a module without input and output has no use for.
NETWORK = frozenset(
    {"asyncio", "socket", "selectors", "ssl"} | {"fastapi", "starlette", "uvicorn", "uvloop", "websockets", "httpx"}
)


class Offence(NamedTuple):
    """One broken rule: where, and what to do about it."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Room:
    """A group of modules that live under the same rules. The first room whose pattern fits a module owns it."""

    name: str
    floor: int
    modules: tuple[str, ...]
    may: tuple[str, ...]  # project modules it may import, at most its own floor
    never: frozenset[str] = frozenset()  # foreign top-level names it may not import
    only: frozenset[str] | None = None  # where set: the only third-party names it may import
    lazily: tuple[str, ...] = ()  # project modules it may import inside a function, whatever their floor


# The floors of the house. Imports point downwards only. A new module that fits no narrower pattern lands in the
# strictest room of its package; moving it out is a decision made here.
ROOMS = (
    Room("schema", 0, ("engine", "engine.schema*"), ("engine.schema*",), WORLD, frozenset({"numpy"})),
    # What the rules have as a table; whoever carries them out or guards them at the edges reads it from here.
    Room("table of phases", 0, ("engine.phases",), ("engine.schema*",), WORLD, frozenset()),
    # The one door from the core to the process: how kernels are compiled, and where the compiled ones lie.
    Room(
        "compile lane",
        1,
        ("engine.core.lane", "engine.core.whole", "engine.kernel_cache"),
        ("engine.schema*", "engine.core*", "engine.kernel_cache"),
        NETWORK,
    ),
    Room(
        "core",
        1,
        ("engine.core*",),
        ("engine.schema*", "engine.phases", "engine.core*"),
        WORLD | NETWORK,
        frozenset({"numpy", "numba"}),
    ),
    # The rule book made runnable: it shares no function with what it checks.
    Room(
        "reference",
        2,
        ("engine.reference*",),
        ("engine.schema*", "engine.phases", "engine.reference*"),
        WORLD | NETWORK,
        frozenset({"numpy", "sortedcontainers"}),
    ),
    Room("engine shell", 2, ("engine.*",), ("engine*",), NETWORK),
    Room("composition root", 5, ("gateway.venue",), ("engine*", "gateway*", "marketdata*", "cashew*")),
    Room(
        "gateway shells",
        4,
        ("gateway.server", "gateway.control", "gateway.transport", "gateway.children"),
        ("engine.schema*", "engine.phases", "gateway*"),
    ),
    Room("market data server", 4, ("marketdata.server",), ("engine.schema*", "marketdata*")),
    Room("gateway edges", 3, ("gateway*",), ("engine.schema*", "engine.phases", "gateway*"), NETWORK),
    # Its fold in compiled code is compiled and kept as the core's is; nothing else of the core is known to it.
    Room(
        "derivation",
        3,
        ("marketdata.levels", "marketdata.derive"),
        ("engine.schema*", "engine.core.lane", "engine.kernel_cache", "marketdata*"),
        NETWORK,
    ),
    Room("market data edges", 3, ("marketdata*",), ("engine.schema*", "engine.phases", "marketdata*"), NETWORK),
    Room(
        "command line",
        5,
        ("cashew.cli", "cashew.cli.*", "cashew.cli_*", "cashew.commands*", "cashew.__main__"),
        ("engine.schema*", "cashew*"),
        lazily=("engine*", "gateway*", "marketdata*", "audit*", "console*"),
    ),
    Room("library", 4, ("cashew*",), ("engine.schema*", "cashew*")),
)

# A module without a test module of its own, and the reason.
UNMIRRORED = {
    "*/__init__.py": "says what a package is; nothing to run",
    "*/__main__.py": "hands over to a function that is tested where it lives",
}

# Folders whose tests carry the marker of the same meaning, and nobody else's do.
MARKER_HOMES = {"fault": "tests/faults/", "e2e": "tests/e2e/", "bench": "tests/bench_guards/"}


# --- the tree -------------------------------------------------------------------------------------


def tracked(root: Path = ROOT) -> list[str]:
    """List the repository's files, those not yet added included, ignored ones left out."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return sorted({name for name in listing.split("\0") if name and (root / name).is_file()})


def sources(root: Path, files: Iterable[str]) -> Iterator[tuple[str, ast.Module, str]]:
    """Yield path, tree and text of every Python file among `files`."""
    for name in files:
        if name.endswith(".py"):
            text = (root / name).read_text(encoding="utf-8")
            yield name, ast.parse(text, name), text


def module_name(path: str) -> str:
    """Turn `engine/core/book.py` into `engine.core.book` and `engine/__init__.py` into `engine`."""
    parts = path.removesuffix(".py").split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# --- imports --------------------------------------------------------------------------------------


class Import(NamedTuple):
    """One import statement's target; lazy when it stands inside a function, typing when only a type checker runs it."""

    target: str
    line: int
    lazy: bool
    typing: bool


def imports(path: str, tree: ast.Module, known: frozenset[str]) -> Iterator[Import]:
    """Yield what a module imports, submodules named in full. `known` are the names of the project's modules."""
    package = module_name(path) if path.endswith("__init__.py") else module_name(path).rpartition(".")[0]

    def walk(node: ast.AST, lazy: bool, typing: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, lazy, typing)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield Import(inner if inner in known else base, node.lineno, lazy, typing)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            named = [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
            yield from (Import(name, node.lineno, lazy, typing) for name in named if isinstance(name, str))
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for branch, hidden in ((node.body, True), (node.orelse, typing)):
                for statement in branch:
                    yield from walk(statement, lazy, hidden)
            return
        for child in ast.iter_child_nodes(node):
            yield from walk(child, lazy or inside, typing)

    yield from walk(tree, False, False)


def room_of(module: str) -> Room | None:
    return next((room for room in ROOMS if fits(module, room.modules)), None)


def fits(module: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(module, pattern) for pattern in patterns)


def floor_offences(root: Path, files: Iterable[str]) -> list[Offence]:
    """Find imports that point upwards, into a neighbour's room, or out of the pure core into the world."""
    files = list(files)
    known = frozenset(module_name(name) for name in files if name.endswith(".py"))
    found = []
    for path, tree, _ in sources(root, files):
        room = room_of(module_name(path)) if path.split("/")[0] in PACKAGES else None
        if room is None:
            continue
        for target, line, lazy, _ in imports(path, tree, known):
            top = target.split(".")[0]
            if top in PROJECT:
                below = room_of(target)
                free = lazy and fits(target, room.lazily)
                # The package `engine` itself is the bare name over the schema, on the lowest floor.
                named = target == "engine" or fits(target, room.may)
                if not free and not (named and below is not None and below.floor <= room.floor):
                    found.append(Offence(path, line, f"{room.name} (floor {room.floor}) may not import {target}"))
            elif top in room.never:
                found.append(Offence(path, line, f"{room.name} may not import {top}"))
            elif room.only is not None and top not in room.only and top not in sys.stdlib_module_names:
                found.append(
                    Offence(
                        path, line, f"{room.name} may import no package but {', '.join(sorted(room.only))}, not {top}"
                    )
                )
        if room.name in ("core", "schema"):
            for node in ast.walk(tree):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and node.func.id in ("open", "print", "input")
                ):
                    found.append(Offence(path, node.lineno, f"{room.name} may not call {node.func.id}"))
    return found


def cycle_offences(root: Path, files: Iterable[str]) -> list[Offence]:
    """Find modules that import each other while they load."""
    files = [name for name in files if name.split("/")[0] in PACKAGES]
    known = frozenset(module_name(name) for name in files if name.endswith(".py"))
    graph: dict[str, list[str]] = {}
    where = {}
    for path, tree, _ in sources(root, files):
        name = module_name(path)
        where[name] = path
        graph[name] = sorted(
            {i.target for i in imports(path, tree, known) if i.target in known and not i.lazy and not i.typing}
        )
    found: list[Offence] = []
    done: set[str] = set()

    def visit(module: str, trail: list[str]) -> None:
        if module in trail:
            ring = [*trail[trail.index(module) :], module]
            found.append(Offence(where[module], 1, "modules import each other: " + " > ".join(ring)))
        elif module not in done:
            for target in graph[module]:
                visit(target, [*trail, module])
            done.add(module)

    for module in sorted(graph):
        visit(module, [])
    return found


# --- size -----------------------------------------------------------------------------------------


def size_offences(root: Path, files: Iterable[str]) -> list[Offence]:
    """Find Python files and kernels that have outgrown a reader."""
    found = []
    for path, tree, text in sources(root, files):
        lines = len(text.splitlines())
        if lines > FILE_LINES_MAX:
            found.append(Offence(path, lines, f"{lines} lines, {FILE_LINES_MAX} at most"))
        if path.startswith("engine/core/"):
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef):
                    length = (node.end_lineno or node.lineno) - node.lineno + 1
                    if length > KERNEL_LINES_MAX:
                        found.append(
                            Offence(path, node.lineno, f"{node.name} has {length} lines, {KERNEL_LINES_MAX} at most")
                        )
    return found


# --- places ---------------------------------------------------------------------------------------

HOSTS = re.compile(r"python[h]osted|pypi\.org|registry\.npmjs|deb\.debian\.org|proxy\.golang\.org", re.IGNORECASE)
MACHINE_PATHS = re.compile(r"(?<![\w.*$}/-])/(work|farm|root|home|Users|mnt)/(?=[\w.])")
INDEX_OPTIONS = re.compile(
    r"^\s*(-i\b|-f\b|--(index-url|extra-index-url|find-links|trusted-host|no-index)\b)|://|\bfile:| @ "
)
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)")


def place_offences(root: Path, files: Iterable[str]) -> list[Offence]:
    """Find the names of registry hosts and the absolute paths of one machine."""
    found = []
    for path in files:
        try:
            text = (root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image or a log: neither is read by people
        for number, line in enumerate(text.splitlines(), 1):
            for rule, what in ((HOSTS, "names a registry host"), (MACHINE_PATHS, "names a path of one machine")):
                if hit := rule.search(line):
                    found.append(Offence(path, number, f"{what}: {hit.group(0)}"))
    return found


def pins(root: Path, name: str) -> dict[str, str]:
    """Read a requirements file into name → version."""
    lines = (root / name).read_text(encoding="utf-8").splitlines()
    return {hit.group(1).lower(): hit.group(2) for line in lines if (hit := PIN.match(line))}


def requirement_offences(root: Path) -> list[Offence]:
    """Find an index, a pin without a hash, or a pin on which the two requirements files differ."""
    found = []
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = (root / name).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            if not line.lstrip().startswith("#") and INDEX_OPTIONS.search(line):
                found.append(Offence(name, number, f"names an index or a place: {line.strip()}"))
            following = lines[number] if number < len(lines) else ""
            if line[:1].isalnum() and not (PIN.match(line) and "--hash=sha256:" in line + following):
                found.append(Offence(name, number, f"is not pinned by version and hash: {line.strip()}"))
    development = pins(root, "requirements-dev.txt")
    for package, version in pins(root, "requirements.txt").items():
        if development.get(package) != version:
            found.append(
                Offence(
                    "requirements-dev.txt",
                    1,
                    f"{package} is {development.get(package)}, not {version} as in requirements.txt",
                )
            )
    return found


# --- tests ----------------------------------------------------------------------------------------


def mirror_offences(files: Iterable[str]) -> list[Offence]:
    """Find source modules without a test module: `engine/core/book.py` wants `tests/engine/core/test_book.py`.

    A long one may be split into `test_book_*.py`.
    """
    files = list(files)
    found = []
    for path in files:
        if path.split("/")[0] not in PACKAGES or not path.endswith(".py"):
            continue
        if any(fnmatchcase(path, pattern) for pattern in UNMIRRORED):
            continue
        folder, _, name = path.rpartition("/")
        stem = f"tests/{folder}/test_{name.removesuffix('.py')}"
        if not any(other == f"{stem}.py" or fnmatchcase(other, f"{stem}_*.py") for other in files):
            found.append(Offence(path, 1, f"has no test module {stem}.py"))
    return found


def habit_offences(root: Path, files: Iterable[str]) -> list[Offence]:
    """Find tests that sleep, that skip without a reason, or that carry a marker of another lane."""
    found = []
    for path, tree, _ in sources(root, [name for name in files if name.startswith("tests/")]):
        asleep = {"time.sleep"}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                asleep |= {alias.asname or alias.name for alias in node.names if alias.name == "sleep"}
            elif isinstance(node, ast.Import):
                asleep |= {f"{alias.asname}.sleep" for alias in node.names if alias.name == "time" and alias.asname}
        called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute | ast.Name):
                continue
            name = ast.unparse(node)
            call = called.get(id(node))
            if call is not None and name in asleep:
                found.append(
                    Offence(path, node.lineno, "a test waits for an event or is handed its time; it never sleeps")
                )
            if (
                name.endswith((".skip", ".xfail", ".skipif"))
                and name.startswith(("pytest.", "mark."))
                and not has_reason(name, call)
            ):
                found.append(Offence(path, node.lineno, f"{name} without a reason"))
            marker = name.removeprefix("pytest.mark.")
            if marker in MARKER_HOMES and marker != name and not path.startswith(MARKER_HOMES[marker]):
                found.append(Offence(path, node.lineno, f"the marker {marker} belongs to {MARKER_HOMES[marker]}"))
    return found


def has_reason(name: str, call: ast.Call | None) -> bool:
    """Tell whether a skip says why: by keyword, or, for `skip` and `xfail`, as the first argument."""
    if call is None:
        return False
    said = [keyword.value for keyword in call.keywords if keyword.arg in ("reason", "msg")]
    if not name.endswith(".skipif"):
        said += call.args[:1]
    return any(not (isinstance(value, ast.Constant) and not value.value) for value in said)


# --- all of it ------------------------------------------------------------------------------------


def offences(root: Path = ROOT) -> list[Offence]:
    """Run every rule on the repository."""
    files = tracked(root)
    return [
        *floor_offences(root, files),
        *cycle_offences(root, files),
        *size_offences(root, files),
        *place_offences(root, files),
        *requirement_offences(root),
        *mirror_offences(files),
        *habit_offences(root, files),
    ]


def main() -> int:
    found = offences()
    for offence in found:
        print(offence)
    for path, _, text in sources(ROOT, tracked()):
        if FILE_LINES_TARGET < (lines := len(text.splitlines())) <= FILE_LINES_MAX:
            print(f"{path}: {lines} lines, {FILE_LINES_TARGET} is the aim (a warning)")
    print(f"house rules: {len(found)} offences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
