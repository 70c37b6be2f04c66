"""The demonstration: keys made once, and a calendar that never leaves an instrument closed for long."""

from pathlib import Path

from engine.schema import PHASE_NEXT, Phase
from gateway.accounts import KeyRing, disable_key, list_keys
from gateway.demo import ACCOUNTS, CLOSED_SECONDS, PRE_OPEN_SECONDS, DemoCalendar, ensure_keys


def test_keys_are_made_once_and_open(tmp_path: Path) -> None:
    files = ensure_keys(tmp_path)
    first = {name: path.read_text() for name, path in files.items()}
    assert ensure_keys(tmp_path) == files and {name: path.read_text() for name, path in files.items()} == first
    roles = {key.member: key.role for key in list_keys(tmp_path)}
    assert roles["EXCHANGE"] == "operator" and len(roles) == len(files)
    assert {account["account"] for account in ACCOUNTS} == {
        name for key in list_keys(tmp_path) for name in key.accounts
    }


def test_lost_file_or_disabled_key_is_made_anew(tmp_path: Path) -> None:
    files = ensure_keys(tmp_path)
    files["bob"].unlink()
    disable_key(tmp_path, 1)
    assert ensure_keys(tmp_path)["bob"].exists()
    ring = KeyRing(tmp_path)
    import json

    assert all(ring.find(json.loads(path.read_text())["token"]) for path in files.values())


def walk(
    calendar: DemoCalendar, phases: dict[str, Phase], start: float, seconds: float
) -> list[tuple[float, str, Phase]]:
    """Let time pass in quarter seconds and do what is due."""
    done = []
    for step in range(int(seconds * 4)):
        for symbol, phase in calendar.due(start + step / 4, phases):
            for one in phases if symbol == "ALL" else [symbol]:
                assert phase in PHASE_NEXT[phases[one]]
                phases[one] = phase
            done.append((step / 4, symbol, phase))
    return done


def test_opens_at_once_then_after_fifteen_seconds() -> None:
    phases = dict.fromkeys(("X", "Y"), Phase.CLOSED)
    assert walk(DemoCalendar(), phases, 100.0, 40) == [(0.0, "ALL", Phase.PRE_OPEN), (15.25, "ALL", Phase.CONTINUOUS)]


def test_what_an_operator_closes_is_open_again_within_half_a_minute() -> None:
    calendar, phases = DemoCalendar(), dict.fromkeys(("X", "Y"), Phase.CONTINUOUS)
    assert walk(calendar, phases, 0.0, 5) == []
    phases["X"] = Phase.CLOSED
    steps = walk(calendar, phases, 5.0, 60)
    assert [step[1:] for step in steps] == [("X", Phase.PRE_OPEN), ("X", Phase.CONTINUOUS)]
    assert steps[0][0] <= CLOSED_SECONDS + 0.5 and steps[1][0] <= CLOSED_SECONDS + PRE_OPEN_SECONDS + 1 < 30


def test_a_halt_stays_until_the_operator_ends_it() -> None:
    assert walk(DemoCalendar(), {"X": Phase.HALTED, "Y": Phase.CONTINUOUS}, 0.0, 100) == []
