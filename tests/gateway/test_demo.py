"""The demonstration: keys made once, and a calendar that never leaves an instrument closed for long."""

from pathlib import Path

from engine.phases import PHASES
from engine.schema import Phase
from gateway.accounts import KeyRing, disable_key, list_keys
from gateway.demo import ACCOUNTS, CLOSED_SECONDS, DemoCalendar, ensure_keys


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
                assert phase in PHASES[phases[one]].next
                phases[one] = phase
            done.append((step / 4, symbol, phase))
    return done


OPENING = [Phase.PRE_OPEN, Phase.NO_CANCEL, Phase.OPENING_AUCTION, Phase.CONTINUOUS]


def test_opens_with_a_call_of_fifteen_seconds_and_its_auction() -> None:
    phases = dict.fromkeys(("X", "Y"), Phase.CLOSED)
    steps = walk(DemoCalendar(), phases, 100.0, 40)
    assert [step[1:] for step in steps] == [("ALL", phase) for phase in OPENING]
    times = [step[0] for step in steps]
    assert times[0] == 0 and 12 <= times[1] <= 12.5 and 15 <= times[2] <= 16 and times[3] < 17


def test_what_is_held_is_left_to_who_holds_it() -> None:
    calendar, phases = DemoCalendar(), {"X": Phase.PRE_OPEN, "Y": Phase.PRE_OPEN}
    due = [step for now in range(60) for step in calendar.due(float(now), phases, {"X"})]
    assert {symbol for symbol, _ in due} == {"Y"}
    phases["Y"] = Phase.CONTINUOUS
    assert calendar.due(60.0, phases) == [("X", Phase.NO_CANCEL)], "its time counts from when it began"


def test_what_an_operator_closes_is_open_again_within_half_a_minute() -> None:
    calendar, phases = DemoCalendar(), dict.fromkeys(("X", "Y"), Phase.CONTINUOUS)
    assert walk(calendar, phases, 0.0, 5) == []
    phases["X"] = Phase.CLOSED
    steps = walk(calendar, phases, 5.0, 60)
    assert [step[1:] for step in steps] == [("X", phase) for phase in OPENING]
    assert steps[0][0] <= CLOSED_SECONDS + 0.5 and steps[-1][0] < 30


def test_other_phases_stay_until_the_operator_ends_them() -> None:
    calendars = {Phase.CLOSED, *OPENING[:-1]}
    phases = {phase.name: phase for phase in Phase if phase not in calendars}
    assert Phase.HALTED in phases.values() and walk(DemoCalendar(), phases, 0.0, 100) == []
