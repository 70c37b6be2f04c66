"""Collateral, position caps, kill switches, and the restating of accounts (R73, R76-R78)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.acts.common import Fact, Refusal, check_keys, integer, name, phase_of, text
from engine.acts.costs import BY, MAX_COLLATERAL, all_checked, check_margin, hold, let_go, mark
from engine.core.layout import (
    ACCOUNT,
    ACCOUNT_WORDS,
    BALANCE,
    BUMP,
    CANCELING,
    CCY,
    CHECKED,
    COMMODITY,
    CURSOR,
    CURSOR_AT,
    CURSOR_COUNT,
    CURSOR_REASON,
    FLAG_TIF,
    FLAGS,
    GATE,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    INSTRUMENTS,
    KILLED_ALL,
    KILLED_MEMBER,
    KILLED_ONE,
    NODE4,
    NODE8,
    ORDER_BASE,
    ORDER_ID,
    OWNER,
    PENDING,
    PERMITS,
    POSITION,
    POSITION_WORDS,
    STRIDE,
    TELL_AT,
    TELL_TO,
)  # fmt: skip
from engine.phases import Permit
from engine.schema import Code, EventKind, Reason, TimeInForce

if TYPE_CHECKING:
    from engine.apply import State

MAX_LOTS = 10**12
MAX_BALANCE = 10**18
SCOPES = {"account": 1, "member": 2, "exchange": 3}


def set_collateral(state: State, terms: dict[str, Any]) -> list[Fact]:
    """collateral.set: the balance of an account, which is checked from then on."""
    check_keys(terms, {"account", "amount"}, BY)
    amount = integer(terms, "amount", 0, MAX_COLLATERAL)
    text(terms, "why")
    text(terms, "by")
    number = _account(state, name(terms, "account"))
    _check(state, number, amount, True)
    return [Fact(EventKind.COLLATERAL_SET, account=number, qty=amount)]


def restore_balance(state: State, terms: dict[str, Any]) -> list[Fact]:
    """balance.restore: an account's balance as it was, and whether it is checked."""
    check_keys(terms, {"account", "balance", "checked"})
    amount = integer(terms, "balance", -MAX_BALANCE, MAX_BALANCE)
    checked = integer(terms, "checked", 0, 1)
    number = _account(state, name(terms, "account"))
    _check(state, number, amount, bool(checked))
    return [Fact(EventKind.BALANCE_RESTORED, account=number, qty=amount)]


def _account(state: State, account: str) -> int:
    if account not in state.account_numbers:
        raise Refusal(Code.UNKNOWN_ACCOUNT)
    return state.account_numbers[account]


def _check(state: State, number: int, amount: int, checked: bool) -> None:
    acc, a = state.arrays.acc, number * ACCOUNT_WORDS
    if checked and not acc[a + CCY]:
        raise Refusal(Code.BAD_TERMS)
    checked = checked or all_checked(state, state.margins)
    if checked:
        check_margin(state, state.arrays.cost, number)
    acc[a + BALANCE] = amount
    acc[a + GATE] = (int(acc[a + GATE]) & ~CHECKED) | (CHECKED if checked else 0)
    if checked:
        hold(state, number)
    else:
        let_go(state, number)


def restore_position(state: State, terms: dict[str, Any]) -> list[Fact]:
    """position.restore: the position of an account in an instrument as it was."""
    check_keys(terms, {"account", "symbol", "lots"})
    lots = integer(terms, "lots", -MAX_LOTS, MAX_LOTS)
    account, symbol = name(terms, "account"), name(terms, "symbol")
    if lots == 0:
        raise Refusal(Code.BAD_TERMS)
    number = _account(state, account)
    if symbol not in state.symbols:
        raise Refusal(Code.UNKNOWN_INSTRUMENT)
    instrument = state.symbols[symbol]
    pos, p = state.arrays.pos, (number * int(state.arrays.h[STRIDE]) + instrument) * POSITION_WORDS
    before = int(pos[p + POSITION])
    pos[p + POSITION] = lots
    if state.arrays.acc[number * ACCOUNT_WORDS + GATE] & CHECKED:
        try:
            check_margin(state, state.arrays.cost, number)
        except Refusal:
            pos[p + POSITION] = before
            raise
        hold(state, number)
    owner = int(state.arrays.acc[number * ACCOUNT_WORDS + OWNER])
    commodity = int(state.arrays.ins[instrument * INSTRUMENT_WORDS + COMMODITY])
    state.arrays.own[(owner * int(state.arrays.h[STRIDE]) + commodity) * POSITION_WORDS + POSITION] += lots - before
    phase = phase_of(state, instrument)
    return [Fact(EventKind.POSITION_RESTORED, account=number, instrument=instrument, phase=phase, qty=lots)]


