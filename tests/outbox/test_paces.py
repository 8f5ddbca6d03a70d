"""How often a second a peer is asked, on a clock that is moved by hand."""

import asyncio

from tests.outbox.post import run, turn
from tests.queues.desk import HandClock
from tocsin.targets.paces import Paces


def test_turns_are_spread_evenly_and_one_that_comes_later_is_told_when() -> None:
    async def main() -> None:
        clock = HandClock()
        paces = Paces(clock)
        assert await paces.turn("slow", 1) == 0
        assert await paces.turn("slow", 1) == 1.0
        assert await paces.turn("slow", 1) == 1.0, "nothing was reserved"
        clock.move(0.25)
        assert await paces.turn("slow", 1) == 0.75
        clock.move(0.75)
        assert await paces.turn("slow", 1) == 0

    run(main())


def test_a_turn_that_comes_soon_is_waited_for() -> None:
    async def main() -> None:
        clock = HandClock()
        paces = Paces(clock)
        assert await paces.turn("fast", 4) == 0
        waiting = asyncio.create_task(paces.turn("fast", 4))
        await turn()
        assert not waiting.done()
        clock.move(0.25)
        assert await waiting == 0

    run(main())


def test_peers_have_paces_of_their_own() -> None:
    async def main() -> None:
        paces = Paces(HandClock())
        assert [await paces.turn(name, 1) for name in ("a", "b", "c")] == [0, 0, 0]

    run(main())


def test_law_no_second_sees_more_than_its_number() -> None:
    async def main() -> None:
        clock = HandClock()
        paces = Paces(clock)
        made: list[float] = []

        async def asked() -> None:
            if await paces.turn("x", 2) == 0:
                made.append(clock.now().timestamp())

        for _ in range(200):
            asking = [asyncio.create_task(asked()) for _ in range(2)]
            await turn()
            clock.move(0.1)
            await turn()
            del asking
        assert all(sum(at <= other < at + 1 for other in made) <= 3 for at in made)
        assert 38 <= len(made) <= 42

    run(main())
