"""What one seed of the order flow is made of: instruments, accounts, limits, and the rates of all that can happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.schema import Limits, Phase, Tick

KINDS: Final = ("place", "cancel", "amend", "mass_cancel", "disconnect", "tick", "restore", "act")
# What a seed is mostly made of (swarm testing); what a style does not favour is rare in it or off.
STYLES: Final = ("plain", "calls", "stops", "icebergs", "closes", "levers", "everything")
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
    phase_steps: Steps  # how much each phase is liked as the next one, in the order of Phase
    style: str
    width: int  # half the spread of prices around the centre, ticks
    lean: int  # how far buys stand below the centre and sells above it, ticks
    lean_call: int  # the same in a call, where orders may cross
    drift: int  # how far the centre may move in a chunk, ticks
    qty_max: int
    sessions: int
    stay: float  # mean commands that an instrument stays in continuous
    stay_call: float  # the same in a phase where orders enter without trading
    away: float  # the same in any other phase
    lifetime: float  # mean time until a gtd order expires, ns
    show_max: int  # greatest display_qty drawn
    p_hot: float
    p_sell: float
    p_market: float
    p_stop: float
    p_stop_limit: float
    p_to_limit: float
    p_display: float
    p_min_qty: float
    p_stop_step: float  # a stop at a stop price of its own
    p_reached: float  # a stop on the side that the last trade has reached already
    p_heedless: float  # an order that its phase or its other attributes forbid
    p_wrong: float  # a display, minimum, stop price or expiry that is wrong by itself
    p_call_open: float  # the venue opens with a call
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
    p_amend_stop: float
    p_amend_expire: float
    p_damage: float
    p_define: float
    p_uncross: float
    p_bad_terms: float
    p_time_back: float
    controls: bool  # price controls are set
    money: bool  # margin, fees, caps, kill switches are set
    ccys: tuple[str, ...]  # in which each account settles; "": in none
    p_lever: float  # an act is one of these
    pace: int  # mean time from one command to the next, ns


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
    group: str | None = None,
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
    if group is not None:
        payload["group"] = group
    size = Tick.parse(tick)
    bottom, top = size.ticks(low), size.ticks(high)
    middle = size.ticks(centre) if centre is not None else None
    assert bottom is not None and top is not None
    return Terms(payload, bottom, top, middle if middle is not None else (bottom + top) // 2, max_qty)


def draw_terms(rng: np.random.Generator, symbol: str) -> Terms:
    """Draw an instrument: narrow, ordinary, wide with a small window, negative, around zero, or of a single price."""
    max_qty = int(rng.choice([1, 30, 1000, 1_000_000, 1_000_000_000], p=[0.04, 0.24, 0.24, 0.24, 0.24]))
    protection = [None, 0, 1, 3, 1_000_000_000][rng.integers(5)]
    common: dict[str, Any] = {"max_qty": max_qty, "group": (None, "G1", "G1", "g/2")[rng.integers(4)]}
    match int(rng.integers(9)):
        case 0:
            return terms_of(symbol, "0.005", "3.000", "3.100", protection=protection, **common)
        case 1:
            return terms_of(symbol, "0.005", "1.000", "9.000", centre="3.005", **common)
        case 2:
            return terms_of(symbol, "1", "-1000000", "1000000", centre="17", window=16, **common)
        case 3:
            return terms_of(symbol, "0.50", "-60.00", "-2.50", protection=protection, window=64, **common)
        case 4:
            return terms_of(symbol, "0.01", "-0.08", "0.07", protection=protection, window=5, **common)
        case 5:
            # The window starts at an edge of the band: all far prices lie on one side of it.
            edge = ["-2000000000", "2000000000", "-1999999990", "0"][rng.integers(4)]
            return terms_of(symbol, "1", "-2000000000", "2000000000", centre=edge, window=7, **common)
        case 6:
            return terms_of(symbol, "25", "1000", "1000", protection=protection, **common)
        case 7:
            return terms_of(symbol, "1", "-20000", "20000", centre="-18000", window=20_000, **common)
        case _:
            return terms_of(symbol, "50", "100", "30100", centre="1550", window=1, **common)


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


def _draw_phases(rng: np.random.Generator, style: str) -> Steps:
    """Draw how much each phase is liked; halts and closings are rarer, so that days see the rest."""
    liked = {phase: float(rng.uniform(0.4, 1)) if rng.random() < 0.85 else 0.0 for phase in Phase}
    liked[Phase.CLOSED] = float(rng.uniform(0.02, 0.2))
    liked[Phase.HALTED] = float(rng.uniform(0.02, 0.3))
    liked[Phase.CONTINUOUS] = 1.0
    match style:
        case "plain":
            liked = {phase: liked[phase] if phase <= Phase.HALTED else 0.0 for phase in Phase}
            liked[Phase.PRE_OPEN] *= 0.1
        case "calls":
            for phase in (Phase.PRE_OPEN, Phase.NO_CANCEL, Phase.VOLATILITY_AUCTION, Phase.PRE_CLOSE):
                liked[phase] = 2.0
            liked[Phase.CONTINUOUS] = 0.5
        case "closes":
            for phase in Phase:
                if phase >= Phase.PRE_CLOSE:
                    liked[phase] = 2.0
    return steps([liked[phase] for phase in Phase])


def draw_mix(rng: np.random.Generator, fixed: dict[str, Any]) -> Mix:
    """Draw a mix; each feature is off in a part of the seeds, and the fields named in `fixed` are set as given."""

    def some(off: float, low: float, high: float) -> float:
        return 0.0 if rng.random() < off else float(rng.uniform(low, high))

    far = rng.random() < 0.1
    style = "everything" if far else STYLES[rng.integers(len(STYLES))]
    rich = style != "plain"

    def mostly(favourite: str, low: float, high: float) -> float:
        """A rate that is high in seeds of one style, off in plain ones and low in the others."""
        if style == favourite:
            return float(rng.uniform(low, high))
        return some(0.3, low / 20, high / 4) if rich else 0.0

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
        "tick": some(0.2, 0.01, 0.2),
        "restore": some(0.7, 0.002, 0.02),
        "act": some(0.2, 0.003, 0.05) if not far else 0.002,
    }
    controls = rich and not far and (rng.random() < 0.7 if style == "levers" else rng.random() < 0.35)
    money = rich and not far and (not controls if style == "levers" else rng.random() < 0.35)
    money = money or (style == "levers" and rng.random() < 0.3)
    controls, money = bool(fixed.get("controls", controls)), bool(fixed.get("money", money))
    if controls or money:
        kinds["act"] = max(kinds["act"], 0.15 if style == "levers" else 0.03)
    if style in ("calls", "closes"):
        kinds["act"] = max(kinds["act"], 0.01)  # without acts an instrument never leaves continuous
    width = int(rng.choice([1, 2, 4, 8, 20, 60]))
    unpriced = style == "calls" and rng.random() < 0.5  # calls in which hardly anybody names a price
    busy = 0.25 if style in ("calls", "closes") else 1.0
    mix = Mix(
        instruments=instruments,
        accounts=accounts,
        limits=draw_limits(rng),
        day=bool(rng.random() < 0.35),
        kind_steps=steps([kinds[name] for name in KINDS]),
        tif_steps=steps(
            [
                *(1, some(0.2, 0.1, 3), some(0.3, 0.03, 0.6), some(0.3, 0.03, 0.6)),
                *(some(0.3, 0.05, 1.5), some(0.3, 0.05, 0.6), mostly("closes", 0.3, 1)),
            ]
        ),
        smp_steps=steps([1, *(some(0.4, 0.2, 2) for _ in range(5))]),
        target_steps=steps([8, rng.uniform(0.5, 3), some(0.2, 0.1, 0.8), some(0.2, 0.03, 0.3)]),
        naming_steps=steps([1, some(0.2, 0.2, 2), some(0.2, 0.2, 2)]),
        phase_steps=_draw_phases(rng, style),
        style=style,
        width=width,
        lean=int(rng.integers(0, width + 3)),
        lean_call=int(rng.integers(-width, width + 2)),
        drift=int(rng.choice([0, 0, 1, 3])),
        qty_max=int(rng.choice([1, 3, 10, 25])) if style != "icebergs" else int(rng.choice([10, 40])),
        sessions=int(rng.integers(0, 4)),
        stay=float(rng.choice([60, 300, 1500])) * busy if not far else 6000.0,
        stay_call=float(rng.choice([15, 60, 250])) if not far else 200.0,
        away=float(rng.choice([2, 5, 20])),
        lifetime=float(rng.choice([2e3, 5e4, 1e6])),
        show_max=int(rng.choice([1, 3, 8])),
        p_hot=float(rng.choice([0.0, 0.5, 0.95])),
        p_sell=0.5,
        p_market=some(0.3, 0.01, 0.15) if not unpriced else 0.55,
        p_stop=mostly("stops", 0.05, 0.25) if not far else 0.02,
        p_stop_limit=mostly("stops", 0.05, 0.3) if not far else 0.02,
        p_to_limit=0.4 if unpriced else mostly("calls", 0.05, 0.3),
        p_display=mostly("icebergs", 0.3, 0.8),
        p_min_qty=some(0.4, 0.01, 0.15) if rich else 0.0,
        p_stop_step=some(0.8, 0.2, 0.9),
        p_reached=some(0.2, 0.02, 0.4),
        p_heedless=some(0.2, 0.01, 0.2),
        p_wrong=some(0.3, 0.002, 0.03),
        p_call_open=float(rng.choice([0.0, 0.5, 1.0])) if rich and not far else 0.0,
        p_smp_id=some(0.4, 0.05, 0.7),
        p_post_only=some(0.4, 0.02, 0.4),
        p_off_tick=some(0.5, 0.001, 0.02),
        p_anywhere=some(0.4, 0.005, 0.15) if not far else 0.0005,
        p_far_step=0.75 if far else some(0.85, 0.02, 0.2),
        p_beyond=some(0.4, 0.001, 0.03) if not far else 0.0,
        p_big=some(0.5, 0.002, 0.05) if not far else 0.0,
        p_repeat_id=some(0.3, 0.005, 0.2),
        p_near=float(rng.uniform(0, 1)),
        p_foreign=some(0.4, 0.01, 0.2),
        p_amend_price=some(0.1, 0.1, 0.9),
        p_amend_qty=some(0.1, 0.1, 0.9),
        p_amend_id=some(0.3, 0.05, 0.6),
        p_amend_stop=some(0.1, 0.1, 0.9),
        p_amend_expire=some(0.1, 0.1, 0.9),
        p_damage=some(0.25, 0.001, 0.05),
        p_define=some(0.4, 0.02, 0.3),
        p_uncross=some(0.3, 0.2, 0.8),
        p_bad_terms=some(0.3, 0.02, 0.4),
        p_time_back=some(0.4, 0.01, 0.3),
        controls=controls,
        money=money,
        ccys=tuple(("", "VND", "USD", "EUR")[rng.integers(4)] if money else "" for _ in accounts),
        p_lever=0.0 if not (controls or money) else 0.8 if style == "levers" else 0.4,
        pace=int(rng.choice([500, 100_000, 2_000_000])) if controls else 500,
    )
    mix = replace(mix, **fixed)
    spare = ("",) * max(0, len(mix.accounts) - len(mix.ccys))
    return replace(mix, ccys=(*mix.ccys, *spare)[: len(mix.accounts)])
