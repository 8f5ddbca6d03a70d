"""Cluster extensions on their way: what nodes are due is sent as commands, and what becomes of those is recorded.

The door records what is asked for, the fleet tells when clusters change, Run Command when it is over on a node, nodes
how well they are. Each of them only marks a cluster, or nodes of it; what is to be done follows from the records.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from tocsin.core.commit import World
from tocsin.core.extensions.health import asked, extension_of, heard
from tocsin.core.extensions.roll import Roll
from tocsin.core.extensions.scripts import ended, request, script_of
from tocsin.core.extensions.standing import Fate, Stands, fate
from tocsin.core.tell import line
from tocsin.model.changes import Change, Delete, Put, Tell
from tocsin.model.cluster import Cluster, Node
from tocsin.model.command import Invocation, StepOutput, output_key
from tocsin.model.command_errors import InvalidCommandId
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
from tocsin.model.link import ExtensionChecked, UnwatchExtension
from tocsin.model.names import Scope
from tocsin.model.records import successor
from tocsin.model.story import Chapter
from tocsin.ports import Clock, NodeLinks, Nodes, Store
from tocsin.services.commands import Commands
from tocsin.services.commands.drafting import TIMEOUT_S, Draft
from tocsin.services.deciding import decided

log = logging.getLogger(__name__)

RETRY_PAUSE_S = 1.0
# Nodes of one command: its invocations are one commit.
NODES_AT_ONCE_MAX = 500


class Look(Struct, kw_only=True):
    """An extension as it is looked at, and what shall be committed. `before` are the records of whom is looked at, as
    they are kept; `lost` had it and cannot be waited for."""

    roll: Roll
    cluster: Cluster
    nodes: Mapping[str, Node]
    at: datetime
    before: dict[str, ExtensionNode | None] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    @property
    def extension(self) -> Extension:
        return self.roll.extension

    def set(self, key: str, record: ExtensionNode | None) -> None:
        self.before.setdefault(key, self.roll.records.get(key))
        if record is None:
            self.roll.records.pop(key, None)
        else:
            self.roll.records[key] = record
        self.roll.turn(key, self.nodes.get(key))

    def tell(self, chapter: Chapter, what: str, why: str = "", instance_id: str = "") -> None:
        said = f"extension {self.extension.name}: {what}"
        self.changes.append(Tell(line(self.cluster, self.at, chapter, said, why, instance_id=instance_id)))


class Extensions:
    """`health_s`: how often nodes ask an extension how it is."""

    def __init__(
        self, store: Store, nodes: Nodes, commands: Commands, links: NodeLinks, clock: Clock, health_s: float
    ) -> None:
        self._store = store
        self._nodes = nodes
        self._commands = commands
        self._links = links
        self._clock = clock
        self._health_s = health_s
        self._homes: dict[Home, World | None] = {}  # clusters with extensions; None: it is gone
        self._rolls: dict[Home, dict[str, Roll]] = {}  # by extension id; of a cluster that is missing, to be read
        self._news: dict[Home, set[str]] = {}  # the instances to be looked at
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
        """An extension of the cluster was created or changed: look at all of it."""
        home = (scope, cluster_id)
        self._homes[home] = next((one for one in self._nodes.worlds(scope) if one.cluster.id == cluster_id), None)
        self._rolls.pop(home, None)
        self._look_at(home)

    def moved(self, before: World | None, after: World | None, touched: Iterable[str]) -> None:
        """A cluster was committed. Called for each commit, so it does nothing where there are no extensions."""
        one = after or before
        if one is None or (home := (one.cluster.scope, one.cluster.id)) not in self._homes:
            return
        self._homes[home] = after
        if touched or after is None:
            self._look_at(home, *touched)

    def over(self, invocation: Invocation) -> None:
        """A command is over on a node."""
        self._look_at_node(invocation.instance_id)

    def linked(self, instance_id: str) -> None:
        """A node's agent is there (again): it knows of nothing that it should ask."""
        home = self._home(instance_id)
        for roll in self._rolls.get(home, {}).values() if home else ():
            self._ask(roll, [instance_id])

    async def report(self, instance_id: str, report: ExtensionChecked) -> None:
        """Commit how a node finds an extension, with the report's number. Raises Stale, StoreUnavailable."""
        await decided(lambda: self._take(instance_id, report))

    async def _take(self, instance_id: str, report: ExtensionChecked) -> None:
        found = self._nodes.node(instance_id)
        if found is None:
            return
        cluster, extension = found[0].cluster, extension_of(report.work)
        key = f"{nodes_prefix(extension)}{instance_id}"
        record = await self._store.get(ExtensionNode, cluster.scope, key)
        after = heard(record, report)
        if after is None or after is record:
            if record is None:
                self._links.send(instance_id, UnwatchExtension(work=report.work, extension=extension))
            await self._nodes.keep(instance_id, report.n)
            return
        name = await self._name(cluster, extension)
        turns = "is well again" if after.state is NodeState.ACTIVE else "is not well"
        why = f"{after.code}: {after.message}" if after.code else ""
        said = line(
            cluster, self._clock.now(), Chapter.HEALTH, f"extension {name}: {turns}", why, instance_id=instance_id
        )
        if await self._nodes.keep(instance_id, report.n, Put(after), Tell(said)):
            roll = self._rolls.get((cluster.scope, cluster.id), {}).get(extension)
            if roll is not None:
                roll.records[instance_id] = after
            self._look_at_node(instance_id)

    async def _name(self, cluster: Cluster, extension: str) -> str:
        found = await self._store.find(Extension, cluster.scope, prefix=extensions_prefix(cluster.id))
        return next((one.name for one in found if one.id == extension), extension)

    def _home(self, instance_id: str) -> Home | None:
        found = self._nodes.node(instance_id)
        return (found[0].cluster.scope, found[0].cluster.id) if found else None

    def _look_at_node(self, instance_id: str) -> None:
        home = self._home(instance_id)
        if home in self._homes:
            self._look_at(home, instance_id)

    def _look_at(self, home: Home, *news: str) -> None:
        self._news.setdefault(home, set()).update(news)
        self._dirty.add(home)
        self._wake.set()

    # The loop.

    async def run(self) -> None:
        """Look at whatever is marked, for ever."""
        while True:
            self._wake.clear()
            while self._dirty:
                self._at_work = True
                home = self._dirty.pop()
                try:
                    await self._look(home)
                except TocsinError as error:
                    log.warning("extensions of cluster %s wait: %s", home[1], error)
                    self._rolls.pop(home, None)
                    self._dirty.add(home)
                    await self._clock.sleep(RETRY_PAUSE_S)
                except Exception:
                    log.exception("extensions of cluster %s cannot be brought on: they are passed over", home[1])
                    self._rolls.pop(home, None)
                finally:
                    self._at_work = False
            await self._wake.wait()

    async def _look(self, home: Home) -> None:
        """Raises Stale where the door was faster, and what the store and Run Command raise."""
        news = self._news.pop(home, set())
        world = self._homes.get(home)
        if world is None:
            await self._forget(home)
            return
        rolls = self._rolls.get(home)
        if rolls is None:
            rolls = self._rolls[home] = await self._read(home, world)
            news = {*world.nodes, *(key for roll in rolls.values() for key in roll.records)}
            for roll in rolls.values():
                self._ask(roll, roll.records)
        for key, roll in list(rolls.items()):
            if await self._bring_on(roll, world, news):
                del rolls[key]
        if not rolls and rolls is self._rolls.get(home):
            self._let_go(home)

    async def _read(self, home: Home, world: World) -> dict[str, Roll]:
        found = await self._store.find(Extension, home[0], prefix=extensions_prefix(home[1]))
        return {
            one.id: Roll(one, await self._store.find(ExtensionNode, home[0], prefix=nodes_prefix(one.id)), world.nodes)
            for one in found
        }

    async def _forget(self, home: Home) -> None:
        """The extensions of a cluster that is gone."""
        for extension in await self._store.find(Extension, home[0], prefix=extensions_prefix(home[1])):
            records = await self._store.find(ExtensionNode, home[0], prefix=nodes_prefix(extension.id))
            await self._store.commit(*map(Delete, records), Delete(extension))
        self._let_go(home)

    def _let_go(self, home: Home) -> None:
        for known in (self._homes, self._rolls, self._news):
            known.pop(home, None)

    async def _bring_on(self, roll: Roll, world: World, news: Iterable[str]) -> bool:
        """Whether it is gone then."""
        look = Look(roll=roll, cluster=world.cluster, nodes=world.nodes, at=self._clock.now())
        for key in news:
            roll.turn(key, world.nodes.get(key))
            await self._take_in(look, key)
            self._give_up(look, key)
        draft = await self._order(look)
        over = self._conclude(look)
        changes = [*look.changes, *_differing(look)]
        if changes:
            await self._store.commit(*changes)
        if draft:
            self._commands.opened(draft)
        self._ask(roll, look.before)
        return over

    async def _take_in(self, look: Look, key: str) -> None:
        """What became of the node, and of the command that is under way there."""
        record = look.roll.records.get(key)
        if record is not None and key not in look.nodes:  # a node that is gone took with it what it had
            look.set(key, None)
        elif record is not None and record.state is NodeState.ORDERED:
            invocation = await self._store.get(Invocation, record.scope, f"{record.command}/{key}")
            if invocation is None or invocation.final:
                after = ended(record, invocation, await self._said(invocation)) if invocation else None
                look.set(key, None if after is None or (after.removing and after.state is NodeState.ACTIVE) else after)
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

    def _give_up(self, look: Look, key: str) -> None:
        """Of an extension that is being deleted: nodes that have nothing to be removed, or that cannot be waited for.

        Without a script for its removal it is removed wherever none of its scripts runs.
        """
        record = look.roll.records.get(key)
        if record is None or look.extension.work is not Work.DELETE:
            return
        match fate(record, look.nodes.get(key)):
            case Fate.GONE:
                look.set(key, None)
            case Fate.LOST:
                look.lost.append(key)
            case Fate.THERE if not script_of(look.extension) and record.state is not NodeState.ORDERED:
                look.set(key, None)

    async def _order(self, look: Look) -> Draft | None:
        """Send to nodes that are due, as many as one command takes."""
        lost = await self._part_from(look)
        if not script_of(look.extension):
            return None
        due = list(look.roll.on[Stands.DUE])
        now = due[: NODES_AT_ONCE_MAX - len(lost)]
        if len(now) < len(due):
            self._look_at((look.extension.scope, look.extension.cluster_id))
        if not now and not lost:
            return None
        asked_for = request(look.extension, [*now, *lost], look.cluster.log_group)
        draft = await self._commands.draft(look.extension.scope, asked_for)
        look.changes += draft.changes
        for key in now:
            look.set(key, _order_of(look.extension, look.nodes[key], look.roll.records.get(key), draft.command.id))
        return draft

    async def _part_from(self, look: Look) -> Sequence[str]:
        """Nodes that failed and are not waited for; those of them where it shall be removed if they come back."""
        taken, later = look.lost[:NODES_AT_ONCE_MAX], look.lost[NODES_AT_ONCE_MAX:]
        if later:
            self._look_at((look.extension.scope, look.extension.cluster_id), *later)
        to_remove = []
        for key in taken:
            record = look.roll.records[key]
            if record.state is NodeState.ORDERED and not record.removing:
                with contextlib.suppress(InvalidCommandId):
                    await self._commands.cancel(record.scope, record.command, [key])
            if script_of(look.extension) and not (record.state is NodeState.ORDERED and record.removing):
                to_remove.append(key)
            look.set(key, None)
            back = f"; it is removed there if the node is back within {TIMEOUT_S / 3600:g} h"
            why = f"the node has failed: {look.nodes[key].message}"
            what = f"is not waited for on this node{back if script_of(look.extension) else ''}"
            look.tell(Chapter.NODE, what, why, key)
        return to_remove

    def _conclude(self, look: Look) -> bool:
        """The extension itself: settled once nobody is on the way, gone once nobody has it. Whether it is gone."""
        roll, extension, before = look.roll, look.extension, look.roll.told
        if roll.resting and extension.work is Work.DELETE and not roll.records:
            look.changes.append(Delete(extension))
            look.tell(Chapter.STATUS, f"{before} → gone")
            return True
        if roll.resting and not extension.settled:
            roll.extension = successor(extension, settled=True)
            look.changes.append(Put(roll.extension))
        roll.told = roll.status
        if roll.told != before:
            look.tell(Chapter.STATUS, f"{before} → {roll.told}")
        return False

    def _ask(self, roll: Roll, instance_ids: Iterable[str]) -> None:
        """Have these nodes ask the extension how it is, where it is there; agents know what they ask already."""
        for key in instance_ids if roll.extension.package.health else ():
            record = roll.records.get(key)
            order = asked(roll.extension, record, self._health_s) if record else None
            if order is not None:
                self._links.send(key, order)
            elif record is None or record.removing:
                self._links.send(key, UnwatchExtension(work=roll.extension.id, extension=roll.extension.id))


def _differing(look: Look) -> list[Change]:
    """Each record once, whatever happened to it meanwhile."""
    changes: list[Change] = []
    for key, before in look.before.items():
        after = look.roll.records.get(key)
        if after is not None and after is not before:
            after = look.roll.records[key] = replace(after, revision=before.revision + 1 if before else 1)
            changes.append(Put(after))
        elif before is not None and after is None:
            changes.append(Delete(before))
    return changes


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
