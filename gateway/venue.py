"""The venue: the only place that wires the packages, and the loop that moves commands to the log and events back.

Floor 5.  One thread decides, one syncs.  All rows waiting at a turn become one block.  An idle venue gives a row its
turn at once and, if the disk is quick, syncs it there; a busy one (more than one row in a pass of the loop) gathers to
the end of the pass and leaves the sync to the other thread, so that the next block is made meanwhile.  What a block
caused is told when it is durable, in order: to those who asked, to the accounts it touches, to the public.
A failed write or sync, or a broken invariant, ends the process: memory is then ahead of the truth.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn
import uvloop
from fastapi import FastAPI

from engine.day import trading_day_of
from engine.instruments import listed
from engine.journal import JournalFailed, LogBusy
from engine.recovery import DayNotComplete, Log
from engine.replay import EXIT_DAMAGED, EXIT_GOOD, compiled
from engine.scan import Rot
from engine.schema import CommandKind, Phase, word
from engine.sequencer import CompletedBlock, Sequencer
from gateway import children, demo
from gateway.accounts import KeyFileError, KeyRing
from gateway.banner import banner
from gateway.calls import ReopeningCalls
from gateway.codec import BadRequest, act_payload, event_to_json, read_events
from gateway.control import make_app
from gateway.desk import Desk
from gateway.server import make_router as make_trade_router
from gateway.settings import Settings
from gateway.tickets import Act, Ticket
from gateway.transport import UVICORN_OPTIONS
from marketdata.publisher import Publisher, ReaderLimits
from marketdata.server import make_router as make_market_data_router

__all__ = ["Venue", "serve"]

EXIT_FAILED: Final = 1
GC_THRESHOLDS: Final = (20_000, 20, 20)  # what an order leaves behind is kept: looking at it often finds nothing
PHASES_SECONDS: Final = 0.25
HOUSEKEEPING_SECONDS: Final = 1.0
TICK_SECONDS: Final = 0.002
TICK_BLOCKS: Final = 64
QUICK_TURN_NS: Final = 1_000_000  # a longer sync is left to the other thread
Extend = Callable[[FastAPI], None]
_log: Final = logging.getLogger("cashew.venue")


class Venue:
    """One running exchange: the log with its matcher, the edges, and what carries rows between them."""

    def __init__(self, settings: Settings, *, accounts: tuple[dict[str, str], ...] = ()) -> None:
        """Recover from the log in `settings.data`, or begin one; LogBusy, Rot or KeyFileError if that cannot be."""
        from engine import snapshot  # with it comes the compiled core: who cannot listen is told so sooner

        self.settings = settings
        self.sync = settings.sync == "on"
        self.exit_code = EXIT_GOOD
        self.stopped = asyncio.Event()
        self.desk = Desk(KeyRing(settings.data), sync=self.sync, wake=self._wake)
        self.publisher = Publisher(ReaderLimits(readers=settings.most_readers))
        self.desk.carry_out_alone = self._carry_out_alone
        self.calls = ReopeningCalls()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._turn_due = False
        self._unpublished: list[CompletedBlock] = []
        self._pass_rows = 0
        self._busy = True  # until the loop runs
        self._turn_ns = 0  # how long a turn with its sync has lately taken, one with another
        now_ns = time.time_ns()
        self.log = Log.open(
            settings.data,
            compiled,
            now_ns=now_ns,
            instruments=listed(trading_day_of(now_ns)),
            accounts=accounts,
            limits=settings.limits,
            on_block=self._fold,
            on_durable=self._on_durable,
            sync=self.sync,
            restore=snapshot.restore,
        )
        self.sequencer = Sequencer(self.log.matcher.run_block, self.log.journal, last_time_ns=self.log.time_ns)
        self._loop.call_soon(self._end_pass)
        known = self.desk.directory.account_numbers
        for account in accounts:
            if account["account"] not in known:
                self.ask(CommandKind.ACCOUNT_DEFINE, account)

    # --- the way through ----------------------------------------------------------------------------------------------

    def ask(self, kind: CommandKind, terms: dict[str, Any]) -> None:
        """Let an act of the venue itself wait for its turn."""
        self.desk.submit_act(Act(kind, act_payload(terms), 0, _note_refusal))

    def _wake(self) -> None:
        """Rows have come: an idle venue carries them out at once, a busy one gathers to the end of the pass."""
        if self._busy or self._pass_rows:
            self._schedule()
        else:
            self._turn()

    def _carry_out_alone(self, row: bytes, ticket: Ticket) -> bool:
        """Carry out a row that finds the venue idle, by the shortest way; False if it is not idle."""
        sequencer = self.sequencer
        if self._busy or self._pass_rows or self._turn_due or sequencer.in_flight or sequencer.waiting:
            return False
        self._pass_rows = 1
        self._loop.call_soon(self._end_pass)
        try:
            now_ns = time.time_ns()
            block = sequencer.alone(row, ticket, now_ns, here=self._syncs_here())
            if block is not None:
                messages = self.desk.fold(block.commands, b"", block.events, block.origins)  # while the disk is at work
                if self.sync:
                    self.log.journal.sync_here()
                    took = min(time.time_ns() - now_ns, 2 * QUICK_TURN_NS)  # one long turn shows nothing
                    self._turn_ns += (took - self._turn_ns) // 8
                self.desk.tell(messages)
                self._publish_soon(block)
        except Exception as error:
            self._fail(error)
        return True

    def _syncs_here(self) -> bool:
        """Whether to sync in this thread: alone, a quick disk takes less time than the ways to another thread."""
        return self.sync and not self._busy and self._turn_ns < QUICK_TURN_NS

    def _end_pass(self) -> None:
        """A pass of the loop that had more than one row to carry out shows that the venue is busy."""
        self._busy = self._pass_rows > 1
        self._pass_rows = 0

    def _schedule(self) -> None:
        if not self._turn_due:
            self._turn_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Carry out and write down what waits, as one block."""
        self._turn_due = False
        sequencer = self.sequencer
        try:
            if not sequencer.waiting:
                for row, payload, ticket in self.desk.take_turn():
                    sequencer.submit(row, payload, ticket)
            here = self._syncs_here()
            taken = sequencer.turn(time.time_ns(), here=here)
            if here or not self.sync:
                self._tell()
            if taken:
                if not self._pass_rows:
                    self._loop.call_soon(self._end_pass)
                self._pass_rows += taken
                if sequencer.waiting or self.desk.waiting:
                    self._schedule()
        except Exception as error:
            self._fail(error)

    def _on_durable(self, _seq: int) -> None:
        """Called by the journal: in its own thread, or, with sync off, from within a turn."""
        if threading.get_ident() != self._thread:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is left to be told
                self._loop.call_soon_threadsafe(self._on_synced)

    def _on_synced(self) -> None:
        try:
            self._tell()
        except Exception as error:
            self._fail(error)

    def _tell(self) -> None:
        """Tell what has become durable."""
        for block in self.sequencer.completed():
            self.desk.on_block(block.commands, block.payload, block.events, block.origins)
            self._publish_soon(block)
        if self.sequencer.waiting or self.desk.waiting:
            self._schedule()

    def _publish_soon(self, block: CompletedBlock) -> None:
        """Have a durable block published at the end of the tick: the public is told in portions, orders go first."""
        if not self._unpublished:
            self._loop.call_later(TICK_SECONDS, self._publish)
        self._unpublished.append(block)
        if len(self._unpublished) >= TICK_BLOCKS:
            self._publish()

    def _publish(self) -> None:
        blocks, self._unpublished = self._unpublished, []
        try:
            for block in blocks:
                self.publisher.on_block(block.commands, block.payload, block.events)
        except Exception as error:
            self._fail(error)

    def _fold(self, block: CompletedBlock) -> None:
        """Learn a block that nobody waits for: one replayed, or one that restates the world."""
        self._publish()
        self.desk.on_block(block.commands, block.payload, block.events)
        self.publisher.on_block(block.commands, block.payload, block.events)

    def _is_told_different(self, code: int) -> bool:
        """Whether the follower's exit code says that the log is damaged or not what the rules give: that is the end."""
        if code == EXIT_DAMAGED:
            self._fail(_Different("its follower finds that the log is not what the rules give"), code)
        return code == EXIT_DAMAGED

    def _fail(self, error: Exception, code: int = EXIT_FAILED) -> None:
        """Stop without telling anybody anything more."""
        if self.exit_code == EXIT_GOOD:
            self.exit_code = code
            self.desk.stopping = True
            known = isinstance(error, JournalFailed | _Different)
            _log.critical("the venue stops, without acknowledging: %s", error, exc_info=None if known else error)
            self.stopped.set()

    # --- what operators and people ask --------------------------------------------------------------------------------

    async def open_day(self, trading_day: str) -> list[dict[str, Any]]:
        """Open a trading day; the events of its opening. ValueError says why it cannot be."""
        try:
            instruments = listed(trading_day)
        except ValueError:
            raise ValueError(f"{trading_day} is no day of the calendar") from None
        self._carry_out_all()
        if self.exit_code != EXIT_GOOD:
            raise ValueError("the exchange stops")
        try:
            blocks = self.log.roll(trading_day, time.time_ns(), instruments=instruments)
        except DayNotComplete as error:
            raise ValueError(str(error)) from None
        self.sequencer.change_day(self.log.matcher.run_block, self.log.journal, self.log.time_ns)
        events = []
        for block in blocks:
            self._fold(block)
            events += [event_to_json(event, self.desk.directory) for event in read_events(block.events)]
        return events

    def _carry_out_all(self) -> None:
        """Empty the inbox and wait until all is durable and told."""
        try:
            while self.desk.waiting or self.sequencer.waiting or self.sequencer.in_flight:
                self._turn()
                if self.exit_code != EXIT_GOOD:
                    return
                if self.sequencer.in_flight:
                    self.log.journal.wait()
                    self._tell()
        except Exception as error:
            self._fail(error)

    def health(self) -> dict[str, Any]:
        """What only the venue knows of how it is."""
        return {
            "seq": self.sequencer.next_seq - 1,
            "epoch": self.log.recovery.epoch,
            "market_data": {"path": "/ws/v1/md", "port": self.settings.market_data_port},
            "readers": len(self.publisher.readers),
            "demo": self.settings.demo,
        }

    # --- its life -----------------------------------------------------------------------------------------------------

    async def run(self, sockets: list[socket.socket], tell: Callable[[], None], extend: Extend | None = None) -> int:
        """Serve on bound sockets until a signal or a failure; the exit code. `tell` is called once it serves."""
        app = make_app(self.desk, open_day=self.open_day, health=self.health, calls=self.calls)
        app.include_router(make_trade_router(self.desk, most_connections=self.settings.most_connections))
        app.include_router(make_market_data_router(self.publisher))
        if extend is not None:
            extend(app)
        server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                limit_concurrency=self.settings.most_connections + self.settings.most_readers + 500,
                **UVICORN_OPTIONS,
            )
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self.stopped.set)
        serving = asyncio.create_task(server.serve(sockets))
        chores = [asyncio.create_task(self._keep_house()), asyncio.create_task(self._keep_phases())]
        bots: asyncio.subprocess.Process | None = None
        following: asyncio.Task[None] | None = None
        try:
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            if self.settings.demo:
                bots = await children.start_bots(_url(self.settings), self.settings.data / demo.KEYS_FOLDER)
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            tell()
            if self.settings.follower == "on" and self.sync:
                command = children.follow(self.settings.data, self.settings.snapshot_every)
                following = asyncio.create_task(children.keep_following(command, self._is_told_different))
            stopped = asyncio.create_task(self.stopped.wait())
            await asyncio.wait([stopped, serving], return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
        finally:
            for chore in chores:
                chore.cancel()
            await children.end(bots)
            self._finish()
            if following is not None:
                following.cancel()
                await asyncio.wait([following])
            server.should_exit = True
            await serving
            self._close_log()
        return self.exit_code

    def _finish(self) -> None:
        """Answer what was asked before, then close the connections, and carry out what their going asks for."""
        _log.info("stopping")
        self.desk.stopping = True
        if self.exit_code == EXIT_GOOD:
            self._carry_out_all()
        leaving = list(self.desk.connections)
        self.desk.close_all()
        if self.exit_code == EXIT_GOOD:
            for connection in leaving:
                self.desk.leave(connection)
            self._carry_out_all()
            self._publish()

    def _close_log(self) -> None:
        if self.exit_code != EXIT_GOOD:
            self.log.abandon()
            return
        try:
            self.log.close()
            _log.info("stopped cleanly at seq %d", self.log.journal.last_seq)
        except JournalFailed as error:
            self.exit_code = EXIT_FAILED
            _log.critical("the log could not be closed properly: %s", error)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            self._turn_ns = min(self._turn_ns, QUICK_TURN_NS * 3 // 4)  # the disk may be quicker by now
            try:
                self.desk.refresh_keys()
            except KeyFileError as error:
                _log.error("the keys stay as they were: %s", error)
            self._tell_time(time.time_ns())

    def _tell_time(self, now_ns: int) -> None:
        """Tick the log's clock if a good-till-date order is due: nothing else tells the core that its time has come."""
        due = self.desk.reports.next_expiry()
        if due is not None and due <= now_ns:
            self.desk.submit_tick()

    async def _keep_phases(self) -> None:
        """End re-opening calls and, in the demonstration, run its trading day."""
        calendar = demo.DemoCalendar() if self.settings.demo else None
        while True:
            self._step_phases(self._loop.time(), calendar)
            await asyncio.sleep(PHASES_SECONDS)

    def _step_phases(self, now: float, calendar: demo.DemoCalendar | None) -> None:
        directory = self.desk.directory
        self.calls.watch(now, directory, self._call_seconds())
        for symbol, pulled in self.calls.due(now, directory):
            if pulled:
                self._set_phase(symbol, Phase.CONTINUOUS, "the volatility call ends", "venue", auto=1)
            else:
                self._set_phase(symbol, Phase.CONTINUOUS, "the re-opening call ends", "venue")
        if calendar is not None:
            phases = {one.symbol: one.phase for one in directory.listed()}
            for symbol, phase in calendar.due(now, phases, self.calls.held()):
                self._set_phase(symbol, phase, "demonstration calendar", "calendar")

    def _call_seconds(self) -> float:
        """How long a volatility call lasts: its time, and a random part against gaming of its end."""
        draw = secrets.randbelow(1000 * self.settings.call_draw_seconds + 1)
        return self.settings.call_seconds + draw / 1000

    def _set_phase(self, symbol: str, phase: Phase, why: str, by: str, **more: int) -> None:
        with contextlib.suppress(BadRequest):  # the venue stops
            self.ask(CommandKind.PHASE_SET, {"symbol": symbol, "phase": word(phase), "why": why, "by": by, **more})


class _Different(Exception):
    """What the venue has written down is not what another one makes of it."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the venue has to finish its own work first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _note_refusal(events: list[dict[str, Any]]) -> None:
    for event in events:
        if event["ev"] == "act.rejected":
            _log.warning("an act of the venue was refused: %s %s", event["code"], event["text"])


def _reachable(host: str) -> str:
    """An address at which this machine reaches a server that listens on `host`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def _url(settings: Settings) -> str:
    return f"http://{_reachable(settings.host)}:{settings.port}"


def _bind(host: str, port: int) -> socket.socket:
    """A listening socket, bound before anything else so that a busy port is told at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def serve(settings: Settings, *, command: str = "cashew", extend: Extend | None = None) -> int:
    """Run an exchange until a signal comes; the exit code (0 stopped cleanly, 1 failed, 3 the log is damaged).

    `command` is how the person who reads what is printed starts our command line. `extend` may add doors to the
    application before it serves (a bench adds its echo).
    """
    if not __debug__:
        print("cashew: the exchange does not run with python -O: its assertions stay on", file=sys.stderr)
        return EXIT_FAILED
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # of bad requests no client shall fill the log
    sockets: list[socket.socket] = []
    try:
        for port in (settings.port, settings.market_data_port):
            sockets.append(_bind(settings.host, port))
    except OSError as error:
        print(f"cashew: cannot listen on {settings.host}:{port}: {error.strerror}", file=sys.stderr)
        for bound in sockets:
            bound.close()
        return EXIT_FAILED
    ports = [bound.getsockname()[1] for bound in sockets]
    settings = settings.model_copy(update={"port": ports[0], "md_port": ports[1]})
    try:
        return uvloop.run(_serve(settings, sockets, command, extend))
    except (LogBusy, KeyFileError, JournalFailed, OSError) as error:
        print(f"cashew: {error}", file=sys.stderr)
        return EXIT_FAILED
    except Rot as error:
        print(f"cashew: the log is damaged: {error}", file=sys.stderr)
        return EXIT_DAMAGED
    finally:
        for bound in sockets:
            bound.close()


async def _serve(settings: Settings, sockets: list[socket.socket], command: str, extend: Extend | None) -> int:
    settings.data.mkdir(parents=True, exist_ok=True)
    keys = demo.ensure_keys(settings.data) if settings.demo else {}
    if settings.sync == "off":
        _log.warning("sync is off: what is acknowledged is not on disk; for benches only")
    venue = Venue(settings, accounts=demo.ACCOUNTS if settings.demo else ())
    url = _url(settings)

    def tell() -> None:
        symbols = [(one.symbol, one.terms) for one in venue.desk.directory.listed()]
        print(banner(url, settings, symbols, keys, command), flush=True)

    return await venue.run(sockets, tell, extend)
