"""Acts: rare commands with a JSON payload, carried out in plain Python over the core's arrays (R40-R44, R54, R66-R78).

`ACTS` maps each act's kind to a function (state, command row, payload object) -> events, where `events` is a list of
`Fact`.  An act validates everything before it changes anything; a refusal is raised as `Refusal`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.acts.account import define_account
from engine.acts.auction import uncross
from engine.acts.common import Fact, Refusal
from engine.acts.controls import set_controls, set_limits
from engine.acts.costs import set_fee, set_fixing, set_margin
from engine.acts.day import open_day, start_day
from engine.acts.instrument import define_instrument
from engine.acts.phase import set_phase
from engine.acts.risk import restore_balance, restore_position, set_cap, set_collateral, set_kill
from engine.schema import CommandKind

ACTS: dict[int, Callable[[Any, dict[str, Any]], list[Fact]]] = {
    CommandKind.INSTRUMENT_DEFINE: define_instrument,
    CommandKind.ACCOUNT_DEFINE: define_account,
    CommandKind.PHASE_SET: set_phase,
    CommandKind.DAY_OPEN: open_day,
    CommandKind.DAY_START: start_day,
    CommandKind.AUCTION_UNCROSS: uncross,
    CommandKind.CONTROL_SET: set_controls,
    CommandKind.LIMIT_SET: set_limits,
    CommandKind.COLLATERAL_SET: set_collateral,
    CommandKind.FIXING_SET: set_fixing,
    CommandKind.MARGIN_SET: set_margin,
    CommandKind.FEE_SET: set_fee,
    CommandKind.CAP_SET: set_cap,
    CommandKind.KILL_SET: set_kill,
    CommandKind.POSITION_RESTORE: restore_position,
    CommandKind.BALANCE_RESTORE: restore_balance,
}

__all__ = ["ACTS", "Fact", "Refusal"]
