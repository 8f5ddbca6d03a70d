"""Commands and their invocations: what must hold at every moment, and that each change was told."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import orjson

from tocsin.core.audit.world import Note, World
from tocsin.core.commands.happenings import COMMAND_CHANGE, INVOCATION_CHANGE
from tocsin.core.commands.progress import counted
from tocsin.model.command import FINAL, Command, Invocation


def commands(world: World) -> Iterable[Note]:
    mine: dict[str, list[Invocation]] = defaultdict(list)
    for one in world.invocations:
        mine[one.command_id].append(one)
    known = {command.id for command in world.commands}
    for command_id in mine.keys() - known:
        yield Note("an invocation belongs to a command", command_id)
    for command in world.commands:
        yield from _itself(command, mine[command.id])


def _itself(command: Command, ones: list[Invocation]) -> Iterable[Note]:
    if len(ones) != command.targets:
        yield Note("a command has an invocation for each of its nodes", command.id, f"{len(ones)}/{command.targets}")
    over = command.status in FINAL
    if over and not all(one.final for one in ones):
        yield Note("a command is over when all its invocations are", command.id)
    if (counted(ones) if over else None) != command.counts:
        yield Note("what is over is counted", command.id, str(command.counts))
    if not over and sum(1 for one in ones if one.sent_ms and not one.final) > command.sent_max:
        yield Note("no more is sent than may be at once", command.id)
    for one in ones:
        if one.started_ms and not one.sent_ms:
            yield Note("what runs was sent", one.key)
        if one.final != bool(one.ended_ms):
            yield Note("what is over has an end", one.key)


def commands_told(world: World) -> Iterable[Note]:
    """Each change of a status is an event; of what is over, the last change is told, and told once."""
    said: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for entry in world.journal:
        if b'"aws.ssm"' not in entry.event.body:
            continue
        event = orjson.loads(entry.event.body)
        if event["detail-type"] in (COMMAND_CHANGE, INVOCATION_CHANGE):
            detail = event["detail"]
            said[detail["command-id"], detail.get("instance-id", "")][detail["status"]] += 1
    if not said:  # the journal may have forgotten them
        return
    for command in world.commands:
        if command.status in FINAL and said[command.id, ""][command.status] != 1:
            yield Note("the end of a command is told once", command.id, str(said[command.id, ""]))
    for one in world.invocations:
        if one.final and said[one.command_id, one.instance_id][one.status] != 1:
            yield Note("the end of an invocation is told once", one.key, str(said[one.command_id, one.instance_id]))
