"""One order-entry connection without its socket: frames in; rows for the next block, and frames for the client, out.

Floor 3, sans-I/O.  The shell hands in what it reads (`receive`, `receive_binary`, `logon_timed_out`) and takes what
is to be sent from `outbox`; the desk hands in answers and private events (`put`).  States:

    hello --valid logon--> active --close--> closed
    hello --anything else, or no frame in time--> closed (4001)

Nothing that a client sends raises: what is no good ends as a coded error to this client alone.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from engine.schema import CommandKind
from gateway.accounts import Key
from gateway.codec import BadRequest, command_kind, decode, to_row
from gateway.reports import order_to_json
from gateway.requests import Logon, MassStatus, OrderAmend, OrderPlace, OrderStatus, Ping, Request

if TYPE_CHECKING:
    from gateway.desk import Desk

__all__ = ["CLOSE_LOGON", "CLOSE_RESTART", "CLOSE_SLOW", "Connection", "State"]

CLOSE_LOGON: Final = 4001
CLOSE_SLOW: Final = 4008
CLOSE_RESTART: Final = 1012
MAX_IN_FLIGHT: Final = 4_096
MAX_FRAME_OUT: Final = 1 << 20
HEARTBEAT_MS: Final = 20_000

_encode: Final = msgspec.json.Encoder().encode


class State(IntEnum):
    """Where a connection is in its life."""

    HELLO = 1
    ACTIVE = 2
    CLOSED = 3


_NEXT: Final = {State.HELLO: {State.ACTIVE, State.CLOSED}, State.ACTIVE: {State.CLOSED}, State.CLOSED: set[State]()}


class Connection:
    """The dialogue with one client.  `outbox` holds encoded messages; `close_code` says when and how it has to end."""

    __slots__ = (
        "_batch", "cancel_on_disconnect", "client_session", "close_code", "close_text", "desk", "in_flight", "key",
        "outbox", "state", "wake",
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
        self._batch = False

    def receive(self, text: str) -> None:
        """Take one text frame."""
        if self.state is State.CLOSED:
            return
        try:
            request = decode(text)
            if self.state is State.HELLO:
                self._log_on(request)
            else:
                self._carry_out(request)
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
        if self.state is not State.CLOSED:
            self.outbox.append(_encode(message))

    def take_frames(self) -> list[bytes]:
        """What the outbox holds, as frames: one for all if the client wants batches, else one for each."""
        out, self.outbox = self.outbox, []
        if not self._batch:
            return out
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

    def _carry_out(self, request: Request) -> None:
        if isinstance(request, Ping):
            self.put({"ev": "pong", "id": request.id, "ok": True})
            return
        if isinstance(request, Logon):
            raise BadRequest("NOT_PERMITTED", "this connection is logged on already", request.id)
        key = self.key
        assert key is not None, "an active connection has a key"
        if key.role != "trader":
            raise BadRequest("NOT_PERMITTED", f"an {key.role}'s key has no orders", request.id)
        if request.account is UNSET:
            if len(key.accounts) != 1:
                raise BadRequest("MISSING_FIELD", "this key has several accounts; name one", request.id)
            name = key.accounts[0]
        else:
            name = request.account
            if name not in key.accounts:
                raise BadRequest("UNKNOWN_ACCOUNT", "this key has no such account", request.id)
        account = self.desk.directory.account_numbers.get(name, 0)
        if isinstance(request, (OrderStatus, MassStatus)):
            self._read(request, account)
        else:
            self._submit(request, account)

    def _submit(self, request: Any, account: int) -> None:
        desk = self.desk
        if self.in_flight >= MAX_IN_FLIGHT:
            raise BadRequest("BUSY", f"{MAX_IN_FLIGHT} requests wait for an answer on this connection", request.id)
        instrument = 0
        named: tuple[int, str] | None = None
        if type(request) is OrderPlace:
            instrument = desk.directory.numbers.get(request.p.symbol, 0)
            named = (account, request.p.cl_ord_id)
        elif type(request) is OrderAmend:
            instrument = desk.instrument_of(account, request)
            if request.p.new_cl_ord_id is not UNSET:
                named = (account, request.p.new_cl_ord_id)
        row = to_row(request, desk.directory, account, client_session=self.client_session, instrument=instrument)
        desk.submit(self, row, request.id, command_kind(request) == CommandKind.ORDER_MASS_CANCEL, named, instrument)

    def _read(self, request: OrderStatus | MassStatus, account: int) -> None:
        """Answer from what is durable."""
        desk = self.desk
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
