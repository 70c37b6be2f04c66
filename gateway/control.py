"""The doors of people and operators: REST, and the plain pages that say what runs here.

Floor 4.  Everything served is our own: no page asks anything of another host.  An operator's act goes through the log
like any order; its answer is what the log says of it.
"""

from __future__ import annotations

import asyncio
import html
import platform
from collections.abc import Awaitable, Callable
from importlib import metadata
from typing import Annotated, Any, Final

import msgspec
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from msgspec import Meta, Struct
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.phases import PHASES
from engine.schema import (
    FORMAT_VERSION,
    MAX_FRAME_BYTES,
    OP_WORDS,
    RULES_VERSION,
    SYMBOL_ALL,
    CommandKind,
    Phase,
    word,
    words,
)
from gateway.accounts import Key
from gateway.calls import CALL_SECONDS, CALL_SECONDS_MAX, ReopeningCalls
from gateway.codec import BadRequest, act_payload
from gateway.desk import Desk
from gateway.directory import Instrument
from gateway.requests import decode_body
from gateway.tickets import Act

__all__ = ["Refused", "make_app"]

ANSWER_SECONDS: Final = 30.0
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Name = Annotated[str, Meta(min_length=1, max_length=32)]
Terms = dict[str, Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | str]
OpenDay = Callable[[str], Awaitable[list[dict[str, Any]]]]


def _before(phase: Phase) -> frozenset[Phase]:
    """The phases that a phase may follow."""
    return frozenset(before for before, rule in PHASES.items() if phase in rule.next)


# Which phase an action leads to, and from which phases it does (an operator who resumes must not open what is closed).
# A halt is left through a call (R42): that of `resume` is ended by the venue.
ACTIONS: Final[dict[str, tuple[Phase, frozenset[Phase]]]] = {
    "pre_open": (Phase.PRE_OPEN, _before(Phase.PRE_OPEN)),
    "open": (Phase.CONTINUOUS, _before(Phase.CONTINUOUS)),
    "halt": (Phase.HALTED, _before(Phase.HALTED)),
    "resume": (Phase.PRE_OPEN, frozenset({Phase.HALTED})),
    "close": (Phase.CLOSED, _before(Phase.CLOSED)),
}
EXACT: Final = ("phase", "uncross")  # acts whose every word the operator chooses, and the log judges
_PHASES: Final = words(Phase)


class SessionAct(Struct, forbid_unknown_fields=True):
    """Body of POST /operator/session: an action on an instrument (`symbol`, or ALL) or on the instruments of a `group`.

    `call_seconds`, of `resume`: how long the re-opening call lasts, 0 until somebody ends it.  `phase` and what follows
    it, of the action `phase`: any phase that the table lets follow, as R42, R63 and R65 say.
    """

    action: str
    why: Text
    symbol: Name = ""
    group: Name = ""
    call_seconds: Annotated[int, Meta(ge=0, le=CALL_SECONDS_MAX)] = CALL_SECONDS
    phase: Name = ""
    override: bool = False
    at_last_match: bool = False
    draw: Annotated[int, Meta(ge=0, le=3_600_000)] = 0


class DayAct(Struct, forbid_unknown_fields=True):
    """Body of POST /operator/day."""

    trading_day: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    why: Text


class AccountAct(Struct, forbid_unknown_fields=True):
    """Body of POST /operator/accounts: the payload of rule R41."""

    account: Name
    member: Name
    owner: Name
    ccy: Name = ""


class LeverAct(Struct, forbid_unknown_fields=True):
    """Body of POST /operator/act: an act of LEVERS and its payload (rules R66, R67, R72 to R77)."""

    op: str
    why: Text
    p: Terms


LEVERS: Final = {
    op: OP_WORDS[op]
    for op in (
        "control.set", "limit.set", "collateral.set", "fixing.set", "margin.set", "fee.set", "cap.set", "kill.set",
    )
}  # fmt: skip


class Refused(Exception):
    """A request that is not carried out: an HTTP status, a code and a text."""

    def __init__(self, status: int, code: str, text: str, **more: Any) -> None:
        super().__init__(f"{code}: {text}")
        self.status = status
        self.content = {"ev": "error", "ok": False, "code": code, "text": text, "fate": "not_done", **more}


