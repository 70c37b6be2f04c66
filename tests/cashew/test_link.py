"""Addresses and delays of a connection; its losing and coming back is tested with the client."""

from __future__ import annotations

import itertools

import pytest

from cashew.errors import CannotConnect
from cashew.link import backoff, http_base, socket_url


@pytest.mark.parametrize(
    ("typed", "base", "socket"),
    [
        ("http://127.0.0.1:8410", "http://127.0.0.1:8410", "ws://127.0.0.1:8410/ws/v1/md"),
        ("http://127.0.0.1:8410/", "http://127.0.0.1:8410", "ws://127.0.0.1:8410/ws/v1/md"),
        ("127.0.0.1:8410", "http://127.0.0.1:8410", "ws://127.0.0.1:8410/ws/v1/md"),
        ("https://example.org", "https://example.org", "wss://example.org/ws/v1/md"),
        ("ws://localhost:1", "http://localhost:1", "ws://localhost:1/ws/v1/md"),
    ],
)
def test_address_is_understood_as_typed(typed: str, base: str, socket: str) -> None:
    assert http_base(typed) == base
    assert socket_url(typed, "/ws/v1/md") == socket


@pytest.mark.parametrize("typed", ["", "http://", "ftp://x", "http://x:99999", "http://x:y"])
def test_nonsense_is_no_address(typed: str) -> None:
    with pytest.raises(CannotConnect, match="no address"):
        http_base(typed)


def test_delays_double_up_to_a_bound_and_are_spread() -> None:
    delays = list(itertools.islice(backoff(0.1, 5.0), 10))
    nominal = [min(0.1 * 2**n, 5.0) for n in range(10)]
    assert all(want / 2 <= got <= want for got, want in zip(delays, nominal, strict=True))
