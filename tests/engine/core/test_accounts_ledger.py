"""What is kept of accounts, against a ledger kept by hand: trades of every kind, and kill switches in every phase."""

from __future__ import annotations

import random
from fractions import Fraction
from math import floor
from typing import Any

import pytest

from engine.core.invariants import check
from engine.core.lane import LANE
from engine.dump import dump
from engine.phases import PHASES, Mode, Permit
from engine.schema import (
    HAS_STOP,
    INACTIVE,
    LAST,
    TRADE,
    UNCROSS,
    Code,
    CommandKind,
    EventKind,
    OrdType,
    Phase,
    Reason,
    Smp,
)
from tests.engine.core.gates import code_of
from tests.engine.world import (
    AT_CLOSE,
    BUY,
    DAY,
    GTC,
    SELL,
    SMALL,
    Rows,
    World,
    kinds,
    through_any_buffer,
    way,
)

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

A, K = CommandKind, EventKind
RATES = {"USD": "100", "VND": "24567.5"}
CCYS = ("USD", "VND", "USD", "")
FEES: dict[tuple[int, str], tuple[str, int, int, int]] = {
    (1, "USD"): ("bps", 25, -7, 3), (1, "VND"): ("lot", 1_000, -35, 77), (2, "USD"): ("lot", -1, 2, 0),
    (2, "VND"): ("bps", 1_000, -1_000, 1),
}  # fmt: skip
PER_LOT = {(1, "USD"): 900, (1, "VND"): 0, (2, "VND"): 123_456}
TICK = Fraction(1, 40)  # of a price of 0.025
SIZE = 7


def ledger_world() -> World:
    """Two instruments below and above zero; accounts in two currencies, one in none; costs as above."""
    band: dict[str, Any] = {"tick": "0.025", "min_price": "-2.000", "max_price": "2.000", "contract_size": SIZE}
    world = World(SMALL._replace(orders=256, day_ids=4096), accounts=(), phase=None,
                  terms=({**band, "commodity": "C"}, {**band, "commodity": "C", "symbol": "V"}))  # fmt: skip
    for number, (ccy, owner) in enumerate(zip(CCYS, ("B1", "B1", "B2", "B3"), strict=True), 1):
        said = {"ccy": ccy} if ccy else {}
        world.act(A.ACCOUNT_DEFINE, account=f"A{number}", member=f"M{number % 2}", owner=owner, **said)
    for ccy, rate in RATES.items():
        world.act(A.FIXING_SET, date="2026-11-23", ccy="USD", per=ccy, rate=rate)
    symbols = ("W320", "V")
    for (number, ccy), (basis, taker, maker, both) in FEES.items():
        said = {"symbol": symbols[number - 1], "ccy": ccy, "basis": basis}
        world.act(A.FEE_SET, None, **said, taker=taker, maker=maker, auction=both)
    for (number, ccy), per_lot in PER_LOT.items():
        world.act(A.MARGIN_SET, symbol=symbols[number - 1], ccy=ccy, per_lot=per_lot)
    for account in (1, 2):
        world.act(A.COLLATERAL_SET, account=f"A{account}", amount=10**13)
    world.act(A.CAP_SET, commodity="C", lots=10**6)
    return world


def fee_of(number: int, account: int, role: int, price: int, lots: int) -> int:
    """R75, with fractions; role 1 taker, 2 maker, 3 auction."""
    ccy = CCYS[account - 1]
    if (number, ccy) not in FEES:
        return 0
    said = FEES[number, ccy]
    rate = int(said[role])
    if said[0] == "lot":
        return rate * lots
    exact = abs(price) * lots * TICK * SIZE * Fraction(RATES[ccy]) * rate / 10_000
    return floor(abs(exact) + Fraction(1, 2)) * (1 if exact > 0 else -1)


class Ledger:
    """Positions, balances and income, from what the TRADE rows say and what they should have cost."""

    def __init__(self, world: World) -> None:
        self.lots: dict[tuple[int, int], int] = {}
        self.balances = [account["balance"] for account in dump(world.state)["accounts"]]
        self.income = {"USD": 0, "VND": 0}
        self.seen: set[tuple[Phase, bool]] = set()

    def note(self, events: Rows) -> None:
        for row in events[events["kind"] == K.TRADE].view(TRADE):
            auction = bool(row["flags"] & UNCROSS)
            number, price, lots = int(row["instrument"]), int(row["price"]), int(row["qty"])
            self.seen.add((Phase(int(row["phase"])), auction))
            for account, sign, role, told in (
                (int(row["account"]), 1 if row["side"] == BUY else -1, 3 if auction else 1, row["fee"]),
                (int(row["resting_account"]), -1 if row["side"] == BUY else 1, 3 if auction else 2, row["resting_fee"]),
            ):
                fee = fee_of(number, account, role, price, lots)
                assert int(told) == fee, (number, account, role, price, lots)
                self.lots[account, number] = self.lots.get((account, number), 0) + sign * lots
                self.balances[account - 1] -= fee
                if CCYS[account - 1]:
                    self.income[CCYS[account - 1]] += fee

    def assert_kept(self, world: World) -> None:
        picture = dump(world.state)
        names = {"W320": 1, "V": 2}
        told = {(int(one["account"][1]), names[one["symbol"]]): one["lots"] for one in picture["positions"]}
        assert {key: lots for key, lots in told.items() if lots} == {key: n for key, n in self.lots.items() if n}
        assert [account["balance"] for account in picture["accounts"]] == self.balances
        assert picture["income"] == self.income


