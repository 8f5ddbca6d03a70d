"""What the SQLite store promises beyond the port: one server per directory, and nothing lost or half kept."""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from tests.conformance.conftest import KINDS
from tocsin.backends.sqlite import SqliteStore, connection, fresh, store
from tocsin.backends.sqlite.connection import open_writer
from tocsin.backends.sqlite.queries import MIGRATIONS, SQL
from tocsin.backends.sqlite.tape import mark
from tocsin.model.changes import Accept, Forget, Log, Put
from tocsin.model.errors import Locked, StoreUnavailable, Throttling
from tocsin.model.event import Event
from tocsin.model.logs import LogGroup, LogLine, LogQuery
from tocsin.model.names import Scope
from tocsin.model.tags import Tags

HERE = Scope("111111111111", "eu-central-1")


def tags(arn: str, text: str = "") -> Put:
    return Put(Tags(scope=HERE, arn=arn, tags={"text": text}))


def accept(name: str, body: bytes = b"{}") -> Accept:
    return Accept(Event(scope=HERE, bus="b", id=name, at_ms=1, body=body))


def child(program: str, directory: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", program, str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


async def test_a_directory_is_one_server_s(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "data"
    first = await SqliteStore.open(directory, KINDS)
    assert directory.stat().st_mode & 0o777 == 0o700
    with pytest.raises(Locked, match=rf"{directory} is in use by process {os.getpid()}"):
        await SqliteStore.open(directory, KINDS)
    await first.commit(tags("a"))
    await first.close()
    await (await SqliteStore.open(directory, KINDS)).close()


async def test_a_damaged_file_is_noticed_after_an_unclean_end_only(tmp_path: Path) -> None:
    opened = await SqliteStore.open(tmp_path, KINDS)
    await opened.commit(*(accept(str(n), b"x" * 1000) for n in range(200)))
    await opened.close()
    damaged = bytearray((tmp_path / "tocsin.db").read_bytes())
    damaged[-40_000:-20_000] = bytes(20_000)
    (tmp_path / "tocsin.db").write_bytes(damaged)
    (tmp_path / "lock").write_text("4711\n")
    for _ in range(2):  # and it stays noticed
        with pytest.raises(StoreUnavailable, match="damaged"):
            await SqliteStore.open(tmp_path, KINDS)
    (tmp_path / "lock").write_text("")
    await (await SqliteStore.open(tmp_path, KINDS)).close()


async def test_no_database_at_all_is_told_plainly(tmp_path: Path) -> None:
    (tmp_path / "tocsin.db").write_text("This is a letter to my aunt, and by no means a database." * 100)
    with pytest.raises(StoreUnavailable, match=r"tocsin\.db"):
        await SqliteStore.open(tmp_path, KINDS)


async def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    await (await SqliteStore.open(tmp_path, KINDS)).close()
    database = apsw.Connection(str(tmp_path / "tocsin.db"))
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreUnavailable, match="newer"):
        await SqliteStore.open(tmp_path, KINDS)


async def test_an_older_database_is_brought_up_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = await SqliteStore.open(tmp_path, KINDS)
    await opened.commit(tags("a"))
    await opened.close()
    newest = MIGRATIONS[-1][0]
    second = (newest + 1, "CREATE TABLE second (x) STRICT;".replace(" STRICT", ""))
    monkeypatch.setattr(connection, "MIGRATIONS", [*MIGRATIONS, second, (newest + 2, "CREATE TABLE third (;")])
    with pytest.raises(StoreUnavailable):
        await SqliteStore.open(tmp_path, KINDS)
    monkeypatch.setattr(connection, "MIGRATIONS", [*MIGRATIONS, second])
    opened = await SqliteStore.open(tmp_path, KINDS)
    assert len(await opened.find(Tags)) == 1
    await opened.close()
    database = open_writer(tmp_path / "tocsin.db", check=True)
    assert list(database.execute("PRAGMA user_version")) == [(newest + 1,)]
    assert list(database.execute("SELECT * FROM second")) == []
    database.close()


async def test_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(StoreUnavailable, match=r"3\.51\.2"):
        await SqliteStore.open(tmp_path, KINDS)


async def test_a_full_disk_fails_the_whole_group_and_then_heals(tmp_path: Path) -> None:
    opened = await SqliteStore.open(tmp_path, KINDS)
    await opened.commit(accept("first"), Put(LogGroup(scope=HERE, name="g", created_ms=1)))
    disk = opened._writer._connection  # the writer sleeps: nobody else uses it
    disk.execute("PRAGMA max_page_count = 100")
    line = Log(scope=HERE, group="g", stream="s", lines=(LogLine(1, "x"),), ingested_ms=1)
    fates = await asyncio.gather(
        opened.commit(accept("small")),
        opened.commit(tags("a"), accept("big", b"x" * 1_000_000), line),
        opened.ping(),
        return_exceptions=True,
    )
    assert [type(fate) for fate in fates] == [StoreUnavailable] * 3
    assert [entry.event.id for entry in await opened.journal(0, 10)] == ["first"]
    assert await opened.find(Tags) == []
    assert await opened.log_streams(HERE, "g") == []
    waiting = asyncio.ensure_future(opened.grown((await opened.journal_bounds())[1]))
    await opened.commit(tags("a"), accept("small"), line)
    await waiting
    disk.execute("PRAGMA max_page_count = 1000000")
    await opened.commit(accept("big", b"x" * 1_000_000), line)
    entries = await opened.journal(0, 10)
    assert [entry.event.id for entry in entries] == ["first", "small", "big"]
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert len(await opened.log_events(LogQuery(scope=HERE, group="g"))) == 2
    await opened.close()


LIMITED = """
import asyncio, resource, signal, sys
from pathlib import Path
from tests.conformance.test_sqlite import *

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]), KINDS)
    await store.commit(tags("first"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    kept = 0
    failures = 0
    for n in range(40):
        try:
            await store.commit(accept(str(n), b"x" * 20_000), tags(str(n)))
            kept += 1
        except StoreUnavailable:
            failures += 1
    assert failures > 5, failures
    assert len(await store.journal(0, 100)) == kept, kept
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await store.commit(accept("last"), tags("last"))
    await store.close()
    print(kept)

asyncio.run(main())
"""


async def test_writes_that_the_system_refuses_are_not_half_kept(tmp_path: Path) -> None:
    with child(LIMITED, tmp_path) as limited:
        printed, _ = await asyncio.to_thread(limited.communicate)
    assert limited.returncode == 0
    opened = await SqliteStore.open(tmp_path, KINDS)
    assert len(await opened.journal(0, 100)) == int(printed) + 1
    assert len(await opened.find(Tags)) == int(printed) + 2
    await opened.close()


ENDLESS = """
import asyncio, itertools, sys
from pathlib import Path
from tests.conformance.test_sqlite import *

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]), KINDS)
    numbers = itertools.count((await store.journal_bounds())[1] + 1)

    async def caller():
        for n in numbers:
            line = Log(scope=HERE, group="g", stream="s", lines=(LogLine(n, str(n)),) * 2, ingested_ms=1)
            await store.commit(tags(str(n), "x" * 500), accept(str(n), b"y" * 1000), line)
            print(n, flush=True)

    await asyncio.gather(*(caller() for _ in range(20)))

asyncio.run(main())
"""


async def test_what_was_acknowledged_outlives_a_kill_and_nothing_is_half(tmp_path: Path) -> None:
    chance = random.Random(79)
    opened = await SqliteStore.open(tmp_path, KINDS)
    await opened.commit(Put(LogGroup(scope=HERE, name="g", created_ms=1)))
    await opened.close()
    acknowledged: set[str] = set()
    for _ in range(5):
        with child(ENDLESS, tmp_path) as endless:
            assert endless.stdout is not None
            for _ in range(chance.randrange(1, 600)):
                acknowledged.add(endless.stdout.readline().strip())
            endless.send_signal(signal.SIGKILL)
            acknowledged |= {line.strip() for line in endless.stdout if line.endswith("\n")}
        opened = await SqliteStore.open(tmp_path, KINDS)
        stored = {entry.event.id for entry in await opened.journal(0, 1_000_000)}
        assert acknowledged <= stored
        assert {record.key for record in await opened.find(Tags)} == stored
        lines = await opened.log_events(LogQuery(scope=HERE, group="g", limit=1_000_000))
        assert sorted(line.message for line in lines) == sorted([*stored, *stored])
        [stream] = await opened.log_streams(HERE, "g")
        assert stream.bytes == sum(len(line.message) + 26 for line in lines)
        await opened.close()
    assert len(acknowledged) > 100


async def test_more_than_can_wait_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "COMMITS_QUEUED_MAX", 10)
    monkeypatch.setattr(store, "COMMIT_BYTES_QUEUED_MAX", 1000)
    opened = await SqliteStore.open(tmp_path, KINDS)
    fates = await asyncio.gather(*(opened.commit(accept(str(n))) for n in range(15)), return_exceptions=True)
    assert fates[:10] == [None] * 10
    assert all(isinstance(fate, Throttling) and "Rate exceeded" in str(fate) for fate in fates[10:])
    await opened.commit(accept("large", b"x" * 5000))  # alone, it may be larger than the queue
    pair = (accept("600", b"x" * 600), accept("500", b"x" * 500))
    fates = await asyncio.gather(*map(opened.commit, pair), return_exceptions=True)
    assert [type(fate) for fate in fates] == [type(None), Throttling]
    await opened.commit(accept("500", b"x" * 500))
    assert len(await opened.journal(0, 100)) == 13
    await opened.close()


