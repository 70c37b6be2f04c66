"""Names and numbers are learned from the log, and a restart learns the same."""

from pathlib import Path

import pytest

from engine.schema import CommandKind, Phase
from gateway.directory import CACHED_PRICES, Directory
from tests.gateway.kit import OTHER, SYMBOL, TERMS, Floor


def learned(floor: Floor) -> Directory:
    directory = Directory()
    for commands, payload, events in floor.blocks:
        directory.learn(commands, payload, events)
    return directory


def picture(directory: Directory) -> tuple[object, ...]:
    listed = [(one.number, one.symbol, one.terms, one.phase, one.why) for one in directory.instruments if one]
    return (
        listed, directory.numbers, directory.account_names, directory.members, directory.owners, directory.seq,
        directory.trading_day,
    )  # fmt: skip


def test_directory_rebuilt_from_the_log_equals_the_one_that_ran(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    floor.act(CommandKind.PHASE_SET, {"symbol": OTHER, "phase": "halted", "why": "rain"})
    floor.act(CommandKind.INSTRUMENT_DEFINE, {"symbol": SYMBOL, **TERMS})  # refused: it exists
    assert picture(learned(floor)) == picture(floor.desk.directory)


def test_names_numbers_and_phases_are_told(tmp_path: Path) -> None:
    directory = Floor(tmp_path).desk.directory
    found = directory.instrument(SYMBOL)
    assert found is not None and (found.number, found.phase) == (1, Phase.CONTINUOUS)
    assert directory.instrument("nothing") is None
    assert (directory.symbol(1), directory.symbol(0), directory.symbol(-1), directory.symbol(99)) == (
        SYMBOL,
        "",
        "",
        "",
    )
    assert (directory.account(1), directory.account(0), directory.account(99)) == ("A1", "", "")
    assert directory.members[3] == "M1"


def test_prices_are_exact_both_ways_and_off_tick_is_none(tmp_path: Path) -> None:
    directory = Floor(tmp_path).desk.directory
    for text, ticks in (("3.005", 601), ("3.0050", 601), ("3", 600), ("-0.005", -1), ("3.004", None), ("3.0051", None)):
        assert directory.price_ticks(1, text) == directory.price_ticks(1, text) == ticks
    assert directory.price_text(1, 601) == directory.price_text(1, 601) == "3.005"
    with pytest.raises(ValueError):
        directory.price_ticks(1, "three")


def test_price_cache_is_bounded(tmp_path: Path) -> None:
    directory = Floor(tmp_path).desk.directory
    for ticks in range(CACHED_PRICES + 10):
        directory.price_ticks(1, directory.price_text(1, ticks))
    instrument = directory.instruments[1]
    assert instrument is not None
    assert len(instrument.ticks_of) <= CACHED_PRICES and len(instrument.text_of) <= CACHED_PRICES


def test_new_day_begins_with_nothing() -> None:
    import numpy as np

    from engine.schema import COMMAND, EVENT, EventKind

    directory = Directory()
    directory.account_names.append("old")
    commands, events = np.zeros(1, COMMAND), np.zeros(1, EVENT)
    commands["seq"], events["seq"], events["kind"], events["qty"] = 9, 9, EventKind.DAY_OPENED, 20261124
    directory.learn(commands, b"", events)
    assert (directory.account_names, directory.trading_day, directory.seq) == ([""], 20261124, 9)


def test_empty_block_teaches_nothing() -> None:
    import numpy as np

    from engine.schema import COMMAND, EVENT

    directory = Directory()
    directory.learn(np.zeros(0, COMMAND), b"", np.zeros(0, EVENT))
    assert directory.seq == 0
