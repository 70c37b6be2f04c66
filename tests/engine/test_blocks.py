from __future__ import annotations

from pathlib import Path

import pytest

from engine import blocks
from engine.blocks import PAGE_BYTES, Broken, SegmentHead, Slot, SlotState, block_length, pack_block, read_block
from engine.schema import FORMAT_VERSION, MAX_BLOCK_ROWS
from tests.logs import SMALL, Echo, rows

HEAD = SegmentHead(8 << 10, 3, 20261123, 7, 100, SMALL, bytes(range(32)))


def packed(count: int = 2, payload: bytes = b"terms") -> tuple[bytes, bytes]:
    commands = rows(100, count)
    digest, buffers = pack_block(7, 100, 99, b"\1" * 32, commands, payload, Echo().run_block(commands))
    return digest, b"".join(bytes(buffer) for buffer in buffers)


def page() -> bytearray:
    data = bytearray(PAGE_BYTES)
    slots = [Slot(6, 7, 99, PAGE_BYTES, SlotState.OPEN, b"\2" * 32), Slot(7, 7, 101, 5000, SlotState.CLEAN, b"\3" * 32)]
    for offset, part in [(0, HEAD.pack()), *((slot.offset, slot.pack()) for slot in slots)]:
        data[offset : offset + len(part)] = part
    return data


def test_a_block_is_read_as_it_was_packed() -> None:
    digest, data = packed()
    block = read_block(b"\0" * 64 + data + b"\0" * 64, 64)
    assert block.header.digest == digest and block.header.previous == b"\1" * 32
    assert (block.header.epoch, block.header.first_seq, block.header.last_seq, block.header.durable_seq) == (
        7,
        100,
        101,
        99,
    )
    assert (block.offset, block.end) == (64, 64 + len(data))
    assert block.commands().tobytes() == rows(100, 2).tobytes() and block.payload == b"terms"
    assert block.events().tobytes() == Echo().run_block(rows(100, 2)).tobytes()


@pytest.mark.parametrize("count", [1, 2, 5, MAX_BLOCK_ROWS])
@pytest.mark.parametrize("payload", [b"", b"x", b"y" * 16, b"z" * 1001])
def test_a_block_has_the_length_foretold(count: int, payload: bytes) -> None:
    assert len(packed(count, payload)[1]) == block_length(count, len(payload), count)


def test_every_bit_of_a_block_is_guarded() -> None:
    _, data = packed()
    for offset in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[offset] ^= 1 << bit
            with pytest.raises(Broken):
                read_block(bytes(changed), 0)


@pytest.mark.parametrize("length", [0, 1, 191, 192, 300, 700])
def test_a_block_cut_short_is_broken(length: int) -> None:
    with pytest.raises(Broken):
        read_block(packed()[1][:length], 0)


def test_the_digest_covers_the_block_before() -> None:
    commands = rows(1)
    first, _ = pack_block(1, 1, 0, bytes(32), commands, b"", Echo().run_block(commands))
    other, _ = pack_block(1, 1, 0, b"\1" * 32, commands, b"", Echo().run_block(commands))
    assert first != other


def test_the_event_section_is_outside_the_digest_but_its_sum_is_inside() -> None:
    commands = rows(1)
    events = Echo().run_block(commands)
    one, _ = pack_block(1, 1, 0, bytes(32), commands, b"", events)
    events["code"] = 5
    other, _ = pack_block(1, 1, 0, bytes(32), commands, b"", events)
    assert one != other


def test_a_first_page_is_read_as_it_was_packed() -> None:
    data = bytes(page())
    assert SegmentHead.read(data) == HEAD
    assert Slot.read(data, 0) == Slot(6, 7, 99, PAGE_BYTES, SlotState.OPEN, b"\2" * 32)
    assert Slot.read(data, 1).state == SlotState.CLEAN


def test_every_bit_of_a_first_page_is_guarded() -> None:
    for offset in range(PAGE_BYTES):
        data = page()
        data[offset] ^= 1 << offset % 8
        broken = 0
        for read in (SegmentHead.read, lambda page: Slot.read(page, 0), lambda page: Slot.read(page, 1)):
            try:
                read(bytes(data))
            except Broken as error:
                broken += 1
                assert error.offset <= offset
        assert broken == 1, offset


def test_a_log_of_another_format_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(page())
    monkeypatch.setattr(blocks, "FORMAT_VERSION", FORMAT_VERSION + 1)
    with pytest.raises(Broken, match=rf"written under format {FORMAT_VERSION}.*this is format {FORMAT_VERSION + 1}"):
        SegmentHead.read(data)


def test_the_document_is_current() -> None:
    text = (Path(blocks.__file__).parent / "JOURNAL.md").read_text(encoding="utf-8")
    assert text == blocks.document(), "run: python -m engine.blocks > engine/JOURNAL.md"
