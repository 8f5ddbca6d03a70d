"""A SendCommand request -> the records of a command and its invocations. Doors and bus targets commit what comes out.

Nothing is written here: a rule's command commits together with the bus's place in the journal.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tocsin.core.commands.happenings import command_event
from tocsin.core.commands.notices import topic_asked
from tocsin.core.commands.progress import concluded
from tocsin.core.commands.rendering import render
from tocsin.core.commands.targets import Chosen, Member, choose, share
from tocsin.core.commit import World
from tocsin.core.link import WORKS_KEPT_MAX
from tocsin.model.changes import Accept, Change, Put
from tocsin.model.cluster import Node
from tocsin.model.command import Command, Invocation
from tocsin.model.command_errors import (
    InvalidDocument,
    InvalidNotificationConfig,
    InvalidOutputFolder,
    InvalidParameters,
)
from tocsin.model.link import CommandStep
from tocsin.model.logs import LogGroup
from tocsin.model.names import Scope, private_dns_name
from tocsin.model.topic import Topic
from tocsin.ports import Buckets, Nodes, Store
from tocsin.services.commands.documents import DEFAULT, Documents, Found

log = logging.getLogger(__name__)

# SendCommand's defaults (botocore's model).
TIMEOUT_S = 3600
CONCURRENCY = "50"
ERRORS = "0"
# Buckets that are not there and were told of.
WARNED_MAX = 1_000
# Documents whose output is meant to be kept.
LOGGED = frozenset({"Tocsin-CollectDiagnostics"})
CLUSTER_TAG, GROUP_TAG = "tocsin:cluster", "tocsin:instance-group"


class CommandLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What Run Command may hold, and for how long."""

    # "Run Command history: 30 days" (AWS, Systems Manager quotas).
    history_days: int = 30
    # Of one stream (stdout, stderr) of one step on one node; what is beyond is counted and left out.
    output_bytes_max: int = 1 << 20
    # Some kilobytes of memory each, and a look at each every second.
    open_max: int = 2_000
    # Sent to one node and not over. It runs five at once; the others wait there.
    in_hand_max: int = 100
    # "Total documents: 500", "Document versions: 1,000" (AWS, Systems Manager quotas).
    documents_max: int = 500
    versions_max: int = 1_000

    def __post_init__(self) -> None:
        """A node remembers so many works that ended; what it forgot it might run again."""
        if not 1 <= self.in_hand_max <= WORKS_KEPT_MAX // 2:
            raise ValueError(f"in_hand_max is 1 to {WORKS_KEPT_MAX // 2}")


class Draft(Struct, frozen=True, kw_only=True):
    """A command that is about to be. `log_group` is made with it where it is missing."""

    command: Command
    invocations: tuple[Invocation, ...]
    log_group: LogGroup | None = None

    @property
    def changes(self) -> list[Change]:
        """All that one commit must hold."""
        changes: list[Change] = [Put(self.command), *map(Put, self.invocations)]
        if self.log_group:
            changes.append(Put(self.log_group))
        if not self.invocations:  # it is over already
            changes.append(Accept(command_event(self.command, (), self.command.requested_ms)))
        return changes


