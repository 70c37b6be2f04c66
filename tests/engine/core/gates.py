"""Helpers for tests of refusals: single codes, and the order in which the gates give them."""

from __future__ import annotations

from typing import Any

from engine.dump import dump
from engine.schema import Code
from tests.engine.world import Rows, World

FAR = {"min_price": "-9000", "max_price": "9000", "window_ticks": 64, "reference_price": "0"}
JUNK32 = (-(2**31), -1, 2**31 - 1)
JUNK64 = (-(2**63), -(2**62), -1, 2**62, 2**63 - 1)


def code_of(events: Rows) -> Code:
    assert len(events) == 1
    return Code(int(events["code"][0]))


def unstamped(world: World) -> dict[str, Any]:
    return {**dump(world.state), "seq": 0, "time": 0}


def assert_precedence(world: World, kind: int, wrong: dict[str, Any], mends: list[tuple[Code, dict[str, Any]]]) -> None:
    """Send a command that is wrong in every way, mend one thing after the other, and meet the codes in order."""
    fields = dict(wrong)
    before = unstamped(world)
    for code, mended in mends:
        events = world.run(world.row(kind, **fields))
        assert code_of(events) == code, fields
        assert unstamped(world) == before, "a refusal changes nothing"
        fields.update(mended)
    events = world.run(world.row(kind, **fields))
    assert not events["code"].any(), "nothing more is wrong"
    assert unstamped(world) != before
