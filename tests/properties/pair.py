"""The compiled core and the reference side by side: run, compare byte for byte, shrink what differs, keep it as a file.

A `Pair` feeds both the same blocks. A `Script` is what was fed, cut by cut, so that a difference can be played again;
`shrink` makes it small by delta debugging, and `save` writes it as a readable file of tests/corpus.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from engine.apply import State, apply, new_state, run_block
from engine.core import invariants
from engine.dump import book, dump, indicative
from engine.reference import Reference
from engine.schema import ACT_FIRST, COMMAND, EVENT, TRADE, Code, CommandKind, EventKind, Limits

CORPUS: Final = Path(__file__).resolve().parent.parent / "corpus"
SMALLEST_BUFFER: Final = 16
Rows = npt.NDArray[np.void]


class Block(NamedTuple):
    """One call: rows, the payload section they refer to, and the event rows of the buffer (0: `run_block`)."""

    rows: Rows
    payload: bytes
    buffer: int = 0


@dataclass
class Script:
    """Everything that one venue was fed."""

    limits: Limits
    blocks: list[Block] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(block.rows) for block in self.blocks)

    def rows(self) -> Rows:
        """All command rows in one array."""
        return np.concatenate([np.zeros(0, COMMAND), *(block.rows for block in self.blocks)])


class Matcher(Protocol):
    """What a pair compares: either of the two programs that obey the rules."""

    def run(self, block: Block) -> Rows: ...
    def dump(self) -> dict[str, Any]: ...
    def book(self, instrument: int) -> dict[str, Any]: ...
    def indicative(self, instrument: int) -> tuple[int, int, int, int]: ...
    def check(self) -> None: ...


class Core:
    """The compiled core behind its single door."""

    def __init__(self, limits: Limits) -> None:
        self.state: State = new_state(limits)

    def run(self, block: Block) -> Rows:
        if not block.buffer:
            events: Rows = run_block(self.state, block.rows, block.payload)
            return events
        return drain(self.state, block)

    def dump(self) -> dict[str, Any]:
        return dump(self.state)

    def book(self, instrument: int) -> dict[str, Any]:
        return book(self.state, instrument)

    def indicative(self, instrument: int) -> tuple[int, int, int, int]:
        return indicative(self.state, instrument)

    def check(self) -> None:
        invariants.check(self.state)


class Readable:
    """The reference under the same handle."""

    def __init__(self, limits: Limits) -> None:
        self.reference = Reference(limits)

    def run(self, block: Block) -> Rows:
        events: Rows = self.reference.run_block(block.rows, block.payload)
        return events

    def dump(self) -> dict[str, Any]:
        return self.reference.dump()

    def book(self, instrument: int) -> dict[str, Any]:
        return self.reference.book(instrument)

    def indicative(self, instrument: int) -> tuple[int, int, int, int]:
        price, volume, surplus, step = self.reference.indicative(instrument)
        return price, volume, surplus, int(step)

    def check(self) -> None:
        self.reference.check()


def drain(state: State, block: Block) -> Rows:
    """Run a block through an event buffer of `block.buffer` rows, again and again until all is written (R36)."""
    buffer = np.zeros(block.buffer, EVENT)
    parts, done = [np.zeros(0, EVENT)], 0
    while done < len(block.rows) or state.pending:
        buffer.view(np.uint8)[:] = 0xAA  # what is not written shows
        consumed, emitted = apply(state, block.rows[done:], block.payload, buffer)
        assert consumed or emitted, "a call makes progress"
        assert 0 <= emitted <= block.buffer, "a call stays within its buffer"
        parts.append(buffer[:emitted].copy())
        done += consumed
    return np.concatenate(parts)


class Difference(AssertionError):
    """The two programs disagree; the text says where, field by field."""


def explain(expected: Rows, actual: Rows, rows: Rows) -> str:
    """Describe the first differing event, with the command that caused it."""
    common = min(len(expected), len(actual))
    unequal = [i for i in range(common) if expected[i].tobytes() != actual[i].tobytes()]
    at = unequal[0] if unequal else common
    lines = [f"event {at} of the block differs ({len(expected)} events expected, {len(actual)} made)"]
    seqs = [int(side["seq"][at]) for side in (expected, actual) if at < len(side)]
    for row in rows[np.isin(rows["seq"], seqs)]:
        lines.append(f"  command {readable(row, COMMAND)}")
    if not unequal:
        longer, who = (expected, "expected") if len(expected) > common else (actual, "actual")
        return "\n".join([*lines, f"  only {who}: {readable(longer[at], EVENT)}"])
    for name, side in (("expected", expected), ("actual", actual)):
        lines.append(f"  {name:8s} {readable(side[at], EVENT)}")
    layout = TRADE if expected[at]["kind"] in (EventKind.TRADE, EventKind.ORDER_PREVENTED) else EVENT
    left, right = (np.frombuffer(side[at].tobytes(), layout)[0] for side in (expected, actual))
    assert layout.names is not None
    lines += [
        f"  {name}: expected {left[name]!r}, actual {right[name]!r}"
        for name in layout.names
        if left[name] != right[name]
    ]
    return "\n".join(lines)


def readable(row: Any, layout: np.dtype[np.void]) -> str:
    """Write a row as the fields that are not zero, with the names of kinds and codes."""
    if layout is EVENT and row["kind"] in (EventKind.TRADE, EventKind.ORDER_PREVENTED):
        row, layout = np.frombuffer(row.tobytes(), TRADE)[0], TRADE
    words: dict[str, Any] = {}
    assert layout.names is not None
    for name in layout.names:
        value = row[name].item()
        if value:
            words[name] = value
    for name, names in (("kind", CommandKind if layout is COMMAND else EventKind), ("code", Code)):
        if name in words and words[name] in list(names):
            words[name] = names(words[name]).name
    return " ".join(f"{name}={value}" for name, value in words.items())


class Pair:
    """Two matchers under one handle; every method raises Difference where they disagree."""

    def __init__(
        self,
        limits: Limits,
        expected: Callable[[Limits], Matcher] = Readable,
        actual: Callable[[Limits], Matcher] = Core,
    ) -> None:
        self.expected, self.actual = expected(limits), actual(limits)
        self.script = Script(limits)

    def run(self, block: Block) -> Rows:
        """Feed both; return the events, which are equal."""
        self.script.blocks.append(block)
        given = block.rows.tobytes()
        results = []
        for name, matcher in (("reference", self.expected), ("core", self.actual)):
            try:
                results.append(matcher.run(block))
            except Exception as trouble:
                raise Difference(f"the {name} raised {type(trouble).__name__}: {trouble}") from trouble
            if block.rows.tobytes() != given:
                raise Difference(f"the {name} changed the commands")
        expected, actual = results
        if expected.tobytes() != actual.tobytes():
            raise Difference(explain(expected, actual, block.rows))
        return actual

    def compare(self) -> None:
        """Compare the two pictures of the world, every book and what each would trade in an uncross (R52)."""
        left, right = self.expected.dump(), self.actual.dump()
        if left != right:
            raise Difference("\n".join(["the dumps differ", *unequal_parts(left, right)]))
        for number in range(1, len(left["instruments"]) + 1):
            if (wanted := self.expected.book(number)) != (found := self.actual.book(number)):
                raise Difference("\n".join([f"the books of {number} differ", *unequal_parts(wanted, found)]))
            if (sum_wanted := self.expected.indicative(number)) != (sum_found := self.actual.indicative(number)):
                raise Difference(f"the auctions of {number} differ: expected {sum_wanted}, actual {sum_found}")

    def check(self) -> None:
        """Check the invariants of both: of the core's arrays, and of the reference's objects."""
        for name, matcher in (("reference", self.expected), ("core", self.actual)):
            try:
                matcher.check()
            except AssertionError as trouble:
                raise Difference(f"an invariant of the {name} is broken: {trouble}") from trouble


def unequal_parts(left: Any, right: Any, path: str = "") -> list[str]:
    """List the first few paths at which two JSON-like values differ."""
    if isinstance(left, dict) and isinstance(right, dict):
        keys = sorted({*left, *right})
        return [text for key in keys for text in unequal_parts(left.get(key), right.get(key), f"{path}.{key}")][:8]
    if isinstance(left, (list, tuple)) and type(left) is type(right) and len(left) == len(right):
        pairs = enumerate(zip(left, right, strict=True))
        return [text for number, (a, b) in pairs for text in unequal_parts(a, b, f"{path}[{number}]")][:8]
    return [] if left == right else [f"  {path}: expected {left!r}, actual {right!r}"]


# --- shrinking ------------------------------------------------------------------------------------

Play = Callable[[Script], str]


def play(script: Script, make: Callable[[Limits], Pair] = Pair) -> str:
    """Feed a script to a fresh pair; return the text of the difference, or nothing."""
    pair = make(script.limits)
    try:
        for block in script.blocks:
            pair.run(block)
        pair.compare()
        pair.check()
    except Difference as difference:
        return str(difference)
    return ""


def shrink(script: Script, replay: Play = play, seconds: float = 60) -> Script:
    """Drop commands as long as any difference remains (delta debugging), for at most so many seconds."""
    deadline = time.monotonic() + seconds
    singles = [block._replace(rows=block.rows[i : i + 1]) for block in script.blocks for i in range(len(block.rows))]
    whole = Script(script.limits, singles)
    if not replay(whole):
        # The cuts matter: drop whole blocks only.
        singles = list(script.blocks)
    size = max(1, len(singles) // 2)
    while time.monotonic() < deadline:
        at, dropped = 0, False
        while at < len(singles) and time.monotonic() < deadline:
            rest = singles[:at] + singles[at + size :]
            if rest and replay(Script(script.limits, rest)):
                singles, dropped = rest, True
            else:
                at += size
        if size == 1 and not dropped:
            break
        size = max(1, size // 2)
    tidy = Script(script.limits, [own_payload(block) for block in singles])
    return tidy if replay(tidy) else Script(script.limits, singles)


def own_payload(block: Block) -> Block:
    """Cut the payload section of a block of one act down to what the act names."""
    if len(block.rows) != 1 or block.rows["kind"][0] < ACT_FIRST:
        return block._replace(payload=b"") if len(block.rows) == 1 else block
    low, size = int(block.rows["target_lo"][0]), int(block.rows["target_hi"][0])
    if low < 0 or size < 0 or low + size > len(block.payload):
        return block
    rows = block.rows.copy()
    rows["target_lo"] = 0
    return Block(rows, block.payload[low : low + size], block.buffer)


# --- files ----------------------------------------------------------------------------------------


def to_json(script: Script, about: str) -> str:
    """Write a script as JSON: the limits, and per block its payload, its buffer and the fields that are not zero."""
    assert COMMAND.names is not None
    blocks = []
    for block in script.blocks:
        rows = []
        for row in block.rows:
            words = {name: row[name].item() for name in COMMAND.names if row[name].item()}
            if "cl_ord_id" in words:
                # Kept as 32 bytes where more than the trailing zeros would be lost.
                words["cl_ord_id"] = words["cl_ord_id"].decode("latin-1")
            rows.append(words)
        entry: dict[str, Any] = {"rows": rows}
        if block.payload:
            entry["payload"] = block.payload.decode("latin-1")
        if block.buffer:
            entry["buffer"] = block.buffer
        blocks.append(entry)
    head = json.dumps({"about": about, "limits": script.limits._asdict()}, indent=1, ensure_ascii=False)
    body = ",\n".join("  " + json.dumps(entry) for entry in blocks)
    return f'{head[:-2]},\n "blocks": [\n{body}\n ]\n}}\n'


def from_json(text: str) -> Script:
    """Read a script back; the inverse of `to_json`."""
    kept = json.loads(text)
    script = Script(Limits(**kept["limits"]))
    for entry in kept["blocks"]:
        rows = np.zeros(len(entry["rows"]), COMMAND)
        for row, words in zip(rows, entry["rows"], strict=True):
            for name, value in words.items():
                row[name] = value.encode("latin-1") if name == "cl_ord_id" else value
        script.blocks.append(Block(rows, entry.get("payload", "").encode("latin-1"), entry.get("buffer", 0)))
    return script


def save(script: Script, about: str, name: str, folder: Path = CORPUS) -> Path:
    """Write a script into the corpus under a name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(to_json(script, about), encoding="utf-8")
    return path


def cut(rows: Rows, sizes: Iterable[int]) -> Sequence[Rows]:
    """Cut rows into consecutive pieces of the given sizes; the last piece is what is left."""
    pieces, start = [], 0
    for size in sizes:
        if start >= len(rows):
            break
        pieces.append(rows[start : start + size])
        start += size
    return pieces
