"""Settings: the file is weakest, then the environment, then what is typed."""

from pathlib import Path

import pytest

from gateway.settings import BadSettings, Settings, load_settings


def test_command_line_beats_environment_beats_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cashew.toml"
    file.write_text('port = 1000\nhost = "::1"\nsync = "off"\n')
    monkeypatch.setenv("CASHEW_PORT", "2000")
    monkeypatch.setenv("CASHEW_SYNC", "on")
    settings = load_settings(file, port=3000, data=None)
    assert (settings.port, settings.sync, settings.host, settings.data) == (3000, "on", "::1", Path("venue"))
    assert load_settings(file).port == 2000


def test_market_data_listens_on_the_next_port_unless_told() -> None:
    assert load_settings(port=9000).market_data_port == 9001
    assert load_settings(port=0).market_data_port == 0
    assert load_settings(port=9000, md_port=7000).market_data_port == 7000


def test_limits_are_those_of_the_state() -> None:
    assert load_settings(orders=100, day_ids=5).limits._asdict() | {} == {
        **Settings().limits._asdict(), "orders": 100, "day_ids": 5,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["port = 70000", "nonsense = 1", 'sync = "maybe"', "port =", "\xff"])
def test_settings_that_cannot_be_used_are_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "cashew.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadSettings) as caught:
        load_settings(file)
    assert str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="cannot read"):
        load_settings(tmp_path / "absent.toml")


def test_environment_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASHEW_PORT", "x")
    with pytest.raises(BadSettings, match="port"):
        load_settings()
