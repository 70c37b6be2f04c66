"""The arithmetic of fees, margin and caps against fractions, up to the largest numbers of the rules (R72-R76)."""

from __future__ import annotations

import random
from fractions import Fraction
from math import floor
from typing import NamedTuple

import pytest

from engine.core.accounts import charge, exceeds, held_for, overloads
from engine.core.layout import (
    ACCOUNT_WORDS,
    AUCTION,
    BALANCE,
    CAP,
    CHECKED,
    COST_WORDS,
    FEES_BY_LOT,
    FEES_IN_BPS,
    GATE,
    MAKER,
    NEVER,
    POSITION_WORDS,
    REQUIRED,
    STRIDE,
    TAKER,
)
from engine.schema import MAX_MARGIN, MAX_ORDER_QTY, MAX_PRICE_TICKS, Code
from tests.engine.core.alone import alone
from tests.engine.purse import purse_world
from tests.engine.world import World, behind, views

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

charge, exceeds, held_for, overloads = alone(charge, exceeds, held_for, overloads)
MOST_WORTH = 1 << 61  # of the largest order, where fees are in basis points (R75)


class Costs(NamedTuple):
    """The words of an instrument's costs."""

    value: int = 100
    of: int = 1
    per_lot: int | None = 100
    taker: int = 0
    maker: int = 0
    auction: int = 0
    basis: int = 0
    worst: int = 0


class Desk:
    """A venue into whose arrays numbers are put; account 1 is in hand, account 3 is the other side."""

    def __init__(self) -> None:
        self.world: World = purse_world()
        self.a = self.world.state.arrays
        self.stride = int(self.a.h[STRIDE])

    def cost(self, costs: Costs) -> None:
        at = (self.world.state.ccys["USD"] * self.stride + 1) * COST_WORDS
        per_lot = 0 if costs.per_lot is None else costs.per_lot + 1
        self.a.cost[at : at + COST_WORDS] = [costs.value, costs.of, per_lot, *costs[3:]]

    def account(self, balance: int, margin: int, cell: tuple[int, int, int, int], *, checked: bool = True) -> None:
        self.a.acc[ACCOUNT_WORDS + BALANCE], self.a.acc[ACCOUNT_WORDS + REQUIRED] = balance, margin
        self.a.acc[ACCOUNT_WORDS + GATE] = CHECKED if checked else 0
        self.a.pos[(self.stride + 1) * POSITION_WORDS : (self.stride + 1) * POSITION_WORDS + 4] = cell

    def owner(self, position: int, buys: int, sells: int, cap: int) -> None:
        at = (self.stride + 1) * POSITION_WORDS  # owner B1, commodity G
        self.a.own[at : at + 3] = position, buys, sells
        self.a.own[at + CAP] = cap

    def fees(self, kinds: tuple[int, int], price: int, lots: int) -> tuple[int, int]:
        s = views(self.world.state)
        charge(behind(s), 3, 1, 1, 3, kinds[0], kinds[1], price, lots)
        return int(s.ev[3 * 16 + 14]), int(s.ev[3 * 16 + 15])

    def code(self, g: int, leaves: int, before: int, price: int, *, raises: bool = True, valued: bool = True) -> int:
        return int(exceeds(behind(views(self.world.state)), 1, 1, g, leaves, before, price, raises, valued))


def some(rng: random.Random, most: int) -> int:
    """A number of any size up to this, its ends among them."""
    return rng.choice(
        (0, 1, most, most - 1, rng.randint(0, most), rng.randint(0, 1 << rng.randint(0, most.bit_length() - 1)))
    )


def fraction(rng: random.Random) -> Fraction:
    """A value of a tick of a lot that R72 allows."""
    while True:
        top, bottom = 1 + some(rng, (1 << 31) - 1), 1 + some(rng, 10**11)
        value = Fraction(top, bottom)
        if value.numerator <= 1 << 31 and value.numerator * value.denominator <= 10**11:
            return value


def rounded(amount: Fraction) -> int:
    """To the nearest, halves away from zero."""
    return floor(abs(amount) + Fraction(1, 2)) * (1 if amount > 0 else -1)


