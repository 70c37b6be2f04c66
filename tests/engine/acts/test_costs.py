"""fixing.set, margin.set and fee.set: form, bounds, and what follows at once for accounts (R72-R75)."""

from typing import Any

import pytest

from engine.dump import dump
from engine.schema import Code, CommandKind, EventKind
from tests.engine.purse import FIXING, balances, held, purse_world
from tests.engine.world import BUY, SELL, SMALL, TERMS, World, kinds, values

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


@pytest.mark.parametrize(
    ("tick", "size", "rate", "good"),
    [
        ("1", 2**11, "1048576", True),  # 2^31 itself
        ("1", 2**11, "1048577", False), ("0.5", 2**12, "1048576", True), ("0.00001", 1, "999999.999999", False),
        ("0.00001", 1, "0.00001", True),  # 1 / 10^10
        ("0.00001", 1, "0.000001", True),  # 1 × 10^11 itself
        ("0.00001", 3, "0.000001", False),
    ],
)  # fmt: skip
def test_the_bounds_of_a_value_are_those_of_its_lowest_terms(tick: str, size: int, rate: str, good: bool) -> None:
    band = {"tick": tick, "min_price": "-1", "max_price": "1", "contract_size": size, "window_ticks": 8}
    room = SMALL._replace(levels=1 << 16)
    world = World(room, phase=None, terms=(band,))
    if good:
        assert kinds(world.act(FIX, **{**FIXING, "rate": rate})) == [EventKind.FIXING_SET]
    else:
        refused(world, FIX, {**FIXING, "rate": rate})
    other = World(room, phase=None, terms=({"symbol": "V", "ccy": "EUR"},))
    assert kinds(other.act(FIX, **{**FIXING, "rate": rate})) == [EventKind.FIXING_SET], "no instrument of that currency"
    events = other.act(CommandKind.INSTRUMENT_DEFINE, **{**TERMS, **band, "symbol": "W"})
    assert events["code"].tolist() == [Code.OK if good else Code.BAD_TERMS]


@pytest.mark.parametrize(("rate", "good"), [("230.5843", True), ("230.5844", False)])
@pytest.mark.parametrize("first", [FIX, FEE])
def test_the_largest_order_is_worth_at_most_2_to_the_61(rate: str, good: bool, first: CommandKind) -> None:
    """10^9 lots at −10,000, of contract size 1,000, in cents: 10^16 × rate, and 2^61 is 2,305,843,009,213,693,952."""
    band = {"tick": "1", "min_price": "-10000", "max_price": "9999", "contract_size": 1000}
    world = World(phase=None, terms=({**band, "window_ticks": 64},), limits=SMALL._replace(levels=1 << 15))
    fixing, fees = {**FIXING, "rate": rate}, {**A_FEE, "basis": "bps", "taker": 1}
    acts = [(FIX, fixing), (FEE, fees)] if first == FIX else [(FEE, fees), (FIX, fixing)]
    assert world.act(acts[0][0], **acts[0][1])["code"].tolist() == [Code.OK]
    if good:
        assert world.act(acts[1][0], **acts[1][1])["code"].tolist() == [Code.OK]
    else:
        refused(world, *acts[1])
        assert world.act(FEE, **{**fees, "basis": "lot"})["code"].tolist() == [Code.OK], "no matter by lot"
        assert world.act(FIX, **fixing)["code"].tolist() == [Code.OK]
        refused(world, FEE, fees)


