"""What accounts hold, pay and may not do (R71, R73 to R78), and invariants that notice damage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.reference import Reference
from engine.schema import TRADE, Code, EventKind
from tests.scenarios.table import Commands, Rows, world

# W and V: 3,500 of a tick of 1 USD, so that a tick of a lot is worth 350,000 cents.  A1, A4 and A5 trade alike.
PRICES = "date=2026-11-23 ccy=USD per=USD rate=100"


class Desk:
    """A reference in the tables' world in which everybody settles in USD, under a fixing."""

    def __init__(self, *options: str) -> None:
        limits, acts = world(list(options or ("settle=USD",)))
        self.reference, self.commands = Reference(limits), Commands()
        for text in acts:
            self.rows("venue", text)

    def rows(self, who: str, text: str) -> Rows:
        events = self.reference.run_block(self.commands.write(who, text), self.commands.payload)
        self.reference.check()
        return events

    def say(self, who: str, text: str) -> list[str]:
        """The kinds of the events, of refusals the codes."""
        rows = self.rows(who, text)
        return [
            Code(code).name if code else EventKind(kind).name.lower()
            for kind, code in zip(rows["kind"], rows["code"], strict=True)
        ]

    def act(self, text: str) -> list[str]:
        return self.say("venue", f"act {text}")

    def acts(self, *texts: str) -> list[list[str]]:
        return [self.act(text) for text in texts]

    def fees(self, who: str, text: str) -> list[tuple[int, int]]:
        rows = self.rows(who, text)
        trades = rows[rows["kind"] == EventKind.TRADE].view(TRADE)
        return [(int(row["fee"]), int(row["resting_fee"])) for row in trades]

    def told(self, key: str) -> Any:
        return self.reference.dump()[key]

    def positions(self) -> dict[tuple[str, str], tuple[int, int, int, int]]:
        return {
            (one["account"], one["symbol"]): (one["lots"], one["buys"], one["sells"], one["held"])
            for one in self.told("positions")
        }

    def balances(self) -> list[int]:
        return [account["balance"] for account in self.told("accounts")]


def checked(amount: int = 10**9, per_lot: int = 1000) -> Desk:
    """A1 is checked and has put up this much."""
    desk = Desk()
    desk.acts(
        f"fixing.set {PRICES}", f"margin.set symbol=W ccy=USD per_lot={per_lot}",
        f"collateral.set account=A1 amount={amount}",
    )  # fmt: skip
    return desk


# --- positions ---------------------------------------------------------------------------------------------------


def test_positions_follow_every_way_of_an_order() -> None:
    desk = Desk()
    desk.say("A1", "buy 10 @ 100 as b1")
    desk.say("A1", "sell 5 stop 50 as s1")
    desk.say("A1", "buy 3 market as m1 at_close")
    assert desk.positions() == {("A1", "W"): (0, 13, 5, 0)}
    desk.say("A2", "sell 4 @ 100 as x1")
    assert desk.positions() == {("A1", "W"): (4, 9, 5, 0), ("A2", "W"): (-4, 0, 0, 0)}
    desk.say("A1", "amend b1 qty 8")
    desk.say("A1", "cancel s1")
    assert desk.positions()["A1", "W"] == (4, 7, 0, 0)
    desk.say("A1", "amend b1 qty 20")
    assert desk.positions()["A1", "W"] == (4, 19, 0, 0)
    desk.say("A4", "sell 6 @ 100 as d1 smp decrement")
    assert desk.positions()["A1", "W"] == (4, 13, 0, 0) and ("A4", "W") not in desk.positions()
    desk.say("A1", "amend b1 qty 1")
    desk.say("A1", "mass_cancel")
    assert desk.positions() == {("A1", "W"): (4, 0, 0, 0), ("A2", "W"): (-4, 0, 0, 0)}


def test_an_uncross_moves_positions_too() -> None:
    desk = Desk("settle=USD", "phase=pre_open")
    desk.say("A1", "buy 10 @ 100 as b1")
    desk.say("A2", "sell 4 market as s1")
    desk.say("venue", "uncross W")
    assert desk.positions() == {("A1", "W"): (4, 6, 0, 0), ("A2", "W"): (-4, 0, 0, 0)}


# --- fees --------------------------------------------------------------------------------------------------------


def test_each_side_pays_for_its_role_and_the_exchange_earns_it() -> None:
    desk = Desk()
    desk.acts(f"fixing.set {PRICES}", "fee.set symbol=W ccy=USD basis=lot taker=7 maker=-2 auction=5")
    desk.say("A1", "buy 10 @ 100 as b1")
    assert desk.fees("A2", "sell 4 @ 100 as s1") == [(28, -8)]
    assert (desk.balances(), desk.told("income")) == ([8, -28, 0, 0, 0, 0], {"USD": 20})
    desk.act("fee.set symbol=W ccy=USD basis=bps taker=10 maker=-1 auction=5")
    assert desk.fees("A2", "sell 1 @ 99 as s2") == [(35_000, -3500)]
    assert desk.told("income") == {"USD": 31_520}


