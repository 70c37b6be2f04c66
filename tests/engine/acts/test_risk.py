"""collateral.set, cap.set, kill.set and the restating of accounts: form, whom they mean, what is told."""

from typing import Any

import pytest

from engine.dump import dump
from engine.schema import Code, CommandKind, EventKind
from tests.engine.purse import purse_world
from tests.engine.world import World, kinds, values

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