STEPS = (Phase.PRE_OPEN, Phase.CONTINUOUS, Phase.PRE_OPEN, Phase.CONTINUOUS, Phase.PRE_CLOSE, Phase.CLOSING_AUCTION,
         Phase.TRADE_AT_CLOSE, Phase.CLOSED)  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_a_day_of_trades_of_every_kind_is_kept_to_the_last_unit(seed: int) -> None:
    rng = random.Random(seed)
    world = ledger_world()
    world.checks = False
    ledger = Ledger(world)
    for phase in STEPS:
        ledger.note(world.phase("ALL", phase))
        for _ in range(60 if LANE != "plain" else 25):
            ledger.note(some_command(world, rng, phase))
        check(world.state)
        ledger.assert_kept(world)
    assert ledger.seen >= {(Phase.CONTINUOUS, False), (Phase.CONTINUOUS, True), (Phase.CLOSING_AUCTION, True)}


def some_command(world: World, rng: random.Random, phase: Phase) -> Rows:
    account, side, number = rng.randint(1, 4), rng.choice((BUY, SELL)), rng.randint(1, 2)
    middle = -20 if number == 1 else 30
    price: int | None = middle + rng.randint(-3, 3)
    what = rng.random()
    orders = dump(world.state)["orders"]
    if orders and what < 0.15:
        order = rng.choice(orders)
        owner = int(order["account"][1])
        if rng.random() < 0.4:
            return world.cancel(owner, order["order_id"])
        change = {"qty": rng.randint(1, 12)} if rng.random() < 0.6 else {"price": price}
        return world.amend(owner, order["order_id"], **change)
    fields: dict[str, Any] = {"instrument": number, "smp": rng.choice((0, *Smp))}
    if phase == Phase.TRADE_AT_CLOSE:
        price = dump(world.state)["instruments"][number - 1]["close_price"] or price
    elif what < 0.3:
        kind = rng.choice((OrdType.MARKET, OrdType.MARKET_TO_LIMIT))
        price, fields = None, {**fields, "ord_type": kind, "time_in_force": rng.choice((DAY, GTC))}
    elif what < 0.45:
        fields = {**fields, "ord_type": OrdType.STOP, "flags": HAS_STOP, "stop_price": price}
        price = None
    elif what < 0.65:
        fields["display_qty"] = rng.randint(1, 4)
    elif what < 0.7:
        fields["time_in_force"] = AT_CLOSE
    return world.place(account, side, rng.randint(4, 14), price, **fields)


# --- kill switches (R77) ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", Phase)
def test_a_switch_cancels_what_the_phase_lets_go_and_nothing_else(phase: Phase) -> None:
    """Of account 1 there are limit orders, stops, a suspended order and one kept aside."""
    world = World(phase=None)
    world.act(A.CONTROL_SET, symbol="W320", limit_steps="200")
    world.act(A.LIMIT_SET, symbol="W320", settlement="500", step=1)
    world.phase("ALL", Phase.CONTINUOUS)
    rows = [
        world.order(1, SELL, 5, 505), world.order(1, SELL, 5, 505, time_in_force=GTC, display_qty=2),
        world.order(1, BUY, 5, 495), world.order(2, BUY, 5, 495), world.order(3, SELL, 5, 505, time_in_force=GTC),
        world.stop_order(1, BUY, 5, 600), world.stop_order(1, SELL, 5, 400, 490, time_in_force=GTC),
        world.order(1, BUY, 5, 480, time_in_force=GTC), world.order(1, BUY, 5, 500, time_in_force=AT_CLOSE),
    ]  # fmt: skip
    assert not world.run(*rows)["code"].any()
    for step in way(phase, Phase.CONTINUOUS) if phase != Phase.CONTINUOUS else ():
        world.phase("ALL", step)
    permits = PHASES[phase].permits
    orders = {order["order_id"]: order for order in dump(world.state)["orders"]}
    mine = sorted(one for one, order in orders.items() if order["account"] == "A1")
    going = [
        one for one in mine
        if Permit.CANCEL in permits and (Permit.LASTING_ONLY not in permits or orders[one]["time_in_force"] == "gtc")
    ]  # fmt: skip
    events = world.act(A.KILL_SET, account="A1", on=1)
    canceled = events[events["kind"] == K.ORDER_CANCELED]
    assert events["kind"][0] == K.KILL_SET and canceled["order_id"].tolist() == going
    assert set(canceled["reason"].tolist()) <= {Reason.KILL_SWITCH}
    assert [bool(flags & INACTIVE) for flags in canceled["flags"]] == [bool(orders[one]["inactive"]) for one in going]
    assert {order["order_id"] for order in dump(world.state)["orders"]} == orders.keys() - set(going)
    again = world.act(A.KILL_SET, account="A1", on=1)
    assert kinds(again) == [K.KILL_SET] and again["flags"][0] == LAST, "nothing is left to cancel"


