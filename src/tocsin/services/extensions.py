"""Cluster extensions on their way: what nodes are due is sent as commands, and what becomes of those is recorded.

The door records what is asked for, the fleet tells when clusters change, Run Command when it is over on a node. Each of
them only marks a cluster; what is to be done follows from the records.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from tocsin.core.commit import World
from tocsin.core.extensions.scripts import ended, request, script_of
from tocsin.core.extensions.standing import Stands, counted, stands, status
from tocsin.core.tell import line
from tocsin.model.changes import Change, Delete, Put, Tell
from tocsin.model.cluster import Cluster, Node, NodeStatus
from tocsin.model.command import Invocation, StepOutput, output_key
from tocsin.model.errors import TocsinError
from tocsin.model.extension import (
    Extension,
    ExtensionNode,
    Home,
    NodeState,
    Work,
    extensions_prefix,
    nodes_prefix,
)
from tocsin.model.names import Scope
from tocsin.model.records import successor
from tocsin.model.story import Chapter
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Nodes, Store
from tocsin.services.commands import Commands, Drafting
from tocsin.services.commands.drafting import Draft

log = logging.getLogger(__name__)

RETRY_PAUSE_S = 1.0
# Nodes of one command: its invocations are one commit.
NODES_AT_ONCE_MAX = 500


class Look(Struct, kw_only=True):
    """An extension as it is looked at: its nodes that run, what is known of each, and what shall be committed."""

    extension: Extension
    cluster: Cluster
    running: dict[str, Node]
    records: dict[str, ExtensionNode]
    at: datetime
    changes: list[Change]

    def tell(self, chapter: Chapter, what: str, why: str = "", instance_id: str = "") -> None:
        said = f"extension {self.extension.name}: {what}"
        self.changes.append(Tell(line(self.cluster, self.at, chapter, said, why, instance_id=instance_id)))


class Extensions:
    def __init__(self, store: Store, nodes: Nodes, commands: Commands, drafting: Drafting, clock: Clock) -> None:
        self._store = store
        self._nodes = nodes
        self._commands = commands
        self._drafting = drafting
        self._clock = clock
        self._homes: set[Home] = set()
        self._sent: dict[str, Home] = {}  # command id -> the cluster it is for
        self._dirty: set[Home] = set()
        self._at_work = False
        self._wake = asyncio.Event()

    async def load(self) -> None:
        for one in await self._store.find(Extension):
            self.mark(one.scope, one.cluster_id)

    @property
    def idle(self) -> bool:
        return not self._dirty and not self._at_work

    # What others tell.

    def mark(self, scope: Scope, cluster_id: str) -> None:
        """An extension of the cluster was created or changed."""
        self._homes.add((scope, cluster_id))
        self._dirty.add((scope, cluster_id))
        self._wake.set()

    def moved(self, before: World | None, after: World | None) -> None:
        """A cluster was committed. Called for each commit, so it does nothing where there are no extensions."""
        one = after or before
        if one is not None and (one.cluster.scope, one.cluster.id) in self._homes:
            self.mark(one.cluster.scope, one.cluster.id)

    def over(self, invocation: Invocation) -> None:
        """A command is over on a node."""
        home = self._sent.get(invocation.command_id)
        if home is not None:
            self.mark(*home)

    # The loop.

    async def run(self) -> None:
        """Look at whatever is marked, for ever."""
        while True:
            self._wake.clear()
            while self._dirty:
                self._at_work = True
                home = self._dirty.pop()
                try:
                    await self._look(*home)
                except TocsinError as error:
                    log.warning("extensions of cluster %s wait: %s", home[1], error)
                    self._dirty.add(home)
                    await self._clock.sleep(RETRY_PAUSE_S)
                except Exception:
                    log.exception("extensions of cluster %s cannot be brought on: they are passed over", home[1])
                finally:
                    self._at_work = False
            await self._wake.wait()

    async def _look(self, scope: Scope, cluster_id: str) -> None:
        """Raises Stale where the door was faster, and what the store and Run Command raise."""
        found = await self._store.find(Extension, scope, prefix=extensions_prefix(cluster_id))
        world = next((one for one in self._nodes.worlds(scope) if one.cluster.id == cluster_id), None)
        sent: set[str] = set()
        for extension in found:
            records = await self._store.find(ExtensionNode, scope, prefix=nodes_prefix(extension.id))
            if world is None:
                await self._store.commit(*map(Delete, records), Delete(extension))
            else:
                sent |= await self._bring_on(extension, world, {one.instance_id: one for one in records})
        home = (scope, cluster_id)
        self._sent = {key: to for key, to in self._sent.items() if to != home or key in sent}
        if world is None or not found:
            self._homes.discard(home)

    async def _bring_on(self, extension: Extension, world: World, records: dict[str, ExtensionNode]) -> set[str]:
        """The commands that are under way for it then."""
        running = {key: node for key, node in world.nodes.items() if node.status is NodeStatus.RUNNING}
        look = Look(
            extension=extension,
            cluster=world.cluster,
            running=running,
            records=dict(records),
            at=self._clock.now(),
            changes=[],
        )
        before = status(extension, counted(extension, records, running.values()))
        for key in records.keys() - world.nodes.keys():  # nodes that are gone took what they had with them
            del look.records[key]
        await self._take_in(look)
        draft = await self._order(look)
        self._conclude(look, before)
        changes = [*look.changes, *_differing(records, look.records)]
        if changes:
            await self._store.commit(*changes)
        if draft:
            self._commands.opened(draft)
        return {one.command for one in look.records.values() if one.state is NodeState.ORDERED}

    async def _take_in(self, look: Look) -> None:
        """What the commands under way came to."""
        for key, record in list(look.records.items()):
            if record.state is not NodeState.ORDERED:
                continue
            self._sent[record.command] = (look.extension.scope, look.cluster.id)
            invocation = await self._store.get(Invocation, record.scope, f"{record.command}/{key}")
            if invocation is not None and not invocation.final:
                continue
            after = ended(record, invocation, await self._said(invocation)) if invocation else None
            if after is None or (after.removing and after.state is NodeState.ACTIVE):
                del look.records[key]
            else:
                look.records[key] = after
            if after is not None and after.state is NodeState.FAILED:
                what = "cannot be removed" if after.removing else "cannot be installed"
                look.tell(Chapter.NODE, what, f"{after.code}: {after.message}", key)

    async def _said(self, invocation: Invocation) -> str:
        """What its last step wrote to stderr."""
        if not invocation.steps:
            return ""
        key = output_key(invocation.command_id, invocation.instance_id, invocation.steps[-1].step)
        output = await self._store.get(StepOutput, invocation.scope, key)
        return output.stderr if output else ""

    async def _order(self, look: Look) -> Draft | None:
        """Send to nodes that are due, as many as one command takes. Without a script for its removal it is removed,
        from nodes that do not run as well."""
        if not script_of(look.extension):
            look.records = {key: one for key, one in look.records.items() if one.state is NodeState.ORDERED}
            return None
        due = [
            key
            for key, node in look.running.items()
            if stands(look.extension, look.records.get(key), node) is Stands.DUE
        ]
        if len(due) > NODES_AT_ONCE_MAX:
            self.mark(look.extension.scope, look.extension.cluster_id)
        return await self._ordered(look, due[:NODES_AT_ONCE_MAX]) if due else None

    async def _ordered(self, look: Look, instance_ids: Sequence[str]) -> Draft:
        extension, now_ms = look.extension, epoch_ms(look.at)
        self._commands.check_room()
        asked = request(extension, instance_ids, look.cluster.log_group)
        draft = await self._drafting.draft(extension.scope, asked, now_ms)
        look.changes += draft.changes
        self._sent[draft.command.id] = (extension.scope, look.cluster.id)
        for key in instance_ids:
            look.records[key] = _order_of(extension, look.running[key], look.records.get(key), draft.command.id)
        return draft

    def _conclude(self, look: Look, before: str) -> None:
        """The extension itself: settled once nobody is on the way, gone once nobody has it."""
        extension = look.extension
        counts = counted(extension, look.records, look.running.values())
        resting = not counts.get(Stands.DUE) and not counts.get(Stands.OPEN)
        after = status(extension, counts)
        if resting and extension.work is Work.DELETE and not look.records:
            look.changes.append(Delete(extension))
            look.tell(Chapter.STATUS, f"{before} → gone")
        elif resting and not extension.settled:
            look.changes.append(Put(successor(extension, settled=True)))
            look.tell(Chapter.STATUS, f"{before} → {status(successor(extension, settled=True), counts)}")
        elif after != before:
            look.tell(Chapter.STATUS, f"{before} → {after}")


def _differing(before: Mapping[str, ExtensionNode], after: Mapping[str, ExtensionNode]) -> list[Change]:
    """Each record once, whatever happened to it meanwhile."""
    gone = [Delete(before[key]) for key in before.keys() - after.keys()]
    return [*gone, *(Put(_next(before.get(key), one)) for key, one in after.items() if before.get(key) is not one)]


def _next(before: ExtensionNode | None, after: ExtensionNode) -> ExtensionNode:
    return replace(after, revision=before.revision + 1 if before else 1)


def _order_of(extension: Extension, node: Node, before: ExtensionNode | None, command: str) -> ExtensionNode:
    """The last failure stays told until a script succeeds."""
    return ExtensionNode(
        scope=extension.scope,
        extension=extension.id,
        instance_id=node.instance_id,
        n=extension.n,
        runs=node.runs,
        state=NodeState.ORDERED,
        command=command,
        removing=extension.work is Work.DELETE,
        code=before.code if before else "",
        message=before.message if before else "",
    )
