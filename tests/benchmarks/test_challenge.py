"""The challenge's adapter turns messages into commands and events into reports, one message at a time."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.core.lane import LANE

PLACE, CANCEL, MODIFY = range(3)
ACK, TRADED, CANCELED, MODIFIED, CANCEL_REJECTED, MODIFY_REJECTED = range(6)
MESSAGE = np.dtype([("kind", "<i8"), ("order", "<i8"), ("seq", "<i8"), ("price", "<i8"), ("qty", "<i4"),
                    ("side", "u1"), ("ioc", "u1"), ("pad", "u1", 2)])  # fmt: skip
SLOTS = 1 << 10


@pytest.fixture(scope="module", params=[0, 1], ids=["reports into the caches", "reports past them"])
def drive(request: pytest.FixtureRequest) -> Any:
    if LANE != "compiled":
        pytest.skip("the adapter calls the compiled core")
    from benchmarks.challenge import host

    lines, head, tail = np.zeros((SLOTS + 1) * 8, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64)
    skip = -lines.ctypes.data % 64 // 8  # a report is a cache line
    ring = lines[skip : skip + SLOTS * 8].reshape(SLOTS, 8)
    made = ring.ctypes.data, head.ctypes.data, tail.ctypes.data, SLOTS, 1, 1_000, request.param
    drive, query, handle, own = host.build(*made)
    with pytest.raises(ValueError, match="cache line"):
        host.build(ring.ctypes.data + 8, *made[1:])
    call = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 4)

    def ask(function: int, *arguments: int) -> int:
        result, error = ctypes.c_int64(), ctypes.c_void_p()
        assert call(function)(ctypes.addressof(result), ctypes.addressof(error), *arguments) == 0
        return result.value

    def send(*messages: tuple[int, ...]) -> list[tuple[int, ...]]:
        rows = np.zeros(len(messages), MESSAGE)
        for row, (kind, order, price, qty, side, ioc) in zip(rows, messages, strict=True):
            row["kind"], row["order"], row["price"], row["qty"], row["side"], row["ioc"] = (
                kind, order, price, qty, side, ioc,
            )  # fmt: skip
        before = int(head[0])
        ask(drive, handle, own, rows.ctypes.data, len(rows))
        tail[0] = head[0]
        reports = ring[np.arange(before, int(head[0])) % SLOTS].tolist()
        return [(word & 255, order, price, qty) for word, _, order, price, qty, _, _, _ in reports]

    send.query = lambda what, price=0, side=0: ask(query, handle, what, price, side)  # type: ignore[attr-defined]
    yield send
    assert ring is not None


def test_messages_become_reports(drive: Any) -> None:
    assert drive((PLACE, 7, 500, 10, 0, 0)) == [(ACK, 7, 500, 10)]
    assert drive((PLACE, 1 << 40, 501, 3, 1, 0), (PLACE, 8, 502, 1, 1, 0)) == [(ACK, 1 << 40, 501, 3), (ACK, 8, 502, 1)]
    assert [drive.query(0), drive.query(1), drive.query(2, 500, 0), drive.query(2, 501, 1)] == [500, 501, 10, 3]
    assert drive((PLACE, 9, 500, 4, 1, 0)) == [(ACK, 9, 500, 4), (TRADED, 7, 500, 4)]
    assert drive((MODIFY, 7, 499, 2, 0, 0)) == [(MODIFIED, 7, 499, 2)], "what is open, not what was ordered"
    assert drive((MODIFY, 99, 499, 2, 0, 0), (CANCEL, 99, 0, 0, 0, 0)) == [
        (MODIFY_REJECTED, 99, 0, 0), (CANCEL_REJECTED, 99, 0, 0),
    ]  # fmt: skip
    assert drive((CANCEL, 7, 0, 0, 0, 0))[0][:2] == (CANCELED, 7)
    assert drive((PLACE, 10, 502, 9, 0, 1)) == [
        (ACK, 10, 502, 9), (TRADED, 1 << 40, 501, 3), (TRADED, 8, 502, 1), (CANCELED, 10, 502, 5),
    ]  # fmt: skip
    assert drive.query(0) == -(1 << 63) and drive.query(1) == (1 << 63) - 1


def test_an_order_is_named_when_it_is_no_longer_among_the_latest(drive: Any) -> None:
    for order in (300, 300 + (1 << 12)):
        assert drive((PLACE, order, 400, 1, 0, 0)) == [(ACK, order, 400, 1)]
    assert drive((MODIFY, 300, 401, 2, 0, 0)) == [(MODIFIED, 300, 401, 2)]
    for order in (300, 300 + (1 << 12)):
        assert drive((CANCEL, order, 0, 0, 0, 0))[0][:2] == (CANCELED, order)


def test_an_id_may_be_used_again_once_its_order_has_ended(drive: Any) -> None:
    for _ in range(3):
        assert drive((PLACE, 77, 400, 1, 0, 0)) == [(ACK, 77, 400, 1)]
        assert drive((CANCEL, 77, 0, 0, 0, 0))[0][:2] == (CANCELED, 77)


def test_many_messages_pass_a_small_ring(drive: Any) -> None:
    for k in range(200):
        assert drive((PLACE, 1_000 + k, 300, 1, 0, 0)) == [(ACK, 1_000 + k, 300, 1)]
    traded = drive((PLACE, 2_000, 300, 200, 1, 0))
    assert [report[1] for report in traded[1:]] == [1_000 + k for k in range(200)], "first come, first served"


def test_a_folder_without_the_harness_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if LANE != "compiled":
        pytest.skip("the adapter calls the compiled core")
    from benchmarks.challenge.build import main

    assert main([str(tmp_path)]) == 2 and "matching_engine_api.h" in capsys.readouterr().err