def test_both_sides_of_an_uncross_pay_its_fee() -> None:
    desk = Desk("settle=USD,VND", "phase=pre_open")
    desk.acts(f"fixing.set {PRICES}", "fee.set symbol=W ccy=USD basis=lot taker=7 maker=-2 auction=5",
              "fee.set symbol=W ccy=VND basis=bps taker=7 maker=-2 auction=100")  # fmt: skip
    desk.say("A1", "buy 10 @ 100 as b1")
    desk.say("A2", "sell 4 @ 100 as s1")
    assert desk.fees("venue", "uncross W") == [(20, 0)], "no fixing in VND"
    desk.act("fixing.set date=2026-11-23 ccy=USD per=VND rate=1.5")
    desk.say("A2", "sell 4 @ 100 as s2")
    assert desk.fees("venue", "uncross W") == [(20, 21_000)]
    assert desk.told("income") == {"USD": 40, "VND": 21_000}


def test_who_settles_in_nothing_pays_nothing() -> None:
    desk = Desk("max_price=1000")
    desk.acts(f"fixing.set {PRICES}", "fee.set symbol=W ccy=USD basis=lot taker=7 maker=7 auction=7")
    desk.say("A1", "buy 10 @ 100 as b1")
    assert desk.fees("A2", "sell 4 @ 100 as s1") == [(0, 0)]
    assert desk.told("accounts")[0] == {"account": "A1", "member": "M1", "owner": "B1", "balance": 0, "checked": 0}


# --- margin ------------------------------------------------------------------------------------------------------


def test_an_order_needs_its_margin_to_the_cent() -> None:
    desk = checked(100 * 1000, per_lot=1000)
    assert desk.say("A1", "buy 101 @ 1 as b1") == ["MARGIN"]
    desk.act("collateral.set account=A1 amount=1999999")  # 5 % of the value of 100 lots at 1 is 1,750,000
    assert desk.say("A1", "buy 100 @ 1 as b1") == ["order_accepted"]
    assert desk.positions() == {("A1", "W"): (0, 100, 0, 100_000)}
    assert desk.say("A1", "sell 100 @ 2 as s1") == ["MARGIN"], "held no more, but 5 % of the value"
    assert desk.say("A1", "sell 54 @ 2 as s1") == ["order_accepted"]
    assert desk.positions() == {("A1", "W"): (0, 100, 54, 100_000)}
    assert desk.say("A1", "sell 1 @ 109 as s2") == ["MARGIN"]  # 20 × 1,899,999 below 109 × 350,000
    assert desk.say("A1", "sell 1 @ 108 as s2") == ["order_accepted"]


def test_a_rise_of_what_is_held_must_be_covered() -> None:
    desk = checked(2 * 10**8, per_lot=10**6)
    assert desk.say("A1", "buy 201 @ 1 as b1") == ["MARGIN"]
    assert desk.say("A1", "buy 200 @ 1 as b1") == ["order_accepted"]
    assert desk.say("A1", "buy 1 @ 1 as b2") == ["MARGIN"]
    assert desk.say("A1", "amend b1 qty 201") == ["MARGIN"]
    assert desk.say("A1", "amend b1 price 2") == ["order_amended"], "without the order there is enough"
    assert desk.say("A1", "amend b1 qty 1") == ["order_amended"]
    desk.act("collateral.set account=A1 amount=0")
    assert desk.say("A1", "amend b1 price 3") == ["MARGIN"]
    assert desk.say("A1", "amend b1 qty 1 as b3") == ["order_amended"], "no more lots, no price"
    assert desk.say("A2", "buy 400 @ 900 as x1") == ["order_accepted"], "nobody checks A2"


def test_nothing_is_traded_on_margin_without_a_margin_and_a_fixing() -> None:
    desk = checked()
    assert desk.say("A1", "buy 1 @ 1 as v1 in V") == ["MARGIN"]
    desk.act("margin.set symbol=V ccy=USD per_lot=0")
    assert desk.say("A1", "buy 1 @ 1 as v1 in V") == ["order_accepted"]
    other = Desk("settle=VND")
    other.acts("margin.set symbol=W ccy=VND per_lot=1", "collateral.set account=A1 amount=1000000")
    assert other.say("A1", "buy 1 @ 1 as b1") == ["MARGIN"]
    other.act("fixing.set date=2026-11-23 ccy=USD per=VND rate=1")
    assert other.say("A1", "buy 1 @ 1 as b1") == ["order_accepted"]


