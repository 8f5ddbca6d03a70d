"""Threads of Slack channels: where each began is kept, so that what belongs together stands together after a restart.

A message is posted before its thread is kept: a crash in between costs the thread, not the message.
"""

import logging

from tocsin.model.changes import Change, Delete, Put
from tocsin.model.chat import ChatConfiguration, ChatThread, Post, thread_key
from tocsin.model.errors import Stale, StoreUnavailable, Throttling
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Store

log = logging.getLogger(__name__)

# Open threads of one configuration. Beyond them the oldest is closed: what follows it begins a new one.
THREADS_MAX = 200


class Threads:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def open(self, one: ChatConfiguration, thread: str) -> ChatThread | None:
        """The thread, if it began in the channel that the configuration has now."""
        found = await self._store.get(ChatThread, one.scope, thread_key(one.key, thread))
        return found if found is not None and found.channel == one.channel else None

    async def keep(self, one: ChatConfiguration, post: Post, thread: ChatThread | None, *, ts: str) -> None:
        """After a post: a thread begins with its first message, and ends with the one that closes it."""
        if thread is not None and post.ends:
            await self.close(thread)
        elif post.thread and thread is None and not post.ends and ts:
            await self._begin(one, post.thread, ts)

    async def close(self, thread: ChatThread) -> None:
        await self._commit(Delete(thread))

    async def _begin(self, one: ChatConfiguration, thread: str, ts: str) -> None:
        others = sorted(
            await self._store.find(ChatThread, one.scope, prefix=f"{one.key}/"), key=lambda other: other.opened_ms
        )
        begun = ChatThread(
            scope=one.scope,
            configuration=one.key,
            thread=thread,
            channel=one.channel,
            ts=ts,
            opened_ms=epoch_ms(self._clock.now()),
        )
        moved = [other for other in others if other.key == begun.key]  # began in a channel that was left
        surplus = [other for other in others if other not in moved][: max(len(others) - THREADS_MAX + 1, 0)]
        for gone in moved:
            await self.close(gone)
        await self._commit(*map(Delete, surplus), Put(begun))

    async def _commit(self, *changes: Change) -> None:
        """The message is out: what cannot be kept now costs the thread, and must not cause the message again."""
        try:
            await self._store.commit(*changes)
        except (Stale, StoreUnavailable, Throttling) as error:
            log.warning("a thread is not kept: %s", error or "it was changed meanwhile")
