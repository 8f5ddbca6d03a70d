"""Commands on their way: whose turn it is, what nodes report, who is cancelled. One loop over all that are not over.

The store holds the truth; what is open is in memory too, and memory follows each commit. What may have changed is
decided again (core/commands/progress.py), so a lost race costs another look and nothing else.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from tocsin.core.commands.orders import orders_of
from tocsin.core.commands.progress import Seen, advance, counted, deadline_ms, due_ms
from tocsin.model.changes import Change
from tocsin.model.command import FINAL, Command, Counts, Details, Invocation, Status
from tocsin.model.command_errors import InvalidCommandId, InvalidInstanceId
from tocsin.model.errors import LimitExceeded, Stale, TocsinError
from tocsin.model.link import CancelCommand, CommandReport
from tocsin.model.names import Scope
from tocsin.model.records import successor
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, NodeLinks, Nodes, Store
from tocsin.services.commands.drafting import CommandLimits, Draft, Drafting
from tocsin.services.commands.hearing import Hearing
from tocsin.services.commands.history import History
from tocsin.services.commands.sweeping import sweep
from tocsin.services.commands.telling import Move, Telling

log = logging.getLogger(__name__)

# Nodes go without a word to us, so what is open is looked at again so often.
LOOK_PERIOD_MS = 1_000
RETRY_PAUSE_S = 0.5
# Invocations moved in one commit: enough to share an fsync among many, few enough to keep others from waiting.
MOVED_AT_ONCE_MAX = 500
SWEEP_PERIOD_MS = 60_000
# What a node was ordered and did not begin is ordered again: an order is lost where the node's queue was full.
ORDER_PERIOD_MS = 30_000


class Open(Struct):
    """A command that is not over, with all its invocations. `due_ms`: when time alone may change something next."""

    command: Command
    invocations: dict[str, Invocation]
    due_ms: int = 0


class Commands:
    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        nodes: Nodes,
        links: NodeLinks,
        drafting: Drafting,
        telling: Telling,
        hearing: Hearing,
        limits: CommandLimits | None = None,
        over: Callable[[Invocation], None] = lambda _: None,
    ) -> None:
        """`over` hears of each invocation that is over, once it is on disk."""
        self._store = store
        self._clock = clock
        self._nodes = nodes
        self._links = links
        self._drafting = drafting
        self._telling = telling
        self._hearing = hearing
        self._limits = limits or CommandLimits()
        self._over = over
        self._open: dict[str, Open] = {}
        self._at: dict[str, set[str]] = {}  # instance id -> ids of open commands that are not over there
        self._linked: set[str] = set()  # nodes with something in hand that had a link at the last look
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._swept_ms = self._looked_ms = 0
        self._ordered_ms = self._now_ms()
        self.history = History()
        self.counts: Counter[str] = Counter(commands=0, invocations=0, ended=0)

    async def load(self) -> None:
        """Take up what was open when the last server ended. Called once, before anything else."""
        for command in await self._store.find(Command):
            self.history.add(command.scope, command.id)
            if command.status not in FINAL:
                found = await self._store.find(Invocation, command.scope, prefix=f"{command.id}/")
                self._take_up(command, found)

    @property
    def idle(self) -> bool:
        """Whether nothing is to be decided now. What runs on nodes may take its time."""
        return not self._dirty

    @property
    def open(self) -> int:
        """How many commands are not over."""
        return len(self._open)

    def of_rules(self, instance_id: str) -> bool:
        """Whether a command that a rule sent is open on the node."""
        return any(self._open[key].command.origin for key in self._at.get(instance_id, ()))

    def counted(self, command: Command) -> Counts:
        """How many of its invocations are over, and how."""
        opened = self._open.get(command.id)
        if command.counts or opened is None:
            return command.counts or Counts()
        return counted(opened.invocations.values())

    # What the doors and the bus ask for.

    async def send(
        self, scope: Scope, request: dict[str, Any], also: Callable[[Command], Change] | None = None
    ) -> Command:
        """SendCommand: record it; its nodes get it in their turn. Raises what Drafting does, and LimitExceeded.

        `also` is a further change of the same commit.
        """
        draft = await self.draft(scope, request)
        await self._store.commit(*draft.changes, *([also(draft.command)] if also else ()))
        self.opened(draft)
        return draft.command

    async def draft(self, scope: Scope, request: dict[str, Any]) -> Draft:
        """The same, for whoever commits it together with something else, and says then that it is `opened`."""
        self.check_room()
        return await self._drafting.draft(scope, request, self._now_ms())

    def check_room(self, more: int = 1) -> None:
        if len(self._open) + more > self._limits.open_max:
            raise LimitExceeded(f"{self._limits.open_max} commands are not over yet. Wait for some of them to end.")

    def opened(self, draft: Draft) -> None:
        """A draft is on disk."""
        self.history.add(draft.command.scope, draft.command.id)
        self.counts["commands"] += 1
        self.counts["invocations"] += len(draft.invocations)
        if draft.command.status not in FINAL:
            self._take_up(draft.command, draft.invocations)

    async def cancel(self, scope: Scope, command_id: str, instance_ids: Sequence[str]) -> None:
        """CancelCommand on these nodes, or on all. What is over stays as it is. Raises InvalidCommandId, Stale."""
        command = await self._store.get(Command, scope, command_id)
        if command is None:
            raise InvalidCommandId(f"Command {command_id} does not exist.")
        opened = self._open.get(command_id)
        if opened is None:
            return
        unknown = [one for one in instance_ids if one not in opened.invocations]
        if unknown:
            raise InvalidInstanceId(f"Command {command_id} was not sent to {', '.join(unknown)}.")
        await self._cancel(opened, instance_ids or list(opened.invocations), whole=not instance_ids)

    async def _cancel(self, opened: Open, instance_ids: Iterable[str], *, whole: bool) -> None:
        command, now_ms = opened.command, self._now_ms()
        moved = [_cancelled(one) for key in instance_ids if not (one := opened.invocations[key]).final]
        if whole and not command.cancelled:
            command = successor(command, cancelled=True, status=Status.CANCELLING, details=Details.CANCELLING)
        await self._commit(opened, command, moved, now_ms)
        for one in moved:
            self._order(command, one, now_ms)

    # What the nodes say.

    async def report(self, instance_id: str, report: CommandReport) -> None:
        """Commit what a node reports, with the report's number. Raises Stale when others are faster again and again."""
        await self._hearing.take(self, instance_id, report)

    def linked(self, instance_id: str) -> None:
        """A node's agent is there (again): what was sent to it and is not over is ordered again."""
        now_ms = self._now_ms()
        for command_id in sorted(self._at.get(instance_id, ())):
            opened = self._open[command_id]
            one = opened.invocations[instance_id]
            if one.sent_ms and not one.final and one.status is not Status.DELAYED:
                self._order(opened.command, one, now_ms)
            self.mark(command_id)

    # The loop.

    async def run(self) -> None:
        """Decide whatever is marked, and look at all that is open from time to time, for ever."""
        while True:
            self._wake.clear()
            try:
                await self.look()
            except TocsinError as error:
                log.warning("commands wait: %s", error)
                await self._clock.sleep(RETRY_PAUSE_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_PERIOD_MS / 1000 if self._open else SWEEP_PERIOD_MS / 1000):
                    await self._wake.wait()

    async def look(self) -> None:
        """Decide what is marked and what is due by now. Raises StoreUnavailable, Throttling."""
        now_ms = self._now_ms()
        if now_ms - self._looked_ms >= LOOK_PERIOD_MS:
            self._looked_ms = now_ms
            self._dirty |= self._stirred(now_ms)
        while self._dirty:
            await self._decide(self._dirty.pop())
        if now_ms - self._ordered_ms >= ORDER_PERIOD_MS:
            self._ordered_ms = now_ms
            self._order_again(now_ms)
        if now_ms - self._swept_ms >= SWEEP_PERIOD_MS:
            self._swept_ms = now_ms
            await sweep(self._store, self.history, now_ms, self._limits.history_days)

    def _stirred(self, now_ms: int) -> set[str]:
        """Commands that something happened to without a word: a time came, a node went, a link came up."""
        links = self._links.seen()
        linked = {key for key in self._at if key in links and links[key].connected}
        turned = {key for key in self._at if self._nodes.node(key) is None} | (linked - self._linked)
        self._linked = linked
        due = {command_id for command_id, opened in self._open.items() if opened.due_ms <= now_ms}
        return due.union(*(self._at[key] for key in turned))

    async def _decide(self, command_id: str) -> None:
        """One that cannot be decided does not keep the others from their turns."""
        try:
            await self._advance(command_id)
        except TocsinError:
            self._dirty.add(command_id)
            raise
        except Exception:
            log.exception("command %s cannot be decided: it is passed over", command_id)

    def _order_again(self, now_ms: int) -> None:
        for opened in self._open.values():
            for one in opened.invocations.values():
                if not one.final and not one.started_ms and one.status is not Status.DELAYED:
                    self._order(opened.command, one, now_ms)

    async def _advance(self, command_id: str) -> None:
        opened = self._open.get(command_id)
        if opened is None:
            return
        now_ms = self._now_ms()
        invocations = list(opened.invocations.values())
        command, moved = advance(opened.command, invocations, self._seen(invocations), now_ms)
        if len(moved) > MOVED_AT_ONCE_MAX:
            command, moved = opened.command, moved[:MOVED_AT_ONCE_MAX]
            self.mark(command_id)
        opened.due_ms = _due_ms(command, invocations, moved)
        if command is opened.command and not moved:
            return
        try:
            await self._commit(opened, command, moved, now_ms)
        except Stale:
            self.mark(command_id)
            return
        for one in moved:
            self._order(command, one, now_ms)

    def _seen(self, invocations: Iterable[Invocation]) -> Seen:
        links, limit = self._links.seen(), self._limits.in_hand_max
        asked = [one.instance_id for one in invocations if not one.final]
        return Seen(
            known=frozenset(key for key in asked if self._nodes.node(key)),
            linked=frozenset(key for key in asked if key in links and links[key].connected),
            full=frozenset(key for key in asked if len(self._at.get(key, ())) > limit and self._in_hand(key) >= limit),
        )

    def _in_hand(self, instance_id: str) -> int:
        return sum(1 for key in self._at[instance_id] if self._open[key].invocations[instance_id].sent_ms)

    def _order(self, command: Command, one: Invocation, now_ms: int) -> None:
        """Hand the orders over that follow from the record, if the node has a link. Lost ones are said again."""
        found = self._nodes.node(one.instance_id)
        if not one.sent_ms or found is None:
            return
        if one.final:
            self._links.send(one.instance_id, CancelCommand(work=command.work))
            return
        world, node = found
        environment = {
            "AWS_SSM_INSTANCE_ID": one.instance_id,
            "AWS_SSM_REGION_NAME": one.scope.region,
            "TOCSIN_COMMAND_ID": command.id,
            "TOCSIN_INSTANCE_ID": one.instance_id,
            "TOCSIN_INSTANCE_GROUP": node.group,
            "TOCSIN_INSTANCE_NAME": node.name,
            "TOCSIN_CLUSTER_NAME": world.cluster.name,
            "TOCSIN_CLUSTER_ID": world.cluster.id,
        }
        for order in orders_of(command, one, environment, self._limits.output_bytes_max, now_ms):
            self._links.send(one.instance_id, order)

    # Commits.

    async def _commit(self, opened: Open, command: Command, moved: Sequence[Invocation], now_ms: int) -> None:
        """Records and the events that are owed for them, all or nothing. Raises Stale."""
        moves = [Move(opened.invocations[one.instance_id], one) for one in moved]
        owed = [await self._telling.invocations(command, moves, now_ms)]
        if command is not opened.command:
            owed.append(await self._telling.command(command, opened.invocations.values(), now_ms))
        await self._store.commit(*(change for some in owed for change in some.changes))
        for some in owed:
            some.committed()
        opened.command = command
        for one in moved:
            self.remember(one)
        self._let_go(opened)

    def of(self, command_id: str, instance_id: str) -> tuple[Command, Invocation] | None:
        """An invocation of a command that is open."""
        opened = self._open.get(command_id)
        one = opened.invocations.get(instance_id) if opened else None
        return (opened.command, one) if opened and one else None

    def remember(self, one: Invocation) -> None:
        """An invocation as it was committed."""
        opened = self._open.get(one.command_id)
        if opened is None or one.revision <= opened.invocations[one.instance_id].revision:
            return
        opened.invocations[one.instance_id] = one
        if not one.final:
            opened.due_ms = min(opened.due_ms, deadline_ms(opened.command, one))
        else:
            self.counts["ended"] += 1
            self._leave(one)
            self.mark(one.command_id)
            for waiting in self._at.get(one.instance_id, ()):
                self.mark(waiting)
            self._over(one)

    def mark(self, command_id: str) -> None:
        self._dirty.add(command_id)
        self._wake.set()

    def _take_up(self, command: Command, invocations: Iterable[Invocation]) -> None:
        self._open[command.id] = Open(command, {one.instance_id: one for one in invocations})
        for one in self._open[command.id].invocations.values():
            if not one.final:
                self._at.setdefault(one.instance_id, set()).add(command.id)
        self.mark(command.id)

    def _leave(self, one: Invocation) -> None:
        held = self._at.get(one.instance_id, set())
        held.discard(one.command_id)
        if not held:
            self._at.pop(one.instance_id, None)

    def _let_go(self, opened: Open) -> None:
        if opened.command.status in FINAL:
            self._open.pop(opened.command.id, None)

    def _now_ms(self) -> int:
        return epoch_ms(self._clock.now())


def _due_ms(command: Command, before: Iterable[Invocation], moved: Iterable[Invocation]) -> int:
    after = {one.instance_id: one for one in (*before, *moved)}
    return due_ms(command, after.values()) or 0


def _cancelled(one: Invocation) -> Invocation:
    """Cancelling where it was sent; where its turn has not come, the next look ends it."""
    if not one.sent_ms:
        return successor(one, cancelled=True)
    return successor(one, cancelled=True, status=Status.CANCELLING, details=Details.CANCELLING)
