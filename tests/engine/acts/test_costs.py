"""fixing.set, margin.set and fee.set: form, bounds, and what follows at once for accounts (R72-R75)."""

from typing import Any

import pytest

from engine.dump import dump
from engine.schema import Code, CommandKind, EventKind
from tests.engine.purse import FIXING, balances, held, purse_world
from tests.engine.world import BUY, World, kinds, values

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

FIX, MARGIN, FEE = CommandKind.FIXING_SET, CommandKind.MARGIN_SET, CommandKind.FEE_SET
A_MARGIN: dict[str, Any] = {"symbol": "W320", "ccy": "USD", "per_lot": 100}
A_FEE: dict[str, Any] = {"symbol": "W320", "ccy": "USD", "basis": "lot", "taker": 5, "maker": -1, "auction": 2}


def refused(world: World, kind: CommandKind, terms: dict[str, Any], code: Code = Code.BAD_TERMS) -> None:
    before = {**dump(world.state), "seq": 0, "time": 0}
    (event,) = world.act(kind, **{key: value for key, value in terms.items() if value is not ...})
    assert (event["kind"], event["code"]) == (EventKind.ACT_REJECTED, code), terms
    assert {**dump(world.state), "seq": 0, "time": 0} == before


@pytest.mark.parametrize(
    ("kind", "good", "changes"),
    [
        (FIX, FIXING, [
            {"date": "2026-02-30"}, {"date": 5}, {"ccy": ""}, {"per": "a b"}, {"rate": "0"}, {"rate": "-1"},
            {"rate": 100}, {"rate": "1.1234567"}, {"rate": "1" * 10}, {"rate": "1."}, {"rate": ...}, {"colour": 1},
        ]),
        (MARGIN, A_MARGIN, [
            {"symbol": "ALL"}, {"symbol": ...}, {"group": "G"}, {"ccy": 1}, {"per_lot": -1}, {"per_lot": 10**9 + 1},
            {"per_lot": "1"}, {"per_lot": True}, {"why": 5},
        ]),
        (FEE, A_FEE, [
            {"basis": "x"}, {"basis": 1}, {"taker": 100_001}, {"maker": -100_001}, {"auction": "1"},
            {"basis": "bps", "taker": 1001}, {"taker": ...}, {"by": 1}, {"symbol": ...},
        ]),
    ],
    ids=["fixing", "margin", "fee"],
)  # fmt: skip
def test_bad_terms(kind: CommandKind, good: dict[str, Any], changes: list[dict[str, Any]]) -> None:
    world = purse_world(phase=None)
    for change in changes:
        refused(world, kind, {**good, **change})
    assert world.act(kind, **good)["code"].tolist() == [Code.OK]


def test_whom_they_mean() -> None:
    world = purse_world(phase=None)
    for kind, good in ((MARGIN, A_MARGIN), (FEE, A_FEE)):
        refused(world, kind, {**good, "symbol": "NOBODY"}, Code.UNKNOWN_INSTRUMENT)
        refused(world, kind, {**good, "symbol": ..., "group": "nobody"}, Code.UNKNOWN_INSTRUMENT)
        refused(world, kind, {**good, "symbol": "NOBODY", "ccy": 1})
        events = world.act(kind, **{**{key: good[key] for key in good if key != "symbol"}, "group": "G"})
        assert events["instrument"].tolist() == [1, 2]


def test_what_is_told() -> None:
    world = purse_world(phase=None)
    assert values(world.act(FIX, **FIXING)[0])["qty"] == 20261125
    assert values(world.act(MARGIN, **A_MARGIN)[0])["qty"] == 100
    told = values(world.act(FEE, **{**A_FEE, "basis": "bps"})[0])
    assert (told["price"], told["old_price"], told["qty"], told["reason"]) == (5, -1, 2, 2)


@pytest.mark.parametrize(
    ("rate", "size", "good"),
    [
        ("2147483.648", 1000, True),  # a numerator of 2^31
        ("2147483.649", 1000, False),
        ("0.33333", 1, True), ("999999.9", 1, True), ("9999.99", 1, True),
        ("999999.999999", 1, False),  # 999999999999 / 10^6
    ],
)  # fmt: skip
def test_a_fixing_may_not_make_values_that_cannot_be_reckoned(rate: str, size: int, good: bool) -> None:
    world = purse_world(phase=None, contract_size=size)
    if good:
        assert world.act(FIX, **{**FIXING, "rate": rate})["code"].tolist() == [Code.OK]
    else:
        refused(world, FIX, {**FIXING, "rate": rate})


def test_an_instrument_under_such_a_fixing_is_refused_too() -> None:
    world = purse_world(phase=None)
    terms = dict(dump(world.state)["instruments"][0])
    for key in ("phase", "override", "last_price", "close_price", "controls", "limits"):
        del terms[key]
    refused(world, CommandKind.INSTRUMENT_DEFINE, {**terms, "symbol": "X", "contract_size": 10**9})


def test_fees_in_basis_points_are_bounded_by_the_value_of_the_largest_order() -> None:
    world = purse_world(phase=None, contract_size=100_000)
    terms = {**A_FEE, "basis": "bps", "taker": 1}
    refused(world, FEE, terms)  # 10^9 lots at 1,000 are worth 10^19 cents
    world = purse_world(phase=None, contract_size=10_000)
    assert world.act(FEE, **terms)["code"].tolist() == [Code.OK]
    refused(world, FIX, {**FIXING, "rate": "1000"})


def test_what_is_held_follows_a_new_margin_and_a_new_fee() -> None:
    world = purse_world()
    world.act(MARGIN, **A_MARGIN)
    world.act(CommandKind.COLLATERAL_SET, account="A1", amount=10_000)
    world.place(1, BUY, 3, 10)
    world.act(MARGIN, **{**A_MARGIN, "per_lot": 200})
    assert held(world)["A1", "W320"] == 600
    world.act(FEE, **A_FEE)
    assert held(world)["A1", "W320"] == 615
    world.act(MARGIN, **{**A_MARGIN, "per_lot": 0})
    assert held(world)["A1", "W320"] == 15
    assert balances(world)[0] == 10_000


def test_no_margin_grows_beyond_all_bounds() -> None:
    world = purse_world(max_order_qty=10**9)
    world.act(MARGIN, **{**A_MARGIN, "per_lot": 1})
    for _ in range(3):
        world.place(1, BUY, 10**9, 1)
    world.act(CommandKind.COLLATERAL_SET, account="A1", amount=10**15)
    refused(world, MARGIN, {**A_MARGIN, "per_lot": 10**9})
    assert world.act(MARGIN, **{**A_MARGIN, "per_lot": 380_000_000})["code"].tolist() == [Code.OK]
    refused(world, FEE, {**A_FEE, "taker": 100_000, "colour": 1})


def test_only_so_many_currencies() -> None:
    world = purse_world(phase=None)
    for number in range(14):
        assert world.act(MARGIN, **{**A_MARGIN, "ccy": f"C{number}"})["code"].tolist() == [Code.OK]
    for kind, terms in ((MARGIN, {**A_MARGIN, "ccy": "C14"}), (FEE, {**A_FEE, "ccy": "C14"})):
        refused(world, kind, terms)
    refused(world, FIX, {**FIXING, "per": "C14"})
    refused(world, CommandKind.ACCOUNT_DEFINE, {"account": "A9", "member": "M1", "owner": "B1", "ccy": "C14"})
    assert kinds(world.act(FIX, **{**FIXING, "ccy": "C14"})) == [EventKind.FIXING_SET], "of an instrument"
