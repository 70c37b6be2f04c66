"""`cashew order` against a stand-in exchange."""

from __future__ import annotations

from pathlib import Path

import pytest

from cashew.commands.common import CommandFailed
from cashew.commands.order import end_of, named, price_of
from tests.cashew.conftest import Background, write_key
from tests.cashew.run import cashew


@pytest.mark.parametrize(
    ("words", "stop", "terms"),
    [
        (["@", "3.005"], None, {"price": "3.005"}),
        (["@3.005"], None, {"price": "3.005"}),
        (["3.005"], None, {"price": "3.005"}),
        (["market"], None, {"ord_type": "market"}),
        (["market_to_limit"], None, {"ord_type": "market_to_limit"}),
        (["market-to-limit"], None, {"ord_type": "market_to_limit"}),
        (["market"], "3.1", {"ord_type": "stop", "stop_price": "3.1"}),
        (["@", "3.105"], "3.1", {"price": "3.105", "ord_type": "stop_limit", "stop_price": "3.1"}),
    ],
)
def test_price_can_be_written_as_people_do(words: list[str], stop: str | None, terms: dict[str, str]) -> None:
    assert price_of(words, stop) == terms


@pytest.mark.parametrize(
    ("expire", "tif", "terms"),
    [
        (None, None, {}),
        (None, "at_open", {"time_in_force": "at_open"}),
        ("1795773600000000", None, {"time_in_force": "gtd", "expire_time": 1_795_773_600_000_000}),
        ("2026-11-27T10:00", None, {"time_in_force": "gtd", "expire_time": 1_795_773_600_000_000}),
        ("2026-11-27T17:00+07:00", "gtd", {"time_in_force": "gtd", "expire_time": 1_795_773_600_000_000}),
        ("2026-11-27T10:00Z", "day", {"time_in_force": "day", "expire_time": 1_795_773_600_000_000}),
    ],
)
def test_end_of_an_order_is_a_time_with_or_without_its_zone(
    expire: str | None, tif: str | None, terms: dict[str, object]
) -> None:
    assert end_of(expire, tif) == terms


def test_end_that_is_no_time_is_refused() -> None:
    with pytest.raises(CommandFailed, match="is a time such as"):
        end_of("tomorrow")


def test_stop_at_market_to_limit_is_refused() -> None:
    with pytest.raises(CommandFailed, match="a stop enters"):
        price_of(["market_to_limit"], "3.1")


@pytest.mark.parametrize("words", [None, [], ["@"], ["@", "1", "2"]])
def test_unclear_price_is_refused(words: list[str] | None) -> None:
    with pytest.raises(CommandFailed):
        price_of(words)


def test_order_is_named_by_number_or_by_own_id() -> None:
    assert named("123") == {"order_id": 123}
    assert named("a-1") == {"cl_ord_id": "a-1"}


def test_buy_and_sell_place_what_was_said(background: Background, alice: str) -> None:
    options = ("--key", alice, "--url", background.url)
    ran = cashew("order", "buy", "W320F2703", "10", "@", "3.005", "--id", "a-1", "--tif", "gtc", *options)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "accepted order 1 (a-1): buy 10 W320F2703 @ 3.005, new, 10 open, 0 filled\n"
    ran = cashew("order", "sell", "W320F2703", "3", "market", "--post-only", "--id", "a-2", "--json", *options)
    assert [(line["ev"], line["cl_ord_id"], line["leaves_qty"]) for line in ran.lines] == [("order", "a-2", 3)]
    assert [request["p"] for request in background.exchange.received] == [
        {
            "symbol": "W320F2703",
            "side": "buy",
            "order_qty": 10,
            "price": "3.005",
            "cl_ord_id": "a-1",
            "time_in_force": "gtc",
        },
        {
            "symbol": "W320F2703",
            "side": "sell",
            "order_qty": 3,
            "ord_type": "market",
            "post_only": True,
            "cl_ord_id": "a-2",
        },
    ]


