"""The demonstration: members with their keys, and a compressed trading day that never stays closed.

Floor 3.  Pure but for the key files it writes.  Nobody here is invented beyond a name on an account.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path
from typing import Final

from engine.schema import SYMBOL_ALL, Phase
from gateway.accounts import create_key, list_keys, write_key_file

__all__ = ["ACCOUNTS", "KEYS_FOLDER", "DemoCalendar", "ensure_keys"]

KEYS_FOLDER: Final = "keys.d"
CLOSED_SECONDS: Final = 10.0
PRE_OPEN_SECONDS: Final = 12.0
NO_CANCEL_SECONDS: Final = 3.0
AUCTION_SECONDS: Final = 0.5

# What follows what in the demonstration's day, and after how many seconds.
STEPS: Final[dict[Phase, tuple[float, Phase]]] = {
    Phase.CLOSED: (CLOSED_SECONDS, Phase.PRE_OPEN),
    Phase.PRE_OPEN: (PRE_OPEN_SECONDS, Phase.NO_CANCEL),
    Phase.NO_CANCEL: (NO_CANCEL_SECONDS, Phase.OPENING_AUCTION),
    Phase.OPENING_AUCTION: (AUCTION_SECONDS, Phase.CONTINUOUS),
}

# Who trades in the demonstration: key file, member and account.
TRADERS: Final = (
    ("alice", "M-ALICE", "ALICE"),
    ("bob", "M-BOB", "BOB"),
    ("maker-1", "M-MAKER1", "MAKER1"),
    ("maker-2", "M-MAKER2", "MAKER2"),
    ("taker-1", "M-TAKER1", "TAKER1"),
    ("taker-2", "M-TAKER2", "TAKER2"),
)
OPERATOR: Final = ("operator", "EXCHANGE")
CCY: Final = "VND"  # in which the demonstration's accounts settle
ACCOUNTS: Final = tuple(
    {"account": account, "member": member, "owner": account, "ccy": CCY} for _, member, account in TRADERS
)


def ensure_keys(data: Path) -> dict[str, Path]:
    """Make the demonstration's keys unless they are there; name: file of each, people's first."""
    folder = data / KEYS_FOLDER
    good = {(key.member, key.role) for key in list_keys(data) if not key.disabled}
    wanted = [(name, member, "trader", (account,)) for name, member, account in TRADERS]
    files = {}
    for name, member, role, accounts in [*wanted, (*OPERATOR, "operator", ())]:
        path = files[name] = folder / f"{name}.key"
        if (member, role) not in good or not path.exists():
            write_key_file(path, *create_key(data, member, role, accounts))
    return files


class DemoCalendar:
    """What phase is due when: closed for ten seconds at most, then a call of 15 s, its auction, then continuous.

    In the last three seconds of the call nothing can be canceled.  Every other phase is an operator's word and stays.
    """

    def __init__(self) -> None:
        self._since: dict[str, tuple[Phase, float]] = {}

    def due(self, now: float, phases: Mapping[str, Phase], held: Set[str] = frozenset()) -> list[tuple[str, Phase]]:
        """(symbol or ALL, new phase) of the acts due at `now` (seconds of any clock that runs forward).

        `held` are left as they are: somebody else ends their phase.
        """
        steps: list[tuple[str, Phase]] = []
        for symbol, phase in phases.items():
            known = self._since.get(symbol)
            if known is None or known[0] is not phase:
                # What is closed at the start of the venue has waited long enough.
                start = now - CLOSED_SECONDS if known is None and phase is Phase.CLOSED else now
                known = self._since[symbol] = (phase, start)
            if phase not in STEPS or symbol in held:
                continue
            seconds, following = STEPS[phase]
            if now - known[1] >= seconds:
                steps.append((symbol, following))
                self._since[symbol] = (phase, now)  # asked for; ask again only if it does not come
        if len(steps) == len(phases) > 1 and len({phase for _, phase in steps}) == 1:
            return [(SYMBOL_ALL, steps[0][1])]
        return steps
