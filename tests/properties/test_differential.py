"""The compiled core equals the reference: event for event, byte for byte, on seeded generated commands.

Blocks of 1 to 512 rows, half of them through event buffers so small that long commands are carried on (R36); every
1,000 commands both pictures of the world are compared and the core's invariants checked. A difference is shrunk, kept
as a file of tests/corpus and printed field by field (`tests/properties/pair.py`).
"""

from __future__ import annotations

import time
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.core.lane import CHECKED, PLAIN
from engine.schema import (
    COMMAND,
    HAS_PRICE,
    HAS_STOP,
    MAX_FAR_LEVELS,
    AuctionStep,
    Code,
    CommandKind,
    EventKind,
    Limits,
    OrdType,
    Reason,
    TimeInForce,
)
from tests.flow import Flow, act_rows, client_id_keys, client_ids, encode
from tests.flow_mix import steps, terms_of
from tests.properties import campaign, odd_acts
from tests.properties.campaign import count_events, run_seed
from tests.properties.pair import (
    Block,
    Core,
    Difference,
    Matcher,
    Pair,
    Readable,
    Rows,
    Script,
    cut,
    from_json,
    play,
    shrink,
    to_json,
)

# The ordinary, the bounds-checked and the uncompiled run: 160,000, 60,000 and 5,000 commands.
SEEDS = 20 if PLAIN else 40
COMMANDS = 250 if PLAIN else 1500 if CHECKED else 4000
NIGHTLY_SEEDS = 25
NIGHTLY_COMMANDS = 80_000


@pytest.mark.jit_off
@pytest.mark.bounds
@pytest.mark.parametrize("seed", range(SEEDS))
def test_core_equals_reference_on_generated_flow(seed: int) -> None:
    """Whatever is asked, both programs say the same bytes and end in the same world."""
    run_seed(seed, COMMANDS)


ROOMY = Limits(instruments=6, accounts=14, orders=1 << 14, levels=1 << 17, day_ids=1 << 18)
FREE: dict[str, Any] = {"controls": False, "money": False, "p_lever": 0.0}  # orders are held up by nothing else


@cache
def run_out_of_far_levels() -> Counter[tuple[str, int]]:
    """Place at ever farther prices and hardly do anything else."""
    far = terms_of("S1", "1", "-1000000", "1000000", centre="17", window=16, protection=1)
    return run_seed(
        7001, 13_000, instruments=(far,), limits=ROOMY, day=False, p_far_step=0.9, p_anywhere=0.0, p_market=0.0,
        width=4, lean=5, p_beyond=0.0, p_stop=0.0, p_stop_limit=0.03, p_display=0.0, p_stop_step=0.0,
        p_damage=0.001, p_repeat_id=0.0, kind_steps=steps([95, 2, 3, 0, 0, 0, 0, 0]), tif_steps=steps([1, 1, 0, 0]),
        look_every=6500, **FREE,
    )  # fmt: skip


@cache
def run_out_of_stop_levels() -> Counter[tuple[str, int]]:
    """Let stops wait at ever farther stop prices, and hardly anything trade."""
    wide = terms_of("S1", "1", "-1000000", "1000000", centre="17", window=16)
    return run_seed(
        7009, 4000, instruments=(wide,), limits=ROOMY, day=False, width=4, lean=5, p_stop=0.4, p_stop_limit=0.4,
        p_beyond=0.0, p_stop_step=0.95, p_damage=0.001, p_repeat_id=0.0, kind_steps=steps([95, 2, 3, 0, 0, 0, 0, 0]),
        tif_steps=steps([1, 1, 0, 0]), **FREE,
    )  # fmt: skip


@cache
def run_out_of_names() -> Counter[tuple[str, int]]:
    """Define instruments and accounts until no more fit."""
    return run_seed(
        7003, 1500, p_define=0.8, p_bad_terms=0.2, limits=ROOMY, kind_steps=steps([6, 2, 2, 0.1, 0.1, 0.1, 0.1, 3]),
        **FREE,
    )  # fmt: skip


@cache
def call_without_prices() -> Counter[tuple[str, int]]:
    """Hold calls in which hardly anybody names a price."""
    return run_seed(
        7011, 1500, limits=ROOMY, day=False, p_market=0.5, p_to_limit=0.47, p_stop=0.0, p_stop_limit=0.0,
        p_heedless=0.0, p_call_open=1.0, p_uncross=0.8, stay_call=250.0, kind_steps=steps([9, 0, 0, 0, 0, 0, 0, 1]),
        **FREE,
    )  # fmt: skip


