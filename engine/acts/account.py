"""Accounts, their members and their beneficial owners (R41)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.acts.common import Fact, Refusal, check_keys, name
from engine.acts.costs import all_checked, cap_owner, named, settle
from engine.acts.risk import apply_kills
from engine.core.layout import ACCOUNT_WORDS, ACCOUNTS, CCY, CHECKED, GATE, MEMBER, OWNER
from engine.schema import Code, EventKind

if TYPE_CHECKING:
    from engine.apply import State


def define_account(state: State, terms: dict[str, Any]) -> list[Fact]:
    """account.define: number the account, and its member and owner if they are new."""
    check_keys(terms, {"account", "member", "owner"}, frozenset({"ccy"}))
    account, member, owner = (name(terms, key) for key in ("account", "member", "owner"))
    ccys = named(state, name(terms, "ccy")) if "ccy" in terms else state.ccys
    if account in state.account_numbers:
        raise Refusal(Code.ACCOUNT_EXISTS)
    number = len(state.account_numbers) + 1
    if number > state.limits.accounts:
        raise Refusal(Code.ACCOUNTS_FULL)
    state.account_numbers[account] = number
    state.account_terms.append(dict(terms))
    row = number * ACCOUNT_WORDS
    state.arrays.acc[row + MEMBER] = state.members.setdefault(member, len(state.members) + 1)
    state.arrays.acc[row + OWNER] = state.owners.setdefault(owner, len(state.owners) + 1)
    if "ccy" in terms:
        if terms["ccy"] not in state.ccys:
            settle(state, ccys, state.fixings, state.margins, state.fees)
        state.arrays.acc[row + CCY] = ccys[terms["ccy"]]
    state.arrays.h[ACCOUNTS] = number
    cap_owner(state, owner)
    if all_checked(state, state.margins):
        state.arrays.acc[row + GATE] |= CHECKED
    apply_kills(state, number)
    return [Fact(EventKind.ACCOUNT_DEFINED, account=number)]
