"""What several test modules of the library share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cashew.fake_exchange import FakeExchange


class Background:
    """A stand-in exchange in a thread of its own, for commands that run their own event loop."""

    def __init__(self) -> None:
        self.exchange = FakeExchange()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.call(self.exchange.start())

    @property
    def url(self) -> str:
        return self.exchange.url

    def call(self, work: Any) -> Any:
        """Run a coroutine in the exchange's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def close(self) -> None:
        self.call(self.exchange.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def background() -> Iterator[Background]:
    running = Background()
    yield running
    running.close()


@pytest.fixture
def alice(tmp_path: Path) -> str:
    """The path of a good trader's key."""
    return write_key(tmp_path / "alice.key", "alice-secret")


def write_key(path: Path, token: str) -> str:
    path.write_text(f'{{"token": "{token}"}}')
    path.chmod(0o600)
    return str(path)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's own settings have no say in a test."""
    for name in ("CASHEW_URL", "CASHEW_KEY", "CASHEW_DATA", "CASHEW_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
