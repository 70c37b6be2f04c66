"""What the order flow sends that is no good: damaged fields of rows, and terms of acts that are wrong or merely odd."""

from __future__ import annotations

from typing import Any, Final

# What a damaged field is set to; the stamped seq and time are the venue's own and stay as they are.
DAMAGE: Final[dict[str, tuple[Any, ...]]] = {
    "kind": (0, 8, 15, 16, 17, 18, 19, 20, 21, 22, 200, 255, 1, 2, 3, 4, 5, 6, 7),
    "side": (0, 3, 255, 1, 2),
    "ord_type": (0, 6, 255, 1, 2, 3, 4, 5),
    "time_in_force": (0, 8, 255, 2, 3, 4, 5, 6, 7),
    "smp": (6, 255, 1, 5),
    "flags": (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 14, 15, 16, 18, 22, 32, 34, 50, 64, 66, 128, 255),
    "reserved": (1, 65535),
    "instrument": (-1, 0, 99, 2**31 - 1, -(2**31), 1, 2),
    "smp_id": (-1, 65535, 65536, 2**31 - 1, -(2**31)),
    "price": (0, -1, 2**63 - 1, -(2**63), 2_000_000_001, -2_000_000_001),
    "order_qty": (0, -1, 1_000_000_000, 1_000_000_001, 2**63 - 1, -(2**63), 1),
    "cl_ord_id": (
        b"",
        b" ",
        b"a b",
        b"a\0b",
        b"\xff" * 32,
        b"a" * 32,
        b"\0a",
        b"q/r",
        b"\n",
        b"{",
        b"`",
        b"9:;",
        b"-._:",
        b",",
        b"\x7f",
        b"a" * 7 + b"\0b",
        b"a" * 8 + b"\0b",
        b"a" * 16 + b"\0b",
        b"a" * 20 + b"\0\0\0\0b",
        b"a" * 24 + b"\0b",
        b"\x80",
        b"a" * 9 + b"@",
        b"a" * 12 + b"\xe9",
        b"a" * 17 + b"[",
        b"a" * 31 + b"!",
    ),
    "target_lo": (0, -1, 1, 2**62, 2**63 - 1, -(2**63)),
    "target_hi": (0, 1, -1, 2, 3, 2**63 - 1, -(2**63)),
    "stop_price": (0, 1, -1, 2**63 - 1, -(2**63), 2_000_000_001),
    "display_qty": (0, 1, 2, -1, 2**31 - 1, -(2**31), 1_000_000_000, 1_000_000_001),
    "min_qty": (0, 1, 2, -1, 2**31 - 1, -(2**31), 1_000_000_001),
    "expire_time": (0, 1, -1, 2**63 - 1, -(2**63)),
    "account": (0, -1, 99, 2**31 - 1, -(2**31), 1, 2),
    "client_session": (0, -1, 1, 2**31 - 1, -(2**31)),
}

# fmt: off
# Values that no term of an act may have, or that only some may, or that merely look odd.
ODD_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, -1, 0, 1, 1.0, 1.5, [], {}, 10**30, 10**9, 10**9 + 1, 2**20, 2**20 + 1, 2**62, 2**62 + 1, 2**63,
    "", " ", "ALL", "é", "\0", "a\n", "A" * 32, "A" * 33, "A" * 200, "A" * 201, "\U0001f95c" * 200, "a/b", "a b", "1",
    "0.00x", "-1", "0", "0.0", "-0", "00.5", ".5", "5.", "1e3", "+1", " 1", "\uff11", "1_0", "--1", "-", ".", "0.005",
    "0.0000000000000000001", "0.00000000000000000001", "9" * 20, "9" * 33, "3.0050", "3." + "0" * 31, "halted",
    "CLOSED", "closed", "2026-11-24", "2026-02-30", "2026-1-1", "0000-01-01", "9999-12-31", "20261124",
)
# How the text of an act may end instead of with its brace.
ODD_ENDS: Final = (
    b',"why":"\\ud800"}', b',"why":"\\ud83e\\udd5c"}', b',"why":NaN}', b',"why":Infinity}', b',"why":1e3}',
    b',"why":"a\\ud800"}', b',"why":"\\udfff"}', b',"by":"\\udc00\\ud800b"}', b',"why":"\\ue000\\ud7ff"}',
    b',"why":null}', b"}}", b"} ", b',"by":1}', b',"by":"\\u00e9"}', b',"by":"\xed\xa0\x80"}',
    b',"symbol":"S1"}', b',"\\u0062y":"x"}', b',"why":' + b"[" * 5000, b',"by":' + b"9" * 5000 + b"}", b',"why":"\t"}',
    b',"why":"\\t"}', b",}", b"}\n", b"}\0",
)
# fmt: on
