"""Price controls as things: values and steps (R66), daily limits (R67), windows and bounds (R69, R70)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.reference_acts import InstrumentTerms, LimitChange
from engine.reference_bounds import NO_BOUNDS, Bounds, Controls, DailyLimits, Trigger, Window
from engine.reference_payload import Payload
from engine.schema import Side, Tick

TERMS = InstrumentTerms("W", 3500, 1, 9000, 500, 10, 4500, 100, 10, Tick(1, 0), "", {})
NOTHING_NAMED = LimitChange("W", "", None, None, None, None)
SLICE = 1_000_000  # of a window of 8 ms, in ns


def controls(**said: int | str) -> Controls:
    made = Controls()
    made.change(said)
    return made


def test_what_is_named_replaces_what_was_and_the_rest_stays() -> None:
    made = controls(band_ticks=5, limit_steps="100,200")
    made.change({"band_ticks": 7, "long_ms": 9})
    assert made.said == {"band_ticks": 7, "limit_steps": "100,200", "long_ms": 9}
    assert (made.band_ticks, made.limit_steps, made.window_ms(), made.window_ticks()) == (
        7, [100, 200], (60_000, 9), (0, 0),
    )  # fmt: skip


def test_at_first_nothing_is_controlled() -> None:
    made = Controls()
    assert (made.band_ticks, made.limit_steps, made.most_value(TERMS), made.said) == (0, [], None, {})
    assert (made.window_ms(), made.window_ticks(), made.is_free_on("9999-12-31")) == ((60_000, 600_000), (0, 0), False)


@pytest.mark.parametrize(
    ("value", "tick", "size", "most"),
    [
        ("0", "1", 1, None), ("0.000000", "1", 1, None), ("", "1", 1, None),
        ("35000", "1", 3500, 10), ("34999.999999", "1", 3500, 9), ("3499", "1", 3500, 0),
        ("1", "0.005", 7, 28), ("999999999999999.999999", "0.000001", 1, 999_999_999_999_999_999_999),
        ("007.50", "0.25", 10, 3),
    ],
)  # fmt: skip
def test_the_greatest_value_is_a_whole_number_of_tick_lots(value: str, tick: str, size: int, most: int | None) -> None:
    terms = replace(TERMS, tick=Tick.parse(tick), contract_size=size)
    assert controls(max_order_value=value).most_value(terms) == most


@pytest.mark.parametrize("key", ["short_ticks", "long_ticks", "short_ms", "long_ms"])
def test_controls_of_windows_are_known(key: str) -> None:
    assert Controls.are_of_windows({key: 8})
    assert not Controls.are_of_windows({"band_ticks": 1, "limit_steps": "", "max_order_value": "1"})


def test_limits_end_on_their_day_and_never_on_an_unknown_one() -> None:
    made = controls(limit_free_from="2026-11-23")
    days = ("", "2026-11-22", "2026-11-23", "2027-01-01")
    assert [made.is_free_on(day) for day in days] == [False, False, True, True]
    assert not controls(limit_free_from="").is_free_on("2026-11-23")


def limits_after(
    step: int, run: int, locked: int, steps: str = "100,200,300", *, day: str = "", free: str = ""
) -> tuple[int, int, int]:
    """Step, side of the run and locked side after a limit.set that names no step."""
    limits = DailyLimits(TERMS)
    limits.step, limits.run_side, limits.locked_side = step, run, locked
    limits.change(NOTHING_NAMED, None, controls(limit_steps=steps, limit_free_from=free), day)
    return limits.step, limits.run_side, limits.locked_side


BUY, SELL = int(Side.BUY), int(Side.SELL)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((0, 0, 0), (1, 0, 0)),  # the first day with limits
        ((3, SELL, 0), (1, 0, 0)),  # no lock, no run
        ((1, 0, BUY), (2, BUY, BUY)),  # a run begins
        ((2, BUY, BUY), (3, BUY, BUY)),  # goes on
        ((3, BUY, BUY), (3, BUY, BUY)),  # as wide as it gets
        ((3, BUY, SELL), (2, SELL, SELL)),  # turns
        ((0, 0, SELL), (1, SELL, SELL)),
    ],
)
def test_a_run_of_locked_days_widens_the_limits(before: tuple[int, int, int], after: tuple[int, int, int]) -> None:
    assert limits_after(*before) == after


def test_no_step_is_above_those_there_are() -> None:
    assert limits_after(1, BUY, BUY, "100") == limits_after(1, SELL, BUY, "100") == (1, BUY, BUY)
    assert limits_after(2, BUY, BUY, "") == (0, BUY, BUY)
    assert limits_after(2, BUY, BUY, day="2026-11-23", free="2026-11-23") == (0, BUY, BUY)
    assert limits_after(2, BUY, BUY, day="2026-11-22", free="2026-11-23") == (3, BUY, BUY)


def test_a_named_step_changes_what_else_is_named() -> None:
    limits, made = DailyLimits(TERMS), controls(limit_steps="100,200")
    limits.change(replace(NOTHING_NAMED, step=2, locked=BUY, side=SELL), 1000, made, "")
    assert limits.picture() == {"settlement": 1000, "step": 2, "side": 2, "locked": 1, "low": 980, "high": 1020}
    limits.change(replace(NOTHING_NAMED, step=1), None, made, "")
    assert limits.picture() == {"settlement": 1000, "step": 1, "side": 2, "locked": 1, "low": 990, "high": 1010}
    limits.change(replace(NOTHING_NAMED, step=0, locked=0, side=0), None, made, "")
    assert limits.picture() == {"settlement": 1000, "step": 0, "side": 0, "locked": 0, "low": 1, "high": 9000}


@pytest.mark.parametrize(
    ("settlement", "low", "high"),
    [(199, 197, 201), (99, 99, 99), (9000, 8865, 9000), (2, 2, 2), (8999, 8865, 9000), (-300, -304, -296)],
)
def test_limits_are_rounded_to_the_settlement_and_held_within_the_band(settlement: int, low: int, high: int) -> None:
    limits = DailyLimits(replace(TERMS, min_price=-9000 if settlement < 0 else 1))
    limits.change(replace(NOTHING_NAMED, step=1), settlement, controls(limit_steps="150" if settlement > 99 else "100")
                  if settlement >= 0 else controls(limit_steps="150"), "")  # fmt: skip
    assert (limits.low, limits.high) == (low, high)
    assert [limits.admit(price) for price in (low - 1, low, high, high + 1)] == [False, True, True, False]
    assert (limits.held(low - 1), limits.held(low), limits.held(high + 9)) == (low, low, high)
    assert (limits.edge(Side.BUY), limits.edge(Side.SELL)) == (high, low)


def test_at_first_the_limits_are_the_band() -> None:
    assert DailyLimits(TERMS).picture() == {
        "settlement": 4500, "step": 0, "side": 0, "locked": 0, "low": 1, "high": 9000,
    }  # fmt: skip


def test_a_window_holds_its_last_eight_slices() -> None:
    window = Window()
    assert window.prices(5) is None
    for slice_number, price in ((10, 100), (10, 90), (10, 95), (12, 120), (17, 105)):
        window.note(slice_number, price)
    assert [window.prices(now) for now in (17, 18, 19, 20, 24, 25)] == [
        (90, 120), (105, 120), (105, 120), (105, 105), (105, 105), None,
    ]  # fmt: skip


def test_the_narrower_window_bounds_the_price() -> None:
    trigger = Trigger(controls(short_ms=8, short_ticks=3, long_ms=80, long_ticks=7))
    assert trigger.bounds(0) == NO_BOUNDS
    trigger.note(5 * SLICE, 100)
    trigger.note(6 * SLICE, 102)
    assert trigger.bounds(12 * SLICE) == Bounds(99, 103)
    assert trigger.bounds(13 * SLICE - 1) == Bounds(99, 103)
    assert trigger.bounds(13 * SLICE) == Bounds(99, 105)  # the trade at 100 has left the short window
    assert trigger.bounds(14 * SLICE) == Bounds(95, 107)
    assert trigger.bounds(79 * SLICE) == Bounds(95, 107)
    assert trigger.bounds(80 * SLICE) == NO_BOUNDS
    trigger.note(90 * SLICE, 100)
    trigger.controls.change({"short_ticks": 0, "long_ticks": 2})
    assert trigger.bounds(90 * SLICE) == Bounds(98, 102)
    trigger.controls.change({"long_ticks": 0, "short_ticks": 1})
    assert trigger.bounds(90 * SLICE) == Bounds(99, 101)
    trigger.empty()
    assert trigger.bounds(90 * SLICE) == NO_BOUNDS


def test_bounds_hold_what_lies_between_them() -> None:
    assert [Bounds(99, 101).hold(price) for price in (98, 99, 101, 102)] == [False, True, True, False]
    assert NO_BOUNDS.hold(2_000_000_000) and NO_BOUNDS.hold(-2_000_000_000)


def test_extensions_are_counted_per_call_as_far_as_a_byte_goes() -> None:
    trigger = Trigger(Controls())
    trigger.pull(Bounds(1, 2))
    assert [trigger.extend() for _ in range(257)][-4:] == [254, 255, 255, 255]
    trigger.pull(Bounds(3, 4))
    assert (trigger.pulled, trigger.extend()) == (Bounds(3, 4), 1)
    trigger.let_go()
    assert (trigger.pulled, trigger.extensions) == (None, 0)


def test_a_payload_is_not_shared_with_the_controls() -> None:
    said: Payload = {"band_ticks": 1}
    made = Controls()
    made.change(said)
    made.change({"band_ticks": 2})
    assert said == {"band_ticks": 1}
