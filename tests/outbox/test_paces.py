"""How often a second a peer is asked, on a clock that is moved by hand."""

import asyncio
from collections import Counter

from tests.outbox.post import run, turn
from tests.queues.desk import HandClock
from tocsin.targets.paces import Paces


def test_turns_are_spread_evenly_and_one_that_comes_later_is_kept() -> None:
    async def main() -> None:
        clock = HandClock()
        paces = Paces(clock)
        assert await paces.turn("slow", "a", 1) == 0
        assert await paces.turn("slow", "a", 1) == 1.0
        assert await paces.turn("slow", "a", 1) == 1.0, "one turn is kept for each"
        clock.move(0.25)
        assert await paces.turn("slow", "a", 1) == 0.75
        assert await paces.turn("slow", "b", 1) == 1.75
        clock.move(0.75)
        assert await paces.turn("slow", "a", 1) == 0
        assert await paces.turn("slow", "a", 1) == 2.0, "behind the other"

    run(main())


def test_a_turn_that_comes_soon_is_waited_for() -> None:
    async def main() -> None:
        clock = HandClock()
        paces = Paces(clock)
        assert await paces.turn("fast", "a", 4) == 0
        waiting = asyncio.create_task(paces.turn("fast", "a", 4))
        await turn()
        assert not waiting.done()
        clock.move(0.25)
        assert await waiting == 0

    run(main())


def test_peers_have_paces_of_their_own() -> None:
    async def main() -> None:
        paces = Paces(HandClock())
        assert [await paces.turn(name, "a", 1) for name in ("a", "b", "c")] == [0, 0, 0]

    run(main())


def test_who_comes_much_too_late_asks_anew() -> None:
    async def main() -> None:
        clock = HandClock()
        paces = Paces(clock)
        for by in ("a", "b", "c", "d"):
            await paces.turn("slow", by, 1)
        clock.move(10)
        assert [await paces.turn("slow", by, 1) for by in ("b", "c", "d")] == [0, 1, 2]

    run(main())


def test_law_no_second_sees_more_than_its_number_and_all_have_their_share() -> None:
    async def main() -> None:
        clock = HandClock()
        paces = Paces(clock)
        made: list[float] = []
        whose: Counter[str] = Counter()

        async def asked(by: str) -> None:
            if await paces.turn("x", by, 4) == 0:
                made.append(clock.now().timestamp())
                whose[by] += 1

        asking = []
        for _ in range(200):
            asking += [asyncio.create_task(asked(by)) for by in ("loud", "loud", "loud", "quiet")]
            await turn()
            clock.move(0.1)
            await turn()
        assert all(sum(at <= other < at + 1 for other in made) <= 5 for at in made)
        assert 76 <= len(made) <= 84
        assert whose["quiet"] >= 15

    run(main())
