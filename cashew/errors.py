"""What can go wrong, sorted by the one thing a trader has to know: was it done?

Every error carries `code`, a clear `text`, and `fate`: "not_done" (nothing happened, safe to send again),
"done" (it happened, although the answer is no success) or "unknown" (ask again by the client's own id).
"""

from __future__ import annotations

__all__ = [
    "CannotConnect",
    "CashewError",
    "Done",
    "FellBehind",
    "LogonRefused",
    "NotDone",
    "Rejected",
    "Unknown",
    "from_answer",
]


class CashewError(Exception):
    """Base of all errors of this library."""

    fate = "unknown"

    def __init__(self, code: str, text: str, *, cl_ord_id: str | None = None) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
        self.cl_ord_id = cl_ord_id


class NotDone(CashewError):
    """The request changed nothing on the exchange."""

    fate = "not_done"


class Rejected(NotDone):
    """The matching engine refused the request by a numbered rule, such as R12."""

    def __init__(self, code: str, text: str, *, rule: str = "", cl_ord_id: str | None = None) -> None:
        super().__init__(code, text, cl_ord_id=cl_ord_id)
        self.rule = rule


class CannotConnect(NotDone):
    """Nobody answers at this address, or what answers does not speak this protocol."""


class LogonRefused(NotDone):
    """The exchange does not accept this key."""


class Done(CashewError):
    """The request took effect, although it was not answered with success."""

    fate = "done"


class Unknown(CashewError):
    """The request was sent and its outcome is not known; `client.status(cl_ord_id)` can tell."""

    fate = "unknown"


class FellBehind(CashewError):
    """A reader of executions or trades did not keep up with its bounded queue; what follows would have a hole."""

    fate = "not_done"


def from_answer(answer: dict[str, object], *, cl_ord_id: str | None = None) -> CashewError:
    """Turn a negative answer of the exchange into the error of its fate."""
    code = str(answer.get("code", "UNKNOWN_ERROR"))
    text = str(answer.get("text") or "the exchange gave no text")
    fate = answer.get("fate", "not_done")
    if fate == "unknown":
        return Unknown(code, text, cl_ord_id=cl_ord_id)
    if fate == "done":
        return Done(code, text, cl_ord_id=cl_ord_id)
    if answer.get("rule"):
        return Rejected(code, text, rule=str(answer["rule"]), cl_ord_id=cl_ord_id)
    return NotDone(code, text, cl_ord_id=cl_ord_id)
