"""Investigations from a chat: the button's link, and the one command that it may run.

services/chats.py has links made; the page in doors/investigation.py asks what stands behind one, and begins it. Who
holds a link may run one command of the settings' choice on one node, and nothing else.
"""

from collections.abc import Callable
from urllib.parse import urlencode

from msgspec import Struct

from tocsin.core.cards import Link, Suspect
from tocsin.core.commit import World
from tocsin.core.tickets import Ticket, opened, sealed
from tocsin.model.changes import Put
from tocsin.model.cluster import Node
from tocsin.model.command import Command, Investigation, Invocation, StepOutput
from tocsin.model.times import epoch_ms
from tocsin.model.topic import TopicMessage
from tocsin.ports import Clock, Nodes, Store
from tocsin.services.commands import Commands, Documents
from tocsin.services.deciding import decided

PATH = "/_tocsin/investigate"
BUTTON = "Investigate this node"
# A day: who reads it later looks at a node that is another, or long well.
LINK_LIFE_MS = 86_400_000
COMMENT = "Asked for with the button of a chat's card"


class Invitations(Struct, frozen=True, kw_only=True):
    """Makes links. `document` is the investigation command; without one there are no links. `address` is where readers
    of messages reach this server."""

    key: bytes
    address: Callable[[], str]
    document: str

    def to(self, suspect: Suspect | None, message: TopicMessage, account: str) -> Link | None:
        """The button for a card. The topic's `account` has to be the node's: who may publish there may write of any."""
        if suspect is None or not self.document or suspect.account != account:
            return None
        ticket = Ticket(
            account=suspect.account,
            region=suspect.region,
            cluster_id=suspect.cluster_id,
            instance_id=suspect.instance_id,
            occasion=message.message_id,
            expires_ms=message.at_ms + LINK_LIFE_MS,
        )
        return Link(BUTTON, f"{self.address()}{PATH}?{urlencode({'ticket': sealed(ticket, self.key)})}")


class Run(Struct, frozen=True, kw_only=True):
    """The command that a ticket ran. `command` None: it is forgotten. `outputs` are in the order of its steps."""

    command_id: str
    command: Command | None
    invocation: Invocation | None
    outputs: tuple[StepOutput, ...]


class Standing(Struct, frozen=True, kw_only=True):
    """What stands behind a ticket. `node` None: it is gone, and `replacement` is in its place, if anybody is.

    `about` is what the document says of itself, where it may be run.
    """

    ticket: Ticket
    document: str
    about: str
    expired: bool
    node: tuple[World, Node] | None
    replacement: str
    run: Run | None


class Investigations:
    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        nodes: Nodes,
        commands: Commands,
        documents: Documents,
        invitations: Invitations,
    ) -> None:
        self._store = store
        self._clock = clock
        self._nodes = nodes
        self._commands = commands
        self._documents = documents
        self._invitations = invitations

    async def look(self, text: str) -> Standing | None:
        """What stands behind the ticket; None when it is none of ours. Changes nothing. Raises InvalidDocument."""
        ticket = opened(text, self._invitations.key)
        return await self._standing(ticket) if ticket else None

    async def begin(self, text: str) -> Standing | None:
        """Run the command, unless this ticket did before, has expired, or its node is gone. Raises what SendCommand
        does."""

        async def attempt() -> Standing | None:
            standing = await self.look(text)
            if standing is None or standing.expired or standing.run or standing.node is None:
                return standing
            ticket = standing.ticket
            await self._commands.send(ticket.scope, self._request(ticket), also=lambda one: Put(_begun(ticket, one)))
            return await self._standing(ticket)

        return await decided(attempt)  # of two clicks at once the later shows what the first began

    def _request(self, ticket: Ticket) -> dict[str, object]:
        return {
            "DocumentName": self._invitations.document,
            "InstanceIds": [ticket.instance_id],
            "Comment": COMMENT,
            "CloudWatchOutputConfig": {"CloudWatchOutputEnabled": True},
        }

    async def _standing(self, ticket: Ticket) -> Standing:
        node, run, document = self._node(ticket), await self._run(ticket), self._invitations.document
        expired = not document or epoch_ms(self._clock.now()) >= ticket.expires_ms
        asks = node is not None and run is None and not expired
        return Standing(
            ticket=ticket,
            document=document,
            about=(await self._documents.find(ticket.scope, document)).content.description if asks else "",
            expired=expired,
            node=node,
            replacement="" if node else self._replacement(ticket),
            run=run,
        )

    def _node(self, ticket: Ticket) -> tuple[World, Node] | None:
        found = self._nodes.node(ticket.instance_id)
        cluster = found[0].cluster if found else None
        return found if cluster and (cluster.scope, cluster.id) == (ticket.scope, ticket.cluster_id) else None

    def _replacement(self, ticket: Ticket) -> str:
        members = (node for world in self._nodes.worlds(ticket.scope) for node in world.nodes.values())
        return next((node.instance_id for node in members if node.replaces == ticket.instance_id), "")

    async def _run(self, ticket: Ticket) -> Run | None:
        begun = await self._store.get(Investigation, ticket.scope, ticket.key)
        if begun is None:
            return None
        command = await self._store.get(Command, ticket.scope, begun.command_id)
        key = f"{begun.command_id}/{ticket.instance_id}"
        outputs = {one.step: one for one in await self._store.find(StepOutput, ticket.scope, prefix=f"{key}/")}
        return Run(
            command_id=begun.command_id,
            command=command,
            invocation=await self._store.get(Invocation, ticket.scope, key),
            outputs=tuple(outputs[step.name] for step in (command.steps if command else ()) if step.name in outputs),
        )


def _begun(ticket: Ticket, command: Command) -> Investigation:
    return Investigation(scope=ticket.scope, ticket=ticket.key, command_id=command.id, expires_ms=ticket.expires_ms)
