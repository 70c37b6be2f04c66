"""Client ids and the index of order ids, against the schema, a regular expression and dictionaries."""

import random
import re
import string
from typing import Any

import numpy as np
import pytest

from engine.apply import new_state
from engine.core import ids
from engine.core.ids import (
    add_id,
    add_id_late,
    find_id,
    find_key,
    find_order,
    fold_high,
    fold_low,
    index_order,
    is_client_id,
    may_be_known,
    unindex_order,
)
from engine.core.layout import (
    DIRECT_MASK,
    ID_BITS,
    ID_GROUPS,
    LATE_COUNT,
    LATE_MOST,
    NODE8,
    ORDER_ID,
    PLACES,
    SPILL_MASK,
    SPILL_TOP,
    SPILLED,
)
from engine.core.memory import Core
from engine.schema import CL_ORD_ID_PATTERN, COMMAND, Limits, cl_ord_id_key
from tests.engine.core.alone import alone
from tests.engine.world import GTC, SELL, World, behind, views

(
    add_id, add_id_late, find_id, find_key, find_order, fold_high, fold_low, index_order, is_client_id, may_be_known,
    unindex_order,
) = alone(
    add_id, add_id_late, find_id, find_key, find_order, fold_high, fold_low, index_order, is_client_id, may_be_known,
    unindex_order,
)  # fmt: skip

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

PATTERN = re.compile(CL_ORD_ID_PATTERN.encode())
LETTERS = string.ascii_letters + string.digits + "._:-"
TINY = Limits(instruments=1, accounts=4, orders=16, levels=64, day_ids=64)


def words(text: bytes) -> Any:
    """A client id as four words; a NUL inside it stays, trailing ones are padding."""
    return np.frombuffer(bytearray(text.ljust(32, b"\0")), np.int64)


def is_id(text: bytes) -> bool:
    return bool(is_client_id(words(text), 0))


def is_meant_as_id(text: bytes) -> bool:
    return PATTERN.fullmatch(text.rstrip(b"\0")) is not None


def add(s: Core, account: int, key: int, text: bytes, order_id: int, record: int) -> int:
    """Consume an id as the command at hand brings it."""
    s.cmd[4:8] = words(text)
    return int(add_id(behind(s), account, key, 0, order_id, record))


def random_id(rng: random.Random, most: int = 32) -> bytes:
    return "".join(rng.choice(LETTERS) for _ in range(rng.randint(1, most))).encode()


# --- the form of a client id (R2) -------------------------------------------------------------------------


@pytest.mark.parametrize("length", (1, 7, 8, 9, 16, 17, 24, 25, 31, 32))
def test_every_byte_at_every_position_is_judged_as_the_pattern_says(length: int) -> None:
    for position in range(length + 1 if length < 32 else length):
        text = bytearray(b"a" * length + b"\0" * (32 - length))
        for byte in range(256):
            text[position] = byte
            assert is_id(bytes(text)) == is_meant_as_id(bytes(text)), (length, position, byte)


def test_ids_with_holes_and_junk_are_judged_as_the_pattern_says() -> None:
    rng = random.Random(2)
    agreed = {True: 0, False: 0}
    for _ in range(4_000):
        text = bytearray(random_id(rng).ljust(32, b"\0"))
        for _ in range(rng.randint(0, 2)):
            text[rng.randrange(32)] = rng.choice((0, 0, rng.randrange(256), ord("z"), ord("/"), ord("@")))
        assert is_id(bytes(text)) == is_meant_as_id(bytes(text)), bytes(text)
        agreed[is_id(bytes(text))] += 1
    assert min(agreed.values()) > 500, "both answers were tried"


def test_an_id_is_read_where_it_stands_in_a_row() -> None:
    row = np.zeros(2, COMMAND)
    row["cl_ord_id"] = b"first", b"x y"
    flat = row.view(np.int64)
    assert is_client_id(flat, 4) and not is_client_id(flat, 16 + 4)


# --- keys -------------------------------------------------------------------------------------------------


