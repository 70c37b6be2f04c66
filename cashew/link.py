"""One WebSocket that comes back by itself: what order entry and market data have in common.

The reading task hands frames to plain functions of this library, never to user code. All that it feeds is bounded.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as dial
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidURI

from cashew.errors import CannotConnect, CashewError

__all__ = ["FIRST_DELAY", "MAX_DELAY", "Link", "backoff", "encode", "http_base", "socket_url"]

FIRST_DELAY = 0.1
MAX_DELAY = 5.0
MAX_MESSAGE = 64 << 20  # the exchange splits frames at 1 MiB, but an answer with all live orders is one message

_decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode


def http_base(url: str) -> str:
    """Bring an address a person typed to the form `http://host:port`; CannotConnect if it is none."""
    parts = urlsplit(url if "//" in url else f"http://{url}")
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    try:
        usable = scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise CannotConnect("BAD_ADDRESS", f"{url!r} is no address of an exchange; try http://127.0.0.1:8410")
    return f"{scheme}://{parts.netloc}"


def socket_url(url: str, path: str) -> str:
    """The WebSocket address of one door, such as `/ws/v1/trade`."""
    return http_base(url).replace("http", "ws", 1) + path


def backoff(first: float = FIRST_DELAY, most: float = MAX_DELAY) -> Iterator[float]:
    """Yield delays in seconds: doubling up to `most`, each cut by up to a half so that clients spread out."""
    delay = first
    while True:
        yield delay * random.uniform(0.5, 1.0)
        delay = min(delay * 2, most)


class Link:
    """A connection to one door.

    `on_open` greets a new socket (logon, subscriptions) and may raise; `on_message` is given each decoded object, the
    parts of an array one by one; `on_lost` is told that the socket has gone and whether the link will come back.
    """

    def __init__(
        self,
        url: str,
        *,
        on_open: Callable[[ClientConnection], Awaitable[None]],
        on_message: Callable[[dict[str, Any]], None],
        on_lost: Callable[[CashewError, bool], None],
        reconnect: bool = True,
        open_timeout: float = 10.0,
    ) -> None:
        self.url = url
        self.ready = asyncio.Event()
        self.failure: CashewError | None = None  # why the link is gone for good
        self.was_refused = False  # nobody listened at some moment since the socket was lost
        self._on_open = on_open
        self._on_message = on_message
        self._on_lost = on_lost
        self._reconnect = reconnect
        self._open_timeout = open_timeout
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect and greet; CannotConnect, or whatever `on_open` raises, if that fails."""
        await self._dial()
        self._task = asyncio.create_task(self._run(), name=f"link {self.url}")

    async def close(self) -> None:
        """End the connection politely; nothing reconnects afterwards."""
        self._reconnect = False
        self.failure = self.failure or CannotConnect("CLOSED", "this client has been closed")
        if self._socket is not None:
            await self._socket.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.ready.clear()

    async def send(self, message: dict[str, Any]) -> bool:
        """Send one object; false if the socket is gone, in which case it may or may not have arrived."""
        if self._socket is None:
            return False
        try:
            await self._socket.send(encode(message), text=True)
        except ConnectionClosed:
            return False
        return True

    async def _dial(self) -> None:
        try:
            # The environment's proxy is meant for the web, not for an exchange; compression costs more than it saves.
            socket = await dial(
                self.url,
                proxy=None,
                compression=None,
                max_size=MAX_MESSAGE,
                open_timeout=self._open_timeout,
                close_timeout=2,
            )
        except ConnectionRefusedError as error:
            self.was_refused = True
            raise CannotConnect("REFUSED", f"no exchange answers at {self.url}") from error
        except (OSError, TimeoutError) as error:
            raise CannotConnect("UNREACHABLE", f"cannot reach {self.url}: {error or 'no answer in time'}") from error
        except (InvalidHandshake, InvalidMessage, InvalidURI, ConnectionClosed) as error:
            raise CannotConnect("NO_EXCHANGE", f"{self.url} answers, but not as an exchange: {error}") from error
        try:
            await self._on_open(socket)
        except ConnectionClosed as error:
            raise CannotConnect("CLOSED", f"{self.url} closed the connection: {describe(socket)}") from error
        except BaseException:
            await socket.close()
            raise
        self._socket = socket
        self.ready.set()

    async def _run(self) -> None:
        while True:
            assert self._socket is not None
            socket = self._socket
            try:
                async for frame in socket:
                    decoded = _decode(frame)
                    for message in decoded if isinstance(decoded, list) else (decoded,):
                        self._on_message(message)
            except ConnectionClosed:
                pass
            except (msgspec.MsgspecError, AttributeError, KeyError, TypeError, ValueError):
                # What cannot be understood may have been important; a new connection begins with what is true.
                await socket.close(1002, "not understood")
            self.ready.clear()
            self._socket = None
            self.was_refused = False
            lost = CannotConnect("LOST", f"the connection was lost: {describe(socket)}")
            if not self._reconnect:
                self.failure = self.failure or lost
                self._on_lost(self.failure, False)
                return
            self._on_lost(lost, True)
            if not await self._return():
                return

    async def _return(self) -> bool:
        for delay in backoff():
            await asyncio.sleep(delay)
            try:
                await self._dial()
                return True
            except CannotConnect:
                continue
            except CashewError as error:  # the key is no longer welcome: coming again would not help
                self.failure = error
                self._on_lost(error, False)
                return False
        return False


def describe(socket: ClientConnection) -> str:
    """Say how a socket ended."""
    reason = f" ({socket.close_reason})" if socket.close_reason else ""
    return f"code {socket.close_code}{reason}"
