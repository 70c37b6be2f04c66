"""The tables' own machinery: it must be able to disagree."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from engine.phases import PHASES
from engine.reference import Reference
from engine.schema import HAS_EXPIRE, HAS_PRICE, HAS_QTY, HAS_STOP, OF_SESSION, CommandKind, OrdType, Phase, word
from tests.scenarios.runner import differences
from tests.scenarios.table import WAYS, Case, Commands, read_table, uncovered, verdicts

RULE_BOOK = "**R1 One.** text\n\n**R2 Two.** text\n"
FAIR = """
== a trade
A1   | sell 5 @ 100 as s1 |          | accepted s1 5 @ 100
A2   | buy 3 @ 101 as b1  | +R1      | accepted b1 3 @ 101
     |                    |          | trade b1 s1 3 @ 100 leaves 0/2 cum 3 #1
A2   | buy 3 @ 101 as b1  | +R1 -R6  | status b1 of 3 cum 3 filled
book | W                  |          | sell 100 s1 2
"""

CALLED = """
== a call, an iceberg and two stops [phase=pre_open]
A1         | sell 9 @ 100 as i1 display 2          |           | accepted i1 9 @ 100 display 2
A2         | buy 3 market as m1                    |           | accepted m1 3 @ 1000
           |                                       |           | indicative W 3 @ 100 -6 volume
indicative | W                                     |           | 3 @ 100 -6 volume
A3         | buy 1 stop 100 @ 90 as t1 at 40000    | +R1       | accepted t1 1 @ 90 stop 100 inactive
A3         | buy 1 stop 200 as t2 gtd until 90000  | +R1       | accepted t2 1 @ 0 stop 200 inactive
venue      | phase W continuous draw 7             |           | phase W continuous from pre_open draw 7
           |                                       |           | uncrossed W 3 @ 100 -6 volume
           |                                       |           | trade m1 i1 3 @ 100 leaves 0/6 cum 3 #1 uncross
           |                                       |           | triggered t1 1 @ 90 leaves 1 cum 0 stop 100
A2         | buy 7 market_to_limit as l1           |           | accepted l1 7 @ 110
           |                                       |           | trade l1 i1 2 @ 100 leaves 5/4 cum 2 #2
           |                                       |           | refreshed i1 9 @ 100 leaves 4 cum 5 shows 2
           |                                       |           | trade l1 i1 2 @ 100 leaves 3/2 cum 4 #3
           |                                       |           | refreshed i1 9 @ 100 leaves 2 cum 7 shows 2
           |                                       |           | trade l1 i1 2 @ 100 leaves 1/0 cum 6 #4
           |                                       |           | activated l1 7 @ 100 leaves 1 cum 6
venue      | tick at 90000                         |           | expired t2 1 @ 0 of 1 cum 0 inactive
           |                                       |           | ticked at 90000
A2         | buy 1 @ 50 as l1                      | -R6       | status l1 7 @ 100 leaves 1 cum 6 partially_filled
venue      | phase W settlement at_last_match      |           | phase W settlement from continuous last #4 @ 100
venue      | phase W closed                        |           | phase W closed from settlement
           |                                       |           | expired t1 1 @ 90 of 1 cum 0
           |                                       |           | expired l1 1 @ 100 of 7 cum 6
"""

CONTROLLED = """
== daily limits, a trigger and a lock [limits=90..110 short_ticks=5 reference_price=100]
A1    | buy 5 @ 120 as g1 gtc                 | +R1  | accepted g1 5 @ 120 inactive
A1    | buy 9 @ 93 as i1 gtc display 2        |      | accepted i1 9 @ 93 display 2
A2    | sell 1 @ 100 as s1                    |      | accepted s1 1 @ 100
A3    | buy 1 @ 100 as b1                     |      | accepted b1 1 @ 100
      |                                       |      | trade b1 s1 1 @ 100 leaves 0/0 cum 1 #1
