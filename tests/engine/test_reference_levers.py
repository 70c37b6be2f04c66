"""The acts about accounts and costs, in the order in which they are refused, and what they tell (R41, R72 to R78)."""

from __future__ import annotations

import pytest

from engine.schema import EVENT
from tests.engine.test_reference_accounts import PRICES, Desk, checked
from tests.scenarios.table import Rows

FEES = "basis=lot taker=1 maker=2 auction=3"


def fields(rows: Rows) -> list[dict[str, int]]:
    """What the events tell besides their place and kind."""
    assert EVENT.names is not None
    names = [name for name in EVENT.names if name not in ("seq", "time", "index", "kind", "op", "flags", "cl_ord_id")]
    return [{name: int(row[name]) for name in names if row[name]} for row in rows]


def test_each_act_has_its_row() -> None:
    desk = Desk("group=G", "settle=USD")
    desk.say("venue", "define U group=G")
    tell = [
        desk.rows("venue", f"act {text}")
        for text in (
            f"fixing.set {PRICES}", "margin.set group=G ccy=USD per_lot=7",
            "fee.set symbol=W ccy=USD basis=bps taker=3 maker=-2 auction=1",
            f"fee.set symbol=V ccy=USD {FEES}", "cap.set commodity=G lots=9", "collateral.set account=A2 amount=5",
            "kill.set account=A3 on=1", "kill.set member=M1 on=0", "kill.set exchange=1 on=1",
        )
    ]  # fmt: skip
    assert [fields(rows) for rows in tell] == [
        [{"qty": 20261123}],
        [{"instrument": 1, "phase": 3, "qty": 7}, {"instrument": 3, "phase": 1, "qty": 7}],
        [{"instrument": 1, "phase": 3, "price": 3, "old_price": -2, "qty": 1, "reason": 2}],
        [{"instrument": 2, "phase": 3, "price": 1, "old_price": 2, "qty": 3, "reason": 1}],
        [{"qty": 9}],
        [{"account": 2, "qty": 5}],
        [{"account": 3, "reason": 1, "qty": 1}],
        [{"reason": 2}],
        [{"reason": 3, "qty": 1}],
    ]
    told = desk.reference.dump()
    assert told["fixings"] == [{"ccy": "USD", "per": "USD", "date": "2026-11-23", "rate": "100"}]
    assert told["margins"] == [
        {"symbol": "W", "ccy": "USD", "per_lot": 7}, {"symbol": "U", "ccy": "USD", "per_lot": 7},
    ]  # fmt: skip
    assert [(fees["symbol"], fees["basis"], fees["maker"]) for fees in told["fees"]] == [
        ("W", "bps", -2),
        ("V", "lot", 2),
    ]
    assert told["kills"] == [{"scope": "account", "whom": "A3"}, {"scope": "exchange", "whom": ""}]
    assert (told["caps"], told["income"]) == ([{"commodity": "G", "owner": "", "lots": 9}], {"USD": 0})
    assert [account["checked"] for account in told["accounts"]] == [0, 1, 0, 0, 0, 0]


def test_bad_terms_come_before_who_is_unknown() -> None:
    desk = Desk()
    assert desk.acts(
        "collateral.set account=NO amount=-1", "collateral.set account=NO amount=1",
        "collateral.set account=A1 amount=1",
        "margin.set symbol=NO ccy=USD per_lot=-1", "margin.set symbol=NO ccy=USD per_lot=1",
        "fee.set group=NO ccy=USD basis=lot taker=1 maker=1 auction=100001", f"fee.set group=NO ccy=USD {FEES}",
        "kill.set account=NO on=2", "kill.set account=NO on=0", "kill.set member=NO on=1",
    ) == [
        ["BAD_TERMS"], ["UNKNOWN_ACCOUNT"], ["collateral_set"],
        ["BAD_TERMS"], ["UNKNOWN_INSTRUMENT"],
        ["BAD_TERMS"], ["UNKNOWN_INSTRUMENT"],
        ["BAD_TERMS"], ["UNKNOWN_ACCOUNT"], ["UNKNOWN_ACCOUNT"],
    ]  # fmt: skip
    assert Desk("max_price=1000").act("collateral.set account=A1 amount=1") == ["BAD_TERMS"], "no currency"


