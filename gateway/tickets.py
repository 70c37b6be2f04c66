"""Who waits for what a command causes: a client for its answer, an operator for an act's events.

Floor 3.  A ticket goes with its row into the block and comes back with the block's durable events.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.schema import LAST, CommandKind
from gateway.events import AnyEvent, event_to_json
from gateway.reports import answer_to_json

if TYPE_CHECKING:
    from gateway.connection import Connection
    from gateway.desk import Desk

__all__ = ["Act", "Ticket", "Waiting"]


class Ticket:
    """Who waits for the answer to one row; and the client id that the row would give an order, if it does."""

    __slots__ = ("account", "at_last", "client_id", "connection", "instrument", "request_id")

    def __init__(
        self, connection: Connection, request_id: int, at_last: bool, account: int, client_id: str, instrument: int
    ) -> None:
        self.connection = connection
        self.request_id = request_id
        self.at_last = at_last
        self.account = account
        self.client_id = client_id
        self.instrument = instrument

    def take(self, event: AnyEvent, desk: Desk) -> dict[str, Any] | None:
        """Take one event of the row's command; the answer, if that is the one."""
        if event.flags & LAST:
            desk.settle(self)
        if event.flags & LAST if self.at_last else event.i == 0:
            return answer_to_json(event, self.request_id, desk.directory)
        return None


class Act:
    """An operator's act, or one of the venue itself, on its way; `done` is called with all its events."""

    __slots__ = ("connection", "done", "events", "kind", "payload", "principal")

    def __init__(
        self, kind: CommandKind, payload: bytes, principal: int, done: Callable[[list[dict[str, Any]]], None]
    ) -> None:
        self.kind = kind
        self.payload = payload
        self.principal = principal
        self.done = done
        self.events: list[dict[str, Any]] = []
        self.connection: Connection | None = None

    def take(self, event: AnyEvent, desk: Desk) -> None:
        """Take one event; the last one completes the act."""
        self.events.append(event_to_json(event, desk.directory))
        if event.flags & LAST:
            self.done(self.events)


Waiting = tuple[bytes, bytes, Ticket | Act | None]
"""One command on its way: its COMMAND row, not stamped yet, an act's payload, and who waits for it."""
