"""Canary: each lane is what it says.

Numba ignores a misspelt switch in silence, and a lane that quietly ran the ordinary build would prove the same twice.
"""

import importlib
import os
import pkgutil
from collections.abc import Iterator
from typing import Any

import numba
import pytest
from numba.core.dispatcher import Dispatcher

import engine.core

LANE = os.environ.get("CASHEW_LANE", "unit")
pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]


def members() -> Iterator[tuple[str, Any]]:
    for info in pkgutil.walk_packages(engine.core.__path__, "engine.core."):
        yield from vars(importlib.import_module(info.name)).items()


def kernels() -> dict[str, Dispatcher]:
    return {name: member for name, member in members() if isinstance(member, Dispatcher)}


def test_kernels_are_compiled_in_every_lane_but_one() -> None:
    assert bool(numba.config.DISABLE_JIT) == (LANE == "jit_off")
    assert bool(kernels()) == (LANE != "jit_off")


def test_bounds_are_checked_in_the_lane_of_that_name_only() -> None:
    if LANE == "jit_off":
        assert not kernels()
        return
    checked = {name for name, kernel in kernels().items() if kernel.targetoptions.get("boundscheck")}
    assert checked == (set(kernels()) if LANE == "bounds" else set())


def test_assertions_are_alive() -> None:
    assert __debug__, "python -O strips assertions, from compiled kernels too"
