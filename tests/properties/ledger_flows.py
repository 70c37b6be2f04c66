"""Flows that reach what the ledger has laws about and an ordinary seed seldom does: price controls, and money."""

from __future__ import annotations

from typing import Any, Final

from tests.flow_mix import steps

# Acts come often, so that limits change and calls end while orders live.
LIMITS: Final[dict[str, Any]] = {
    "controls": True,
    "money": False,
    "p_lever": 0.6,
    "kind_steps": steps([7, 0.8, 1.5, 0.02, 0.02, 0.1, 0.01, 0.35]),
    "stay": 60.0,
    "stay_call": 15.0,
    "away": 5.0,
    "p_bad_terms": 0.02,
}
UNPRICED: Final = {**LIMITS, "p_market": 0.25, "p_to_limit": 0.15, "pace": 2_000_000, "lean_call": -3}
AT_CLOSE: Final = {
    **LIMITS,
    "p_lever": 0.5,
    "kind_steps": steps([7, 0.4, 1, 0.02, 0.02, 0.1, 0.01, 0.25]),
    "tif_steps": steps([1, 1, 0.1, 0.1, 0.5, 0.1, 0.8]),
    "p_market": 0.1,
    "pace": 100_000,
}
# Money binds where most accounts settle in the currency of the instruments, or in one that fixings are likely for.
MONEY: Final[dict[str, Any]] = {
    **LIMITS,
    "controls": False,
    "money": True,
    "ccys": ("USD", "VND", "USD", "EUR", "", "USD", "VND", "USD", "USD"),
}
BUSY: Final = {**MONEY, "controls": True, "p_amend_qty": 0.9, "stay": 300.0}
# Seeds that between them suspend and bring back orders, pull triggers by places and amends, extend calls (one twice),
# restore suspended orders, cancel by limits in acts, elections and closing calls, and find prices of unpriced orders.
CONTROLLED: Final = {
    **{f"limits-{seed}": (seed, LIMITS) for seed in (306, 316, 331)},
    **{f"unpriced-{seed}": (seed, UNPRICED) for seed in (305, 310, 331)},
    **{f"at close-{seed}": (seed, AT_CLOSE) for seed in (311, 317, 331)},
    **{f"busy-{seed}": (seed, BUSY) for seed in (304, 331)},
}
# Seeds in which money binds: gates refuse and let in, by margin and cap; fees of all roles; every kill switch.
MONEYED: Final = {
    **{f"money-{seed}": (seed, MONEY) for seed in (303, 306, 307, 310, 316, 324, 335)},
    **{f"busy-{seed}": (seed, BUSY) for seed in (304, 323, 330)},
}
