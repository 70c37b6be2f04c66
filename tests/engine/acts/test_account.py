"""account.define: numbers of accounts, members and owners, and what it refuses (R41)."""

from typing import Any

import pytest

from engine.core.layout import ACCOUNT_WORDS, ACCOUNTS, CCY, MEMBER, OWNER
from engine.dump import dump
from engine.schema import Code, CommandKind, EventKind
from tests.engine.world import BUY, SMALL, World, kinds

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]
DEFINE = CommandKind.ACCOUNT_DEFINE
GOOD = {"account": "A9", "member": "M9", "owner": "B9"}


def test_accounts_members_and_owners_are_numbered_as_they_appear() -> None:
    world = World()
    events = world.act(DEFINE, account="A5", member="M9", owner="B1")
    assert kinds(events) == [EventKind.ACCOUNT_DEFINED] and events["account"].tolist() == [5]
    a = world.state.arrays
    rows = [(int(a.acc[n * ACCOUNT_WORDS + MEMBER]), int(a.acc[n * ACCOUNT_WORDS + OWNER])) for n in range(1, 6)]
    assert rows == [(1, 1), (2, 1), (1, 2), (2, 2), (3, 1)]
    assert int(a.h[ACCOUNTS]) == 5
    assert dump(world.state)["accounts"][4] == {
        "account": "A5", "member": "M9", "owner": "B1", "balance": 0, "checked": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"account": ""}, {"member": 1}, {"owner": None}, {"owner": "x" * 33}, {"extra": 1}, *({key: ...} for key in GOOD)],
    ids=repr,
)
def test_bad_terms(change: dict[str, Any]) -> None:
    world = World()
    terms = {key: value for key, value in {**GOOD, **change}.items() if value is not ...}
    before = {**dump(world.state), "seq": 0, "time": 0}
    events = world.act(DEFINE, **terms)
    assert kinds(events) == [EventKind.ACT_REJECTED] and events["code"].tolist() == [Code.BAD_TERMS]
    assert {**dump(world.state), "seq": 0, "time": 0} == before and "M9" not in world.state.members


def test_an_account_is_defined_once_and_that_is_told_before_the_venue_is_full() -> None:
    world = World(SMALL._replace(accounts=4))
    assert world.act(DEFINE, account="A1", member="M9", owner="B9")["code"].tolist() == [Code.ACCOUNT_EXISTS]
    assert world.act(DEFINE, **GOOD)["code"].tolist() == [Code.ACCOUNTS_FULL]
    assert world.act(DEFINE, account="A1", member="M9")["code"].tolist() == [Code.BAD_TERMS]
    assert "M9" not in world.state.members and len(world.state.account_terms) == 4
    assert world.place(5, BUY, 1, 1)["code"].tolist() == [Code.UNKNOWN_ACCOUNT]


def test_names_of_accounts_members_and_owners_live_apart() -> None:
    world = World()
    assert kinds(world.act(DEFINE, account="M1", member="B1", owner="A1")) == [EventKind.ACCOUNT_DEFINED]


def test_an_account_settles_in_the_currency_it_names_or_in_none() -> None:
    world = World()
    for account, said in (("A5", {"ccy": "VND"}), ("A6", {"ccy": "USD"}), ("A7", {"ccy": "VND"}), ("A8", {})):
        assert kinds(world.act(DEFINE, account=account, member="M1", owner="B1", **said)) == [EventKind.ACCOUNT_DEFINED]
    found = [int(world.state.arrays.acc[n * ACCOUNT_WORDS + CCY]) for n in range(4, 9)]
    assert found == [0, 1, 2, 1, 0] and world.state.ccys == {"VND": 1, "USD": 2}
    assert [account.get("ccy") for account in dump(world.state)["accounts"][4:]] == ["VND", "USD", "VND", None]
    assert dump(world.state)["income"] == {"USD": 0, "VND": 0}


@pytest.mark.parametrize("ccy", ["", "a b", 1, None, ["USD"], "x" * 33])
def test_a_currency_is_a_name(ccy: Any) -> None:
    world = World()
    assert world.act(DEFINE, **GOOD, ccy=ccy)["code"].tolist() == [Code.BAD_TERMS]
    assert not world.state.ccys


def test_a_sixteenth_currency_is_told_before_an_account_that_exists() -> None:
    world = World(SMALL._replace(accounts=20))
    for number in range(15):
        assert not world.act(DEFINE, account=f"C{number}", member="M1", owner="B1", ccy=f"C{number}")["code"].any()
    assert world.act(DEFINE, account="A1", member="M1", owner="B1", ccy="new")["code"].tolist() == [Code.BAD_TERMS]
    assert world.act(DEFINE, account="A1", member="M1", owner="B1", ccy="C3")["code"].tolist() == [Code.ACCOUNT_EXISTS]
    assert world.act(DEFINE, **GOOD, ccy="C3")["code"].tolist() == [Code.OK]
    assert len(world.state.ccys) == 15


def test_a_currency_that_a_margin_named_before_has_its_costs_at_once() -> None:
    world = World()
    world.act(CommandKind.FIXING_SET, date="2026-11-25", ccy="USD", per="VND", rate="25000")
    world.act(CommandKind.MARGIN_SET, symbol="W320", ccy="VND", per_lot=7)
    world.act(DEFINE, **GOOD, ccy="VND")
    world.act(CommandKind.COLLATERAL_SET, account="A9", amount=10**12)
    assert world.place(5, BUY, 3, 10)["code"].tolist() == [Code.OK]
    assert dump(world.state)["positions"][0]["held"] == 21