def positions_balance(state: State) -> bool:
    """Whether the positions of every instrument sum to zero (R71, R78)."""
    stride, accounts = int(state.arrays.h[STRIDE]), len(state.account_terms)
    lots = state.arrays.pos.reshape(-1, stride, POSITION_WORDS)[1 : accounts + 1, :, POSITION]
    return not lots.sum(axis=0).any()


def set_cap(state: State, terms: dict[str, Any]) -> list[Fact]:
    """cap.set: how many lots of a commodity a beneficial owner may hold."""
    check_keys(terms, {"commodity", "lots"}, BY | {"owner"})
    key = name(terms, "commodity"), name(terms, "owner") if "owner" in terms else ""
    lots = integer(terms, "lots", 0, MAX_LOTS)
    text(terms, "why")
    text(terms, "by")
    state.caps.pop(key, None)
    if lots:
        state.caps[key] = lots
    mark(state)
    return [Fact(EventKind.CAP_SET, qty=lots)]


def set_kill(state: State, terms: dict[str, Any]) -> list[Fact]:
    """kill.set: stop an account, a member or everybody, and cancel their orders; or let them go on."""
    check_keys(terms, {"on"}, BY | SCOPES.keys())
    on = integer(terms, "on", 0, 1)
    text(terms, "why")
    text(terms, "by")
    scopes = [scope for scope in SCOPES if scope in terms]
    if len(scopes) != 1:
        raise Refusal(Code.BAD_TERMS)
    (scope,) = scopes
    if scope == "exchange":
        integer(terms, "exchange", 1, 1)
        whom = ""
        numbers = list(state.account_numbers.values())
    else:
        whom = name(terms, scope)
        numbers = [n for n, one in enumerate(state.account_terms, 1) if one[scope] == whom]
        if not numbers:
            raise Refusal(Code.UNKNOWN_ACCOUNT)
    (state.kills.add if on else state.kills.discard)((scope, whom))
    for number in numbers:
        apply_kills(state, number)
    if on:
        _cancel(state, numbers)
    account = numbers[0] if scope == "account" else 0
    return [Fact(EventKind.KILL_SET, account=account, reason=SCOPES[scope], qty=on)]


def apply_kills(state: State, number: int) -> None:
    """Put down which switches stop an account."""
    acc, a, terms = state.arrays.acc, number * ACCOUNT_WORDS, state.account_terms[number - 1]
    bits = KILLED_ONE if ("account", terms["account"]) in state.kills else 0
    bits |= KILLED_MEMBER if ("member", terms["member"]) in state.kills else 0
    bits |= KILLED_ALL if ("exchange", "") in state.kills else 0
    acc[a + GATE] = (int(acc[a + GATE]) & CHECKED) | bits


def _cancel(state: State, numbers: list[int]) -> None:
    """List the live orders of accounts that may be canceled, rising by order_id; the kernel cancels them."""
    arrays, h = state.arrays, state.arrays.h
    first, last = int(h[ORDER_BASE]), int(h[BUMP])
    records = arrays.n4.reshape(-1, NODE4)[first:last]
    order_ids = arrays.n8.reshape(-1, NODE8)[first:last, ORDER_ID]
    permits = arrays.ins.reshape(-1, INSTRUMENT_WORDS)[records[:, INSTRUMENT], PERMITS]
    tif = (records[:, FLAGS] >> FLAG_TIF) & 7
    lasts = (tif == TimeInForce.GTC) | (tif == TimeInForce.GTD)
    may = (permits & int(Permit.CANCEL) != 0) & ((permits & int(Permit.LASTING_ONLY) == 0) | lasts)
    ending = np.sort(order_ids[(order_ids != 0) & may & np.isin(records[:, ACCOUNT], numbers)])
    if ending.size:
        arrays.scratch[: ending.size] = ending
        h[CURSOR], h[CURSOR_AT], h[CURSOR_COUNT] = CANCELING, 0, ending.size
        h[CURSOR_REASON] = Reason.KILL_SWITCH
        h[TELL_AT], h[TELL_TO], h[PENDING] = 1, h[INSTRUMENTS], 1
