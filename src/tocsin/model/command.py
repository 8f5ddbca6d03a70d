"""Run Command as it is stored: documents, commands, their invocations on nodes, what those wrote. Times are epoch ms.

Statuses and their spelling are AWS's: `status` is the coarse one, `details` the StatusDetails.
"""

from enum import StrEnum
from typing import Any, ClassVar

from msgspec import Struct

from tocsin.model.link import CommandStep
from tocsin.model.names import Scope, arn
from tocsin.model.records import Record


class Status(StrEnum):
    """Of commands and invocations. Commands are never Delayed."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    DELAYED = "Delayed"
    SUCCESS = "Success"
    CANCELLED = "Cancelled"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"
    CANCELLING = "Cancelling"


FINAL = frozenset({Status.SUCCESS, Status.CANCELLED, Status.FAILED, Status.TIMED_OUT})


class Details(StrEnum):
    """StatusDetails: what the status alone does not say."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    DELAYED = "Delayed"
    SUCCESS = "Success"
    CANCELLED = "Cancelled"
    CANCELLING = "Cancelling"
    FAILED = "Failed"
    INCOMPLETE = "Incomplete"
    DELIVERY_TIMED_OUT = "DeliveryTimedOut"
    EXECUTION_TIMED_OUT = "ExecutionTimedOut"
    UNDELIVERABLE = "Undeliverable"
    TERMINATED = "Terminated"
    NO_INSTANCES_IN_TAG = "NoInstancesInTag"


class DocumentVersion(Struct, frozen=True, kw_only=True):
    number: int
    content: str
    format: str
    created_ms: int
    version_name: str = ""
    display_name: str = ""
    target_type: str = ""


class Document(Record, frozen=True, kw_only=True):
    """An own document with its versions, oldest first. Numbers are not given twice."""

    kind: ClassVar[str] = "ssm-document"

    name: str
    versions: tuple[DocumentVersion, ...]
    default: int = 1
    created_ms: int
    latest: int = 1  # the highest number ever given
    owner: str = ""  # empty: the account of its scope

    @property
    def key(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        return document_arn(self.scope, self.name)


class Counts(Struct, frozen=True, kw_only=True):
    """Of a command's invocations: how many are over, were errors, were not delivered in time."""

    completed: int = 0
    errors: int = 0
    undelivered: int = 0


class Command(Record, frozen=True, kw_only=True):
    """A command. `request` are SendCommand's members as they came, described back exactly.

    `sent_max` and `errors_max` are MaxConcurrency and MaxErrors as counts of nodes. `origin` is the ARN of the rule
    that sent it, if one did.
    """

    kind: ClassVar[str] = "ssm-command"

    id: str
    document: str
    document_version: str
    request: dict[str, Any]
    steps: tuple[CommandStep, ...]
    targets: int
    sent_max: int
    errors_max: int
    requested_ms: int
    expires_ms: int
    deliver_within_s: int
    status: Status = Status.PENDING
    details: Details = Details.PENDING
    cancelled: bool = False
    counts: Counts | None = None  # once it is over
    log_group: str = ""  # where the output goes in full; empty: nowhere
    bucket: str = ""  # the same, as objects
    origin: str = ""

    @property
    def key(self) -> str:
        return self.id

    @property
    def work(self) -> str:
        """The name of the work on each of its nodes."""
        return command_work(self.id)


class StepRun(Struct, frozen=True, kw_only=True):
    """What became of a step on a node."""

    step: str
    status: Status
    details: Details
    code: int
    started_ms: int
    ended_ms: int


class Invocation(Record, frozen=True, kw_only=True):
    """A command on one node. `named` is how the client named the node; `sent_ms` 0 while its turn has not come.

    `reason` says in our words why it ended otherwise than by its own steps.
    """

    kind: ClassVar[str] = "ssm-invocation"

    command_id: str
    instance_id: str
    named: str
    instance_name: str
    requested_ms: int
    status: Status = Status.PENDING
    details: Details = Details.PENDING
    sent_ms: int = 0
    started_ms: int = 0
    ended_ms: int = 0
    cancelled: bool = False
    steps: tuple[StepRun, ...] = ()
    reason: str = ""

    @property
    def key(self) -> str:
        return f"{self.command_id}/{self.instance_id}"

    @property
    def final(self) -> bool:
        return self.status in FINAL


class Investigation(Record, frozen=True, kw_only=True):
    """The memory that a ticket (core/tickets.py) ran its command. Until the ticket expires."""

    kind: ClassVar[str] = "investigation"

    ticket: str  # its key
    command_id: str
    expires_ms: int

    @property
    def key(self) -> str:
        return self.ticket


class StepOutput(Record, frozen=True, kw_only=True):
    """The head of what a step wrote on a node: as much as GetCommandInvocation tells."""

    kind: ClassVar[str] = "ssm-output"

    command_id: str
    instance_id: str
    step: str
    stdout: str = ""
    stderr: str = ""

    @property
    def key(self) -> str:
        return output_key(self.command_id, self.instance_id, self.step)


def output_key(command_id: str, instance_id: str, step: str) -> str:
    return f"{command_id}/{instance_id}/{step}"


def invocations_prefix(command_id: str) -> str:
    """Key prefix of a command's invocations."""
    return f"{command_id}/"


def command_work(command_id: str) -> str:
    return f"command/{command_id}"


def document_arn(scope: Scope, name: str) -> str:
    return arn("ssm", scope, f"document/{name}")


def document_of(text: str) -> tuple[Scope, str] | None:
    """(scope, name) of a document's ARN; one of ours and AWS's names no account. None for anything else."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != "ssm" or not parts[5].startswith("document/"):
        return None
    name = parts[5].removeprefix("document/")
    return (Scope(parts[4], parts[3]), name) if name and "/" not in name else None
