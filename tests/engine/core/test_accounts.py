"""Positions and open lots on every way in which they change (R71), and the gates of margin, caps and kill (R74-R77)."""

from typing import Any

import pytest

from engine.dump import dump
from engine.schema import TRADE, Code, CommandKind, EventKind, Phase, Reason, Smp
from tests.engine.purse import balances, held, lots, purse_world
from tests.engine.world import BUY, GTC, SELL, World, kinds

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

W = "W320"


def checked(amount: int = 10_000, per_lot: int = 100, **terms: Any) -> World:
    world = purse_world(**terms)
    world.act(CommandKind.MARGIN_SET, symbol=W, ccy="USD", per_lot=per_lot)
    world.act(CommandKind.COLLATERAL_SET, account="A1", amount=amount)
    return world


def code(events: Any) -> int:
    return int(events[0]["code"])


def test_lots_follow_orders_wherever_they_go() -> None:
    world = purse_world()
    world.place(1, BUY, 10, 500)
    first = world.seq
    world.stop(1, BUY, 4, 900)
    assert lots(world) == {("A1", W): (0, 14, 0)}
    world.place(3, SELL, 3, 500)
    assert lots(world) == {("A1", W): (3, 11, 0), ("A3", W): (-3, 0, 0)}
    world.amend(1, first, qty=6)
    assert lots(world)["A1", W] == (3, 7, 0)
    world.amend(1, first, qty=12, price=499)
    assert lots(world)["A1", W] == (3, 13, 0)
    world.place(4, SELL, 20, 499)
    assert lots(world)["A1", W] == (12, 4, 0) and lots(world)["A4", W] == (-9, 0, 11)
    world.mass_cancel(1)
    world.mass_cancel(4)
    assert lots(world) == {("A1", W): (12, 0, 0), ("A3", W): (-3, 0, 0), ("A4", W): (-9, 0, 0)}


def test_lots_of_icebergs_preventions_and_auctions() -> None:
    world = purse_world()
    world.place(1, SELL, 10, 500, display_qty=2)
    world.place(3, BUY, 5, 500)
    assert lots(world) == {("A1", W): (-5, 0, 5), ("A3", W): (5, 0, 0)}
    world.place(2, BUY, 3, 500, smp=Smp.DECREMENT)
    assert lots(world)["A1", W] == (-5, 0, 2), "one owner: both are lessened by 3"
    assert ("A2", W) not in lots(world)
    world.phase(W, Phase.PRE_OPEN)
    world.place(3, BUY, 4, 510)
    world.phase(W, Phase.CONTINUOUS)
    assert lots(world) == {("A1", W): (-7, 0, 0), ("A3", W): (7, 2, 0)}
    world.phase(W, Phase.CLOSED)
    assert lots(world)["A3", W] == (7, 0, 0)


def test_what_is_kept_of_accounts_does_not_change_what_happens() -> None:
    books = []
    for commodity in ("elsewhere", "G"):
        world = purse_world()
        world.act(CommandKind.CAP_SET, commodity=commodity, lots=10**12)
        for number in range(40):
            world.place(1 + number % 4, BUY if number % 3 else SELL, 1 + number % 7, 495 + number * 7 % 11)
        books.append((world.book(), lots(world)))
    assert books[0] == books[1]


def test_held_is_the_worse_side_and_the_margin_is_its_sum() -> None:
    world = checked()
    world.place(1, BUY, 5, 100)
    world.place(1, SELL, 8, 200)
    assert held(world)["A1", W] == 800
    world.place(3, SELL, 5, 100)
    assert lots(world)["A1", W] == (5, 0, 8) and held(world)["A1", W] == 500
    world.mass_cancel(1)
    assert held(world)["A1", W] == 500


@pytest.mark.parametrize(("amount", "good"), [(1000, True), (999, False)])
def test_margin_to_the_last_unit(amount: int, good: bool) -> None:
    world = checked(amount)
    assert code(world.place(1, BUY, 10, 1)) == (Code.OK if good else Code.MARGIN)


@pytest.mark.parametrize(("price", "good"), [(200, True), (201, False)])
def test_five_percent_of_the_value_have_to_be_free(price: int, good: bool) -> None:
    """10 lots at 200 are worth 2,000 USD: 5 % are 10,000 cents."""
    world = checked(10_000, per_lot=1)
    assert code(world.place(1, BUY, 10, price)) == (Code.OK if good else Code.MARGIN)


def test_orders_that_lessen_a_position_need_no_margin() -> None:
    world = checked(1000, per_lot=100)
    world.place(1, BUY, 10, 10)
    world.place(3, SELL, 10, 10)
    assert code(world.place(1, BUY, 1, 10)) == Code.MARGIN
    assert code(world.place(1, SELL, 10, 10)) == Code.MARGIN, "the 5 % of the law are not free"
    world.act(CommandKind.COLLATERAL_SET, account="A1", amount=1500)
    assert code(world.place(1, SELL, 10, 10)) == Code.OK


def test_amends_are_looked_at_like_places_unless_they_only_lessen() -> None:
    world = checked(1000)
    world.place(1, BUY, 10, 10)
    first = world.seq
    assert code(world.amend(1, first, qty=11)) == Code.MARGIN
    assert code(world.amend(1, first, price=101)) == Code.MARGIN, "5 % of 1,010 USD"
    assert code(world.amend(1, first, price=100)) == Code.MARGIN
    assert code(world.amend(1, first, price=20)) == Code.OK
    world.act(CommandKind.COLLATERAL_SET, account="A1", amount=0)
    assert code(world.amend(1, first, qty=9)) == Code.OK
    assert code(world.amend(1, first, price=19)) == Code.MARGIN