@pytest.mark.parametrize("scope", [{"account": "A1"}, {"member": "M1"}, {"exchange": 1}], ids=repr)
def test_a_switch_of_many_orders_in_calls_goes_through_any_buffer_and_tells_the_indicatives(
    scope: dict[str, Any],
) -> None:
    def scene(world: World) -> tuple[Rows, bytes]:
        for k in range(40):
            side = (BUY, SELL)[k // 4 % 2]
            price = (505 if side == BUY else 495) if k % 5 else None
            world.place(1 + k % 4, side, 1 + k, price, instrument=1 + k % 2)
        return world.act_row(A.KILL_SET, on=1, **scope)

    events = through_any_buffer(scene, lambda: World(terms=({}, {"symbol": "V"}), phase=Phase.PRE_OPEN))
    whom = {"account": {1}, "member": {1, 3}, "exchange": {1, 2, 3, 4}}[next(iter(scope))]
    told = [row for row in events if row["kind"] == K.ORDER_CANCELED]
    assert {int(row["account"]) for row in told} == whom and len(told) == 10 * len(whom)
    assert [int(row["order_id"]) for row in told] == sorted(int(row["order_id"]) for row in told)
    behind = events[1 + len(told) :]
    assert set(behind["kind"].tolist()) <= {K.AUCTION_INDICATIVE} and len(behind) > 0
    assert sorted(behind["instrument"].tolist()) == behind["instrument"].tolist()


def test_a_switch_comes_before_the_phase_and_behind_the_id_and_the_order_named() -> None:
    world = World(phase=Phase.CONTINUOUS)
    world.place(1, BUY, 5, 100, cl_ord_id=b"mine")
    first = world.seq
    world.place(3, SELL, 5, 900, time_in_force=GTC)
    other = world.seq
    for step in (Phase.PRE_OPEN, Phase.NO_CANCEL):
        world.phase("ALL", step)
    assert kinds(world.act(A.KILL_SET, account="A1", on=1)) == [K.KILL_SET]
    assert code_of(world.place(1, BUY, 5, 100, instrument=9)) == Code.UNKNOWN_INSTRUMENT
    assert code_of(world.place(1, BUY, 5, 100, display_qty=9)) == Code.DISPLAY_QTY
    assert code_of(world.place(1, BUY, 5, 100, cl_ord_id=b"mine")) == Code.DUPLICATE
    assert code_of(world.place(1, BUY, 5, 10**6)) == Code.KILLED_ACCOUNT
    assert code_of(world.amend(1, other, price=0)) == Code.NOT_OWNER
    assert code_of(world.amend(1, first, price=0)) == Code.KILLED_ACCOUNT
    assert code_of(world.amend(1, first, cl_ord_id=b"mine")) == Code.DUPLICATE
    assert code_of(world.cancel(1, first)) == Code.PHASE
    world.phase("ALL", Phase.PRE_OPEN)
    assert kinds(world.cancel(1, first)) == [K.ORDER_CANCELED], "cancels are permitted"
    assert kinds(world.mass_cancel(1)) == [K.MASS_CANCELED]


def test_orders_of_a_stopped_account_trade_where_nothing_could_cancel_them() -> None:
    world = World(phase=Phase.PRE_OPEN)
    world.place(1, BUY, 5, 500)
    world.phase("ALL", Phase.NO_CANCEL)
    world.act(A.KILL_SET, exchange=1, on=1)
    world.act(A.KILL_SET, exchange=1, on=0)
    world.act(A.KILL_SET, member="M1", on=1)
    world.place(2, SELL, 5, 500)
    assert PHASES[Phase.NO_CANCEL].mode == Mode.CALL
    assert kinds(world.phase("ALL", Phase.CONTINUOUS)) == [K.PHASE_CHANGED, K.AUCTION_UNCROSSED, K.TRADE]
