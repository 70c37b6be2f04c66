"""A small venue whose accounts settle in currencies, for the tests of margin, fees and caps."""

from __future__ import annotations

from typing import Any

from engine.dump import dump
from engine.schema import CommandKind, Phase
from tests.engine.world import World

FIXING: dict[str, Any] = {"date": "2026-11-25", "ccy": "USD", "per": "USD", "rate": "100"}


def purse_world(*, day: str = "", phase: Phase | None = Phase.CONTINUOUS, **terms: Any) -> World:
    """Accounts 1 to 4, all settling in USD (owners B1, B1, B2, B2); W320 and V (group G); a tick of a lot is 1 USD."""
    lot = {"contract_size": 1, **terms}
    world = World(
        accounts=(), terms=({"group": "G", **lot}, {"symbol": "V", "group": "G", **lot}), phase=phase, day=day
    )
    for number, (member, owner) in enumerate((("M1", "B1"), ("M2", "B1"), ("M1", "B2"), ("M2", "B2")), 1):
        world.act(CommandKind.ACCOUNT_DEFINE, account=f"A{number}", member=member, owner=owner, ccy="USD")
    world.act(CommandKind.FIXING_SET, **FIXING)
    return world


def balances(world: World) -> list[int]:
    return [account["balance"] for account in dump(world.state)["accounts"]]


def held(world: World) -> dict[tuple[str, str], int]:
    return {(one["account"], one["symbol"]): one["held"] for one in dump(world.state)["positions"]}


def lots(world: World) -> dict[tuple[str, str], tuple[int, int, int]]:
    return {
        (one["account"], one["symbol"]): (one["lots"], one["buys"], one["sells"])
        for one in dump(world.state)["positions"]
    }


__all__ = ["FIXING", "balances", "held", "lots", "purse_world"]
