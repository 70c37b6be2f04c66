"""Order flow from files is converted as its description says, and the matchers fill it as the exchange did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import real_flow
from benchmarks.flow_venue import limits_for
from benchmarks.measure import ROOT
from benchmarks.run import FLOW_FOLDER
from engine.reference import Reference
from tests.benchmarks.exchange import KEPT, Priority, write_lobster, write_mbo


def figures(folder: Path) -> dict[str, dict[str, Any]]:
    """Replay every file of a folder through the reference; figures by form."""
    found = {}
    for source in real_flow.sources(folder):
        report = real_flow.run(source, Reference(limits_for(source.messages))).report
        found[source.name] = {**report.figures(), "differences": report.differences}
    return found


def only(folder: Path) -> dict[str, Any]:
    (found,) = figures(folder).values()
    return found


@pytest.mark.parametrize("seed", range(4))
def test_lobster_with_the_whole_book_in_sight_agrees_everywhere(seed: int, tmp_path: Path) -> None:
    write_lobster(tmp_path, seed=seed, messages=1500, levels=40)
    found = only(tmp_path)
    assert found["differences"] == []
    assert found["events"] == found["events_exact"] > 150
    assert found["books"] == found["books_equal"] > 1000


@pytest.mark.parametrize(("levels", "separator"), [(1, ";"), (2, ","), (5, ",")])
def test_lobster_with_a_narrow_window_loses_almost_nothing(levels: int, separator: str, tmp_path: Path) -> None:
    write_lobster(tmp_path, seed=11, messages=3000, levels=levels, separator=separator)
    found = only(tmp_path)
    assert found["levels_taken_over"] > 0
    assert found["decisive_exact"] >= 0.99 * found["decisive"] > 100
    assert found["books_equal"] >= 0.99 * found["books"]


@pytest.mark.parametrize("priority", ["lifo", "size"])
def test_an_exchange_without_price_time_priority_is_found_out(priority: Priority, tmp_path: Path) -> None:
    write_lobster(tmp_path, seed=5, messages=1500, levels=10, priority=priority)
    write_mbo(tmp_path, seed=5, messages=1500, levels=3, priority=priority)
    for found in figures(tmp_path).values():
        assert found["decisive_exact"] < 0.9 * found["decisive"]
        assert found["differences"]


@pytest.mark.parametrize("seed", range(4))
def test_market_by_order_agrees_everywhere(seed: int, tmp_path: Path) -> None:
    write_mbo(tmp_path, seed=seed, messages=2000, levels=5)
    found = only(tmp_path)
    assert found["differences"] == []
    assert found["events"] == found["events_exact"] > 100
    assert found["fills"] == found["fills_exact"] > found["events"]
    assert found["books"] == found["books_equal"] > 500


def test_modified_orders_keep_their_place_only_when_smaller(tmp_path: Path) -> None:
    time = "2026-01-02T10:00:0{}.000000000Z"
    rows = ["ts_event,action,side,price,size,order_id,sequence"]
    steps = [
        ("A", "A", "1.00", 10, 1), ("A", "A", "1.00", 10, 2), ("A", "A", "1.01", 10, 3),
        ("M", "A", "1.00", 4, 1), ("M", "A", "1.00", 12, 2), ("M", "A", "1.00", 5, 3),
    ]  # fmt: skip
    rows += [f"{time.format(1)},{a},{s},{p},{q},{o},{n}" for n, (a, s, p, q, o) in enumerate(steps)]
    rows += [f"{time.format(2)},F,A,1.00,{size},{order},9" for order, size in ((1, 4), (2, 12), (3, 5))]
    (tmp_path / "X_mbo.csv").write_text("\n".join(rows) + "\n", encoding="ascii")
    found = only(tmp_path)
    assert (found["events"], found["events_exact"], found["fills_exact"]) == (1, 1, 3)


def test_a_wrong_book_file_is_told_and_counts_once(tmp_path: Path) -> None:
    write_lobster(tmp_path, seed=2, messages=400, levels=40)
    path = next(tmp_path.glob("*orderbook*"))
    lines = path.read_text(encoding="ascii").splitlines()
    ask, size, rest = lines[200].split(",", 2)
    lines[200] = f"{ask},{int(size) + 7},{rest}"
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    found = only(tmp_path)
    # Once where the file is wrong, and once where it is right again.
    assert found["books"] - found["books_equal"] in (1, 2)
    assert found["differences"][0].startswith("row 201: book: ")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("X_message_1.csv", "34200.1,1,1\n"),
        ("X_message_1.csv", "when,1,1,100,10000,1\n"),
        ("X_orderbook_1.csv", "1,2,3\n"),
        ("X_orderbook_1.csv", "10100,5,10000,5\n10100,5,10000,5\n"),
        ("X_mbo.csv", "ts_event,action\n2026,A\n"),
        ("X_mbo.csv", "ts_event,action,side,price,size,order_id,sequence\n"),
    ],
)
def test_a_file_not_of_its_format_is_named(
    name: str, content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "X_message_1.csv").write_text("34200.1,1,1,100,10000,1\n", encoding="ascii")
    (tmp_path / "X_orderbook_1.csv").write_text("9999999999,0,10000,100\n", encoding="ascii")
    (tmp_path / name).write_text(content, encoding="ascii")
    assert real_flow.main([str(tmp_path)]) == 2
    assert name in capsys.readouterr().err


def test_an_empty_folder_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert real_flow.main([str(tmp_path)]) == 2
    assert "no order flow" in capsys.readouterr().err


def test_command_line_replays_the_kept_files_through_both_matchers(capsys: pytest.CaptureFixture[str]) -> None:
    assert real_flow.main([str(KEPT), "--reference", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["name"] for one in told] == ["MADEUP_2026-01-02_34200000_57600000_message_2.csv", "MADEUP_mbo.csv"]
    for one in told:
        assert one["same"] is True
        assert one["refusals"] == 0
        assert one["queues_checked"] > 0
        assert one["events_exact"] == one["events"] > 10
    assert real_flow.main([str(KEPT), "--reference"]) == 0
    assert capsys.readouterr().out.count("compiled and reference: exactly the same") == 2


@pytest.mark.slow
def test_real_days_are_filled_as_their_exchange_filled_them() -> None:
    if not FLOW_FOLDER.is_dir():
        pytest.skip(f"left out: the samples of real order flow are not beside this checkout ({FLOW_FOLDER.name})")
    found = {
        source.name.split("_")[0]: real_flow.result(source, reference=True, rounds=1)
        for source in real_flow.sources(FLOW_FOLDER)
    }
    amzn, arl = found["AMZN"], found["ARL"]
    assert amzn["same"] and arl["same"]
    # What a plain price-time matcher reaches of the events that tell orders apart, and of the books.
    assert amzn["decisive_exact"] >= 4_150 and amzn["decisive_exact"] >= amzn["decisive"] * 4_150 / 4_173
    assert amzn["events_exact"] >= amzn["events"] * 4_150 / 4_173
    assert amzn["books_equal"] >= 54_700 and amzn["books_equal"] >= amzn["books"] * 54_700 / 54_894
    assert (arl["fills_exact"], arl["fills"]) == (11, 11)
    assert arl["events_exact"] == arl["events"] == 9
    assert (arl["books_equal"], arl["books"]) == (3_881, 3_881)
    assert amzn["refusals"] == arl["refusals"] == 0


def test_samples_of_real_order_flow_are_no_part_of_the_repository() -> None:
    ours = {path.name for path in (ROOT / "tests").rglob("*.csv")}
    assert ours == {path.name for path in KEPT.iterdir()}
    assert all(name.startswith("MADEUP_") for name in ours)
