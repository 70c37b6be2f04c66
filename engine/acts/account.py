"""Accounts, their members and their beneficial owners (R41)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.acts.common import Fact, Refusal, check_keys, name
from engine.core.layout import ACCOUNT_WORDS, ACCOUNTS, MEMBER, OWNER
from engine.schema import Code, EventKind

if TYPE_CHECKING:
    from engine.apply import State


def define_account(state: State, terms: dict[str, Any]) -> list[Fact]:
    """account.define: number the account, and its member and owner if they are new."""
    check_keys(terms, {"account", "member", "owner"})
    account, member, owner = (name(terms, key) for key in ("account", "member", "owner"))
    if account in state.account_numbers:
        raise Refusal(Code.ACCOUNT_EXISTS)
    number = len(state.account_numbers) + 1
    if number > state.limits.accounts:
        raise Refusal(Code.ACCOUNTS_FULL)
    state.account_numbers[account] = number
    state.account_terms.append({"account": account, "member": member, "owner": owner})
    row = number * ACCOUNT_WORDS
    state.arrays.acc[row + MEMBER] = state.members.setdefault(member, len(state.members) + 1)
    state.arrays.acc[row + OWNER] = state.owners.setdefault(owner, len(state.owners) + 1)
    state.arrays.h[ACCOUNTS] = number
    return [Fact(EventKind.ACCOUNT_DEFINED, account=number)]