def test_calls_without_prices_show_no_difference() -> None:
    """R52: with unpriced orders on both sides only, the reference price it is."""
    found = call_without_prices()
    assert found["step", AuctionStep.UNPRICED] > 5


def test_far_levels_run_out_in_both_alike() -> None:
    """R15: more than 4,096 levels of a side outside the window; it takes a seed of its own to get there."""
    assert run_out_of_far_levels()["code", Code.FAR_LEVELS_FULL] > 20


def test_stop_levels_run_out_in_both_alike() -> None:
    """R15: stops of one side at more than 1,024 different stop prices."""
    assert run_out_of_stop_levels()["code", Code.STOP_LEVELS_FULL] > 20


def test_names_run_out_in_both_alike() -> None:
    """R40, R41: the venue's instruments and accounts have limits."""
    found = run_out_of_names()
    assert found["code", Code.INSTRUMENTS_FULL] > 20 and found["code", Code.ACCOUNTS_FULL] > 20


@pytest.mark.bounds
def test_a_widely_filled_window_shows_no_difference() -> None:
    """A window of half a million ticks with orders far apart: every tier of its occupancy is searched."""
    huge = terms_of("S1", "1", "-400000", "400000", centre="0", window=1 << 19)
    run_seed(
        7005, 1500, instruments=(huge,), limits=Limits(2, 14, 1 << 12, 1 << 21, 1 << 16), day=False, p_anywhere=0.9,
        p_damage=0.0, p_far_step=0.0, kind_steps=steps([5, 4, 1, 0.1, 0, 0, 0, 0]), look_every=1500,
    )  # fmt: skip


@pytest.mark.jit_off
@pytest.mark.bounds
def test_long_lived_orders_of_a_small_venue_keep_their_ids() -> None:
    """Few orders, most of them very old: places that their ids would have in an index are taken again and again."""
    limits = Limits(instruments=1, accounts=1, orders=100, levels=1 << 12, day_ids=1 << 12)
    pair, dice = Pair(limits), np.random.default_rng(5)
    acts = [
        (CommandKind.INSTRUMENT_DEFINE, encode(terms_of("S1", "1", "-50", "50").payload)),
        (CommandKind.ACCOUNT_DEFINE, encode({"account": "A1", "member": "M1", "owner": "B1"})),
        (CommandKind.PHASE_SET, encode({"symbol": "ALL", "phase": "continuous"})),
    ]
    pair.run(Block(*act_rows(acts, 1)))
    rows = np.zeros(6000, COMMAND)
    rows["seq"], rows["account"] = 4 + np.arange(len(rows)), 1
    rows["cl_ord_id"] = client_ids(np.arange(len(rows)))
    live: list[int] = []
    for row in rows:
        if len(live) < 60 + dice.integers(0, 40):
            row["kind"], row["instrument"], row["ord_type"], row["time_in_force"] = 1, 1, 1, 2
            row["side"], row["flags"], row["order_qty"] = 1 + len(live) % 2, HAS_PRICE, 3
            row["price"] = dice.integers(1, 20) * (1 if len(live) % 2 else -1)
            live.append(int(row["seq"]))
            continue
        # Mostly the newest goes, so that the others grow old; now and then one that went before is asked for.
        at = -1 if dice.random() < 0.93 else int(dice.integers(len(live)))
        row["kind"], row["cl_ord_id"] = CommandKind.ORDER_CANCEL, b""
        row["target_lo"] = live.pop(at) if dice.random() < 0.95 else dice.integers(4, row["seq"])
        if row["target_lo"] in live:
            live.remove(int(row["target_lo"]))
    for part in cut(rows, [300] * 20):
        pair.run(Block(part, b"", 64))
        pair.check()
    pair.compare()
    assert len(pair.expected.dump()["orders"]) == len(live)


