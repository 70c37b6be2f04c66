"""Every difference that was ever found, and every corner worth keeping, played again from its file.

A file of tests/corpus holds the commands, shrunk; both programs must agree on them for ever, whatever the cut, and the
events must obey the laws.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.lane import PLAIN
from engine.schema import Limits
from tests.properties.ledger import Ledger
from tests.properties.pair import CORPUS, Block, Pair, Script, from_json, to_json

FILES = sorted(CORPUS.glob("*.json"))

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("buffer", [16] if PLAIN else [None, 0, 16])
def test_corpus_script_shows_no_difference(path: Path, buffer: int | None) -> None:
    script = from_json(path.read_text(encoding="utf-8"))
    pair, ledger = Pair(script.limits), Ledger()
    for block in script.blocks:
        events = pair.run(block if buffer is None else block._replace(buffer=buffer))
        if len(set(script.rows()["seq"].tolist())) == len(script):
            ledger.seq = None  # shrunk scripts leave gaps in seq
            ledger.feed(events)
        pair.compare()
        pair.check()


def test_corpus_is_not_empty() -> None:
    assert FILES, "the corpus holds at least the corners written by hand"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_corpus_file_reads_back_as_it_was_written(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    script = from_json(text)
    again = from_json(to_json(script, "again"))
    assert [(b.rows.tobytes(), b.payload, b.buffer) for b in again.blocks] == [
        (b.rows.tobytes(), b.payload, b.buffer) for b in script.blocks
    ]
    assert script.limits == again.limits


def test_a_script_without_blocks_reads_back() -> None:
    assert from_json(to_json(Script(Limits(orders=3)), "nothing")) == Script(Limits(orders=3))
    assert Block.__annotations__.keys() == {"rows", "payload", "buffer"}
