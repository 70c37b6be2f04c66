"""What is guarded against becoming slow, and the judge: ratios to a calibration loop of the same process and minute.

`python -m tests.bench_guards.guards` measures anew and writes baseline.json, which is committed with the change that
made it so and the reason.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec
import numpy as np

from benchmarks.workloads import Stream, generate
from engine.apply import apply, new_state, run_block
from engine.journal import Journal
from engine.schema import EVENT, CommandKind, EventKind, Limits
from gateway.codec import event_to_json, read_events, to_row
from gateway.directory import Directory
from gateway.requests import decode
from tests.calibration import calibrate

BASELINE: Final = Path(__file__).with_name("baseline.json")
WORSE: Final = 1.4
ROUNDS: Final = 41
BLOCKS: Final = 10  # of 512 commands
CALLS: Final = 1_000
APPENDS: Final = 50
REQUESTS: Final = 200
Work = Callable[[], object]


def seconds(work: Work) -> float:
    """Thread CPU time of one run."""
    start = time.thread_time()
    work()
    return time.thread_time() - start


def judge(name: str, ratio: float) -> None:
    """AssertionError if a ratio is WORSE times its baseline."""
    known = json.loads(BASELINE.read_text(encoding="utf-8"))[name]
    assert ratio < WORSE * known, f"{name} takes {ratio:.3f} calibration loops, the baseline is {known:.3f}"


def ratio(work: list[float], calibration: list[float]) -> float:
    """The guarded figure: the best of the rounds over the best of the calibration (other work only ever adds)."""
    return min(work) / min(calibration)


@lru_cache(maxsize=1)
def stream() -> Stream:
    """The commands that all guards share."""
    return generate("small", 3 * (ROUNDS + 2) * BLOCKS * 512)


class CoreBlock:
    """Blocks of 512 commands through the core, the next slice of the stream at each turn."""

    def __init__(self, _folder: Path) -> None:
        self.state = new_state(stream().limits)
        run_block(self.state, stream().setup, stream().payload)
        run_block(self.state, stream().prefill)
        self.events = np.zeros(2048, EVENT)
        self.at = 0

    def __call__(self) -> int:
        emitted = 0
        for _ in range(BLOCKS):
            rows = stream().commands[self.at : self.at + 512]
            consumed, written = apply(self.state, rows, b"", self.events)
            assert consumed == 512, "the stream is long enough for every round"
            emitted += written
            self.at += 512
        return emitted


class OneCommand(CoreBlock):
    """One command a call."""

    def __call__(self) -> int:
        emitted = 0
        for place in range(self.at, self.at + CALLS):
            emitted += apply(self.state, stream().commands[place : place + 1], b"", self.events)[1]
        self.at += CALLS
        return emitted


class JournalAppend:
    """Blocks of 32 commands into a log whose sync is off."""

    def __init__(self, folder: Path) -> None:
        state = new_state(stream().limits)
        run_block(state, stream().setup, stream().payload)
        run_block(state, stream().prefill)
        self.rows = stream().commands[:32].copy()
        self.events = run_block(state, self.rows)
        self.journal = Journal.create(
            folder / "guarded", trading_day=20_260_102, first_seq=1, previous=bytes(32), epoch=1, limits=Limits(),
            segment_bytes=128 << 20, sync=False,
        )  # fmt: skip

    def __call__(self) -> int:
        for _ in range(APPENDS):
            last = self.journal.append(self.journal.last_seq + 1, self.rows, b"", self.events)
        return last


class Codec:
    """Frames to rows, and the rows' events to JSON."""

    def __init__(self, _folder: Path) -> None:
        self.directory = Directory()
        acts = [
            (CommandKind.INSTRUMENT_DEFINE, {"symbol": "S", "ccy": "USD", "unit": "lb", "contract_size": 1,
             "tick": "0.005", "min_price": "1.000", "max_price": "9.000", "max_order_qty": 500}),
            (CommandKind.ACCOUNT_DEFINE, {"account": "A", "member": "M", "owner": "O"}),
            (CommandKind.PHASE_SET, {"symbol": "S", "phase": "continuous"}),
        ]  # fmt: skip
        texts = [json.dumps(terms, sort_keys=True, separators=(",", ":")).encode() for _, terms in acts]
        setup = stream().setup[:3].copy()
        setup["kind"] = [kind for kind, _ in acts]
        lengths = np.array([len(text) for text in texts])
        setup["target_lo"], setup["target_hi"] = np.cumsum(lengths) - lengths, lengths
        self.state = new_state(Limits(4, 16, 1 << 12, 1 << 14, 1 << 12))
        payload = b"".join(texts)
        self.directory.learn(setup, payload, run_block(self.state, setup, payload))
        order: dict[str, Any] = {"symbol": "S", "side": "buy", "ord_type": "limit", "order_qty": 5}
        self.frames = []
        for number in range(REQUESTS):
            named = {**order, "price": f"{3 + number % 7 * 0.005:.3f}", "cl_ord_id": f"guard-{number:06d}"}
            request = {"op": "order.place", "id": number, "account": "A", "p": named}
            self.frames.append(json.dumps(request, separators=(",", ":")))
        rows = np.frombuffer(bytearray().join(self._rows()), setup.dtype)
        rows["seq"] = np.arange(4, 4 + REQUESTS)
        self.events = run_block(self.state, rows)
        assert set(self.events["kind"].tolist()) == {int(EventKind.ORDER_ACCEPTED)}

    def _rows(self) -> list[bytes]:
        return [to_row(decode(frame), self.directory, 1, client_session=1, instrument=1) for frame in self.frames]

    def __call__(self) -> int:
        rows = self._rows()
        texts = [msgspec.json.encode(event_to_json(event, self.directory)) for event in read_events(self.events)]
        return len(rows) + len(texts)


GUARDED: Final[dict[str, Callable[[Path], Work]]] = {
    "core block": CoreBlock,
    "one-command call": OneCommand,
    "journal append": JournalAppend,
    "codec": Codec,
}


def main() -> None:
    """Measure everything anew and write the baseline: the median of several sittings."""
    found = {}
    for name, make in GUARDED.items():
        sittings = []
        with tempfile.TemporaryDirectory() as folder:
            for sitting in range(5):
                (Path(folder) / str(sitting)).mkdir()
                work = make(Path(folder) / str(sitting))
                work()
                rounds = [(seconds(calibrate), seconds(work)) for _ in range(ROUNDS)]
                sittings.append(ratio([one for _, one in rounds], [one for one, _ in rounds]))
        found[name] = round(median(sittings), 4)
        print(f"{name}: {found[name]} of {min(sittings):.4f} to {max(sittings):.4f}", file=sys.stderr)
    BASELINE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
