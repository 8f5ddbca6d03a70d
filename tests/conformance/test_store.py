"""The law of the Store port, for every adapter (see `opened` in conftest.py): records, and the store itself."""

import asyncio

import pytest

from tests.conformance.conftest import Opened
from tests.conformance.holding import (
    HERE,
    OTHERS,
    THERE,
    event,
    group,
    ids,
    log,
    messages,
    opening,
    refused,
    streams,
    tags,
    told,
)
from tocsin.model.changes import (
    Accept,
    Change,
    Delete,
    DropStream,
    Put,
)
from tocsin.model.errors import Stale, StoreUnavailable
from tocsin.model.event import Journaled
from tocsin.model.logs import LogGroup, LogPolicy, LogQuery, LogStream
from tocsin.model.names import Scope
from tocsin.model.records import successor
from tocsin.model.rule import Rule
from tocsin.model.tags import Tags


async def test_scopes_are_those_with_records_of_the_kind(opened: Opened) -> None:
    async with opened() as store:
        assert await store.scopes(Tags) == []
        await store.commit(Put(tags("b", OTHERS)), Put(tags("a", THERE)), Put(tags("b", THERE)), group(scope=HERE))
        assert await store.scopes(Tags) == [THERE, OTHERS]
        assert await store.scopes(LogGroup) == [HERE]


