"""`cashew serve`: run the exchange."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from cashew.commands.common import USAGE, CommandFailed

__all__ = ["serve"]


def serve(
    demo: Annotated[bool, typer.Option("--demo", help="With demo members, bots and a compressed trading day.")] = False,
    data: Annotated[Path | None, typer.Option("--data", help="Folder of log and keys (venue).", metavar="DIR")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port of order entry and pages (8410).")] = None,
    md_port: Annotated[int | None, typer.Option("--md-port", help="Port of market data (the next one).")] = None,
    sync: Annotated[
        str | None, typer.Option("--sync", help="on; off acknowledges before the disk, for benches.", metavar="on|off")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings in TOML.", metavar="FILE")] = None,
) -> None:
    """Run the exchange until Ctrl-C.

    Settings come from --config, then CASHEW_* of the environment, then the options. Exits with 3 if the log is damaged.
    """
    from gateway.settings import BadSettings, load_settings

    try:
        settings = load_settings(config, demo=demo or None, data=data, host=host, port=port, md_port=md_port, sync=sync)
    except BadSettings as error:
        raise CommandFailed(str(error), USAGE) from None
    from gateway.venue import serve as run

    raise typer.Exit(run(settings, command=own_name()))


def own_name() -> str:
    """How the person who started us would start another command: `cashew`, or its path if that is not found by name."""
    started = sys.argv[0]
    if os.path.basename(started) != "cashew":
        return "cashew"
    found = shutil.which("cashew")
    same = found is not None and os.path.exists(started) and os.path.samefile(found, started)
    return "cashew" if same else os.path.relpath(started)
