"""Finding events in the journal: in slices that let others have their turn, and never more than a bounded number."""

import asyncio
from collections.abc import Callable

from tocsin.model.event import Event, Journaled
from tocsin.model.noise import Held
from tocsin.ports import Store

# How far back past events are looked for: some 0.2 s of reading.
SCANNED_MAX = 20_000
# Events looked at in one answer on the way forward, which the next call goes on from.
SCANNED_FORWARD_MAX = 5000
SLICE = 200
# Events are journaled in the order of their commits. The times at which they were accepted are that far from it.
DISORDER_MS = 60_000

Wanted = Callable[[Event], bool]


async def newest(
    store: Store, wanted: Wanted, most: int, until_ms: int | None = None, *, held_only: bool = False
) -> tuple[int, list[Journaled]]:
    """Where the journal ends, and its newest events that are wanted, oldest first.

    They are looked for among the last SCANNED_MAX, or the last before the time. `held_only`: those of which a delivery
    was held back.
    """
    first, last = await store.journal_bounds()
    end = last if until_ms is None else min(last, await place_of(store, until_ms + DISORDER_MS))
    first = max(first, end - SCANNED_MAX + 1)
    found: list[Journaled] = []
    while end >= first and len(found) < most:
        begin = max(first - 1, end - SLICE)
        looked_at = await _between(store, begin, end, wanted)
        found = (await _with_held(store, looked_at) if held_only else looked_at) + found
        end = begin
        await asyncio.sleep(0)
    return last, found[-most:] if most > 0 else []


async def _between(store: Store, begin: int, end: int, wanted: Wanted) -> list[Journaled]:
    """The wanted events of begin < seq <= end. One reading may give fewer than asked for when they are large."""
    found: list[Journaled] = []
    while begin < end and (entries := await store.journal(begin, end - begin)):
        found += [one for one in entries if one.seq <= end and wanted(one.event)]
        begin = entries[-1].seq
    return found


async def held_of(store: Store, entries: list[Journaled]) -> dict[int, list[Held]]:
    """What was held back of the entries, by their places. They are in order, and close to each other."""
    found: dict[int, list[Held]] = {}
    if entries:
        for one in await store.held(entries[0].seq - 1, entries[-1].seq):
            found.setdefault(one.seq, []).append(one)
    return found


async def _with_held(store: Store, entries: list[Journaled]) -> list[Journaled]:
    held = await held_of(store, entries)
    return [entry for entry in entries if entry.seq in held]


async def beyond(
    store: Store, after: int, wanted: Wanted, most: int, until_ms: int | None = None, *, held_only: bool = False
) -> tuple[int, bool, list[Journaled]]:
    """Where to go on from, whether there is more to be looked at, and the first events after the place."""
    found: list[Journaled] = []
    left = SCANNED_FORWARD_MAX
    while left > 0 and (entries := await store.journal(after, min(SLICE, left))):
        held = await held_of(store, entries) if held_only else {}
        for entry in entries:
            after = entry.seq
            left -= 1
            if until_ms is not None and entry.event.at_ms >= until_ms + DISORDER_MS:
                return after, False, found
            if wanted(entry.event) and (not held_only or entry.seq in held):
                found.append(entry)
                if len(found) >= most:
                    return after, True, found
        await asyncio.sleep(0)
    return after, left <= 0, found


async def place_of(store: Store, at_ms: int) -> int:
    """The place after which the events stand that were accepted at the time or later, as far as they are in order."""
    low, last = await store.journal_bounds()
    high = last + 1
    while low < high:
        middle = (low + high) // 2
        entries = await store.journal(middle - 1, 1)
        if entries and entries[0].event.at_ms < at_ms:
            low = entries[0].seq + 1
        else:
            high = middle
    return max(low - 1, 0)
