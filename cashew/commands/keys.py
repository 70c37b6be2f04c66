"""`cashew keys`: make, list and disable the keys of a venue, on the machine that holds its data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cashew.commands.common import DEFAULT_DATA, CommandFailed, DataOption, JsonOption, put, put_table

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make, list and disable keys. Works on the venue's data folder; a running exchange notices by itself.",
)


@app.command(epilog="Example: cashew keys create M1 --account A1 --data venue --out alice.key")
def create(
    member: Annotated[str, typer.Argument(help="The member whom the key belongs to.", metavar="MEMBER")],
    out: Annotated[Path | None, typer.Option("--out", help="Where to write it (MEMBER.key).", metavar="FILE")] = None,
    role: Annotated[str, typer.Option("--role", help="trader, operator or auditor.", metavar="ROLE")] = "trader",
    accounts: Annotated[
        list[str] | None, typer.Option("--account", help="An account it may trade for; repeat it for several.")
    ] = None,
    data: DataOption = DEFAULT_DATA,
    json_lines: JsonOption = False,
) -> None:
    """Make a key and write its file.

    Only you can read the file. The secret in it is kept nowhere else.
    """
    from gateway.accounts import KeyFileError, create_key, disable_key, write_key_file

    path = out or Path(f"{member}.key")
    if path.exists():
        raise CommandFailed(f"{path} exists already; name another file with --out")
    try:
        key, token = create_key(data, member, role, accounts or ())
    except (KeyFileError, OSError) as error:
        raise CommandFailed(str(error)) from None
    try:
        write_key_file(path, key, token)
    except OSError as error:
        disable_key(data, key.number)
        raise CommandFailed(f"cannot write {path}: {error.strerror}") from None
    record = {"ev": "key.created", "number": key.number, "member": member, "role": role, "accounts": key.accounts}
    put({**record, "file": str(path)}, f"key {key.number} of {member} ({role}) is in {path}", json_lines)


@app.command("list")
def list_(data: DataOption = DEFAULT_DATA, json_lines: JsonOption = False) -> None:
    """List the keys; no secrets are shown."""
    from gateway.accounts import KeyFileError, list_keys

    try:
        keys = list_keys(data)
    except KeyFileError as error:
        raise CommandFailed(str(error)) from None
    rows = [(key.number, key.member, key.role, key.accounts, "disabled" if key.disabled else "good") for key in keys]
    if json_lines:
        for number, member, role, accounts, state in rows:
            record = {"number": number, "member": member, "role": role, "accounts": accounts, "state": state}
            put({"ev": "key", **record}, "", True)
    else:
        columns = ("key", "member", "role", "accounts", "state")
        put_table(columns, [(*row[:3], ", ".join(row[3]), row[4]) for row in rows])


@app.command()
def disable(
    number: Annotated[int, typer.Argument(help="The key's number, as in the list.", metavar="KEY")],
    data: DataOption = DEFAULT_DATA,
    json_lines: JsonOption = False,
) -> None:
    """Disable a key for good."""
    from gateway.accounts import KeyFileError, disable_key

    try:
        key = disable_key(data, number)
    except KeyFileError as error:
        raise CommandFailed(str(error)) from None
    put({"ev": "key.disabled", "number": key.number, "member": key.member}, f"key {number} is disabled", json_lines)
