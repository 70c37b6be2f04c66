"""The mutation tool itself: it makes the changes it names, planted ones are noticed, and what does not end is ended."""

from __future__ import annotations

import ast
import os
from collections import Counter
from types import CodeType
from typing import Any

import pytest

from tests.mutation.__main__ import LIST, main, read_reasons, report, sample
from tests.mutation.hunt import HUNTED, ROOT, SURVIVED, Material, Verdict, hunt, list_all, prepare
from tests.mutation.mutants import Mutant, list_mutants, mutate

SOURCE = '''
"""Text."""
LIMIT: int = 3

def near(price, other):
    """Text."""
    assert price > 0
    if price < other and price != 4:
        return 1
    self.told = price - other
    return min(price, 2)

def check(world):
    return world == 1
'''


def test_every_kind_of_change_is_found_and_nothing_else() -> None:
    found = [(mutant.function, mutant.kind, mutant.text) for mutant in list_mutants("a.py", SOURCE)]
    assert found == [
        ("", "constant", "3 becomes 4"),
        ("", "constant", "3 becomes 2"),
        ("near", "condition", "not price < other and price != 4"),
        ("near", "operands", "price < other and price != 4: joined by or"),
        ("near", "comparison", "price < other: < becomes <="),
        ("near", "comparison", "price != 4: != becomes =="),
        ("near", "constant", "4 becomes 5"),
        ("near", "constant", "4 becomes 3"),
        ("near", "dropped", "return 1"),
        ("near", "constant", "1 becomes 2"),
        ("near", "constant", "1 becomes 0"),
        ("near", "dropped", "self.told = price - other"),
        ("near", "operands", "price - other: swapped"),
        ("near", "operands", "min(price, 2): max"),
        ("near", "constant", "2 becomes 3"),
        ("near", "constant", "2 becomes 1"),
    ]


def test_each_mutant_is_another_source_that_compiles() -> None:
    count = len(list_mutants("a.py", SOURCE))
    texts = {ast.unparse(mutate(SOURCE, number)) for number in range(count)}
    assert len(texts | {ast.unparse(ast.parse(SOURCE))}) == count + 1
    for number in range(count):
        compile(mutate(SOURCE, number), "a.py", "exec")
    with pytest.raises(ValueError, match="no mutant"):
        mutate(SOURCE, count)


def test_names_are_unique_and_a_seed_draws_the_same_sample() -> None:
    everyone = list_all()
    assert Counter(mutant.path for mutant in everyone).keys() == set(HUNTED)
    assert len({mutant.name for mutant in everyone}) == len(everyone) > 1000
    assert sample(everyone, 7, 20) == sample(everyone, 7, 20) != sample(everyone, 8, 20)


def pick(path: str, function: str, text: str) -> Mutant:
    (found,) = (one for one in list_all([path]) if (one.function, one.text) == (function, text) and not one.again)
    return found


def test_a_wrong_reference_is_noticed_by_the_tables() -> None:
    """Mutants of a rule's heart do not get past the first tables."""
    planted = [
        pick("engine/reference_book.py", "Order.reaches", "price <= self.price: <= becomes <"),
        pick("engine/reference_matching.py", "Matching._fill", "self.next_trade_id += 1"),
    ]
    verdicts = {one.mutant: one.by for one in hunt(planted, prepare([], 0))}
    assert set(verdicts) == set(planted)
    assert all(by.startswith("table r") for by in verdicts.values()), verdicts


def test_flow_notices_without_tables() -> None:
    material = prepare([20_001, 20_002], 600)
    material.cases.clear()
    planted = pick("engine/reference_matching.py", "Matching._fill", "self.next_trade_id += 1")
    (verdict,) = hunt([planted], material)
    assert verdict.by.startswith("differential")


def test_what_does_not_end_is_ended_and_what_dies_is_noticed() -> None:
    mutants = list_mutants("a.py", SOURCE)[:4]

    def fate(mutant: Mutant, material: Material, codes: dict[str, CodeType], note: Any) -> str:
        match mutant.number:
            case 0:
                while True:
                    pass
            case 1:
                note("tables passed: ")
                while True:
                    pass
            case 2:
                os._exit(3)
        return SURVIVED

    verdicts = {one.mutant.number: one.by for one in hunt(mutants, Material(), seconds=0.3, judge=fate)}
    assert verdicts == {0: "time", 1: "time behind the tables", 2: "crash", 3: SURVIVED}


def test_the_report_counts_and_names_survivors() -> None:
    path = HUNTED[0]
    mutants = list_all([path])[:4]
    fates = ("table r01.txt", "differential", SURVIVED, SURVIVED)
    verdicts = [Verdict(mutant, by) for mutant, by in zip(mutants, fates, strict=True)]
    lines = report(verdicts, {mutants[2].name: "nobody sees it", mutants[0].name: "wrongly listed"})
    assert lines[1].split() == [path, "4", "33.3", "%", "66.7", "%", "1", "1"]
    words = [line.split(": ")[1] for line in lines[-3:]]
    assert words == ["noticed, though listed as equivalent", "equivalent", "survives"]
    assert lines[-2].endswith("(nobody sees it)"), "an equivalent one is named with its reason"


@pytest.mark.slow
def test_a_quick_hunt_leaves_hardly_anybody(capsys: pytest.CaptureFixture[str]) -> None:
    """The tables alone notice nearly all of a drawn sample, and with flow and invariants nearly none is left."""
    assert main(["--quick", "--most", "16", "--seed", "5"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("seed 5: 16 of "), told
    assert "left out" not in told, "the unchanged reference passes every table"
    (total,) = (line.split() for line in told.splitlines() if line.startswith("all "))
    assert float(total[2]) >= 85 and float(total[4]) >= 95, told


def test_every_listed_mutant_is_still_there() -> None:
    """A reason belongs to a change that can still be made."""
    reasons = read_reasons(LIST.read_text(encoding="utf-8"))
    assert set(reasons) <= {mutant.name for mutant in list_all()}
    with pytest.raises(AssertionError, match="reason"):
        read_reasons("engine/reference.py | f | constant: 0 becomes 1")
    assert (ROOT / "engine").is_dir()
