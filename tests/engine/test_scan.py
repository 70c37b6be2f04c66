from __future__ import annotations

from pathlib import Path

import pytest

from engine.blocks import pack_block
from engine.journal import Journal
from engine.scan import Damage, DayScan, Rot, Torn, day_folders, day_number, is_day, log_root
from tests.logs import MONDAY, SMALL, TUESDAY, Echo, flip, rows

SEGMENT = 8 << 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A clean day of nine blocks of two commands in several segments."""
    (tmp_path / "days").mkdir()
    journal = Journal.create(
        tmp_path / "days" / MONDAY, trading_day=day_number(MONDAY), first_seq=41, previous=b"\7" * 32, epoch=3,
        limits=SMALL, segment_bytes=SEGMENT,
    )  # fmt: skip
    for turn in range(9):
        commands = rows(41 + 2 * turn, 2)
        journal.append(41 + 2 * turn, commands, b"", Echo().run_block(commands))
        journal.wait()  # so that each block says that the one before it is durable
    journal.close()
    return tmp_path / "days" / MONDAY


def test_a_clean_day_is_read_in_order(folder: Path) -> None:
    scan = DayScan(folder)
    blocks = list(scan.blocks())
    assert [block.header.first_seq for block in blocks] == list(range(41, 59, 2))
    assert scan.clean and scan.torn is None and scan.unreadable == [] and scan.watermark == 58
    assert scan.first.limits == SMALL and scan.first.first_seq == 41 and scan.last_epoch == 3
    assert scan.tail is not None and (scan.tail.last_seq, scan.tail.digest) == (58, blocks[-1].header.digest)
    assert [end[0] for end in scan.ends][-1] == 58 and len(scan.ends) == len(scan.segments) >= 2


def test_segments_in_the_wrong_place_are_found(folder: Path) -> None:
    first, second = folder / "segment-000000.log", folder / "segment-000001.log"
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    with pytest.raises(Rot, match="another place or day"):
        DayScan(folder)


def test_a_folder_of_another_day_is_found(folder: Path) -> None:
    folder.rename(folder.with_name(TUESDAY))
    with pytest.raises(Rot, match="another place or day"):
        DayScan(folder.with_name(TUESDAY))


@pytest.mark.parametrize("change", [b"", b"\0"])
def test_a_clean_segment_of_another_length_is_rot(folder: Path, change: bytes) -> None:
    path = folder / "segment-000000.log"
    content = path.read_bytes()
    path.write_bytes(content + change if change else content[:-1])
    with pytest.raises(Rot, match="bytes instead of"):
        list(DayScan(folder).blocks())


def test_a_block_of_another_chain_is_found(folder: Path, tmp_path: Path) -> None:
    """Whole by itself, and even of the right seq, but not what was written after the block before."""
    scan = DayScan(folder)
    third = list(scan.blocks())[2]
    data = bytearray((folder / "segment-000000.log").read_bytes())
    commands = rows(45, 2)
    _, buffers = pack_block(3, 45, 44, b"\1" * 32, commands, b"", Echo().run_block(commands))
    forged = b"".join(bytes(buffer) for buffer in buffers)
    data[third.offset : third.end] = forged
    (folder / "segment-000000.log").write_bytes(bytes(data))
    with pytest.raises(Rot, match="sha256") as found:
        list(DayScan(folder).blocks())
    assert (found.value.damage.offset, found.value.damage.seq) == (third.offset, 45)


def test_blocks_before_the_damage_are_read(folder: Path) -> None:
    blocks = list(DayScan(folder).blocks())
    flip(folder / "segment-000000.log", blocks[2].offset + 300)
    read = []
    with pytest.raises(Rot) as found:
        for block in DayScan(folder).blocks():
            read.append(block.header.first_seq)
    assert read == [41, 43] and found.value.damage.seq == 45


def test_what_a_running_venue_has_not_finished_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "days").mkdir()
    journal = Journal.create(
        tmp_path / "days" / MONDAY, trading_day=day_number(MONDAY), first_seq=1, previous=bytes(32), epoch=1,
        limits=SMALL, segment_bytes=SEGMENT,
    )  # fmt: skip
    for seq in (1, 2, 3):
        journal.append(seq, rows(seq), b"", Echo().run_block(rows(seq)))
        journal.wait()
    path = journal.folder / "segment-000000.log"
    end = list(DayScan(journal.folder).blocks())[-1].end
    flip(path, end + 5, 0xFF)  # as if the next block were being written
    scan = DayScan(journal.folder, live=True)
    assert [block.header.first_seq for block in scan.blocks()] == [1, 2, 3] and scan.torn is None
    flip(path, end + 5, 0xFF)
    flip(path, 4096 + 50)  # but what is durable is judged
    with pytest.raises(Rot):
        list(DayScan(journal.folder, live=True).blocks())
    journal.abandon()


def test_a_block_that_was_being_written_while_the_segment_was_read_is_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader of a running venue may find the start of the file older than its end; a block missing twice is rot."""
    last = sorted(folder.glob("segment-*"))[-1]
    found = [
        block
        for block in DayScan(folder).blocks()
        if block.header.first_seq >= DayScan(folder).segments[-1].head.first_seq
    ]
    hole = found[0]
    whole, reads = last.read_bytes(), []
    old = whole[: hole.offset] + bytes(hole.end - hole.offset) + whole[hole.end :]
    read = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path != last:
            return read(path)
        reads.append(path)
        return old if len(reads) == 1 else whole

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    scan = DayScan(folder, live=True)
    assert [block.header.first_seq for block in scan.blocks()] == list(range(41, 59, 2)) and len(reads) == 2
    whole = old
    reads.clear()
    with pytest.raises(Rot) as refused:
        list(DayScan(folder, live=True).blocks())
    assert refused.value.damage.seq == hole.header.first_seq


def test_a_day_without_segments_names_the_first(tmp_path: Path) -> None:
    (tmp_path / MONDAY).mkdir()
    with pytest.raises(Rot, match="first segment is missing"):
        DayScan(tmp_path / MONDAY)


def test_folders_are_told_apart(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "days" / f"{TUESDAY}.new").mkdir()
    assert day_folders(tmp_path) == [folder] and day_folders(folder) == [folder]
    assert is_day(folder) and not is_day(tmp_path)
    assert log_root(folder) == log_root(tmp_path) == tmp_path
    assert day_number(MONDAY) == 20261123


def test_places_are_told_in_words() -> None:
    assert str(Damage("f", 1, 2, "why")) == "f, offset 1, seq 2: why"
    assert "torn tail of 9 bytes" in str(Torn("f", 1, 2, 9, "why"))
