"""Positions, margin, fees, caps and kill switches of accounts (R71-R77).

Position and open lots of an account are kept on every event.  What follows from them, sums by owner, what is held and
fees, is kept for instruments that are marked BY_ACCOUNT only: those with a margin, a fee or a cap.
"""

from __future__ import annotations

from engine.core.lane import I, inline, outline
from engine.core.layout import (
    ACCOUNT_WORDS,
    BALANCE,
    BASIS,
    BUYS_OPEN,
    BY_ACCOUNT,
    CAP,
    CCY,
    CHECKED,
    COMMODITY,
    COST_WORDS,
    FEES_BY_LOT,
    GATE,
    GATED,
    HELD,
    INSTRUMENT_WORDS,
    KILLED_MEMBER,
    KILLED_ONE,
    MAKER,
    NEVER,
    OWNER,
    PER_LOT,
    POSITION,
    POSITION_WORDS,
    REQUIRED,
    SELLS_OPEN,
    STRIDE,
    TAKER,
    VALUE,
    VALUE_OF,
    WORST,
)  # fmt: skip
from engine.core.memory import core, door
from engine.schema import MAX_MARGIN, Code

BY_CAP, BY_MARGIN = int(Code.POSITION_CAP), int(Code.MARGIN)
BY_KILL_ACCOUNT, BY_KILL_MEMBER, BY_KILL_EXCHANGE = (
    int(Code.KILLED_ACCOUNT), int(Code.KILLED_MEMBER), int(Code.KILLED_EXCHANGE),
)  # fmt: skip
BPS = 10_000
LAW = 20  # of an order's value one part in so many has to be free: 5 %


@inline
def position_at(s, account, instrument):
    """Where the position of an account in an instrument is."""
    return (account * s.h[STRIDE] + instrument) * POSITION_WORDS


@inline
def cost_at(s, account, instrument):
    """Where the costs of an instrument for the currency of an account are."""
    return (s.acc[account * ACCOUNT_WORDS + CCY] * s.h[STRIDE] + instrument) * COST_WORDS


@inline
def move_lots(s, account, instrument, g, lots, bought):
    """The open lots of side g change by `lots`, the position by `bought` (R71)."""
    p = position_at(s, account, instrument)
    s.pos[p + BUYS_OPEN + g] += lots
    s.pos[p + POSITION] += bought
    if s.ins[instrument * INSTRUMENT_WORDS + GATED] & BY_ACCOUNT != 0:
        _reckon(door(s), account, instrument, g, lots, bought)


@outline
def _reckon(d, account, instrument, g, lots, bought):
    """What follows from a change of lots: the owner's sums (R76), and what is held (R74)."""
    s = core(d)
    a = account * ACCOUNT_WORDS
    o = (s.acc[a + OWNER] * s.h[STRIDE] + s.ins[instrument * INSTRUMENT_WORDS + COMMODITY]) * POSITION_WORDS
    s.own[o + BUYS_OPEN + g] += lots
    s.own[o + POSITION] += bought
    if s.acc[a + GATE] & CHECKED != 0:
        p = position_at(s, account, instrument)
        held = held_for(
            s, cost_at(s, account, instrument), s.pos[p + POSITION], s.pos[p + BUYS_OPEN], s.pos[p + SELLS_OPEN]
        )
        s.acc[a + REQUIRED] += held - s.pos[p + HELD]
        s.pos[p + HELD] = held
    return I(0)


