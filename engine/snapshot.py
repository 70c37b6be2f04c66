"""A compiled venue's state in a file, so that a start need not carry out the whole day again.

Owns the folder `snapshots` of a log. A snapshot is a cache and may be deleted at any time: it is used only if it is
whole, was made by the very program that reads it, and the block that it stands behind is the log's; else it is told and
left alone, and an older one is taken, or the log from its beginning. May import all of the engine's shell and the
compiled core.

The file: a head of 64 bytes (magic, format version, length of the index, sha256 of all that follows), the index in
JSON, then for each array the pages that hold anything. The index has the place in the log, the fingerprint of
the program, the limits, the names that acts gave to numbers, and where the pages belong. Integers are little endian.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.apply import State, new_state
from engine.compiled import Compiled
from engine.core.layout import ADDRESSES, CAPACITY, HEADER_WORDS
from engine.core.state import Arrays
from engine.disk import Disk, sync_folder
from engine.scan import DayScan, Place
from engine.schema import RULES_VERSION, SCHEMA_FINGERPRINT, Limits

__all__ = ["FOLDER", "KEPT", "Restored", "Stale", "fingerprint", "load", "restore", "save"]

Words = npt.NDArray[np.int64]
Tell = Callable[[str], None]

FOLDER: Final = "snapshots"
KEPT: Final = 2
MAGIC: Final = b"CASHSNAP"
FORMAT_VERSION: Final = 1
HEAD: Final = struct.Struct("<8sIIQ32s8x")
PAGE_WORDS: Final = 2_048  # 16 KiB: small enough for tables that are filled here and there
MAX_INDEX_BYTES: Final = 256 << 20
_PIECE: Final = 1 << 20  # bytes that are read and hashed in turns, so that they are still near when they are hashed
_WRITE_PIECES: Final = 512  # buffers in one write; the system takes 1,024

# Arrays by their names; n4 is n8 by another name, and the handle is made anew.
ARRAYS: Final = tuple(name for name in Arrays.__slots__ if name not in ("n4", "handle"))
_ADDRESSES: Final = slice(ADDRESSES, HEADER_WORDS)  # of the header: they are a process's own affair
# What acts have named: attributes of State. Those with keys of more than one part are written as pairs.
PLAIN: Final = (
    "symbols", "instrument_terms", "controls", "account_numbers", "account_terms", "commodities", "ccys", "members",
    "owners", "groups", "trading_day", "margined",
)  # fmt: skip
PAIRED: Final = ("fixings", "margins", "fees", "caps")
SETS: Final = ("kills",)


class Stale(Exception):
    """A snapshot that is of no use here: damaged, of another program or of another log; the text says why."""


class Restored(NamedTuple):
    """A matcher that stands behind `place`, and the time of its last command."""

    matcher: Compiled
    place: Place
    time_ns: int


@cache
def fingerprint() -> str:
    """Of the program: every source that decides what the arrays and names mean, or what comes of a command."""
    room = Path(__file__).parent
    sources = [*room.glob("core/*.py"), *room.glob("acts/*.py")]
    sources += [room / f"{name}.py" for name in ("apply", "schema", "phases", "snapshot")]
    parts = hashlib.sha256(f"{sys.byteorder} {RULES_VERSION}".encode())
    parts.update(SCHEMA_FINGERPRINT)
    for source in sorted(sources):
        parts.update(source.relative_to(room).as_posix().encode())
        parts.update(source.read_bytes())
    return parts.hexdigest()


# --- writing ------------------------------------------------------------------------------------------------------


def save(root: Path, trading_day: str, state: State, place: Place, *, disk: Disk | None = None) -> Path:
    """Write a snapshot of a state that stands behind `place` of a day's log, and keep the newest KEPT of that day.

    It has its name only when it is whole and on disk. OSError if it cannot be written; nothing is left of it then.
    """
    disk = disk or Disk()
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    path = folder / f"{trading_day}-{place.seq:015d}.snapshot"
    draft = path.with_suffix(".new")
    pieces = list(_pieces(trading_day, state, place))
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        offset = 0
        for first in range(0, len(pieces), _WRITE_PIECES):
            some = pieces[first : first + _WRITE_PIECES]
            length = sum(piece.nbytes for piece in some)
            if disk.write(fd, some, offset) != length:
                raise OSError(f"short write of {draft.name}")
            offset += length
        disk.sync_new(fd)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
    disk.rename(draft, path)
    keep = sorted(folder.glob(f"{trading_day}-*.snapshot"))[-KEPT:]
    for old in folder.iterdir():
        if old not in keep:
            old.unlink(missing_ok=True)
    sync_folder(folder)
    return path


def _pieces(trading_day: str, state: State, place: Place) -> Iterator[memoryview]:
    """The file in pieces of at most 1 MiB, its head first."""
    assert not state.pending, "a snapshot stands behind a whole block"
    places: dict[str, Any] = {}
    body: list[memoryview] = []
    for name in ARRAYS:
        words = _words(state.arrays, name)
        if name == "h":
            words = words.copy()
            words[_ADDRESSES] = words[CAPACITY] = 0  # how much room a call was given is of no more use either
        places[name] = [len(words), _held(words)]
        for first, count in places[name][1]:
            raw = memoryview(words[first : first + count].view(np.uint8).data)
            body += [raw[at : at + _PIECE] for at in range(0, len(raw), _PIECE)]
    index = _encoded({
        "trading_day": trading_day,
        "place": {**place._asdict(), "digest": place.digest.hex()},
        "program": fingerprint(),
        "limits": state.limits._asdict(),
        "names": _names(state),
        "arrays": places,
    })  # fmt: skip
    digest = hashlib.sha256(index)
    for piece in body:
        digest.update(piece)
    length = len(index) + sum(piece.nbytes for piece in body)
    yield memoryview(HEAD.pack(MAGIC, FORMAT_VERSION, len(index), length, digest.digest()))
    yield memoryview(index)
    yield from body


def _words(arrays: Arrays, name: str) -> Words:
    words: Words = getattr(arrays, name).view(np.int64)
    return words


def _held(words: Words) -> list[list[int]]:
    """Runs of pages in which any word is set, as first word and number of words."""
    whole = len(words) // PAGE_WORDS
    held = np.zeros(-(-len(words) // PAGE_WORDS) + 2, np.int8)  # one page that holds nothing on each side
    held[1 : whole + 1] = np.bitwise_or.reduce(words[: whole * PAGE_WORDS].reshape(-1, PAGE_WORDS), axis=1) != 0
    held[whole + 1] = bool(words[whole * PAGE_WORDS :].any())
    steps = np.diff(held)
    runs = zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True)
    return [[first * PAGE_WORDS, min(end * PAGE_WORDS, len(words)) - first * PAGE_WORDS] for first, end in runs]


def _names(state: State) -> dict[str, Any]:
    named: dict[str, Any] = {name: getattr(state, name) for name in PLAIN}
    for name in PAIRED:
        named[name] = [[list(key), value] for key, value in getattr(state, name).items()]
    for name in SETS:
        named[name] = [list(one) for one in sorted(getattr(state, name))]
    return named


def _encoded(index: dict[str, Any]) -> bytes:
    return json.dumps(index, separators=(",", ":"), ensure_ascii=False).encode()


# --- reading ------------------------------------------------------------------------------------------------------


def restore(root: Path, scan: DayScan, tell: Tell) -> Restored | None:
    """The newest snapshot of a day that can be used; every newer one is told, with what is wrong with it."""
    for path in sorted((root / FOLDER).glob(f"{scan.folder.name}-*.snapshot"), reverse=True):
        try:
            with path.open("rb", buffering=0) as file:
                index, digest = _index(file)
                place = _place(index, scan)
                state = _state(file, index, digest, scan.first.limits)
        except (Stale, OSError) as error:
            tell(f"the snapshot {path.name} is not used: {error}")
            continue
        return Restored(Compiled(scan.first.limits, state), place, state.time)
    return None


def load(path: Path, limits: Limits) -> State:
    """The state in a snapshot, whatever log it belongs to; Stale if it is damaged or of another program."""
    with path.open("rb", buffering=0) as file:
        index, digest = _index(file)
        return _state(file, index, digest, limits)


def _index(file: Any) -> tuple[dict[str, Any], Any]:
    """The index, and the sha256 of it that goes on with what follows; both are believed only when that is right."""
    head = file.read(HEAD.size)
    if len(head) < HEAD.size:
        raise Stale("it ends within its head")
    magic, version, index_bytes, length, _ = HEAD.unpack(head)
    if (magic, version) != (MAGIC, FORMAT_VERSION):
        raise Stale("it is no snapshot of this format")
    if not index_bytes <= length == os.fstat(file.fileno()).st_size - HEAD.size or index_bytes > MAX_INDEX_BYTES:
        raise Stale("its length is not what its head says")
    raw = file.read(index_bytes)
    try:
        index = json.loads(raw)
        if index["program"] != fingerprint():
            raise Stale("it was made by another version of the program")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Stale("its index is damaged") from None
    return index, hashlib.sha256(raw)


def _place(index: dict[str, Any], scan: DayScan) -> Place:
    try:
        named = dict(index["place"])
        place = Place(**{**named, "digest": bytes.fromhex(named["digest"])})
        if index["trading_day"] != scan.folder.name or any(type(part) is not int for part in place[:5]):
            raise Stale("it is of another day")
        doubt = scan.doubt(place)
    except (ValueError, KeyError, TypeError):
        raise Stale("its place is damaged") from None
    if doubt:
        raise Stale(doubt)
    return place


def _state(file: Any, index: dict[str, Any], digest: Any, limits: Limits) -> State:
    """A new state, filled from the file; Stale unless every byte of it is what was written."""
    try:
        if index["limits"] != limits._asdict():
            raise Stale("it was made under other limits")
        state = new_state(limits)
        addresses = state.arrays.h[_ADDRESSES].copy()
        _fill(file, index["arrays"], state.arrays, digest)
        file.seek(0)
        if HEAD.unpack(file.read(HEAD.size))[-1] != digest.digest():
            raise Stale("it does not match its sha256")
        state.arrays.h[_ADDRESSES] = addresses
        _set_names(state, index["names"])
    except (ValueError, KeyError, TypeError, IndexError):
        raise Stale("its index is damaged") from None
    return state


def _fill(file: BinaryIO, places: dict[str, Any], arrays: Arrays, digest: Any) -> None:
    for name in ARRAYS:
        words = _words(arrays, name)
        size, runs = places[name]
        if size != len(words):
            raise Stale(f"its array {name} has another size")
        end = 0
        for first, count in runs:
            if not end <= first < first + count <= size:
                raise Stale("its index is damaged")
            end = first + count
            raw = memoryview(words[first:end].view(np.uint8).data)
            for at in range(0, len(raw), _PIECE):
                piece = raw[at : at + _PIECE]
                if file.readinto(piece) != len(piece):  # type: ignore[attr-defined]
                    raise Stale("it ends too early")
                digest.update(piece)


def _set_names(state: State, names: dict[str, Any]) -> None:
    for name in PLAIN:
        _set(state, name, names[name])
    for name in PAIRED:
        pairs = ((tuple(key), tuple(value) if isinstance(value, list) else value) for key, value in names[name])
        _set(state, name, dict(pairs))
    for name in SETS:
        _set(state, name, {tuple(one) for one in names[name]})


def _set(state: State, name: str, value: Any) -> None:
    if type(value) is not type(getattr(state, name)):
        raise Stale("its index is damaged")
    setattr(state, name, value)
