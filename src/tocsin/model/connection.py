"""Connections and API destinations: how and where events go out over HTTP. Times are epoch milliseconds."""

from enum import StrEnum
from typing import Any, ClassVar

from msgspec import Struct, field

from tocsin.model.names import Scope, arn, split_arn
from tocsin.model.records import Record


class Authorization(StrEnum):
    BASIC = "BASIC"
    API_KEY = "API_KEY"
    OAUTH_CLIENT_CREDENTIALS = "OAUTH_CLIENT_CREDENTIALS"


class ConnectionState(StrEnum):
    """Those of AWS that can be seen here: what needs no answer from elsewhere is done when it is answered."""

    AUTHORIZING = "AUTHORIZING"
    AUTHORIZED = "AUTHORIZED"
    DEAUTHORIZED = "DEAUTHORIZED"
    DELETING = "DELETING"


class Connection(Record, frozen=True, kw_only=True):
    """`parameters` are the request's AuthParameters without anything secret: described back as they are."""

    kind: ClassVar[str] = "connection"

    name: str
    uid: str
    authorization: Authorization
    parameters: dict[str, Any]
    state: ConnectionState
    reason: str = ""
    description: str = ""
    kms_key_id: str = ""
    created_ms: int
    modified_ms: int
    authorized_ms: int = 0

    @property
    def key(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        return arn("events", self.scope, f"connection/{self.name}/{self.uid}")

    @property
    def secret_arn(self) -> str:
        """Where AWS keeps the secret, in its form. Nobody can read it here."""
        return arn("secretsmanager", self.scope, f"secret:events!connection/{self.name}/{self.uid}-{self.uid[-6:]}")


class Credentials(Record, frozen=True, kw_only=True):
    """A connection's AuthParameters, secrets included. Never described, never logged."""

    kind: ClassVar[str] = "connection-credentials"

    connection: str
    parameters: dict[str, Any]

    @property
    def key(self) -> str:
        return self.connection

    def __repr__(self) -> str:
        return f"Credentials of {self.connection}"


class ApiDestination(Record, frozen=True, kw_only=True):
    kind: ClassVar[str] = "api-destination"

    name: str
    uid: str
    connection_arn: str
    endpoint: str
    method: str
    rate_per_s: int
    description: str = ""
    created_ms: int
    modified_ms: int

    @property
    def key(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        return arn("events", self.scope, f"api-destination/{self.name}/{self.uid}")


class HttpParameters(Struct, frozen=True, kw_only=True):
    """What a target adds to a request: values for the `*` of the endpoint's path, headers, query."""

    path: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)


def _of(sort: str, text: str) -> tuple[Scope, str, str] | None:
    service, scope, resource = split_arn(text) or ("", Scope("", ""), "")
    parts = resource.split("/")
    return (scope, parts[1], parts[2]) if service == "events" and parts[0] == sort and len(parts) == 3 else None


def connection_of(text: str) -> tuple[Scope, str, str] | None:
    """(scope, name, unique id) of a connection's ARN; None for anything else."""
    return _of("connection", text)


def api_destination_of(text: str) -> tuple[Scope, str] | None:
    """(scope, name) of an API destination's ARN; None for anything else."""
    found = _of("api-destination", text)
    return found[:2] if found else None
