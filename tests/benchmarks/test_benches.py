"""The tools around the benches: figures, frames, the page of results, and a bench run in the small."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench_journal, bench_kernel, measure, promises, report, run
from benchmarks.bare_disk import BareDisk
from benchmarks.bench_wire import open_loop
from benchmarks.raw_socket import PING, PONG, RawSocket, text_frame
from benchmarks.workloads import generate


def test_percentile_is_the_nearest_rank() -> None:
    values = [float(value) for value in range(1, 1001)]
    assert [measure.percentile(values, share) for share in (0.0, 0.5, 0.99, 0.999, 1.0)] == [1, 500, 990, 999, 1000]


def test_interval_holds_the_median_and_shrinks_with_agreement() -> None:
    low, high = measure.interval([1.0, 2.0, 3.0, 4.0, 100.0, 2.5, 3.5, 2.2, 3.1])
    assert 2.0 <= low <= 3.0 <= high <= 4.0
    assert measure.summary([7.0] * 9) == {"median": 7.0, "low": 7.0, "high": 7.0, "min": 7.0, "max": 7.0}


def test_saved_result_names_machine_versions_and_commit(tmp_path: Path) -> None:
    path = measure.save("nothing", {"answer": 42}, tmp_path)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert (found["bench"], found["answer"]) == ("nothing", 42)
    assert {"cpu", "cores", "kernel", "python", "packages", "commit", "load"} <= set(found["machine"])


class EchoServer:
    """Answers the handshake, then sends back what it is told to."""

    def __init__(self, head: bytes, *frames: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard = b""
        self._thread = threading.Thread(target=self._serve, args=(head, frames))
        self._thread.start()

    def _serve(self, head: bytes, frames: tuple[bytes, ...]) -> None:
        peer, _ = self._listener.accept()
        with self._listener, peer:
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += peer.recv(4096)
            peer.sendall(head)
            for frame in frames:
                peer.sendall(frame)
            peer.shutdown(socket.SHUT_WR)
            while more := peer.recv(4096):
                self.heard += more

    def join(self) -> None:
        self._thread.join(10)


ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


def served(opcode: int, payload: bytes) -> bytes:
    head = bytes([0x80 | opcode])
    length = len(payload)
    if length < 126:
        return head + bytes([length]) + payload
    if length < 1 << 16:
        return head + b"\x7e" + length.to_bytes(2, "big") + payload
    return head + b"\x7f" + length.to_bytes(8, "big") + payload


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 200_000])
def test_raw_socket_reads_frames_of_every_length(length: int) -> None:
    server = EchoServer(ACCEPTED, served(1, b"x" * length), served(1, b"last"))
    client = RawSocket(server.port, "/")
    assert client.receive() == b"x" * length
    assert client.receive() == b"last"
    client.close()
    server.join()


def test_raw_socket_answers_pings_and_tells_a_close() -> None:
    server = EchoServer(ACCEPTED, served(PING, b"hi"), served(1, b"data"), served(8, b"\x0f\xa8slow"))
    client = RawSocket(server.port, "/")
    assert client.receive() == b"data"
    with pytest.raises(ConnectionError, match="slow"):
        client.receive()
    client.close()
    server.join()
    assert server.heard == text_frame(b"hi", PONG)


def test_raw_socket_tells_a_refused_handshake() -> None:
    server = EchoServer(b"HTTP/1.1 503 Busy\r\n\r\n")
    with pytest.raises(ConnectionError, match="503"):
        RawSocket(server.port, "/")
    server.join()


def test_open_loop_counts_from_when_a_request_was_due() -> None:
    left, right = socket.socketpair()
    connection = RawSocket.__new__(RawSocket)
    connection.socket, connection._held = left, b""

    def answer() -> None:
        heard = 0
        while heard < 20 * len(text_frame(b"ask")):
            heard += len(right.recv(4096))
        right.sendall(served(1, b"answers") * 20)

    server = threading.Thread(target=answer)
    server.start()
    found = open_loop(connection, [text_frame(b"ask")] * 20, 1_000, lambda _: 1)
    server.join()
    left.close()
    right.close()
    # Answers come after the last request, so the first has waited for almost 20 ms though it was sent at once.
    assert found["max_us"] >= 18_000
    assert found["p50_us"] >= 8_000


def test_bare_disk_starts_over_when_its_file_is_full(tmp_path: Path) -> None:
    disk = BareDisk(tmp_path / "bare", size=1 << 20)
    assert all(disk.write(b"x" * 400_000, sync=sync) > 0 for sync in (False, True, False))
    disk.close()
    content = (tmp_path / "bare").read_bytes()
    assert len(content) == 1 << 20
    assert content.rstrip(b"\0") == b"x" * 800_000


@pytest.mark.parametrize("sync", [True, False])
def test_journal_bench_measures_what_it_asserts(sync: bool, tmp_path: Path) -> None:
    found = bench_journal.measure(tmp_path, 64, 2, sync=sync)
    assert found["blocks"] == 3 * bench_journal.BLOCKS[64]
    assert found["times_bare"]["median"] > 0


def test_kernel_bench_in_the_small() -> None:
    found = bench_kernel.compare("small", 2, 500, 200, None)
    assert found["times_reference"]["median"] > 1
    calls = bench_kernel.one_call(generate("small", bench_kernel.LEAD_IN + 200, resident=200), 200)
    assert calls["p50_ns"] <= calls["p99_ns"] <= calls["max_ns"]


def test_page_of_results_tells_what_is_missed() -> None:
    figures = {"median": 39.0, "low": 38.0, "high": 40.0, "min": 38.0, "max": 40.0}
    good = {**figures, "median": 12.0}
    workload: dict[str, Any] = {
        "beside": {"times_reference": figures, "times_pybook": good},
        "throughput": {"commands_per_second": 12_000_000},
        "one_call": {"p50_ns": 1_500},
    }
    rows = promises.targets({"kernel": {"workloads": {"small": workload}}})
    assert [row[2] for row in rows] == ["**missed**", "kept", "kept", "kept"]


def test_page_of_results_is_the_one_that_the_results_make() -> None:
    results = report.load()
    if not results:
        pytest.skip("left out: no bench has been run in this checkout")
    assert report.REPORT.read_text(encoding="utf-8") == report.render(results)
    readme = report.README.read_text(encoding="utf-8")
    assert report.with_figures(readme, results) == readme


def test_unknown_bench_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run.main(["--quick", "nonsense"])
    assert ended.value.code == 2
    assert "no such bench: nonsense" in capsys.readouterr().err
