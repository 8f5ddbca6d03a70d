"""What the SQLite store does on this machine: `python bench/store.py [--directory D] [--base N] [--busy]`.

Each figure stands beside a baseline of the same run: plain apsw, executemany, one fsync per 1000 rows. `--base` puts
events into the journal beforehand, `--busy` keeps the event loop busy as a server's is, `--ordered` gives events ids
in the order of time (UUIDv7) instead of random ones.
"""

import argparse
import asyncio
import os
import secrets
import shutil
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw
import uvloop

from tocsin.backends.sqlite import SqliteStore
from tocsin.model.changes import Accept, Advance, Log, Put
from tocsin.model.event import Event
from tocsin.model.logs import LogGroup, LogLine, LogQuery
from tocsin.model.names import Scope
from tocsin.model.records import successor

SCOPE = Scope("123456789012", "us-east-1")
BODY = b'{"detail":"' + secrets.token_hex(500).encode() + b'"}'


def random_id() -> str:
    return str(uuid.uuid4())


def ordered_id() -> str:
    text = f"{time.time_ns() // 1_000_000:012x}7{secrets.token_hex(10)[:19]}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"


def event(new_id: Callable[[], str]) -> Event:
    return Event(scope=SCOPE, bus="default", id=new_id(), at_ms=1_700_000_000_000, body=BODY)


def say(what: str, count: int, seconds: float, unit: str, more: str = "") -> None:
    print(f"{what:<58} {count / seconds:>10,.0f} {unit}/s  {more}", flush=True)


