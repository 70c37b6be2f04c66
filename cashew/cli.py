"""The `cashew` command: where its groups are put together, and where errors become one sentence and an exit code.

Exit codes: 0 good, 1 failed, 2 usage, 3 verification failed, 4 cannot connect, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

import typer

from cashew.commands import history, keys, order, session
from cashew.commands.common import CANNOT_CONNECT, FAILED, INTERRUPTED, USAGE, CommandFailed
from cashew.commands.match import match
from cashew.commands.md import instruments, md
from cashew.commands.serve import serve
from cashew.errors import CannotConnect, CashewError

__all__ = ["app", "main"]

EPILOG = (
    "Exit codes: 0 good, 1 failed, 2 usage, 3 verification failed, 4 cannot connect, 130 interrupted. "
    "CASHEW_URL and CASHEW_KEY stand in for --url and --key."
)

app = typer.Typer(
    name="cashew",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="The cashew exchange: run it, trade on it, watch it, prove it.",
    epilog=EPILOG,
)
app.command()(serve)
app.command()(match)
app.command()(history.verify)
app.command()(history.replay)
app.add_typer(session.app, name="session")
app.command("new-day")(session.new_day)
app.command("new-account")(session.new_account)
app.command("act")(session.pull)
app.add_typer(order.app, name="order")
app.command()(md)
app.command()(instruments)
app.add_typer(keys.app, name="keys")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what a person sees of an error is one clear sentence."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = app(args=arguments, prog_name="cashew", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except typer.TyperException as error:
        message = error.format_message()
        if message.startswith("Usage:"):  # a group was named without a command: its help is the answer
            print(message)
        else:
            complain(f"{message.rstrip('.')}. Try: {hint(error)}")
        return USAGE if error.exit_code == USAGE else FAILED
    except CommandFailed as error:
        complain(str(error))
        return error.exit_code
    except CashewError as error:
        if "--json" in arguments:
            failure = {"ev": "error", "code": error.code, "text": error.text, "fate": error.fate}
            print(json.dumps(failure), flush=True)
        complain(f"{error.text} [{', '.join(part for part in (error.code, getattr(error, 'rule', '')) if part)}]")
        return CANNOT_CONNECT if isinstance(error, CannotConnect) else FAILED
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left; there is nobody to tell, and the interpreter must not try at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if os.environ.get("CASHEW_DEBUG"):
            raise
        complain(f"this should not have happened: {type(error).__name__}: {error} (CASHEW_DEBUG=1 shows where)")
        return FAILED


def complain(text: str) -> None:
    print(f"cashew: {text}", file=sys.stderr, flush=True)


def hint(error: typer.TyperException) -> str:
    """The help that belongs to a usage error."""
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context is not None else 'cashew'} --help"


if __name__ == "__main__":
    sys.exit(main())