def test_no_margin_or_no_fixing_no_order() -> None:
    world = checked()
    assert code(world.place(1, BUY, 1, 10, instrument=2)) == Code.MARGIN
    world = checked(ccy="VND")
    assert code(world.place(1, BUY, 1, 10)) == Code.MARGIN


def test_fees_of_all_ways_to_trade() -> None:
    world = purse_world()
    world.act(CommandKind.FEE_SET, symbol=W, ccy="USD", basis="lot", taker=7, maker=-2, auction=3)
    world.place(1, SELL, 4, 500, display_qty=2)
    events = world.place(3, BUY, 5, 500)
    rows = events[events["kind"] == EventKind.TRADE].view(TRADE)
    assert [(int(row["fee"]), int(row["resting_fee"])) for row in rows] == [(14, -4), (14, -4)]
    assert balances(world) == [8, 0, -28, 0]
    world.phase(W, Phase.PRE_OPEN)
    world.place(4, SELL, 2, 400)
    events = world.phase(W, Phase.CONTINUOUS)
    (row,) = events[events["kind"] == EventKind.TRADE].view(TRADE)
    assert (int(row["fee"]), int(row["resting_fee"])) == (3, 3)
    assert dump(world.state)["income"] == {"USD": -sum(balances(world))}


@pytest.mark.parametrize(
    ("bps", "price", "fee"), [(1, 49, 0), (1, 50, 1), (1, 51, 1), (-1, 50, -1), (-1, 49, 0), (3, 150, 5), (3, 149, 4)]
)
def test_basis_points_are_rounded_halves_away_from_zero(bps: int, price: int, fee: int) -> None:
    """A lot at 50 is worth 5,000 cents; a basis point of that is half a cent."""
    world = purse_world()
    world.act(CommandKind.FEE_SET, symbol=W, ccy="USD", basis="bps", taker=bps, maker=0, auction=0)
    world.place(1, SELL, 1, price)
    world.place(3, BUY, 1, price)
    assert balances(world)[2] == -fee


def test_the_worst_fee_is_held_for_open_lots() -> None:
    world = checked()
    world.act(CommandKind.FEE_SET, symbol=W, ccy="USD", basis="bps", taker=3, maker=-5, auction=4)
    world.place(1, BUY, 2, 10)
    world.place(1, SELL, 1, 900)
    assert held(world)["A1", W] == 200 + 40 * 3, "4 basis points of 1,000 USD are 40 cents"


@pytest.mark.parametrize("side", [BUY, SELL])
def test_a_cap_counts_all_accounts_and_months_of_an_owner_on_the_side_of_the_order(side: int) -> None:
    world = purse_world()
    other = SELL if side == BUY else BUY
    world.act(CommandKind.CAP_SET, commodity="G", lots=10)
    price, away = (100, 900) if side == BUY else (900, 100)
    world.place(1, side, 4, price)
    world.place(3, other, 4, price)
    world.place(2, side, 5, price, instrument=2)
    assert code(world.place(1, side, 2, price)) == Code.POSITION_CAP
    assert code(world.place(1, other, 14, away)) == Code.OK
    assert code(world.place(2, other, 1, away, instrument=2)) == Code.POSITION_CAP
    assert code(world.place(1, side, 1, price)) == Code.OK
    first = world.seq
    assert code(world.amend(1, first, qty=2)) == Code.POSITION_CAP
    assert code(world.amend(1, first, price=price + 1)) == Code.OK
    assert code(world.place(4, side, 6, price)) == Code.OK, "another owner"
    world.act(CommandKind.CAP_SET, commodity="G", lots=12, owner="B1")
    assert code(world.amend(1, first, qty=2)) == Code.OK


def test_who_is_stopped_may_only_cancel() -> None:
    world = purse_world()
    world.place(1, BUY, 5, 100)
    world.place(2, BUY, 5, 100)
    events = world.act(CommandKind.KILL_SET, account="A1", on=1)
    assert kinds(events) == [EventKind.KILL_SET, EventKind.ORDER_CANCELED]
    assert (events[1]["reason"], events[1]["account"]) == (Reason.KILL_SWITCH, 1)
    assert code(world.place(1, BUY, 1, 100)) == Code.KILLED_ACCOUNT
    assert code(world.place(2, BUY, 1, 100)) == Code.OK
    world.phase(W, Phase.PRE_OPEN)
    world.phase(W, Phase.NO_CANCEL)
    assert kinds(world.act(CommandKind.KILL_SET, member="M2", on=1)) == [EventKind.KILL_SET], "nothing can be canceled"
    world.phase(W, Phase.PRE_OPEN)
    order_id = dump(world.state)["orders"][0]["order_id"]
    assert code(world.amend(2, order_id, qty=1)) == Code.KILLED_MEMBER
    world.act(CommandKind.KILL_SET, exchange=1, on=1)
    assert code(world.place(1, BUY, 1, 100)) == Code.KILLED_ACCOUNT
    assert code(world.place(3, BUY, 1, 100)) == Code.KILLED_EXCHANGE
    for whom in ({"account": "A1"}, {"exchange": 1}):
        world.act(CommandKind.KILL_SET, on=0, **whom)
    assert code(world.place(1, BUY, 1, 100, time_in_force=GTC)) == Code.OK
    assert code(world.place(2, BUY, 1, 100)) == Code.KILLED_MEMBER
