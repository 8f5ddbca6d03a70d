"""Whatever is committed, in whatever order and company, an adapter of the Store port ends where `Memory` ends."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.conftest import Opened, sqlite_opened
from tests.conformance.memory import Memory
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
from tocsin.model.errors import Stale
from tocsin.model.event import Event
from tocsin.model.logs import LogGroup, LogLine, LogPolicy, LogQuery
from tocsin.model.names import Scope
from tocsin.model.noise import Held
from tocsin.model.records import Record
from tocsin.model.story import Chapter, StoryLine
from tocsin.model.tags import Tags
from tocsin.ports import Store

SCOPES = (Scope("1", "a"), Scope("2", "a"))
GROUPS = ("g", "h")

scopes = st.sampled_from(SCOPES)
groups = st.sampled_from(GROUPS)
names = st.sampled_from(["s", "t"])
times = st.integers(0, 5)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


def log_group(scope: Scope, name: str, revision: int) -> LogGroup:
    return LogGroup(scope=scope, name=name, created_ms=revision, revision=revision)


records: st.SearchStrategy[Record] = st.builds(log_group, scopes, groups, st.integers(1, 2)) | st.builds(
    lambda scope, arn, revision, text: Tags(scope=scope, arn=arn, revision=revision, tags={text: text}),
    scopes,
    st.sampled_from(["x", "y"]),
    st.integers(1, 3),
    texts,
)
records |= st.builds(
    lambda scope, revision: Archive(scope=scope, name="k", bus="b", created_ms=revision, revision=revision),
    scopes,
    st.integers(1, 2),
)
events = st.builds(
    lambda scope, bus, name, body, hand: Event(scope=scope, bus=bus, id=name, at_ms=1, body=body, by_hand=hand),
    scopes,
    st.sampled_from(["b", "b", "c"]),
    st.sampled_from(["p", "q", "12345678-1234-4234-8234-1234567890ab", "12345678-1234-4234-8234-000000000000"]),
    st.binary(max_size=20),
    st.booleans(),
)
lines = st.builds(LogLine, times, texts)
logs = st.builds(
    lambda scope, group, stream, said, now: Log(
        scope=scope, group=group, stream=stream, lines=tuple(said), ingested_ms=now
    ),
    scopes,
    groups,
    names,
    st.lists(lines, max_size=4),
    st.integers(10, 20),
)
told = st.builds(
    lambda scope, what: StoryLine(
        scope=scope, cluster_id="c", cluster_name="c", at_ms=1, chapter=Chapter.STATUS, what=what
    ),
    scopes,
    texts,
)
changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(Put, records),
    st.builds(Put, records),
    st.builds(Delete, records),
    st.builds(Accept, events),
    logs,
    logs,
    st.builds(lambda s, g, n: OpenStream(scope=s, group=g, stream=n, created_ms=9), scopes, groups, names),
    st.builds(lambda s, g, n: DropStream(scope=s, group=g, stream=n), scopes, groups, names),
    st.builds(lambda s, g, t: DropLogs(scope=s, group=g, before_ms=t), scopes, groups, st.none() | times),
    st.builds(lambda n, by: Advance(cursor="c", expected=n, seq=n + by), st.integers(0, 3), st.integers(0, 2)),
    st.builds(Tell, told),
    st.builds(lambda s, t, b: Keep(scope=s, archive="k", at_ms=t, body=b), scopes, times, st.binary(max_size=20)),
    st.builds(lambda s, t: DropArchived(scope=s, archive="k", before_ms=t), scopes, st.none() | times),
    st.builds(lambda n: Forget(through_seq=n), st.integers(0, 4)),
    st.builds(lambda n: Hold(Held(seq=n, rule_arn="r", target_id="t", gate="g", why="w")), st.integers(1, 1 << 30)),
)
# What is committed at the same moment; each commit is a few changes.
bursts = st.lists(st.lists(changes, min_size=1, max_size=4), min_size=1, max_size=5)
GROUNDS: list[Change] = [Put(log_group(scope, name, 1)) for scope in SCOPES for name in GROUPS[:1]]
GROUNDS.append(Put(Archive(scope=SCOPES[0], name="k", bus="b", created_ms=1)))


async def kept(store: Store, commit: list[Change]) -> bool:
    try:
        await store.commit(*commit)
    except Stale:
        return False
    return True


def settled(change: Change, memory: Memory) -> Change:
    """Forget(n) is drawn as "the oldest n", more than there are as "all": the adapter's journal tells their places."""
    if not isinstance(change, Forget):
        return change
    if change.through_seq > len(memory.journal):
        return Forget(through_seq=1 << 40)
    oldest = memory.journal[: change.through_seq]
    return Forget(through_seq=oldest[-1][0] or 0) if oldest else Forget(through_seq=0)


async def compare(store: Store, memory: Memory) -> None:
    kinds: tuple[type[Record], ...] = (Archive, LogGroup, LogPolicy, Tags)
    stored = [record for kind in kinds for record in await store.find(kind)]
    assert {(r.kind, r.scope, r.key): r for r in stored} == memory.records
    journal = await store.journal(0, 1000)
    assert [entry.event for entry in journal] == [event for _, event in memory.journal]
    memory.journal = [(entry.seq, entry.event) for entry in journal]
    assert await store.cursor("c") == memory.cursors["c"]
    assert await store.held(0, 1 << 40) == sorted(memory.held, key=lambda one: one.seq)
    for scope in SCOPES:
        kept = [(one.at_ms, one.body) for one in await store.archived(scope, "k")]
        assert kept == sorted(memory.archived[scope, "k"], key=lambda one: one[0])
        total = ArchiveSum(events=len(kept), bytes=sum(len(body) for _, body in kept))
        assert (await store.archive_sums(scope, ["k"])).get("k", ArchiveSum()) == total
        assert [told.line for told in await store.story(scope)] == [e for e in memory.story if e.scope == scope]
        for group in GROUPS:
            streams = await store.log_streams(scope, group)
            assert streams == memory.streams_of((scope, group))
            said = await store.log_events(LogQuery(scope=scope, group=group))
            assert [(e.at_ms, e.stream, e.ingested_ms, e.message) for e in said] == memory.said_in((scope, group))
            right = {group: sum(stream.bytes for stream in streams)} if streams else {}
            assert await store.log_bytes(scope, [group]) == right


async def live(opened: Opened, story: list[list[list[Change]]]) -> None:
    memory = Memory()
    async with opened() as store:
        for drawn in [[list(GROUNDS)], *story]:
            burst = [[settled(change, memory) for change in commit] for commit in drawn]
            fates = await asyncio.gather(*(kept(store, commit) for commit in burst))
            assert fates == [memory.commit(commit) for commit in burst]
            await compare(store, memory)
        fresh = await store.journal(0, 1000)
    async with opened() as store:
        await compare(store, memory)
        assert await store.journal(0, 1000) == fresh, "an adapter that remembers tells what it would read"


@pytest.mark.parametrize("adapter", [sqlite_opened], ids=["sqlite"])
@settings(max_examples=60, deadline=None)
@given(story=st.lists(bursts, max_size=5))
def test_any_commits_leave_what_the_law_says(
    adapter: Callable[[Path], Opened], story: list[list[list[Change]]]
) -> None:
    with tempfile.TemporaryDirectory(prefix="tocsin-law-") as directory:
        asyncio.run(live(adapter(Path(directory)), story))
