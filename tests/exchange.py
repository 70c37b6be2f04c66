"""A real exchange in a process of its own, for tests that need sockets, signals and restarts."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from gateway.accounts import create_key

SERVE = (sys.executable, "-m", "cashew", "serve")
START_S = 120
SMALL = {
    "CASHEW_ORDERS": "65536", "CASHEW_LEVELS": "524288", "CASHEW_DAY_IDS": "262144", "CASHEW_ACCOUNTS": "256",
    "CASHEW_FOLLOWER": "off",  # what is followed is the log: tests of other things need no second process
}  # fmt: skip
SYMBOL = "W320S"  # a spot instrument: listed on every day


class Exchange:
    """One venue's folder and, while it runs, its process; `program` starts it, `--data` and ports are added, and
    `environment` stands over SMALL."""

    def __init__(self, data: Path, *options: str, program: Sequence[str] = SERVE, **environment: str) -> None:
        self.data = data
        self.environment = SMALL | environment
        self.options = options
        self.program = program
        self.tokens: dict[str, str] = {}
        self.process: subprocess.Popen[str] | None = None
        self.url = ""
        self.log = data.parent / f"{data.name}.stderr"
        data.mkdir(parents=True, exist_ok=True)
        _, self.tokens["operator"] = create_key(data, "EXCHANGE", "operator")

    def add_trader(self, member: str, *accounts: str) -> None:
        """Make a member's key; its accounts are defined with `define` once the exchange runs."""
        _, self.tokens[member] = create_key(self.data, member, "trader", accounts)

    def start(self) -> None:
        """Start it and wait until it serves."""
        command = [*self.program, "--data", str(self.data), "--port", "0", *self.options]
        with self.log.open("a") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **self.environment}
            )
        assert self.process.stdout is not None
        banner = self.process.stdout.readline()
        found = re.search(r"http://[^/\s]+", banner)
        assert found is not None, f"it serves: {banner!r}\n{self.log.read_text()}"
        self.url = found.group(0)

    @property
    def socket_url(self) -> str:
        """The address of the trade door."""
        return f"{self.url.replace('http', 'ws')}/ws/v1/trade"

    def post(self, path: str, body: dict[str, Any], key: str = "operator") -> tuple[int, Any]:
        """POST with somebody's token; status and content."""
        request = urllib.request.Request(
            f"{self.url}{path}", json.dumps(body).encode(), {"Authorization": f"Bearer {self.tokens[key]}"}
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except HTTPError as refused:
            return refused.code, json.load(refused)

    def get(self, path: str) -> Any:
        """GET; the content."""
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"{self.url}{path}", timeout=30
        ) as answer:
            return json.load(answer)

    def define(self, **members: str) -> None:
        """Define accounts (account=member), each its own owner, and open all instruments."""
        for account, member in members.items():
            status, _ = self.post("/operator/accounts", {"account": account, "member": member, "owner": account})
            assert status == 200
        status, _ = self.post("/operator/session", {"action": "open", "symbol": "ALL", "why": "test"})
        assert status == 200

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code. Harmless when it does not run."""
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        try:
            return process.wait(timeout=30)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def __enter__(self) -> Exchange:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGKILL)
        said = self.log.read_text()
        assert not [member for member, token in self.tokens.items() if token in said], "secrets stay out of the log"