def test_stops_icebergs_and_ends_are_placed_as_said(background: Background, alice: str) -> None:
    options = ("--key", alice, "--url", background.url)
    iceberg = ("--display", "2", "--min-qty", "3", "--expire", "1795773600000000")
    ran = cashew("order", "buy", "W320F2703", "10", "@", "3.105", "--stop", "3.100", "--id", "a-1", *options)
    assert ran.out == "accepted order 1 (a-1): buy 10 W320F2703 @ 3.105 stop 3.100, new, 10 open, 0 filled\n"
    ran = cashew("order", "sell", "W320F2703", "9", "3.2", *iceberg, "--id", "a-2", *options)
    assert ran.out == "accepted order 2 (a-2): sell 9 W320F2703 @ 3.2, showing 2, new, 9 open, 0 filled\n"
    cashew("order", "amend", "a-1", "--stop", "3.110", "--expire", "1795773600000001", *options)
    cashew("order", "place", "--symbol", "X", "--side", "buy", "--qty", "1", "--market", "--stop", "2", *options)
    stop, shown, amended, placed = [request["p"] for request in background.exchange.received]
    assert (stop["ord_type"], stop["stop_price"], stop["price"]) == ("stop_limit", "3.100", "3.105")
    assert (shown["display_qty"], shown["min_qty"], shown["time_in_force"]) == (2, 3, "gtd")
    assert amended == {"cl_ord_id": "a-1", "stop_price": "3.110", "expire_time": 1_795_773_600_000_001}
    assert (placed["ord_type"], placed["stop_price"]) == ("stop", "2") and "price" not in placed


def test_place_names_every_part(background: Background, alice: str) -> None:
    terms = ("--symbol", "W320F2703", "--side", "buy", "--qty", "10", "--price", "3.005", "--id", "a-1")
    ran = cashew("order", "place", *terms, "--key", alice, "--url", background.url)
    assert ran.out == "accepted order 1 (a-1): buy 10 W320F2703 @ 3.005, new, 10 open, 0 filled\n"


def test_amend_cancel_status_and_mass_cancel(background: Background, alice: str) -> None:
    options = ("--key", alice, "--url", background.url)
    cashew("order", "buy", "W320F2703", "10", "@", "3.005", "--id", "a-1", *options)
    assert cashew("order", "amend", "a-1", "--price", "3.010", *options).out.startswith("amended order 1 (a-1)")
    assert cashew("order", "status", *options).out.splitlines()[1].split("\t")[:5] == [
        "1", "a-1", "W320F2703", "buy", "3.010",
    ]  # fmt: skip
    assert [line["order_id"] for line in cashew("order", "status", "a-1", "--json", *options).lines] == [1]
    assert cashew("order", "cancel", "1", *options).out.startswith("canceled order 1 (a-1)")
    assert cashew("order", "mass-cancel", *options).out == "canceled 0 orders\n"


def test_refusal_is_exit_1_with_code_and_rule(background: Background, alice: str) -> None:
    text = "the price is outside the instrument's price band"
    refusal = {"ev": "order.rejected", "code": "PRICE_BAND", "rule": "R12", "text": text, "fate": "not_done"}
    background.exchange.refuse["order.place"] = refusal
    order = ("order", "buy", "W320F2703", "10", "@", "3.005", "--key", alice, "--url", background.url)
    ran = cashew(*order)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"cashew: {text} [PRICE_BAND, R12]\n"
    assert cashew(*order, "--json").lines == [
        {"ev": "error", "code": "PRICE_BAND", "text": text, "fate": "not_done"},
    ]


def test_wrong_or_open_key_is_one_sentence(background: Background, tmp_path: Path) -> None:
    wrong = write_key(tmp_path / "wrong.key", "nobody")
    ran = cashew("order", "status", "--key", wrong, "--url", background.url)
    assert (ran.code, ran.err) == (1, "cashew: unknown token [NOT_LOGGED_ON]\n")
    Path(wrong).chmod(0o644)
    ran = cashew("order", "status", "--key", wrong, "--url", background.url)
    assert ran.code == 1
    assert "chmod 600" in ran.err


def test_key_and_address_may_come_from_the_environment(
    background: Background, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASHEW_URL", background.url)
    monkeypatch.setenv("CASHEW_KEY", alice)
    assert cashew("order", "mass-cancel").out == "canceled 0 orders\n"
