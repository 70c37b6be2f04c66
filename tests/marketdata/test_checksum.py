"""The checksum's reference."""

from __future__ import annotations

from zlib import crc32

from marketdata.checksum import CHECKSUM_LEVELS, book_crc


def test_it_covers_ten_levels_of_each_side_and_no_more() -> None:
    bids = [(700 - i, i + 1) for i in range(12)]
    asks = [(701 + i, 2 * i + 1) for i in range(11)]
    text = "".join(f"{price}:{lots}|" for price, lots in bids[:10] + asks[:10])
    assert CHECKSUM_LEVELS == 10
    assert book_crc(bids, asks) == crc32(text.encode())
    assert book_crc(iter(bids[:10]), iter(asks[:10])) == crc32(text.encode())


def test_known_values_that_other_languages_can_check_against() -> None:
    assert book_crc([], []) == 0
    assert book_crc([(601, 10), (600, 4)], [(602, 5)]) == 2_504_985_372
    assert book_crc([(-3, 1)], []) == 2_885_619_972
    assert book_crc([(601, 10)], []) != book_crc([], [(601, 11)])