@pytest.mark.slow
@pytest.mark.bounds
def test_tens_of_thousands_of_live_orders_show_no_difference() -> None:
    """A state that has outgrown what the small venues of the other seeds ever hold."""
    calm = terms_of("S1", "1", "-1000", "1000", centre="0", max_qty=1000)
    found = run_seed(
        7007, 36_000, instruments=(calm,), limits=Limits(2, 14, 1 << 16, 1 << 16, 1 << 17), day=False, p_near=0.2,
        width=300, lean=290, drift=0, p_damage=0.001, p_repeat_id=0.01, tif_steps=steps([1, 2, 0, 0.1]), sessions=0,
        p_stop=0.0, p_stop_limit=0.0, p_to_limit=0.0, p_market=0.0, p_heedless=0.0, p_anywhere=0.0,
        p_beyond=0.0, p_min_qty=0.0, p_wrong=0.0,
        kind_steps=steps([14, 2, 2, 0, 0, 0, 0, 0]), look_every=12_000, **FREE,
    )  # fmt: skip
    born, ended = found["kind", EventKind.ORDER_ACCEPTED], found["kind", EventKind.ORDER_CANCELED]
    assert born - ended > 20_000


def test_a_restatement_may_fill_every_limit() -> None:
    """R45, R15: restores are refused where levels, orders or ids run out, in both alike."""
    wide = terms_of("S1", "1", "-1000000", "1000000", centre="17", window=16)
    for limits, code in (
        (ROOMY, Code.FAR_LEVELS_FULL),
        (ROOMY._replace(orders=4000), Code.ORDERS_FULL),
        (ROOMY._replace(day_ids=4000), Code.DAY_ID_LIMIT),
    ):
        pair = Pair(limits)
        acts = [
            (CommandKind.DAY_OPEN, encode({"trading_day": "2026-11-23", "next_trade_id": 1})),
            (CommandKind.INSTRUMENT_DEFINE, encode(wide.payload)),
            (CommandKind.ACCOUNT_DEFINE, encode({"account": "A1", "member": "M1", "owner": "B1"})),
        ]
        pair.run(Block(*act_rows(acts, 10_001)))
        count = 4200
        rows = np.zeros(count + 2, COMMAND)
        rows["kind"], rows["seq"], rows["account"], rows["instrument"] = 7, 10_004 + np.arange(count + 2), 1, 1
        rows["side"], rows["ord_type"], rows["time_in_force"], rows["order_qty"], rows["min_qty"] = 1, 1, 2, 5, 3
        rows["price"], rows["target_lo"] = -100 - np.arange(count + 2), 1 + np.arange(count + 2)
        rows["cl_ord_id"] = client_ids(np.arange(count + 2))
        # The last two lie at a level that exists and inside the window.
        rows["price"][-2:] = (-100, 16)
        events = pair.run(Block(rows, b"", 64))
        assert {Code.OK, code} == {Code(value) for value in events["code"].tolist()}
        pair.run(Block(*act_rows([(CommandKind.DAY_START, b"{}")], 20_000)))
        pair.compare()
        pair.check()


@pytest.mark.jit_off
def test_every_wrong_form_of_every_act_is_answered_alike() -> None:
    """R40 to R44, R54: keys, values, spacing and places of payloads, one after another."""
    codes: Counter[int] = Counter()
    for script in odd_acts.scripts():
        pair = Pair(script.limits)
        for block in script.blocks:
            codes.update(pair.run(block)["code"].tolist())
        pair.compare()
    assert codes[Code.BAD_TERMS] > 1000 and codes[Code.OK] > 500


def test_a_used_up_venue_is_followed_by_another() -> None:
    """A long run does not spend itself on refusals: with the day's ids gone, the seed goes on with a new venue."""
    found = run_seed(7004, 6000, limits=ROOMY._replace(day_ids=100), kind_steps=steps([9, 1, 1, 0, 0, 0, 0, 0]), **FREE)
    accepted = found["kind", EventKind.ORDER_ACCEPTED]
    assert accepted > 300, "more than three venues let in"
    assert found["code", Code.DAY_ID_LIMIT] > 2000


def test_a_venue_of_ordinary_size_shows_no_difference() -> None:
    """The limits that a venue starts with, instead of the tiny ones."""
    run_seed(7002, 3000, limits=Limits())


