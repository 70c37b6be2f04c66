"""The challenge's five scenarios have the published mix, the same on every machine, and both matchers agree on them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.flows.challenge import HUMP, SCENARIOS, START, generate
from benchmarks.flows.venue import shares
from benchmarks.peers import Core, Readable
from benchmarks.workloads import AMEND, CANCEL, OP, ORDER, PLACE, PLACE_IOC, PRICE, SIDE, TOTAL
from engine.schema import Code

ORDERS = 20_000
# Published for 1,000,000 new orders: 1,996,097 messages, 150,234 of them IOC.
MESSAGES, NEW, IOC, CANCELS, MODIFIES = 1.996, 0.501, 0.0753, 0.413, 0.087


@pytest.mark.parametrize(
    ("name", "checksum"),
    [
        ("static", "ca37064fa734ace9"),
        ("normal", "574d209bd1cb7e7c"),
        ("swing-25", "4529c606b8544db6"),
        ("swing-40", "a1c66ebf58b7ce2e"),
        ("flash-crash", "131702d643230303"),
    ],
)
def test_scenario_is_the_same_on_every_machine(name: str, checksum: str) -> None:
    assert generate(name, ORDERS).checksum[:16] == checksum
    assert generate(name, ORDERS, seed=7).checksum[:16] != checksum


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("seed", [1, 23])
def test_mix_is_the_published_one(name: str, seed: int) -> None:
    plain = generate(name, ORDERS, seed=seed).plain
    mix = shares(plain)
    assert len(plain) / ORDERS == pytest.approx(MESSAGES, rel=0.01)
    assert mix[PLACE] + mix[PLACE_IOC] == pytest.approx(NEW, abs=0.01)
    assert mix[PLACE_IOC] == pytest.approx(IOC, abs=0.005)
    assert mix[CANCEL] == pytest.approx(CANCELS, abs=0.01)
    assert mix[AMEND] == pytest.approx(MODIFIES, abs=0.005)


def test_orders_lie_by_a_power_law_with_a_hump() -> None:
    plain = generate("static", ORDERS).plain
    placed = plain[plain[:, OP] == PLACE]
    away = np.where(placed[:, SIDE] == 0, START - placed[:, PRICE], placed[:, PRICE] - START)
    counts = np.bincount(away, minlength=101)
    assert counts[0] == 0 and counts[1] > counts[2] > counts[3] > counts[4]
    assert counts[HUMP] > 2 * counts[HUMP - 4] and counts[HUMP] > 2 * counts[HUMP + 4]
    # Beyond the hump the distance x2 has 2**-2.23 = 0.213 times as many orders, a doubled range 2**-1.23 = 0.426.
    assert counts[32:64].sum() / counts[16:32].sum() == pytest.approx(2**-1.23, abs=0.08)
    qty = placed[:, TOTAL]
    assert (qty.min(), qty.max()) == (1, 100) and qty.mean() == pytest.approx(50.5, abs=1)


def test_cancels_follow_at_once_and_what_is_modified_has_a_lot_more() -> None:
    plain = generate("normal", ORDERS).plain
    lines = np.arange(len(plain))
    cancels = plain[:, OP] == CANCEL
    orders, first = np.unique(plain[cancels, ORDER], return_index=True)
    lag = lines[cancels][first] - orders
    assert (np.median(lag), np.percentile(lag, 99), lag.max() > 2) == (1, 2, True)
    rests = (plain[:, OP] == PLACE).sum()
    assert len(orders) / rests == pytest.approx(0.95, abs=0.005)
    assert cancels.sum() / len(orders) == pytest.approx(1.02, abs=0.005)
    amends = plain[plain[:, OP] == AMEND]
    before = plain[amends[:, ORDER]]
    assert (amends[:, TOTAL] == before[:, TOTAL] + 1).all()
    moved = np.abs(amends[:, PRICE] - before[:, PRICE])
    assert set(moved.tolist()) == {0, 1} and moved.mean() == pytest.approx(0.8, abs=0.03)


def test_scenarios_move_the_market_as_they_say() -> None:
    reach = {}
    for name in SCENARIOS:
        placed = (plain := generate(name, ORDERS).plain)[plain[:, OP] == PLACE, PRICE]
        reach[name] = np.percentile(placed, 1) / START, np.percentile(placed, 99) / START
    assert reach["static"][0] > 0.99 and reach["static"][1] < 1.01
    assert reach["normal"][0] > 0.93 and reach["normal"][1] < 1.07
    for name, by in (("swing-25", 0.25), ("swing-40", 0.4)):
        assert reach[name][0] == pytest.approx(1 - by, abs=0.06) and reach[name][1] == pytest.approx(1 + by, abs=0.06)
    assert reach["flash-crash"][0] == pytest.approx(0.72, abs=0.06)


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_matchers_give_the_same_events(name: str) -> None:
    stream = generate(name, 2_000)
    core, readable = Core(stream, keep_digest=True, keep_trades=True), Readable(stream)
    core.run(0, len(stream.commands))
    readable.run(0, len(stream.commands))
    assert core.digest.digest() == readable.digest.digest()
    assert len(core.kept) > 50
    # Published: some 1.1 reports a message.
    assert core.events / len(stream.commands) == pytest.approx(1.1, abs=0.05)
    codes = set(np.unique(core.buffer["code"]).tolist())
    assert codes <= {Code.OK, Code.UNKNOWN_ORDER, Code.TOO_LATE}
