"""Bounded streams: order, overflow, errors and ends."""

from __future__ import annotations

import asyncio

import pytest

from cashew.errors import CannotConnect, FellBehind
from cashew.streams import Latest, Stream


def test_stream_gives_everything_in_order_then_its_error() -> None:
    async def run() -> None:
        stream: Stream[int] = Stream(10)
        stream.put(1)
        stream.put(2)
        stream.fail(CannotConnect("LOST", "gone"))
        stream.put(3)
        assert [await anext(stream), await anext(stream)] == [1, 2]
        with pytest.raises(CannotConnect):
            await anext(stream)

    asyncio.run(run())


def test_full_stream_ends_with_fell_behind() -> None:
    async def run() -> None:
        stream: Stream[int] = Stream(2)
        for item in range(3):
            stream.put(item)
        assert stream.take_waiting() == [0, 1]
        stream.put(9)
        with pytest.raises(FellBehind):
            await anext(stream)

    asyncio.run(run())


def test_closing_wakes_the_reader_and_tells_the_owner_once() -> None:
    async def run() -> None:
        closed: list[Stream[int]] = []
        stream: Stream[int] = Stream(2)
        stream.on_close(closed.append)
        reading = asyncio.create_task(anext(stream, "ended"))
        await asyncio.sleep(0)
        stream.close()
        stream.close()
        assert await reading == "ended"
        assert closed == [stream]

    asyncio.run(run())


def test_latest_skips_what_was_overtaken() -> None:
    async def run() -> None:
        latest: Latest[str] = Latest()
        latest.put("old")
        latest.put("new")
        assert await anext(latest) == "new"
        waiting = asyncio.create_task(anext(latest, "ended"))
        await asyncio.sleep(0)
        latest.put("newer")
        assert await waiting == "newer"
        latest.fail(CannotConnect("LOST", "gone"))
        with pytest.raises(CannotConnect):
            await anext(latest)
        latest.close()
        assert await anext(latest, "ended") == "ended"

    asyncio.run(run())
