"""The compiled matcher of the log against the readable one."""

from __future__ import annotations

from engine.apply import new_state
from engine.compiled import Compiled
from engine.reference import Reference
from tests.flow import Flow


def test_it_answers_as_the_readable_matcher_does() -> None:
    flow = Flow(5)
    core, reference = Compiled(flow.mix.limits), Reference(flow.mix.limits)
    for rows, payload in (flow.prologue(), flow.take(200)):
        events = core.run_block(rows, payload)
        assert events.tobytes() == reference.run_block(rows, payload).tobytes()
        flow.observe(events)
    world = core.dump()
    assert world == reference.dump()
    for number in range(1, len(world["instruments"]) + 1):
        assert core.book(number) == reference.book(number)
        price, volume, surplus, step = reference.indicative(number)
        assert core.indicative(number) == (price, volume, surplus, int(step))


def test_it_goes_on_with_a_state_that_it_is_given() -> None:
    flow = Flow(5)
    state = new_state(flow.mix.limits)
    Compiled(flow.mix.limits, state).run_block(*flow.prologue())
    assert Compiled(flow.mix.limits, state).dump()["seq"] == state.seq > 0
