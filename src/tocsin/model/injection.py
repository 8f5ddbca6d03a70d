"""Faults put into nodes by hand, through their real sources."""

from typing import ClassVar, Literal

from tocsin.model.records import Record

Injectable = Literal["kmsg", "xid", "gpu-lost", "disk-full", "readonly", "nic-down", "reading", "hang", "dead"]
# Those that are made of something real, which is undone with them and with the agent.
CONDITIONS = ("disk-full", "readonly", "nic-down")
# After these an agent says nothing for a while, or for ever.
SILENCING = ("hang", "dead")
# What the driver would write of an Xid, and of which GPU.
XID_LINE = "NVRM: Xid (PCI:{bus}): {code}, pid=4711, name=tocsin, put in by tocsin fault inject"
FIRST_BUS = "0000:b9:00"


class Injection(Record, frozen=True, kw_only=True):
    """What was put into which node, and until when. `what` and `argument` are those of the order to the agent.

    `confirmed`: the agent said that it is in.
    """

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
    confirmed: bool = False

    @property
    def key(self) -> str:
        return self.id
