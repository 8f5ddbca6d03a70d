"""What the suites of the Store port commit and read back."""

import pytest

from tocsin.model.changes import (
    Accept,
    Change,
    Log,
    OpenStream,
    Put,
    Tell,
)
from tocsin.model.errors import Stale
from tocsin.model.event import Event
from tocsin.model.logs import LogGroup, LogLine, LogQuery, LogStream
from tocsin.model.names import Scope
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
