"""The leanest WebSocket client there is, so that a round trip measures the server: a blocking socket, text frames.

For benches only: it trusts the server, knows no fragments and no extensions, and masks with zeros.
"""

from __future__ import annotations

import base64
import os
import socket
import struct
from typing import Final

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
RECEIVE_BYTES: Final = 1 << 18
TIMEOUT_SECONDS: Final = 30.0


def text_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One frame of a client."""
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length)
    return head + bytes(4) + payload


class RawSocket:
    """A connection; `send` a frame made by `text_frame`, `receive` the payload of the next text frame."""

    def __init__(self, port: int, path: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held = b""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        while b"\r\n\r\n" not in self._held:
            self._fill()
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        status = head.splitlines()[0]
        if b" 101 " not in status:
            self.close()
            raise ConnectionError(f"{path}: {status.decode()}")

    def send(self, frame: bytes) -> None:
        """Write a whole frame."""
        self.socket.sendall(frame)

    def receive(self) -> bytes:
        """Wait for the next text frame; ConnectionError if the server closes."""
        while True:
            frame = self._take()
            if frame is None:
                self._fill()
                continue
            opcode, payload = frame
            if opcode == TEXT:
                return payload
            if opcode == PING:
                self.socket.sendall(text_frame(payload, PONG))
            elif opcode == CLOSE:
                raise ConnectionError(f"closed: {payload[2:].decode(errors='replace')}")

    def receive_ready(self) -> list[bytes]:
        """Read once, and give the text frames that are whole by then (for a selector that said there is something)."""
        self._fill()
        frames = []
        while (frame := self._take()) is not None:
            if frame[0] == TEXT:
                frames.append(frame[1])
            elif frame[0] == PING:
                self.socket.sendall(text_frame(frame[1], PONG))
            elif frame[0] == CLOSE:
                raise ConnectionError(f"closed: {frame[1][2:].decode(errors='replace')}")
        return frames

    def close(self) -> None:
        """Let go."""
        self.socket.close()

    def _fill(self) -> None:
        more = self.socket.recv(RECEIVE_BYTES)
        if not more:
            raise ConnectionError("the server has gone")
        self._held += more

    def _take(self) -> tuple[int, bytes] | None:
        held = self._held
        if len(held) < 2:
            return None
        length, start = held[1] & 127, 2
        if length == 126:
            if len(held) < 4:
                return None
            length, start = int.from_bytes(held[2:4], "big"), 4
        elif length == 127:
            if len(held) < 10:
                return None
            length, start = int.from_bytes(held[2:10], "big"), 10
        if len(held) < start + length:
            return None
        self._held = held[start + length :]
        return held[0] & 15, held[start : start + length]