@inline
def held_for(s, t, position, buys, sells):
    """What is held for a position and open lots at the costs t (R74); NEVER if it is beyond all bounds."""
    if s.cost[t + PER_LOT] == 0:
        return I(0)
    per_lot = s.cost[t + PER_LOT] - 1
    worst = s.cost[t + WORST]
    most = max(abs(position + buys), abs(position - sells))
    if (per_lot > 0 and most > MAX_MARGIN // per_lot) or (worst > 0 and buys + sells > MAX_MARGIN // worst):
        return I(NEVER >> 1)
    return per_lot * most + worst * (buys + sells)


@inline
def _fee(s, account, instrument, kind, price, lots):
    """What a side of a trade is charged (R75)."""
    t = cost_at(s, account, instrument)
    fee = s.cost[t + kind]
    if fee == 0:
        return I(0)
    if s.cost[t + BASIS] == FEES_BY_LOT:
        return fee * lots
    if s.cost[t + VALUE_OF] == 0:
        return I(0)
    of = s.cost[t + VALUE_OF]
    amount = abs(price) * lots
    rate = abs(fee)
    whole = amount // of * s.cost[t + VALUE]
    rest = (whole % BPS * of + amount % of * s.cost[t + VALUE]) * rate
    charged = whole // BPS * rate + (2 * rest + of * BPS) // (2 * of * BPS)
    return charged if fee > 0 else -charged


@outline
def charge(d, n, instrument, account, other, first, second, price, lots):
    """Charge both sides of the trade in event n, with the fees `first` and `second` of R75."""
    s = core(d)
    e = n * 16
    fee = _fee(s, account, instrument, first, price, lots)
    s.ev[e + 14] = fee
    s.acc[account * ACCOUNT_WORDS + BALANCE] -= fee
    s.cost[s.acc[account * ACCOUNT_WORDS + CCY] * s.h[STRIDE] * COST_WORDS] += fee
    fee = _fee(s, other, instrument, second, price, lots)
    s.ev[e + 15] = fee
    s.acc[other * ACCOUNT_WORDS + BALANCE] -= fee
    s.cost[s.acc[other * ACCOUNT_WORDS + CCY] * s.h[STRIDE] * COST_WORDS] += fee
    return I(0)


@outline
def book_trade(d, n, instrument, account, g, other, price, lots):
    """The trade in event n, in which an incoming order of side g took lots: positions, open lots, fees."""
    s = core(d)
    sign = 1 - 2 * g
    move_lots(s, account, instrument, g, -lots, sign * lots)
    move_lots(s, other, instrument, 1 - g, -lots, -sign * lots)
    charge(door(s), n, instrument, account, other, I(TAKER), I(MAKER), price, lots)
    return I(0)


@outline
def killed(d, account):
    """The code of the kill switch that stops an account, or 0 (R77)."""
    s = core(d)
    gate = s.acc[account * ACCOUNT_WORDS + GATE]
    if gate & KILLED_ONE != 0:
        return I(BY_KILL_ACCOUNT)
    if gate & KILLED_MEMBER != 0:
        return I(BY_KILL_MEMBER)
    return I(BY_KILL_EXCHANGE)


@outline
def exceeds(d, account, instrument, g, leaves, before, price, raises, valued):
    """R76 and R74 of an order of side g that is to have `leaves` instead of `before` open lots; 0 or the code."""
    s = core(d)
    a = account * ACCOUNT_WORDS
    o = (s.acc[a + OWNER] * s.h[STRIDE] + s.ins[instrument * INSTRUMENT_WORDS + COMMODITY]) * POSITION_WORDS
    cap = s.own[o + CAP]
    if raises and cap != 0:
        if (1 - 2 * g) * s.own[o + POSITION] + s.own[o + BUYS_OPEN + g] - before + leaves > cap:
            return I(BY_CAP)
    if not valued or s.acc[a + GATE] & CHECKED == 0:
        return I(0)
    t = cost_at(s, account, instrument)
    of = s.cost[t + VALUE_OF]
    if s.cost[t + PER_LOT] == 0 or of == 0:
        return I(BY_MARGIN)
    p = position_at(s, account, instrument)
    buys = s.pos[p + BUYS_OPEN]
    sells = s.pos[p + SELLS_OPEN]
    if g == 0:
        buys -= before
    else:
        sells -= before
    without = held_for(s, t, s.pos[p + POSITION], buys, sells)
    if g == 0:
        buys += leaves
    else:
        sells += leaves
    free = s.acc[a + BALANCE] - s.acc[a + REQUIRED] + s.pos[p + HELD] - without
    if free < 0 or held_for(s, t, s.pos[p + POSITION], buys, sells) - without > free:
        return I(BY_MARGIN)
    amount = abs(price) * leaves
    value = s.cost[t + VALUE]
    of *= LAW
    if amount // of > (NEVER >> 1) // value:  # more than any balance
        return I(BY_MARGIN)
    if amount // of * value + (amount % of * value + of - 1) // of > free:
        return I(BY_MARGIN)
    return I(0)


@outline
def overloads(d, account, instrument, g, leaves):
    """Whether an order restored would raise the margin of its account beyond all bounds (R78)."""
    s = core(d)
    a = account * ACCOUNT_WORDS
    if s.acc[a + GATE] & CHECKED == 0:
        return False
    p = position_at(s, account, instrument)
    buys = s.pos[p + BUYS_OPEN]
    sells = s.pos[p + SELLS_OPEN]
    if g == 0:
        buys += leaves
    else:
        sells += leaves
    held = held_for(s, cost_at(s, account, instrument), s.pos[p + POSITION], buys, sells)
    return s.acc[a + REQUIRED] - s.pos[p + HELD] + held > MAX_MARGIN


__all__ = ["book_trade", "charge", "exceeds", "killed", "move_lots", "overloads"]