class BodyLimit:
    """Refuses request bodies above 64 KiB, announced or not, before anything reads them."""

    def __init__(self, app: ASGIApp, most: int = MAX_FRAME_BYTES) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > self.most:
            await _too_long(self.most)(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.most:
                raise Refused(413, "BAD_VALUE", f"a body is at most {self.most} bytes long")
            return message

        await self.app(scope, counted, send)


def _too_long(most: int) -> JSONResponse:
    return JSONResponse(Refused(413, "BAD_VALUE", f"a body is at most {most} bytes long").content, 413)


def make_app(
    desk: Desk,
    *,
    open_day: OpenDay,
    health: Callable[[], dict[str, Any]],
    calls: ReopeningCalls | None = None,
    title: str = "Cashew exchange",
) -> FastAPI:
    """Make the venue's application with its REST doors and pages; the sockets' routers are included by the venue.

    `open_day` opens a trading day and gives the events of its opening (ValueError says why not); `health` adds what
    only the venue knows to GET /health; `calls` is told of re-opening calls, which the venue is to end.
    """
    calls = ReopeningCalls() if calls is None else calls
    app = FastAPI(
        title=title,
        version=metadata_version(),
        description="Order entry is the WebSocket /ws/v1/trade, market data /ws/v1/md; these are the other doors.",
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(BodyLimit)

    async def refuse(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Refused), "registered for this exception"
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
        return JSONResponse(error.content, error.status, headers)

    app.add_exception_handler(Refused, refuse)

    @app.get("/health", summary="How the exchange is")
    async def get_health() -> dict[str, Any]:
        listed = desk.directory.listed()
        return {
            "status": "stopping" if desk.stopping else "ok",
            "trading_day": desk.trading_day(),
            "durable_seq": desk.directory.seq,
            "sync": "on" if desk.sync else "off",
            **({} if desk.sync else {"warning": "sync is off: an acknowledgement is not on disk (benches only)"}),
            "connections": desk.count_active(),
            "waiting": desk.waiting,
            "versions": {
                "cashew": metadata_version(),
                "format": FORMAT_VERSION,
                "rules": RULES_VERSION,
                "python": platform.python_version(),
            },
            "phases": {instrument.symbol: word(instrument.phase) for instrument in listed},
            **health(),
        }

    @app.get("/instruments", summary="What is listed, on which terms, in which phase")
    async def get_instruments() -> list[dict[str, Any]]:
        return [_instrument(one) for one in desk.directory.listed()]

    @app.post("/operator/session", summary="Open, halt, resume or close trading", openapi_extra=_body(SessionAct))
    async def post_session(request: Request) -> Any:
        key = _operator(desk, request)
        body = decode_body(SessionAct, await request.body())
        if body.action in EXACT:
            return await _exact(desk, key, body)
        events = await _session(desk, key, body)
        if body.action == "resume":
            now = asyncio.get_running_loop().time()
            for event in events:
                if event["ev"] == "phase.changed":
                    calls.begin(event["symbol"], event["seq"], now, body.call_seconds)
        return events

    @app.post("/operator/day", summary="Begin a trading day", openapi_extra=_body(DayAct))
    async def post_day(request: Request) -> Any:
        _operator(desk, request)
        body = decode_body(DayAct, await request.body())
        try:
            return await open_day(body.trading_day)
        except ValueError as error:
            raise Refused(409, "DAY_ORDER", str(error)) from None

    @app.post("/operator/accounts", summary="Define an account", openapi_extra=_body(AccountAct))
    async def post_account(request: Request) -> Any:
        key = _operator(desk, request)
        body = decode_body(AccountAct, await request.body())
        terms = {name: value for name, value in msgspec.structs.asdict(body).items() if value}
        return _answer(await _ask(desk, key, CommandKind.ACCOUNT_DEFINE, terms))

    @app.post("/operator/act", summary="Limits, margins, fees, caps, kill switches", openapi_extra=_body(LeverAct))
    async def post_act(request: Request) -> Any:
        key = _operator(desk, request)
        body = decode_body(LeverAct, await request.body())
        if body.op not in LEVERS:
            raise Refused(400, "BAD_VALUE", f"an op is one of {', '.join(LEVERS)}")
        return _answer(await _ask(desk, key, LEVERS[body.op], {**body.p, "why": body.why, "by": key.member}))

    @app.post("/operator/instruments", summary="Define an instrument (rule R40)", openapi_extra=_body(dict[str, Any]))
    async def post_instrument(request: Request) -> Any:
        key = _operator(desk, request)
        body = decode_body(Terms, await request.body())
        return _answer(await _ask(desk, key, CommandKind.INSTRUMENT_DEFINE, body))

    async def refuse_bad(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, BadRequest), "registered for this exception"
        status = 503 if error.code == "BUSY" else 400
        return JSONResponse(Refused(status, error.code, error.text).content, status)

    app.add_exception_handler(BadRequest, refuse_bad)

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(_home(title, desk))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(_docs(title, app))

    return app


def metadata_version() -> str:
    """The version of the installed distribution, or that of a checkout."""
    try:
        return metadata.version("cashew-exchange")
    except metadata.PackageNotFoundError:
        return "checkout"


def _operator(desk: Desk, request: Request) -> Key:
    """The operator's key of a request; Refused 401 without a good key, 403 with another role's."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    key = desk.find_key(token.strip()) if scheme.lower() == "bearer" else None
    if key is None:
        raise Refused(401, "NOT_LOGGED_ON", "this needs an operator's key")
    if key.role != "operator":
        raise Refused(403, "NOT_PERMITTED", f"an operator may do this; this is the key of a {key.role}")
    return key


async def _ask(desk: Desk, key: Key, kind: CommandKind, terms: dict[str, Any]) -> list[dict[str, Any]]:
    """Send one act through the log; its events, once they are durable."""
    done: asyncio.Future[list[dict[str, Any]]] = asyncio.get_running_loop().create_future()

    def finish(events: list[dict[str, Any]]) -> None:
        if not done.done():
            done.set_result(events)

    desk.submit_act(Act(kind, act_payload(terms), key.number, finish))
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await done
    except TimeoutError:
        raise Refused(504, "BUSY", "no answer from the log in time; ask /health", fate="unknown") from None


def _named(body: SessionAct) -> dict[str, str]:
    """The key of a phase act by which the body names its instruments."""
    if bool(body.symbol) == bool(body.group):
        raise Refused(400, "MISSING_FIELD", "an act names a symbol (or ALL) or a group, one of them")
    return {"symbol": body.symbol} if body.symbol else {"group": body.group}


def _meant(desk: Desk, body: SessionAct) -> list[Instrument]:
    """The instruments that a body means; those with a phase of their own only if it names them (R65)."""
    listed = desk.directory.listed()
    if body.group:
        meant = [one for one in listed if one.terms.get("group") == body.group]
    else:
        meant = [one for one in listed if body.symbol in (SYMBOL_ALL, one.symbol)]
    if not meant:
        text = f"no instrument of the group {body.group!r}" if body.group else f"no instrument {body.symbol!r}"
        raise Refused(409, "UNKNOWN_INSTRUMENT", text, rule="R42")
    return [one for one in meant if not one.override or one.symbol == body.symbol]


async def _session(desk: Desk, key: Key, body: SessionAct) -> list[dict[str, Any]]:
    """Carry out an action on all the instruments meant that are in a phase from which it leads."""
    if body.action not in ACTIONS:
        raise Refused(400, "BAD_VALUE", f"an action is one of {', '.join((*ACTIONS, *EXACT))}")
    for name in ("phase", "override", "at_last_match", "draw"):
        if getattr(body, name):
            raise Refused(400, "BAD_VALUE", f"{name} belongs to the action phase")
    phase, sources = ACTIONS[body.action]
    named, meant = _named(body), _meant(desk, body)
    ready = [one for one in meant if one.phase in sources]
    if not ready:
        found = ", ".join(sorted({word(one.phase) for one in meant})) or "a phase of its own"
        raise Refused(409, "PHASE_TRANSITION", f"{body.action} is no step from {found}", rule="R42")
    whole = len(ready) == len(meant) > 1
    targets = [named] if whole else [{"symbol": one.symbol} for one in ready]
    terms = {"phase": word(phase), "why": body.why, "by": key.member}
    answers = await asyncio.gather(*(_ask(desk, key, CommandKind.PHASE_SET, {**target, **terms}) for target in targets))
    return _answer([event for events in answers for event in events])


async def _exact(desk: Desk, key: Key, body: SessionAct) -> list[dict[str, Any]]:
    """Carry out the act `phase.set` or `auction.uncross` as the body says it."""
    terms: dict[str, Any] = {**_named(body), "why": body.why, "by": key.member}
    if body.action == "uncross":
        return _answer(await _ask(desk, key, CommandKind.AUCTION_UNCROSS, terms))
    if body.phase not in _PHASES:
        raise Refused(400, "BAD_VALUE", f"a phase is one of {', '.join(_PHASES)}")
    terms["phase"] = body.phase
    terms |= {name: int(getattr(body, name)) for name in ("override", "at_last_match", "draw") if getattr(body, name)}
    return _answer(await _ask(desk, key, CommandKind.PHASE_SET, terms))


def _answer(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of an act, or its refusal."""
    refusal = next((event for event in events if event["ev"] == "act.rejected"), None)
    if refusal is not None and len(events) == 1:
        raise Refused(409, refusal["code"], refusal["text"], rule=refusal["rule"], seq=refusal["seq"])
    return events


def _instrument(one: Instrument) -> dict[str, Any]:
    return {"instrument": one.number, **one.terms, "phase": word(one.phase)}


def _body(kind: Any) -> dict[str, Any]:
    (schema,), components = msgspec.json.schema_components([kind])
    name = schema.get("$ref", "").rpartition("/")[2]
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": components.get(name, schema)}}}
    }


_STYLE: Final = (
    "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left}code,pre{background:#f3f0ea}"
    "pre{padding:.6rem;overflow-x:auto}</style>"
)


def _page(title: str, body: str) -> str:
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>{_STYLE}'
    return f'{head}<link rel="icon" href="data:,"></head><body>{body}</body></html>\n'


def _home(title: str, desk: Desk) -> str:
    rows = "".join(
        f"<tr><td><code>{html.escape(one.symbol)}</code><td>{html.escape(str(one.terms.get('name', '')))}"
        f"<td>{html.escape(one.terms['ccy'])}/{html.escape(one.terms['unit'])}<td>{word(one.phase)}</tr>"
        for one in desk.directory.listed()
    )
    durable = "" if desk.sync else "<p><b>Sync is off: acknowledgements are not on disk. For benches only.</b></p>"
    return _page(
        title,
        f"<h1>{html.escape(title)}</h1><p>An order book for raw cashew nut and kernels. Trading day "
        f"{desk.trading_day()}, durable up to seq {desk.directory.seq}.</p>{durable}"
        f"<table><tr><th>symbol<th>contract<th>quote<th>phase</tr>{rows}</table>"
        "<h2>Doors</h2><ul><li><code>/ws/v1/trade</code> order entry (WebSocket, JSON; needs a key)"
        "<li><code>/ws/v1/md</code> market data (WebSocket, JSON; open to all)"
        '<li><a href="/instruments">/instruments</a> terms and phases<li><a href="/health">/health</a> how it is'
        '<li><a href="/docs">/docs</a> the REST doors<li><a href="/openapi.json">/openapi.json</a></ul>'
        "<h2>In a terminal</h2><pre>cashew md SYMBOL\ncashew order buy SYMBOL 1 @ PRICE --key FILE.key\n"
        "cashew session halt SYMBOL --why TEXT --key OPERATOR.key</pre>",
    )


def _docs(title: str, app: FastAPI) -> str:
    paths: dict[str, dict[str, Any]] = app.openapi()["paths"]
    rows = "".join(
        f"<tr><td>{method.upper()}<td><code>{html.escape(path)}</code><td>{html.escape(told.get('summary', ''))}</tr>"
        for path, methods in paths.items()
        for method, told in methods.items()
    )
    return _page(
        f"{title}: doors",
        f'<h1>REST</h1><table>{rows}</table><p>Shapes: <a href="/openapi.json">/openapi.json</a>. Operator doors take '
        "<code>Authorization: Bearer TOKEN</code> of an operator's key.</p><p>Every error is a JSON object with "
        "<code>code</code>, <code>text</code> and <code>fate</code>.</p>",
    )
