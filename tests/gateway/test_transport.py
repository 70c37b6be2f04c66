"""Frames written by hand are what a WebSocket client reads, at every length."""

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from gateway.transport import UVICORN_OPTIONS, Transport, text_frame


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_written_frame_is_read_back_by_a_client(length: int) -> None:
    client = ClientProtocol(parse_uri("ws://x/"), max_size=None)
    client.state = client.state.OPEN
    client.parser = client.parse()  # a fresh reader of frames: the handshake is not the matter here
    next(client.parser)
    text = b"x" * length
    client.receive_data(text_frame(text))
    (frame,) = client.events_received()
    assert isinstance(frame, Frame)
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.TEXT, True, text)


def test_options_keep_frames_small_and_uncompressed() -> None:
    assert UVICORN_OPTIONS["ws"] is Transport
    assert UVICORN_OPTIONS["ws_max_size"] == 65_536 and UVICORN_OPTIONS["ws_per_message_deflate"] is False
