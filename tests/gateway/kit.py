"""A venue's edges without sockets, disk or compiled core: a desk over the readable matcher, and connections to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from engine.reference import Reference
from engine.schema import COMMAND, CommandKind
from gateway.accounts import Key, KeyRing, create_key
from gateway.codec import act_payload
from gateway.connection import Connection
from gateway.desk import Desk
from gateway.tickets import Act

SYMBOL, OTHER = "W320F2703", "W240F2703"
START_NS = 1_795_399_200_000_000_000
TERMS = {
    "ccy": "USD", "unit": "lb", "contract_size": 3500, "tick": "0.005", "min_price": "1.000", "max_price": "9.000",
    "max_order_qty": 500,
}  # fmt: skip
ACCOUNTS = ({"A1": "M1"}, {"A2": "M2"}, {"A3": "M1"})


class Floor:
    """A desk whose blocks are carried out by the reference; `turn` is one pass of the venue's loop."""

    def __init__(self, data: Path, *, phase: str = "continuous") -> None:
        self.data = data
        self.tokens: dict[str, str] = {}
        self.keys: dict[str, Key] = {}
        for name, role, accounts in (
            ("M1", "trader", ("A1", "A3")), ("M2", "trader", ("A2",)), ("OPS", "operator", ()), ("AUD", "auditor", ()),
        ):  # fmt: skip
            self.keys[name], self.tokens[name] = create_key(data, name, role, accounts)
        self.woken = 0
        self.desk = Desk(KeyRing(data), wake=self._note)
        self.matcher = Reference()
        self.seq = 0
        self.blocks: list[tuple[Any, bytes, Any]] = []
        for symbol in (SYMBOL, OTHER):
            self.act(CommandKind.INSTRUMENT_DEFINE, {"symbol": symbol, **TERMS})
        for pair in ACCOUNTS:
            for account, member in pair.items():
                self.act(CommandKind.ACCOUNT_DEFINE, {"account": account, "member": member, "owner": account})
        if phase != "closed":
            self.act(CommandKind.PHASE_SET, {"symbol": "ALL", "phase": phase})

    def _note(self) -> None:
        self.woken += 1

    def act(self, kind: CommandKind, terms: dict[str, Any]) -> list[dict[str, Any]]:
        """Carry out an act; its events."""
        out: list[dict[str, Any]] = []
        self.desk.submit_act(Act(kind, act_payload(terms), 1, out.extend))
        self.turn()
        return out

    def take(self, most: int = 4_096) -> tuple[Any, bytes, Any, list[Any]]:
        """Carry out the next block without telling anybody: its rows, payload, events and tickets."""
        taken = self.desk.take_turn(most)
        commands = np.frombuffer(bytearray(b"".join(row for row, _, _ in taken)), COMMAND)
        payload = bytearray()
        for place, (_, part, _) in enumerate(taken):
            if part:
                commands["target_lo"][place], commands["target_hi"][place] = len(payload), len(part)
                payload += part
        commands["seq"] = np.arange(self.seq + 1, self.seq + 1 + len(taken))
        commands["time"] = START_NS + self.seq * 1_000_000
        self.seq += len(taken)
        events = self.matcher.run_block(commands, bytes(payload))
        self.blocks.append((commands, bytes(payload), events))
        return commands, bytes(payload), events, [ticket for _, _, ticket in taken]

    def turn(self, most: int = 4_096) -> int:
        """Carry out the next block and tell; how many commands it had."""
        if not self.desk.waiting:
            return 0
        commands, payload, events, tickets = self.take(most)
        self.desk.on_block(commands, payload, events, tickets)
        return len(tickets)

    def connect(self, member: str, **p: Any) -> Connection:
        """A connection that is logged on."""
        connection = Connection(self.desk)
        connection.receive(json.dumps({"op": "logon", "id": 0, "p": {"token": self.tokens[member], **p}}))
        assert said(connection)[0]["ok"]
        return connection

    def ask(self, connection: Connection, op: str, request_id: int = 1, *, account: str | None = None, **p: Any) -> Any:
        """Send one request, have it carried out, and give all that is said to the client then."""
        frame = {"op": op, "id": request_id, "p": p}
        connection.receive(json.dumps(frame if account is None else {**frame, "account": account}))
        self.turn()
        return said(connection)


def said(connection: Connection) -> list[dict[str, Any]]:
    """All messages that wait for the client, in order, whatever frames they come in."""
    out: list[dict[str, Any]] = []
    for frame in connection.take_frames() if connection.outbox else []:
        content = json.loads(frame)
        out += content if isinstance(content, list) else [content]
    return out


def order(cl_ord_id: str, side: str = "buy", price: str = "3.005", qty: int = 10, **more: Any) -> dict[str, Any]:
    """The p of an order.place."""
    return {"symbol": SYMBOL, "side": side, "price": price, "order_qty": qty, "cl_ord_id": cl_ord_id, **more}
