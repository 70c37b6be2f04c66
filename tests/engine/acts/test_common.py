"""Payloads, names, texts and integers of acts: what is read and what is refused."""

import json
import sys

import pytest

from engine.acts.common import Fact, Refusal, check_keys, integer, is_date, name, read_payload, text
from engine.schema import Code, EventKind

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

NESTED = b"[" * 100_000


def refused(payload: bytes, offset: int = 0, length: int | None = None) -> bool:
    with pytest.raises(Refusal) as caught:
        read_payload(payload, offset, len(payload) if length is None else length)
    return caught.value.code == Code.BAD_TERMS


def test_a_payload_is_read_where_it_lies() -> None:
    assert read_payload(b'xx{"a":1}yy', 2, 7) == {"a": 1}
    assert read_payload(b"{}", 0, 2) == {}
    assert read_payload(memoryview(b'{"a":"\xc4\x91"}'), 0, 10) == {"a": "đ"}


@pytest.mark.parametrize(
    "payload",
    [b"", b" ", b"1", b'"a"', b"[]", b"[{}]", b"null", b"true", b"{", b"{}}", b"{'a':1}", b'{"a":1,}', b'{"a":1,"a":1}',
     b'{"a":{"b":1,"b":2}}', b"\xff", b'{"a":"\xc4"}', b"\xef\xbb\xbf{}", b"{}".decode().encode("utf-16"), NESTED,
     b'{"a":' * 50_000, b'{"a":1' + b"0" * 100_000 + b"}", b"{}\0"],
    ids=lambda payload: repr(payload[:16]),
)  # fmt: skip
def test_what_is_no_json_object_is_refused(payload: bytes) -> None:
    assert refused(payload)


@pytest.mark.parametrize(
    ("offset", "length"), [(-1, 2), (0, -1), (0, 3), (2, 1), (3, 0), (2**63 - 1, 2), (1, 2**63 - 1), (-(2**63), 2**63)]
)
def test_what_does_not_lie_in_the_section_is_refused(offset: int, length: int) -> None:
    assert refused(b"{}", offset, length)


def test_an_integer_too_long_to_read_is_refused_whatever_the_interpreter_allows() -> None:
    before = sys.get_int_max_str_digits()
    try:
        for most in (640, 0):
            sys.set_int_max_str_digits(most)
            long = b'{"a":' + b"9" * 5_000 + b"}"
            with pytest.raises(Refusal):
                integer(read_payload(long, 0, len(long)), "a", 1, 10)
    finally:
        sys.set_int_max_str_digits(before)


def test_keys() -> None:
    check_keys({"a": 1}, {"a"})
    check_keys({"a": 1, "b": 2}, {"a"}, frozenset({"b"}))
    for terms in ({}, {"b": 1}, {"a": 1, "c": 1}, {"a": 1, "": 1}):
        with pytest.raises(Refusal):
            check_keys(terms, {"a"}, frozenset({"b"}))


@pytest.mark.parametrize("good", ["a", "A-1", "x" * 32, "0", "a.b_c:d/e-F"])
def test_names(good: str) -> None:
    assert name({"k": good}, "k") == good


@pytest.mark.parametrize(
    "bad", ["", "x" * 33, "a b", "é", "a\n", "\na", "a\0", "a,b", "đ", 1, None, True, ["a"], {"a": 1}]
)
def test_what_is_no_name(bad: object) -> None:
    with pytest.raises(Refusal):
        name({"k": bad}, "k")


@pytest.mark.parametrize("good", ["", "hạt điều", "x" * 200, "\x00\x07\u200b\ufeff", "😀" * 200, "\U0010ffff"])
def test_texts(good: str) -> None:
    assert text({"k": good}, "k") == good
    assert text({}, "k") == ""


@pytest.mark.parametrize("bad", ["x" * 201, "\ud800", "a\udfffb", json.loads('"\\ud83d"'), 1, None, [], False])
def test_what_is_no_text(bad: object) -> None:
    with pytest.raises(Refusal):
        text({"k": bad}, "k")


def test_a_pair_of_surrogates_in_json_is_one_character() -> None:
    assert text(read_payload(b'{"k":"\\ud83d\\ude00"}', 0, 20), "k") == "😀"


@pytest.mark.parametrize(
    ("value", "taken"),
    [(1, True), (10, True), *((value, False) for value in (0, 11, True, False, 1.0, "1", None, float("nan")))],
)
def test_integers(value: object, taken: bool) -> None:
    if taken:
        assert integer({"k": value}, "k", 1, 10) == value
    else:
        with pytest.raises(Refusal):
            integer({"k": value}, "k", 1, 10, 5)


def test_an_absent_integer_has_its_default_or_is_refused() -> None:
    assert integer({}, "k", 1, 10, 5) == 5
    with pytest.raises(Refusal):
        integer({}, "k", 1, 10)


@pytest.mark.parametrize(
    ("value", "good"),
    [
        *((day, True) for day in ("2026-11-23", "2028-02-29", "0001-01-01")),
        *((day, False) for day in ("2026-02-29", "2026-13-01", "0000-01-01", "2026-11-23 ", "20261123", "")),
        *((day, False) for day in (20261123, None, True, "\u0662026-11-23")),
    ],
)
def test_a_date_is_one_of_the_calendar(value: object, good: bool) -> None:
    assert is_date(value) is good


def test_a_fact_says_nothing_it_was_not_told() -> None:
    assert Fact(EventKind.DAY_STARTED)[1:] == (0,) * 10
    assert str(Refusal(Code.BAD_TERMS)) == "BAD_TERMS"
