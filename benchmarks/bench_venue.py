"""A real venue for the benches of sockets: `cashew serve` in a process of its own, with an echo beside its doors.

The echo is the floor that the application's own framework sets: the same process, server, settings and frames, and
nothing done but `receive_text` and `send_text`.  Run as a module this file is that process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from benchmarks.measure import ROOT
from benchmarks.raw_socket import RawSocket, text_frame

ECHO_PATH: Final = "/bench/echo"
TRADE_PATH: Final = "/ws/v1/trade"
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 30.0


def add_echo(app: FastAPI) -> None:
    """Add the echo to the venue's application."""

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_text(await websocket.receive_text())
        except WebSocketDisconnect:
            return

    app.add_api_websocket_route(ECHO_PATH, echo)


def _two_free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def _logon(token: str) -> bytes:
    return json.dumps({"op": "logon", "id": 0, "p": {"token": token, "batch": True}}).encode()


class BenchVenue:
    """A venue with one instrument open for trading and accounts A1..An, a key for each; a context manager."""

    def __init__(self, folder: Path, *, sync: bool, accounts: int = 1) -> None:
        from gateway.accounts import create_key

        self.folder, self.sync = folder, sync
        self.accounts = [f"A{n}" for n in range(1, accounts + 1)]
        folder.mkdir(parents=True)
        tokens = {account: create_key(folder, f"M{account}", "trader", [account])[1] for account in self.accounts}
        self.logons = {account: _logon(token) for account, token in tokens.items()}
        self._operator = create_key(folder, "OPS", "operator")[1]
        self.port, self.md_port = _two_free_ports()
        self.symbol = ""
        self.low_price = ""
        self._command = [
            sys.executable,
            "-m",
            "benchmarks.bench_venue",
            "--data",
            str(folder),
            "--port",
            str(self.port),
        ]
        self._command += ["--md-port", str(self.md_port), "--sync", "on" if sync else "off"]
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> BenchVenue:
        self.start()
        try:
            self._open()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Make the process; that it is there says nothing about whether it answers yet."""
        with (self.folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=log)

    def _open(self) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                self.ask("/health")
                break
            except (urllib.error.URLError, ConnectionError) as error:
                self.assert_runs(error, late=time.monotonic() > end)
                time.sleep(0.05)
        for account in self.accounts:
            self.ask("/operator/accounts", {"account": account, "member": f"M{account}", "owner": account})
        instrument = self.ask("/instruments")[0]
        self.symbol, self.low_price = instrument["symbol"], instrument["min_price"]
        self.ask("/operator/session", {"action": "open", "symbol": self.symbol, "why": "bench"})

    def assert_runs(self, error: Exception, *, late: bool = False) -> None:
        """RuntimeError with what the venue wrote last, if it has ended, or is `late`."""
        if self._process.poll() is not None or late:
            said = (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"the venue does not start:\n{said}") from error

    def cpu_seconds(self) -> float:
        """CPU time so far of the venue's process and of those that it has started."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
                if self._process.pid in (int(stat.parent.name), int(fields[1])):
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the REST door, as the operator."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
            request.add_header("Authorization", f"Bearer {self._operator}")
        with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:
            return json.load(answer)

    def trader(self, account: str = "A1") -> RawSocket:
        """A connection that is logged on and gets one frame per block."""
        connection = RawSocket(self.port, TRADE_PATH)
        connection.send(text_frame(self.logons[account]))
        answer = json.loads(connection.receive())
        first = answer[0] if isinstance(answer, list) else answer
        assert first["ok"], answer
        return connection

    def place(self, number: int, client_id: str, account: str = "A1", **fields: Any) -> bytes:
        """The JSON of an order that rests, far from any other side, as a client would write it."""
        order = {"symbol": self.symbol, "side": "buy", "ord_type": "limit", "price": self.low_price, "order_qty": 1}
        order |= {"time_in_force": "day", "cl_ord_id": client_id, **fields}
        request = {"op": "order.place", "id": number, "account": account, "p": order}
        return json.dumps(request, separators=(",", ":")).encode()

    def cancel(self, number: int, client_id: str, account: str = "A1") -> bytes:
        """The JSON of a cancel."""
        request = {"op": "order.cancel", "id": number, "account": account, "p": {"cl_ord_id": client_id}}
        return json.dumps(request, separators=(",", ":")).encode()

    def stop(self) -> None:
        """End the process, and wait until it has."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main() -> int:
    """Serve, with the echo, until a signal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--md-port", type=int, required=True)
    parser.add_argument("--sync", choices=("on", "off"), required=True)
    options = parser.parse_args()
    from gateway.settings import load_settings
    from gateway.venue import serve

    settings = load_settings(data=options.data, port=options.port, md_port=options.md_port, sync=options.sync)
    return serve(settings, extend=add_echo)


if __name__ == "__main__":
    sys.exit(main())