@pytest.mark.parametrize(
    ("fees", "worst"), [((3, -5, 4), 4), ((-3, -5, -4), 0), ((0, 0, 0), 0), ((-3, 7, -4), 7), ((9, 7, -4), 9)]
)
@pytest.mark.parametrize("basis", ["lot", "bps"])
def test_the_worst_fee_is_the_highest_and_never_a_rebate(basis: str, fees: tuple[int, ...], worst: int) -> None:
    world = purse_world(min_price="-1001")
    world.act(MARGIN, **{**A_MARGIN, "per_lot": 0})
    world.act(FEE, **{**A_FEE, "basis": basis, "taker": fees[0], "maker": fees[1], "auction": fees[2]})
    world.act(CommandKind.COLLATERAL_SET, account="A1", amount=10**12)
    world.place(1, BUY, 7, -1)
    lot = worst if basis == "lot" else -(-1_001 * 100 * worst // 10_000)
    assert held(world)["A1", "W320"] == 7 * lot


def test_basis_points_without_a_fixing_cost_nothing_until_there_is_one() -> None:
    world = World(accounts=(), terms=({"contract_size": 1},))
    for number in (1, 2, 3):
        world.act(CommandKind.ACCOUNT_DEFINE, account=f"A{number}", member="M", owner=f"B{number}", ccy="USD")
    world.act(FEE, **{**A_FEE, "basis": "bps", "taker": 100, "maker": 0})
    for expected in (0, -500):
        world.place(1, SELL, 1, 500)
        world.place(3, BUY, 1, 500)
        assert balances(world) == [0, 0, expected]
        world.act(FIX, **FIXING)
    world.act(FEE, **{**A_FEE, "taker": 0, "maker": 0})
    assert dump(world.state)["income"] == {"USD": 500}, "what was taken in stays"


def test_a_margin_is_bounded_by_2_to_the_60_exactly() -> None:
    """3 × 384,307,168 lots at 10^9: just below 2^60 = 1,152,921,504,606,846,976; one lot more is above."""
    for last, code in ((384_307_168, Code.OK), (384_307_169, Code.BAD_TERMS)):
        world = purse_world(max_order_qty=10**9)
        for lots in (384_307_168, 384_307_168, last):
            world.place(1, BUY, lots, 1)
        assert world.act(MARGIN, **{**A_MARGIN, "per_lot": 10**9})["code"].tolist() == [Code.OK], "nobody is checked"
        events = world.act(CommandKind.COLLATERAL_SET, account="A1", amount=5)
        assert events["code"].tolist() == [code]
        world.act(MARGIN, **A_MARGIN)
        world.act(CommandKind.COLLATERAL_SET, account="A1", amount=5)
        assert world.act(MARGIN, **{**A_MARGIN, "per_lot": 10**9})["code"].tolist() == [code]
        assert dump(world.state)["margins"][0]["per_lot"] == (10**9 if code == Code.OK else 100)


def test_the_margins_of_all_instruments_count_together() -> None:
    world = purse_world(max_order_qty=10**9)
    world.act(CommandKind.COLLATERAL_SET, account="A1", amount=0)
    for number, symbol in ((1, "W320"), (2, "V")):
        world.act(CommandKind.COLLATERAL_SET, account="A1", amount=10**15)
        world.act(MARGIN, symbol=symbol, ccy="USD", per_lot=0)
        assert world.place(1, BUY, 10**9, 1, instrument=number)["code"].tolist() == [Code.OK]
    assert world.act(MARGIN, symbol="W320", ccy="USD", per_lot=10**9)["code"].tolist() == [Code.OK]
    refused(world, MARGIN, {"symbol": "V", "ccy": "USD", "per_lot": 152_921_505})
    refused(world, MARGIN, {"group": "G", "ccy": "USD", "per_lot": 10**9})
    assert world.act(MARGIN, symbol="V", ccy="USD", per_lot=152_921_504)["code"].tolist() == [Code.OK]
    assert sum(held(world).values()) == 10**18 + 152_921_504 * 10**9


def test_a_margin_in_one_currency_is_none_in_another() -> None:
    world = purse_world()
    world.act(CommandKind.ACCOUNT_DEFINE, account="A5", member="M5", owner="B5", ccy="VND")
    world.act(MARGIN, **{**A_MARGIN, "ccy": "VND", "per_lot": 9})
    world.act(FIX, **{**FIXING, "per": "VND", "rate": "25000"})
    for account in ("A1", "A5"):
        world.act(CommandKind.COLLATERAL_SET, account=account, amount=10**15)
    assert world.place(1, BUY, 1, 5)["code"].tolist() == [Code.MARGIN]
    assert world.place(5, BUY, 1, 5)["code"].tolist() == [Code.OK]
    assert held(world) == {("A5", "W320"): 9}
