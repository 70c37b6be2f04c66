"""The bench of versions in the small: what it runs in a tree's own process."""

from __future__ import annotations

from benchmarks.bench_versions import Version
from benchmarks.measure import ROOT


def test_a_tree_runs_its_streams_again_and_again() -> None:
    version = Version(ROOT, 600)
    try:
        first, second = version.run("small"), version.run("small")
        other = version.run("narrow")
    finally:
        version.close()
    assert first[0] == second[0] != other[0] and min(first[1], second[1], other[1]) > 0
