"""The law of the Store port: the journal and the story, which only grow."""

import asyncio

from msgspec.structs import replace

from tests.conformance.conftest import Opened
from tests.conformance.holding import HERE, OTHERS, THERE, event, ids, refused, tags, told
from tocsin.model.changes import (
    Accept,
    Advance,
    Delete,
    Forget,
    Hold,
    Put,
)
from tocsin.model.errors import Stale
from tocsin.model.noise import Held
from tocsin.model.tags import Tags


async def test_the_journal_holds_events_byte_for_byte_in_the_order_of_commits(opened: Opened) -> None:
    events = [
        event("one", body=b'{"k": "\xc3\xa9"}'),
        event("two", THERE, bus="b\u00fcs", body=bytes(range(256)), at_ms=1 << 50),
        event("three", OTHERS, body=b""),
        event("11111111-2222-3333-4444-555555555555", body=b"x" * 300_000),
    ]
    async with opened() as store:
        await store.commit(Accept(events[0]), Put(tags("a")), Accept(events[1]))
        await store.commit(Accept(events[2]))
        await asyncio.gather(store.commit(Accept(events[3])), store.commit(Accept(event("last"))))
    async with opened() as store:
        entries = await store.journal(0, 100)
        assert [entry.event for entry in entries] == [*events, event("last")]
        seqs = [entry.seq for entry in entries]
        assert seqs == sorted(set(seqs))
        assert seqs[0] > 0
        assert await store.journal_bounds() == (seqs[0], seqs[-1])
        assert await store.journal(seqs[1], 2) == entries[2:4]
        assert await store.journal(seqs[-1], 2) == []
        assert await store.journal(0, 0) == []


