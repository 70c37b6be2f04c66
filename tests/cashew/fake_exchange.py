"""A stand-in for the exchange that speaks gateway/PROTOCOL.md and marketdata/FEED.md and does what a test tells it.

It takes every order into a dictionary and matches nothing. `swallow` names ops that are carried out but not answered;
`drop` ops that are neither; both then cut the connection. `feed` sends market data messages to all readers.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

TOKENS = {
    "alice-secret": ("M1", "trader", ["A1"]),
    "both-secret": ("M1", "trader", ["A1", "A2"]),
    "operator-secret": ("", "operator", []),
}
INSTRUMENT = {
    "symbol": "W320F2703",
    "name": "WW320 kernels, March 2027",
    "ccy": "USD",
    "unit": "lb",
    "contract_size": 3500,
    "tick": "0.005",
    "min_price": "1.000",
    "max_price": "9.000",
    "max_order_qty": 500,
    "phase": "continuous",
}


def crc(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> int:
    """The checksum of a book, levels as (ticks, lots), best first."""
    return zlib.crc32("".join(f"{price}:{lots}|" for price, lots in bids[:10] + asks[:10]).encode())


class FakeExchange:
    def __init__(self) -> None:
        self.seq = 0
        self.orders: dict[str, dict[str, Any]] = {}
        self.swallow: set[str] = set()
        self.drop: set[str] = set()
        self.silent: set[str] = set()
        self.refuse: dict[str, dict[str, Any]] = {}
        self.received: list[dict[str, Any]] = []
        self.traders: list[ServerConnection] = []
        self.readers: list[ServerConnection] = []
        self.subscriptions: list[tuple[str, str]] = []
        self.snapshots: dict[tuple[str, str], dict[str, Any]] = {}
        self.subscribed = asyncio.Condition()
        self.trading_day = "2026-11-23"
        self.port = 0
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await serve(
            self._serve, "127.0.0.1", self.port, process_request=self._page, compression=None, ping_interval=None
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close(close_connections=True, code=1012)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Break all traders' connections as a network does, without a word."""
        for socket in self.traders:
            socket.transport.abort()
        self.traders.clear()

    def _page(self, socket: ServerConnection, request: Request) -> Response | None:
        if request.path == "/instruments":
            body = json.dumps([INSTRUMENT]).encode()
            headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body))})
            return Response(HTTPStatus.OK, "OK", headers, body)
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        if socket.request.path == "/ws/v1/md":
            await self._market(socket)
        else:
            await self._trade(socket)

    # --- order entry -------------------------------------------------------------------------------------------------

    async def _trade(self, socket: ServerConnection) -> None:
        logon = json.loads(await socket.recv())
        known = TOKENS.get(logon["p"]["token"])
        if logon["op"] != "logon" or known is None:
            refused = {"ev": "error", "id": logon["id"], "ok": False, "code": "NOT_LOGGED_ON", "text": "unknown token"}
            await socket.send(json.dumps(refused))
            await socket.close(4001)
            return
        member, role, accounts = known
        answer = {"ev": "logon", "id": 0, "ok": True, "member": member, "role": role, "accounts": accounts}
        await socket.send(json.dumps({**answer, "trading_day": self.trading_day, "client_session": 1, "seq": self.seq}))
        self.traders.append(socket)
        async for frame in socket:
            request = json.loads(frame)
            self.received.append(request)
            op = request["op"]
            if op in self.silent:
                continue
            answers = [] if op in self.drop else self._carry_out(request, accounts)
            if op in self.drop or op in self.swallow:
                self.drop.discard(op)
                self.swallow.discard(op)
                self.traders.remove(socket)
                socket.transport.abort()
                return
            await socket.send(json.dumps(answers))

    def _carry_out(self, request: dict[str, Any], accounts: list[str]) -> list[dict[str, Any]]:
        op, number, p = request["op"], request["id"], request["p"]
        good = {"id": number, "ok": True}
        if op in self.refuse:
            return [{"id": number, "ok": False, **self.refuse[op]}]
        if op == "ping":
            return [{"ev": "pong", "id": number}]
        if op == "order.mass_status":
            live = [order for order in self.orders.values() if order["leaves_qty"]]
            return [{**good, "ev": "order.mass_status", "orders": live}]
        if op == "order.status":
            found = self._find(p)
            if found is None:
                return [self._unknown(number)]
            return [{**good, "ev": "order.status", **found}]
        self.seq += 1
        if op == "order.place":
            if p["cl_ord_id"] in self.orders:
                return [{**good, "ev": "order.status", "dup": True, **self.orders[p["cl_ord_id"]]}]
            order = {**p, "order_id": self.seq, "account": accounts[0], "status": "new", "cum_qty": 0}
            order["leaves_qty"] = p["order_qty"]
            self.orders[p["cl_ord_id"]] = order
            return [{**good, "ev": "order.accepted", "seq": self.seq, "i": 0, **order}]
        if op == "order.mass_cancel":
            live = [order for order in self.orders.values() if order["leaves_qty"]]
            for order in live:
                order.update(status="canceled", leaves_qty=0)
            return [{**good, "ev": "order.mass_canceled", "seq": self.seq, "count": len(live)}]
        order_or_none = self._find(p)
        if order_or_none is None:
            return [self._unknown(number)]
        order = order_or_none
        if op == "order.cancel":
            order.update(status="canceled", leaves_qty=0)
            return [{**good, "ev": "order.canceled", "seq": self.seq, "reason": "requested", **order}]
        order.update({name: p[name] for name in ("price", "order_qty") if name in p})
        order["leaves_qty"] = order["order_qty"] - order["cum_qty"]
        if "new_cl_ord_id" in p:
            order["cl_ord_id"] = p["new_cl_ord_id"]
            self.orders[p["new_cl_ord_id"]] = order
        return [{**good, "ev": "order.amended", "seq": self.seq, **order}]

    def _find(self, p: dict[str, Any]) -> dict[str, Any] | None:
        if "cl_ord_id" in p:
            return self.orders.get(p["cl_ord_id"])
        return next((order for order in self.orders.values() if order["order_id"] == p["order_id"]), None)

    @staticmethod
    def _unknown(number: int) -> dict[str, Any]:
        text = "no such live order"
        return {
            "id": number, "ok": False, "ev": "order.rejected", "code": "UNKNOWN_ORDER", "rule": "R7", "text": text,
            "fate": "not_done",
        }  # fmt: skip

    async def tell(self, *events: dict[str, Any]) -> None:
        """Send private events to every trader, in one frame."""
        for socket in self.traders:
            await socket.send(json.dumps(events))

    # --- market data -------------------------------------------------------------------------------------------------

    async def _market(self, socket: ServerConnection) -> None:
        self.readers.append(socket)
        async for frame in socket:
            request = json.loads(frame)
            p = request["p"]
            await socket.send(json.dumps({"ev": "subscribed", "id": request["id"], "ok": True}))
            for channel in p["channels"]:
                for symbol in p["symbols"]:
                    if (channel, symbol) in self.snapshots:
                        await socket.send(json.dumps(self.snapshots[channel, symbol]))
                    async with self.subscribed:
                        self.subscriptions.append((channel, symbol))
                        self.subscribed.notify_all()
        self.readers.remove(socket)

    async def until_subscribed(self, count: int) -> None:
        """Wait until so many subscriptions have been made."""
        async with self.subscribed:
            await self.subscribed.wait_for(lambda: len(self.subscriptions) >= count)

    async def feed(self, *messages: dict[str, Any]) -> None:
        """Send market data to every reader."""
        for message in messages:
            for socket in self.readers:
                await socket.send(json.dumps(message))


@asynccontextmanager
async def fake_exchange() -> AsyncIterator[FakeExchange]:
    exchange = FakeExchange()
    await exchange.start()
    try:
        yield exchange
    finally:
        await exchange.stop()
