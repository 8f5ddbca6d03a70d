"""The law of the Store port: archives of events."""

from tests.conformance.conftest import Opened
from tests.conformance.holding import HERE, THERE, event, ids
from tocsin.model.archive import Archive, ArchiveSum
from tocsin.model.changes import (
    Accept,
    Delete,
    DropArchived,
    Keep,
    Put,
)
from tocsin.model.names import Scope
from tocsin.ports import Store


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
