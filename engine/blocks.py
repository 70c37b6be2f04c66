"""The format of the log on disk: what a segment's first page, a watermark slot and a block are, byte by byte.

Owns the layouts (from which engine/JOURNAL.md is generated) and the functions that pack and read them. Reads no file
and keeps no state; may import engine.schema only. Who writes is engine/journal.py, who judges a whole folder is
engine/scan.py.

Every byte of a segment is either under a checksum or must be zero, so that no flipped byte goes unseen:
the first page's fields and both slots by CRC-32, a block's header, rows and payload by its sha256, its event rows by
theirs, and all the rest (paddings, reserved bytes, the room not yet written) by being zero.
"""

from __future__ import annotations

import hashlib
import struct
import textwrap
import zlib
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np

from engine.schema import (
    COMMAND,
    EVENT,
    FORMAT_VERSION,
    MAX_BLOCK_ROWS,
    MAX_PAYLOAD_BYTES,
    RULES_VERSION,
    SCHEMA_FINGERPRINT,
    Limits,
)

__all__ = [
    "BLOCK_ALIGN",
    "EVENTS_ALIGN",
    "NO_DIGEST",
    "PAGE_BYTES",
    "SEGMENT_BYTES",
    "SLOT_BYTES",
    "SLOT_OFFSETS",
    "Block",
    "BlockHeader",
    "Broken",
    "SegmentHead",
    "Slot",
    "SlotState",
    "Tail",
    "block_length",
    "document",
    "pack_block",
    "read_block",
    "rows_digest",
]

SEGMENT_BYTES: Final = 64 << 20
PAGE_BYTES: Final = 4096  # the first page of a segment; blocks start behind it
SLOT_OFFSETS: Final = (1024, 2048)
SLOT_BYTES: Final = 512  # one disk sector: a slot is written whole or not at all
BLOCK_ALIGN: Final = 64
EVENTS_ALIGN: Final = 16
NO_DIGEST: Final = bytes(32)  # before the first block of all
ROW_BYTES: Final = COMMAND.itemsize
MAX_BLOCK_EVENTS: Final = 1 << 26

Field = tuple[str, str, str]  # name, struct code, meaning

SEGMENT_MAGIC: Final = b"CASHEWSG"
SEGMENT_FIELDS: Final[tuple[Field, ...]] = (
    ("magic", "8s", f"`{SEGMENT_MAGIC.decode()}`"),
    ("format_version", "I", "layout of everything in this file"),
    ("rules_version", "I", "meaning of the commands (engine/RULES.md)"),
    ("segment_bytes", "q", "length of the file"),
    ("number", "i", "the segment's number within its day, from 0"),
    ("trading_day", "i", "as the number yyyymmdd"),
    ("epoch", "q", "the start of the venue that made the segment"),
    ("first_seq", "q", "seq of the first command that may follow here"),
    ("instruments", "q", "Limits of the day"),
    ("accounts", "q", "Limits of the day"),
    ("orders", "q", "Limits of the day"),
    ("levels", "q", "Limits of the day"),
    ("day_ids", "q", "Limits of the day"),
    ("fingerprint", "32s", "SCHEMA_FINGERPRINT: sha256 of row layouts and enumerations"),
    ("previous", "32s", "sha256 of the block before the segment's first (of the day before, in segment 0)"),
    ("crc", "I", "CRC-32 of the fields above"),
)

SLOT_MAGIC: Final = b"CASHMARK"
SLOT_FIELDS: Final[tuple[Field, ...]] = (
    ("magic", "8s", f"`{SLOT_MAGIC.decode()}`"),
    ("generation", "q", "rises by one with each slot written; its parity says which slot it is"),
    ("epoch", "q", "the start of the venue that wrote it"),
    ("durable_seq", "q", "everything up to this seq is on disk for good"),
    ("durable_end", "q", "offset in this file behind the block that ends with durable_seq"),
    ("state", "I", "1 open (being written, or killed), 2 clean (stopped properly), 3 sealed (a next segment exists)"),
    ("reserved", "I", "0"),
    ("digest", "32s", "sha256 of the block that ends with durable_seq"),
    ("crc", "I", "CRC-32 of the fields above"),
)

