"""collateral.set, cap.set, kill.set and the restating of accounts: form, whom they mean, what is told."""

from typing import Any

import pytest

from engine.core.layout import ACCOUNT_WORDS, REQUIRED
from engine.dump import dump
from engine.schema import Code, CommandKind, EventKind, Phase
from tests.engine.purse import purse_world
from tests.engine.world import BUY, SELL, TERMS, World, kinds, values

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

K = CommandKind
COLLATERAL: dict[str, Any] = {"account": "A1", "amount": 5}
CAP: dict[str, Any] = {"commodity": "G", "lots": 5}
KILL: dict[str, Any] = {"account": "A1", "on": 1}
POSITION: dict[str, Any] = {"account": "A1", "symbol": "V", "lots": 5}
BALANCE: dict[str, Any] = {"account": "A1", "balance": -5, "checked": 1}


def refused(world: World, kind: CommandKind, terms: dict[str, Any], code: Code = Code.BAD_TERMS) -> None:
    before = {**dump(world.state), "seq": 0, "time": 0}
    (event,) = world.act(kind, **{key: value for key, value in terms.items() if value is not ...})
    assert (event["kind"], event["code"]) == (EventKind.ACT_REJECTED, code), terms
    assert {**dump(world.state), "seq": 0, "time": 0} == before


def required(world: World, account: int) -> int:
    """The margin of an account."""
    return int(world.state.arrays.acc[account * ACCOUNT_WORDS + REQUIRED])


@pytest.mark.parametrize(
    ("kind", "good", "changes"),
    [
        (K.COLLATERAL_SET, COLLATERAL, [{"amount": -1}, {"amount": 10**15 + 1}, {"amount": "5"}, {"account": 1}]),
        (K.CAP_SET, CAP, [{"lots": -1}, {"lots": 10**12 + 1}, {"commodity": ""}, {"owner": 5}, {"lots": ...}]),
        (K.KILL_SET, KILL, [
            {"on": 2}, {"on": ...}, {"member": "M1"}, {"account": ...}, {"exchange": 1}, {"why": 1},
            {"account": ..., "exchange": 0}, {"account": ..., "exchange": 2}, {"account": ..., "member": 5},
        ]),
        (K.POSITION_RESTORE, POSITION, [
            {"lots": 0}, {"lots": 10**12 + 1}, {"lots": -(10**12) - 1}, {"symbol": 5}, {"account": ...},
        ]),
        (K.BALANCE_RESTORE, BALANCE, [
            {"balance": 10**18 + 1}, {"balance": -(10**18) - 1}, {"checked": 2}, {"checked": ...}, {"why": "x"},
        ]),
    ],
    ids=["collateral", "cap", "kill", "position", "balance"],
)  # fmt: skip
def test_bad_terms(kind: CommandKind, good: dict[str, Any], changes: list[dict[str, Any]]) -> None:
    world = purse_world(phase=None, day="2026-11-25")
    for change in changes:
        refused(world, kind, {**good, **change})
    assert world.act(kind, **good)["code"].tolist() == [Code.OK]


def test_whom_they_mean() -> None:
    world = purse_world(phase=None, day="2026-11-25")
    for kind, terms in (
        (K.COLLATERAL_SET, {**COLLATERAL, "account": "X"}), (K.KILL_SET, {**KILL, "account": "X"}),
        (K.KILL_SET, {"member": "X", "on": 1}), (K.POSITION_RESTORE, {**POSITION, "account": "X"}),
        (K.BALANCE_RESTORE, {**BALANCE, "account": "X"}),
    ):  # fmt: skip
        refused(world, kind, terms, Code.UNKNOWN_ACCOUNT)
    refused(world, K.POSITION_RESTORE, {**POSITION, "symbol": "X"}, Code.UNKNOWN_INSTRUMENT)


def test_an_account_without_a_currency_is_not_checked() -> None:
    world = World(phase=None, day="2026-11-25")
    refused(world, K.COLLATERAL_SET, COLLATERAL)
    refused(world, K.BALANCE_RESTORE, BALANCE)
    assert world.act(K.BALANCE_RESTORE, **{**BALANCE, "checked": 0})["code"].tolist() == [Code.OK]
    assert dump(world.state)["accounts"][0]["balance"] == -5


