"""Reads a store into the world that core/audit judges."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from tocsin.backends.sqlite import SqliteStore
from tocsin.core.audit import Owed, World
from tocsin.model.cluster import Cluster, Node, NodeCursor
from tocsin.model.cluster_event import ClusterEvent
from tocsin.model.command import Command, Invocation
from tocsin.model.event import Journaled
from tocsin.model.logs import LogEvent, LogQuery
from tocsin.model.machine import MachineState
from tocsin.model.names import Scope, log_group_of
from tocsin.model.outbound import Outbound
from tocsin.model.rule import Rule
from tocsin.model.story import StoryLine
from tocsin.ports import Store
from tocsin.server.kinds import KINDS
from tocsin.services.bus import ROUTER
from tocsin.targets.loggroups import log_place

ALL = 1_000_000


async def read_state(
    store: Store, journal: tuple[Journaled, ...], machines: Mapping[str, MachineState] | None = None
) -> World:
    """Records and cursor; the journal is the caller's. Nothing here waits: it is one moment of the store."""
    return World(
        clusters=tuple(await store.find(Cluster)),
        nodes=tuple(await store.find(Node)),
        cursors=tuple(await store.find(NodeCursor)),
        rules=tuple(await store.find(Rule)),
        journal=journal,
        routed=await store.cursor(ROUTER),
        outbounds=tuple(await store.find(Outbound)),
        machines=machines,
        steps=tuple(await store.find(ClusterEvent)),
        commands=tuple(await store.find(Command)),
        invocations=tuple(await store.find(Invocation)),
    )


async def read_world(
    store: Store, machines: Mapping[str, MachineState] | None = None, *, rules_since: int = 0
) -> World:
    """Everything, of a store in which nothing happens meanwhile."""
    journal = tuple(await store.journal(0, ALL))
    state = await read_state(store, journal, machines)
    scopes = {one.event.scope for one in journal} | {one.scope for one in state.clusters}
    return World(
        clusters=state.clusters,
        nodes=state.nodes,
        cursors=state.cursors,
        rules=state.rules,
        journal=journal,
        routed=state.routed,
        rules_since=rules_since,
        outbounds=state.outbounds,
        commands=state.commands,
        invocations=state.invocations,
        delivered=await _delivered(store, state.rules),
        steps=state.steps,
        story=tuple([line for scope in sorted(scopes) for line in await _story(store, scope)]),
        machines=machines,
    )


async def _delivered(store: Store, rules: tuple[Rule, ...]) -> dict[Owed, tuple[LogEvent, ...]]:
    delivered = {}
    for rule in rules:
        for target in filter(lambda one: log_group_of(one.arn), rule.targets):
            scope, group, stream = log_place(rule.arn, target.id, target.arn)
            query = LogQuery(scope=scope, group=group, streams=(stream,), limit=ALL)
            delivered[rule.arn, target.id] = tuple(await store.log_events(query))
    return delivered


async def _story(store: Store, scope: Scope) -> list[StoryLine]:
    return [told.line for told in await store.story(scope, limit=ALL)]


def world_in(directory: Path, *, rules_since: int = 0) -> World:
    """The world in the data directory of a server that has stopped. Its machines are all at rest."""

    async def read() -> World:
        store = await SqliteStore.open(directory, KINDS)
        try:
            resting = {place.name: MachineState.STOPPED for place in (directory / "machines").iterdir()}
            return await read_world(store, resting, rules_since=rules_since)
        finally:
            await store.close()

    return asyncio.run(read())
