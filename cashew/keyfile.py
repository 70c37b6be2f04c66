"""A trader's key on disk: a small JSON file that only its owner can read.

`{"token": "...", "member": "...", "role": "...", "accounts": [...]}`; only `token` is needed, the rest is for people.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path

from cashew.errors import NotDone

__all__ = ["read_token"]


def read_token(path: str | Path) -> str:
    """Read the secret of a key file. NotDone with a clear text if there is none, or if others can read it too."""
    path = Path(path)
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotDone("NO_KEY", f"there is no key file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise NotDone(
            "NO_KEY", f"the key file {path} cannot be read: {getattr(error, 'strerror', None) or 'not text'}"
        ) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise NotDone("KEY_NOT_PRIVATE", f"others can read the key file {path}; make it yours alone: chmod 600 {path}")
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    token = content.get("token") if isinstance(content, dict) else None
    if not isinstance(token, str) or not token:
        raise NotDone("NO_KEY", f"{path} is not a key file: it holds no token")
    return token