class Drafting:
    """`new_id` gives the ids of commands, in the order of time."""

    def __init__(
        self, *, store: Store, nodes: Nodes, documents: Documents, buckets: Buckets, new_id: Callable[[int], str]
    ) -> None:
        self._store = store
        self._nodes = nodes
        self._documents = documents
        self._buckets = buckets
        self._new_id = new_id
        self._warned: set[str] = set()

    async def draft(self, scope: Scope, request: dict[str, Any], now_ms: int, origin: str = "") -> Draft:
        """Raises InvalidDocument, InvalidParameters, InvalidInstanceId and the others of SendCommand."""
        version = request.get("DocumentVersion") or DEFAULT
        found = await self._documents.find(scope, request["DocumentName"], version)
        _check_hash(found, request)
        await self._check_topic(request)
        steps = render(found.content, request.get("Parameters") or {})
        chosen = choose(request, _Members(self._nodes, scope), scope)
        command = self._command(scope, request, found, steps, len(chosen), now_ms, origin)
        invocations = tuple(_invocation(command, one) for one in chosen)
        return Draft(
            command=command if invocations else replace(concluded(command, ()), revision=1),
            invocations=invocations,
            log_group=await self._missing_group(command, now_ms),
        )

    def _command(
        self,
        scope: Scope,
        request: dict[str, Any],
        found: Found,
        steps: tuple[CommandStep, ...],
        count: int,
        now_ms: int,
        origin: str,
    ) -> Command:
        within_s = request.get("TimeoutSeconds") or TIMEOUT_S
        total_s = within_s + sum(step.time_limit_s for step in steps)
        return Command(
            scope=scope,
            id=self._new_id(now_ms),
            document=found.document.name,
            document_version=request.get("DocumentVersion") or DEFAULT,
            request=request,
            steps=steps,
            targets=count,
            sent_max=max(1, share(request.get("MaxConcurrency") or CONCURRENCY, count)),
            errors_max=share(request.get("MaxErrors") or ERRORS, count),
            requested_ms=now_ms,
            expires_ms=now_ms + int(total_s * 1000),
            deliver_within_s=within_s,
            log_group=log_group_name(found.document.name, request, asked=bool(origin)),
            bucket=self._bucket(request),
            origin=origin,
        )

    def _bucket(self, request: Mapping[str, Any]) -> str:
        """The bucket the output goes to; empty, and said once, where it is none of ours."""
        bucket = str(request.get("OutputS3BucketName") or "")
        prefix = str(request.get("OutputS3KeyPrefix") or "")
        if ".." in prefix.split("/"):
            raise InvalidOutputFolder(f"OutputS3KeyPrefix {prefix} leads out of the bucket.")
        if not bucket or self._buckets.there(bucket):
            return bucket
        if bucket not in self._warned and len(self._warned) < WARNED_MAX:
            self._warned.add(bucket)
            log.warning("bucket %s is no folder here: the output of commands does not go there", bucket)
        return ""

    async def _check_topic(self, request: dict[str, Any]) -> None:
        """Raises InvalidNotificationConfig when there is nobody to be told."""
        place = topic_asked(request)
        if place and await self._store.get(Topic, *place) is None:
            raise InvalidNotificationConfig(
                f"The topic {request['NotificationConfig']['NotificationArn']} is not there."
            )

    async def _missing_group(self, command: Command, now_ms: int) -> LogGroup | None:
        if not command.log_group:
            return None
        if await self._store.get(LogGroup, command.scope, command.log_group) is not None:
            return None
        return LogGroup(scope=command.scope, name=command.log_group, created_ms=now_ms)


def log_group_name(document: str, request: Mapping[str, Any], *, asked: bool) -> str:
    """Where the output goes in full: as asked, else AWS's name for it; nowhere when it was not asked for.

    It is asked for without a word where nobody waits for the answer (a rule's command) or the answer is long.
    """
    config = request.get("CloudWatchOutputConfig") or {}
    if not config.get("CloudWatchOutputEnabled", asked or document in LOGGED):
        return ""
    return str(config.get("CloudWatchLogGroupName") or f"/aws/ssm/{document}")


def _check_hash(found: Found, request: Mapping[str, Any]) -> None:
    given = request.get("DocumentHash")
    if not given:
        return
    if request.get("DocumentHashType", "Sha256") != "Sha256":
        raise InvalidParameters("DocumentHashType Sha1 is not supported: give the Sha256.")
    if given != content_hash(found.version.content):
        raise InvalidDocument("The document's content does not have the hash that was given.")


def content_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _invocation(command: Command, chosen: Chosen) -> Invocation:
    return Invocation(
        scope=command.scope,
        command_id=command.id,
        instance_id=chosen.member.instance_id,
        named=chosen.named,
        instance_name=chosen.member.name,
        requested_ms=command.requested_ms,
    )


class _Members(Mapping[str, Member]):
    """The nodes of a scope, in the order of clusters and launches. Who names some pays for those."""

    def __init__(self, nodes: Nodes, scope: Scope) -> None:
        self._nodes = nodes
        self._scope = scope

    def __getitem__(self, instance_id: str) -> Member:
        found = self._nodes.node(instance_id)
        if found is None or found[0].cluster.scope != self._scope:
            raise KeyError(instance_id)
        return member(*found)

    def __iter__(self) -> Iterator[str]:
        for world in self._nodes.worlds(self._scope):
            yield from world.nodes

    def __len__(self) -> int:
        return sum(len(world.nodes) for world in self._nodes.worlds(self._scope))


def member(world: World, node: Node) -> Member:
    cluster = world.cluster
    return Member(
        instance_id=node.instance_id,
        cluster_id=cluster.id,
        group=node.group,
        name=private_dns_name(node.address, cluster.scope.region),
        tags={**cluster.tags, CLUSTER_TAG: cluster.name, GROUP_TAG: node.group},
    )