def test_worst_fees_are_held_for_open_orders() -> None:
    desk = checked()
    desk.act("fee.set symbol=W ccy=USD basis=bps taker=-1 maker=2 auction=1")
    desk.say("A1", "buy 3 @ 1 as b1")
    assert desk.positions() == {("A1", "W"): (0, 3, 0, 3 * 1000 + 3 * 70_000)}
    desk.say("A2", "sell 3 @ 1 as s1")
    assert desk.positions()["A1", "W"] == (3, 0, 0, 3000)
    assert desk.balances()[0] == 10**9 - 210


# --- caps and kill switches --------------------------------------------------------------------------------------


def test_caps_count_all_accounts_of_an_owner_and_all_instruments_of_a_commodity() -> None:
    desk = Desk("commodity=cashew")
    desk.say("venue", "define U commodity=cashew")
    desk.say("venue", "phase U continuous")
    desk.act("cap.set commodity=cashew lots=10")
    assert desk.say("A1", "buy 6 @ 10 as b1") == ["order_accepted"]
    assert desk.say("A4", "buy 5 @ 10 as b2 in U") == ["POSITION_CAP"]
    assert desk.say("A4", "buy 4 @ 10 as b2 in U") == ["order_accepted"]
    assert desk.say("A5", "amend b1 qty 7") == ["UNKNOWN_ORDER"]
    assert desk.say("A1", "amend b1 qty 7") == ["POSITION_CAP"]
    assert desk.say("A1", "amend b1 qty 5") == ["order_amended"]
    assert desk.say("A4", "sell 10 @ 20 as s1 in U") == ["order_accepted"]
    assert desk.say("A4", "sell 1 @ 20 as s2") == ["POSITION_CAP"]
    assert desk.say("A1", "buy 500 @ 10 as v1 in V") == ["order_accepted"], "another commodity"
    desk.act("cap.set commodity=cashew owner=B1 lots=11")
    assert desk.say("A1", "amend b1 qty 7") == ["order_amended"]
    assert desk.say("A1", "amend b1 qty 8") == ["POSITION_CAP"]
    assert desk.say("A2", "sell 11 @ 20 as x1") == ["POSITION_CAP"]
    desk.acts("cap.set commodity=cashew owner=B1 lots=0")
    assert desk.say("A5", "buy 1 @ 10 as b5") == ["POSITION_CAP"], "that of all holds again"
    assert desk.told("caps") == [{"commodity": "cashew", "owner": "", "lots": 10}]


def test_positions_count_for_and_against_a_cap() -> None:
    desk = Desk()
    desk.act("cap.set commodity=W lots=10")
    desk.say("A1", "buy 10 @ 10 as b1")
    desk.say("A2", "sell 10 @ 10 as s1")
    assert desk.say("A1", "buy 1 @ 10 as b2") == ["POSITION_CAP"]
    assert desk.say("A1", "sell 20 @ 10 as s2") == ["order_accepted"]
    assert desk.say("A1", "sell 1 @ 10 as s3") == ["POSITION_CAP"]


@pytest.mark.parametrize(
    ("switch", "code"),
    [("account=A1", "KILLED_ACCOUNT"), ("member=M1", "KILLED_MEMBER"), ("exchange=1", "KILLED_EXCHANGE")],
)
def test_a_kill_switch_stops_who_is_meant(switch: str, code: str) -> None:
    desk = Desk()
    desk.act(f"kill.set {switch} on=1")
    assert desk.say("A1", "buy 1 @ 10 as b1") == [code]
    assert desk.say("A3", "buy 1 @ 10 as b3") == (
        ["KILLED_EXCHANGE"] if code == "KILLED_EXCHANGE" else ["order_accepted"]
    )
    desk.act(f"kill.set {switch} on=0")
    assert desk.say("A1", "buy 1 @ 10 as b1") == ["order_accepted"]


# --- invariants --------------------------------------------------------------------------------------------------


def stray_lots(reference: Reference) -> None:
    reference.accounts[0].positions[1].lots += 1


def stray_buys(reference: Reference) -> None:
    reference.accounts[0].positions[1].buys += 1


def stray_holding(reference: Reference) -> None:
    reference.holdings["B1", "W"].sells += 1


def stray_held(reference: Reference) -> None:
    reference.accounts[0].positions[1].held += 1


def stray_margin(reference: Reference) -> None:
    reference.accounts[0].margin -= 1


def no_position(reference: Reference) -> None:
    reference.accounts[0].positions.clear()


def no_currency(reference: Reference) -> None:
    terms = reference.accounts[0].terms
    object.__setattr__(terms, "ccy", "")


@pytest.mark.parametrize(
    "damage", [stray_lots, stray_buys, stray_holding, stray_held, stray_margin, no_position, no_currency]
)
def test_damage_is_noticed(damage: Callable[[Reference], None]) -> None:
    desk = checked()
    desk.say("A1", "buy 10 @ 10 as b1")
    desk.say("A2", "sell 4 @ 10 as s1")
    damage(desk.reference)
    with pytest.raises(AssertionError):
        desk.reference.check()