def baseline(directory: Path) -> None:
    connection = apsw.Connection(str(directory / "baseline.db"))
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000")
    connection.execute("CREATE TABLE j (seq INTEGER PRIMARY KEY, a TEXT, r TEXT, b TEXT, i TEXT, t INTEGER, body BLOB)")
    rows = [(None, SCOPE.account, SCOPE.region, "default", random_id(), 1, BODY) for _ in range(20_000)]
    begun = time.perf_counter()
    for first in range(0, len(rows), 1000):
        with connection:
            connection.executemany("INSERT INTO j VALUES (?, ?, ?, ?, ?, ?, ?)", rows[first : first + 1000])
    say("baseline: raw executemany, one fsync per 1000 rows", len(rows), time.perf_counter() - begun, "events")
    begun = time.perf_counter()
    for row in rows[:500]:
        connection.execute("INSERT INTO j VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    say("baseline: raw, one fsync per row, one caller", 500, time.perf_counter() - begun, "events")
    connection.close()


async def callers(count: int, seconds: float, act: Callable[[], Awaitable[int]]) -> tuple[int, float, list[float]]:
    """Everybody acts again and again. (things done, seconds, sorted latencies in ms)."""
    done = 0
    took: list[float] = []
    begun = time.perf_counter()

    async def caller() -> None:
        nonlocal done
        while (now := time.perf_counter()) - begun < seconds:
            more = await act()
            done += more  # not `done += await ...`: that reads it before the wait
            took.append((time.perf_counter() - now) * 1000)

    await asyncio.gather(*(caller() for _ in range(count)))
    return done, time.perf_counter() - begun, sorted(took)


def spread(took: list[float]) -> str:
    return (
        f"p50 {took[len(took) // 2]:.1f} ms, p99 {took[len(took) * 99 // 100]:.1f} ms, max {took[-1]:.0f} ms"
        if took
        else ""
    )


async def commits(store: SqliteStore, new_id: Callable[[], str], seconds: float) -> None:
    for count, size in ((1, 1), (128, 1), (128, 10), (512, 1)):

        async def act(size: int = size) -> int:
            await store.commit(*(Accept(event(new_id)) for _ in range(size)))
            return size

        done, took, latencies = await callers(count, seconds, act)
        say(f"{count} callers, commits of {size} x 1 KB events", done, took, "events", spread(latencies))


async def logs(store: SqliteStore, seconds: float) -> None:
    await store.commit(Put(LogGroup(scope=SCOPE, name="bench", created_ms=1)))
    now = 0
    text = secrets.token_hex(100)
    for count, size in ((1, 2000), (16, 200), (128, 1)):

        async def act(size: int = size) -> int:
            nonlocal now
            now += 1
            lines = tuple(LogLine(now, text) for _ in range(size))
            await store.commit(Log(scope=SCOPE, group="bench", stream=f"s{now % 50}", lines=lines, ingested_ms=now))
            return size

        done, took, latencies = await callers(count, seconds, act)
        say(f"{count} callers, Log of {size} lines of 200 B", done, took, "lines", spread(latencies))
    place = await store.cursor("bench")

    async def route() -> int:
        nonlocal now, place
        now += 1
        deliveries = (
            Log(scope=SCOPE, group="bench", stream=f"r{i % 50}", lines=(LogLine(now, text),), ingested_ms=now)
            for i in range(500)
        )
        await store.commit(Advance(cursor="bench", expected=place, seq=place + 1), *deliveries)
        place += 1
        return 500

    done, took, latencies = await callers(1, seconds, route)
    say("1 router, Advance + 500 Logs of one line", done, took, "lines", spread(latencies))


async def records(store: SqliteStore, seconds: float) -> None:
    groups = [LogGroup(scope=SCOPE, name=f"g{i:05}", created_ms=1) for i in range(1000)]
    await store.commit(*map(Put, groups))

    async def fleet() -> int:
        groups[:] = [successor(group, created_ms=2) for group in groups]
        await store.commit(*map(Put, groups))
        return len(groups)

    done, took, latencies = await callers(1, seconds, fleet)
    say("1 caller, commits of 1000 Puts", done, took, "puts", spread(latencies))


async def reads(store: SqliteStore, seconds: float) -> None:
    async def get() -> int:
        await store.get(LogGroup, SCOPE, "g00500")
        return 1

    async def find() -> int:
        return len(await store.find(LogGroup, SCOPE, prefix="g"))

    place = (await store.journal_bounds())[0]

    def journal(size: int) -> Callable[[], Awaitable[int]]:
        async def act() -> int:
            return len(await store.journal(place, size))

        return act

    def far(size: int) -> Callable[[], Awaitable[int]]:
        async def act() -> int:
            loop = asyncio.get_running_loop()
            reader = store._far  # noqa: SLF001
            return len(await loop.run_in_executor(store._far_thread, reader.journal, place, size))  # noqa: SLF001

        return act

    async def log_events() -> int:
        return len(await store.log_events(LogQuery(scope=SCOPE, group="bench", limit=1000)))

    for what, act in (
        ("get of one record", get),
        ("find of 1000 records", find),
        ("journal, 1 entry, in the loop (as it is)", journal(1)),
        ("journal, 1 entry, in the reader thread", far(1)),
        ("journal, 100 entries, in the loop (as it is)", journal(100)),
        ("journal, 100 entries, in the reader thread", far(100)),
        ("journal, 2000 entries, in the loop (as it is)", journal(2000)),
        ("journal, 2000 entries, in the reader thread", far(2000)),
        ("log_events, 1000 of a group", log_events),
    ):
        done, took, latencies = await callers(1, seconds / 4, act)
        say(what, done, took, "rows", spread(latencies))

    woken: list[float] = []
    for _ in range(200):
        last = (await store.journal_bounds())[1]
        waiting = asyncio.ensure_future(store.grown(last))
        await asyncio.sleep(0)
        begun = time.perf_counter()
        await asyncio.gather(store.commit(Accept(event(random_id))), waiting)
        woken.append((time.perf_counter() - begun) * 1000)
    print(f"{'commit to grown':<58} {spread(sorted(woken))}")


async def fill(store: SqliteStore, count: int, new_id: Callable[[], str]) -> None:
    small = b"{}"
    for first in range(0, count, 5000):
        await store.commit(
            *(
                Accept(Event(scope=SCOPE, bus="default", id=new_id(), at_ms=1, body=small))
                for _ in range(min(5000, count - first))
            )
        )


async def measure(directory: Path, asked: argparse.Namespace) -> None:
    new_id = ordered_id if asked.ordered else random_id
    baseline(directory)
    store = await SqliteStore.open(directory, [LogGroup])
    if asked.base:
        begun = time.perf_counter()
        await fill(store, asked.base, new_id)
        say("filling the journal, tiny events, commits of 5000", asked.base, time.perf_counter() - begun, "events")
    stop = False

    async def spin() -> None:  # work in small pieces, as requests are: the loop never rests
        while not stop:
            sum(range(2000))
            await asyncio.sleep(0)

    spinner = asyncio.ensure_future(spin()) if asked.busy else None
    await commits(store, new_id, asked.seconds)
    if not asked.only_commits:
        await logs(store, asked.seconds)
        await records(store, asked.seconds)
        await reads(store, asked.seconds)
    stop = True
    if spinner:
        await spinner
    size = (directory / "tocsin.db").stat().st_size
    await store.close()
    begun = time.perf_counter()
    store = await SqliteStore.open(directory, [LogGroup])
    print(f"opening {size >> 20} MiB after a clean end: {(time.perf_counter() - begun) * 1000:.1f} ms")
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, help="on the disk to measure; default: a temporary one")
    parser.add_argument("--seconds", type=float, default=2.0, help="per figure")
    parser.add_argument("--base", type=int, default=0, help="events journaled beforehand")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--ordered", action="store_true")
    parser.add_argument("--only-commits", action="store_true")
    asked = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="tocsin-bench-", dir=asked.directory))
    print(f"SQLite {apsw.sqlite_lib_version()}, {os.cpu_count()} cores, {directory}")
    try:
        uvloop.run(measure(directory, asked))
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