def test_folding_gives_the_key_of_the_schema() -> None:
    rng = random.Random(3)
    texts = [random_id(rng) for _ in range(500)] + [b"a", b"~" * 32, b"\xff" * 32, b"", b"-" * 8, b"0" * 24]
    for text in texts:
        assert (int(fold_low(words(text), 0)), int(fold_high(words(text), 0))) == cl_ord_id_key(text), text


# --- the table of client ids (R6, R7) ---------------------------------------------------------------------


def test_ids_whose_searches_begin_at_one_place_are_told_apart() -> None:
    state = new_state(TINY)
    s = views(state)
    groups = int(state.arrays.h[ID_GROUPS])
    rng = random.Random(4)
    home, texts = None, []
    while len(texts) < TINY.day_ids:
        text = random_id(rng)
        group = ((cl_ord_id_key(text)[0] ^ 1 * 0x9E3779B1) & 0xFFFFFFFF) * groups >> 32
        home = group if home is None else home
        if group == home and text not in texts:
            texts.append(text)
    for number, text in enumerate(texts, 1):
        key = int(fold_low(words(text), 0))
        assert find_id(s, 1, key, words(text), 0) == 0
        assert add(s, 1, key, text, number, number) == number
    for number, text in enumerate(texts, 1):
        assert find_id(s, 1, cl_ord_id_key(text)[0], words(text), 0) == number
        assert find_key(behind(s), 1, *cl_ord_id_key(text)) == number
        assert find_id(s, 2, cl_ord_id_key(text)[0], words(text), 0) == 0, "ids belong to their account"
        assert find_key(behind(s), 2, *cl_ord_id_key(text)) == 0


@pytest.mark.parametrize("word", range(4))
def test_the_text_decides_where_keys_are_equal(word: int) -> None:
    s = views(new_state(TINY))
    key = 12345
    one, two = (b"x" * 8 * word + last + b"y" * 8 * (3 - word) for last in (b"the-one-", b"another-"))
    assert add(s, 1, key, one, 7, 1) == 1
    assert find_id(s, 1, key, words(two), 0) == 0
    assert add(s, 1, key, two, 8, 2) == 2
    assert find_id(s, 1, key, words(one), 0) == 1
    assert find_id(s, 1, key, words(two), 0) == 2


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (1 << 62, 1), ((1 << 63) - 1, 1), (-(1 << 63), 3)])
def test_a_key_beyond_62_bits_names_nothing(low: int, high: int) -> None:
    s = views(new_state(TINY))
    add(s, 1, cl_ord_id_key(b"a")[0], b"a", 1, 1)
    assert find_key(behind(s), 1, low, high) == 0


def test_ids_of_one_tag_and_group_are_told_apart() -> None:
    s = views(new_state(TINY))
    texts = [b"same-%d" % k for k in range(3 * PLACES)]
    for number, text in enumerate(texts, 1):
        assert add(s, 1, 5 << 54, text, number, number) == number
        for known, other in enumerate(texts, 1):
            assert find_id(s, 1, 5 << 54, words(other), 0) == (known if known <= number else 0)
    assert np.count_nonzero(s.tab) == len(texts)
    assert find_id(s, 1, 6 << 54, words(texts[0]), 0) == 0, "another tag"


def test_the_table_is_searched_round_its_end() -> None:
    state = new_state(TINY)
    s = views(state)
    last = PLACES * (int(state.arrays.h[ID_GROUPS]) - 1)
    key = 0xFFFFFFFF ^ 0x9E3779B1
    texts = [b"last-%d" % k for k in range(PLACES + 3)]
    for number, text in enumerate(texts, 1):
        add(s, 1, key, text, number, number)
    taken = np.flatnonzero(s.tab)
    assert taken.tolist() == [0, 1, 2, *range(last, last + PLACES)]
    assert all(find_id(s, 1, key, words(text), 0) == number for number, text in enumerate(texts, 1))
    assert find_id(s, 1, key, words(b"new"), 0) == 0


