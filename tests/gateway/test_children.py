"""The processes beside the venue: started again, ended with it, asked what their end means."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from gateway import children
from gateway.children import end, follow, keep_following

QUICK = (0.001, 0.002)


def run(story: Coroutine[Any, Any, None]) -> None:
    async def told() -> None:
        async with asyncio.timeout(60):
            await story

    asyncio.run(told())


def program(text: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", text, *arguments]


def test_a_follower_is_asked_for_by_its_module_and_its_log() -> None:
    assert follow(Path("venue"), 7)[1:] == ["-m", "engine.follower", "venue", "--every", "7"]


def test_a_follower_that_ends_by_itself_is_started_again_until_its_code_says_that_all_is_over(tmp_path: Path) -> None:
    counter = tmp_path / "starts"
    text = "import sys; f = open(sys.argv[1], 'a'); f.write('x'); f.close(); sys.exit(len(open(sys.argv[1]).read()))"
    codes: list[int] = []

    def ends_it(code: int) -> bool:
        codes.append(code)
        return code == 3

    run(keep_following(program(text, str(counter)), ends_it, after=0, again=QUICK))
    assert codes == [1, 2, 3] and counter.read_text() == "xxx"


def test_a_follower_ends_with_the_venue_by_the_end_of_its_input(tmp_path: Path) -> None:
    said = tmp_path / "said"
    text = "import sys; p = open(sys.argv[1], 'w', 1); p.write('up\\n'); sys.stdin.read(); p.write('gone')"

    async def story() -> None:
        keeping = asyncio.create_task(keep_following(program(text, str(said)), bool, after=0))
        while not (said.exists() and said.read_text()):
            await asyncio.sleep(0.01)
        keeping.cancel()
        await asyncio.wait([keeping])

    run(story())
    assert said.read_text() == "up\ngone"


def test_a_child_that_does_not_end_is_ended(monkeypatch: Any) -> None:
    monkeypatch.setattr(children, "END_SECONDS", 0.2)

    async def story() -> None:
        stubborn = await asyncio.create_subprocess_exec(
            *program("import time; print(1, flush=True); time.sleep(600)"), stdin=-1, stdout=-1
        )
        assert stubborn.stdout is not None
        await stubborn.stdout.readline()
        begun = time.monotonic()
        await end(stubborn)
        assert stubborn.returncode == -9 and time.monotonic() - begun < 30
        await end(stubborn)  # of one that has ended nothing more is asked
        await end(None)

    run(story())
