"""Requests become exactly the rows that the schema says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.schema import (
    COMMAND,
    HAS_EXPIRE,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    OF_SESSION,
    OFF_TICK,
    POST_ONLY,
    CommandKind,
    OrdType,
    Side,
    Smp,
    TimeInForce,
    cl_ord_id_key,
    word,
)
from gateway.codec import (
    BadRequest,
    act_payload,
    act_row,
    command_kind,
    decode,
    decode_offline,
    disconnect_row,
    tick_row,
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


def test_every_type_and_time_in_force_has_its_number(directory: Directory) -> None:
    for ord_type in OrdType:
        assert row_of(directory, "order.place", order("a", ord_type=word(ord_type)))["ord_type"] == ord_type
    for tif in TimeInForce:
        assert row_of(directory, "order.place", order("a", time_in_force=word(tif)))["time_in_force"] == tif


def test_place_of_a_stop_an_iceberg_and_an_order_with_an_end(directory: Directory) -> None:
    p = order("a-1", ord_type="stop_limit", stop_price="3.010", display_qty=4, min_qty=2, expire_time=1_000_001)
    row = row_of(directory, "order.place", p)
    assert (row["price"], row["stop_price"], row["flags"]) == (601, 602, HAS_PRICE | HAS_STOP)
    assert (row["display_qty"], row["min_qty"], row["expire_time"]) == (4, 2, 1_000_001_000)
    row = row_of(directory, "order.place", order("a-2", display_qty=-1, min_qty=-2, expire_time=-3))
    assert (row["display_qty"], row["min_qty"], row["expire_time"]) == (-1, -2, -3_000), "the core will refuse it"


def test_stop_price_off_the_tick_is_flagged_for_the_core(directory: Directory) -> None:
    row = row_of(directory, "order.place", order("a-1", ord_type="stop_limit", stop_price="3.001"))
    assert (row["flags"], row["price"], row["stop_price"]) == (HAS_PRICE | HAS_STOP | OFF_TICK, 601, 0)


@pytest.mark.parametrize("expire_time", [2**63 // 1000 + 1, -(2**63) // 1000 - 1, 2**63])
def test_expire_time_that_is_no_int64_in_nanoseconds_is_refused(directory: Directory, expire_time: int) -> None:
    with pytest.raises(BadRequest) as caught:
        row_of(directory, "order.place", order("a-1", expire_time=expire_time))
    assert caught.value.code == "BAD_VALUE"
    most = (2**63 - 1) // 1000
    assert row_of(directory, "order.place", order("a-1", expire_time=most))["expire_time"] == most * 1000


def test_amend_of_stop_price_and_expire_time(directory: Directory) -> None:
    row = row_of(
        directory, "order.amend", {"order_id": 5, "stop_price": "3.010", "expire_time": 7}, instrument=1, account=1
    )
    assert (row["stop_price"], row["expire_time"], row["flags"]) == (602, 7_000, HAS_STOP | HAS_EXPIRE)
    unknown = row_of(directory, "order.amend", {"order_id": 5, "stop_price": "3.010"})
    assert unknown["flags"] == HAS_STOP | OFF_TICK


def test_mass_cancel_of_what_came_in_through_the_connection(directory: Directory) -> None:
    row = row_of(directory, "order.mass_cancel", {"session": True}, client_session=7)
    assert (row["flags"], row["client_session"]) == (OF_SESSION, 7)
    assert row_of(directory, "order.mass_cancel", {"session": False}, client_session=7)["flags"] == 0


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
    restore |= {"stop_price": "3.010", "display_qty": 3, "shown_qty": 2, "expire_time": 9, "time_in_force": "gtd"}
    row = row_of(directory, "order.restore", restore, offline=True, account=1)
    assert (row["stop_price"], row["display_qty"], row["target_hi"], row["min_qty"]) == (602, 3, 2, 4)
    assert (row["expire_time"], row["time_in_force"]) == (9_000, TimeInForce.GTD)
    with pytest.raises(BadRequest, match="min_qty"):
        row_of(directory, "order.restore", {**restore, "min_qty": 4}, offline=True)
    row = row_of(directory, "disconnect", {"client_session": 8}, offline=True, account=1)
    assert row.tobytes() == disconnect_row(1, 8)
    assert row_of(directory, "clock.tick", offline=True).tobytes() == tick_row()
    assert np.frombuffer(tick_row(), COMMAND)["kind"][0] == CommandKind.CLOCK_TICK


def test_acts_are_canonical_json(directory: Directory) -> None:
    assert act_payload({"b": "điều", "a": 1}) == '{"a":1,"b":"điều"}'.encode()
    row = np.frombuffer(act_row(CommandKind.PHASE_SET, 12, offset=4, principal=3), COMMAND)[0]
    assert (row["kind"], row["target_lo"], row["target_hi"], row["client_session"]) == (CommandKind.PHASE_SET, 4, 12, 3)
    assert command_kind(decode_offline('{"op":"day.start"}')) == CommandKind.DAY_START