def test_what_is_told_and_remembered() -> None:
    world = purse_world(phase=None)
    told = values(world.act(K.COLLATERAL_SET, **COLLATERAL)[0])
    assert (told["account"], told["qty"]) == (1, 5)
    assert dump(world.state)["accounts"][0]["checked"] == 1
    world.act(K.CAP_SET, **CAP)
    world.act(K.CAP_SET, **{**CAP, "owner": "later", "lots": 7})
    assert dump(world.state)["caps"] == [
        {"commodity": "G", "owner": "", "lots": 5}, {"commodity": "G", "owner": "later", "lots": 7},
    ]  # fmt: skip
    world.act(K.CAP_SET, **{**CAP, "lots": 0})
    assert [cap["owner"] for cap in dump(world.state)["caps"]] == ["later"]
    for terms, told_ in (
        ({"account": "A2", "on": 1}, (2, 1, 1)), ({"member": "M1", "on": 1}, (0, 2, 1)),
        ({"exchange": 1, "on": 1}, (0, 3, 1)), ({"account": "A2", "on": 0}, (2, 1, 0)),
    ):  # fmt: skip
        (event,) = world.act(K.KILL_SET, **terms)
        assert (event["account"], event["reason"], event["qty"]) == told_
    assert dump(world.state)["kills"] == [{"scope": "exchange", "whom": ""}, {"scope": "member", "whom": "M1"}]


def test_accounts_are_restated_only_while_a_day_is() -> None:
    world = purse_world(phase=None)
    refused(world, K.POSITION_RESTORE, POSITION, Code.DAY_ORDER)
    refused(world, K.BALANCE_RESTORE, BALANCE, Code.DAY_ORDER)


def test_a_day_starts_only_if_positions_sum_to_zero() -> None:
    world = purse_world(phase=None, day="2026-11-25")
    world.act(K.POSITION_RESTORE, **POSITION)
    refused(world, K.DAY_START, {})
    (event,) = world.act(K.POSITION_RESTORE, account="A3", symbol="V", lots=-5)
    assert (event["account"], event["instrument"], event["qty"]) == (3, 2, -5)
    assert kinds(world.act(K.DAY_START)) == [EventKind.DAY_STARTED]


def test_positions_and_orders_of_a_checked_account_are_bounded_when_restated() -> None:
    world = purse_world(phase=None, day="2026-11-25")
    world.act(K.MARGIN_SET, symbol="V", ccy="USD", per_lot=10**9)
    world.act(K.BALANCE_RESTORE, **BALANCE)
    refused(world, K.POSITION_RESTORE, {**POSITION, "lots": 2 * 10**9})
    assert world.act(K.POSITION_RESTORE, **{**POSITION, "lots": 10**9})["code"].tolist() == [Code.OK]
    restore = {"instrument": 2, "account": 1, "side": 1, "ord_type": 1, "time_in_force": 2, "price": 5,
               "cl_ord_id": b"x", "target_lo": 1}  # fmt: skip
    (event,) = world.run(world.row(K.ORDER_RESTORE, order_qty=10**9, min_qty=10**9, **restore))
    assert event["code"] == Code.MARGIN
    (event,) = world.run(world.row(K.ORDER_RESTORE, order_qty=10**8, min_qty=10**8, **restore))
    assert event["kind"] == EventKind.ORDER_RESTORED


def test_a_switch_of_a_member_and_a_cap_hold_for_accounts_that_come_later() -> None:
    world = purse_world()
    world.act(K.KILL_SET, member="M1", on=1)
    world.act(K.CAP_SET, commodity="G", lots=3)
    for account, member, owner in (("A5", "M1", "B5"), ("A6", "M2", "B6")):
        world.act(K.ACCOUNT_DEFINE, account=account, member=member, owner=owner)
    assert world.place(5, 1, 1, 500)["code"].tolist() == [Code.KILLED_MEMBER]
    assert world.place(6, 1, 4, 500)["code"].tolist() == [Code.POSITION_CAP]
    assert world.place(6, 1, 3, 500)["code"].tolist() == [Code.OK]


