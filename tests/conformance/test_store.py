"""The law of the Store port, for every adapter (see `opened` in conftest.py)."""

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from tests.conformance.conftest import Opened
from tocsin.model.archive import Archive, ArchiveSum
from tocsin.model.changes import (
    Accept,
    Advance,
    Change,
    Delete,
    DropArchived,
    DropLogs,
    DropStream,
    Forget,
    Hold,
    Keep,
    Log,
    OpenStream,
    Put,
    Tell,
)
from tocsin.model.errors import Stale, StoreUnavailable
from tocsin.model.event import Event, Journaled
from tocsin.model.logs import LogEvent, LogGroup, LogLine, LogPolicy, LogQuery, LogStream
from tocsin.model.names import Scope
from tocsin.model.noise import Held
from tocsin.model.records import successor
from tocsin.model.rule import Rule
from tocsin.model.story import Chapter, StoryLine
from tocsin.model.tags import Tags
from tocsin.ports import Store

HERE = Scope("111111111111", "eu-central-1")
THERE = Scope("111111111111", "us-east-1")
OTHERS = Scope("222222222222", "eu-central-1")


def tags(arn: str, scope: Scope = HERE, revision: int = 1, **values: str) -> Tags:
    return Tags(scope=scope, arn=arn, revision=revision, tags=values)


def event(name: str, scope: Scope = HERE, bus: str = "default", body: bytes = b'{"a":1}', at_ms: int = 7) -> Event:
    return Event(scope=scope, bus=bus, id=name, at_ms=at_ms, body=body)


def log(stream: str, *lines: tuple[int, str], group: str = "g", scope: Scope = HERE, ingested_ms: int = 100) -> Log:
    said = tuple(LogLine(at_ms, message) for at_ms, message in lines)
    return Log(scope=scope, group=group, stream=stream, lines=said, ingested_ms=ingested_ms)


def group(name: str = "g", scope: Scope = HERE) -> Put:
    return Put(LogGroup(scope=scope, name=name, created_ms=1))


def opening(stream: str, name: str = "g", scope: Scope = HERE) -> OpenStream:
    return OpenStream(scope=scope, group=name, stream=stream, created_ms=50)


def told(what: str, cluster: str = "c1", instance: str = "", scope: Scope = HERE) -> Tell:
    return Tell(
        StoryLine(
            scope=scope,
            cluster_id=cluster,
            cluster_name=f"name of {cluster}",
            instance_id=instance,
            at_ms=3,
            chapter=Chapter.NODE,
            what=what,
            why="because",
        )
    )


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


async def ids(store: Store, after: int = 0, limit: int = 1000) -> list[str]:
    return [entry.event.id for entry in await store.journal(after, limit)]


async def messages(store: Store, **asked: object) -> list[str]:
    query = LogQuery(**{"scope": HERE, "group": "g", **asked})  # type: ignore[arg-type]
    return [found.message for found in await store.log_events(query)]


async def streams(store: Store, name: str = "g") -> list[LogStream]:
    return await store.log_streams(HERE, name)


async def refused(store: Store, *changes: Change) -> None:
    """The commit is stale and leaves nothing behind, whatever stands around the stale change."""
    before = await store.journal_bounds(), await store.find(Tags), await streams(store), await store.story(HERE)
    witnesses = (Accept(event("witness")), Put(tags("witness")), told("witness"))
    with pytest.raises(Stale):
        await store.commit(*witnesses, *changes)
    with pytest.raises(Stale):
        await store.commit(*changes, *witnesses)
    after = await store.journal_bounds(), await store.find(Tags), await streams(store), await store.story(HERE)
    assert after == before


# records


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


# journal


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


# logs


