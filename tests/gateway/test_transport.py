"""Frames written by hand are what a client reads, and the walk over frames knows where each message ends."""

import random

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from gateway.transport import UVICORN_OPTIONS, FrameWalk, Transport, text_frame
from tests.gateway.serving import masked


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


def test_walk_knows_after_every_read_whether_a_message_ends_there() -> None:
    rng = random.Random(7)
    for _ in range(300):
        stream, ends, fragmented = b"", {0}, False
        for _ in range(rng.randint(1, 6)):
            opcode = rng.choice((1, 1, 1, 9)) if not fragmented else rng.choice((0, 9))
            fin = opcode == 9 or rng.random() < 0.7
            stream += masked(opcode, bytes(rng.choice((0, 1, 125, 126, 300, 70_000))), fin=fin)
            fragmented = fragmented if opcode == 9 else not fin
            if not fragmented:
                ends.add(len(stream))
        walk, at = FrameWalk(), 0
        while at < len(stream):
            step = rng.choice((1, 2, 3, 7, 500, 100_000))
            walk.feed(stream[at : at + step])
            at = min(len(stream), at + step)
            assert walk.is_between == (at in ends), (at, sorted(ends))


def test_unmasked_lengths_are_walked_too() -> None:
    walk = FrameWalk()
    walk.feed(b"\x81\x02[]\x89\x00\x81")
    assert not walk.is_between
    walk.feed(b"\x01x")
    assert walk.is_between
