"""The floor of the possible: it writes the core's events byte for byte, and says what it cannot do."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import bench_limit, promises, report, run
from benchmarks.limit.floor import NO_COMPILER, Floor, build, find_compiler, load, refusal
from benchmarks.peers import Core
from benchmarks.workloads import LEAVES, OP, ORDER, PLACE, PLACE_IOC, PRICE, SIDE, Rows, Stream, generate
from engine.apply import new_state, run_block
from engine.schema import EVENT, HAS_QTY, Code, CommandKind, EventKind, OrdType, Reason, Smp, TimeInForce

COUNT = 3_000
RESIDENT = 400


@pytest.fixture(scope="module")
def compiler() -> str:
    found = find_compiler()
    if found is None:
        pytest.skip(reason=NO_COMPILER)
    return found


@pytest.fixture(scope="module", params=[0, 1 << 30], ids=["looking ahead", "not looking"])
def library(request: pytest.FixtureRequest, compiler: str, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return load(build(tmp_path_factory.mktemp("floor"), compiler, look_from=request.param))


def core_events(stream: Stream) -> Rows:
    state = new_state(stream.limits)
    run_block(state, stream.setup, stream.payload)
    run_block(state, stream.prefill)
    return run_block(state, stream.commands)


def floor_events(stream: Stream, library: ctypes.CDLL) -> Rows:
    floor = Floor(stream, library)
    parts = []
    for place in range(len(stream.commands)):
        before = floor.events
        floor.run(place, place + 1)
        parts.append(floor.buffer[: floor.events - before].copy())
    return np.concatenate(parts)


def odd(name: str) -> Stream:
    """A stream with day and fill-or-kill orders, amends of the quantity alone, and orders named by client id."""
    stream = generate(name, COUNT, smp=False, resident=RESIDENT)
    rows, number = stream.commands.copy(), np.arange(COUNT)
    ioc = rows["time_in_force"] == TimeInForce.IOC
    rows["time_in_force"][ioc & (number % 2 == 0)] = TimeInForce.FOK
    rows["order_qty"][ioc & (number % 4 < 2)] = 10_000  # of either, more than there is to trade with
    rows["time_in_force"][(rows["time_in_force"] == TimeInForce.GTC) & (number % 3 == 0)] = TimeInForce.DAY
    amends = rows["kind"] == CommandKind.ORDER_AMEND
    rows["flags"][amends & (number % 3 == 0)] = HAS_QTY
    rows["order_qty"][amends & (number % 6 == 0)] = 1
    # An order that is found under its number is found under its client id as well.
    answers = core_events(replace(stream, commands=rows))
    first = answers[answers["index"] == 0]
    live = np.isin(first["kind"], (EventKind.ORDER_CANCELED, EventKind.ORDER_AMENDED)) & (number % 2 == 0)
    rows["cl_ord_id"][live] = first["cl_ord_id"][live]
    rows["target_lo"][live] = 0
    return replace(stream, commands=rows)


@pytest.mark.parametrize("name", list(bench_limit.MIXES))
def test_floor_writes_the_events_of_the_core(name: str, library: ctypes.CDLL) -> None:
    stream = bench_limit.MIXES[name](COUNT, RESIDENT)
    core, floor = Core(stream, keep_digest=True), Floor(stream, library, keep_digest=True)
    core.run(0, COUNT)
    floor.run(0, COUNT)
    assert (floor.events, floor.digest.hexdigest()) == (core.events, core.digest.hexdigest())


@pytest.mark.parametrize("name", ["small", "narrow"])
def test_floor_does_every_plain_order_as_the_core_does(name: str, library: ctypes.CDLL) -> None:
    stream = odd(name)
    events = core_events(stream)
    reasons = set(events["reason"][events["kind"] == EventKind.ORDER_CANCELED].tolist())
    assert reasons >= {Reason.REQUESTED, Reason.IOC, Reason.FOK}
    assert name != "small" or Reason.AMENDED_TO_FILLED in reasons
    told = floor_events(stream, library)
    assert len(told) == len(events)
    different = np.flatnonzero(told.view("V128") != events.view("V128"))
    assert not len(different), (told[different[0]], events[different[0]])


def test_client_id_that_nobody_bears_is_no_order(library: ctypes.CDLL) -> None:
    stream = generate("small", 1, smp=False, resident=RESIDENT)
    rows = stream.commands.copy()
    rows["kind"], rows["target_lo"], rows["cl_ord_id"] = CommandKind.ORDER_CANCEL, 0, b"nobody"
    rows[["flags", "side", "ord_type", "time_in_force", "instrument"]] = 0
    stream = replace(stream, commands=rows)
    told = floor_events(stream, library)
    assert told.tobytes() == core_events(stream).tobytes()
    assert told["code"].tolist() == [Code.UNKNOWN_ORDER]


def test_full_table_of_client_ids_still_finds_every_order(library: ctypes.CDLL) -> None:
    stream = generate("deep", 1, smp=False, resident=3_000)
    rows = stream.prefill.copy()
    cancels = np.zeros_like(rows)
    for field in ("account", "client_session", "cl_ord_id", "time"):
        cancels[field] = rows[field]
    cancels["kind"], cancels["seq"] = CommandKind.ORDER_CANCEL, rows["seq"][-1] + 1 + np.arange(len(rows))
    limits = stream.limits._replace(orders=len(rows))  # lines of the table run over at half full
    stream = replace(stream, commands=cancels, limits=limits)
    assert floor_events(stream, library).tobytes() == core_events(stream).tobytes()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("kind", CommandKind.ORDER_MASS_CANCEL, "kind"),
        ("ord_type", OrdType.MARKET, "order type"),
        ("time_in_force", TimeInForce.GTD, "time in force"),
        ("instrument", 2, "instrument"),
        ("price", 1, "price"),
        ("order_qty", 0, "quantity"),
        ("display_qty", 1, "attribute"),
        ("account", 1 << 15, "account"),
    ],
)
def test_floor_refuses_what_it_cannot_do(field: str, value: int, said: str) -> None:
    stream = generate("small", 50, smp=False, resident=RESIDENT)
    low, high = stream.workload.low, stream.workload.high
    assert refusal(stream.commands, 1, low, high) == ""
    rows = stream.prefill[:5].copy()
    rows[field][3] = value
    assert said in refusal(rows, 1, low, high)


def test_floor_says_when_events_have_no_room(library: ctypes.CDLL) -> None:
    stream = generate("small", 50, smp=False, resident=RESIDENT)
    floor = Floor(stream, library)
    floor.buffer = np.zeros(20, EVENT)
    with pytest.raises(ValueError, match="more events than the buffer has room for"):
        floor.run(0, 50)


def test_floor_on_rows_of_32_bytes_trades_what_the_stream_says(compiler: str, tmp_path: Path) -> None:
    library = load(build(tmp_path, compiler, rows=32))
    stream = generate("narrow", COUNT, smp=False, resident=RESIDENT)
    plain = stream.plain
    rows = np.zeros((len(plain), 8), np.int32)
    rows[:, 0] = plain[:, OP]
    rows[:, 2:6] = plain[:, [ORDER, SIDE, PRICE, LEAVES]]
    # These rows give what is to be open: so does the stream, but after the command's own trades for what it places.
    places = (plain[:, OP] == PLACE) | (plain[:, OP] == PLACE_IOC)
    assert (plain[places, LEAVES] > 0).all()
    events = np.zeros((1 << 16, 8), np.int32)
    book = library.floor_open(1 << 13, stream.workload.high + 1)
    assert library.floor_add(book, 0, stream.workload.high + 1) == 1
    library.floor_run(book, rows.ctypes.data, 0, RESIDENT, 512, events.ctypes.data, len(events))
    written = library.floor_run(book, rows.ctypes.data, RESIDENT, len(rows), COUNT, events.ctypes.data, len(events))
    library.floor_close(book)
    trades = events[:written][events[:written, 0] == 2]
    assert (len(trades), int(trades[:, 4].sum())) == (stream.trades, stream.volume)


def test_limit_bench_in_the_small(library: ctypes.CDLL) -> None:
    rounds, size = 2, 500
    stream = generate("small", rounds * (bench_limit.LEAD_IN + size), smp=False, resident=200)
    found = bench_limit.compare(stream, library, rounds, size)
    assert found["times_floor"]["min"] > 0.5
    result = {"mixes": {"small": found}, "compiler": "cc", "flags": "-O3", "block": 512}
    assert "| small (200) |" in "\n".join(report.limit(result))
    missed = {**found, "times_floor": {**found["times_floor"], "median": 1.7}}
    kept = {**found, "times_floor": {**found["times_floor"], "median": 1.5}}
    (row,) = promises.targets({"limit": {"mixes": {"small": missed, "deep": kept}}})
    assert "worst of 2: small" in row[0] and row[2] == "**missed**"
    (row,) = promises.targets({"limit": {"mixes": {"deep": kept}}})
    assert row[2] == "kept"


def test_mixes_ask_for_no_self_match_prevention() -> None:
    for mix in bench_limit.MIXES.values():
        rows = mix(100, 50).commands
        assert (rows["smp"][rows["kind"] == CommandKind.ORDER_PLACE] == Smp.NONE).all()


def test_bench_without_a_compiler_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CC", "")
    written: list[Any] = []
    monkeypatch.setattr(report, "main", lambda: written.append("page"))
    assert run.main(["--quick", "limit"]) == 0
    assert f"left out: {NO_COMPILER}" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["bench_limit"])
    with pytest.raises(SystemExit, match="no C compiler"):
        bench_limit.main()
