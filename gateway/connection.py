"""One order-entry connection without its socket: frames in; rows for the next block, and frames for the client, out.

Floor 3, sans-I/O.  The shell hands in what it reads (`receive`, `receive_binary`, `logon_timed_out`) and takes what
is to be sent from `outbox`; the desk hands in answers and private events (`put`).  States:

    hello --valid logon--> active --close--> closed
    hello --anything else, or no frame in time--> closed (4001)

Nothing that a client sends raises: what is no good ends as a coded error to this client alone.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from gateway.accounts import Key
from gateway.codec import BadRequest, decode, to_row
from gateway.reports import order_to_json
from gateway.requests import (
    Logon,
    MassStatus,
    OrderAmend,
    OrderCancel,
    OrderMassCancel,
    OrderPlace,
    OrderStatus,
    Ping,
    Request,
)
from gateway.tickets import Ticket

if TYPE_CHECKING:
    from gateway.desk import Desk

__all__ = ["CLOSE_LOGON", "CLOSE_RESTART", "CLOSE_SLOW", "Connection", "State", "encode"]

CLOSE_LOGON: Final = 4001
CLOSE_SLOW: Final = 4008
CLOSE_RESTART: Final = 1012
MAX_FRAME_OUT: Final = 1 << 20
HEARTBEAT_MS: Final = 20_000

encode: Final = msgspec.json.Encoder().encode


class State(IntEnum):
    """Where a connection is in its life."""

    HELLO = 1
    ACTIVE = 2
    CLOSED = 3


_ACTIVE: Final = State.ACTIVE
_CLOSED: Final = State.CLOSED
_NEXT: Final = {State.HELLO: {State.ACTIVE, State.CLOSED}, State.ACTIVE: {State.CLOSED}, State.CLOSED: set[State]()}


class Connection:
    """The dialogue with one client.  `outbox` holds encoded messages; `close_code` says when and how it has to end."""

    __slots__ = (
        "_accounts", "_batch", "_only_account", "cancel_on_disconnect", "client_session", "close_code", "close_text",
        "desk", "in_flight", "key", "member", "outbox", "state", "wake",
    )  # fmt: skip

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.state = State.HELLO
        self.key: Key | None = None
        self.client_session = 0
        self.cancel_on_disconnect = False
        self.in_flight = 0
        self.outbox: list[bytes] = []
        self.close_code = 0
        self.close_text = ""
        self.wake: Any = _nothing  # called by the desk after a block has put something into the outbox
        self.member = ""
        self._accounts: frozenset[str] = frozenset()
        self._only_account = ""
        self._batch = False

    def receive(self, text: str) -> None:
        """Take one text frame."""
        state = self.state
        if state is _CLOSED:
            return
        try:
            request = decode(text)
            if state is _ACTIVE:
                _HANDLERS[type(request)](self, request)
            else:
                self._log_on(request)
        except BadRequest as bad:
            self._refuse(bad)

    def receive_binary(self) -> None:
        """Take note of a binary frame, which says nothing here."""
        if self.state is not State.CLOSED:
            self._refuse(BadRequest("BINARY_FRAME", "requests are text frames"))

    def logon_timed_out(self) -> None:
        """Close a connection that has not logged on in time."""
        if self.state is State.HELLO:
            self._refuse(BadRequest("NOT_LOGGED_ON", "no logon in time"))

    def close(self, code: int, text: str = "") -> None:
        """End the dialogue with a close code; what is in the outbox still goes out, but for a slow reader's."""
        if self.state is not State.CLOSED:
            self._enter(State.CLOSED)
            self.close_code, self.close_text = code, text
            if code == CLOSE_SLOW:
                self.outbox.clear()

    def lost(self) -> None:
        """Take note that the client is gone, however that came; its orders go if it had asked for that."""
        if self.state is not State.CLOSED:
            self._enter(State.CLOSED)
        self.desk.leave(self)

    def put(self, message: dict[str, Any]) -> None:
        """Queue one message for the client."""
        if self.state is not _CLOSED:
            self.outbox.append(encode(message))

    def put_encoded(self, message: bytes) -> None:
        """The same of a message that is JSON already."""
        if self.state is not _CLOSED:
            self.outbox.append(message)

    def take_frames(self) -> list[bytes]:
        """What the outbox holds, as frames: one for all if the client wants batches, else one for each."""
        out, self.outbox = self.outbox, []
        if not self._batch:
            return out
        if len(out) < 100:
            return [b"[%b]" % b",".join(out)]
        frames: list[bytes] = []
        part: list[bytes] = []
        size = 0
        for message in out:
            if size + len(message) > MAX_FRAME_OUT and part:
                frames.append(b"[%b]" % b",".join(part))
                part, size = [], 0
            part.append(message)
            size += len(message) + 1
        frames.append(b"[%b]" % b",".join(part))
        return frames

    def _enter(self, state: State) -> None:
        assert state in _NEXT[self.state], "a connection only goes forward"
        self.state = state

    def _refuse(self, bad: BadRequest) -> None:
        self.put({"ev": "error", "id": bad.id, "ok": False, "code": bad.code, "text": bad.text, "fate": "not_done"})
        if self.state is State.HELLO:
            self.close(CLOSE_LOGON, "no valid logon")

    def _log_on(self, request: Request) -> None:
        if not isinstance(request, Logon):
            raise BadRequest("NOT_LOGGED_ON", "the first frame is a logon", request.id)
        key = self.desk.find_key(request.p.token)
        if key is None:
            raise BadRequest("NOT_LOGGED_ON", "this token opens nothing", request.id)
        self.key = key
        self.member = key.member
        self._accounts = frozenset(key.accounts)
        self._only_account = key.accounts[0] if len(key.accounts) == 1 else ""
        self._batch = request.p.batch is True
        self.cancel_on_disconnect = request.p.cancel_on_disconnect is True
        self._enter(State.ACTIVE)
        self.client_session = self.desk.enter(self)
        self.put(
            {
                "ev": "logon",
                "id": request.id,
                "ok": True,
                "member": key.member,
                "role": key.role,
                "accounts": key.accounts,
                "trading_day": self.desk.trading_day(),
                "client_session": self.client_session,
                "seq": self.desk.directory.seq,
                "heartbeat_ms": HEARTBEAT_MS,
                "sync": self.desk.sync,
            }
        )

    def _pong(self, request: Ping) -> None:
        self.put({"ev": "pong", "id": request.id, "ok": True})

    def _log_on_again(self, request: Logon) -> None:
        raise BadRequest("NOT_PERMITTED", "this connection is logged on already", request.id)

    def _account(self, request: Any) -> int:
        """The number of the account that a request is for: one of the key's, or the core will refuse it."""
        name = request.account
        if name is UNSET:
            name = self._only_account
            if not name:
                key = self.key
                assert key is not None, "an active connection has a key"
                if key.role != "trader":
                    raise BadRequest("NOT_PERMITTED", f"the key of an {key.role} has no orders", request.id)
                raise BadRequest("MISSING_FIELD", "this key has several accounts; name one", request.id)
        elif name not in self._accounts:
            if not self._accounts:
                raise BadRequest("NOT_PERMITTED", "this key has no orders", request.id)
            raise BadRequest("UNKNOWN_ACCOUNT", "this key has no such account", request.id)
        return self.desk.directory.account_numbers.get(name, 0)

    def _place(self, request: OrderPlace) -> None:
        desk = self.desk
        account = self._account(request)
        directory = desk.directory
        row = to_row(request, directory, account, client_session=self.client_session)
        instrument = directory.numbers.get(request.p.symbol, 0)
        desk.submit(row, Ticket(self, request.id, False, account, request.p.cl_ord_id, instrument))

    def _amend(self, request: OrderAmend) -> None:
        desk = self.desk
        account = self._account(request)
        instrument = desk.instrument_of(account, request)
        row = to_row(request, desk.directory, account, client_session=self.client_session, instrument=instrument)
        new = request.p.new_cl_ord_id if isinstance(request.p.new_cl_ord_id, str) else ""
        desk.submit(row, Ticket(self, request.id, False, account, new, instrument))

    def _cancel(self, request: OrderCancel | OrderMassCancel) -> None:
        desk = self.desk
        account = self._account(request)
        row = to_row(request, desk.directory, account, client_session=self.client_session)
        desk.submit(row, Ticket(self, request.id, type(request) is OrderMassCancel, account, "", 0))

    def _read(self, request: OrderStatus | MassStatus) -> None:
        """Answer from what is durable."""
        desk = self.desk
        account = self._account(request)
        if isinstance(request, MassStatus):
            orders = [order_to_json(order, desk.directory) for order in desk.reports.live(account)]
            self.put(
                {"id": request.id, "ok": True, "ev": "order.mass_status", "seq": desk.directory.seq, "orders": orders}
            )
            return
        if (request.p.cl_ord_id is UNSET) == (request.p.order_id is UNSET):
            code = "MISSING_FIELD" if request.p.cl_ord_id is UNSET else "BAD_VALUE"
            raise BadRequest(code, "an order is named by cl_ord_id or by order_id, one of them", request.id)
        order = desk.reports.find(account, request.p)
        if order is None:
            self.put(
                {
                    "id": request.id,
                    "ok": False,
                    "ev": "order.rejected",
                    "code": "UNKNOWN_ORDER",
                    "rule": "R7",
                    "text": "the account has no such order on this trading day",
                    "fate": "not_done",
                }
            )
            return
        state = order_to_json(order, desk.directory)
        self.put({"id": request.id, "ok": True, "ev": "order.status", "seq": desk.directory.seq, **state})


def _nothing() -> None:
    pass


_HANDLERS: Final[dict[type, Callable[[Connection, Any], None]]] = {
    OrderPlace: Connection._place,
    OrderAmend: Connection._amend,
    OrderCancel: Connection._cancel,
    OrderMassCancel: Connection._cancel,
    OrderStatus: Connection._read,
    MassStatus: Connection._read,
    Ping: Connection._pong,
    Logon: Connection._log_on_again,
}
