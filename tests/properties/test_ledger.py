"""Planted offenders: for each law that the ledger keeps, a stream of events that breaks it, and is objected to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.schema import (
    EVENT,
    INACTIVE,
    LAST,
    SELF_MATCH,
    TRADE,
    UNCROSS,
    Code,
    CommandKind,
    EventKind,
    OrdType,
    Phase,
    Reason,
    TimeInForce,
)
from tests.flow_mix import STYLES
from tests.properties.ledger import Ledger
from tests.properties.ledger_asked import Asked
from tests.properties.ledger_flows import CONTROLLED, MONEYED
from tests.properties.ledger_money import Money
from tests.properties.pair import Core, Rows, Script
from tests.properties.test_laws import ROOMY, informed, record

Bend = Callable[[Rows, int], Rows]


def changed(field: str, by: int, layout: np.dtype[np.void] = EVENT) -> Bend:
    """Add to one field of an event."""

    def bend(events: Rows, at: int) -> Rows:
        events.view(layout)[field][at] += by
        return events

    return bend


def flipped(flag: int) -> Bend:
    def bend(events: Rows, at: int) -> Rows:
        events["flags"][at] ^= flag
        return events

    return bend


def left_out(events: Rows, at: int) -> Rows:
    """Take out one event; the others of its command close up."""
    same = events["seq"] == events["seq"][at]
    events["index"][same & (events["index"] > events["index"][at])] -= 1
    if events["flags"][at] & LAST:
        events["flags"][at - 1] |= LAST
    return np.delete(events, at)


def cut_short(events: Rows, at: int) -> Rows:
    """Take out an event and all that its command said behind it."""
    events["flags"][at - 1] |= LAST
    return np.delete(events, (events["seq"] == events["seq"][at]) & (events["index"] >= events["index"][at]))


def is_a(kind: EventKind, flags: int = 0, **fields: int) -> Callable[[Rows], Any]:
    """Which events are of a kind, with at least these flags and exactly these fields."""

    def where(events: Rows) -> Any:
        found = (events["kind"] == kind) & (events["flags"] & flags == flags)
        for name, value in fields.items():
            found &= events[name] == value
        return found

    return where


def told_as(kind: EventKind, code: int = 0) -> Bend:
    """Make an answer to a place another one: accepted, or refused with a code."""

    def bend(events: Rows, at: int) -> Rows:
        events["kind"][at], events["code"][at] = kind, code
        accepted = kind == EventKind.ORDER_ACCEPTED
        events["order_id"][at] = events["seq"][at] if accepted else 0
        events["leaves_qty"][at] = events["qty"][at] if accepted else 0
        return events

    return bend


def gives_up(events: Rows, at: int) -> Rows:
    """Put the end of an order in the place of its last trade."""
    qty, leaves, cum = (events[name][at] for name in ("qty", "leaves_qty", "cum_qty"))
    events["kind"][at], events["reason"][at] = EventKind.ORDER_CANCELED, Reason.IOC
    born = (events["kind"] == EventKind.ORDER_ACCEPTED) & (events["order_id"] == events["order_id"][at])
    for name in ("price", "qty", "cl_ord_id", "old_price"):
        events[name][at] = events[name][born][0] if name in ("price", "qty") else EVENT[name].type()
    events["leaves_qty"][at], events["cum_qty"][at], events["delta_qty"][at] = 0, cum - qty, leaves + qty
    return events


def in_a_book(events: Rows) -> Any:
    """Limit orders that are good for longer and are in a book, or on the way into one."""
    born = is_a(EventKind.ORDER_ACCEPTED, ord_type=OrdType.LIMIT, time_in_force=TimeInForce.GTC)(events)
    return born & (events["flags"] & INACTIVE == 0)


def pulls(events: Rows) -> Any:
    """The volatility triggers that orders have pulled."""
    return is_a(EventKind.PHASE_CHANGED)(events) & (events["op"] != CommandKind.PHASE_SET)


OF_TICKS = {"op": int(CommandKind.CLOCK_TICK)}
OFFENDERS: dict[str, tuple[Callable[[Rows], Any], Bend, str | None]] = {
    "a trade of one lot more": (is_a(EventKind.TRADE), changed("qty", 1), "R47|R55"),
    "a trade at another price": (is_a(EventKind.TRADE), changed("price", 1), "R22|R55"),
    "a trade with another order": (is_a(EventKind.TRADE), changed("resting_order_id", -1, TRADE), None),
    "a trade id left out": (is_a(EventKind.TRADE), changed("trade_id", 1, TRADE), "R22"),
    "leaves that are not those": (is_a(EventKind.TRADE), changed("leaves_qty", 1), None),
    "a trade kept quiet": (is_a(EventKind.TRADE), left_out, None),
    "an iceberg that shows too much": (is_a(EventKind.ORDER_REFRESHED), changed("delta_qty", 1), "R47"),
    "an iceberg that does not come again": (is_a(EventKind.ORDER_REFRESHED), left_out, "R47|done"),
    "an uncross at another price": (is_a(EventKind.TRADE, UNCROSS), changed("price", 1), "R55"),
    "an uncross that ends too soon": (is_a(EventKind.TRADE, UNCROSS), cut_short, "R55|done"),
    "an auction that trades what was not told": (is_a(EventKind.AUCTION_UNCROSSED), changed("qty", 1), "R54|R52"),
    "an auction of another step": (is_a(EventKind.AUCTION_UNCROSSED), changed("reason", 1), "R54|R52"),
    "a call that tells nothing": (is_a(EventKind.AUCTION_INDICATIVE), left_out, "R53"),
    "a call that tells a wrong surplus": (is_a(EventKind.AUCTION_INDICATIVE, side=1), changed("leaves_qty", 1), "R53"),
    "a self-match untold": (is_a(EventKind.TRADE, UNCROSS), flipped(SELF_MATCH), "R55"),
    "a stop that is not elected": (is_a(EventKind.ORDER_TRIGGERED), cut_short, "R60|R61"),
    "a stop that nothing reached": (is_a(EventKind.ORDER_TRIGGERED, side=1), changed("old_price", 1), "stop price"),
    "an order that outlives its call": (is_a(EventKind.ORDER_CANCELED, reason=Reason.AUCTION), left_out, "R56|R24"),
    "a gtd order past its time": (is_a(EventKind.ORDER_EXPIRED, time_in_force=5, **OF_TICKS), left_out, "R49"),
    "an order that expires too soon": (is_a(EventKind.ORDER_EXPIRED, **OF_TICKS), changed("order_id", 1), None),
    "a market_to_limit at another price": (
        is_a(EventKind.ORDER_ACTIVATED, ord_type=1),
        changed("price", 1),
        "R46|R56|",
    ),
    "an order kept aside that never joins": (is_a(EventKind.ORDER_ACTIVATED, time_in_force=7), left_out, None),
    "a priority lost in secret": (is_a(EventKind.ORDER_AMENDED, 4), flipped(4), "R31"),
    "a canceled order too many": (is_a(EventKind.MASS_CANCELED), changed("qty", 1), "count"),
    "a prevention of no self-match": (is_a(EventKind.ORDER_PREVENTED), changed("smp", 5, TRADE), None),
    "a step that is not in the table": (is_a(EventKind.PHASE_CHANGED, phase=3), changed("phase", 7), None),
    "a phase before that was not": (is_a(EventKind.PHASE_CHANGED), changed("reason", 1), "phase before"),
    "time that runs backwards": (is_a(EventKind.ORDER_ACCEPTED), changed("time", -(1 << 40)), "R1"),
}


OF_LIMITS = {"op": int(CommandKind.LIMIT_SET)}
ELECTED_OUTSIDE = {"reason": int(Reason.PRICE_LIMIT), "op": int(CommandKind.ORDER_PLACE)}
JOINS_OUTSIDE = {"reason": int(Reason.PRICE_LIMIT), "op": int(CommandKind.PHASE_SET)}
OF_MARKET = {"ord_type": int(OrdType.MARKET)}
OF_PRICES: dict[str, tuple[Callable[[Rows], Any], Bend, str | None]] = {
    "a low limit that is another": (is_a(EventKind.LIMITS_SET), changed("price", -1), "R67"),
    "a step that nobody wanted": (is_a(EventKind.LIMITS_SET), changed("reason", 1), "R67"),
    "another settlement price": (is_a(EventKind.LIMITS_SET), changed("qty", 1), "R67"),
    "a locked side from nowhere": (is_a(EventKind.LIMITS_SET, side=0), changed("side", 1), "R67"),
    "a day that ends locked on another side": (is_a(EventKind.PHASE_CHANGED, side=1), changed("side", 1), "R67"),
    "a suspension in secret": (is_a(EventKind.ORDER_SUSPENDED), left_out, "R67"),
    "a suspension of others": (is_a(EventKind.ORDER_SUSPENDED), changed("order_id", 1), "R67"),
    "one who may not come back": (is_a(EventKind.ORDER_ACTIVATED, **OF_LIMITS), left_out, "R67"),
    "one who comes back elsewhere": (is_a(EventKind.ORDER_ACTIVATED, **OF_LIMITS), changed("price", 1), None),
    "a day order that outlives its limits": (
        is_a(EventKind.ORDER_CANCELED, reason=Reason.PRICE_LIMIT, **OF_LIMITS),
        left_out,
        "R67",
    ),
    "an order let in outside the limits": (
        is_a(EventKind.ORDER_ACCEPTED, INACTIVE, ord_type=1, time_in_force=2),
        flipped(INACTIVE),
        "R67",
    ),
    "an order suspended inside the limits": (in_a_book, flipped(INACTIVE), "R67"),
    "a stop_limit elected outside that lives": (is_a(EventKind.ORDER_CANCELED, **ELECTED_OUTSIDE), left_out, "R60"),
    "an order for the close that stays aside": (
        is_a(EventKind.ORDER_CANCELED, INACTIVE, **JOINS_OUTSIDE),
        left_out,
        "R58|R67",
    ),
    "an order that limits cancel for nothing": (
        is_a(EventKind.ORDER_CANCELED, reason=Reason.REQUESTED),
        changed("reason", Reason.PRICE_LIMIT - Reason.REQUESTED),
        "R67",
    ),
    "an unpriced order off the edge": (
        is_a(EventKind.ORDER_ACCEPTED, phase=Phase.PRE_OPEN, **OF_MARKET),
        changed("price", -1),
        "R51",
    ),
    "a market order that goes too far": (
        is_a(EventKind.ORDER_ACCEPTED, phase=Phase.CONTINUOUS, time_in_force=1, **OF_MARKET),
        changed("price", 1),
        "R24",
    ),
    "a trigger pulled in secret": (pulls, left_out, None),
    "a trigger with a draw": (pulls, changed("qty", 1), "draw"),
    "an order that gives up": (is_a(EventKind.TRADE, LAST, time_in_force=TimeInForce.IOC), gives_up, "R69"),
    "an extension too many": (is_a(EventKind.CALL_EXTENDED), changed("reason", 1), "R70"),
    "an extension at another price": (is_a(EventKind.CALL_EXTENDED), changed("price", 1), "R70"),
}
# Acts that say something else than the core was told, so that what it did has no reason.
OF_ACTS: dict[str, tuple[CommandKind, dict[str, Any], str]] = {
    "orders beyond the moving band": (CommandKind.CONTROL_SET, {"band_ticks": 1}, "R68"),
    "orders of too great a value": (CommandKind.CONTROL_SET, {"max_order_value": "0.001"}, "R66"),
    "limits of another width": (CommandKind.CONTROL_SET, {"limit_steps": "7,8,9"}, "R67"),
    "limits on a day that is free": (CommandKind.CONTROL_SET, {"limit_free_from": "2026-01-01"}, "R67"),
    "trades beyond the bounds": (CommandKind.CONTROL_SET, {"short_ticks": 1, "short_ms": 86_400_000}, "R69"),
    "a trigger that nothing pulls": (CommandKind.CONTROL_SET, {"short_ticks": 0, "long_ticks": 0}, "R69"),
    "a step that was not named": (CommandKind.LIMIT_SET, {"step": 0}, "R67"),
    "a call that ends too soon": (CommandKind.PHASE_SET, {"auto": 1}, "R70"),
}
OF_MONEY_ACTS: dict[str, tuple[CommandKind, dict[str, Any], str]] = {
    "fees of another fixing": (CommandKind.FIXING_SET, {"rate": "7.5"}, "R75"),
    "margins of another fixing": (CommandKind.FIXING_SET, {"rate": "99999"}, "R74"),
    "a day on which everybody is checked": (CommandKind.DAY_OPEN, {"margined": 1}, "R74"),
    "a cap of somebody else": (CommandKind.CAP_SET, {"owner": "nobody"}, "R76"),
    "a cap of all accounts": (CommandKind.ACCOUNT_DEFINE, {"owner": "B1"}, "R76"),
    "switches of another member": (CommandKind.ACCOUNT_DEFINE, {"member": "nobody"}, "R77"),
}
OF_MONEY: dict[str, tuple[Callable[[Rows], Any], Bend, str | None]] = {
    "a fee of a unit more": (is_a(EventKind.TRADE), changed("fee", 1, TRADE), "R75"),
    "a rebate too many": (is_a(EventKind.TRADE), changed("resting_fee", -1, TRADE), "R75"),
    "a fee in an uncross": (is_a(EventKind.TRADE, UNCROSS), changed("fee", 1, TRADE), "R75"),
    "a balance of a unit more": (is_a(EventKind.COLLATERAL_SET), changed("qty", 1), "R73"),
    "a lot bought from nobody": (is_a(EventKind.POSITION_RESTORED), changed("qty", 1), "R71"),
    "a sale without a seller": (is_a(EventKind.TRADE), changed("resting_account", 1, TRADE), None),
    "an order let in by a kill switch": (
        is_a(EventKind.ORDER_REJECTED, code=Code.KILLED_ACCOUNT, op=1),
        told_as(EventKind.ORDER_ACCEPTED),
        "R77",
    ),
    "an order let in by a member's switch": (
        is_a(EventKind.ORDER_REJECTED, code=Code.KILLED_MEMBER, op=1),
        told_as(EventKind.ORDER_ACCEPTED),
        "R77",
    ),
    "an order let in by the exchange's switch": (
        is_a(EventKind.ORDER_REJECTED, code=Code.KILLED_EXCHANGE, op=1),
        told_as(EventKind.ORDER_ACCEPTED),
        "R77",
    ),
    "an order let in above the cap": (
        is_a(EventKind.ORDER_REJECTED, code=Code.POSITION_CAP, op=1),
        told_as(EventKind.ORDER_ACCEPTED),
        "R76",
    ),
    "an order let in without cover": (
        is_a(EventKind.ORDER_REJECTED, code=Code.MARGIN, op=1, ord_type=1),
        told_as(EventKind.ORDER_ACCEPTED),
        "R74",
    ),
    "an order refused below the cap": (
        is_a(EventKind.ORDER_ACCEPTED, ord_type=1),
        told_as(EventKind.ORDER_REJECTED, Code.POSITION_CAP),
        "R76",
    ),
    "an order refused though covered": (
        is_a(EventKind.ORDER_ACCEPTED, ord_type=1),
        told_as(EventKind.ORDER_REJECTED, Code.MARGIN),
        "R74",
    ),
    "an order refused by no switch": (
        is_a(EventKind.ORDER_ACCEPTED, ord_type=1),
        told_as(EventKind.ORDER_REJECTED, Code.KILLED_MEMBER),
        "R77",
    ),
    "a kill switch that leaves somebody": (is_a(EventKind.ORDER_CANCELED, reason=Reason.KILL_SWITCH), left_out, "R77"),
    "a kill switch that nobody has put on": (
        is_a(EventKind.ORDER_CANCELED, reason=Reason.REQUESTED),
        changed("reason", Reason.KILL_SWITCH - Reason.REQUESTED),
        "R77",
    ),
}


@pytest.fixture(scope="module")
def streams() -> list[tuple[Script, Rows]]:
    """Recorded runs that between them hold every kind of event."""
    return [record(seed, 1500, limits=ROOMY, p_damage=0.0) for seed in range(300, 300 + 3 * len(STYLES))]


@pytest.fixture(scope="module")
def controlled() -> list[tuple[Script, Rows]]:
    """Recorded runs full of price controls."""
    return [record(seed, 2500, **fixed) for seed, fixed in CONTROLLED.values()]


@pytest.fixture(scope="module")
def moneyed() -> list[tuple[Script, Rows]]:
    """Recorded runs full of money."""
    return [record(seed, 2500, **fixed) for seed, fixed in MONEYED.values()]


def counting(script: Script) -> Money:
    """A bookkeeper of money that has seen all commands of a script."""
    money = Money(Asked())
    for block in script.blocks:
        money.asked.learn(block.rows, block.payload)
    return money


def noticed(
    streams: list[tuple[Script, Rows]],
    offender: tuple[Callable[[Rows], Any], Bend, str | None],
    keeper: Callable[[Script], Ledger | Money] = informed,
) -> None:
    """A law that nothing can break proves nothing: each bent stream is noticed, wherever it is bent."""
    where, bend, message = offender
    tried = 0
    for script, events in streams:
        places = np.flatnonzero(where(events))
        for at in [*places[:1], *places[20:21]]:
            with pytest.raises((AssertionError, KeyError), match=message):
                ledger = keeper(script)
                ledger.feed(bend(events.copy(), at))
                if isinstance(ledger, Ledger):
                    ledger.audit()
            tried += 1
        if tried > 5:
            return
    assert tried, "no stream holds such an event"


@pytest.mark.parametrize("offender", OFFENDERS)
def test_the_ledger_objects(offender: str, streams: list[tuple[Script, Rows]]) -> None:
    """Orders, queues, stops and calls."""
    noticed(streams, OFFENDERS[offender])


@pytest.mark.parametrize("offender", OF_PRICES)
def test_the_ledger_objects_to_what_price_controls_forbid(offender: str, controlled: list[tuple[Script, Rows]]) -> None:
    """Limits, suspended orders, triggers and the calls that they begin."""
    noticed(controlled, OF_PRICES[offender])


@pytest.mark.parametrize("offender", OF_MONEY)
def test_the_bookkeeper_of_money_objects(offender: str, moneyed: list[tuple[Script, Rows]]) -> None:
    """Fees, balances, positions, margin, caps and kill switches."""
    noticed(moneyed, OF_MONEY[offender], counting)


def minded(
    streams: list[tuple[Script, Rows]],
    offender: tuple[CommandKind, dict[str, Any], str],
    keeper: Callable[[Script], Ledger | Money] = informed,
) -> None:
    """What the core did for some acts is against the law under others."""
    kind, other, message = offender
    objections = []
    for script, events in streams:
        ledger = keeper(script)
        kinds = {int(row["seq"]): int(row["kind"]) for row in script.rows()}
        for seq, said in ledger.asked.terms.items():
            if kinds[seq] == kind:
                said |= other
        try:
            ledger.feed(events)
        except AssertionError as objection:
            objections.append(str(objection))
            if message in objections[-1]:
                return
    raise AssertionError(f"nobody minds: {objections}")


@pytest.mark.parametrize("offender", OF_ACTS)
def test_what_was_done_for_other_controls_is_noticed(offender: str, controlled: list[tuple[Script, Rows]]) -> None:
    """Controls, limits and calls that were set otherwise."""
    minded(controlled, OF_ACTS[offender])


@pytest.mark.parametrize("offender", OF_MONEY_ACTS)
def test_what_was_done_for_other_money_is_noticed(offender: str, moneyed: list[tuple[Script, Rows]]) -> None:
    """Fixings, caps, owners and members that were set otherwise."""
    minded(moneyed, OF_MONEY_ACTS[offender], counting)


@pytest.mark.parametrize("part", ["balance", "income", "lots", "held", "all"])
def test_a_picture_with_other_money_is_noticed(part: str, moneyed: list[tuple[Script, Rows]]) -> None:
    """The audit of money can fail, for each of its parts; also where a bookkeeper went wrong in the same way."""
    script, events = moneyed[0]
    money, core = counting(script), Core(script.limits)
    for block in script.blocks:
        core.run(block)
    money.feed(events)
    world = core.dump()
    money.audit(world)
    account = next(one for one in world["accounts"] if one.get("ccy"))
    match part:
        case "income":
            world["income"][account["ccy"]] += 1
        case "balance" | "all":
            account["balance"] += 1
        case _:
            world["positions"][0][part] += 1
    if part == "all":
        next(one for one in money.accounts.values() if one.name == account["account"]).balance += 1
    objection = {"lots": "positions", "held": "positions", "all": "conserved"}.get(part, part)
    with pytest.raises(AssertionError, match=objection):
        money.audit(world)


def test_an_unequal_position_is_noticed() -> None:
    """The audit at the end can fail."""
    script, events = record(300, 600)
    ledger = informed(script)
    ledger.feed(events)
    filled = next(order for order in ledger.orders.values() if order.cum)
    filled.brought += 1
    with pytest.raises(AssertionError, match="positions"):
        ledger.audit()
    filled.brought -= 1
    filled.off += 1
    with pytest.raises(AssertionError):
        ledger.audit()
