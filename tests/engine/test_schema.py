"""The vocabulary: enumerations, layouts, words, ticks and keys, and that they agree with each other."""

import doctest
import random
import re
import subprocess
import sys
from decimal import Decimal
from enum import IntEnum
from pathlib import Path

import numpy as np
import pytest

from engine import schema
from engine.schema import (
    CL_ORD_ID_PATTERN,
    CLIENT_PREFIX_BYTES,
    CODE_RULE,
    CODE_TEXT,
    COMMAND,
    DUP,
    EVENT,
    EVENT_WORDS_JSON,
    HAS_EXPIRE,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    INACTIVE,
    LAST,
    MAX_ORDER_QTY,
    MAX_PRICE_TICKS,
    OF_SESSION,
    OFF_TICK,
    OP_WORDS,
    OVERRIDE,
    POST_ONLY,
    PRIORITY_KEPT,
    SELF_MATCH,
    TRADE,
    UNCROSS,
    AuctionStep,
    Code,
    CommandKind,
    EventKind,
    OrdStatus,
    OrdType,
    Phase,
    Reason,
    Side,
    Smp,
    Tick,
    TimeInForce,
    cl_ord_id_key,
    word,
    words,
)

ROOT = Path(__file__).resolve().parents[2]
KNOWN_KEYS = [
    (2515100389229990024, 1549974574923451599),
    (1087825395765986146, 1857302206154663785),
    (825905678775518987, 825905678775518987),
]
ENUMERATIONS = (CommandKind, EventKind, Side, OrdType, TimeInForce, Smp, Phase, OrdStatus, Reason, AuctionStep)


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(schema).attempted >= 3 and doctest.testmod(schema).failed == 0


def test_the_schema_needs_nothing_but_numpy() -> None:
    code = ("import sys, engine.schema; print([m for m in sys.modules if m.split('.')[0] in "
            "('numba', 'llvmlite', 'sortedcontainers', 'gateway') or m.startswith('engine.core')])")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


# --- enumerations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ENUMERATIONS)
def test_enumerations_begin_at_one_and_fit_a_byte(kind: type[IntEnum]) -> None:
    assert min(kind) == 1 and max(kind) <= 255
    assert words(kind) == {member.name.lower(): member for member in kind}
    assert all(words(kind)[word(member)] is member for member in kind)


def test_codes_have_texts_and_rules() -> None:
    assert set(CODE_TEXT) == set(Code) and all(text and text == text.strip() for text in CODE_TEXT.values())
    assert set(CODE_RULE) == set(Code) - {Code.OK}
    rules = (ROOT / "engine" / "RULES.md").read_text()
    for code, rule in CODE_RULE.items():
        assert f"**R{rule} " in rules, code
        assert f"`{code.name}`" in rules, code


def test_every_rule_that_a_code_names_speaks_of_that_code() -> None:
    rules = (ROOT / "engine" / "RULES.md").read_text()
    paragraphs = dict(re.findall(r"\*\*R(\d+) (.*?)(?=\n\n|\n\*\*R\d+ |\Z)", rules, re.DOTALL))
    general = {Code.BAD_TERMS: "`BAD_TERMS`: a payload"}
    for code, rule in CODE_RULE.items():
        assert f"`{code.name}`" in paragraphs[str(rule)] or general.get(code, "\0") in rules, (code, rule)


def test_every_command_and_event_has_one_word() -> None:
    assert sorted(OP_WORDS.values()) == sorted(CommandKind)
    assert sorted(EVENT_WORDS_JSON) == sorted(EventKind)
    assert len(set(EVENT_WORDS_JSON.values())) == len(EventKind)


def test_flags_are_bits_of_their_own() -> None:
    commands = (POST_ONLY, HAS_PRICE, HAS_QTY, OFF_TICK, HAS_STOP, HAS_EXPIRE, OF_SESSION)
    events = (LAST, DUP, PRIORITY_KEPT, INACTIVE, UNCROSS, SELF_MATCH, OVERRIDE)
    for flags in (commands, events):
        assert [flag.bit_count() for flag in flags] == [1] * 7 and len(set(flags)) == 7 and max(flags) < 256


# --- layouts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", (COMMAND, EVENT, TRADE), ids=("command", "event", "trade"))
def test_records_are_128_bytes_without_gaps_or_overlaps(record: np.dtype) -> None:
    assert record.itemsize == 128 and record.fields is not None
    covered = sorted(byte for kind, at, *_ in record.fields.values() for byte in range(at, at + kind.itemsize))
    assert covered == list(range(128))
    for kind, at, *_ in record.fields.values():
        assert kind.kind == "S" or at % kind.itemsize == 0, "fields are aligned"
        assert kind.str[0] in "<|"


