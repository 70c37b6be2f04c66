"""The trader's client: orders, their executions, and the market, over connections that come back by themselves.

>>> import asyncio, cashew
>>> async def buy():
...     async with cashew.connect("http://127.0.0.1:8410", key="alice.key") as client:
...         order = await client.place("W320F2703", "buy", 10, price="3.005")
...         return order.status

Every request ends in a result or in one error whose `fate` says whether it was done (cashew/errors.py). If the
connection is lost before an answer has come, the client asks for the order by its cl_ord_id as soon as it is back.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection

from cashew.errors import CannotConnect, CashewError, LogonRefused, NotDone, Unknown, from_answer
from cashew.keyfile import read_token
from cashew.link import Link, encode, socket_url
from cashew.market import MarketData
from cashew.messages import Auction, Execution, Gap, MassCanceled, Order, PhaseChange, Session, Trade, record
from cashew.streams import Latest, Stream

__all__ = ["Client", "connect"]

READS = frozenset({"order.status", "order.mass_status", "ping"})
NO_SUCH_ORDER = frozenset({"UNKNOWN_ORDER"})
AMENDED = ("price", "order_qty", "stop_price", "expire_time")  # what an amend changes and a status shows


class Request(msgspec.Struct, eq=False):
    """A request that waits for its answer."""

    id: int
    op: str
    account: str | None
    p: dict[str, Any]
    resend: bool
    future: asyncio.Future[dict[str, Any]]
    day: str = ""  # the trading day on which it was sent first
    sent: bool = False
    settling: bool = False

    def frame(self) -> dict[str, Any]:
        frame: dict[str, Any] = {"op": self.op, "id": self.id, "p": self.p}
        return frame if self.account is None else {**frame, "account": self.account}


class Client:
    """One client of the exchange; made by `connect`.

    `timeout` seconds bound every request; `in_flight` bounds how many wait for an answer at one time, further ones wait
    their turn. All methods may be called from many tasks of one event loop.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | Path | None = None,
        token: str | None = None,
        md_url: str | None = None,
        cancel_on_disconnect: bool = False,
        reconnect: bool = True,
        timeout: float = 10.0,
        in_flight: int = 1000,
    ) -> None:
        self.session = Session()
        self.url = url
        self._token = token if token is not None or key is None else read_token(key)
        self._cancel_on_disconnect = cancel_on_disconnect
        self._timeout = timeout
        self._slots = asyncio.Semaphore(in_flight)
        self._ids = itertools.count(1)
        self._pending: dict[int, Request] = {}
        self._executions: list[Stream[Execution | Gap]] = []
        self._own_id = f"c{secrets.token_hex(5)}"
        self._own_count = itertools.count(1)
        self._last_seq = 0
        self._settler: asyncio.Task[None] | None = None
        self._link = Link(
            socket_url(url, "/ws/v1/trade"),
            on_open=self._logon,
            on_message=self._take,
            on_lost=self._lost,
            reconnect=reconnect,
            open_timeout=timeout,
        )
        self.market = MarketData(md_url or url, reconnect=reconnect, timeout=timeout)

    # --- life ---------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect and log on, if the client has a key; the market's own connection opens when it is first watched."""
        if self._token is not None:
            await self._link.open()

    async def close(self) -> None:
        """Close both connections. Requests still waiting end with an error of their fate."""
        if self._settler is not None:
            self._settler.cancel()
        await self._link.close()
        self._fail_all(CannotConnect("CLOSED", "this client has been closed"))
        for stream in list(self._executions):
            stream.close()
        await self.market.close()

    @property
    def connected(self) -> bool:
        """Whether orders can be sent at this moment."""
        return self._link.ready.is_set()

    # --- orders -------------------------------------------------------------------------------------------------------

    async def place(
        self,
        symbol: str,
        side: str,
        order_qty: int,
        *,
        price: str | None = None,
        ord_type: str | None = None,
        time_in_force: str | None = None,
        stop_price: str | None = None,
        display_qty: int | None = None,
        min_qty: int | None = None,
        expire_time: int | None = None,
        post_only: bool = False,
        smp: str | None = None,
        smp_id: int | None = None,
        cl_ord_id: str | None = None,
        account: str | None = None,
        resend: bool = False,
    ) -> Order:
        """Place a limit order, or one of another `ord_type` (those without a limit, such as market, have no price).

        `expire_time` is in microseconds UTC.
        Returns the order as accepted; trades follow as executions. `resend`: if the connection is lost and the
        exchange, asked afterwards, knows nothing of the order, send it again under the same cl_ord_id (which cannot
        double it) instead of raising.
        """
        p = {
            "symbol": symbol,
            "side": side,
            "order_qty": order_qty,
            "cl_ord_id": cl_ord_id or self.new_cl_ord_id(),
            "ord_type": ord_type,
            "price": price,
            "time_in_force": time_in_force,
            "stop_price": stop_price,
            "display_qty": display_qty,
            "min_qty": min_qty,
            "expire_time": expire_time,
            "post_only": post_only or None,
            "smp": smp,
            "smp_id": smp_id,
        }
        return order_of(await self._ask("order.place", p, account=account, resend=resend))

    async def cancel(
        self,
        cl_ord_id: str | None = None,
        *,
        order_id: int | None = None,
        account: str | None = None,
        resend: bool = True,
    ) -> Order:
        """Take an order off the book, named by either id. Sending it again is harmless, so it is by default."""
        p = {"cl_ord_id": cl_ord_id, "order_id": order_id}
        return order_of(await self._ask("order.cancel", p, account=account, resend=resend))

    async def amend(
        self,
        cl_ord_id: str | None = None,
        *,
        order_id: int | None = None,
        price: str | None = None,
        order_qty: int | None = None,
        stop_price: str | None = None,
        expire_time: int | None = None,
        new_cl_ord_id: str | None = None,
        account: str | None = None,
        resend: bool = False,
    ) -> Order:
        """Change prices, end, client id or total quantity (what is filled included).

        Lowering the quantity or changing the end alone keeps the place.
        """
        p = {
            "cl_ord_id": cl_ord_id,
            "order_id": order_id,
            "price": price,
            "order_qty": order_qty,
            "stop_price": stop_price,
            "expire_time": expire_time,
            "new_cl_ord_id": new_cl_ord_id,
        }
        return order_of(await self._ask("order.amend", p, account=account, resend=resend))

    async def mass_cancel(
        self,
        *,
        symbol: str | None = None,
        side: str | None = None,
        session: bool = False,
        account: str | None = None,
    ) -> MassCanceled:
        """Cancel all live orders of the account, or those of one symbol or side, or (session) of this connection."""
        p = {"symbol": symbol, "side": side, "session": session or None}
        return record(await self._ask("order.mass_cancel", p, account=account), MassCanceled)

    async def status(
        self, cl_ord_id: str | None = None, *, order_id: int | None = None, account: str | None = None
    ) -> Order:
        """Ask for the durable state of one order; Rejected with UNKNOWN_ORDER if there is none."""
        return order_of(
            await self._ask("order.status", {"cl_ord_id": cl_ord_id, "order_id": order_id}, account=account)
        )

    async def mass_status(self, *, account: str | None = None) -> list[Order]:
        """Ask for all live orders of the account."""
        answer = await self._ask("order.mass_status", {}, account=account)
        return [
            order_of({**order, "seq": order.get("seq", answer.get("seq", 0))}) for order in answer.get("orders", ())
        ]

    async def ping(self) -> None:
        """Go to the exchange and back."""
        await self._ask("ping", {})

    def new_cl_ord_id(self) -> str:
        """Make a client order id that no other client of the account will make."""
        return f"{self._own_id}-{next(self._own_count)}"

    def executions(self, limit: int = 10_000) -> Stream[Execution | Gap]:
        """Listen to the executions of this connection's accounts, from now on.

        An async iterator. A Gap stands where the connection was lost. A reader that lets `limit` events wait gets
        FellBehind.
        """
        stream: Stream[Execution | Gap] = Stream(limit)
        self._executions.append(stream)
        stream.on_close(self._executions.remove)
        return stream

    # --- the market ---------------------------------------------------------------------------------------------------

    async def watch_book(self, symbol: str) -> Latest[Any]:
        """Watch a book (see MarketData.watch_book)."""
        return await self.market.watch_book(symbol)

    async def watch_trades(self, symbol: str) -> Stream[Trade]:
        """Watch trades (see MarketData.watch_trades)."""
        return await self.market.watch_trades(symbol)

    async def watch_status(self, symbol: str) -> Stream[PhaseChange]:
        """Watch the trading phase (see MarketData.watch_status)."""
        return await self.market.watch_status(symbol)

    async def watch_auction(self, symbol: str) -> Stream[Auction]:
        """Watch calls and their uncrosses (see MarketData.watch_auction)."""
        return await self.market.watch_auction(symbol)

    # --- requests and answers -----------------------------------------------------------------------------------------

    async def _ask(
        self, op: str, p: dict[str, Any], *, account: str | None = None, resend: bool = False
    ) -> dict[str, Any]:
        if self._token is None:
            raise NotDone("NO_KEY", "this needs a key; connect with key=FILE")
        body = {name: value for name, value in p.items() if value is not None}
        request = Request(
            next(self._ids), op, account, body, resend or op in READS, asyncio.get_running_loop().create_future()
        )
        try:
            async with asyncio.timeout(self._timeout), self._slots:
                while not self._link.ready.is_set():
                    if self._link.failure is not None:
                        raise self._link.failure
                    await self._link.ready.wait()
                return await self._exchange(request)
        except TimeoutError:
            raise late(request, self._timeout) from None

    def _new_request(self, op: str, account: str | None, p: dict[str, Any], resend: bool) -> Request:
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        return Request(next(self._ids), op, account, p, resend or op in READS, future)

    async def _exchange(self, request: Request) -> dict[str, Any]:
        self._pending[request.id] = request
        request.day = request.day or self.session.trading_day
        try:
            await self._send(request)
            answer = await request.future
        finally:
            del self._pending[request.id]
        if not answer.get("ok", answer.get("ev") != "error"):
            raise from_answer(answer, cl_ord_id=request.p.get("cl_ord_id"))
        return answer

    async def _send(self, request: Request) -> None:
        request.sent = True
        if not await self._link.send(request.frame()) and self._link.failure is not None:
            raise orphaned(request, self._link.failure)

    def _take(self, message: dict[str, Any]) -> None:
        if "seq" in message:
            self._last_seq = max(self._last_seq, message["seq"])
        if message.get("ev") == "exec":
            execution = record(message, Execution)
            for stream in self._executions:
                stream.put(execution)
            return
        request = self._pending.get(message.get("id", -1))
        if request is not None and not request.future.done():
            request.future.set_result(message)

    # --- losing and finding the connection ----------------------------------------------------------------------------

    async def _logon(self, socket: ClientConnection) -> None:
        p = {"token": self._token, "batch": True, "cancel_on_disconnect": self._cancel_on_disconnect}
        await socket.send(encode({"op": "logon", "id": 0, "p": p}), text=True)
        try:
            async with asyncio.timeout(self._timeout):
                answer = msgspec.json.decode(await socket.recv())
        except TimeoutError:
            raise CannotConnect("NO_LOGON", f"{self.url} did not answer the logon in time") from None
        except msgspec.DecodeError:
            raise CannotConnect("NO_EXCHANGE", f"{self.url} answers, but not as an exchange") from None
        if isinstance(answer, list):
            answer = answer[0]
        if not answer.get("ok"):
            raise LogonRefused(
                str(answer.get("code", "NOT_LOGGED_ON")), str(answer.get("text", "the exchange refused the logon"))
            )
        self.session = record(answer, Session)
        if any(request.sent for request in self._pending.values()):
            self._settler = asyncio.create_task(self._settle_all(), name="settle")

    def _lost(self, error: CashewError, coming_back: bool) -> None:
        if coming_back:
            for stream in self._executions:
                stream.put(Gap(seq=self._last_seq, why=error.text))
        else:
            self._fail_all(error)
            for stream in self._executions:
                stream.fail(error)

    def _fail_all(self, error: CashewError) -> None:
        for request in self._pending.values():
            if not request.future.done():
                request.future.set_exception(orphaned(request, error))

    async def _settle_all(self) -> None:
        """Find out, after a reconnect, what became of every request that had no answer."""
        await self._link.ready.wait()
        waiting = [request for request in self._pending.values() if request.sent and not request.settling]
        await asyncio.gather(*(self._settle(request) for request in waiting))

    async def _settle(self, request: Request) -> None:
        request.settling = True
        try:
            state = None if request.op in READS else await self._state_after(request)
        except CashewError as error:
            if not request.future.done():
                request.future.set_exception(orphaned(request, error))
            return
        finally:
            request.settling = False
        if request.future.done():
            return
        same_day = request.day == self.session.trading_day
        if state is not None:
            request.future.set_result({**state, "ok": True, "recovered": True})
        elif request.op in READS or (request.resend and same_day):
            await self._link.send(request.frame())
        elif self._link.was_refused and same_day:
            # The process that had the request is gone, and its log, read by its successor, does not hold it.
            text = "the exchange restarted before it took the request, and does not know it"
            request.future.set_exception(NotDone("LOST_BEFORE_DONE", text, cl_ord_id=request.p.get("cl_ord_id")))
        else:
            request.future.set_exception(
                orphaned(request, CannotConnect("LOST", "the connection was lost before the answer"))
            )

    async def _state_after(self, request: Request) -> dict[str, Any] | None:
        """Ask for the order that a lost request was about; None if the request seems not to have been done."""
        if request.op == "order.mass_cancel":
            return None
        p = request.p
        target = p.get("new_cl_ord_id") or p.get("cl_ord_id")
        name = {"cl_ord_id": target} if target is not None else {"order_id": p.get("order_id")}
        question = Request(
            next(self._ids), "order.status", request.account, name, True, asyncio.get_running_loop().create_future()
        )
        try:
            state = await self._exchange(question)
        except NotDone as error:
            if error.code in NO_SUCH_ORDER:
                return None
            raise
        if request.op == "order.cancel":
            return state if state.get("status") not in ("new", "partially_filled") else None
        if request.op == "order.amend" and "new_cl_ord_id" not in p:
            wanted = {name: p[name] for name in AMENDED if name in p}
            return state if all(state.get(name) == value for name, value in wanted.items()) else None
        return state


def order_of(answer: dict[str, Any]) -> Order:
    return record(answer, Order)


def orphaned(request: Request, error: CashewError) -> CashewError:
    """The error of a request whose connection is gone: not done if it never left or only asked, else unknown."""
    if not request.sent or request.op in READS:
        return error
    text = f"{error.text}; whether it was done is unknown, ask for its status"
    return Unknown(error.code, text, cl_ord_id=request.p.get("cl_ord_id"))


def late(request: Request, timeout: float) -> CashewError:
    """The error of a request that got no answer in time."""
    own = request.p.get("cl_ord_id")
    if not request.sent or request.op in READS:
        return NotDone("TIMEOUT", f"no answer within {timeout:g} s; nothing was changed", cl_ord_id=own)
    return Unknown(
        "TIMEOUT", f"no answer within {timeout:g} s; the outcome is unknown, ask for its status", cl_ord_id=own
    )


@asynccontextmanager
async def connect(url: str = "http://127.0.0.1:8410", **options: Any) -> AsyncGenerator[Client]:
    """Open a client, and close it at the end of the block. Options as for Client: key, token, reconnect, timeout, …"""
    client = Client(url, **options)
    try:
        await client.open()
        yield client
    finally:
        await client.close()
