"""A world whose parts should never end, and one of which does."""

import asyncio
from typing import Any, NoReturn

from tocsin.server.worlds import World


async def falls() -> None:
    raise RuntimeError("why")


async def never(*_: Any) -> NoReturn:
    raise AssertionError("nobody asks")


def test_a_part_that_falls_ends_its_world_and_says_why() -> None:
    async def main() -> BaseException | None:
        world = World(never, [falls()], never, never)
        world.start()
        fallen = await world.ended
        await world.stop()
        return fallen.exception()

    assert repr(asyncio.run(main())) == "RuntimeError('why')"
