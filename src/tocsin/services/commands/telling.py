"""Changes of commands and invocations -> all that one commit must hold: records, events, and what topics are told."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from tocsin.core.commands.happenings import command_event, invocation_event
from tocsin.core.commands.notices import (
    COMMAND,
    INVOCATION,
    command_notice,
    invocation_notice,
    subject,
    topic_asked,
    wanted,
)
from tocsin.core.tell import line
from tocsin.core.topics.messages import Draft as Message
from tocsin.model.changes import Accept, Change, Put, Tell
from tocsin.model.command import Command, Invocation
from tocsin.model.names import derived_uuid
from tocsin.model.story import Chapter
from tocsin.ports import Nodes
from tocsin.services.topics import Topics


class Move(Struct, frozen=True):
    """An invocation that changes."""

    before: Invocation
    after: Invocation


def _nothing() -> None:
    pass


class Owed(Struct, frozen=True, kw_only=True):
    """Changes for the caller's commit; `committed` is to be called when they are on disk."""

    changes: tuple[Change, ...] = ()
    committed: Callable[[], None] = _nothing


class Telling:
    """`topics` None: nobody is told but the bus and the story."""

    def __init__(self, nodes: Nodes, topics: Topics | None) -> None:
        self._nodes = nodes
        self._topics = topics

    async def invocations(self, command: Command, moves: Sequence[Move], now_ms: int) -> Owed:
        """Of invocations that change: the records, and what is owed to those whose status does."""
        changes: list[Change] = [Put(one.after) for one in moves]
        turned = [one.after for one in moves if one.before.status is not one.after.status]
        changes += [Accept(invocation_event(command, one, now_ms)) for one in turned]
        changes += [told for one in turned if one.final for told in self._story(command, one, now_ms)]
        messages = [
            (derived_uuid("ssm-notice", one.key, one.revision), invocation_notice(command, one, now_ms))
            for one in turned
            if wanted(command, INVOCATION, one.status)
        ]
        return await self._owed(command, changes, messages, now_ms)

    def _story(self, command: Command, one: Invocation, now_ms: int) -> list[Change]:
        """The end of a command on a node that is still there, where its story is read."""
        found = self._nodes.node(one.instance_id)
        if found is None:
            return []
        what = f"{command.document}: {one.details}"
        why = " ".join(filter(None, [f"command {command.id}", one.reason]))
        at = datetime.fromtimestamp(now_ms / 1000, UTC)
        return [Tell(line(found[0].cluster, at, Chapter.COMMAND, what, why, instance_id=one.instance_id))]

    async def command(self, command: Command, invocations: Iterable[Invocation], now_ms: int) -> Owed:
        """Of a command that changes its status."""
        changes: list[Change] = [Put(command), Accept(command_event(command, invocations, now_ms))]
        messages = []
        if wanted(command, COMMAND, command.status):
            messages = [(derived_uuid("ssm-notice", command.id, command.revision), command_notice(command, now_ms))]
        return await self._owed(command, changes, messages, now_ms)

    async def _owed(
        self, command: Command, changes: list[Change], messages: Sequence[tuple[str, str]], now_ms: int
    ) -> Owed:
        place = topic_asked(command.request) if messages and self._topics else None
        topic = await self._topics.find(*place) if place and self._topics else None
        if topic is None or self._topics is None:
            return Owed(changes=tuple(changes))
        drafts = [(message_id, Message(message=text, subject=subject(command))) for message_id, text in messages]
        prepared = await self._topics.prepare(topic, drafts, now_ms)
        return Owed(changes=(*changes, *prepared.changes), committed=prepared.committed)
