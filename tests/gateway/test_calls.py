"""Re-opening calls: ended in time, and only if nobody else has set a phase since."""

from pathlib import Path

import pytest

from engine.schema import CommandKind, Phase
from gateway.calls import ReopeningCalls
from tests.gateway.kit import OTHER, SYMBOL, Floor, order


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return Floor(tmp_path)


def reopen(floor: Floor, symbol: str = SYMBOL) -> int:
    """Halt and resume; the seq of the resuming command."""
    set_phase(floor, symbol, "halted")
    return set_phase(floor, symbol, "pre_open")


def set_phase(floor: Floor, symbol: str, phase: str) -> int:
    seq: int = floor.act(CommandKind.PHASE_SET, {"symbol": symbol, "phase": phase})[0]["seq"]
    return seq


def test_a_call_ends_when_its_seconds_are_over_and_is_then_forgotten(floor: Floor) -> None:
    calls, directory = ReopeningCalls(), floor.desk.directory
    calls.begin(SYMBOL, reopen(floor), 100.0, 5)
    assert calls.due(104.9, directory) == [] and calls.held() == {SYMBOL}
    assert calls.due(105.0, directory) == [(SYMBOL, False)]
    assert calls.due(105.5, directory) == [], "it has been asked for"
    assert calls.due(106.0, directory) == [(SYMBOL, False)], "it has not come: once more"
    set_phase(floor, SYMBOL, "continuous")
    assert calls.due(200.0, directory) == [] and calls.held() == frozenset()


def test_a_call_that_somebody_else_has_ended_is_left_alone(floor: Floor) -> None:
    calls, directory = ReopeningCalls(), floor.desk.directory
    calls.begin(SYMBOL, reopen(floor), 100.0, 5)
    reopen(floor)
    assert calls.due(105.0, directory) == [], "the same phase, but another call"
    assert calls.held() == frozenset()


def test_a_call_of_no_seconds_is_the_operators(floor: Floor) -> None:
    calls, directory = ReopeningCalls(), floor.desk.directory
    calls.begin(SYMBOL, reopen(floor), 100.0, 0)
    calls.begin(OTHER, reopen(floor, OTHER), 100.0, 3)
    assert calls.due(1e9, directory) == [(OTHER, False)]
    assert calls.held() == {SYMBOL, OTHER}


def pulled(floor: Floor) -> None:
    """Have an order pull the volatility trigger of SYMBOL (R69)."""
    floor.act(CommandKind.CONTROL_SET, {"symbol": SYMBOL, "short_ticks": 2})
    buyer, seller = floor.connect("M1"), floor.connect("M2")
    for number, price in enumerate(("3.000", "3.100")):
        floor.ask(seller, "order.place", **order(f"s-{number}", "sell", price, 1))
        floor.ask(buyer, "order.place", account="A1", **order(f"b-{number}", "buy", price, 1))


def test_a_call_of_the_trigger_is_found_and_asked_to_end_twice(floor: Floor) -> None:
    calls, directory = ReopeningCalls(), floor.desk.directory
    calls.watch(100.0, directory, 7.5)
    assert calls.held() == frozenset()
    pulled(floor)
    calls.watch(100.0, directory, 7.5)
    calls.watch(103.0, directory, 1.0)
    assert calls.held() == {SYMBOL}, "noted once"
    assert calls.due(107.4, directory) == []
    assert calls.due(107.5, directory) == [(SYMBOL, True)]
    assert calls.due(114.9, directory) == [], "the engine may have extended it: the same time again"
    assert calls.due(115.0, directory) == [(SYMBOL, True)]
    assert calls.due(1e9, directory) == [] and calls.held() == {SYMBOL}, "from now on it is an operator's"
    set_phase(floor, SYMBOL, "continuous")
    assert calls.due(1e9, directory) == [] and calls.held() == frozenset()


def test_a_call_that_a_stop_pulled_when_trading_was_opened_is_the_venues(floor: Floor) -> None:
    """R62, R69: the act asked for continuous trading, and a stop that it elected began the call."""
    calls, directory = ReopeningCalls(), floor.desk.directory
    floor.act(CommandKind.CONTROL_SET, {"symbol": SYMBOL, "short_ticks": 2})
    buyer, seller = floor.connect("M1"), floor.connect("M2")
    floor.ask(seller, "order.place", **order("far", "sell", "3.100", 1))
    stop = {key: value for key, value in order("stop", "buy", "3.000", 1).items() if key != "price"}
    floor.ask(buyer, "order.place", account="A1", **stop, ord_type="stop", stop_price="3.005")
    reopen(floor)
    floor.ask(seller, "order.place", **order("s", "sell", "3.005", 1))
    floor.ask(buyer, "order.place", account="A1", **order("b", "buy", "3.005", 1))
    began = set_phase(floor, SYMBOL, "continuous")
    found = directory.instrument(SYMBOL)
    assert found is not None and (found.phase, found.pulled) == (Phase.VOLATILITY_AUCTION, True)
    assert found.phase_seq == began
    calls.watch(100.0, directory, 5)
    assert calls.due(105.0, directory) == [(SYMBOL, True)]


def test_a_volatility_auction_that_an_operator_began_is_the_operators(floor: Floor) -> None:
    calls, directory = ReopeningCalls(), floor.desk.directory
    set_phase(floor, SYMBOL, "volatility_auction")
    calls.watch(100.0, directory, 5)
    assert calls.held() == frozenset()


def test_a_symbol_that_is_listed_no_more_is_forgotten(floor: Floor) -> None:
    calls = ReopeningCalls()
    calls.begin("GONE", 5, 100.0, 3)
    assert calls.due(103.0, floor.desk.directory) == [] and calls.held() == frozenset()