def test_fees_in_basis_points_are_those_of_fractions() -> None:
    desk, rng = Desk(), random.Random(5)
    largest, halves = Fraction(0), 0
    for _ in range(600):
        value = fraction(rng)
        price = min(some(rng, MAX_PRICE_TICKS), floor(MOST_WORTH / value) // MAX_ORDER_QTY) * rng.choice((1, -1))
        lots = 1 + some(rng, MAX_ORDER_QTY - 1)
        fees = [rng.choice((-1000, -1, 0, 1, 3, 1000, rng.randint(-1000, 1000))) for _ in range(3)]
        desk.cost(Costs(value.numerator, value.denominator, 0, fees[0], fees[1], fees[2], FEES_IN_BPS))
        exact = [abs(price) * lots * value * one / 10_000 for one in fees]
        assert desk.fees((TAKER, MAKER), price, lots) == (rounded(exact[0]), rounded(exact[1]))
        assert desk.fees((AUCTION, AUCTION), price, lots) == (rounded(exact[2]),) * 2
        largest = max(largest, abs(price) * lots * value)
        halves += any(one.denominator == 2 for one in exact)
    assert largest > MOST_WORTH * Fraction(9, 10) and halves > 3, "the draw reaches the bound and the halves"


@pytest.mark.parametrize("rate", [1, -1, 1000, -1000])
def test_the_largest_fee_there_can_be(rate: int) -> None:
    desk = Desk()
    desk.cost(Costs((1 << 61) // 10**9, 1, 0, rate, -rate, 0, FEES_IN_BPS))
    worth = (1 << 61) // 10**9 * 10**9
    fee = rounded(Fraction(worth * rate, 10_000))
    assert desk.fees((TAKER, MAKER), -1, 10**9) == (fee, -fee)


def test_fees_by_lot_need_no_fixing_and_fees_in_basis_points_do() -> None:
    desk = Desk()
    desk.cost(Costs(0, 0, None, 100_000, -100_000, 0, FEES_BY_LOT))
    assert desk.fees((TAKER, MAKER), 7, 10**9) == (10**14, -(10**14))
    desk.cost(Costs(0, 0, None, 1000, -1000, 5, FEES_IN_BPS))
    assert desk.fees((TAKER, MAKER), 7, 10**9) == (0, 0)


def model_held(costs: Costs, position: int, buys: int, sells: int) -> int:
    """R74."""
    if costs.per_lot is None:
        return 0
    return costs.per_lot * max(abs(position + buys), abs(position - sells)) + costs.worst * (buys + sells)


def model_code(desk: Desk, costs: Costs, g: int, leaves: int, before: int, price: int) -> Code:
    """R74 of a checked account whose order is to have `leaves` instead of `before` lots open."""
    if costs.per_lot is None or costs.of == 0:
        return Code.MARGIN
    position, buys, sells, held = (int(word) for word in desk.a.pos[(desk.stride + 1) * POSITION_WORDS :][:4])
    lots = [buys, sells]
    lots[g] -= before
    without = model_held(costs, position, *lots)
    lots[g] += leaves
    balance, margin = (int(desk.a.acc[ACCOUNT_WORDS + field]) for field in (BALANCE, REQUIRED))
    free = balance - (margin - held + without)
    rise = model_held(costs, position, *lots) - without
    worth = abs(price) * leaves * Fraction(costs.value, costs.of)
    return Code.MARGIN if rise > free or 20 * free < worth else Code.OK


def test_the_gate_of_margin_is_that_of_fractions() -> None:
    desk, rng = Desk(), random.Random(9)
    desk.owner(0, 0, 0, 0)
    told: dict[Code, int] = {}
    for number in range(1500):
        value = fraction(rng)
        costs = Costs(value.numerator, value.denominator, some(rng, 10**9), worst=some(rng, 10**9))
        most = 10 ** rng.choice((3, 8, 12))
        cell = some(rng, most) * rng.choice((1, -1)), some(rng, most), some(rng, most)
        held = model_held(costs, *cell)
        g, leaves, price = (
            number % 2,
            1 + some(rng, MAX_ORDER_QTY - 1),
            some(rng, MAX_PRICE_TICKS) * rng.choice((1, -1)),
        )
        before = min(cell[1 + g], some(rng, MAX_ORDER_QTY))
        if held > MAX_MARGIN:  # which no account has
            continue
        elsewhere = some(rng, MAX_MARGIN - held)
        lots = [cell[1], cell[2]]
        lots[g] += leaves - before
        needs = elsewhere + model_held(costs, cell[0], *lots)
        lots[g] -= leaves
        law = elsewhere + model_held(costs, cell[0], *lots) - floor(-abs(price) * leaves * value / 20)
        balance = rng.choice((needs, law, max(needs, law))) + rng.choice((-1, 0, 1, rng.randint(-100, 100)))
        balance = rng.choice((balance, balance, balance, some(rng, 10**18) * rng.choice((1, -1))))
        balance = min(max(balance, -(10**18)), 10**18)
        desk.cost(costs)
        desk.account(balance, elsewhere + held, (*cell, held))
        expected = model_code(desk, costs, g, leaves, before, price)
        assert desk.code(g, leaves, before, price) == expected, (costs, cell, balance, leaves, before, price)
        told[expected] = told.get(expected, 0) + 1
    assert min(told[Code.OK], told[Code.MARGIN]) > 150


@pytest.mark.parametrize("price", [1, -1])
@pytest.mark.parametrize("more", [0, 1])
def test_the_law_is_told_right_of_the_largest_balance(price: int, more: int) -> None:
    """20 × 10^18 is beyond an int64; a value of exactly as much is covered, one minor unit more is not."""
    desk = Desk()
    desk.cost(Costs(2 * 10**9, 1, 0))
    desk.account(10**18 - more, 0, (0, 0, 0, 0))
    assert desk.code(0, 10**9, 0, 10 * price) == (Code.MARGIN if more else Code.OK)


def test_nothing_is_asked_of_an_account_that_is_not_checked_or_an_amend_that_only_lessens() -> None:
    desk = Desk()
    desk.cost(Costs(per_lot=None))
    desk.account(-5, 0, (0, 0, 0, 0))
    assert desk.code(0, 5, 9, 500, raises=False, valued=False) == 0
    assert desk.code(0, 5, 9, 500, raises=False) == Code.MARGIN
    desk.account(-5, 0, (0, 0, 0, 0), checked=False)
    assert desk.code(0, 5, 9, 500) == 0


@pytest.mark.parametrize("g", [0, 1])
def test_a_cap_to_the_last_lot(g: int) -> None:
    """A buy is measured by P + B, a sell by S − P; the order's own lots before an amend count no more."""
    desk = Desk()
    desk.account(0, 0, (0, 0, 0, 0), checked=False)
    most = 10**12
    for position, own, other in ((0, 0, 0), (7, 5, most), (-7, 5, 0), (most, 0, 9), (-most, 10**9, 3)):
        desk.owner(position, *((own, other) if g == 0 else (other, own)), most)
        room = most - own - (position if g == 0 else -position)
        for leaves, before in (
            (1, 0),
            (MAX_ORDER_QTY, 0),
            (max(room, 0), 0),
            (room + 1, 0),
            (room + 4, 4),
            (room + 5, 4),
        ):
            if leaves > 0:
                expected = Code.POSITION_CAP if leaves - before > room else 0
                assert desk.code(g, leaves, before, 1) == expected, (position, own, leaves, before)
                assert desk.code(g, leaves, before, 1, raises=False) == 0


def test_a_cap_comes_before_the_margin() -> None:
    desk = Desk()
    desk.cost(Costs())
    desk.account(0, 0, (0, 0, 0, 0))
    desk.owner(0, 0, 0, 1)
    assert [desk.code(0, lots, 0, 500) for lots in (2, 1)] == [Code.POSITION_CAP, Code.MARGIN]


def test_what_is_held_is_capped_and_never_wraps() -> None:
    desk = Desk()
    at = (desk.world.state.ccys["USD"] * desk.stride + 1) * COST_WORDS
    for per_lot, worst, cell in (
        (10**9, 10**9, (10**12, 10**12, 10**12)), (10**9, 0, (-(10**12), 0, 10**12)), (0, 10**9, (0, 10**12, 0)),
        (1, 1, (0, 1 << 60, 1)), (10**9, 0, (0, 1_152_921_505, 0)), (10**9, 0, (0, 1_152_921_504, 0)),
        (0, 0, (10**12, 10**12, 10**12)),
    ):  # fmt: skip
        desk.cost(Costs(per_lot=per_lot, worst=worst))
        found = int(held_for(views(desk.world.state), at, *cell))
        exact = model_held(Costs(per_lot=per_lot, worst=worst), *cell)
        assert found == exact or (found == NEVER >> 1 and exact > MAX_MARGIN), (per_lot, worst, cell)
    desk.cost(Costs(per_lot=None, worst=9))
    assert int(held_for(views(desk.world.state), at, 5, 5, 5)) == 0, "nothing is held where no per_lot is set"


@pytest.mark.parametrize("g", [0, 1])
def test_the_most_that_a_restored_order_may_add(g: int) -> None:
    desk = Desk()
    desk.cost(Costs(per_lot=1))

    def refuses(leaves: int, margin: int, *, checked: bool = True) -> bool:
        desk.account(0, margin + 10, (0, 5, 5, 10), checked=checked)
        return bool(overloads(behind(views(desk.world.state)), 1, 1, g, leaves))

    room = MAX_MARGIN - 5 - 7  # max(|P + B|, |P − S|) is what grows
    assert not refuses(7, room) and refuses(8, room) and not refuses(8, room, checked=False)
