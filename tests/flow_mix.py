"""What one seed of the order flow is made of: instruments, accounts, limits, and the rates of all that can happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.schema import Limits, Tick

KINDS: Final = ("place", "cancel", "amend", "mass_cancel", "disconnect", "tick", "restore", "act")
Steps = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """An instrument as the flow knows it: the payload of its definition, and its band in ticks."""

    payload: dict[str, Any]
    low: int
    high: int
    centre: int
    max_qty: int


@dataclass(frozen=True)
class Mix:
    """The drawn features of one seed; a rate is a probability per row, steps are those of a choice, cumulated."""

    instruments: tuple[Terms, ...]
    accounts: tuple[tuple[str, str, str], ...]
    limits: Limits
    day: bool
    kind_steps: Steps
    tif_steps: Steps
    smp_steps: Steps
    target_steps: Steps  # live, of this chunk, ended, unknown
    naming_steps: Steps  # order_id, key, cl_ord_id
    phase_steps: Steps
    width: int  # half the spread of prices around the centre, ticks
    lean: int  # how far buys stand below the centre and sells above it, ticks
    drift: int  # how far the centre may move in a chunk, ticks
    qty_max: int
    sessions: int
    away: float  # mean commands until an instrument that left trading is reopened
    p_hot: float
    p_sell: float
    p_market: float
    p_smp_id: float
    p_post_only: float
    p_off_tick: float
    p_anywhere: float
    p_far_step: float
    p_beyond: float
    p_big: float
    p_repeat_id: float
    p_near: float
    p_foreign: float
    p_amend_price: float
    p_amend_qty: float
    p_amend_id: float
    p_damage: float
    p_define: float
    p_bad_terms: float
    p_time_back: float


def steps(weights: Sequence[float]) -> Steps:
    """Turn weights into the cumulative probabilities that `searchsorted` draws from."""
    total: Steps = np.cumsum(np.asarray(weights, np.float64))
    cumulated: Steps = total[:-1] / total[-1]
    return cumulated


def terms_of(
    symbol: str,
    tick: str,
    low: str,
    high: str,
    *,
    max_qty: int = 1_000_000,
    centre: str | None = None,
    protection: int | None = None,
    window: int | None = None,
) -> Terms:
    """Write down an instrument; prices as decimals, `centre` also its reference price."""
    payload: dict[str, Any] = {
        "symbol": symbol,
        "ccy": "USD",
        "unit": "lb",
        "contract_size": 3500,
        "tick": tick,
        "min_price": low,
        "max_price": high,
        "max_order_qty": max_qty,
    }
    if centre is not None:
        payload["reference_price"] = centre
    if protection is not None:
        payload["protection_ticks"] = protection
    if window is not None:
        payload["window_ticks"] = window
    size = Tick.parse(tick)
    bottom, top = size.ticks(low), size.ticks(high)
    middle = size.ticks(centre) if centre is not None else None
    assert bottom is not None and top is not None
    return Terms(payload, bottom, top, middle if middle is not None else (bottom + top) // 2, max_qty)


def draw_terms(rng: np.random.Generator, symbol: str) -> Terms:
    """Draw an instrument: narrow, ordinary, wide with a small window, negative, around zero, or of a single price."""
    max_qty = int(rng.choice([30, 1000, 1_000_000, 1_000_000_000]))
    protection = [None, 0, 1, 3, 1_000_000_000][rng.integers(5)]
    match int(rng.integers(9)):
        case 0:
            return terms_of(symbol, "0.005", "3.000", "3.100", max_qty=max_qty, protection=protection)
        case 1:
            return terms_of(symbol, "0.005", "1.000", "9.000", max_qty=max_qty, centre="3.005")
        case 2:
            return terms_of(symbol, "1", "-1000000", "1000000", max_qty=max_qty, centre="17", window=16)
        case 3:
            return terms_of(symbol, "0.50", "-60.00", "-2.50", max_qty=max_qty, protection=protection, window=64)
        case 4:
            return terms_of(symbol, "0.01", "-0.08", "0.07", max_qty=max_qty, protection=protection, window=5)
        case 5:
            # The window starts at an edge of the band: all far prices lie on one side of it.
            edge = ["-2000000000", "2000000000", "-1999999990", "0"][rng.integers(4)]
            return terms_of(symbol, "1", "-2000000000", "2000000000", max_qty=max_qty, centre=edge, window=7)
        case 6:
            return terms_of(symbol, "25", "1000", "1000", max_qty=max_qty, protection=protection)
        case 7:
            return terms_of(symbol, "1", "-20000", "20000", max_qty=max_qty, centre="-18000", window=20_000)
        case _:
            return terms_of(symbol, "50", "100", "30100", max_qty=max_qty, centre="1550", window=1)


def draw_limits(rng: np.random.Generator) -> Limits:
    """Draw the venue's sizes: mostly roomy, sometimes so small that orders or the day's ids run out."""
    limits = Limits(instruments=6, accounts=14, orders=1 << 14, levels=1 << 18, day_ids=1 << 18)
    draw = rng.random()
    if draw < 0.15:
        return limits._replace(orders=int(rng.integers(8, 120)))
    if draw < 0.25:
        return limits._replace(day_ids=int(rng.choice([40, 300, 2000, 4000])))
    if draw < 0.32:
        return limits._replace(instruments=int(rng.integers(2, 5)), accounts=12, levels=1 << 15)
    return limits


def draw_mix(rng: np.random.Generator, fixed: dict[str, Any]) -> Mix:
    """Draw a mix; each feature is off in a part of the seeds, and the fields named in `fixed` are set as given."""

    def some(off: float, low: float, high: float) -> float:
        return 0.0 if rng.random() < off else float(rng.uniform(low, high))

    far = rng.random() < 0.12
    instruments = tuple(draw_terms(rng, f"S{number}") for number in range(1, int(rng.integers(1, 5)) + 1))
    if far:
        wide = terms_of("S1", "1", "-1000000", "1000000", centre="17", window=16, protection=1)
        instruments = (wide, *instruments[1:])
    members, owners = int(rng.integers(1, 4)), int(rng.integers(1, 5))
    accounts = tuple(
        (f"A{number}", f"M{int(rng.integers(1, members + 1))}", f"B{int(rng.integers(1, owners + 1))}")
        for number in range(1, int(rng.integers(2, 10)) + 1)
    )
    kinds = {
        "place": rng.uniform(3, 9) if not far else 8.0,
        "cancel": some(0.1, 0.2, 2) if not far else 0.2,
        "amend": some(0.1, 0.3, 3) if not far else 0.3,
        "mass_cancel": some(0.5, 0.002, 0.04) if not far else 0.0,
        "disconnect": some(0.5, 0.002, 0.04) if not far else 0.0,
        "tick": some(0.3, 0.01, 0.2),
        "restore": some(0.7, 0.002, 0.02),
        "act": some(0.2, 0.003, 0.05) if not far else 0.002,
    }
    width = int(rng.choice([1, 2, 4, 8, 20, 60]))
    mix = Mix(
        instruments=instruments,
        accounts=accounts,
        limits=draw_limits(rng),
        day=bool(rng.random() < 0.35),
        kind_steps=steps([kinds[name] for name in KINDS]),
        tif_steps=steps([1, some(0.2, 0.1, 3), some(0.3, 0.03, 0.6), some(0.3, 0.03, 0.6)]),
        smp_steps=steps([1, *(some(0.4, 0.2, 2) for _ in range(5))]),
        target_steps=steps([8, rng.uniform(0.5, 3), some(0.2, 0.1, 0.8), some(0.2, 0.03, 0.3)]),
        naming_steps=steps([1, some(0.2, 0.2, 2), some(0.2, 0.2, 2)]),
        phase_steps=steps([some(0.5, 0.05, 0.4), some(0.3, 0.2, 1), 0.3, some(0.3, 0.2, 1)]),
        width=width,
        lean=int(rng.integers(0, width + 3)),
        drift=int(rng.choice([0, 0, 1, 3])),
        qty_max=int(rng.choice([1, 3, 10, 25])),
        sessions=int(rng.integers(0, 4)),
        away=float(rng.choice([4, 20, 100])),
        p_hot=float(rng.choice([0.0, 0.5, 0.95])),
        p_sell=0.5,
        p_market=some(0.3, 0.01, 0.15),
        p_smp_id=some(0.4, 0.05, 0.7),
        p_post_only=some(0.4, 0.02, 0.4),
        p_off_tick=some(0.5, 0.001, 0.02),
        p_anywhere=some(0.4, 0.005, 0.15) if not far else 0.0005,
        p_far_step=0.75 if far else some(0.85, 0.02, 0.2),
        p_beyond=some(0.4, 0.001, 0.03),
        p_big=some(0.5, 0.002, 0.05) if not far else 0.0,
        p_repeat_id=some(0.3, 0.005, 0.2),
        p_near=float(rng.uniform(0, 1)),
        p_foreign=some(0.4, 0.01, 0.2),
        p_amend_price=some(0.1, 0.1, 0.9),
        p_amend_qty=some(0.1, 0.1, 0.9),
        p_amend_id=some(0.3, 0.05, 0.6),
        p_damage=some(0.25, 0.001, 0.05),
        p_define=some(0.4, 0.02, 0.3),
        p_bad_terms=some(0.3, 0.02, 0.4),
        p_time_back=some(0.4, 0.01, 0.3),
    )
    return replace(mix, **fixed)
