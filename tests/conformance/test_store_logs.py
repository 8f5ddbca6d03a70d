"""The law of the Store port: log groups, their streams and lines."""

from collections.abc import Sequence

from tests.conformance.conftest import Opened
from tests.conformance.holding import HERE, THERE, group, log, messages, opening, refused, streams, tags
from tocsin.model.changes import (
    Delete,
    DropLogs,
    DropStream,
)
from tocsin.model.logs import LogEvent, LogQuery, LogStream


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
