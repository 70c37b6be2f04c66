"""Requests become exactly the rows that the schema says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.schema import (
    COMMAND,
    HAS_PRICE,
    HAS_QTY,
    OFF_TICK,
    POST_ONLY,
    CommandKind,
    OrdType,
    Side,
    Smp,
    TimeInForce,
    cl_ord_id_key,
)
from gateway.codec import (
    BadRequest,
    act_payload,
    act_row,
    command_kind,
    decode,
    decode_offline,
    disconnect_row,
    to_row,
)
from gateway.directory import Directory
from tests.gateway.kit import SYMBOL, Floor, order


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Floor(tmp_path).desk.directory


def row_of(
    directory: Directory, op: str, p: dict[str, Any] | None = None, *, offline: bool = False, **known: Any
) -> Any:
    frame = json.dumps({"op": op, "id": 1} | ({} if p is None else {"p": p}))
    request = (decode_offline if offline else decode)(frame)
    return np.frombuffer(to_row(request, directory, **known), COMMAND)[0]


def named(**fields: Any) -> dict[str, Any]:
    return {**dict.fromkeys(COMMAND.names or (), 0), "cl_ord_id": b"", **fields}


def as_dict(row: Any) -> dict[str, Any]:
    return dict(zip(COMMAND.names or (), row.tolist(), strict=True))


def test_place_with_defaults_is_a_limit_day_order(directory: Directory) -> None:
    row = row_of(directory, "order.place", order("a-1"), account=2, client_session=77)
    assert as_dict(row) == named(
        kind=CommandKind.ORDER_PLACE,
        side=Side.BUY,
        ord_type=OrdType.LIMIT,
        time_in_force=TimeInForce.DAY,
        flags=HAS_PRICE,
        instrument=1,
        price=601,
        order_qty=10,
        cl_ord_id=b"a-1",
        account=2,
        client_session=77,
    )


def test_place_with_everything_sets_everything(directory: Directory) -> None:
    p = order(
        "a-2", "sell", "3.010", 7, ord_type="limit", time_in_force="gtc", post_only=True, smp="decrement", smp_id=9
    )
    assert as_dict(row_of(directory, "order.place", p)) == named(
        kind=CommandKind.ORDER_PLACE,
        side=Side.SELL,
        ord_type=OrdType.LIMIT,
        time_in_force=TimeInForce.GTC,
        smp=Smp.DECREMENT,
        flags=HAS_PRICE | POST_ONLY,
        instrument=1,
        smp_id=9,
        price=602,
        order_qty=7,
        cl_ord_id=b"a-2",
    )


def test_market_order_has_no_price(directory: Directory) -> None:
    p = {key: value for key, value in order("a-3", ord_type="market").items() if key != "price"}
    row = row_of(directory, "order.place", p)
    assert (row["ord_type"], row["flags"], row["price"]) == (OrdType.MARKET, 0, 0)


def test_price_off_the_tick_is_flagged_for_the_core(directory: Directory) -> None:
    row = row_of(directory, "order.place", order("a-4", price="3.001"))
    assert (row["flags"], row["price"]) == (HAS_PRICE | OFF_TICK, 0)


def test_unknown_symbol_is_left_to_the_core_but_never_means_all(directory: Directory) -> None:
    assert row_of(directory, "order.place", order("a-5", symbol="nope"))["instrument"] == 0
    assert row_of(directory, "order.mass_cancel", {"symbol": "nope"})["instrument"] == -1
    assert row_of(directory, "order.mass_cancel")["instrument"] == 0
    row = row_of(directory, "order.mass_cancel", {"symbol": SYMBOL, "side": "sell"})
    assert (row["instrument"], row["side"]) == (1, Side.SELL)


def test_cancel_names_its_order_by_either_id(directory: Directory) -> None:
    assert row_of(directory, "order.cancel", {"cl_ord_id": "a"})["cl_ord_id"] == b"a"
    row = row_of(directory, "order.cancel", {"order_id": 44})
    assert (row["target_lo"], row["target_hi"], row["cl_ord_id"]) == (44, 0, b"")


def test_amend_with_a_new_id_names_the_order_by_key(directory: Directory) -> None:
    p = {"cl_ord_id": "a-1", "new_cl_ord_id": "a-2", "order_qty": 5}
    row = row_of(directory, "order.amend", p)
    assert (row["target_lo"], row["target_hi"]) == cl_ord_id_key(b"a-1")
    assert (row["cl_ord_id"], row["flags"], row["order_qty"]) == (b"a-2", HAS_QTY, 5)


def test_amend_price_takes_the_tick_of_the_order_it_means(directory: Directory) -> None:
    known = row_of(directory, "order.amend", {"cl_ord_id": "a-1", "price": "3.010"}, instrument=1)
    assert (known["price"], known["flags"], known["cl_ord_id"]) == (602, HAS_PRICE, b"a-1")
    unknown = row_of(directory, "order.amend", {"order_id": 5, "price": "3.010"})
    assert unknown["flags"] == HAS_PRICE | OFF_TICK  # it must not be taken for a price of some instrument


@pytest.mark.parametrize(
    ("op", "p", "code"),
    [
        ("order.amend", {"cl_ord_id": "a"}, "MISSING_FIELD"),
        ("order.amend", {"order_qty": 3}, "MISSING_FIELD"),
        ("order.cancel", {}, "MISSING_FIELD"),
        ("order.cancel", {"cl_ord_id": "a", "order_id": 1}, "BAD_VALUE"),
        ("order.amend", {"cl_ord_id": "a", "new_cl_ord_id": ""}, "BAD_VALUE"),
        ("order.place", order("a", price="9" * 30), "BAD_VALUE"),
        ("order.place", order("a", price="abc", symbol="nope"), "BAD_VALUE"),
    ],
)
def test_what_no_row_can_hold_is_refused_with_its_id(
    directory: Directory, op: str, p: dict[str, Any], code: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        row_of(directory, op, p, instrument=1)
    assert (caught.value.code, caught.value.id) == (code, 1)


def test_rows_that_only_lines_of_match_can_ask_for(directory: Directory) -> None:
    restore = {**order("r-1", time_in_force="gtc"), "order_id": 3, "leaves_qty": 4, "client_session": 8}
    row = row_of(directory, "order.restore", restore, offline=True, account=1)
    assert (row["kind"], row["target_lo"], row["min_qty"], row["client_session"]) == (
        CommandKind.ORDER_RESTORE,
        3,
        4,
        8,
    )
    row = row_of(directory, "disconnect", {"client_session": 8}, offline=True, account=1)
    assert row.tobytes() == disconnect_row(1, 8)
    assert row_of(directory, "clock.tick", offline=True)["kind"] == CommandKind.CLOCK_TICK


def test_acts_are_canonical_json(directory: Directory) -> None:
    assert act_payload({"b": "điều", "a": 1}) == '{"a":1,"b":"điều"}'.encode()
    row = np.frombuffer(act_row(CommandKind.PHASE_SET, 12, offset=4, principal=3), COMMAND)[0]
    assert (row["kind"], row["target_lo"], row["target_hi"], row["client_session"]) == (CommandKind.PHASE_SET, 4, 12, 3)
    assert command_kind(decode_offline('{"op":"day.start"}')) == CommandKind.DAY_START
