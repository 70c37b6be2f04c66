"""Tests about the sources: each rule runs on this repository and on planted offenders, so that it cannot be blind."""

import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import house
from tests.house import ROOT, Offence


def plant(root: Path, files: dict[str, str]) -> list[str]:
    """Write a small tree; return its files as the rules want them."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return sorted(files)


def said(offences: list[Offence]) -> list[str]:
    return [str(offence) for offence in offences]


# --- this repository --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [house.floor_offences, house.cycle_offences, house.size_offences, house.place_offences, house.habit_offences],
    ids=lambda rule: rule.__name__,
)
def test_sources_keep_the_rule(rule: Callable[[Path, list[str]], list[Offence]]) -> None:
    assert said(rule(ROOT, house.tracked())) == []


def test_requirements_name_no_index_and_agree() -> None:
    assert said(house.requirement_offences(ROOT)) == []


def test_every_source_module_has_its_test_module() -> None:
    assert said(house.mirror_offences(house.tracked())) == []


def test_rules_see_the_whole_repository() -> None:
    files = house.tracked()
    assert {"pyproject.toml", "tests/test_house.py", "engine/schema.py"} <= set(files)
    assert not [name for name in files if name.startswith((".venv/", ".run/"))]


def test_direct_dependencies_are_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower() for requirement in requirements}

    assert names(project["dependencies"]) <= house.pins(ROOT, "requirements.txt").keys()
    assert names(project["optional-dependencies"]["dev"]) <= house.pins(ROOT, "requirements-dev.txt").keys()


def test_clean_removes_whatever_git_ignores() -> None:
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line and line[0] != "#"]
    recipe = (ROOT / "Makefile").read_text().partition("\nclean:")[2].partition("\n\n")[0].split()
    assert ignored
    assert [name for name in ignored if name not in recipe] == []


@pytest.mark.parametrize("module", ["engine", "engine.schema", "cashew"])
def test_import_is_light(module: str) -> None:
    program = f"import sys, {module}; print(*sorted(set(sys.modules) & {{'numba', 'engine.core', 'engine.apply'}}))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == ""


def test_wheel_holds_the_four_packages_only(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
        [scripts] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "cashew = cashew.cli:main" in archive.read(scripts).decode()
    assert {top for top in tops if not top.endswith(".dist-info")} == set(house.PACKAGES)


# --- planted offenders ------------------------------------------------------------------------

TREE = {
    "engine/__init__.py": "",
    "engine/schema.py": "import enum\nimport numpy as np\n",
    "engine/core/__init__.py": "",
    "engine/kernel_cache.py": "import os\n",
    "engine/core/lane.py": "import os\nfrom engine import kernel_cache\n",
    "engine/core/book.py": "import numba\nfrom engine.core import lane\nfrom engine import schema\n",
    "engine/apply.py": "from engine.core import book\nfrom engine.schema import EVENT\n",
    "engine/journal.py": "import os\nfrom . import schema\n",
    "engine/reference.py": "import sortedcontainers\nfrom engine import schema\n",
    "gateway/__init__.py": "",
    "gateway/codec.py": "import msgspec\nfrom engine import schema\n",
    "gateway/server.py": "import asyncio, fastapi\nfrom gateway import codec\n",
    "gateway/venue.py": "import engine.apply, gateway.server, marketdata.server, cashew\n",
    "marketdata/__init__.py": "",
    "marketdata/feed.py": "import engine\nfrom engine import schema\n",
    "marketdata/server.py": "import asyncio\nfrom .feed import x\n",
    "cashew/__init__.py": "from engine.schema import Side\n",
    "cashew/client.py": "import websockets\nfrom engine import schema\n",
    "cashew/cli.py": "import typer\nfrom cashew import client\ndef serve():\n    from gateway import venue\n",
}


def test_planted_tree_is_clean(tmp_path: Path) -> None:
    files = plant(tmp_path, TREE)
    assert said(house.floor_offences(tmp_path, files)) == []
    assert said(house.cycle_offences(tmp_path, files)) == []


@pytest.mark.parametrize(
    ("path", "text", "names"),
    [
        ("engine/__init__.py", "import numba", "numba"),
        ("engine/__init__.py", "from engine.core import book", "engine.core.book"),
        ("engine/schema.py", "from engine import journal", "engine.journal"),
        ("engine/schema.py", "def now():\n    import time", "time"),
        ("engine/core/book.py", "import random", "random"),
        ("engine/core/book.py", "from os import environ", "os"),
        ("engine/core/book.py", "from datetime import datetime", "datetime"),
        ("engine/core/book.py", "import logging", "logging"),
        ("engine/core/book.py", "import sortedcontainers", "sortedcontainers"),
        ("engine/core/book.py", "open('x')", "open"),
        ("engine/core/book.py", "from ..apply import apply", "engine.apply"),
        ("engine/core/book.py", "from engine import kernel_cache", "engine.kernel_cache"),
        ("engine/core/lane.py", "import socket", "socket"),
        ("engine/apply.py", "import gateway.codec", "gateway.codec"),
        ("engine/journal.py", "import asyncio", "asyncio"),
        ("engine/journal.py", "import benchmarks.workloads", "benchmarks.workloads"),
        ("engine/reference.py", "from engine.core.book import place", "engine.core.book"),
        ("engine/reference.py", "from engine import journal", "engine.journal"),
        ("engine/reference.py", "import numba", "numba"),
        ("gateway/codec.py", "from engine.apply import apply", "engine.apply"),
        ("gateway/codec.py", "import fastapi", "fastapi"),
        ("gateway/codec.py", "from gateway import server", "gateway.server"),
        ("gateway/codec.py", "if TYPE_CHECKING:\n    from engine import journal", "engine.journal"),
        ("gateway/server.py", "from marketdata import feed", "marketdata.feed"),
        ("gateway/server.py", "from gateway import venue", "gateway.venue"),
        ("marketdata/feed.py", "import gateway", "gateway"),
        ("marketdata/server.py", "def f():\n    from gateway import codec", "gateway.codec"),
        ("marketdata/feed.py", "import importlib\nimportlib.import_module('engine.core')", "engine.core"),
        ("cashew/client.py", "from engine import journal", "engine.journal"),
        ("cashew/client.py", "def f():\n    from engine import journal", "engine.journal"),
        ("cashew/cli.py", "from gateway import venue", "gateway.venue"),
        ("cashew/cli.py", "def f():\n    import tests.house", "tests.house"),
        ("gateway/venue.py", "import tests.house", "tests.house"),
    ],
)
def test_floors_catch(tmp_path: Path, path: str, text: str, names: str) -> None:
    files = plant(tmp_path, TREE | {path: text})
    [found] = house.floor_offences(tmp_path, files)
    assert found.path == path
    assert re.search(rf"\b{re.escape(names)}$", found.text)


def test_cycles_are_caught_unless_lazy_or_for_types(tmp_path: Path) -> None:
    round_trip = {"engine/journal.py": "import engine.replay", "engine/replay.py": "from engine import journal"}
    [found] = house.cycle_offences(tmp_path, plant(tmp_path, TREE | round_trip))
    assert found.text.endswith("engine.journal > engine.replay > engine.journal")
    for harmless in ("def f():\n    from engine import journal", "if TYPE_CHECKING:\n    from engine import journal"):
        files = plant(tmp_path, TREE | round_trip | {"engine/replay.py": harmless})
        assert said(house.cycle_offences(tmp_path, files)) == []


def test_sizes_are_caught(tmp_path: Path) -> None:
    def function(lines: int) -> str:
        return "def kernel():\n" + "    pass\n" * (lines - 1)

    files = plant(
        tmp_path,
        {
            "cashew/fits.py": "pass\n" * house.FILE_LINES_MAX,
            "cashew/long.py": "pass\n" * (house.FILE_LINES_MAX + 1),
            "engine/core/fits.py": function(house.KERNEL_LINES_MAX),
            "engine/core/long.py": function(house.KERNEL_LINES_MAX + 1),
            "engine/journal.py": function(house.KERNEL_LINES_MAX + 1),
        },
    )
    assert [found.path for found in house.size_offences(tmp_path, files)] == ["cashew/long.py", "engine/core/long.py"]


@pytest.mark.parametrize(
    ("text", "caught"),
    [
        ("see https://" + "py" + "pi.org/project/x", True),
        ("files.python" + "hosted.org", True),
        ("cd /" + "work/main", True),
        ("`/" + "root/.cache`", True),
        ("path = '/" + "home/me/x'", True),
        ("GET /" + "works and {home}/" + "home/page", False),
        ("#!/usr/bin/env bash", False),
        (".run/venue, ~/orders, /ws/v1/trade", False),
    ],
)
def test_places_are_caught(tmp_path: Path, text: str, caught: bool) -> None:
    files = plant(tmp_path, {"README.md": f"fine\n{text}\n"})
    found = house.place_offences(tmp_path, files)
    assert [offence.line for offence in found] == ([2] if caught else [])


def test_binary_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\xff\xfe/" + b"work/x")
    assert house.place_offences(tmp_path, ["log"]) == []


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://example.invalid/simple",
        "--find-links=wheels",
        "-i simple",
        "numpy @ file:wheels/numpy.whl",
        "numpy==2.0",
        "numpy>=2 --hash=sha256:00",
    ],
)
def test_loose_requirements_are_caught(tmp_path: Path, line: str) -> None:
    good = "# made by make lock\nrich==15.0 \\\n    --hash=sha256:00\n    # via typer\n"
    plant(tmp_path, {"requirements.txt": good, "requirements-dev.txt": good})
    assert said(house.requirement_offences(tmp_path)) == []
    plant(tmp_path, {"requirements-dev.txt": good + line + "\n"})
    assert {found.line for found in house.requirement_offences(tmp_path)} == {5}


def test_pins_that_differ_are_caught(tmp_path: Path) -> None:
    pin = "rich=={} --hash=sha256:00\n"
    plant(tmp_path, {"requirements.txt": pin.format(15), "requirements-dev.txt": pin.format(14)})
    [found] = house.requirement_offences(tmp_path)
    assert "rich is 14, not 15" in found.text


def test_missing_test_module_is_caught() -> None:
    files = [
        "engine/__init__.py",
        "engine/journal.py",
        "engine/core/book.py",
        "engine/core/risk.py",
        "benchmarks/run.py",
    ]
    tests = ["tests/engine/test_journal.py", "tests/engine/core/test_book_levels.py"]
    assert [found.path for found in house.mirror_offences(files + tests)] == ["engine/core/risk.py"]


@pytest.mark.parametrize(
    ("text", "caught"),
    [
        ("import time\ntime.sleep(1)", True),
        ("from time import sleep as nap\nnap(1)", True),
        ("import time as clock\nclock.sleep(1)", True),
        ("import pytest\npytest.skip()", True),
        ("import pytest\npytest.skip('')", True),
        ("import pytest\n@pytest.mark.skip\ndef test(): pass", True),
        ("import pytest\n@pytest.mark.skipif(True)\ndef test(): pass", True),
        ("import pytest\n@pytest.mark.xfail()\ndef test(): pass", True),
        ("import pytest\npytestmark = pytest.mark.e2e", True),
        ("import pytest\npytest.skip('strace is not installed')", False),
        ("import pytest\n@pytest.mark.skip(reason='later')\ndef test(): pass", False),
        ("import pytest\n@pytest.mark.skipif(True, reason='no file')\ndef test(): pass", False),
        ("import time\ntime.monotonic()", False),
    ],
)
def test_bad_habits_are_caught(tmp_path: Path, text: str, caught: bool) -> None:
    files = plant(tmp_path, {"tests/gateway/test_x.py": text, "gateway/x.py": "import time\ntime.sleep(1)"})
    found = house.habit_offences(tmp_path, files)
    assert [offence.path for offence in found] == (["tests/gateway/test_x.py"] if caught else [])


def test_marker_is_at_home_in_its_folder(tmp_path: Path) -> None:
    files = plant(tmp_path, {"tests/e2e/test_x.py": "import pytest\npytestmark = pytest.mark.e2e"})
    assert house.habit_offences(tmp_path, files) == []