def test_no_more_than_fifteen_currencies_are_named() -> None:
    desk = Desk()
    desk.acts(*(f"margin.set symbol=W ccy=C{n} per_lot=1" for n in range(1, 12)))
    assert desk.act(f"fee.set symbol=NO ccy=C12 {FEES}") == ["UNKNOWN_INSTRUMENT"], "refused, it names nothing"
    assert desk.act(f"fee.set symbol=W ccy=C12 {FEES}") == ["fees_set"]
    assert desk.act("fixing.set date=2026-11-23 ccy=EUR per=C13 rate=1") == ["fixing_set"], "ccy is not counted"
    assert desk.say("venue", "account A7 M1 B1 C14") == ["account_defined"]
    assert sorted(desk.told("income")) == [
        "C1",
        "C10",
        "C11",
        "C12",
        "C13",
        "C14",
        *(f"C{n}" for n in range(2, 10)),
        "USD",
    ]
    assert desk.acts(
        "margin.set symbol=NO ccy=C15 per_lot=1", f"fee.set symbol=W ccy=C15 {FEES}",
        "fixing.set date=2026-11-23 ccy=C15 per=C15 rate=1", "margin.set symbol=W ccy=C9 per_lot=1",
    ) == [["BAD_TERMS"], ["BAD_TERMS"], ["BAD_TERMS"], ["margin_set"]]  # fmt: skip
    assert desk.say("venue", "account A1 M1 B1 C15") == ["BAD_TERMS"]
    assert desk.say("venue", "account A8 M1 B1") == ["account_defined"]


def test_fixings_and_instruments_keep_values_exact() -> None:
    desk = Desk()
    assert desk.act("fixing.set date=2026-11-23 ccy=USD per=VND rate=0.333333") == ["fixing_set"]
    assert desk.act("fixing.set date=2026-11-23 ccy=USD per=VND rate=999999.999999") == ["BAD_TERMS"]
    assert desk.act("fixing.set date=2026-11-23 ccy=EUR per=VND rate=999999.999999") == ["fixing_set"]
    assert desk.say("venue", "define W ccy=EUR") == ["BAD_TERMS"], "before INSTRUMENT_EXISTS"
    assert desk.say("venue", "define U ccy=EUR") == ["BAD_TERMS"]
    assert desk.say("venue", "define U ccy=GHS") == ["instrument_defined"]


def test_fees_of_a_value_that_cannot_be_counted_are_refused_from_both_ends() -> None:
    bps = "ccy=USD basis=bps taker=1 maker=1 auction=1"
    desk = Desk("settle=USD", "max_price=2000000000", "contract_size=1")
    desk.act("fixing.set date=2026-11-23 ccy=USD per=USD rate=2")
    assert desk.act(f"fee.set symbol=W {bps}") == ["BAD_TERMS"]
    assert desk.act("fixing.set date=2026-11-23 ccy=USD per=USD rate=1") == ["fixing_set"]
    assert desk.act(f"fee.set symbol=W {bps}") == ["fees_set"]
    assert desk.act("fixing.set date=2026-11-23 ccy=USD per=USD rate=2") == ["BAD_TERMS"]
    assert desk.told("fixings")[0]["rate"] == "1"


def test_new_costs_change_what_is_held_at_once() -> None:
    desk = checked()
    desk.say("A1", "buy 10 @ 10 as b1")
    desk.act("margin.set symbol=W ccy=USD per_lot=2000")
    assert desk.positions()["A1", "W"] == (0, 10, 0, 20_000)
    desk.act("fee.set symbol=W ccy=USD basis=bps taker=1 maker=0 auction=0")
    assert desk.positions()["A1", "W"] == (0, 10, 0, 20_000 + 10 * 35_000)
    desk.act("fixing.set date=2026-11-23 ccy=USD per=USD rate=1")
    assert desk.positions()["A1", "W"] == (0, 10, 0, 20_000 + 10 * 350)
    desk.act("collateral.set account=A4 amount=1")
    desk.act("margin.set symbol=W ccy=VND per_lot=9")
    assert desk.positions() == {("A1", "W"): (0, 10, 0, 23_500)}