def test_a_client_may_set_the_prefix_and_nothing_else() -> None:
    assert COMMAND.fields is not None
    behind = {name for name, (_, at, *_) in COMMAND.fields.items() if at >= CLIENT_PREFIX_BYTES}
    assert behind == {"seq", "time", "account", "client_session"}


def test_a_trade_is_an_event_up_to_its_own_fields() -> None:
    assert EVENT.fields is not None and TRADE.fields is not None
    shared = [name for name in TRADE.fields if name in EVENT.fields]
    assert len(shared) == 20 and {"order_id", "price", "qty", "leaves_qty", "cum_qty"} < set(shared)
    assert all(EVENT.fields[name] == TRADE.fields[name] for name in shared)


def test_a_notional_fits_an_int64() -> None:
    assert MAX_ORDER_QTY * MAX_PRICE_TICKS < 1 << 63
    assert MAX_ORDER_QTY < 1 << 31, "quantities are kept in 32 bits"


def test_the_fingerprint_is_that_of_layouts_and_enumerations(monkeypatch: pytest.MonkeyPatch) -> None:
    assert schema._fingerprint() == schema.SCHEMA_FINGERPRINT and len(schema.SCHEMA_FINGERPRINT) == 32
    monkeypatch.setattr(schema, "FORMAT_VERSION", schema.FORMAT_VERSION + 1)
    assert schema._fingerprint() != schema.SCHEMA_FINGERPRINT
    monkeypatch.undo()
    for name in ("COMMAND", "EVENT", "TRADE"):
        changed = np.dtype([("kind", "u1"), ("rest", "S127")])
        monkeypatch.setattr(schema, name, changed)
        assert schema._fingerprint() != schema.SCHEMA_FINGERPRINT
        monkeypatch.undo()
    for kind in (*ENUMERATIONS, Code):
        longer = IntEnum(kind.__name__, {**kind.__members__, "ONE_MORE": 200})
        monkeypatch.setattr(schema, kind.__name__, longer)
        assert schema._fingerprint() != schema.SCHEMA_FINGERPRINT
        monkeypatch.undo()


# --- keys of client ids -----------------------------------------------------------------------------------


def test_keys_are_62_bits_and_the_second_half_is_odd() -> None:
    rng = random.Random(11)
    seen = set()
    for number in range(3_000):
        text = bytes(rng.choice(b"abcXYZ019._:-") for _ in range(rng.randint(1, 32))) if number else b""
        low, high = cl_ord_id_key(text)
        assert 0 <= low < 1 << 62 and 0 < high < 1 << 62 and high & 1
        seen.add((low, high))
    assert len(seen) > 2_900


def test_keys_are_what_they_have_always_been() -> None:
    """Clients keep keys; a change here would be a change of the protocol."""
    assert [cl_ord_id_key(text) for text in (b"a", b"a-1", b"x" * 32)] == KNOWN_KEYS


def test_padding_does_not_change_a_key() -> None:
    assert cl_ord_id_key(b"a\0\0") == cl_ord_id_key(b"a") != cl_ord_id_key(b"a\0b")
    assert re.fullmatch(CL_ORD_ID_PATTERN, "a" * 32) and not re.fullmatch(CL_ORD_ID_PATTERN, "a" * 33)


# --- ticks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["0.005", "50", "1", "0.25", "2.50", "0.000001"])
def test_ticks_and_prices_are_exact_both_ways(text: str) -> None:
    tick = Tick.parse(text)
    for ticks in (0, 1, -1, 601, -601, 2_000_000_000, -2_000_000_000):
        price = tick.text(ticks)
        assert Decimal(price) == Decimal(text) * ticks
        assert tick.ticks(price) == ticks
        assert tick.ticks(price + ("000" if "." in price else ".000")) == ticks


@pytest.mark.parametrize(
    "text", ["", "0", "0.0", "-1", "+1", "1e3", ".5", "1.", "1.2.3", " 1", "1 ", "\uff11", "x", "1" * 21, "1_0"]
)
def test_what_is_no_tick(text: str) -> None:
    with pytest.raises(ValueError, match="not a tick"):
        Tick.parse(text)


@pytest.mark.parametrize("price", ["0.001", "3.0049", "-0.0051", "0.0050000000000000000001"])
def test_prices_between_ticks_are_none(price: str) -> None:
    assert Tick.parse("0.005").ticks(price) is None


def test_a_tick_that_is_no_power_of_ten() -> None:
    assert [Tick.parse("0.25").ticks(price) for price in ("1", "1.5", "1.3", "-0.75")] == [4, 6, None, -3]


@pytest.mark.parametrize(
    "price", ["", "-", "--1", "+1", "1e3", ".5", "1.", "nan", "inf", "\u0661", "1 ", "0x1", "1" * 33, "1_0"]
)
def test_what_is_no_price(price: str) -> None:
    with pytest.raises(ValueError, match="not a decimal price"):
        Tick.parse("0.005").ticks(price)