@pytest.mark.parametrize("checked", [0, 1])
@pytest.mark.parametrize("balance", [10**18, -(10**18), 0])
def test_a_balance_is_restored_with_its_check_and_without(balance: int, checked: int) -> None:
    world = purse_world(phase=None, day="2026-11-25")
    world.act(K.MARGIN_SET, symbol="V", ccy="USD", per_lot=7)
    for before in (0, 1):
        world.act(K.BALANCE_RESTORE, account="A1", balance=1, checked=before)
        if not before:
            world.act(K.POSITION_RESTORE, account="A1", symbol="V", lots=3)
        (event,) = world.act(K.BALANCE_RESTORE, account="A1", balance=balance, checked=checked)
        assert (event["kind"], event["account"], event["qty"]) == (EventKind.BALANCE_RESTORED, 1, balance)
        picture = dump(world.state)
        assert (picture["accounts"][0]["balance"], picture["accounts"][0]["checked"]) == (balance, checked)
        assert picture["positions"][0]["held"] == 21 * checked
        assert required(world, 1) == 21 * checked


def test_a_position_is_replaced_and_the_margin_with_it() -> None:
    world = purse_world(phase=None, day="2026-11-25")
    world.act(K.MARGIN_SET, group="G", ccy="USD", per_lot=7)
    world.act(K.CAP_SET, commodity="G", lots=9)
    world.act(K.COLLATERAL_SET, account="A1", amount=10**9)
    for symbol, lots, margin in (("V", 5, 35), ("V", -6, 42), ("W320", 10**12, 42 + 7 * 10**12), ("W320", -1, 49)):
        (event,) = world.act(K.POSITION_RESTORE, account="A1", symbol=symbol, lots=lots)
        assert (event["account"], event["qty"], event["phase"]) == (1, lots, Phase.CLOSED)
        assert required(world, 1) == margin
    world.act(K.POSITION_RESTORE, account="A4", symbol="V", lots=6)
    world.act(K.POSITION_RESTORE, account="A4", symbol="W320", lots=1)
    world.act(K.DAY_START)
    world.phase("ALL", Phase.CONTINUOUS)
    assert world.place(1, SELL, 2, 900)["code"].tolist() == [Code.OK]
    assert world.place(2, SELL, 1, 900, instrument=2)["code"].tolist() == [Code.POSITION_CAP], (
        "the owner sold 7 and sells 2"
    )
    assert world.place(1, BUY, 16, 5)["code"].tolist() == [Code.OK]
    assert world.place(2, BUY, 1, 5)["code"].tolist() == [Code.POSITION_CAP]
    assert world.place(4, BUY, 2, 5)["code"].tolist() == [Code.OK]
    assert world.place(3, BUY, 1, 5)["code"].tolist() == [Code.POSITION_CAP], "owner B2 holds 7 and buys 2"


def test_positions_of_every_instrument_have_to_sum_to_zero() -> None:
    world = purse_world(phase=None, day="2026-11-25")
    for account, symbol, lots in (("A1", "V", 5), ("A2", "W320", -5)):
        world.act(K.POSITION_RESTORE, account=account, symbol=symbol, lots=lots)
    refused(world, K.DAY_START, {})
    world.act(K.POSITION_RESTORE, account="A4", symbol="V", lots=-5)
    refused(world, K.DAY_START, {})
    world.act(K.POSITION_RESTORE, account="A4", symbol="W320", lots=5)
    assert kinds(world.act(K.DAY_START)) == [EventKind.DAY_STARTED]


def test_collateral_is_set_anew_and_checks_what_is_open_at_once() -> None:
    world = purse_world()
    world.act(K.MARGIN_SET, symbol="W320", ccy="USD", per_lot=100)
    world.place(1, BUY, 7, 5)
    world.stop(1, SELL, 2, 3)
    assert required(world, 1) == 0 and world.place(1, BUY, 1, 5)["code"].tolist() == [Code.OK], "not checked yet"
    world.act(K.COLLATERAL_SET, account="A1", amount=10)
    assert required(world, 1) == 800
    assert world.place(1, BUY, 1, 5)["code"].tolist() == [Code.MARGIN]
    world.act(K.COLLATERAL_SET, account="A1", amount=10**15, why="wire", by="O1")
    assert world.place(1, BUY, 1, 5)["code"].tolist() == [Code.OK] and required(world, 1) == 900
    (event,) = world.act(K.COLLATERAL_SET, account="A1", amount=0)
    assert (event["kind"], event["qty"], dump(world.state)["accounts"][0]["checked"]) == (
        EventKind.COLLATERAL_SET,
        0,
        1,
    )
    assert kinds(world.mass_cancel(1))[:-1] == [EventKind.ORDER_CANCELED] * 4, "cancels are never a matter of money"


