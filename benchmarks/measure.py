"""What every bench shares: where and on what it ran, medians with their intervals, and the JSON it leaves behind."""

from __future__ import annotations

import gc
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "benchmarks" / "results"
PACKAGES: Final = ("numpy", "numba", "sortedcontainers", "uvicorn", "uvloop", "websockets", "msgspec", "fastapi")
RESAMPLES: Final = 1000


def machine() -> dict[str, Any]:
    """Describe the machine, the versions and the commit that a figure belongs to."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "clean": not _git("status", "--porcelain", "--untracked-files=no"),
        "load": round(os.getloadavg()[0], 2),
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of the values lie (nearest rank).

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5), percentile([1.0, 2.0, 3.0, 4.0], 0.99)
    (2.0, 4.0)
    """
    ranked = sorted(values)
    return ranked[max(0, -(-int(share * 1_000_000) * len(ranked) // 1_000_000) - 1)]


def interval(values: Sequence[float], seed: int = 1) -> tuple[float, float]:
    """The 95 % interval of the median of rounds, by resampling them.

    >>> interval([5.0, 5.0, 5.0])
    (5.0, 5.0)
    """
    draw = random.Random(seed)
    medians = sorted(median(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return medians[RESAMPLES // 40], medians[RESAMPLES - 1 - RESAMPLES // 40]


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median, its interval and the extremes of rounds, to four significant digits."""
    low, high = interval(values)
    figures = {"median": median(values), "low": low, "high": high, "min": min(values), "max": max(values)}
    return {name: float(f"{value:.4g}") for name, value in figures.items()}


def back_memory(size: int = 2 << 30) -> None:
    """Touch memory once and give it back, so that nothing timed later is the first to touch it.

    A virtual machine gets its memory from the host at the first touch: 2 MiB can take 5 ms, which is as much as the
    core takes for 70,000 commands.  It is the machine's time, and falls on whoever comes first.
    """
    np.ones(size // 8)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the collector of garbage out of what is measured; it would charge one side for the other's objects."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def progress(text: str) -> None:
    """Say on stderr what is being done."""
    print(f"  {text}", file=sys.stderr, flush=True)


def save(name: str, result: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Write a bench's result, with the machine it ran on, as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    stamped = {"bench": name, "made": made, "machine": machine(), **result}
    path.write_text(json.dumps(stamped, indent=1) + "\n", encoding="utf-8")
    return path