BLOCK_MAGIC: Final = b"CASHBLCK"
BLOCK_FIELDS: Final[tuple[Field, ...]] = (
    ("magic", "8s", f"`{BLOCK_MAGIC.decode()}`"),
    ("format_version", "H", "layout"),
    ("rules_version", "H", "meaning of the commands"),
    ("commands", "I", "number of COMMAND rows, 1 or more"),
    ("payload_bytes", "I", "length of the payload section"),
    ("events", "I", "number of EVENT rows the commands caused"),
    ("epoch", "q", "the start of the venue that wrote the block"),
    ("first_seq", "q", "seq of the first command; the others follow without gap"),
    ("durable_seq", "q", "what was known to be on disk when this block was written"),
    ("fingerprint", "32s", "SCHEMA_FINGERPRINT"),
    ("previous", "32s", "sha256 of the block before: the chain"),
    ("events_sha256", "32s", "sha256 of the event rows: they are what the venue told, and whole"),
    ("reserved", "16s", "0"),
    ("digest", "32s", "sha256 of the fields above, the command rows and the payload: the block's own"),
)

EVENTS_MAGIC: Final = b"EVTS"
EVENTS_FIELDS: Final[tuple[Field, ...]] = (
    ("magic", "4s", f"`{EVENTS_MAGIC.decode()}`"),
    ("rows", "I", "number of EVENT rows, as in the block header"),
    ("reserved", "8s", "0"),
)


def _struct(fields: tuple[Field, ...]) -> struct.Struct:
    return struct.Struct("<" + "".join(code for _, code, _ in fields))


def _only(fields: tuple[Field, ...], wanted: Callable[[str], bool]) -> tuple[Field, ...]:
    """The same layout, with padding in the place of the fields that are not wanted."""
    return tuple(
        (name, code if wanted(name) else f"{struct.calcsize('<' + code)}x", says) for name, code, says in fields
    )


SEGMENT_HEAD: Final = _struct(SEGMENT_FIELDS)
SLOT: Final = _struct(SLOT_FIELDS)
EVENTS_HEADER: Final = _struct(EVENTS_FIELDS)
HEADER_BYTES: Final = _struct(BLOCK_FIELDS).size
_BARE_BYTES: Final = HEADER_BYTES + EVENTS_HEADER.size
_HASHED: Final = _struct(BLOCK_FIELDS[:-1])
_HASHED_HEADER: Final = HEADER_BYTES - 32
assert _HASHED.size == _HASHED_HEADER
_ALIKE: Final = (BLOCK_MAGIC, FORMAT_VERSION, RULES_VERSION, SCHEMA_FINGERPRINT, bytes(16))
_SAME: Final = ("magic", "format_version", "rules_version", "fingerprint", "reserved")  # in the headers of all blocks
_CONSTANT: Final = _struct(_only(BLOCK_FIELDS, lambda name: name in _SAME))
_VARIABLE: Final = _struct(_only(BLOCK_FIELDS, lambda name: name not in _SAME))  # the fields of BlockHeader
_SLOT_BODY: Final = struct.Struct("<" + "".join(code for _, code, _ in SLOT_FIELDS[:-1]))
_ZEROS: Final = bytes(4096)


class Broken(ValueError):
    """Bytes that are not what they should be; `offset` is counted from the start of the bytes given."""

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(what)
        self.what = what
        self.offset = offset


class SlotState(IntEnum):
    """What a watermark slot says about its segment."""

    OPEN = 1
    CLEAN = 2
    SEALED = 3


class SegmentHead(NamedTuple):
    """What the first page says about its segment."""

    segment_bytes: int
    number: int
    trading_day: int
    epoch: int
    first_seq: int
    limits: Limits
    previous: bytes

    def pack(self) -> bytes:
        """The packed fields with their CRC-32."""
        body = SEGMENT_HEAD.pack(
            SEGMENT_MAGIC, FORMAT_VERSION, RULES_VERSION, self.segment_bytes, self.number, self.trading_day,
            self.epoch, self.first_seq, *self.limits, SCHEMA_FINGERPRINT, self.previous, 0,
        )  # fmt: skip
        return body[:-4] + zlib.crc32(body[:-4]).to_bytes(4, "little")

    @classmethod
    def read(cls, page: bytes) -> SegmentHead:
        """The head of a first page; Broken if it is damaged, or if another version of the house wrote it."""
        if len(page) < PAGE_BYTES:
            raise Broken("the file ends inside its first page", len(page))
        fields = SEGMENT_HEAD.unpack_from(page)
        if zlib.crc32(page[: SEGMENT_HEAD.size - 4]) != fields[-1]:
            raise Broken("the segment's head does not match its checksum", 0)
        magic, format_version, rules_version, segment_bytes, number, trading_day, epoch, first_seq = fields[:8]
        if magic != SEGMENT_MAGIC:
            raise Broken("not a segment of a log", 0)
        if (format_version, rules_version) != (FORMAT_VERSION, RULES_VERSION) or fields[13] != SCHEMA_FINGERPRINT:
            raise Broken(
                f"written under format {format_version}, rules {rules_version}, schema {fields[13].hex()[:12]};"
                f" this is format {FORMAT_VERSION}, rules {RULES_VERSION}, schema {SCHEMA_FINGERPRINT.hex()[:12]}",
                8,
            )
        for start, end in _page_zeros():
            if page[start:end].strip(b"\0"):
                raise Broken("reserved bytes of the first page are not zero", start + _first_set(page[start:end]))
        return cls(segment_bytes, number, trading_day, epoch, first_seq, Limits(*fields[8:13]), fields[14])


