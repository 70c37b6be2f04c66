"""The examples of marketdata/FEED.md are what a venue says, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from engine.schema import Side
from marketdata import messages, publisher, requests
from marketdata.publisher import Publisher
from tests.marketdata.venue import Venue, connect

PAGE = (Path(__file__).resolve().parents[2] / "marketdata" / "FEED.md").read_text(encoding="utf-8")
SYMBOL = "W320F2703"


def conversation() -> Iterator[str]:
    """Play the page's story: what the reader says (after `> `) and what it hears (after `< `)."""
    venue, feed = Venue(SYMBOL), Publisher()
    reader = connect(feed)
    venue.place(Side.BUY, 10, 601)
    venue.place(Side.BUY, 4, 601)
    venue.place(Side.BUY, 25, 598)
    venue.place(Side.SELL, 6, 604, account=3)

    def follow() -> Iterator[str]:
        for block in venue.blocks:
            feed.on_block(*block)
        venue.blocks.clear()
        yield from hear()

    def hear() -> Iterator[str]:
        while frames := feed.take(reader):
            yield from ("< " + frame.text for frame in frames)

    def say(text: str) -> Iterator[str]:
        yield "> " + text
        feed.receive(reader, text)
        yield from hear()

    yield from follow()
    channels = '"channels":["book","trades","status","auction"]'
    yield from say(f'{{"op":"subscribe","id":1,"p":{{{channels},"symbols":["{SYMBOL}"]}}}}')
    venue.place(Side.SELL, 16, 598, account=3)
    yield from follow()
    venue.phase(SYMBOL, "halted", why="tin đồn về vụ mùa")
    yield from follow()
    venue.phase(SYMBOL, "pre_open")
    venue.place(Side.BUY, 12, 604)
    yield from follow()
    venue.phase(SYMBOL, "continuous")
    yield from follow()
    feed.heartbeat(1_764_208_801_000_000)
    yield from hear()
    yield from say('{"op":"ping","id":2}')
    yield from say('{"op":"subscribe","id":3,"p":{"channels":["book"],"symbols":["W320F2709"]}}')
    yield from say('{"op":"unsubscribe","id":4,"p":{"channels":["trades"],"symbols":["*"]}}')


def test_the_examples_are_real() -> None:
    assert sorted(re.findall(r"^[<>] .*$", PAGE, re.MULTILINE)) == sorted(conversation())


def test_every_message_code_and_limit_is_on_the_page() -> None:
    structs = [vars(messages)[name] for name in messages.__all__]
    for kind in structs:
        if hasattr(kind, "__struct_config__") and kind.__struct_config__.tag is not None:
            assert f'"ev":"{kind.__struct_config__.tag}"' in PAGE
    for code in requests.ERROR_TEXT:
        assert f"`{code}`" in PAGE
    for close in (publisher.CLOSE_TOO_BIG, publisher.CLOSE_TOO_SLOW):
        assert f"| {close} |" in PAGE
    limits = publisher.ReaderLimits()
    for number in (limits.queue_messages, limits.readers, messages.LEVELS_PER_MESSAGE, messages.TRADES_PER_MESSAGE):
        assert f"{number:,}" in PAGE
    assert f"{limits.queue_bytes >> 20} MiB" in PAGE
