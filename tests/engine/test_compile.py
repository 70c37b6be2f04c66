"""`python -m engine.compile`: one line when all is ready, and signs of life while it is not."""

import threading
from types import SimpleNamespace

import pytest

from engine import apply, compile


@pytest.mark.jit_off
@pytest.mark.bounds
@pytest.mark.parametrize(("fresh", "word"), [(True, "compiled"), (False, "ready")])
def test_the_outcome_is_told_on_stderr(
    fresh: bool, word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(apply, "warm", lambda: fresh)
    assert compile.main() == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"matching core {word} in ") and told.err.endswith(" s\n") and told.err.count("\n") == 1


@pytest.mark.jit_off
@pytest.mark.bounds
def test_progress_is_told_while_it_compiles(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float | None] = []
    printed = threading.Event()

    class Impatient(threading.Event):
        """The first wait ends at once without the event, the second tells that something was printed in between."""

        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            if len(waits) == 1:
                return False
            printed.set()
            return super().wait(10)

    monkeypatch.setattr(compile, "threading", SimpleNamespace(Event=Impatient, Thread=threading.Thread))
    monkeypatch.setattr(apply, "warm", lambda: printed.wait(10))
    assert compile.main() == 0
    told = capsys.readouterr().err.splitlines()
    assert "compiling the matching core" in told[0] and "matching core compiled" in told[-1]
    assert waits[0] == 2.0, "a sign of life every two seconds"
