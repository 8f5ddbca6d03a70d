"""Delivery status logging: how deliveries ended -> lines in the topic's log groups, in the commit that ends them.

Deliveries into queues end with their publication; those to endpoints when the outbox settles them.
"""

from collections.abc import Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct

from tocsin.core.settle import Done, RetryAt
from tocsin.core.topics.feedback import Ending, Wish, group_of, line, status_in
from tocsin.model.changes import Change, Log, Put
from tocsin.model.errors import Stale
from tocsin.model.logs import LogGroup, LogLine
from tocsin.model.names import Scope, derived_uuid
from tocsin.model.outbound import DeadLetter, Outbound
from tocsin.ports import Store


class Ended(Struct, frozen=True, kw_only=True):
    """A delivery of which something is to be told."""

    scope: Scope
    wish: Wish
    ending: Ending


class Feedback:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def changes(self, ended: Sequence[Ended], now_ms: int) -> list[Change]:
        """The lines that are wanted, for the caller's commit. Their groups are there when this returns."""
        lines: dict[tuple[Scope, str], list[LogLine]] = {}
        for one in ended:
            if one.wish.failure if one.ending.failed else one.wish.success:
                group = group_of(one.scope, one.wish.topic, failed=one.ending.failed)
                told = LogLine(now_ms, line(one.wish, one.ending, now_ms))
                lines.setdefault((one.scope, group), []).append(told)
        for scope, group in lines:
            await self._have(scope, group, now_ms)
        return [
            Log(scope=scope, group=group, stream=derived_uuid(group), lines=tuple(some), ingested_ms=now_ms)
            for (scope, group), some in lines.items()
        ]

    async def of_outbound(
        self, outbound: Outbound, fate: Done | RetryAt | DeadLetter, said: str, now_ms: int
    ) -> list[Change]:
        """The same of a delivery that the outbox ends. `said` is the endpoint's answer to the last attempt."""
        wanted = outbound.about.get("feedback")
        if not wanted or isinstance(fate, RetryAt):
            return []
        failed = isinstance(fate, DeadLetter)
        response = fate.message if isinstance(fate, DeadLetter) else said
        attempts = fate.retries + 1 if isinstance(fate, DeadLetter) else outbound.attempts + 1
        ending = Ending(failed=failed, response=response, status=status_in(response), attempts=attempts)
        wish = msgspec.convert(wanted, Wish)
        return await self.changes([Ended(scope=outbound.scope, wish=wish, ending=ending)], now_ms)

    async def _have(self, scope: Scope, group: str, now_ms: int) -> None:
        """In a commit of its own: two that miss the group at once must not make a delivery stale and so repeat it."""
        if await self._store.get(LogGroup, scope, group) is None:
            with suppress(Stale):
                await self._store.commit(Put(LogGroup(scope=scope, name=group, created_ms=now_ms)))
