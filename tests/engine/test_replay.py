from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import replay as replay_module
from engine.blocks import HEADER_BYTES, SLOT_OFFSETS, Slot, pack_block
from engine.journal import segment_name
from engine.reference import Reference
from engine.replay import EXIT_DAMAGED, EXIT_GOOD, compiled, replay, verify
from engine.scan import DayScan
from engine.schema import EVENT, EventKind
from tests.logs import MONDAY, OPENING_NS, TUESDAY, flip, open_log, segments, trade

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two days of trading, stopped properly."""
    log = open_log(tmp_path)
    trade(log, 150, block=5, close=True)
    log.roll(TUESDAY, OPENING_NS + 10**9)
    trade(log, 60, seed=2)
    log.close()
    return tmp_path


def test_a_good_log_is_verified_and_counted(root: Path) -> None:
    told: list[tuple[str, int]] = []
    report = verify(root, progress=lambda day, commands: told.append((day, commands)))
    assert report.exit_code == EXIT_GOOD and report.damage is None and not report.live
    monday, tuesday = report.days
    assert (monday.trading_day, monday.first_seq, tuesday.first_seq) == (MONDAY, 1, monday.last_seq + 1)
    assert monday.commands == monday.last_seq and monday.clean and tuesday.clean
    assert report.lines()[-1] == "verified: no damage" and len(report.lines()) == 3
    assert json.loads(json.dumps(report.to_dict()))["days"][0]["trading_day"] == MONDAY


def test_one_day_is_verified_alone_and_says_so(root: Path) -> None:
    for day in (MONDAY, TUESDAY):
        report = verify(root / "days" / day)
        assert report.exit_code == EXIT_GOOD and len(report.days) == 1
        assert any("one day alone" in line for line in report.lines())


def test_nothing_to_verify_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        verify(tmp_path)


def test_progress_is_told_for_big_logs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "_PROGRESS_COMMANDS", 50)
    told: list[tuple[str, int]] = []
    verify(root, progress=lambda day, commands: told.append((day, commands)))
    assert len(told) >= 3 and told[0][0] == MONDAY and told[0][1] >= 50


def forge(root: Path, day: str, change: Callable[[int, Any, bytes, Any], tuple[Any, bytes, Any]]) -> None:
    """Write a day anew with changed blocks and every checksum right, as somebody with access to the disk could."""
    folder = root / "days" / day
    scan = DayScan(folder)
    blocks = list(scan.blocks())
    assert len(scan.segments) == 1, "the forger is lazy"
    path = folder / segment_name(0)
    data = bytearray(path.read_bytes())
    previous, offset = scan.first.previous, blocks[0].offset
    for number, block in enumerate(blocks):
        commands, payload, events = change(number, block.commands(), block.payload, block.events())
        header = block.header
        previous, buffers = pack_block(
            header.epoch, header.first_seq, header.durable_seq, previous, commands, payload, events
        )
        whole = b"".join(bytes(buffer) for buffer in buffers)
        data[offset : offset + len(whole)] = whole
        offset += len(whole)
    for slot in scan.segments[0].slots:
        packed = slot._replace(durable_end=offset, digest=previous).pack()
        data[SLOT_OFFSETS[slot.generation & 1] : SLOT_OFFSETS[slot.generation & 1] + len(packed)] = packed
    path.write_bytes(bytes(data))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    log = open_log(tmp_path, segment_bytes=1 << 20)
    trade(log, 60)
    log.close()
    return tmp_path


def test_a_forger_who_changes_nothing_is_not_found(small: Path) -> None:
    forge(small, MONDAY, lambda number, commands, payload, events: (commands, payload, events))
    assert verify(small).exit_code == EXIT_GOOD


def test_an_event_that_the_rules_do_not_give_is_found_and_named(small: Path) -> None:
    """All sums are right; only carrying out the commands shows it."""
    forged: list[int] = []

    def change(number: int, commands: Any, payload: bytes, events: Any) -> tuple[Any, bytes, Any]:
        trades = np.flatnonzero(events["kind"] == EventKind.TRADE)
        if len(trades) and not forged:
            events["price"][trades[0]] += 1
            forged.append(int(events["seq"][trades[0]]))
        return commands, payload, events

    forge(small, MONDAY, change)
    report = verify(small)
    assert report.exit_code == EXIT_DAMAGED and report.damage is not None
    assert report.damage.seq == forged[0] and "rules" in report.damage.what
    data = np.frombuffer(segments(small)[0].read_bytes()[report.damage.offset :][:128], EVENT)
    assert int(data["seq"][0]) == forged[0], "the offset is that of the event"


@pytest.mark.parametrize(
    ("forged", "said"),
    [
        (lambda events: events[:-1], "event there"),
        (lambda events: np.concatenate([events, events[-1:]]), "event there"),
    ],
)
def test_events_left_out_or_added_are_found(small: Path, forged: Any, said: str) -> None:
    blocks = list(DayScan(small / "days" / MONDAY).blocks())
    target = next(number for number, block in enumerate(blocks) if number > 5 and block.header.events >= 2)
    forge(small, MONDAY, lambda n, c, p, e: (c, p, forged(e) if n == target else e))
    report = verify(small)
    assert report.exit_code == EXIT_DAMAGED and report.damage is not None and said in report.damage.what


def test_a_seq_that_is_not_its_place_is_found(small: Path) -> None:
    def change(number: int, commands: Any, payload: bytes, events: Any) -> tuple[Any, bytes, Any]:
        if number == 9:
            commands["seq"] += 1
        return commands, payload, events

    forge(small, MONDAY, change)
    report = verify(small)
    assert report.exit_code == EXIT_DAMAGED and report.damage is not None and "numbered" in report.damage.what


def test_a_world_that_was_changed_over_night_is_found(root: Path) -> None:
    """A day that is right by itself, but does not start with what the day before ended with."""
    clean = verify(root / "days" / TUESDAY)
    assert clean.exit_code == EXIT_GOOD
    matcher = Reference()

    def change(number: int, commands: Any, payload: bytes, events: Any) -> tuple[Any, bytes, Any]:
        if number == 0:
            payload = payload.replace(b'"owner":"B1"', b'"owner":"B7"')
        return commands, payload, matcher.run_block(commands, payload)

    forge(root, TUESDAY, change)
    assert verify(root / "days" / TUESDAY).exit_code == EXIT_GOOD
    report = verify(root)
    assert report.exit_code == EXIT_DAMAGED and report.damage is not None
    assert "does not start with the world" in report.damage.what and "B7" in report.damage.what


def test_a_day_left_out_is_found(root: Path) -> None:
    (root / "days" / MONDAY).rename(root / "days" / "gone")
    report = verify(root)
    assert report.exit_code == EXIT_DAMAGED and report.damage is not None and "does not follow" in report.damage.what


def test_a_finished_day_that_was_not_ended_is_found(root: Path) -> None:
    path = segments(root)[-1]
    data = bytearray(path.read_bytes())
    for which in (0, 1):
        slot = Slot.read(bytes(data), which)
        data[slot.offset : slot.offset + 84] = slot._replace(state=1).pack()
    path.write_bytes(bytes(data))
    report = verify(root)
    assert report.exit_code == EXIT_DAMAGED and report.damage is not None and "not ended properly" in report.damage.what


def test_a_running_venue_is_verified_while_it_writes(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    for seed in range(2, 6):
        trade(log, 30, seed=seed)
        report = verify(tmp_path)
        assert report.exit_code == EXIT_GOOD and report.live and report.days[0].last_seq == log.journal.last_seq
        assert any("being written" in line for line in report.lines())
    end = list(DayScan(tmp_path / "days" / MONDAY).blocks())[-1].end
    flip(segments(tmp_path)[-1], end + 3, 0xFF)  # half a block, as a reader may see it
    assert verify(tmp_path).exit_code == EXIT_GOOD
    flip(segments(tmp_path)[-1], end + 3, 0xFF)
    log.close()


def test_verify_needs_no_numba(root: Path) -> None:
    program = (
        "import sys; sys.modules['numba'] = None\n"
        "from pathlib import Path\n"
        "from engine.replay import verify\n"
        "sys.exit(verify(Path(sys.argv[1])).exit_code)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(root)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == EXIT_GOOD, done.stderr


def worlds(root: Path) -> dict[int, Any]:
    """The world after each block of Monday."""
    matcher, found = Reference(), {}
    for block in DayScan(root / "days" / MONDAY).blocks():
        matcher.run_block(block.commands(), block.payload)
        found[block.header.last_seq] = matcher.dump()
    return found


def test_replay_stops_at_any_seq(root: Path) -> None:
    for seq, world in list(worlds(root).items())[::9]:
        done = replay(root, until=seq)
        assert (done.seq, done.trading_day) == (seq, MONDAY) and done.matcher.dump() == world
    inside = replay(root, until=11)
    assert inside.seq == inside.matcher.dump()["seq"] == 11


def test_replay_reads_only_the_day_it_needs(root: Path) -> None:
    last = replay(root)
    report = verify(root)
    assert last.trading_day == TUESDAY and last.seq == report.days[1].last_seq
    assert last.commands == report.days[1].commands


def test_a_book_at_a_point(root: Path) -> None:
    report = verify(root)
    done = replay(root, until=report.days[0].last_seq - 1)
    book = done.book("W320F2703")
    assert book == done.matcher.book(1) and book["bids"] and book["asks"]
    with pytest.raises(KeyError):
        done.book("NONE")


@pytest.mark.parametrize(("until", "said"), [(0, "starts at seq 1"), (10**9, "ends at seq")])
def test_a_seq_outside_the_log_is_refused(root: Path, until: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replay(root, until=until)


def test_two_matchers_are_compared_event_by_event(root: Path) -> None:
    assert replay(root, compare=Reference).difference is None

    class Wrong(Reference):
        def run_block(self, commands: Any, payload: bytes = b"") -> Any:
            events = super().run_block(commands, payload)
            events["leaves_qty"][events["kind"] == EventKind.ORDER_ACCEPTED] += 1
            return events

    done = replay(root, until=150, compare=Wrong)
    assert done.difference is not None and done.seq >= done.difference.seq
    left, right = done.difference.left, done.difference.right
    assert left is not None and right is not None and left != right and left[0] == done.difference.seq

    class Silent(Reference):
        def run_block(self, commands: Any, payload: bytes = b"") -> Any:
            return super().run_block(commands, payload)[:-1]

    silent = replay(root, compare=Silent).difference
    assert silent is not None and silent.right is None


def test_the_compiled_core_replays_the_same(root: Path) -> None:
    pytest.importorskip("numba", reason="the compiled core needs numba")
    done = replay(root, make_matcher=compiled, compare=Reference)
    assert done.difference is None and done.matcher.dump() == replay(root).matcher.dump()
    assert done.book("W320F2703") == replay(root).book("W320F2703")
    assert verify(root, make_matcher=compiled).exit_code == EXIT_GOOD


def test_the_header_has_no_room_for_surprises() -> None:
    assert HEADER_BYTES == 192 and EVENT.itemsize == 128