def test_caps_are_by_owner_and_commodity_known_or_not() -> None:
    world = purse_world(phase=None)
    for terms in ({}, {"owner": "B1", "lots": 4}, {"commodity": "later", "lots": 2}, {"owner": "B9", "lots": 6}):
        assert kinds(world.act(K.CAP_SET, **{**CAP, **terms}, why="x", by="y")) == [EventKind.CAP_SET]
    lot = {key: value for key, value in TERMS.items() if key not in ("symbol", "commodity")}
    world.act(K.INSTRUMENT_DEFINE, **lot, symbol="later")
    world.act(K.INSTRUMENT_DEFINE, **lot, symbol="X", commodity="G")
    world.act(K.ACCOUNT_DEFINE, account="A5", member="M1", owner="B9")
    world.phase("ALL", Phase.CONTINUOUS)
    for account, instrument, most in ((1, 2, 4), (2, 4, 0), (3, 1, 5), (5, 4, 6), (1, 3, 2), (5, 3, 2)):
        assert world.place(account, BUY, most + 1, 500, instrument=instrument)["code"].tolist() == [Code.POSITION_CAP]
        if most:
            assert world.place(account, BUY, most, 500, instrument=instrument)["code"].tolist() == [Code.OK]
    world.act(K.CAP_SET, **{**CAP, "owner": "B1", "lots": 0})
    assert world.place(1, BUY, 1, 500, instrument=1)["code"].tolist() == [Code.OK], "that of all now: 5"
    assert world.place(1, BUY, 1, 500, instrument=1)["code"].tolist() == [Code.POSITION_CAP]
    world.act(K.CAP_SET, **{**CAP, "lots": 0})
    assert world.place(1, BUY, 10**6, 500, instrument=1)["code"].tolist() == [Code.OK]


def test_a_commodity_is_that_of_the_terms_or_the_group_or_the_symbol() -> None:
    terms = ({"commodity": "C", "group": "G"}, {"symbol": "V", "group": "C"}, {"symbol": "C"}, {"symbol": "G"})
    world = World(terms=terms)
    world.act(K.CAP_SET, commodity="C", lots=5)
    for number, lots in ((1, 2), (2, 2), (3, 1)):
        assert world.place(1, SELL, lots, 900, instrument=number)["code"].tolist() == [Code.OK]
    for number in (1, 2, 3):
        assert world.place(2, SELL, 1, 900, instrument=number)["code"].tolist() == [Code.POSITION_CAP]
    assert world.place(2, SELL, 9, 900, instrument=4)["code"].tolist() == [Code.OK]


def test_switches_are_remembered_one_by_one() -> None:
    world = purse_world()
    switches: list[dict[str, Any]] = [{"account": "A1"}, {"member": "M1"}, {"exchange": 1}]
    for switch in switches:
        world.act(K.KILL_SET, **switch, on=1, why="x", by="y")
    codes = []
    for switch in switches:
        codes += world.place(1, BUY, 1, 5)["code"].tolist()
        world.act(K.KILL_SET, **switch, on=0)
    assert codes == [Code.KILLED_ACCOUNT, Code.KILLED_MEMBER, Code.KILLED_EXCHANGE]
    assert world.place(1, BUY, 1, 5)["code"].tolist() == [Code.OK] and dump(world.state)["kills"] == []
    assert kinds(world.act(K.KILL_SET, account="A1", on=0)) == [EventKind.KILL_SET], "off already"


def test_a_check_outlives_a_switch() -> None:
    world = purse_world()
    world.act(K.COLLATERAL_SET, **COLLATERAL)
    for on in (1, 0):
        world.act(K.KILL_SET, account="A1", on=on)
    assert world.place(1, BUY, 1, 5)["code"].tolist() == [Code.MARGIN] and dump(world.state)["accounts"][0]["checked"]


def test_switches_while_a_day_is_restated_cancel_nothing_and_hold() -> None:
    world = purse_world(phase=None, day="2026-11-25")
    world.seq = 50
    world.run(world.row(K.ORDER_RESTORE, instrument=1, account=1, side=1, ord_type=1, time_in_force=2, price=5,
                        order_qty=3, min_qty=3, cl_ord_id=b"x", target_lo=1))  # fmt: skip
    assert kinds(world.act(K.KILL_SET, exchange=1, on=1)) == [EventKind.KILL_SET]
    world.act(K.DAY_START)
    world.phase("ALL", Phase.CONTINUOUS)
    assert len(dump(world.state)["orders"]) == 1
    assert world.place(3, BUY, 1, 5)["code"].tolist() == [Code.KILLED_EXCHANGE]
