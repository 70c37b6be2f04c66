"""The client's book: snapshots, updates, gaps, checksums, parts."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from cashew.book import Book, BookError, Level


def snapshot(**changes: Any) -> dict[str, Any]:
    message = {
        "ev": "book", "symbol": "X", "type": "snapshot", "seq": 5, "prev": 0,
        "bids": [["3.005", 10, 2], ["3.000", 4, 1]], "asks": [["3.010", 7, 1]],
        "crc": zlib.crc32(b"601:10|600:4|602:7|"),
    }  # fmt: skip
    return {**message, **changes}


def update(seq: int, prev: int, bids: Any = (), asks: Any = (), crc: int | None = None) -> dict[str, Any]:
    message = {"ev": "book", "symbol": "X", "type": "update", "seq": seq, "prev": prev, "bids": bids, "asks": asks}
    return message if crc is None else {**message, "crc": crc}


def ready_book() -> Book:
    book = Book("X", "0.005")
    book.take(snapshot())
    return book


def test_snapshot_gives_both_sides_best_first() -> None:
    book = ready_book()
    assert book.ready
    assert book.bids() == [Level("3.005", 10, 2), Level("3.000", 4, 1)]
    assert (book.best_bid, book.best_ask) == (Level("3.005", 10, 2), Level("3.010", 7, 1))
    assert book.bids(1) == [Level("3.005", 10, 2)]


def test_update_changes_adds_and_removes_levels() -> None:
    book = ready_book()
    crc = zlib.crc32(b"600:5|603:1|")
    book.take(update(9, 5, [["3.005", 0, 0], ["3.000", 5, 2]], [["3.010", 0, 0], ["3.015", 1, 1]], crc))
    assert book.bids() == [Level("3.000", 5, 2)]
    assert book.asks() == [Level("3.015", 1, 1)]
    assert (book.seq, book.ready) == (9, True)


@pytest.mark.parametrize(
    "message",
    [
        update(9, 6),
        update(9, 5, crc=1),
        update(9, 5, [["3.0051", 1, 1]]),
        update(9, 5, [["x", 1, 1]]),
        {"type": "update", "seq": 9, "prev": 5},
        {"type": "update"},
    ],
    ids=["gap", "checksum", "off tick", "no price", "no levels", "no seq"],
)
def test_what_does_not_fit_makes_the_book_wait_for_a_snapshot(message: dict[str, Any]) -> None:
    book = ready_book()
    with pytest.raises(BookError):
        book.take(message)
    assert not book.ready
    with pytest.raises(BookError):
        book.take(update(10, 9))
    book.take(snapshot())
    assert book.ready


def test_snapshot_in_parts_is_one_snapshot() -> None:
    book = Book("X", "0.005")
    whole = snapshot()
    book.take({**whole, "asks": [], "more": True})
    assert not book.ready
    book.take({**whole, "bids": []})
    assert book.ready
    assert (len(book.bids()), len(book.asks())) == (2, 1)


def test_update_in_parts_is_checked_at_its_end() -> None:
    book = ready_book()
    crc = zlib.crc32(b"601:1|602:2|")
    book.take({**update(9, 5, [["3.005", 1, 1], ["3.000", 0, 0]], crc=crc), "more": True})
    assert not book.ready
    book.take(update(9, 5, asks=[["3.010", 2, 1]], crc=crc))
    assert book.ready


def test_checksum_counts_ten_levels_of_each_side() -> None:
    book = Book("X", "1")
    bids = [[str(price), 1, 1] for price in range(50, 30, -1)]
    text = "".join(f"{price}:1|" for price in range(50, 40, -1))
    book.take({"type": "snapshot", "seq": 1, "prev": 0, "bids": bids, "asks": [], "crc": zlib.crc32(text.encode())})
    assert book.ready