def test_a_place_holds_the_highest_bits_of_a_key_and_the_number_of_an_entry() -> None:
    for day_ids in (1, 2, 63, 64, (1 << 16) - 1, 1 << 16):
        state = new_state(TINY._replace(day_ids=day_ids))
        s = views(state)
        bits = int(state.arrays.h[ID_BITS])
        assert day_ids < 1 << bits <= 2 * day_ids, "the last entry has room"
        for number, key in enumerate(((1 << 62) - 1, 0, 1 << 61)[:day_ids], 1):
            add(s, 1, key, b"id-%d" % number, number, number)
            assert find_id(s, 1, key, words(b"id-%d" % number), 0) == number
            place = int(s.tab[np.flatnonzero((s.tab & (1 << bits) - 1) == number)[0]])
            assert place >> bits == max(key >> (31 + bits), 1), "no key makes a place look free"


def test_the_latest_ids_are_found_before_they_are_in_the_table() -> None:
    state = new_state(TINY)
    state.arrays.go_blind()
    s = views(state)
    texts = [b"late-%d" % k for k in range(40)]
    for number, text in enumerate(texts, 1):
        key, high = cl_ord_id_key(text)
        s.cmd[4:8] = words(text)
        if number % 11:
            assert add_id_late(s, 1, key, s.cmd, 4, number, number) == number
        else:
            assert add(s, 1, key, text, number, number) == number
        late = number % 11
        assert int(state.arrays.h[LATE_COUNT]) == min(late, LATE_MOST)
        assert np.count_nonzero(s.tab) == number - min(late, LATE_MOST)
        for known, other in enumerate(texts, 1):
            here = known if known <= number else 0
            assert find_id(s, 1, cl_ord_id_key(other)[0], words(other), 0) == here
            assert find_key(behind(s), 1, *cl_ord_id_key(other)) == here
            assert find_id(s, 2, cl_ord_id_key(other)[0], words(other), 0) == 0
        assert find_id(s, 1, key, words(b"another"), 0) == 0, "the text decides"
        assert find_key(behind(s), 1, key, high ^ 2) == 0


def test_the_filter_knows_every_id_that_was_consumed_and_few_others() -> None:
    limits = TINY._replace(day_ids=512)
    state = new_state(limits)
    state.arrays.go_blind()
    s = views(state)
    rng = random.Random(6)
    texts = list({random_id(rng) for _ in range(600)})[: limits.day_ids]
    wrong = 0
    for number, text in enumerate(texts, 1):
        key = cl_ord_id_key(text)[0]
        wrong += bool(may_be_known(s, 1, key))
        s.cmd[4:8] = words(text)
        if number % 3:
            add_id_late(s, 1, key, s.cmd, 4, number, number)
        else:
            add(s, 1, key, text, number, number)
        assert may_be_known(s, 1, key)
    assert wrong < limits.day_ids // 20
    assert all(may_be_known(s, 1, cl_ord_id_key(text)[0]) for text in texts)


def test_who_has_taken_ids_cannot_go_blind() -> None:
    state = new_state(TINY)
    add(views(state), 1, cl_ord_id_key(b"a")[0], b"a", 1, 1)
    with pytest.raises(ValueError, match="has taken client ids"):
        state.arrays.go_blind()


def test_half_a_key_names_nothing() -> None:
    s = views(new_state(TINY))
    low, high = cl_ord_id_key(b"a")
    add(s, 1, low, b"a", 1, 1)
    assert find_key(behind(s), 1, low, high) == 1
    assert find_key(behind(s), 1, low, high ^ 2) == 0
    # The same tag and home as the entry, another key: the bits in between differ.
    assert find_key(behind(s), 1, low ^ 1 << 20, high) == 0


# --- the index of order ids (R37) -------------------------------------------------------------------------