async def test_records_are_counted_by_scope_and_prefix(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(*(Put(tags(name)) for name in ("a", "ab", "b")), Put(tags("ac", THERE)), group("ad"))
        assert await store.count(Tags, HERE) == 3
        assert await store.count(Tags, HERE, "a") == 2
        assert await store.count(Tags, HERE, "c") == 0
        assert await store.count(Tags, THERE, "a") == 1


async def test_what_was_put_is_got_and_outlives_the_store(opened: Opened) -> None:
    record = tags("a", env="prod", text='é "quoted" \u2028 \U0001f600 \\ \x00')
    async with opened() as store:
        assert await store.get(Tags, HERE, "a") is None
        await store.commit(Put(record))
        assert await store.get(Tags, HERE, "a") == record
        assert await store.get(Tags, THERE, "a") is None
        assert await store.get(LogPolicy, HERE, "a") is None
    async with opened() as store:
        assert await store.get(Tags, HERE, "a") == record


async def test_a_put_replaces_only_the_revision_before_it(opened: Opened) -> None:
    async with opened() as store:
        first = tags("a")
        await refused(store, Put(tags("a", revision=2)))
        await refused(store, Put(tags("a", revision=0)))
        await store.commit(Put(first))
        await refused(store, Put(first))
        await refused(store, Put(tags("a", revision=3)))
        second = successor(first, tags={"x": "y"})
        await store.commit(Put(second))
        assert await store.get(Tags, HERE, "a") == second
        await refused(store, Put(second))
        await store.commit(Put(tags("a", THERE)), Put(tags("a", OTHERS)))


async def test_a_delete_removes_only_the_revision_it_names(opened: Opened) -> None:
    async with opened() as store:
        first = tags("a")
        await refused(store, Delete(first))
        await refused(store, Delete(tags("a", revision=0)))
        await store.commit(Put(first))
        await refused(store, Delete(successor(first)))
        await store.commit(Put(successor(first)))
        await refused(store, Delete(first))
        await store.commit(Delete(successor(first)))
        assert await store.get(Tags, HERE, "a") is None
        await refused(store, Delete(successor(first)))
        await store.commit(Put(first))
    async with opened() as store:
        assert await store.find(Tags) == [first]


async def test_the_changes_of_a_commit_see_each_other_in_order(opened: Opened) -> None:
    first = tags("a")
    second = successor(first)
    async with opened() as store:
        await store.commit(Put(first), Put(second), Delete(second), Put(first), Put(second))
        assert await store.get(Tags, HERE, "a") == second
        await refused(store, Delete(second), Put(second))
        await store.commit(Delete(second), Put(first), Delete(first))
        assert await store.find(Tags) == []
        await store.commit(group(), log("s", (1, "one")), DropStream(scope=HERE, group="g", stream="s"), opening("s"))
        assert await streams(store) == [LogStream(name="s", created_ms=50)]


async def test_no_changes_are_no_commit(opened: Opened) -> None:
    async with opened() as store:
        await store.commit()
        assert await store.journal_bounds() == (0, 0)


async def test_a_kind_the_store_does_not_know_is_an_error_of_the_program(opened: Opened) -> None:
    async with opened() as store:
        rule = Rule(scope=HERE, name="r")
        for change in (Put(rule), Delete(rule)):
            with pytest.raises(TypeError, match="rule"):
                await store.commit(change)
        with pytest.raises(TypeError):
            await store.get(Rule, HERE, "r")
        with pytest.raises(TypeError):
            await store.find(Rule)


async def test_find_gives_records_in_order_of_scope_and_key(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(*(Put(tags(key, scope)) for key in ("b", "a", "aé", "c") for scope in (OTHERS, THERE, HERE)))
        await store.commit(Put(LogPolicy(scope=HERE, name="a", document="{}", updated_ms=1)))

        async def keys(scope: Scope | None, **asked: object) -> list[tuple[Scope, str]]:
            found = await store.find(Tags, scope, **asked)  # type: ignore[arg-type]
            return [(record.scope, record.key) for record in found]

        everywhere = [(scope, key) for scope in (HERE, THERE, OTHERS) for key in ("a", "aé", "b", "c")]
        assert await keys(None) == everywhere
        assert await keys(HERE) == everywhere[:4]
        assert await keys(HERE, prefix="a") == everywhere[:2]
        assert await keys(HERE, after="a") == everywhere[1:4]
        assert await keys(HERE, after="0", prefix="b") == everywhere[2:3]
        assert await keys(HERE, after="c", prefix="b") == []
        assert await keys(HERE, after="a", limit=2) == everywhere[1:3]
        assert await keys(HERE, limit=0) == []
        assert await keys(None, prefix="b") == [(scope, "b") for scope in (HERE, THERE, OTHERS)]
        assert await keys(None, after="b", limit=2) == [(HERE, "c"), (THERE, "c")]
        assert await keys(Scope("3", "x")) == []


ODD_KEYS = ["%", "%a", "_", "_a", "\\", "\\a", "a%b", "a_b", "axb", "*", "?", "[a]", "A", "a", "á", "\ud7ff", "\ue000x"]
ODD_KEYS += ["\ud7ffx", "\ue000", "\uffff", "\U00010000", "\U0010ffff", "\U0010ffffx", "a\U0010ffff", "a\U0010ffffb"]
ODD_KEYS += ["b", "'", '"', "a\0b", "1", "01", "1.0", "null"]


async def test_a_prefix_is_taken_literally_whatever_its_characters(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(*(Put(tags(key)) for key in ODD_KEYS))
        await store.commit(group(), *(opening(key) for key in ODD_KEYS))
        for prefix in ["", *ODD_KEYS]:
            for after in ["", *ODD_KEYS]:
                right = sorted(key for key in ODD_KEYS if key.startswith(prefix) and key > after)
                assert [r.key for r in await store.find(Tags, HERE, prefix=prefix, after=after)] == right
            begin = sorted(key for key in ODD_KEYS if key.startswith(prefix))
            assert [s.name for s in await store.log_streams(HERE, "g", prefix=prefix)] == begin
        for key in ODD_KEYS:
            assert await store.get(Tags, HERE, key) == tags(key)


async def test_of_many_who_write_one_record_exactly_one_wins_each_round(opened: Opened) -> None:
    async with opened() as store:
        record = tags("contended")
        await store.commit(Put(record))
        for _ in range(5):

            async def claim(place: int, seen: Tags = record) -> bool:
                try:
                    await store.commit(
                        Put(successor(seen, tags={"owner": str(place)})), Accept(event(f"{seen.revision}/{place}"))
                    )
                except Stale:
                    return False
                return True

            won = await asyncio.gather(*map(claim, range(100)))
            assert sum(won) == 1
            now = await store.get(Tags, HERE, "contended")
            assert now == successor(record, tags={"owner": str(won.index(True))})
            assert (await ids(store))[-1] == f"{record.revision}/{won.index(True)}"
            record = now
        assert len(await ids(store)) == 5


# the store itself


async def test_a_commit_that_cannot_be_written_fails_alone(opened: Opened) -> None:
    """An unpaired surrogate is no text, and 65 bits are no number; others are none the worse."""
    async with opened() as store:
        await store.commit(group())
        bad: list[Change] = [Accept(event("\ud800")), log("s", (1, "\udfff")), Accept(event("big", at_ms=1 << 64))]
        fates = await asyncio.gather(
            *(store.commit(Accept(event(f"a{n}")), change) for n, change in enumerate(bad)),
            store.commit(Accept(event("good")), Put(tags("good"))),
            return_exceptions=True,
        )
        assert [isinstance(fate, Exception) for fate in fates] == [True, True, True, False]
        assert await ids(store) == ["good"]
        assert await store.get(Tags, HERE, "good") == tags("good")
        await store.commit(Accept(event("later")))
        assert await ids(store) == ["good", "later"]


async def test_a_commit_whose_caller_went_away_is_kept_all_the_same(opened: Opened) -> None:
    async with opened() as store:
        commit = asyncio.ensure_future(store.commit(Accept(event("a"))))
        waiting = asyncio.ensure_future(store.grown(0))
        await asyncio.sleep(0)
        commit.cancel()
        await waiting
        assert await ids(store) == ["a"]


async def test_reads_see_every_commit_that_has_returned(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(group())

        async def one(n: int) -> None:
            record = tags(f"k{n}")
            await store.commit(Put(record), Accept(event(f"e{n}")), log(f"s{n}", (n, "x")), told(f"t{n}"))
            assert await store.get(Tags, HERE, f"k{n}") == record
            assert record in await store.find(Tags)
            assert f"e{n}" in await ids(store)
            assert len(await messages(store, streams=(f"s{n}",))) == 1
            assert f"t{n}" in [t.line.what for t in await store.story(HERE)]

        await asyncio.gather(*map(one, range(50)))


async def test_closing_finishes_what_is_queued_and_then_refuses(opened: Opened) -> None:
    async with opened() as store:
        waiting = asyncio.ensure_future(store.grown(1 << 40))
        await asyncio.sleep(0)
        commits = [asyncio.ensure_future(store.commit(Accept(event(str(n))))) for n in range(200)]
        await asyncio.sleep(0)
        closing = asyncio.gather(store.close(), store.close())  # type: ignore[attr-defined]
        late = asyncio.ensure_future(store.commit(Accept(event("late"))))
        fates = await asyncio.gather(*commits, return_exceptions=True)
        await closing
        assert fates == [None] * 200
        for refused in (late, waiting, store.get(Tags, HERE, "a"), store.ping(), store.story(HERE), store.grown(0)):
            with pytest.raises(StoreUnavailable):
                await refused
    async with opened() as store:
        assert len(await ids(store)) == 200


async def test_ping_commits_and_leaves_no_trace(opened: Opened) -> None:
    async with opened() as store:
        await store.ping()
        await asyncio.gather(*(store.ping() for _ in range(10)))
        assert await store.journal_bounds() == (0, 0)


async def test_an_entry_is_its_event_at_its_place(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(Accept(event("a")))
        first, _ = await store.journal_bounds()
        assert await store.journal(0, 1) == [Journaled(seq=first, event=event("a"))]


async def test_reading_logs_stops_once_enough_bytes_are_read_and_goes_on_behind(opened: Opened) -> None:
    async with opened() as store:
        lines = [(number, f"{number:04}" + "x" * 1000) for number in range(300)]
        await store.commit(group(), log("s", *lines))
        query = LogQuery(scope=HERE, group="g", bytes_max=10_000)
        page = await store.log_events(query)
        assert 10 <= len(page) < 300
        found = [one.at_ms for one in page]
        while page:
            last = page[-1].at_ms, page[-1].id
            page = await store.log_events(LogQuery(scope=HERE, group="g", bytes_max=10_000, after=last))
            found += [one.at_ms for one in page]
        assert found == list(range(300))


async def test_large_events_come_in_smaller_readings_and_none_is_left_out(opened: Opened) -> None:
    async with opened() as store:
        names = [f"e{number}" for number in range(100)]
        for name in names:
            await store.commit(Accept(event(name, body=b'{"a":"' + b"x" * 500_000 + b'"}')))
        found: list[str] = []
        place, readings = 0, 0
        while page := await store.journal(place, 1000):
            found += [entry.event.id for entry in page]
            place = page[-1].seq
            readings += 1
        assert found == names
        assert readings > 1
