"""Cluster extensions: software that a cluster's nodes shall run, as it is asked for, and where each node stands.

What can be installed is the server's own (`Package`): a name, a version, a script to install it, one to remove it, and
one that asks whether it is well.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from msgspec import Struct, field

from tocsin.model.names import Scope, arn
from tocsin.model.records import Record


class ExtensionStatus(StrEnum):
    CREATING = "Creating"
    ACTIVE = "Active"
    CREATE_FAILED = "CreateFailed"
    UPDATING = "Updating"
    UPDATE_FAILED = "UpdateFailed"
    DEGRADED = "Degraded"
    DELETING = "Deleting"
    DELETE_FAILED = "DeleteFailed"


class Work(StrEnum):
    """What was asked for last."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Package(Struct, frozen=True, kw_only=True):
    """A version that can be installed. `defaults` are the settings it takes; `remove` and `health` may be empty."""

    name: str
    version: str
    defaults: dict[str, Any]
    install: str
    remove: str = ""
    health: str = ""


class Asked(Struct, frozen=True, kw_only=True):
    """A client token, and what was asked for with it. Each operation has tokens of its own."""

    work: Work
    token: str
    digest: str
    at_ms: int


class Extension(Record, frozen=True, kw_only=True):
    """`settings` are those that were given, without defaults. `n` counts what nodes shall run: another configuration or
    version is another n. `settled`: every node there was has come to an end with what was asked for last.
    """

    kind: ClassVar[str] = "extension"
    resource: ClassVar[str] = "extension"  # as ARNs name it

    id: str
    name: str
    cluster_id: str
    cluster_arn: str
    package: Package
    created_at: datetime
    modified_at: datetime
    settings: dict[str, Any] = field(default_factory=dict)
    work: Work = Work.CREATE
    n: int = 1
    settled: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    asked: tuple[Asked, ...] = ()

    @property
    def key(self) -> str:
        return f"{extensions_prefix(self.cluster_id)}{self.name}/{self.id}"

    @property
    def arn(self) -> str:
        return arn("sagemaker", self.scope, f"{self.resource}/{self.key}")


class NodeState(StrEnum):
    """Of an extension on a node: its script is under way, or ended so; or it is there, and says that it is not well."""

    ORDERED = "ordered"
    ACTIVE = "active"
    FAILED = "failed"
    UNWELL = "unwell"


class ExtensionNode(Record, frozen=True, kw_only=True):
    """An extension on one node. `n` and `runs` (of the node's root volume) are those its script was ordered for.

    `command` is the command that carries it out. `code` and `message` tell the last failure, until a script succeeds,
    or what ails it.
    """

    kind: ClassVar[str] = "extension-node"

    extension: str
    instance_id: str
    n: int
    runs: int
    state: NodeState
    command: str
    removing: bool = False
    code: str = ""
    message: str = ""

    @property
    def key(self) -> str:
        return f"{nodes_prefix(self.extension)}{self.instance_id}"

    @property
    def watch_work(self) -> str:
        """The name under which its node asks for its health: of this configuration, on this root volume."""
        return f"extension/{self.extension}/{self.n}/{self.runs}"


def extensions_prefix(cluster_id: str) -> str:
    """Key prefix of a cluster's extensions, which is part of their ARNs."""
    return f"sagemaker-{cluster_id}/"


def nodes_prefix(extension_id: str) -> str:
    return f"{extension_id}/"


Home = tuple[Scope, str]  # a cluster, by its id