async def test_lines_are_kept_with_their_stream_which_is_made_where_it_is_missing(opened: Opened) -> None:
    async with opened() as store:
        await refused(store, log("s", (5, "no group")))
        await store.commit(group(), log("s", (5, "five"), (3, "drei é"), ingested_ms=100))
        assert await streams(store) == [
            LogStream(name="s", created_ms=100, first_ms=3, last_ms=5, ingested_ms=100, bytes=4 + 7 + 2 * 26)
        ]
        await store.commit(log("s", (4, "x"), ingested_ms=120), log("t", (1, ""), ingested_ms=130), opening("u"))
        await store.commit(log("s", (9, "\0\ud7ff\U0001f600"), ingested_ms=110), log("v"))
        assert await streams(store) == [
            LogStream(name="s", created_ms=100, first_ms=3, last_ms=9, ingested_ms=120, bytes=12 + 8 + 4 * 26),
            LogStream(name="t", created_ms=130, first_ms=1, last_ms=1, ingested_ms=130, bytes=26),
            LogStream(name="u", created_ms=50),
            LogStream(name="v", created_ms=100),
        ]
        events = await store.log_events(LogQuery(scope=HERE, group="g"))
        assert [(e.at_ms, e.stream, e.message, e.ingested_ms) for e in events] == [
            (1, "t", "", 130),
            (3, "s", "drei é", 100),
            (4, "s", "x", 120),
            (5, "s", "five", 100),
            (9, "s", "\0\ud7ff\U0001f600", 110),
        ]
        assert await streams(store, "h") == []
        assert await store.log_streams(THERE, "g") == []


async def test_a_stream_is_opened_once_and_only_in_a_group(opened: Opened) -> None:
    async with opened() as store:
        await refused(store, opening("s"))
        await store.commit(group())
        await store.commit(opening("s"))
        await refused(store, opening("s"))
        await store.commit(log("t", (1, "x")))
        await refused(store, opening("t"))
        await refused(store, opening("u"), opening("u"))
        await refused(store, opening("s", scope=THERE))
        assert [stream.name for stream in await streams(store)] == ["s", "t"]


