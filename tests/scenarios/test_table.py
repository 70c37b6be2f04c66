"""The tables' own machinery: it must be able to disagree."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.reference import Reference
from engine.schema import HAS_PRICE, CommandKind
from tests.scenarios.runner import differences
from tests.scenarios.table import Case, Commands, read_table, uncovered, verdicts

RULE_BOOK = "**R1 One.** text\n\n**R2 Two.** text\n"
FAIR = """
== a trade
A1   | sell 5 @ 100 as s1 |          | accepted s1 5 @ 100
A2   | buy 3 @ 101 as b1  | +R1      | accepted b1 3 @ 101
     |                    |          | trade b1 s1 3 @ 100 leaves 0/2 cum 3 #1
A2   | buy 3 @ 101 as b1  | +R1 -R6  | status b1 of 3 cum 3 filled
book | W                  |          | sell 100 s1 2
"""


def planted(folder: Path, text: str) -> list[Case]:
    path = folder / "planted.txt"
    path.write_text(text, encoding="utf-8")
    return read_table(path)


def found(folder: Path, text: str, *, whole: bool = False) -> list[str]:
    return [report for case in planted(folder, text) for report in differences(case, Reference, whole=whole)]


@pytest.mark.parametrize("whole", [False, True])
def test_a_true_table_has_no_differences(tmp_path: Path, whole: bool) -> None:
    assert found(tmp_path, FAIR, whole=whole) == []


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