A2    | sell 1 @ 106 as s2                    |      | accepted s2 1 @ 106
A3    | buy 1 @ 106 as b2                     |      | accepted b2 1 @ 106
      |                                       |      | phase W volatility_auction from continuous
      |                                       |      | indicative W 1 @ 106 0 volume
venue | phase W continuous auto               | +R1  | extended W 1 @ 106 count 1
venue | control W limit_steps=500             |      | controls W
venue | phase W halted                        |      | phase W halted from volatility_auction
A2    | cancel s2                             |      | canceled s2 1 @ 106 of 1 cum 0 requested
venue | limit W settlement 120 step 1         |      | limits W 114 to 126 settlement 120 step 1
      |                                       |      | activated g1 5 @ 120 leaves 5 cum 0
      |                                       |      | suspended i1 9 @ 93 leaves 9 cum 0
      |                                       |      | canceled b2 1 @ 106 of 1 cum 0 price_limit
venue | limit W settlement 115 step 1         |      | limits W 110 to 120 settlement 115 step 1
venue | phase W closed                        |      | phase W closed from halted locked buy
venue | limit W                               |      | limits W 110 to 120 settlement 115 step 1 locked buy
"""


def planted(folder: Path, text: str) -> list[Case]:
    path = folder / "planted.txt"
    path.write_text(text, encoding="utf-8")
    return read_table(path)


def found(folder: Path, text: str, *, whole: bool = False) -> list[str]:
    return [report for case in planted(folder, text) for report in differences(case, Reference, whole=whole)]


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("text", [FAIR, CALLED, CONTROLLED])
def test_a_true_table_has_no_differences(tmp_path: Path, text: str, whole: bool) -> None:
    assert found(tmp_path, text, whole=whole) == []


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("accepted s1 5 @ 100", "accepted s1 4 @ 100"),
        ("accepted s1 5 @ 100", ""),
        ("leaves 0/2", "leaves 0/3"),
        ("@ 100 leaves", "@ 101 leaves"),
        ("#1", "#2"),
        ("filled", "canceled"),
        ("sell 100 s1 2", "sell 100 s1 3"),
        ("sell 100 s1 2", "empty"),
        ("-R6", "+R6"),
        ("-R6", "-R9"),
    ],
)
def test_a_false_row_is_reported_with_its_place(tmp_path: Path, true: str, false: str, whole: bool) -> None:
    reports = found(tmp_path, FAIR.replace(true, false), whole=whole)
    assert reports and all(report.startswith("planted.txt:") for report in reports)


@pytest.mark.parametrize(
    ("true", "false"),
    [
        (" display 2", ""),
        (" display 2", " display 3"),
        ("indicative W 3 @ 100 -6 volume", ""),
        ("| 3 @ 100 -6 volume", "| 3 @ 100 +6 volume"),
        ("| 3 @ 100 -6 volume", "| 3 @ 100 -6 surplus"),
        ("uncrossed W 3 @ 100 -6", "uncrossed W 3 @ 100 -5"),
        ("stop 100 inactive", "stop 100"),
        ("stop 100 inactive", "stop 101 inactive"),
        (" draw 7\n", "\n"),
        ("#1 uncross", "#1"),
        ("#1 uncross", "#1 uncross self_match"),
        ("leaves 1 cum 0 stop 100", "leaves 1 cum 0 stop 90"),
        ("shows 2", "shows 1"),
        ("of 1 cum 0 inactive", "of 1 cum 0"),
        (" last #4 @ 100", ""),
        (" last #4 @ 100", " last #2 @ 100"),
    ],
)
def test_a_false_row_of_a_call_is_reported(tmp_path: Path, true: str, false: str) -> None:
    assert CALLED.count(true) >= 1
    assert found(tmp_path, CALLED.replace(true, false))


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("g1 5 @ 120 inactive", "g1 5 @ 120"),
        ("count 1", "count 2"),
        ("extended W 1 @ 106", "extended W 1 @ 107"),
        ("extended W 1", "extended W 2"),
        ("extended W 1 @ 106 count 1", "phase W continuous from volatility_auction"),
        ("controls W", "controls V"),
        ("limits W 114", "limits W 113"),
        ("to 126", "to 127"),
        ("settlement 120 step 1\n", "settlement 121 step 1\n"),
        ("settlement 120 step 1\n", "settlement 120 step 2\n"),
        ("settlement 120 step 1\n", "settlement 120 step 1 locked buy\n"),
        ("suspended i1 9 @ 93", "suspended i1 9 @ 94"),
        ("leaves 9 cum 0\n", "leaves 8 cum 1\n"),
        ("halted locked buy", "halted"),
        ("halted locked buy", "halted locked sell"),
        ("step 1 locked buy", "step 1"),
        ("step 1 locked buy", "step 1 locked sell"),
    ],
)
def test_a_false_row_of_controls_is_reported(tmp_path: Path, true: str, false: str) -> None:
    assert CONTROLLED.count(true) >= 1
    assert found(tmp_path, CONTROLLED.replace(true, false))


@pytest.mark.parametrize("kind", ["suspended", "controls", "limits", "extended"])
@pytest.mark.parametrize("field", ["instrument", "phase", "op", "flags", "code", "time_in_force", "account"])
def test_a_wrong_field_of_controls_is_reported(tmp_path: Path, kind: str, field: str) -> None:
    numbers = {"suspended": 18, "controls": 26, "limits": 27, "extended": 28}

    class Wrong(Reference):
        def run_block(self, commands, payload=b""):  # type: ignore[no-untyped-def]
            events = super().run_block(commands, payload)
            events[field][events["kind"] == numbers[kind]] += 1 if field != "flags" else 2
            return events

    case = planted(tmp_path, CONTROLLED)[0]
    assert any(f" told:  {kind}" in report for report in differences(case, Wrong, whole=True))


def test_a_suspended_order_is_always_inactive(tmp_path: Path) -> None:
    class Wrong(Reference):
        def run_block(self, commands, payload=b""):  # type: ignore[no-untyped-def]
            events = super().run_block(commands, payload)
            events["flags"][events["kind"] == 18] = 0
            return events

    assert differences(planted(tmp_path, CONTROLLED)[0], Wrong, whole=True)


@pytest.mark.parametrize("kind", ["triggered", "activated", "refreshed", "indicative", "uncrossed"])
@pytest.mark.parametrize("field", ["instrument", "phase", "op", "flags", "code", "time_in_force", "account"])
def test_a_wrong_field_of_an_order_s_turn_is_reported(tmp_path: Path, kind: str, field: str) -> None:
    numbers = {"triggered": 13, "activated": 14, "refreshed": 15, "indicative": 16, "uncrossed": 17}

    class Wrong(Reference):
        def run_block(self, commands, payload=b""):  # type: ignore[no-untyped-def]
            events = super().run_block(commands, payload)
            events[field][events["kind"] == numbers[kind]] += 1 if field != "flags" else 2
            return events

    assert any(f" told:  {kind}" in report for report in differences(planted(tmp_path, CALLED)[0], Wrong, whole=True))


@pytest.mark.parametrize(
    "field",
    ["seq", "time", "index", "op", "rule", "flags", "instrument", "account", "phase", "side", "ord_type",
     "time_in_force", "code", "cl_ord_id", "old_price", "delta_qty"],
)  # fmt: skip
def test_a_wrong_field_that_no_word_shows_is_reported(tmp_path: Path, field: str) -> None:
    class Wrong(Reference):
        def run_block(self, commands, payload=b""):  # type: ignore[no-untyped-def]
            events = super().run_block(commands, payload)
            accepted = events["kind"] == 1
            events[field][accepted] = {"cl_ord_id": b"zz", "code": 12}.get(field, 77)
            return events

    case = planted(tmp_path, FAIR)[0]
    assert differences(case, Wrong, whole=True)


def test_rows_without_a_case_or_a_command_are_refused(tmp_path: Path) -> None:
    for text in (
        "A1 | tick | | ticked",
        "== x\n | | | ticked at 1",
        "== x\nA1 | tick | R1 | ticked",
        "== x\nA1 | tick",
    ):
        with pytest.raises(ValueError, match=r"planted\.txt:"):
            planted(tmp_path, text)


def test_words_that_nobody_understands_are_refused() -> None:
    with pytest.raises(ValueError, match="not understood"):
        Commands().write("A1", "buy 5 @ 100 as b1 quickly")
    with pytest.raises(ValueError, match="no such command"):
        Commands().write("A1", "sing")


def test_a_row_repeats_and_counts(tmp_path: Path) -> None:
    case = planted(tmp_path, "== x\nA1 | 3 x buy 1 @ {10+n} as b{n} | | accepted b{n} {5-n} @ {n}\n | | | 2 x e{n}")[0]
    assert list(case.lines[0].repeated()) == [
        ("buy 1 @ 11 as b1", ["accepted b1 4 @ 1", "e1", "e2"]),
        ("buy 1 @ 12 as b2", ["accepted b2 3 @ 2", "e1", "e2"]),
        ("buy 1 @ 13 as b3", ["accepted b3 2 @ 3", "e1", "e2"]),
    ]


def test_words_make_the_row_that_they_say() -> None:
    commands = Commands()
    row = commands.write(
        "A3", "buy 7 @ -4 as b1 gtc smp decrement smp_id 9 session 2 in V at 5 ! min_qty=6 cl_ord_id='a b'"
    )
    expected = {
        "kind": CommandKind.ORDER_PLACE, "side": 1, "ord_type": 1, "time_in_force": 2, "smp": 5, "flags": HAS_PRICE,
        "instrument": 2, "smp_id": 9, "price": -4, "order_qty": 7, "cl_ord_id": b"a b", "min_qty": 6, "seq": 1,
        "time": 5, "account": 3, "client_session": 2,
    }  # fmt: skip
    assert {name: row[name][0] for name in row.dtype.names if row[name][0]} == expected


def test_words_make_every_type_of_order() -> None:
    def written(text: str) -> dict[str, int]:
        row = Commands().write("A1", text)
        names = ("ord_type", "flags", "price", "stop_price", "display_qty", "min_qty", "expire_time", "time_in_force")
        return {name: int(row[name][0]) for name in names if row[name][0]}

    day = {"time_in_force": 1}
    assert written("buy 5 market as x") == {"ord_type": OrdType.MARKET, **day}
    assert written("buy 5 market_to_limit as x") == {"ord_type": OrdType.MARKET_TO_LIMIT, **day}
    stop = {"ord_type": OrdType.STOP, "flags": HAS_STOP, "stop_price": 7}
    assert written("buy 5 stop 7 as x") == {**stop, **day}
    stop_limit = {**stop, "ord_type": OrdType.STOP_LIMIT, "flags": HAS_STOP | HAS_PRICE, "price": 8}
    assert written("buy 5 stop 7 @ 8 as x gtd until 9") == {**stop_limit, "expire_time": 9, "time_in_force": 5}
    limit = {"ord_type": OrdType.LIMIT, "flags": HAS_PRICE, "price": 8}
    assert written("buy 5 @ 8 as x at_open display 2 min 3") == {
        **limit, "time_in_force": 6, "display_qty": 2, "min_qty": 3,
    }  # fmt: skip
    assert written("buy 5 @ 8 as x at_close") == {**limit, "time_in_force": 7}


def test_words_make_amends_restores_and_acts() -> None:
    commands = Commands()
    row = commands.write("A1", "amend x qty 3 price 4 stop 5 expire 6")
    assert row["flags"][0] == HAS_QTY | HAS_PRICE | HAS_STOP | HAS_EXPIRE
    assert [int(row[name][0]) for name in ("order_qty", "price", "stop_price", "expire_time")] == [3, 4, 5, 6]
    row = commands.write("A1", "restore sell 9 leaves 7 @ 5 as x order 1 display 3 shows 2 gtd until 8")
    names = ("flags", "order_qty", "min_qty", "price", "target_lo", "display_qty", "target_hi", "expire_time")
    assert [int(row[name][0]) for name in names] == [0, 9, 7, 5, 1, 3, 2, 8]
    row = commands.write("A1", "restore sell 9 leaves 7 stop 5 as y order 2")
    assert (row["ord_type"][0], row["flags"][0], row["stop_price"][0]) == (OrdType.STOP, 0, 5)
    row = commands.write("A1", "mass_cancel sell session 3")
    assert (row["flags"][0], row["client_session"][0]) == (OF_SESSION, 3)
    for text, payload in (
        ("phase group:nuts halted draw 5", b'{"draw":5,"group":"nuts","phase":"halted"}'),
        ("phase W closed override at_last_match", b'{"at_last_match":1,"override":1,"phase":"closed","symbol":"W"}'),
        ("phase W continuous auto", b'{"auto":1,"phase":"continuous","symbol":"W"}'),
        (
            "control group:nuts band_ticks=5 limit_steps=500,700 limit_free_from= max_order_value=7",
            b'{"band_ticks":5,"group":"nuts","limit_free_from":"","limit_steps":"500,700","max_order_value":"7"}',
        ),
        ("limit W", b'{"symbol":"W"}'),
        (
            "limit W settlement -7 step 0 locked sell side none",
            b'{"locked":2,"settlement":"-7","side":0,"step":0,"symbol":"W"}',
        ),
        ("uncross W", b'{"symbol":"W"}'),
    ):
        row = commands.write("venue", text)
        assert commands.payload[int(row["target_lo"][0]) :] == payload and row["target_hi"][0] == len(payload)
    assert row["kind"][0] == CommandKind.AUCTION_UNCROSS


def test_there_is_a_way_to_every_phase() -> None:
    assert WAYS.keys() == {word(phase) for phase in Phase}
    for goal, way in WAYS.items():
        steps = ["closed", *way]
        assert steps[-1] == goal
        assert all(Phase[b.upper()] in PHASES[Phase[a.upper()]].next for a, b in pairwise(steps))


@pytest.mark.parametrize("phase", WAYS)
def test_a_world_begins_in_its_phase(tmp_path: Path, phase: str) -> None:
    assert found(tmp_path, f"== x [phase={phase}]\nbook | W | | empty") == []


@pytest.mark.parametrize("limits", ["90..110", "100..100", "333..335", "1..999"])
def test_a_world_has_the_daily_limits_that_it_says(tmp_path: Path, limits: str) -> None:
    low, high = (int(price) for price in limits.split(".."))
    rows = [
        f"A1 | buy 1 @ {low} as b1 | | accepted b1 1 @ {low}",
        f"A1 | buy 1 @ {high} as b2 | | accepted b2 1 @ {high}",
        *(f"A1 | buy 1 @ {price} as x | | rejected PRICE_LIMIT" for price in (low - 1, high + 1) if 0 < price < 1001),
    ]
    assert found(tmp_path, "\n".join([f"== x [limits={limits}]", *rows])) == []


def test_the_count_finds_rules_without_rows_and_rows_without_rules(tmp_path: Path) -> None:
    cases = planted(tmp_path, FAIR.replace("-R6", "-R1"))
    assert verdicts(cases) == {1: (2, 1)}
    assert uncovered(RULE_BOOK, cases) == ["R2 has 0 + and 0 - rows; 2 and 1 are due"]
    cases = planted(tmp_path, FAIR)
    assert uncovered(RULE_BOOK, cases) == [
        "R1 has 2 + and 0 - rows; 2 and 1 are due",
        "R2 has 0 + and 0 - rows; 2 and 1 are due",
        "R6 is tagged, but no such rule exists",
    ]