async def test_a_journal_of_an_older_schema_is_taken_over(tmp_path: Path) -> None:
    database = apsw.Connection(str(tmp_path / "tocsin.db"))
    for number, text in MIGRATIONS[:2]:
        database.execute(text)
        database.execute(f"PRAGMA user_version = {number}")
    old = "INSERT INTO journal (account, region, bus, id, at_ms, mark, body) VALUES ('1', 'r', 'b', ?, 7, ?, ?)"
    for name in ("a", "bc"):
        database.execute(old, (name, mark(name), name.encode()))
    database.close()
    opened = await SqliteStore.open(tmp_path, KINDS)
    await opened.commit(accept("d", b"def"))
    repeat = Event(scope=Scope("1", "r"), bus="b", id="a", at_ms=8, body=b"again")
    await opened.commit(Accept(repeat))
    found = [(entry.event.id, entry.event.body, entry.event.by_hand) for entry in await opened.journal(0, 9)]
    assert found == [("a", b"a", False), ("bc", b"bc", False), ("d", b"def", False)]
    assert [one.through_bytes for one in await opened.journal_marks(0, 9)] == [1, 3, 6]
    await opened.close()


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("find_in_scope", "sqlite_autoindex_record_1 (kind=? AND account=? AND region=? AND key>? AND key<?)"),
        ("log_events_of_group", "log_event_of_group (group_id=? AND at_ms>? AND at_ms<?)"),
        ("log_events_of_stream", "log_event_of_stream (stream_id=? AND at_ms>? AND at_ms<?)"),
        ("archived", "archived_of_archive (archive_id=? AND at_ms>? AND at_ms<?)"),
        ("story_of_scope", "story_of_scope (account=? AND region=? AND rowid>?)"),
        ("story_of_cluster", "story_of_cluster (account=? AND region=? AND cluster_id=? AND rowid>?)"),
        ("story_of_cluster", "story_of_name (account=? AND region=? AND cluster_name=? AND rowid>?)"),
        ("story_of_node", "story_of_node (account=? AND region=? AND instance_id=? AND rowid>?)"),
        ("story_of_scope", "story_of_scope (account=? AND region=? AND rowid<?)"),
        ("story_of_cluster", "story_of_cluster (account=? AND region=? AND cluster_id=? AND rowid<?)"),
        ("story_of_cluster", "story_of_name (account=? AND region=? AND cluster_name=? AND rowid<?)"),
        ("story_of_node", "story_of_node (account=? AND region=? AND instance_id=? AND rowid<?)"),
    ],
)
def test_a_read_walks_its_index_and_sorts_nothing(tmp_path: Path, name: str, index: str) -> None:
    database = open_writer(tmp_path / "x.db", check=False)
    forwards = "rowid>" in index
    sql = SQL[name].format(direction="ASC" if forwards else "DESC", beyond=">" if forwards else "<")
    plan = [
        row[3]
        for row in database.execute(f"EXPLAIN QUERY PLAN {sql}", (None,) * max(map(int, re.findall(r"\?(\d)", sql))))
    ]
    database.close()
    assert any(f"INDEX {index}" in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


async def test_what_stays_in_memory_of_the_journal_is_bounded_and_the_rest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh, "FRESH_MAX", 3)
    monkeypatch.setattr(fresh, "FRESH_BYTES_MAX", 20)
    opened = await SqliteStore.open(tmp_path, KINDS)
    for name, size in (("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 19), ("f", 21), ("g", 1), ("h", 1)):
        await opened.commit(accept(name, b"x" * size))
        entries = await opened.journal(0, 100)
        assert entries[-1].event.id == name
        for place in range(len(entries) + 1):
            assert await opened.journal(place, 100) == entries[place:]
            assert await opened.journal(place, 2) == entries[place : place + 2]
    await opened.close()


async def test_a_repeated_event_is_no_fresh_one(tmp_path: Path) -> None:
    opened = await SqliteStore.open(tmp_path, KINDS)
    await opened.commit(accept("a"), accept("b"))
    await opened.commit(accept("b"), accept("c"))
    assert [entry.event.id for entry in await opened.journal(0, 100)] == ["a", "b", "c"]
    await opened.commit(accept("d"))
    entries = await opened.journal(0, 100)
    assert [entry.event.id for entry in entries] == ["a", "b", "c", "d"]
    await opened.commit(Forget(through_seq=entries[1].seq))
    assert [entry.event.id for entry in await opened.journal(0, 100)] == ["c", "d"]
    assert await opened.journal(entries[2].seq, 100) == entries[3:]
    await opened.close()