class Slot(NamedTuple):
    """One watermark slot: up to `durable_seq`, which ends at `durable_end` of this segment, all is on disk."""

    generation: int
    epoch: int
    durable_seq: int
    durable_end: int
    state: int
    digest: bytes

    def pack(self) -> bytes:
        """The packed fields with their CRC-32 (the rest of the sector stays zero)."""
        body = _SLOT_BODY.pack(
            SLOT_MAGIC, self.generation, self.epoch, self.durable_seq, self.durable_end, self.state, 0, self.digest
        )
        return body + zlib.crc32(body).to_bytes(4, "little")

    @property
    def offset(self) -> int:
        """Where in the first page a slot of this generation lies."""
        return SLOT_OFFSETS[self.generation & 1]

    @classmethod
    def read(cls, page: bytes, which: int) -> Slot:
        """Slot 0 or 1 of a first page; Broken if it is damaged."""
        start = SLOT_OFFSETS[which]
        fields = SLOT.unpack_from(page, start)
        magic, generation, epoch, durable_seq, durable_end, state, _reserved, digest, crc = fields
        if zlib.crc32(page[start : start + SLOT.size - 4]) != crc or magic != SLOT_MAGIC or generation & 1 != which:
            raise Broken(f"watermark slot {which} does not match its checksum", start)
        if page[start + SLOT.size : start + SLOT_BYTES].strip(b"\0"):
            raise Broken(f"bytes behind watermark slot {which} are not zero", start + SLOT.size)
        return cls(generation, epoch, durable_seq, durable_end, state, digest)


def _page_zeros() -> tuple[tuple[int, int], ...]:
    """The parts of the first page that nothing is ever written to."""
    first, second = SLOT_OFFSETS
    return (SEGMENT_HEAD.size, first), (first + SLOT_BYTES, second), (second + SLOT_BYTES, PAGE_BYTES)


def _first_set(data: bytes) -> int:
    return len(data) - len(data.lstrip(b"\0"))


class BlockHeader(NamedTuple):
    """A block's header, but for what every block has alike."""

    commands: int
    payload_bytes: int
    events: int
    epoch: int
    first_seq: int
    durable_seq: int
    previous: bytes
    events_sha256: bytes
    digest: bytes

    @property
    def last_seq(self) -> int:
        return self.first_seq + self.commands - 1


class Block(NamedTuple):
    """A whole block as read; `offset` to `end` is its place in the segment, `events_offset` that of its event
    section. `rows` and `event_rows` are views of the bytes it was read from."""

    header: BlockHeader
    offset: int
    end: int
    events_offset: int
    rows: memoryview
    payload: bytes
    event_rows: memoryview

    def commands(self) -> np.ndarray[Any, Any]:
        """The COMMAND rows, as a fresh writable array (matchers are compiled for aligned ones)."""
        return np.frombuffer(bytearray(self.rows), COMMAND)

    def events(self) -> np.ndarray[Any, Any]:
        """The EVENT rows of the block's event section, as a fresh array."""
        return np.frombuffer(bytearray(self.event_rows), EVENT)


class Tail(NamedTuple):
    """Where a log goes on: the segment that is being written, and the last block in it."""

    head: SegmentHead
    offset: int
    last_seq: int
    digest: bytes
    generation: int  # the highest of a slot in the segment


