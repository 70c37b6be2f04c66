"""Bounded streams between the reading task and the user's loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from cashew.errors import CashewError, FellBehind

__all__ = ["Latest", "Stream"]

T = TypeVar("T")


class Stream(Generic[T]):
    """An async iterator over every item, in order.

    A reader that lets more than `limit` items wait gets FellBehind, never a hole.
    """

    def __init__(self, limit: int) -> None:
        self._items: deque[T] = deque()
        self._limit = limit
        self._on_close: Callable[[Stream[T]], None] | None = None
        self._error: CashewError | None = None
        self._closed = False
        self._wake = asyncio.Event()

    def put(self, item: T) -> None:
        """Add an item; a full stream ends with FellBehind once what waits has been read."""
        if self._error is None and not self._closed:
            if len(self._items) >= self._limit:
                self.fail(FellBehind("FELL_BEHIND", f"more than {self._limit} events were waiting to be read"))
            else:
                self._items.append(item)
                self._wake.set()

    def fail(self, error: CashewError) -> None:
        """End the stream with an error after what waits has been read."""
        self._error = self._error or error
        self._wake.set()

    def on_close(self, callback: Callable[[Stream[T]], None]) -> None:
        """Have `callback` called once, with this stream, when it is closed."""
        self._on_close = callback

    def close(self) -> None:
        """Stop listening; an iteration that is under way ends."""
        self._closed = True
        self._wake.set()
        if self._on_close is not None:
            self._on_close(self)
            self._on_close = None

    def take_waiting(self) -> list[T]:
        """Take whatever has arrived, without waiting."""
        waiting = list(self._items)
        self._items.clear()
        return waiting

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        while True:
            if self._items:
                return self._items.popleft()
            if self._closed:
                raise StopAsyncIteration
            if self._error is not None:
                raise self._error
            self._wake.clear()
            await self._wake.wait()


class Latest(Generic[T]):
    """An async iterator over the newest state only: a slow reader skips what has been overtaken."""

    def __init__(self) -> None:
        self._value: T | None = None
        self._on_close: Callable[[Latest[T]], None] | None = None
        self._error: CashewError | None = None
        self._closed = False
        self._wake = asyncio.Event()

    def put(self, value: T) -> None:
        """Offer a newer state; one that has not been read yet is overtaken."""
        self._value = value
        self._wake.set()

    def fail(self, error: CashewError) -> None:
        """End with an error after the state that waits has been read."""
        self._error = self._error or error
        self._wake.set()

    def on_close(self, callback: Callable[[Latest[T]], None]) -> None:
        """Have `callback` called once, with this stream, when it is closed."""
        self._on_close = callback

    def close(self) -> None:
        """Stop listening; an iteration that is under way ends."""
        self._closed = True
        self._wake.set()
        if self._on_close is not None:
            self._on_close(self)
            self._on_close = None

    def __aiter__(self) -> Latest[T]:
        return self

    async def __anext__(self) -> T:
        while True:
            if self._closed:
                raise StopAsyncIteration
            if self._value is not None:
                value, self._value = self._value, None
                return value
            if self._error is not None:
                raise self._error
            self._wake.clear()
            await self._wake.wait()
