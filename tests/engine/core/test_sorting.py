"""The heap sort of order ids."""

import random

import pytest

from engine.core.sorting import sort_scratch
from tests.engine.core.alone import alone
from tests.engine.world import SMALL, World, behind, views

sort_scratch = alone(sort_scratch)

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]


@pytest.mark.parametrize("count", (0, 1, 2, 3, 4, 7, 8, 9, 500))
def test_order_ids_are_sorted_and_nothing_behind_them_is_touched(count: int) -> None:
    world = World(SMALL._replace(orders=600), terms=(), phase=None)
    scratch = world.state.arrays.scratch
    rng = random.Random(count)
    shapes = [
        list(range(count)),
        list(range(count, 0, -1)),
        [5] * count,
        [rng.randrange(1, 1 << 62) for _ in range(count)],
        [rng.randrange(4) for _ in range(count)],
    ]
    for shape in shapes:
        scratch[:count] = shape
        scratch[count : count + 3] = -1, -2, -3
        sort_scratch(behind(views(world.state)), count)
        assert scratch[: count + 3].tolist() == [*sorted(shape), -1, -2, -3]


def test_every_order_of_a_few_is_sorted() -> None:
    world = World(terms=(), phase=None)
    scratch, d = world.state.arrays.scratch, behind(views(world.state))
    for number in range(5**5):
        shape = [number // 5**place % 5 for place in range(5)]
        scratch[:5] = shape
        sort_scratch(d, 5)
        assert scratch[:5].tolist() == sorted(shape), shape