def test_a_kill_switch_cancels_what_the_phase_lets_go_in_rising_order_id() -> None:
    desk = Desk("phase=pre_open")
    desk.say("A4", "buy 1 @ 10 as b4 in V")
    desk.say("A1", "buy 2 @ 10 as b1")
    desk.say("A1", "sell 3 stop 5 as s1 in V")
    desk.say("A2", "sell 4 @ 10 as x1")
    desk.say("venue", "phase W no_cancel")
    rows = desk.rows("venue", "act kill.set member=M1 on=1")
    assert [(row["account"], row["delta_qty"], row["reason"]) for row in rows[1:]] == [(4, 1, 13), (1, 3, 13)]
    desk.say("venue", "phase W pre_open")
    assert desk.act("kill.set account=A1 on=0") == ["kill_set"], "the member's is still on"
    assert desk.say("A1", "amend b1 price 9") == ["KILLED_MEMBER"]
    assert desk.act("kill.set exchange=1 on=1") == [
        "kill_set",
        "order_canceled",
        "order_canceled",
        "auction_indicative",
    ]
    assert desk.say("venue", "account A7 M1 B1") == ["account_defined"]
    assert desk.say("A7", "buy 1 @ 10 as b7") == ["KILLED_MEMBER"]
    assert desk.told("orders") == []


def test_cancels_are_permitted_to_whom_a_switch_has_stopped() -> None:
    desk = Desk("phase=no_cancel")
    desk.say("A1", "buy 2 @ 10 as b1")
    desk.act("kill.set account=A1 on=1")
    desk.say("venue", "phase W pre_open")
    assert desk.say("A1", "buy 2 @ 10 as b1") == ["DUPLICATE"]
    assert desk.say("A1", "amend b1 qty 3") == ["KILLED_ACCOUNT"]
    assert desk.say("A1", "cancel b1") == ["order_canceled"]


# --- restating ---------------------------------------------------------------------------------------------------


@pytest.fixture
def morning() -> Desk:
    """A day that is being restated: A1 and A2 settle in USD, A3 in nothing; W has a margin of 10**9 a lot."""
    desk = Desk("empty")
    for text in (
        "day.open 2026-11-23 next 1", "define W", "account A1 M1 B1 USD", "account A2 M2 B2 USD", "account A3 M2 B2",
        f"act fixing.set {PRICES}", "act margin.set symbol=W ccy=USD per_lot=1000000000",
    ):  # fmt: skip
        desk.say("venue", text)
    return desk


def test_positions_and_balances_are_restored(morning: Desk) -> None:
    assert morning.acts(
        "position.restore account=A1 symbol=W lots=5", "position.restore account=A1 symbol=W lots=4",
        "balance.restore account=A1 balance=-7 checked=1", "balance.restore account=A3 balance=9 checked=0",
    ) == [["position_restored"], ["position_restored"], ["balance_restored"], ["balance_restored"]]  # fmt: skip
    assert morning.positions() == {("A1", "W"): (4, 0, 0, 4 * 10**9)}
    assert morning.say("venue", "day.start") == ["BAD_TERMS"], "nobody has sold"
    assert fields(morning.rows("venue", "act position.restore account=A3 symbol=W lots=-4")) == [
        {"account": 3, "instrument": 1, "phase": 1, "qty": -4}
    ]
    assert fields(morning.rows("venue", "act balance.restore account=A2 balance=-3 checked=0")) == [
        {"account": 2, "qty": -3}
    ]
    assert morning.say("venue", "day.start") == ["day_started"]
    assert (morning.balances(), morning.told("income")) == ([-7, -3, 9], {"USD": 0})
    assert morning.acts(
        "position.restore account=A1 symbol=W lots=5", "balance.restore account=A1 balance=1 checked=0",
        "collateral.set account=A1 amount=1",
    ) == [["DAY_ORDER"], ["DAY_ORDER"], ["collateral_set"]]  # fmt: skip


