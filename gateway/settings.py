"""How a venue is run: where its data lies, where it listens, how much it holds.

Floor 3.  Read from, in rising strength: a TOML file, CASHEW_* of the environment, the command line.  What the market is
(instruments, ticks, bands, phases) is no setting: that is in the log, by acts.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.schema import Limits

__all__ = ["BadSettings", "Settings", "load_settings"]


class BadSettings(ValueError):
    """Settings that cannot be used; the text names each one and says why."""


class Settings(BaseSettings):
    """The settings of `cashew serve`."""

    model_config = SettingsConfigDict(env_prefix="CASHEW_", extra="forbid", frozen=True)

    data: Path = Path("venue")
    host: str = "127.0.0.1"
    port: int = Field(default=8410, ge=0, le=65_535)
    md_port: int | None = Field(default=None, ge=0, le=65_535)  # absent: the next one
    sync: Literal["on", "off"] = "on"
    follower: Literal["on", "off"] = "on"  # see engine/follower.py
    snapshot_every: int = Field(default=500_000, ge=0)  # commands between its snapshots; 0: none
    demo: bool = False
    call_seconds: int = Field(default=180, ge=1, le=3_600)  # of a volatility call
    call_draw_seconds: int = Field(default=15, ge=0, le=600)  # its random part
    most_connections: int = Field(default=1_024, ge=1, le=20_000)
    most_readers: int = Field(default=2_000, ge=1, le=20_000)
    instruments: int = Field(default=Limits().instruments, ge=1, le=4_096)
    accounts: int = Field(default=Limits().accounts, ge=1, le=1 << 20)
    orders: int = Field(default=Limits().orders, ge=1, le=1 << 24)
    levels: int = Field(default=Limits().levels, ge=64, le=1 << 25)
    day_ids: int = Field(default=Limits().day_ids, ge=1, le=1 << 26)

    @property
    def limits(self) -> Limits:
        """The sizes of the preallocated state of a day that is opened under these settings."""
        return Limits(self.instruments, self.accounts, self.orders, self.levels, self.day_ids)

    @property
    def market_data_port(self) -> int:
        """Where market data listens: as set, else the port after order entry's (any free one beside port 0)."""
        if self.md_port is not None:
            return self.md_port
        return self.port + 1 if self.port else 0


def load_settings(config: Path | None = None, **given: Any) -> Settings:
    """Put the settings together; what is given here and is not None is strongest. BadSettings says what is wrong."""
    stored: dict[str, Any] = {}
    if config is not None:
        try:
            stored = tomllib.loads(config.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise BadSettings(f"cannot read {config}: {getattr(error, 'strerror', None) or 'not text'}") from None
        except tomllib.TOMLDecodeError as error:
            raise BadSettings(f"{config} is not TOML: {error}") from None
    strong = {name: value for name, value in given.items() if value is not None}
    try:
        # The environment is read by name, so that it stands between the file and the command line.
        named = {name for name in Settings().model_fields_set if name not in strong}
        weak = {name: value for name, value in stored.items() if name not in named}
        return Settings(**{**weak, **strong})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
        raise BadSettings(wrong) from None
