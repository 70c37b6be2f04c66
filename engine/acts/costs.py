"""What trading costs: fixings, margins, fees, and what follows from them for every account (R72-R75).

An act makes the books of fixings, margins and fees as they would be, has the costs of every instrument and currency
computed from them, and only if those are sound and no checked account's margin is beyond all bounds, puts them down.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.acts.common import Fact, Refusal, check_keys, integer, is_date, name, phase_of, subjects, text
from engine.core.layout import (
    ACCOUNT_WORDS,
    BAND_MAX,
    BAND_MIN,
    BASIS,
    BUYS_OPEN,
    BY_ACCOUNT,
    CAP,
    CCY,
    CHECKED,
    COMMODITY,
    CONTROL_WORDS,
    COST_WORDS,
    FEES_BY_LOT,
    FEES_IN_BPS,
    GATE,
    GATED,
    HELD,
    INSTRUMENT_WORDS,
    OWNER,
    PER_LOT,
    POSITION,
    POSITION_WORDS,
    REQUIRED,
    SELLS_OPEN,
    STRIDE,
    WORST,
)  # fmt: skip
from engine.schema import MAX_CURRENCIES, MAX_MARGIN, MAX_ORDER_QTY, Code, EventKind, Tick

if TYPE_CHECKING:
    from engine.apply import State

BY = frozenset({"why", "by"})
MAX_COLLATERAL = 10**15
MAX_PER_LOT = 10**9
MAX_FEE = {"lot": 100_000, "bps": 1_000}
BASES = {"lot": FEES_BY_LOT, "bps": FEES_IN_BPS}
MOST_VALUE = 1 << 31  # numerator of a value per tick and lot
MOST_PRODUCT = 10**11  # numerator times denominator
MOST_WORTH = 1 << 61
BPS = 10_000
_RATE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")

Costs = dict[tuple[int, int], tuple[int, ...]]  # words of (currency, instrument)


def set_fixing(state: State, terms: dict[str, Any]) -> list[Fact]:
    """fixing.set: what one unit of a currency is worth in minor units of another."""
    check_keys(terms, {"date", "ccy", "per", "rate"}, BY)
    ccy, per = name(terms, "ccy"), name(terms, "per")
    text(terms, "why")
    text(terms, "by")
    on, rate = terms["date"], terms["rate"]
    if not isinstance(rate, str) or not _RATE.fullmatch(rate) or Fraction(rate) == 0 or not is_date(on):
        raise Refusal(Code.BAD_TERMS)
    ccys = named(state, per)
    fixings = {**state.fixings, (ccy, per): (on, rate)}
    settle(state, ccys, fixings, state.margins, state.fees)
    return [Fact(EventKind.FIXING_SET, qty=int(on.replace("-", "")))]


def set_margin(state: State, terms: dict[str, Any]) -> list[Fact]:
    """margin.set: the initial margin of a lot."""
    check_keys(terms, {"ccy", "per_lot"}, BY | {"symbol", "group"})
    ccy = name(terms, "ccy")
    per_lot = integer(terms, "per_lot", 0, MAX_PER_LOT)
    ccys = named(state, ccy)
    numbers = subjects(state, terms)
    settle(state, ccys, state.fixings, {**state.margins, **{(n, ccy): per_lot for n in numbers}}, state.fees)
    return [Fact(EventKind.MARGIN_SET, instrument=n, phase=phase_of(state, n), qty=per_lot) for n in numbers]


def set_fee(state: State, terms: dict[str, Any]) -> list[Fact]:
    """fee.set: what sides of trades are charged."""
    check_keys(terms, {"ccy", "basis", "taker", "maker", "auction"}, BY | {"symbol", "group"})
    ccy, basis = name(terms, "ccy"), terms["basis"]
    if not isinstance(basis, str) or basis not in MAX_FEE:
        raise Refusal(Code.BAD_TERMS)
    taker, maker, auction = (
        integer(terms, key, -MAX_FEE[basis], MAX_FEE[basis]) for key in ("taker", "maker", "auction")
    )
    ccys = named(state, ccy)
    numbers = subjects(state, terms)
    fees = {**state.fees, **{(n, ccy): (basis, taker, maker, auction) for n in numbers}}
    settle(state, ccys, state.fixings, state.margins, fees)
    return [
        Fact(
            EventKind.FEES_SET, instrument=n, phase=phase_of(state, n), price=taker, old_price=maker, qty=auction,
            reason=BASES[basis],
        )
        for n in numbers
    ]  # fmt: skip


def named(state: State, ccy: str) -> dict[str, int]:
    """The numbers of currencies, with this one among them; BAD_TERMS if it is one too many (R41)."""
    ccys = state.ccys if ccy in state.ccys else {**state.ccys, ccy: len(state.ccys) + 1}
    if len(ccys) > MAX_CURRENCIES:
        raise Refusal(Code.BAD_TERMS)
    return ccys


def settle(state: State, ccys: dict[str, int], fixings: Any, margins: Any, fees: Any) -> None:
    """Put down new fixings, margins and fees, if what follows from them is sound."""
    costs: Costs = {}
    for number, terms in enumerate(state.instrument_terms, 1):
        for ccy, index in ccys.items():
            costs[index, number] = cost_of(
                terms, _highest(state, number), fixings.get((terms["ccy"], ccy)), margins.get((number, ccy)),
                fees.get((number, ccy)),
            )  # fmt: skip
    stride = int(state.arrays.h[STRIDE])
    old = state.arrays.cost
    new = old.copy()
    for (index, number), words in costs.items():
        at = (index * stride + number) * COST_WORDS
        new[at : at + COST_WORDS] = words
    everyone, gate = all_checked(state, margins), state.arrays.acc[GATE::ACCOUNT_WORDS]
    checked = [a for a in range(1, len(state.account_terms) + 1) if everyone or gate[a] & CHECKED]
    for account in checked:
        check_margin(state, new, account)
    state.ccys, state.fixings, state.margins, state.fees = ccys, dict(fixings), dict(margins), dict(fees)
    old[:] = new
    mark(state)
    for account in checked:
        gate[account] |= CHECKED
        hold(state, account)


def all_checked(state: State, margins: Any) -> bool:
    """Whether with these margins every account is checked, whatever was said of its collateral (R73)."""
    return state.margined and bool(margins)


def cost_of(terms: Any, highest: int, fixing: Any, per_lot: int | None, fee: Any) -> tuple[int, ...]:
    """The words of an instrument's costs for a currency (layout: VALUE to WORST); BAD_TERMS if they are unsound."""
    value = value_of(terms, fixing)
    basis, taker, maker, auction = fee or ("", 0, 0, 0)
    worst = max(0, taker, maker, auction)
    if basis == "bps" and value:
        if value * highest * MAX_ORDER_QTY > MOST_WORTH:
            raise Refusal(Code.BAD_TERMS)
        worst = -int(-value * highest * worst // BPS)
    elif basis == "bps":
        worst = 0
    if worst > MAX_PER_LOT:
        raise Refusal(Code.BAD_TERMS)
    numbers = (value.numerator, value.denominator) if value else (0, 0)
    return (*numbers, 0 if per_lot is None else per_lot + 1, taker, maker, auction, BASES.get(basis, 0), worst)


def value_of(terms: Any, fixing: Any) -> Fraction:
    """The value of a tick of a lot under a fixing (R72); 0 without one."""
    if fixing is None:
        return Fraction(0)
    tick = Tick.parse(terms["tick"])
    value: Fraction = Fraction(tick.units, 10**tick.scale) * terms["contract_size"] * Fraction(fixing[1])
    if value.numerator > MOST_VALUE or value.numerator * value.denominator > MOST_PRODUCT:
        raise Refusal(Code.BAD_TERMS)
    return value


def _highest(state: State, number: int) -> int:
    ctl, c = state.arrays.ctl, number * CONTROL_WORDS
    return max(abs(int(ctl[c + BAND_MIN])), abs(int(ctl[c + BAND_MAX])))


def _account(state: State, account: int, field: int) -> int:
    return int(state.arrays.acc[account * ACCOUNT_WORDS + field])


def held_of(state: State, costs: Any, account: int, number: int) -> int:
    """What is held for an account in an instrument (R74)."""
    stride = int(state.arrays.h[STRIDE])
    at = (_account(state, account, CCY) * stride + number) * COST_WORDS
    p = (account * stride + number) * POSITION_WORDS
    position, buys, sells = (int(state.arrays.pos[p + field]) for field in (POSITION, BUYS_OPEN, SELLS_OPEN))
    per_lot = int(costs[at + PER_LOT])
    if not per_lot:
        return 0
    return (per_lot - 1) * max(abs(position + buys), abs(position - sells)) + int(costs[at + WORST]) * (buys + sells)


def check_margin(state: State, costs: Any, account: int) -> None:
    """BAD_TERMS if the margin of an account is beyond all bounds (R73, R74, R78)."""
    numbers = range(1, len(state.instrument_terms) + 1)
    if sum(held_of(state, costs, account, number) for number in numbers) > MAX_MARGIN:
        raise Refusal(Code.BAD_TERMS)


def hold(state: State, account: int) -> None:
    """Keep what is held for a checked account, and the sum of it."""
    stride, total = int(state.arrays.h[STRIDE]), 0
    for number in range(1, len(state.instrument_terms) + 1):
        held = held_of(state, state.arrays.cost, account, number)
        state.arrays.pos[(account * stride + number) * POSITION_WORDS + HELD] = held
        total += held
    state.arrays.acc[account * ACCOUNT_WORDS + REQUIRED] = total


def let_go(state: State, account: int) -> None:
    """Hold nothing for an account that is not checked any more (R78)."""
    state.arrays.pos.reshape(-1, int(state.arrays.h[STRIDE]), POSITION_WORDS)[account, :, HELD] = 0
    state.arrays.acc[account * ACCOUNT_WORDS + REQUIRED] = 0


def mark(state: State) -> None:
    """Mark the instruments whose orders have to be looked at by account, and sum up their owners' lots (R76)."""
    arrays, stride = state.arrays, int(state.arrays.h[STRIDE])
    count, accounts = len(state.instrument_terms), len(state.account_terms)
    rows = arrays.ins[: (count + 1) * INSTRUMENT_WORDS].reshape(-1, INSTRUMENT_WORDS)
    costs = arrays.cost.reshape(-1, stride, COST_WORDS)[:, : count + 1]
    capped = np.isin(rows[:, COMMODITY], [state.commodities[one] for one, _ in state.caps if one in state.commodities])
    counted = (costs[:, :, (PER_LOT, BASIS)] != 0).any(axis=(0, 2)) | capped
    rows[1:, GATED] = np.where(counted[1:], rows[1:, GATED] | BY_ACCOUNT, rows[1:, GATED] & ~BY_ACCOUNT)
    own = arrays.own.reshape(-1, stride, POSITION_WORDS)
    own[: len(state.owners) + 1, : len(state.commodities) + 1] = 0
    lots = arrays.pos.reshape(-1, stride, POSITION_WORDS)[1 : accounts + 1, 1 : count + 1, :CAP]
    owners = arrays.acc[: (accounts + 1) * ACCOUNT_WORDS].reshape(-1, ACCOUNT_WORDS)[1:, OWNER]
    np.add.at(own[:, :, :CAP], (owners[:, None], rows[None, 1:, COMMODITY]), lots)
    for owner in state.owners:
        cap_owner(state, owner)


def cap_owner(state: State, owner: str) -> None:
    """Put down the caps of one beneficial owner (R76)."""
    own = state.arrays.own.reshape(-1, int(state.arrays.h[STRIDE]), POSITION_WORDS)
    for commodity, number in state.commodities.items():
        cap = state.caps.get((commodity, owner), state.caps.get((commodity, ""), 0))
        own[state.owners[owner], number, CAP] = cap
