"""The checksum of a book message: a reference for whoever keeps a copy of the book and wants to know that it is right.

Imports nothing of the project.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from zlib import crc32

__all__ = ["CHECKSUM_LEVELS", "book_crc"]

CHECKSUM_LEVELS: Final = 10


def book_crc(bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> int:
    """Give the CRC-32 of `price_ticks:lots|` over the ten best bids, then the ten best asks, each best first.

    >>> book_crc([(601, 10)], [(602, 5), (604, 7)]) == crc32(b"601:10|602:5|604:7|")
    True
    """
    best = [*list(bids)[:CHECKSUM_LEVELS], *list(asks)[:CHECKSUM_LEVELS]]
    return crc32("".join([f"{price}:{lots}|" for price, lots in best]).encode("ascii"))