def test_restores_are_refused_in_their_order(morning: Desk) -> None:
    assert morning.acts(
        "position.restore account=NO symbol=NO lots=0", "position.restore account=NO symbol=NO lots=1",
        "position.restore account=A1 symbol=ALL lots=1", "balance.restore account=NO balance=1 checked=2",
        "balance.restore account=NO balance=1 checked=1", "balance.restore account=A3 balance=1 checked=1",
    ) == [
        ["BAD_TERMS"], ["UNKNOWN_ACCOUNT"], ["UNKNOWN_INSTRUMENT"], ["BAD_TERMS"], ["UNKNOWN_ACCOUNT"], ["BAD_TERMS"],
    ]  # fmt: skip


def test_no_margin_rises_above_what_can_be_counted(morning: Desk) -> None:
    most = (1 << 60) // 10**9
    morning.act(f"position.restore account=A1 symbol=W lots={most - 1}")
    morning.act("balance.restore account=A1 balance=0 checked=1")
    assert morning.act(f"position.restore account=A1 symbol=W lots={most + 1}") == ["BAD_TERMS"]
    assert morning.act(f"position.restore account=A1 symbol=W lots={most}") == ["position_restored"]
    assert morning.say("A1", "restore buy 1 leaves 1 @ 10 as b1 order 3 gtc") == ["MARGIN"]
    assert morning.say("A1", "restore sell 1 leaves 1 @ 10 as s1 order 4 gtc") == ["order_restored"]
    assert morning.say("A2", "restore buy 1 leaves 1 @ 10 as b2 order 5 gtc") == ["order_restored"]
    assert morning.act("fee.set symbol=W ccy=USD basis=lot taker=0 maker=0 auction=100000") == ["fees_set"]
    morning.act(f"position.restore account=A2 symbol=W lots={-most - 1}")
    assert morning.acts(
        "collateral.set account=A2 amount=0", "balance.restore account=A2 balance=0 checked=1",
        "margin.set symbol=W ccy=USD per_lot=999999999", "collateral.set account=A2 amount=0",
    ) == [["BAD_TERMS"], ["BAD_TERMS"], ["margin_set"], ["collateral_set"]]  # fmt: skip
    assert morning.acts(
        "margin.set symbol=W ccy=USD per_lot=1000000000", "margin.set symbol=W ccy=VND per_lot=1000000000",
    ) == [["BAD_TERMS"], ["margin_set"]]  # fmt: skip


def test_a_fixing_or_fee_may_raise_no_margin_too_far(morning: Desk) -> None:
    most = (1 << 60) // 10**9
    morning.act(f"position.restore account=A1 symbol=W lots={most}")
    morning.act("balance.restore account=A1 balance=0 checked=1")
    for number in range(1, 7):  # orders on the other side: nothing but their worst fees is held
        morning.say("A1", f"restore sell 500 leaves 500 @ {10 + number} as s{number} order {number} gtc")
    assert morning.acts(
        "fee.set symbol=W ccy=USD basis=lot taker=100000 maker=0 auction=0",
        "fee.set symbol=W ccy=USD basis=bps taker=1 maker=0 auction=0",
    ) == [["fees_set"], ["fees_set"]]  # fmt: skip
    held = morning.positions()["A1", "W"][3]
    assert held == most * 10**9 + 3000 * 35_000
    assert morning.act("fixing.set date=2026-11-23 ccy=USD per=USD rate=600") == ["BAD_TERMS"]
    assert morning.positions()["A1", "W"][3] == held


def test_kill_switches_and_caps_are_restated_as_well(morning: Desk) -> None:
    morning.say("A1", "restore buy 1 leaves 1 @ 10 as b1 order 3 gtc")
    assert morning.act("kill.set exchange=1 on=1") == ["kill_set"], "while closed nothing is canceled"
    assert morning.act("cap.set commodity=W lots=1") == ["cap_set"]
    assert morning.say("venue", "day.start") == ["day_started"]
    assert morning.say("A1", "buy 1 @ 10 as b2") == ["KILLED_EXCHANGE"]