def test_flow_reaches_every_event_and_every_refusal() -> None:
    """The flow is worth its name only if all of the vocabulary comes up."""
    seen = run_out_of_far_levels() + run_out_of_names() + run_out_of_stop_levels() + call_without_prices()
    seen += run_seed(7004, 1000, limits=ROOMY._replace(day_ids=200))
    for seed in range(24):
        seen += run_seed(seed, 2000)
    for seed in range(24, 32):
        seen += run_seed(seed, 1500, controls=True, money=True, p_lever=0.6)
    canceled_late: Counter[tuple[str, int]] = Counter()
    count_events(orders_without_room(), canceled_late)
    seen += canceled_late
    for field, vocabulary in (("kind", EventKind), ("code", Code), ("reason", Reason), ("step", AuctionStep)):
        found = {vocabulary(value).name for name, value in seen if name == field}
        assert sorted(found) == sorted(member.name for member in vocabulary)


def orders_without_room() -> Rows:
    """Fill the far levels of the buys, and let orders that were let in before want one: a stop, a market_to_limit
    order, one for the closing call. Return the events of the three ends."""
    pair = Pair(Limits(instruments=1, accounts=2, orders=1 << 13, levels=1 << 14, day_ids=1 << 13))
    terms = terms_of("S1", "1", "-10000", "10000", centre="0", window=16)
    acts = [(CommandKind.INSTRUMENT_DEFINE, encode(terms.payload))]
    acts += [
        (CommandKind.ACCOUNT_DEFINE, encode({"account": name, "member": name, "owner": name})) for name in ("A1", "A2")
    ]
    acts += [(CommandKind.PHASE_SET, encode({"symbol": "S1", "phase": "continuous"}))]
    pair.run(Block(*act_rows(acts, 1)))
    seq = 1 + len(acts)

    def places(count: int, **words: Any) -> Rows:
        nonlocal seq
        rows = np.zeros(count, COMMAND)
        rows["kind"], rows["seq"], rows["instrument"] = CommandKind.ORDER_PLACE, seq + np.arange(count), 1
        rows["account"], rows["side"], rows["ord_type"], rows["time_in_force"] = 1, 1, 1, 1
        rows["order_qty"], rows["flags"], rows["cl_ord_id"] = 5, HAS_PRICE, client_ids(seq + np.arange(count))
        for name, value in words.items():
            rows[name] = value
        seq += count
        return pair.run(Block(rows, b"", 64))

    places(1, price=-50, time_in_force=TimeInForce.AT_CLOSE)
    places(1, ord_type=OrdType.STOP_LIMIT, flags=HAS_PRICE | HAS_STOP, stop_price=5, price=60, time_in_force=2)
    places(MAX_FAR_LEVELS, price=-100 - np.arange(MAX_FAR_LEVELS))
    assert places(1, price=-60)["code"][0] == Code.FAR_LEVELS_FULL
    places(1, side=2, account=2, price=5, order_qty=1)
    stopped = places(1, price=5, order_qty=1)
    places(1, side=2, account=2, price=70, order_qty=1)
    limited = places(1, ord_type=OrdType.MARKET_TO_LIMIT, flags=0)
    closing = pair.run(Block(*act_rows([(CommandKind.PHASE_SET, encode({"symbol": "S1", "phase": "pre_close"}))], seq)))
    pair.compare()
    pair.check()
    return np.concatenate([stopped, limited, closing])


