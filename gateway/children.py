"""The processes beside the venue: the follower of its log and the demonstration's bots.

Floor 4.  A child never holds the venue up: it is started when the venue serves, and ended with it; if the venue is
killed, it ends by itself (the follower's input ends; the bots watch their parent).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

__all__ = ["end", "follow", "keep_following", "start_bots"]

END_SECONDS: Final = 5.0
FOLLOW_AFTER_SECONDS: Final = 2.0  # traders and bots come first
AGAIN_SECONDS: Final = (1.0, 60.0)  # the first pause before a child that ended is started again, and the longest
_log: Final = logging.getLogger("cashew.venue")


def follow(log: Path, every: int) -> list[str]:
    """The command line of a follower of a log, that makes a snapshot every so many commands."""
    return [sys.executable, "-m", "engine.follower", str(log), "--every", str(every)]


async def keep_following(
    command: Sequence[str], ends_it: Callable[[int], bool], *, after: float = FOLLOW_AFTER_SECONDS,
    again: tuple[float, float] = AGAIN_SECONDS,
) -> None:  # fmt: skip
    """Have a follower run until cancelled; started again, after longer and longer pauses, if it ends by itself.

    `ends_it` is asked with its exit code whether that is the end of it all.
    """
    loop = asyncio.get_running_loop()
    shortest, longest = again
    await asyncio.sleep(after)
    pause = shortest
    while True:
        started = loop.time()
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE)
        try:
            code = await process.wait()
        finally:
            await end(process)
        if ends_it(code):
            return
        if loop.time() - started > longest:
            pause = shortest
        _log.error("the follower ended with code %d: again in %.0f s", code, pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, longest)


async def start_bots(url: str, keys: Path) -> Process:
    """Start the demonstration's bots: ordinary clients, with the keys in a folder."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cashew.bots", "--url", url, "--keys-dir", str(keys), "--parent", str(os.getpid()),
        stdin=DEVNULL,
    )  # fmt: skip


async def end(child: Process | None) -> None:
    """End a child, by the end of its input if it reads that, and by force if it takes too long; wait until it has."""
    if child is None or child.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        if child.stdin is not None:
            child.stdin.close()
        else:
            child.terminate()
    try:
        async with asyncio.timeout(END_SECONDS):
            await child.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