def _rounded(length: int, align: int) -> int:
    return -(-length // align) * align


def events_offset(commands: int, payload_bytes: int) -> int:
    """Where in a block its event section starts."""
    return HEADER_BYTES + commands * ROW_BYTES + _rounded(payload_bytes, EVENTS_ALIGN)


def block_length(commands: int, payload_bytes: int, events: int) -> int:
    """Bytes that a block takes in its segment."""
    length = _BARE_BYTES + (commands + events) * ROW_BYTES
    if payload_bytes:
        length += _rounded(payload_bytes, EVENTS_ALIGN)
    return length + -length % BLOCK_ALIGN


def rows_digest(rows: Any) -> bytes:
    """sha256 of the rows of a contiguous array."""
    return hashlib.sha256(rows).digest()


def pack_block(
    epoch: int, first_seq: int, durable_seq: int, previous: bytes, rows: Any, payload: bytes, events: Any
) -> tuple[bytes, list[Any]]:
    """The digest of a block and the buffers that, written one after the other, are it.

    `rows` and `events` are contiguous arrays of COMMAND and EVENT; they are referred to, not copied.
    """
    count, payload_bytes, emitted = len(rows), len(payload), len(events)
    head = _HASHED.pack(
        BLOCK_MAGIC, FORMAT_VERSION, RULES_VERSION, count, payload_bytes, emitted, epoch, first_seq, durable_seq,
        SCHEMA_FINGERPRINT, previous, hashlib.sha256(events).digest(), b"",
    )  # fmt: skip
    chain = hashlib.sha256(head)
    chain.update(rows)
    length = _BARE_BYTES + (count + emitted) * ROW_BYTES
    section = EVENTS_HEADER.pack(EVENTS_MAGIC, emitted, b"")
    if payload:
        chain.update(payload)
        length += _rounded(payload_bytes, EVENTS_ALIGN)
        digest = chain.digest()
        buffers = [head, digest, rows, payload, bytes(-payload_bytes % EVENTS_ALIGN), section, events]
    else:
        digest = chain.digest()
        buffers = [head, digest, rows, section, events]
    padding = -length % BLOCK_ALIGN
    if padding:
        buffers.append(_ZEROS[:padding])
    return digest, buffers


def read_block(data: bytes | bytearray, offset: int) -> Block:
    """The block at `offset` of a segment's bytes; Broken, naming what and where, unless every byte of it is right."""
    if offset + HEADER_BYTES > len(data):
        raise Broken("the file ends inside a block header", len(data))
    header = BlockHeader._make(_VARIABLE.unpack_from(data, offset))
    if _CONSTANT.unpack_from(data, offset) != _ALIKE:
        if data[offset : offset + len(BLOCK_MAGIC)] != BLOCK_MAGIC:
            raise Broken("no block starts here", offset)
        raise Broken("the block's header names another format, rules or schema", offset)
    count, payload_bytes, emitted = header[:3]
    if not (
        1 <= count <= MAX_BLOCK_ROWS and payload_bytes <= MAX_PAYLOAD_BYTES and count <= emitted <= MAX_BLOCK_EVENTS
    ):
        raise Broken("the block's header has impossible counts", offset)
    end = offset + block_length(count, payload_bytes, emitted)
    if end > len(data):
        raise Broken("the block would reach beyond the end of the file", offset)
    view = memoryview(data)
    rows_at = offset + HEADER_BYTES
    payload_at = rows_at + count * ROW_BYTES
    payload_end = payload_at + payload_bytes
    chain = hashlib.sha256(view[offset : offset + _HASHED_HEADER])
    chain.update(view[rows_at:payload_end])
    if chain.digest() != header.digest:
        raise Broken("header, rows and payload do not match the block's sha256", offset)
    section = offset + events_offset(count, payload_bytes)
    if payload_end != section and any(view[payload_end:section]):
        raise Broken("bytes behind the payload are not zero", payload_end)
    events_at = section + EVENTS_HEADER.size
    events_end = events_at + emitted * ROW_BYTES
    if EVENTS_HEADER.unpack_from(data, section) != (EVENTS_MAGIC, emitted, bytes(8)):
        raise Broken("the head of the event section is damaged", section)
    if rows_digest(view[events_at:events_end]) != header.events_sha256:
        raise Broken("the event rows do not match their sha256", section)
    if events_end != end and any(view[events_end:end]):
        raise Broken("bytes behind the event rows are not zero", events_end)
    return Block(
        header, offset, end, section, view[rows_at:payload_at], bytes(view[payload_at:payload_end]),
        view[events_at:events_end],
    )  # fmt: skip


# --- the document ---------------------------------------------------------------------------------


def _table(title: str, fields: tuple[Field, ...]) -> list[str]:
    lines = [f"### {title}", "", "| offset | bytes | field | meaning |", "|---|---|---|---|"]
    at = 0
    for name, code, meaning in fields:
        size = struct.calcsize("<" + code)
        lines.append(f"| {at} | {size} | `{name}` | {meaning} |")
        at += size
    return [*lines, "", f"Together {at} bytes.", ""]


_STATEMENTS: Final = {
    "made": (
        "Generated from `engine/blocks.py` (`python -m engine.blocks > engine/JOURNAL.md`); a test keeps it"
        " current. All numbers are little endian. COMMAND and EVENT rows are those of `engine/schema.py`."
    ),
    "segment": (
        f"The first page ({PAGE_BYTES} bytes) holds the head at 0 and the watermark slots at {SLOT_OFFSETS[0]} and"
        f" {SLOT_OFFSETS[1]}; blocks follow it without gap, and what is not yet written is zero. No block spans two"
        " segments; one that would not fit into an ordinary segment gets one of its own, as long as it needs."
    ),
    "slots": (
        "The header of a block says what was on disk before it. A slot repeats it at most 50 ms later, and so says it"
        " of the last block too; a clean stop does at once. After a clean stop both slots are in state 2; in a segment"
        " that has a successor, in state 3."
    ),
    "block": (
        f"Header ({HEADER_BYTES} bytes), command rows ({ROW_BYTES} bytes each), payload section padded to"
        f" {EVENTS_ALIGN} bytes, event section (head and rows of {ROW_BYTES} bytes), all padded with zeros to"
        f" {BLOCK_ALIGN} bytes."
    ),
    "chain": (
        "The chain covers header, rows and payload, and through `events` and `events_sha256` the events; the"
        " event section itself can be rebuilt from the commands."
    ),
    "watermark": (
        "A command is known to be on disk if a slot, or the `durable_seq` of a whole block, says so. Below that"
        " nothing is ever cut: a broken block there is rot, and the venue refuses to start. Above it a broken"
        " block is a torn tail: nobody has seen an answer to it, so the next start sets it to zero and says so. A"
        " whole block behind a broken one is proof of rot too, unless it was written before the sync of the broken"
        " one had come back (its `durable_seq` tells): two blocks on their way to the disk may arrive in either"
        " order. After a clean stop nothing is a torn tail."
    ),
    "snapshots": (
        "A snapshot (`engine/snapshot.py`) is the compiled state behind one block of the day, bound to that"
        " block's place and sha256 and to the sources of the program. It is no part of the log and may be deleted"
        " at any time. A start that is told to use snapshots goes on from the newest that is whole, of this"
        " program and of this log, and carries out what follows; of any other it says why not, and without one it"
        " carries out the day from its beginning, as it also does when what follows does not fit to the snapshot."
        " A start that has to tell anybody the day's events reads and proves the whole day all the same; one that"
        " has not reads what follows the snapshot only. `cashew verify` looks at the log alone. Snapshots are made by"
        " the follower (`engine/follower.py`), never by the venue: a process beside it, started by `cashew serve`"
        " (settings `follower`, `snapshot_every`; not with sync off), that reads what the slots call durable, carries"
        " it out by the same code as a start, and compares its events with the log's. It stops the venue, exit code 3,"
        " if they differ or if the log is damaged; if it ends for any other reason it is started again."
    ),
}


def document() -> str:
    """The text of engine/JOURNAL.md: the layouts as this module has them."""
    said = {
        key: textwrap.fill(text, 120, break_on_hyphens=False, break_long_words=False)
        for key, text in _STATEMENTS.items()
    }
    return "\n".join(
        [
            "# The log on disk",
            "",
            said["made"],
            "",
            "```",
            "DIR/lock                                 held (flock) by the one venue that writes",
            "DIR/days/2026-11-23/segment-000000.log   one folder a trading day, segments numbered from 0",
            "DIR/days/2026-11-23/spare                the next segment, zeroed ahead of time; no part of the log",
            "DIR/days/2026-11-24.new/                 a day being opened; it counts once it has lost the suffix",
            "DIR/snapshots/2026-11-23-….snapshot      the present day's state behind some block: a cache",
            "```",
            "",
            f"## Segment: {SEGMENT_BYTES >> 20} MiB, zeroed when it is made",
            "",
            said["segment"],
            "",
            *_table("Head of a segment", SEGMENT_FIELDS),
            *_table("Watermark slot", SLOT_FIELDS),
            said["slots"],
            "",
            "## Block",
            "",
            said["block"],
            "",
            *_table("Header of a block", BLOCK_FIELDS),
            *_table("Head of the event section", EVENTS_FIELDS),
            said["chain"],
            "",
            "## What is below the watermark",
            "",
            said["watermark"],
            "",
            "## Snapshots",
            "",
            said["snapshots"],
            "",
        ]
    )


if __name__ == "__main__":
    print(document(), end="")
