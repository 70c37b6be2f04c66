"""What is printed at the start can be typed as it stands."""

from pathlib import Path

from gateway.banner import banner
from gateway.demo import ensure_keys
from gateway.settings import load_settings

LISTED = [("W320F2703", {"reference_price": "3.000", "min_price": "1.000"})]


def test_demonstration_names_keys_and_first_commands(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path)
    text = banner("http://127.0.0.1:8410", load_settings(demo=True), LISTED, keys, ".venv/bin/cashew")
    assert text.splitlines()[0].startswith("The exchange is open at http://127.0.0.1:8410/")
    assert ".venv/bin/cashew md W320F2703\n" in text
    assert f"--key {keys['alice']}\n" in text and "3.000" in text and f"--key {keys['operator']}\n" in text
    assert "maker" not in text and "--url" not in text


def test_another_address_is_part_of_the_commands(tmp_path: Path) -> None:
    text = banner("http://127.0.0.1:9000", load_settings(demo=True, sync="off"), LISTED, ensure_keys(tmp_path))
    assert "md W320F2703 --url http://127.0.0.1:9000" in text and "SYNC IS OFF" in text


def test_venue_without_members_says_how_they_are_made() -> None:
    text = banner("http://127.0.0.1:9000", load_settings(data=Path("my venue")), LISTED, {})
    assert "keys create EXCHANGE --role operator --data 'my venue'" in text
    assert "new-account ACCOUNT --member MEMBER --key operator.key --url http://127.0.0.1:9000" in text
