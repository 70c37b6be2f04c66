"""The socket's own layer: uvicorn's WebSocket protocol with a short way in and out for the trade door.

Floor 4.  By the ASGI way a frame costs a queue, a task's wake-up and a pause of the socket; that is as much time as all
the rest of an order's way.  So the door may `listen`: then the first frame of what a read brought goes straight to it
(past the parser, if it is all that was read), and only further ones take the ASGI way, one per pass of the loop, so
that one client's flood leaves the others their turns.  Frames out are written at once; `writable` says whether the
socket still takes them.

Frames are whole, unmasked and uncompressed (the venue negotiates no extension), so writing one is prefixing its length.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import apply_mask  # type: ignore[attr-defined]
from websockets.http11 import Request
from websockets.protocol import OPEN

from engine.schema import MAX_FRAME_BYTES

__all__ = ["TRANSPORT", "UVICORN_OPTIONS", "Transport", "text_frame"]

TRANSPORT: Final = "cashew.transport"
_ABORT: Final = "cashew.abort"
_TEXT: Final = 0x81  # the last and only fragment, text
_MASKED: Final = 0x80
_SHORTEST: Final = 6
_LONG: Final = struct.Struct(">BBH")
_VERY_LONG: Final = struct.Struct(">BBQ")


class FrameWalk:
    """Knows, of the reads it is fed, whether the next byte begins a frame and no fragmented message is under way."""

    __slots__ = ("_head", "_left", "fragmented")

    def __init__(self) -> None:
        self._head = b""  # of a frame whose header is not whole yet
        self._left = 0  # bytes that the present frame still lacks
        self.fragmented = False

    @property
    def is_between(self) -> bool:
        """Whether the next byte begins a message."""
        return not (self._left or self._head or self.fragmented)

    def feed(self, data: bytes) -> None:
        """Walk over what was read."""
        data = self._head + data
        self._head = b""
        at, end = self._left, len(data)
        while at < end:
            second = data[at + 1] if end - at > 1 else 127
            size = second & 0x7F
            more = 2 if size == 126 else 8 if size == 127 else 0
            head = 2 + more + (4 if second & _MASKED else 0)
            if end - at < head:
                self._head, at = data[at:], end
                break
            if more:
                size = int.from_bytes(data[at + 2 : at + 2 + more], "big")
            if data[at] & 0x0F < 8:  # no control frame
                self.fragmented = not data[at] & 0x80
            at += head + size
        self._left = at - end


class Transport(WebSocketsSansIOProtocol):
    """One client's socket; the application finds it in its scope's extensions under TRANSPORT."""

    on_text: Callable[[str], None] | None = None
    on_writable: Callable[[], None] | None = None
    _is_first = False
    _walk: FrameWalk | None = None
    _ends_with_request = False

    def listen(self, on_text: Callable[[str], None], on_writable: Callable[[], None]) -> None:
        """Have text frames given to `on_text`, and be told when a full socket takes more again."""
        self.on_text = on_text
        self.on_writable = on_writable
        if self._ends_with_request:  # else frames have come with it, which a client must not do: the parser sees to it
            self._walk = FrameWalk()

    def write_text(self, text: bytes) -> None:
        """Write one text frame; nothing if the client is gone or being closed."""
        if not (self.close_sent or self.disconnected):
            self.transport.write(text_frame(text))

    def abort(self) -> None:
        """Drop the connection at once, with whatever is still to be written."""
        self.transport.abort()

    # --- uvicorn's hooks ----------------------------------------------------------------------------------------------

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: dict[str, dict[object, object]] = {TRANSPORT: {"it": self}, _ABORT: {"call": self.abort}}
            self.scope["extensions"].update(extensions)

    def data_received(self, data: bytes) -> None:
        walk = self._walk
        if walk is None:
            self._ends_with_request = data.endswith(b"\r\n\r\n")
        elif walk.is_between:
            text = self._whole_text(data)
            if text is not None:
                assert self.on_text is not None, "who walks listens"
                self.on_text(text)
                return
            walk.feed(data)
        else:
            walk.feed(data)
        self._is_first = True
        super().data_received(data)

    def _whole_text(self, data: bytes) -> str | None:
        """The text of a read that is exactly one masked text frame and comes between messages; None if it is not.

        Such a read needs none of the parser's state, and nearly every order comes as one.  All else, and whatever might
        be wrong, is left to the parser.
        """
        if len(data) <= _SHORTEST or data[0] != _TEXT:
            return None
        size, start = data[1] - _MASKED, 6
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 8
        if (
            not 0 < size == len(data) - start
            or self.conn.state is not OPEN
            or self.close_sent
            or not self.queue.empty()  # it must not overtake frames that wait for their turn
        ):
            return None
        try:
            text: str = apply_mask(data[start:], data[start - 4 : start]).decode()
        except UnicodeDecodeError:
            return None
        return text

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type != "text" or self.close_sent:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        try:
            text = data.decode()
        except UnicodeDecodeError:  # as uvicorn does, but without a page in the log for whoever wants to fill it
            self.frames = []
            self.conn.send_close(1007)
            self.handle_parser_exception()
            return
        if self._is_first and self.on_text is not None and self.queue.empty():  # else it would overtake others
            self._is_first = False
            self.frames = []
            self.on_text(text)
        else:
            super().send_receive_event_to_app()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.on_writable is not None:
            self.on_writable()

    def connection_lost(self, exc: Exception | None) -> None:
        self.on_text = self.on_writable = self._walk = None
        super().connection_lost(exc)


def text_frame(text: bytes) -> bytes:
    """One text frame of a server, as RFC 6455 has it (section 5.2).

    >>> text_frame(b"[]")
    b'\\x81\\x02[]'
    """
    length = len(text)
    if length < 126:
        return bytes((_TEXT, length)) + text
    if length < 65_536:
        return _LONG.pack(_TEXT, 126, length) + text
    return _VERY_LONG.pack(_TEXT, 127, length) + text


UVICORN_OPTIONS: Final[dict[str, Any]] = {
    "ws": Transport,
    "ws_max_size": MAX_FRAME_BYTES,
    "ws_per_message_deflate": False,
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
    "timeout_graceful_shutdown": 5,
}
"""What `uvicorn.Config` needs for the venue's doors."""
