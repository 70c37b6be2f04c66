"""The counter between the connections and the log: rows wait here for their turn, and what became of them goes out.

Floor 3, sans-I/O.  Owns what the edges know of the venue (names, orders, keys, who is logged on), all of it folded
from durable blocks, and the bounded inbox.

A turn is fair by member: the rows of a block are taken round-robin over the members that have rows waiting, one each,
beginning behind the member that began the turn before; of one member in the order in which they came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.schema import ACT_FIRST, MAX_BLOCK_ROWS, MAX_PAYLOAD_BYTES, EventKind
from gateway.accounts import Key, KeyRing
from gateway.codec import AnyEvent, BadRequest, Event, act_row, disconnect_row, read_event, read_events, tick_row
from gateway.connection import CLOSE_LOGON, CLOSE_RESTART, Connection, State, encode
from gateway.directory import Directory
from gateway.reports import Order, Reports, exec_to_json, is_plain, lone_messages
from gateway.requests import OrderAmend
from gateway.tickets import Act, Ticket, Waiting

__all__ = ["Act", "Desk", "Ticket", "Waiting"]

MAX_WAITING: Final = 65_536
MAX_IN_FLIGHT: Final = 4_096  # of one connection
OPERATOR: Final = ""  # the queue of acts and of what the venue itself asks

_LONE: Final = frozenset({int(EventKind.ORDER_ACCEPTED), int(EventKind.ORDER_CANCELED)})

Message = tuple[Connection, bytes]


class Desk:
    """The edges' side of one venue.

    `wake` is called when rows have come to an empty inbox.  `carry_out_alone` is asked before: an idle venue takes the
    row at once, says so, and the inbox never sees it.
    """

    def __init__(self, keys: KeyRing, *, sync: bool = True, wake: Callable[[], None] = lambda: None) -> None:
        self.keys = keys
        self.sync = sync
        self.wake = wake
        self.carry_out_alone: Callable[[bytes, Ticket], bool] = _decline
        self.directory = Directory()
        self.reports = Reports()
        self.connections: dict[Connection, None] = {}
        self.waiting = 0
        self.stopping = False
        self._listeners: dict[str, dict[Connection, None]] = {}
        self._queues: dict[str, deque[Waiting]] = {}
        self._unanswered: dict[Ticket, None] = {}
        self._next_session = 1

    # --- connections --------------------------------------------------------------------------------------------------

    def find_key(self, token: str) -> Key | None:
        """The good key of a token."""
        return self.keys.find(token)

    def trading_day(self) -> str:
        """The trading day as text, empty before the first."""
        day = str(self.directory.trading_day)
        return f"{day[:-4]}-{day[-4:-2]}-{day[-2:]}" if self.directory.trading_day else ""

    def enter(self, connection: Connection) -> int:
        """Take in a connection that has logged on; its client session, a number no other one has had today."""
        assert connection.key is not None, "who enters has logged on"
        self.connections[connection] = None
        for account in connection.key.accounts:
            self._listeners.setdefault(account, {})[connection] = None
        number = self._next_session
        self._next_session += 1
        return number

    def leave(self, connection: Connection) -> None:
        """Let a connection go; harmless to repeat."""
        if self.connections.pop(connection, connection) is connection or connection.key is None:
            return
        for account in connection.key.accounts:
            listeners = self._listeners[account]
            listeners.pop(connection, None)
            if not listeners:
                del self._listeners[account]
        if connection.cancel_on_disconnect:
            number = self.directory.account_numbers.get(next(iter(connection.key.accounts), ""), 0)
            row = disconnect_row(number, connection.client_session)
            self._enqueue(connection.key.member, (row, b"", None))

    def close_all(self, code: int = CLOSE_RESTART, text: str = "the exchange stops") -> None:
        """Close every connection; what they had asked is carried out and answered before."""
        for connection in list(self.connections):
            connection.close(code, text)
            connection.wake()

    def refresh_keys(self) -> None:
        """Read a changed key file; connections whose key is no longer good are closed."""
        if self.keys.refresh():
            for connection in list(self.connections):
                if connection.key is not None and not self.keys.holds(connection.key):
                    connection.close(CLOSE_LOGON, "this key is no longer good")
                    connection.wake()

    # --- the inbox ----------------------------------------------------------------------------------------------------

    def submit(self, row: bytes, ticket: Ticket) -> None:
        """Let a row wait for its turn; BadRequest BUSY if too many do, or if the venue is stopping."""
        if self.waiting >= MAX_WAITING or self.stopping:
            text = "the exchange stops" if self.stopping else "too many requests wait"
            raise BadRequest("BUSY", text, ticket.request_id)
        connection = ticket.connection
        if connection.in_flight >= MAX_IN_FLIGHT:
            text = f"{MAX_IN_FLIGHT} requests wait for an answer on this connection"
            raise BadRequest("BUSY", text, ticket.request_id)
        connection.in_flight += 1
        self._unanswered[ticket] = None
        if self.waiting or not self.carry_out_alone(row, ticket):
            self._enqueue(connection.member, (row, b"", ticket))

    def settle(self, ticket: Ticket) -> None:
        """Take note that all that a row caused is durable."""
        ticket.connection.in_flight -= 1
        del self._unanswered[ticket]

    def submit_act(self, act: Act) -> None:
        """Let an act wait for its turn; BadRequest if its payload is too long or the venue is stopping."""
        if len(act.payload) > MAX_PAYLOAD_BYTES // 16:
            raise BadRequest("BAD_VALUE", "the act's payload is too long")
        if self.waiting >= 2 * MAX_WAITING or self.stopping:
            raise BadRequest("BUSY", "the exchange is busy or stops")
        self._enqueue(OPERATOR, (act_row(act.kind, 0, principal=act.principal), act.payload, act))

    def submit_tick(self) -> None:
        """Let a clock tick wait for its turn."""
        if not self.stopping:
            self._enqueue(OPERATOR, (tick_row(), b"", None))

    def _enqueue(self, member: str, waiting: Waiting) -> None:
        queue = self._queues.get(member)
        if queue is None:
            queue = self._queues[member] = deque()
        queue.append(waiting)
        self.waiting += 1
        if self.waiting == 1:
            self.wake()

    def take_turn(self, most: int = MAX_BLOCK_ROWS) -> list[Waiting]:
        """The commands whose turn it is, at most `most`, in fair order."""
        if self.waiting == 1:
            self.waiting = 0
            return [self._queues.popitem()[1].popleft()]
        taken = list(islice(self._round_robin(), most))
        self.waiting -= len(taken)
        return taken

    def _round_robin(self) -> Iterator[Waiting]:
        """Rows in fair order; a member's place goes behind the others' with each row it has taken."""
        queues = self._queues
        while queues:
            member = next(iter(queues))
            queue = queues.pop(member)
            if len(queue) > 1:
                queues[member] = queue
            yield queue.popleft()

    # --- what is durable ----------------------------------------------------------------------------------------------

    def on_block(
        self,
        commands: npt.NDArray[np.void],
        payload: bytes,
        events: npt.NDArray[np.void],
        tickets: Sequence[Ticket | Act | None] = (),
    ) -> None:
        """Take the next durable block: fold it, answer who waits for it, and report to the accounts it touches.

        Without tickets (a replayed or a restated block) it is folded only.
        """
        self.tell(self.fold(commands, payload, events, tickets))

    def fold(
        self,
        commands: npt.NDArray[np.void],
        payload: bytes,
        events: npt.NDArray[np.void],
        tickets: Sequence[Ticket | Act | None] = (),
    ) -> list[Message]:
        """The first half of `on_block`: what there is to tell when the block is durable, if it is not yet.

        Nobody may be served in between, and what comes is that the block is told or that the venue stops.
        """
        directory, reports = self.directory, self.reports
        if len(tickets) == 1 == len(events) and type(tickets[0]) is Ticket:
            event = read_event(events)
            if event.kind in _LONE and type(event) is Event and is_plain(event):
                directory.seq = event.seq
                return self._fold_lone(event, tickets[0])
        parsed = read_events(events)
        directory.learn_acts(commands, payload, parsed)
        if not tickets:
            orders = commands[commands["kind"] < ACT_FIRST]
            self._next_session = max(self._next_session, int(orders["client_session"].max(initial=0)) + 1)
            for event in parsed:
                reports.learn(event, commands)
            return []
        first = directory.seq - len(tickets) + 1
        messages: list[Message] = []
        for event in parsed:
            own, other = reports.learn(event, commands)
            ticket = tickets[event.seq - first]
            if ticket is not None and (answer := ticket.take(event, self)) is not None:
                assert ticket.connection is not None, "only a connection's ticket is answered"
                messages.append((ticket.connection, encode(answer)))
            if own is not None:
                self._report(event, own, messages)
                if other is not None:
                    self._report(event, other, messages)
        return messages

    def tell(self, messages: Sequence[Message]) -> None:
        """The second half: hand the messages of a durable block over."""
        if len(messages) == 1:
            connection, message = messages[0]
            connection.put_encoded(message)
            connection.wake()
            return
        touched: dict[Connection, None] = {}
        for connection, message in messages:
            connection.put_encoded(message)
            touched[connection] = None
        for connection in touched:
            connection.wake()

    def _fold_lone(self, event: Event, ticket: Ticket) -> list[Message]:
        """The same for the block that an idle venue mostly has, one order that rests or is canceled."""
        connection = ticket.connection
        self.settle(ticket)
        answer, report = lone_messages(event, ticket.request_id, self.directory)
        messages = [(connection, answer)]
        for listener in self._listeners.get(self.directory.account_names[event.account], ()):
            messages.append((listener, report))
        self.reports.learn(event)
        return messages

    def _report(self, event: AnyEvent, order: Order, messages: list[Message]) -> None:
        listeners = self._listeners.get(self.directory.account_names[order.account])
        if listeners:
            report = encode(exec_to_json(event, order, self.directory))
            for connection in listeners:
                messages.append((connection, report))

    def instrument_of(self, account: int, request: OrderAmend) -> int:
        """The instrument of the order that an amend means, be it durable or still on its way; 0 if there is none.

        BadRequest BUSY in the one case that cannot be told: the same new client id is on its way for two instruments.
        """
        found = self.reports.instrument(account, request.p)
        name = request.p.cl_ord_id
        if found or not isinstance(name, str) or not self._unanswered:
            return found
        meant = {one.instrument for one in self._unanswered if one.client_id == name and one.account == account}
        if len(meant) > 1 and (isinstance(request.p.price, str) or isinstance(request.p.stop_price, str)):
            raise BadRequest("BUSY", "it is not known yet which order bears this cl_ord_id", request.id)
        return next(iter(meant), 0)

    def count_active(self) -> int:
        """How many connections are logged on."""
        return sum(connection.state is State.ACTIVE for connection in self.connections)


def _decline(_row: bytes, _ticket: Ticket) -> bool:
    return False
