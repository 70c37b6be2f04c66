"""Who may do what: the key file of a venue, and the keys a client shows at logon.

Floor 3.  The file DIR/keys is readable by its owner only and holds no secret: of each token just its sha256.  A token
is 32 random bytes, so a plain digest is enough (there is nothing to guess), and checking one costs a look-up.
A secret is never logged: it leaves this module once, in the value of `create_key`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, get_args

import msgspec

from engine.schema import NAME_PATTERN

__all__ = [
    "Key", "KeyFileError", "KeyRing", "Role", "create_key", "disable_key", "list_keys", "write_key_file",
]  # fmt: skip

Role = Literal["trader", "operator", "auditor"]
ROLES: Final[tuple[str, ...]] = get_args(Role)
FILE_NAME: Final = "keys"
TOKEN_BYTES: Final = 32
MAX_ACCOUNTS: Final = 1_000
_NAME: Final = re.compile(NAME_PATTERN)


class KeyFileError(Exception):
    """The key file cannot be used, or the key cannot be made; the text says why and what to do."""


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key: its number (for good), whose it is, and what it may do."""

    number: int
    sha256: str
    member: str
    role: Role
    accounts: tuple[str, ...] = ()
    disabled: bool = False


_DECODER: Final = msgspec.json.Decoder(list[Key])


class KeyRing:
    """The keys of a venue as its process sees them; `refresh` notices when the file has changed."""

    def __init__(self, data: Path) -> None:
        self._path = data / FILE_NAME
        self._stamp: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}
        self.refresh()

    def refresh(self) -> bool:
        """Read the file again if it has changed since; whether it had.

        KeyFileError if it cannot be used (the keys read before then stay).
        """
        try:
            found = self._path.stat()
        except FileNotFoundError:
            changed = bool(self._keys)
            self._stamp, self._keys = None, {}
            return changed
        stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
        if stamp == self._stamp:
            return False
        keys = _read(self._path)
        self._keys = {key.sha256: key for key in keys if not key.disabled}
        self._stamp = stamp
        return True

    def find(self, token: str) -> Key | None:
        """The key of a token, or None if there is none or it is disabled."""
        return self._keys.get(digest_of(token))

    def holds(self, key: Key) -> bool:
        """Whether a key found before is still good."""
        return self._keys.get(key.sha256) == key


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def create_key(data: Path, member: str, role: str, accounts: Sequence[str] = ()) -> tuple[Key, str]:
    """Add a key to DIR/keys; return it and its token, which is kept nowhere else."""
    if role not in ROLES:
        raise KeyFileError(f"a role is one of {', '.join(ROLES)}, not {role!r}")
    if (role == "trader") != bool(accounts):
        raise KeyFileError("a trader's key names its accounts; other keys have none")
    if len(accounts) > MAX_ACCOUNTS or len(set(accounts)) != len(accounts):
        raise KeyFileError(f"a key names each of its accounts once, and at most {MAX_ACCOUNTS}")
    for name in (member, *accounts):
        if not _NAME.fullmatch(name):
            raise KeyFileError(f"{name!r} is no name: 1 to 32 of A-Z a-z 0-9 . _ : / -")
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with _changing(data) as keys:
        number = 1 + max((key.number for key in keys), default=0)
        key = Key(number, digest_of(token), member, role, tuple(accounts))  # type: ignore[arg-type]
        keys.append(key)
    return key, token


def list_keys(data: Path) -> list[Key]:
    """All keys of the file, disabled ones too, by number."""
    path = data / FILE_NAME
    return sorted(_read(path), key=lambda key: key.number) if path.exists() else []


def disable_key(data: Path, number: int) -> Key:
    """Disable a key for good; a running venue refuses its next logon and closes its connections."""
    with _changing(data) as keys:
        for place, key in enumerate(keys):
            if key.number == number:
                keys[place] = msgspec.structs.replace(key, disabled=True)
                return keys[place]
    raise KeyFileError(f"there is no key {number}")


def write_key_file(path: Path, key: Key, token: str) -> None:
    """Write the file that a client is given: the token, and for people whose it is; owner-only from its first byte."""
    content: dict[str, Any] = {
        "token": token, "member": key.member, "role": key.role, "accounts": list(key.accounts), "number": key.number,
    }  # fmt: skip
    _write(path, json.dumps(content, indent=1).encode() + b"\n")


def _read(path: Path) -> list[Key]:
    """Read the keys of a file, which must be the owner's alone."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read()
    except OSError as error:
        raise KeyFileError(f"the key file {path} cannot be read: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileError(f"others may use the key file {path}; make it yours alone: chmod 600 {path}")
    try:
        return _DECODER.decode(content)
    except msgspec.DecodeError as error:
        raise KeyFileError(f"{path} is no key file: {error}") from None


@contextmanager
def _changing(data: Path) -> Iterator[list[Key]]:
    """Hold the file's lock, give its keys, and write them back if nothing was raised."""
    data.mkdir(parents=True, exist_ok=True)
    lock = os.open(data / f"{FILE_NAME}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = list_keys(data)
        yield keys
        _write(data / FILE_NAME, msgspec.json.format(msgspec.json.encode(keys), indent=1) + b"\n")
    finally:
        os.close(lock)


def _write(path: Path, content: bytes) -> None:
    """Put a file in place whole, on disk, and owner-only from its first byte."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
