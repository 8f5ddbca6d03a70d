"""Faults put into nodes by hand, through their real sources."""

from typing import ClassVar, Literal

from tocsin.model.records import Record

Injectable = Literal["kmsg", "xid", "gpu-lost", "reading", "hang", "dead"]


class Injection(Record, frozen=True, kw_only=True):
    """What was put into which node, and until when. `what` and `argument` are those of the order to the agent."""

    kind: ClassVar[str] = "injection"

    id: str
    instance_id: str
    cluster: str
    node: str
    what: Injectable
    argument: str = ""
    part: str = ""
    created_ms: int
    until_ms: int

    @property
    def key(self) -> str:
        return self.id
