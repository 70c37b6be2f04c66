"""Errors by fate."""

from __future__ import annotations

import pytest

from cashew.errors import Done, NotDone, Rejected, Unknown, from_answer


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"code": "PRICE_BAND", "rule": "R12", "fate": "not_done"}, Rejected),
        ({"code": "BAD_VALUE", "fate": "not_done"}, NotDone),
        ({"code": "X"}, NotDone),
        ({"code": "X", "fate": "unknown"}, Unknown),
        ({"code": "X", "fate": "done"}, Done),
        ({}, NotDone),
    ],
)
def test_answer_becomes_the_error_of_its_fate(answer: dict[str, object], kind: type) -> None:
    error = from_answer(answer, cl_ord_id="a-1")
    assert type(error) is kind
    assert error.fate == answer.get("fate", "not_done")
    assert error.cl_ord_id == "a-1"
    assert error.text