def test_an_order_that_finds_no_room_later_is_canceled() -> None:
    """R15: levels_full is the end of a stop, of a market_to_limit order and of one that joins the closing call."""
    events = orders_without_room()
    ends = events[events["kind"] == EventKind.ORDER_CANCELED]
    assert ends["reason"].tolist() == [Reason.LEVELS_FULL] * 3
    assert ends["ord_type"].tolist() == [OrdType.LIMIT, OrdType.MARKET_TO_LIMIT, OrdType.LIMIT]
    assert ends["delta_qty"].tolist() == [5, 4, 5]


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(100_000, 100_000 + NIGHTLY_SEEDS))
def test_two_million_generated_commands_show_no_difference(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The full count: 25 seeds of 80,000 commands."""
    started = time.perf_counter()
    counts = run_seed(seed, NIGHTLY_COMMANDS)
    events = sum(count for (field, _), count in counts.items() if field == "kind")
    with capsys.disabled():
        done = (seed - 99_999) * NIGHTLY_COMMANDS
        print(
            f"\n  {done:,} commands, seed {seed}: {events:,} events equal, {time.perf_counter() - started:.1f} s",
            end="",
        )


# --- the tests of the tests -----------------------------------------------------------------------


class Faulty(Readable):
    """A matcher with a planted fault: a trade of 3 lots tells one lot too many as open."""

    def run(self, block: Block) -> Rows:
        events = super().run(block)
        wrong = (events["kind"] == EventKind.TRADE) & (events["qty"] == 3)
        events["leaves_qty"][wrong] += 1
        return events


class Raising(Readable):
    """A matcher that falls over when an order is amended."""

    def run(self, block: Block) -> Rows:
        events = super().run(block)
        assert not (events["kind"] == EventKind.ORDER_AMENDED).any(), "fell over"
        return events


def planted(matcher: type[Matcher]) -> Any:
    return lambda limits: Pair(limits, expected=Readable, actual=matcher)


@pytest.mark.parametrize(("matcher", "word"), [(Faulty, "leaves_qty"), (Raising, "fell over")])
def test_a_planted_fault_is_found_shrunk_and_kept(
    matcher: type[Matcher], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison would notice: a fault is found, cut down to a handful of commands, and written as a file."""
    monkeypatch.setattr(campaign, "save", lambda script, about, name: keep(tmp_path, script, about, name))
    with pytest.raises(AssertionError, match=word):
        # Accounts are numbered: the last of few needs few definitions.
        accounts = (("A1", "M1", "B1"), ("A2", "M2", "B2"))
        run_seed(15, 3000, planted(matcher), day=False, qty_max=3, p_display=0.0, accounts=accounts)
    (path,) = tmp_path.glob("*.json")
    script = from_json(path.read_text())
    assert len(script) <= 12, [block.rows for block in script.blocks]
    assert word in play(script, planted(matcher))
    assert not play(script, planted(Readable)), "without the fault nothing differs"


def keep(folder: Path, script: Script, about: str, name: str) -> Path:
    path = folder / f"{name}.json"
    path.write_text(to_json(script, about))
    return path


def test_a_missing_event_and_another_world_are_differences() -> None:
    """One event less, and a dump that differs, are noticed."""

    class Silent(Readable):
        def run(self, block: Block) -> Rows:
            return super().run(block)[:-1]

    class Elsewhere(Readable):
        def dump(self) -> dict[str, Any]:
            return super().dump() | {"seq": -1}

    rows, payload = Flow(3, day=False).prologue()
    with pytest.raises(Difference, match="only expected"):
        planted(Silent)(Limits(orders=9)).run(Block(rows, payload))
    pair = planted(Elsewhere)(Limits(orders=9))
    pair.run(Block(rows, payload))
    with pytest.raises(Difference, match=r"\.seq: expected"):
        pair.compare()


def test_shrinking_keeps_what_the_difference_needs() -> None:
    """Delta debugging ends at the two commands that matter."""
    rows, payload = Flow(3, day=False).prologue()
    flow = Flow(3)
    flow.prologue()
    more, more_payload = flow.take(200)
    script = Script(Limits(), [Block(rows, payload), Block(more, more_payload)])
    wanted = {int(rows["seq"][1]), int(more["seq"][150])}
    small = shrink(script, lambda tried: "yes" if wanted <= set(tried.rows()["seq"].tolist()) else "")
    assert set(small.rows()["seq"].tolist()) == wanted


def test_same_seed_same_commands() -> None:
    """A seed names its flow: nothing but the seed and the events shown decides."""
    taken = []
    for _ in range(2):
        flow, core = Flow(11), Core(Flow(11).mix.limits)
        parts = [flow.prologue()]
        flow.observe(core.run(Block(*parts[0])))
        for _ in range(5):
            parts.append(flow.take(100))
            flow.observe(core.run(Block(*parts[-1])))
        taken.append([(rows.tobytes(), payload) for rows, payload in parts])
    assert taken[0] == taken[1]


def test_vectorised_keys_equal_the_schema() -> None:
    """The flow names orders by the keys that the schema defines."""
    from engine.schema import cl_ord_id_key

    ids = client_ids(np.arange(0, 1 << 20, 997))
    low, high = client_id_keys(ids)
    assert [cl_ord_id_key(text) for text in ids.tolist()] == list(zip(low.tolist(), high.tolist(), strict=True))
    assert len(set(ids.tolist())) == len(ids)