async def test_a_group_without_its_record_takes_no_lines(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(group(), log("s", (1, "x")))
        await store.commit(Delete(group().record), DropLogs(scope=HERE, group="g"))
        await refused(store, log("s", (1, "x")))
        await refused(store, opening("s"))
        await store.commit(group())
        assert await streams(store) == []
        await store.commit(log("s", (1, "y")))
        assert await messages(store) == ["y"]


async def test_a_stream_goes_with_its_events(opened: Opened) -> None:
    gone = DropStream(scope=HERE, group="g", stream="s")
    async with opened() as store:
        await refused(store, gone)
        await store.commit(group(), group("h"), log("s", (1, "a")), log("t", (2, "b")), log("s", (1, "h"), group="h"))
        newest = (await store.log_events(LogQuery(scope=HERE, group="h")))[0].id
        await refused(store, gone, gone)
        await store.commit(gone)
        await refused(store, gone)
        assert await messages(store) == ["b"]
        assert await messages(store, group="h") == ["h"]
        assert [stream.name for stream in await streams(store)] == ["t"]
        await store.commit(DropStream(scope=HERE, group="h", stream="s"))
    async with opened() as store:  # an id never comes back, even that of the newest event
        await store.commit(log("s", (1, "new")))
        [event] = await store.log_events(LogQuery(scope=HERE, group="g", streams=("s",)))
        assert event.id > newest


async def test_old_events_go_and_streams_are_counted_anew(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(DropLogs(scope=HERE, group="g"), DropLogs(scope=HERE, group="g", before_ms=5))
        await store.commit(group(), group("h"), log("s", (1, "aa"), (5, "éé"), (4, "c")), log("old", (2, "d")))
        await store.commit(log("young", (9, "e")), opening("empty"), log("s", (1, "h"), group="h"))
        await store.commit(DropLogs(scope=HERE, group="g", before_ms=5))
        assert await messages(store) == ["éé", "e"]
        assert await streams(store) == [
            LogStream(name="empty", created_ms=50),
            LogStream(name="old", created_ms=100),
            LogStream(name="s", created_ms=100, first_ms=5, last_ms=5, ingested_ms=100, bytes=30),
            LogStream(name="young", created_ms=100, first_ms=9, last_ms=9, ingested_ms=100, bytes=27),
        ]
        assert await messages(store, group="h") == ["h"]
        await store.commit(DropLogs(scope=HERE, group="g"), log("s", (3, "again")))
        assert [stream.name for stream in await streams(store)] == ["s"]
        assert await messages(store) == ["again"]
        await refused(store, DropLogs(scope=HERE, group="g"), Delete(tags("none")))
        assert await messages(store) == ["again"]


async def test_log_bytes_sums_the_streams_of_each_group(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(group(), group("h"), group("none"), group("g", THERE))
        await store.commit(log("s", (1, "aa")), log("t", (1, "b")), log("s", (1, "x"), scope=THERE))
        await store.commit(opening("s", "h"))
        assert await store.log_bytes(HERE, ["g", "h", "none", "unknown", "g"]) == {"g": 3 + 2 * 26, "h": 0}
        assert await store.log_bytes(THERE, ["g"]) == {"g": 27}
        assert await store.log_bytes(HERE, []) == {}


def read(events: Sequence[LogEvent], query: LogQuery) -> list[LogEvent]:
    """The law of reading log events, as slow as can be."""
    chosen = sorted(events, key=lambda e: (e.at_ms, e.id), reverse=query.backwards)
    return [
        e
        for e in chosen
        if (query.streams is None or e.stream in query.streams)
        and e.stream.startswith(query.stream_prefix)
        and (query.start_ms is None or e.at_ms >= query.start_ms)
        and (query.end_ms is None or e.at_ms < query.end_ms)
        and (
            query.after is None or ((e.at_ms, e.id) < query.after if query.backwards else (e.at_ms, e.id) > query.after)
        )
    ][: query.limit]


async def test_log_events_are_read_as_the_query_says(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(group(), group("h"), log("a1", (5, "other group"), group="h"))
        for n in range(30):
            await store.commit(log(("a1", "a2", "b_", "b%")[n % 4], *((at, f"{n}/{at}") for at in (n % 7, n % 5, 3))))
        everything = await store.log_events(LogQuery(scope=HERE, group="g"))
        assert len(everything) == 90
        spots = [None, (3, everything[40].id), (0, 0), (99, 0), (everything[7].at_ms, everything[7].id)]
        for names in (None, (), ("a1",), ("a1", "b%"), ("zz",), ("a1", "zz")):
            for prefix in ("", "a", "b_", "z"):
                for start, end in ((None, None), (2, 5), (3, 3), (None, 4), (6, None)):
                    for after in spots:
                        for backwards in (False, True):
                            query = LogQuery(
                                scope=HERE,
                                group="g",
                                streams=names,
                                stream_prefix=prefix,
                                start_ms=start,
                                end_ms=end,
                                after=after,
                                backwards=backwards,
                                limit=17,
                            )
                            assert await store.log_events(query) == read(everything, query), query
        assert await store.log_events(LogQuery(scope=HERE, group="none")) == []
        assert await store.log_events(LogQuery(scope=THERE, group="g")) == []
        assert await store.log_events(LogQuery(scope=HERE, group="g", limit=0)) == []


async def test_thousands_of_lines_are_read_whole_in_both_directions(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(group())
        await store.commit(log("s", *((n // 3, str(n)) for n in range(2500))), log("t", (0, "t"), (900, "t")))
        right = [str(n) for n in range(2500)]
        assert await messages(store, streams=("s",)) == right
        assert await messages(store, streams=("s",), backwards=True) == right[::-1]
        assert len(await messages(store)) == 2502
        assert len(await messages(store, streams=("s", "t"), limit=2001)) == 2001


async def test_streams_are_paged_by_name(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(group(), *(opening(name) for name in ("a/2", "b/1", "a/1", "a/3")))

        async def names(**asked: object) -> list[str]:
            return [s.name for s in await store.log_streams(HERE, "g", **asked)]  # type: ignore[arg-type]

        assert await names() == ["a/1", "a/2", "a/3", "b/1"]
        assert await names(prefix="a/", limit=2) == ["a/1", "a/2"]
        assert await names(prefix="a/", after="a/2", limit=2) == ["a/3"]
        assert await names(after="a/3") == ["b/1"]
        assert await names(limit=0) == []


# archives


def archive(name: str = "a", scope: Scope = HERE) -> Put:
    return Put(Archive(scope=scope, name=name, bus="default", created_ms=1))


def keep(at_ms: int, body: bytes, name: str = "a", scope: Scope = HERE) -> Keep:
    return Keep(scope=scope, archive=name, at_ms=at_ms, body=body)


async def kept(store: Store, name: str = "a", scope: Scope = HERE, **asked: object) -> list[bytes]:
    return [one.body for one in await store.archived(scope, name, **asked)]  # type: ignore[arg-type]


async def test_an_archive_is_read_in_the_order_of_its_events_times(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(archive(), archive("b"), archive(scope=THERE))
        await store.commit(keep(5, b"five"), keep(1, b""), keep(3, bytes(range(256))), keep(1, b"one"))
        await store.commit(keep(2, b"other", "b"), keep(2, b"there", scope=THERE), keep(5, b"again"), keep(0, b"0"))
    right = [b"0", b"", b"one", bytes(range(256)), b"five", b"again"]
    async with opened() as store:
        assert await kept(store) == right
        assert await kept(store, "b") == [b"other"]
        assert await kept(store, scope=THERE) == [b"there"]
        assert await kept(store, "none") == []
        assert await kept(store, start_ms=1, end_ms=5) == right[1:4]
        assert await kept(store, limit=2) == right[:2]
        found = await store.archived(HERE, "a")
        for number, one in enumerate(found):
            assert await kept(store, after=(one.at_ms, one.id)) == right[number + 1 :]
            assert await kept(store, after=(one.at_ms, one.id), start_ms=3) == right[max(number + 1, 3) :]
        sums = await store.archive_sums(HERE, ["a", "b", "none"])
        assert sums["a"] == ArchiveSum(events=6, bytes=sum(map(len, right)))
        assert sums["b"] == ArchiveSum(events=1, bytes=5)
        assert sums.get("none", ArchiveSum()) == ArchiveSum()


async def test_an_archive_loses_what_is_old_or_all(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(archive(), archive("b"), keep(9, b"b", "b"), *(keep(n, b"x" * n) for n in range(6)))
        last = (await store.archived(HERE, "a"))[-1].id
        await store.commit(DropArchived(scope=HERE, archive="a", before_ms=4))
        assert await kept(store) == [b"xxxx", b"xxxxx"]
        assert (await store.archive_sums(HERE, ["a"]))["a"] == ArchiveSum(events=2, bytes=9)
        await store.commit(DropArchived(scope=HERE, archive="a"), DropArchived(scope=HERE, archive="none"))
        assert await kept(store) == []
        assert (await store.archive_sums(HERE, ["a"])).get("a", ArchiveSum()) == ArchiveSum()
        assert await kept(store, "b") == [b"b"]
    async with opened() as store:
        await store.commit(keep(1, b"new"))
        [one] = await store.archived(HERE, "a")
        assert one.id > last, "ids are never given twice"


async def test_an_archive_that_is_gone_keeps_nothing(opened: Opened) -> None:
    async with opened() as store:
        record = archive()
        await store.commit(record, keep(1, b"x"), Delete(record.record), DropArchived(scope=HERE, archive="a"))
        await store.commit(keep(2, b"y"), Accept(event("beside")))
        assert await ids(store) == ["beside"]
        assert await kept(store) == []
        await store.commit(archive())
        assert await kept(store) == []


async def test_large_archived_events_come_in_smaller_readings(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(archive())
        for n in range(80):
            await store.commit(keep(n, b"%d" % n + b"x" * 500_000))
        found: list[int] = []
        after, readings = None, 0
        while page := await store.archived(HERE, "a", after=after):
            found += [one.at_ms for one in page]
            after = page[-1].at_ms, page[-1].id
            readings += 1
        assert found == list(range(80))
        assert readings > 1


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
