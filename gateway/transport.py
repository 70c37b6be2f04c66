"""The socket's own layer: uvicorn's WebSocket protocol with a short way in and out for the trade door.

Floor 4.  By the ASGI way a frame costs a queue, a task's wake-up and a pause of the socket; that is as much time as all
the rest of an order's way.  So the door may `listen`: then the first frame of what a read brought goes straight to it,
and only further ones take the ASGI way, one per pass of the loop, so that one client's flood leaves the others their
turns.  Frames out are written at once; `is_writable` says whether the socket still takes them.

Frames are whole, unmasked and uncompressed (the venue negotiates no extension), so writing one is prefixing its length.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from engine.schema import MAX_FRAME_BYTES

__all__ = ["TRANSPORT", "UVICORN_OPTIONS", "Transport", "text_frame"]

TRANSPORT: Final = "cashew.transport"
_ABORT: Final = "cashew.abort"
_TEXT: Final = 0x81  # the last and only fragment, text
_LONG: Final = struct.Struct(">BBH")
_VERY_LONG: Final = struct.Struct(">BBQ")


class Transport(WebSocketsSansIOProtocol):
    """One client's socket; the application finds it in its scope's extensions under TRANSPORT."""

    on_text: Callable[[str], None] | None = None
    on_writable: Callable[[], None] | None = None
    _is_first = False

    def listen(self, on_text: Callable[[str], None], on_writable: Callable[[], None]) -> None:
        """Have text frames given to `on_text`, and be told when a full socket takes more again."""
        self.on_text = on_text
        self.on_writable = on_writable

    @property
    def is_writable(self) -> bool:
        """Whether a frame can be written without waiting for the client."""
        return self.writable.is_set()

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
        self._is_first = True
        super().data_received(data)

    def send_receive_event_to_app(self) -> None:
        if (
            self._is_first
            and self.on_text is not None
            and self.curr_msg_data_type == "text"
            and self.queue.empty()  # else it would overtake frames that wait for their turn
            and not self.close_sent
        ):
            self._is_first = False
            data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
            try:
                text = data.decode()
            except UnicodeDecodeError:
                pass  # uvicorn refuses it with 1007
            else:
                self.frames = []
                self.on_text(text)
                return
        super().send_receive_event_to_app()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.on_writable is not None:
            self.on_writable()

    def connection_lost(self, exc: Exception | None) -> None:
        self.on_text = self.on_writable = None
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