async def test_an_event_journaled_before_is_left_as_it_is(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(Accept(event("a")), Accept(event("a", body=b"again")), Accept(event("b")))
        await store.commit(Accept(event("a", body=b"later")))
        bounds = await store.journal_bounds()
        await store.commit(Accept(event("b", body=b"again")), Put(tags("beside")))
        assert await store.journal_bounds() == bounds
        assert await store.get(Tags, HERE, "beside") == tags("beside")
        await store.commit(Accept(event("a", THERE)), Accept(event("a", OTHERS)))
        await asyncio.gather(*(store.commit(Accept(event("c", at_ms=i))) for i in range(20)))
        assert [(e.event.scope, e.event.id) for e in await store.journal(0, 100)] == [
            (HERE, "a"),
            (HERE, "b"),
            (THERE, "a"),
            (OTHERS, "a"),
            (HERE, "c"),
        ]
        assert (await store.journal(0, 1))[0].event.body == event("a").body
    async with opened() as store:
        await store.commit(Accept(event("a")))
        assert len(await ids(store)) == 5


async def test_marks_tell_of_entries_without_their_bodies(opened: Opened) -> None:
    async with opened() as store:
        assert await store.journal_marks(0, 9) == []
        await store.commit(*(Accept(event(f"{n}", body=b"x" * n, at_ms=n)) for n in range(5)))
        await store.commit(Forget(through_seq=(await store.journal(0, 2))[-1].seq))
    async with opened() as store:
        await store.commit(Accept(event("5", body=b"x" * 5, at_ms=9)))
        entries, marks = await store.journal(0, 9), await store.journal_marks(0, 9)
        assert [(mark.seq, mark.at_ms) for mark in marks] == [(entry.seq, entry.event.at_ms) for entry in entries]
        sums = [mark.through_bytes - marks[0].through_bytes for mark in marks]
        assert sums == [0, 3, 3 + 4, 3 + 4 + 5]
        assert await store.journal_marks(marks[0].seq, 2) == marks[1:3]


async def test_what_was_held_back_is_told_until_its_event_is_forgotten(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(Accept(event("a")), Accept(event("b")))
        first, second = [entry.seq for entry in await store.journal(0, 9)]
        told = [
            Held(seq=seq, rule_arn="arn", target_id=target, gate="throttle", why="enough")
            for seq, target in ((first, "x"), (first, "y"), (second, "x"))
        ]
        await store.commit(*map(Hold, reversed(told)))
    async with opened() as store:
        assert await store.held(0, second) == told
        assert await store.held(first, second) == told[2:]
        assert await store.held(0, first) == told[:2]
        await store.commit(Forget(through_seq=first))
        assert await store.held(0, second) == told[2:]


async def test_an_event_put_by_hand_stays_marked(opened: Opened) -> None:
    async with opened() as store:
        made = replace(event("a"), by_hand=True)
        await store.commit(Accept(made), Accept(event("b")))
    async with opened() as store:
        assert [entry.event for entry in await store.journal(0, 9)] == [made, event("b")]


async def test_an_id_is_journaled_once_for_each_bus(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(Accept(event("a")), Accept(event("a", bus="two")), Accept(event("a", bus="two")))
        await store.commit(Accept(event("a", bus="three")), Accept(event("a", bus="two")), Put(tags("beside")))
        found = [(entry.event.bus, entry.event.id) for entry in await store.journal(0, 10)]
        assert found == [("default", "a"), ("two", "a"), ("three", "a")]


async def test_ids_that_share_their_beginning_are_still_two(opened: Opened) -> None:
    near = [f"11111111-2222-3333-4444-{n:012}" for n in range(50)]
    async with opened() as store:
        await store.commit(*(Accept(event(name)) for name in near))
        await store.commit(*(Accept(event(name)) for name in near))
        await store.commit(*(Accept(event(name, THERE)) for name in near[:10]))
        assert await ids(store) == near + near[:10]


async def test_of_a_stale_commit_no_event_is_journaled(opened: Opened) -> None:
    async with opened() as store:
        await refused(store, Accept(event("a")), Put(tags("a", revision=9)))
        fates = await asyncio.gather(
            store.commit(Accept(event("b"))),
            store.commit(Accept(event("a")), Delete(tags("none"))),
            store.commit(Accept(event("c"))),
            return_exceptions=True,
        )
        assert [type(fate) for fate in fates] == [type(None), Stale, type(None)]
        assert await ids(store) == ["b", "c"]
        await store.commit(Accept(event("a")))
        assert await ids(store) == ["b", "c", "a"]


async def test_forgotten_entries_are_gone_and_their_places_never_come_back(opened: Opened) -> None:
    async with opened() as store:
        assert await store.journal_bounds() == (0, 0)
        await store.commit(Forget(through_seq=5))
        assert await store.journal_bounds() == (0, 0)
        await store.commit(*(Accept(event(str(n))) for n in range(5)))
        places = [entry.seq for entry in await store.journal(0, 10)]
        await store.commit(Forget(through_seq=places[1]))
        assert await ids(store) == ["2", "3", "4"]
        assert await store.journal_bounds() == (places[2], places[4])
        await store.commit(Forget(through_seq=places[4] + 1000))
        assert await ids(store) == []
        assert (await store.journal_bounds())[1] == places[4]
    async with opened() as store:
        assert (await store.journal_bounds())[1] == places[4]
        await store.commit(Accept(event("0")))  # forgotten, so it is new
        [entry] = await store.journal(places[4], 10)
        assert entry.seq > places[4]
        await store.commit(Accept(event("x")), Forget(through_seq=1 << 40), Accept(event("x")), Accept(event("y")))
        assert await ids(store) == ["x", "y"]


async def test_grown_waits_for_an_entry_beyond(opened: Opened) -> None:
    async with opened() as store:
        waiters = [asyncio.ensure_future(store.grown(0)) for _ in range(50)]
        given_up = asyncio.ensure_future(store.grown(0))
        await store.commit(Put(tags("a")))
        await store.ping()
        assert not any(waiter.done() for waiter in waiters)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        await store.commit(Accept(event("a")))
        await asyncio.gather(*waiters)
        [entry] = await store.journal(0, 10)
        await store.grown(0)
        waiting = asyncio.ensure_future(store.grown(entry.seq))
        await store.commit(Accept(event("a")))  # left as it is: nothing grew
        await store.ping()
        assert not waiting.done()
        await store.commit(Accept(event("b")))
        await waiting
    async with opened() as store:
        await store.grown(entry.seq)


async def test_an_emptied_journal_holds_nothing_beyond(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(Accept(event("a")))
        await store.commit(Forget(through_seq=(await store.journal_bounds())[1]))
        waiting = asyncio.ensure_future(store.grown(0))
        await store.ping()
        assert not waiting.done()
        await store.commit(Accept(event("b")))
        await waiting


async def test_a_cursor_moves_only_from_where_it_is_expected(opened: Opened) -> None:
    def move(expected: int, seq: int, name: str = "router") -> Advance:
        return Advance(cursor=name, expected=expected, seq=seq)

    async with opened() as store:
        assert await store.cursor("router") == 0
        await refused(store, move(1, 2))
        await store.commit(move(0, 3), move(3, 4))
        await refused(store, move(3, 5))
        await refused(store, move(4, 5), move(4, 6))
        assert await store.cursor("router") == 4
        await store.commit(move(0, 1, "other"), move(4, 9))
    async with opened() as store:
        assert (await store.cursor("router"), await store.cursor("other")) == (9, 1)
        fates = await asyncio.gather(*(store.commit(move(9, 10 + n)) for n in range(5)), return_exceptions=True)
        assert [type(fate) for fate in fates].count(Stale) == 4


# story


ALL = (1 << 63) - 1  # beyond every line


async def test_the_story_is_told_of_a_cluster_a_node_or_all(opened: Opened) -> None:
    lines = [
        told("one"),
        told("two", "c2"),
        told("three", instance="i-1"),
        told("four", "c2", "i-2"),
        told("five", scope=THERE),
        told("six \0 é"),
    ]
    async with opened() as store:
        await store.commit(*lines[:3])
        await store.commit(*lines[3:])
        assert [t.line for t in await store.story(HERE)] == [t.line for t in (*lines[:4], lines[5])]
        assert [t.line.what for t in await store.story(HERE, cluster="c1")] == ["one", "three", "six \0 é"]
        assert await store.story(HERE, cluster="name of c1") == await store.story(HERE, cluster="c1")
        assert [t.line.what for t in await store.story(HERE, instance_id="i-2")] == ["four"]
        assert [t.line.what for t in await store.story(HERE, cluster="c1", instance_id="i-2")] == []
        first, second, *_ = everything = await store.story(HERE)
        assert await store.story(HERE, limit=2) == [first, second]
        assert await store.story(HERE, after=second.seq) == everything[2:]
        assert await store.story(HERE, before=everything[-1].seq, limit=2) == everything[-3:-1]
        assert [t.line.what for t in await store.story(HERE, cluster="c1", before=ALL, limit=2)] == [
            "three",
            "six \0 é",
        ]
        assert await store.story(HERE, instance_id="i-2", before=second.seq) == []
        assert [t.line.what for t in await store.story(THERE)] == ["five"]
        await store.commit(*(told(str(n), "long") for n in range(1500)))
        assert [t.line.what for t in await store.story(HERE, cluster="long", limit=1400)] == [
            str(n) for n in range(1400)
        ]
        assert [t.line.what for t in await store.story(HERE, cluster="name of long", before=ALL, limit=1400)] == [
            str(n) for n in range(100, 1500)
        ]
