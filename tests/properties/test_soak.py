"""The long run of the differential test: it keeps what is done, goes on where it was, and tells differences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.properties import soak
from tests.properties.campaign import run_seed
from tests.properties.soak import Progress, fingerprint, main


def options(state: Path, seeds: int) -> list[str]:
    return ["--commands", str(200 * seeds), "--per-seed", "200", "--workers", "1", "--state", str(state)]


def test_a_soak_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Seeds that are done are not run again, each new one is told, and the last line sums up."""
    state = tmp_path / "soak.json"
    assert main(options(state, 2)) == 0
    first = capsys.readouterr().out.splitlines()
    assert [line.partition(" commands")[0] for line in first] == ["200 of 400", "400 of 400", "400"]
    assert main(options(state, 3)) == 0
    again = capsys.readouterr().out.splitlines()
    assert again[0].startswith("2 of 3 seeds are done already")
    assert again[1].startswith("600 of 600 commands, seed 1000002:") and len(again) == 3
    assert main([*options(state, 1), "--anew"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_difference_is_told_kept_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other seeds go on, and the difference counts in later runs too."""

    def planted(seed: int, commands: int, look_every: int) -> object:
        assert seed != 1_000_001, "the dumps differ"
        return run_seed(seed, commands, look_every=look_every)

    monkeypatch.setattr(soak, "run_seed", planted)
    state = tmp_path / "soak.json"
    assert main(options(state, 3)) == 1
    told = capsys.readouterr().out
    assert "the dumps differ" in told and told.splitlines()[-1].endswith(" 1 differences")
    assert json.loads(state.read_text())["differences"].keys() == {"1000001"}
    assert main(options(state, 3)) == 1, "it is not forgotten"


def test_other_sources_start_anew(tmp_path: Path) -> None:
    """What was done with another engine counts nothing; the fingerprint is that of the files."""
    state, (engine, tests) = tmp_path / "soak.json", (tmp_path / "engine", tmp_path / "tests")
    engine.mkdir()
    tests.mkdir()
    (engine / "a.py").write_text("1")
    before = fingerprint(tmp_path)
    progress = Progress(state, before, 200)
    progress.note(soak.Outcome(7, 300, 1.0, ""))
    assert Progress(state, before, 200).done == {"7": 300}
    (engine / "a.py").write_text("2")
    assert fingerprint(tmp_path) != before
    assert Progress(state, fingerprint(tmp_path), 200).done == {} == Progress(state, before, 100).done
