"""What acts say of accounts and costs, and what they may not say (R72 to R78)."""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

import pytest

from engine.reference_payload import Payload, Refused
from engine.reference_terms import (
    Balance,
    Cap,
    Collateral,
    FeeChange,
    Fees,
    Fixing,
    Kill,
    MarginChange,
    Restored,
)
from engine.schema import Code


class Read(Protocol):
    def read(self, payload: Payload) -> object: ...


COLLATERAL: Payload = {"account": "A1", "amount": 5}
FIXING: Payload = {"date": "2026-11-23", "ccy": "USD", "per": "VND", "rate": "25400.5"}
MARGIN: Payload = {"symbol": "W", "ccy": "USD", "per_lot": 7}
FEES: Payload = {"group": "G", "ccy": "USD", "basis": "bps", "taker": 3, "maker": -2, "auction": 1}
CAP: Payload = {"commodity": "cashew", "lots": 9}
KILL: Payload = {"member": "M1", "on": 1}
RESTORED: Payload = {"account": "A1", "symbol": "W", "lots": -4}
BALANCE: Payload = {"account": "A1", "balance": -4, "checked": 1}


def test_what_is_well_said_is_read() -> None:
    assert Collateral.read({**COLLATERAL, "why": "x", "by": "y"}) == Collateral("A1", 5)
    fixing = Fixing.read(FIXING)
    assert fixing == Fixing("2026-11-23", "USD", "VND", "25400.5")
    assert (fixing.exact_rate, fixing.date_number) == (Fraction(50801, 2), 20261123)
    assert MarginChange.read(MARGIN) == MarginChange("W", "", "USD", 7)
    change = FeeChange.read(FEES)
    assert change == FeeChange("", "G", "USD", Fees("bps", 3, -2, 1))
    assert change.fees.picture() == {"basis": "bps", "taker": 3, "maker": -2, "auction": 1}
    assert (change.fees.highest, Fees("lot", -3, -2, -1).highest, Fees("lot", 1, 2, 5).highest) == (3, 0, 5)
    assert Cap.read(CAP) == Cap("cashew", "", 9)
    assert Cap.read({**CAP, "owner": "B1", "lots": 0}) == Cap("cashew", "B1", 0)
    assert Kill.read(KILL) == Kill("member", "M1", True)
    assert Kill.read({"account": "A1", "on": 0}) == Kill("account", "A1", False)
    assert Kill.read({"exchange": 1, "on": 1, "by": "x"}) == Kill("exchange", "", True)
    assert Restored.read(RESTORED) == Restored("A1", "W", -4)
    assert Balance.read(BALANCE) == Balance("A1", -4, True)


READERS: list[tuple[Read, Payload]] = [
    (Collateral, COLLATERAL), (Fixing, FIXING), (MarginChange, MARGIN), (FeeChange, FEES), (Cap, CAP), (Kill, KILL),
    (Restored, RESTORED), (Balance, BALANCE),
]  # fmt: skip


@pytest.mark.parametrize(("reader", "said"), READERS)
def test_no_key_is_lacking_and_none_too_many(reader: Read, said: Payload) -> None:
    for key in said:
        with pytest.raises(Refused) as raised:
            reader.read({other: value for other, value in said.items() if other != key})
        assert raised.value.code == Code.BAD_TERMS
    for more in ({"when": 1}, {"why": "x" * 201}, {"by": 7}):
        with pytest.raises(Refused):
            reader.read({**said, **more})


@pytest.mark.parametrize(
    ("reader", "said", "key", "fits", "fails"),
    [
        (Collateral, COLLATERAL, "amount", [0, 10**15], [-1, 10**15 + 1, "5", True]),
        (Collateral, COLLATERAL, "account", ["x" * 32], ["", "x" * 33, 5]),
        (Fixing, FIXING, "date", ["2024-02-29"], ["2026-02-29", 20261123, ""]),
        (Fixing, FIXING, "per", ["USD"], ["", 5]),
        (Fixing, FIXING, "rate", ["0.000001", "999999999.999999", "007"],
         ["0", "0.000000", ".5", "5.", "-1", "1e3", "1000000000", "1.0000000", "1\n", 5]),
        (MarginChange, MARGIN, "symbol", ["V"], ["ALL", "", 5]),
        (MarginChange, MARGIN, "per_lot", [0, 10**9], [-1, 10**9 + 1, "5"]),
        (FeeChange, FEES, "taker", [-1000, 1000], [-1001, 1001, "5"]),
        (FeeChange, FEES, "maker", [-1000, 1000], [-1001, 1001]),
        (FeeChange, FEES, "auction", [-1000, 1000], [-1001, 1001]),
        (FeeChange, {**FEES, "basis": "lot"}, "taker", [-100_000, 100_000], [-100_001, 100_001]),
        (FeeChange, FEES, "basis", ["lot"], ["", "LOT", 1]),
        (Cap, CAP, "lots", [0, 10**12], [-1, 10**12 + 1]),
        (Cap, CAP, "owner", ["B"], ["", 5]),
        (Kill, KILL, "on", [0, 1], [-1, 2, True, "1"]),
        (Kill, {"exchange": 1, "on": 1}, "exchange", [1], [0, 2, True, "1"]),
        (Kill, {"on": 1, "account": "A"}, "member", [], ["M"]),
        (Restored, RESTORED, "lots", [-(10**12), 10**12], [0, -(10**12) - 1, 10**12 + 1]),
        (Restored, RESTORED, "symbol", ["ALL"], ["", 5]),
        (Balance, BALANCE, "balance", [-(10**18), 10**18], [-(10**18) - 1, 10**18 + 1]),
        (Balance, BALANCE, "checked", [0, 1], [2, -1, True]),
    ],
)  # fmt: skip
def test_values_lie_in_their_ranges(
    reader: Read, said: Payload, key: str, fits: list[int | str], fails: list[int | str]
) -> None:
    for value in fits:
        reader.read({**said, key: value})
    for value in fails:
        with pytest.raises(Refused):
            reader.read({**said, key: value})


def test_who_restates_gives_no_reasons() -> None:
    for reader, said in ((Restored, RESTORED), (Balance, BALANCE)):
        with pytest.raises(Refused):
            reader.read({**said, "why": "x"})
