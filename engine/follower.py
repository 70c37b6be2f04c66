"""The follower: reads the log of a running venue as it grows, carries it out again, and compares what comes of it.

A process of its own beside the venue, by the same code as a start: engine/scan.py proves the chain, the compiled core
gives the events, their digests must be the log's. What it has found equal it keeps as snapshots (engine/snapshot.py).
It reads only what the log's slots call durable, so it is behind by as much as they are: 50 ms and a step. Writes
nothing but snapshots. `python -m engine.follower DIR` runs until its input ends; `cashew serve` starts it so.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from engine import snapshot
from engine.blocks import Block
from engine.compiled import Compiled
from engine.disk import Disk
from engine.replay import EXIT_DAMAGED, EXIT_GOOD
from engine.runs import Run, join
from engine.scan import Damage, DayScan, Place, Rot, day_folders, log_root
from engine.schema import Limits

__all__ = ["Follower", "main"]

EVERY: Final = 500_000  # commands from one snapshot to the next
STEP_SECONDS: Final = 0.050
NICE: Final = 10  # orders go first
logger: Final = logging.getLogger("cashew.follower")


class Follower:
    """A second venue, made from the log of the first. `seq` is the last command that was found equal.

    every: commands carried out between two snapshots; 0 makes none. make_matcher: Compiled, but for tests.
    """

    def __init__(
        self, root: Path, *, every: int = EVERY, disk: Disk | None = None,
        make_matcher: Callable[[Limits], Compiled] = Compiled,
    ) -> None:  # fmt: skip
        self.root = root
        self.every = every
        self.disk = disk or Disk()
        self.make_matcher = make_matcher
        self.matcher: Compiled | None = None
        self.folder: Path | None = None
        self._place: Place
        self._restored_seq = 0  # where the snapshot stood that this went on from and that nothing has proved yet
        self._since = 0  # commands since the last snapshot, or the last attempt at one

    @property
    def seq(self) -> int:
        return 0 if self.matcher is None else self._place.seq

    def step(self) -> int:
        """Carry out what has become durable, up to the next snapshot; the number of commands.

        Rot, naming file, offset and seq, if the log is damaged or its events are not what the rules give. Whatever was
        carried out before that is equal; there is no going on after it.
        """
        if self.matcher is None and not self._begin():
            return 0
        assert self.folder is not None
        scan = DayScan(self.folder, live=True)
        done = self._carry_out(scan)
        if done is None:
            return self.step()
        if self.every and self._since >= self.every:
            self._save()
        if not done and scan.clean:
            self._next_day()
        return done

    def _begin(self) -> bool:
        """Begin with the last day, from its newest good snapshot; False if there is no day yet."""
        folders = day_folders(self.root)
        if not folders:
            return False
        self.folder = folders[-1]
        scan = DayScan(self.folder, live=True)
        restored = snapshot.restore(self.root, scan, logger.warning)
        if restored is None:
            self._begin_day(scan)
        else:
            self.matcher, self._place, self._since = restored.matcher, restored.place, 0
            self._restored_seq = restored.place.seq
        logger.info("follows %s from seq %d on", self.folder, self._place.seq + 1)
        return True

    def _begin_day(self, scan: DayScan) -> None:
        self.folder, self.matcher, self._place = scan.folder, self.make_matcher(scan.first.limits), scan.begin
        self._restored_seq = self._since = 0

    def _carry_out(self, scan: DayScan) -> int | None:
        """The number of commands carried out; None if the snapshot was wrong, and the day has to be begun again."""
        assert self.matcher is not None
        before = self._since
        try:
            for run in join(self._durable(scan), lambda: scan.present):
                run.compare(self.matcher.run_block(run.commands, run.payload))
                self._learn(run)
        except Rot as rot:
            if not self._restored_seq:
                raise
            # The log may be right and the snapshot wrong: only what is carried out from the beginning can tell.
            logger.warning("the snapshot at seq %d was wrong, or the log is: %s", self._restored_seq, rot)
            self._begin_day(DayScan(scan.folder, live=True))
            return None
        return self._since - before

    def _durable(self, scan: DayScan) -> Iterator[Block]:
        """What is durable, but no more than is due before the next snapshot."""
        taken = self._since
        for block in scan.durable(self._place):
            yield block
            taken += block.header.commands
            if taken >= (self.every or EVERY):
                return

    def _learn(self, run: Run) -> None:
        self._place = run.place
        self._since += len(run.commands)

    def _save(self) -> None:
        """Keep what was found equal; a disk that will not have it stops nothing."""
        assert self.folder is not None and self.matcher is not None
        self._since = 0
        try:
            path = snapshot.save(self.root, self.folder.name, self.matcher.state, self._place, disk=self.disk)
        except OSError as error:
            logger.warning("no snapshot at seq %d: %s", self._place.seq, error)
        else:
            logger.info("%s, %.1f MB", path.name, path.stat().st_size / 1e6)

    def _next_day(self) -> None:
        """Go on with the day after this one, if it was opened."""
        assert self.folder is not None
        later = [folder for folder in day_folders(self.root) if folder.name > self.folder.name]
        if not later:
            return
        scan = DayScan(later[0], live=True)
        if scan.first.previous != self._place.digest:
            path = str(scan.segments[0].path)
            raise Rot(Damage(path, 0, scan.first.first_seq, "the day does not follow the one before"))
        self._begin_day(scan)
        logger.info("follows %s from seq %d on", self.folder, self._place.seq + 1)


def main(arguments: list[str] | None = None) -> int:
    """Follow a log until standard input ends and nothing new has come; the exit code: 0, or 3 if the log is wrong."""
    parser = argparse.ArgumentParser(prog="python -m engine.follower", description=__doc__.partition("\n")[0])
    parser.add_argument("log", type=Path, metavar="DIR", help="the venue's folder")
    parser.add_argument("--every", type=int, default=EVERY, metavar="N", help="commands between snapshots (0: none)")
    given = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.nice(NICE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the venue as well, which ends this one
    gone = threading.Event()
    threading.Thread(target=_wait_for_end, args=(gone,), daemon=True).start()
    follower = Follower(log_root(given.log), every=given.every)
    try:
        while True:
            last = gone.is_set()
            if not follower.step():
                if last:
                    return EXIT_GOOD
                gone.wait(STEP_SECONDS)
    except Rot as rot:
        logger.critical("%s", rot)
        return EXIT_DAMAGED


def _wait_for_end(gone: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    gone.set()


if __name__ == "__main__":
    sys.exit(main())
