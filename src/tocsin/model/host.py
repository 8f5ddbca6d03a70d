"""Real hosts: what the inventory says of them, what is recorded, and the tokens by which they join."""

from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta, Struct, field

from tocsin.model.health import Mark
from tocsin.model.names import Scope
from tocsin.model.records import Record

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,252}\Z"  # of a host: it stands in logs and on command lines
# Hosts belong to the server, not to an account.
HOSTS_SCOPE = Scope("", "")


class HostState(StrEnum):
    POOL = "pool"  # free to be claimed, once it has joined
    CLAIMED = "claimed"  # an instance
    RELEASING = "releasing"  # its instance is being wiped
    QUARANTINE = "quarantine"  # kept out until a person releases it


class InventoryHost(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A host as the inventory file has it. A spare is claimed for replacements only."""

    name: Annotated[str, Meta(pattern=NAME)]
    address: str
    instance_type: str
    labels: dict[str, str] = field(default_factory=dict)
    spare: bool = False


class Host(Record, frozen=True, kw_only=True):
    """A host that has joined. `credential` is the hash of what its agent shows; "" when it must join again.

    `instance_id` is what it is while claimed or releasing; `next_state` is where it goes once it is wiped. `history` is
    what befell it as the instances that it was; of the one that it is, the node's record has it.
    """

    kind: ClassVar[str] = "host"

    name: str
    credential: str
    joined_ms: int
    state: HostState = HostState.POOL
    instance_id: str = ""
    next_state: HostState = HostState.POOL
    why: str = ""
    history: tuple[Mark, ...] = ()

    @property
    def key(self) -> str:
        return self.name


class JoinToken(Record, frozen=True, kw_only=True):
    """`digest` is the hash of its secret part. `host` "": any of the inventory. `once`: gone when it was used."""

    kind: ClassVar[str] = "join-token"

    id: str
    digest: str
    host: str = ""
    once: bool = True
    expires_ms: int
    created_ms: int

    @property
    def key(self) -> str:
        return self.id