class Index:
    """The index of one state, and the dictionary that it should equal."""

    def __init__(self) -> None:
        self.state = new_state(TINY)
        self.s = views(self.state)
        self.turn = int(self.state.arrays.h[DIRECT_MASK]) + 1
        self.known: dict[int, int] = {}

    def put(self, order_id: int, record: int) -> None:
        self.state.arrays.n8[record * NODE8 + ORDER_ID] = order_id
        index_order(self.s, order_id, record)
        self.known[order_id] = record

    def drop(self, order_id: int) -> None:
        record = self.known.pop(order_id)
        unindex_order(self.s, order_id, record)
        self.state.arrays.n8[record * NODE8 + ORDER_ID] = 0

    def agrees(self, asked: range | list[int]) -> bool:
        return all(int(find_order(self.s, order_id)) == self.known.get(order_id, 0) for order_id in asked)

    @property
    def spilled(self) -> int:
        return int(self.state.arrays.h[SPILLED])


def test_orders_that_outlive_a_turn_of_the_table_are_still_found() -> None:
    index = Index()
    records = [1 + k for k in range(16)]
    for turn, record in enumerate(records):
        index.put(5 + turn * index.turn, record)
    assert index.spilled == 15
    assert index.agrees([5 + turn * index.turn for turn in range(20)])
    index.drop(5)
    index.drop(5 + 15 * index.turn)
    assert index.spilled == 14
    assert index.agrees([5 + turn * index.turn for turn in range(20)])
    index.put(6 + 15 * index.turn, 1)
    assert index.agrees([6 + turn * index.turn for turn in range(20)])


def test_the_index_equals_a_dictionary_through_thousands_of_orders() -> None:
    rng = random.Random(5)
    index = Index()
    free = [1 + k for k in range(16)]
    order_id, most_spilled = 0, 0
    for _ in range(3_000):
        order_id += rng.choice((1, 1, 2, index.turn, index.turn - 1, 3 * index.turn))
        if free:
            index.put(order_id, free.pop(rng.randrange(len(free))))
        while len(index.known) > rng.choice((0, 8, 15, 15, 15, 15)):
            oldest = min(index.known)
            gone = rng.choice([*index.known, *[key for key in index.known if key != oldest] * 3])
            free.append(index.known[gone])
            index.drop(gone)
        most_spilled = max(most_spilled, index.spilled)
        assert index.agrees([*index.known, order_id + 1, order_id - index.turn, order_id + index.turn])
    assert most_spilled >= 8, "orders were spilled by the dozen"


def test_dropping_from_a_cluster_of_the_spill_table_leaves_the_others_findable() -> None:
    mask = int(Index().state.arrays.h[SPILL_MASK])
    turn = Index().turn
    home = alone(ids._spill_home)
    # Ids of one direct place whose spill homes are the last two places of the table, so that clusters wrap around.
    wanted = [9 + n * turn for n in range(1, 3_000) if int(home(9 + n * turn, mask)) in (mask - 1, mask)][:12]
    assert len(wanted) == 12
    for order in (wanted, wanted[::-1], wanted[::2] + wanted[1::2]):
        index = Index()
        for record, order_id in enumerate(sorted(wanted), 1):
            index.put(order_id, record)
        index.put(9 + 4_000 * turn, 13)
        assert index.spilled == 12
        for order_id in order:
            index.drop(order_id)
            assert index.agrees([*wanted, 9 + 4_000 * turn])
        assert index.spilled == 0 and index.state.arrays.h[SPILL_TOP] == 0
        assert not index.state.arrays.spill.any(), "an emptied table is empty"


def test_a_venue_finds_an_order_that_is_older_than_its_whole_table() -> None:
    world = World()
    old = int(world.place(1, SELL, 5, 900, time_in_force=GTC)["order_id"][0])
    turn = int(world.state.arrays.h[DIRECT_MASK]) + 1
    world.seq += 3 * turn - 1 - (world.seq - old)
    same_place = int(world.place(2, SELL, 5, 901)["order_id"][0])
    assert same_place % turn == old % turn and int(world.state.arrays.h[SPILLED]) == 1
    assert world.cancel(1, old)["order_id"].tolist() == [old]
    assert world.cancel(2, same_place)["order_id"].tolist() == [same_place]
    assert int(world.state.arrays.h[SPILLED]) == 0
