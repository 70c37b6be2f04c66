"""What differs between the lanes: the primitives, and what the compiled build must be like."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from engine.core import lane
from tests.engine.core.alone import alone

ROOT = Path(__file__).resolve().parents[3]
MASK = (1 << 64) - 1
COLD_CPU_SECONDS = 30

# --- primitives -------------------------------------------------------------------------------------------

WORDS = [0, 1, 2, 3, 63, 64, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, MASK - 1, MASK]


inv, lowest, highest, times, shl, places_with = alone(
    lane.inv, lane.lowest, lane.highest, lane.times, lane.shl, lane.places_with
)


def unsigned(number: int) -> np.uint64:
    return np.uint64(number)


@pytest.mark.jit_off
@pytest.mark.bounds
def test_unsigned_words_behave_as_in_a_machine() -> None:
    rng = random.Random(10)
    for a in WORDS + [rng.getrandbits(64) for _ in range(50)]:
        assert int(inv(unsigned(a))) == a ^ MASK
        if a:
            assert int(lowest(unsigned(a))) == (a & -a).bit_length() - 1
            assert int(highest(unsigned(a))) == a.bit_length() - 1
        for b in WORDS:
            assert int(times(unsigned(a), unsigned(b))) == a * b & MASK
        for n in (0, 1, 31, 32, 62, 63):
            assert int(shl(unsigned(a), n)) == a << n & MASK


@pytest.mark.jit_off
@pytest.mark.bounds
def test_a_group_of_places_is_told_by_tag_and_by_what_is_free() -> None:
    rng = random.Random(11)
    table = np.zeros(48, np.int32)
    for bits in (1, 7, 20, 27):
        for _ in range(50):
            tags = [rng.randrange(1, 1 << min(31 - bits, 3)) for _ in range(48)]
            table[:] = [rng.choice((0, tag << bits | rng.randrange(1 << bits))) for tag in tags]
            for at in (0, 16, 32):
                tag = rng.choice(tags)
                found = int(places_with(table, at, tag, bits))
                alike = [place for place in range(16) if table[at + place] >> bits == tag]
                free = [place for place in range(16) if table[at + place] == 0]
                assert found == sum(1 << place for place in alike) | sum(1 << 16 + place for place in free)


@pytest.mark.jit_off
@pytest.mark.bounds
def test_casts_take_the_widths_of_the_arrays() -> None:
    assert lane.I(np.int32(-5)) == -5 and lane.U(7) == 7
    assert int(lane.I(np.int64(1 << 40)) * 3) == 3 << 40


@pytest.mark.jit_off
@pytest.mark.bounds
def test_the_lane_is_what_the_switches_say() -> None:
    said = (
        "plain"
        if numba.config.DISABLE_JIT
        else "checked"
        if os.environ.get("CASHEW_BOUNDSCHECK") == "1"
        else "compiled"
    )
    assert said == lane.LANE
    assert (said == "plain") == lane.PLAIN and (said == "checked") == lane.CHECKED
    assert (lane.CACHE is None) == lane.PLAIN


# --- the compiled build -----------------------------------------------------------------------------------

COLD = """
import json, resource, sys
from engine import apply
from engine.core import lane
from engine.core.kernel import run
fresh = apply.warm()
spent = resource.getrusage(resource.RUSAGE_SELF)
texts = run.inspect_llvm()
print(json.dumps({"lane": lane.LANE, "fresh": fresh, "cpu": spent.ru_utime + spent.ru_stime, "signatures": len(texts),
                  "size": len("".join(texts.values())), "incref": "".join(texts.values()).count("NRT_incref")}))
"""


@pytest.mark.slow
def test_kernels_compile_cold_within_their_budget_and_count_no_references(tmp_path: Path) -> None:
    """Both from one compilation; counting the references of array arguments costs a factor of 2 to 5."""
    outside = ("NUMBA_", "CASHEW_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(outside)}
    done = subprocess.run(
        [sys.executable, "-c", COLD],
        cwd=ROOT,
        env={**environment, "CASHEW_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["lane"], told["fresh"], told["signatures"]) == ("compiled", True, 1)
    assert told["size"] > 100_000, "the text is that of the whole core"
    assert told["incref"] == 0
    assert told["cpu"] <= COLD_CPU_SECONDS


def test_a_kernel_that_counts_references_would_be_noticed() -> None:
    @numba.njit
    def pair(array):  # type: ignore[no-untyped-def]
        return array, array

    pair(np.zeros(1))
    (text,) = pair.inspect_llvm().values()
    assert "NRT_incref" in text
