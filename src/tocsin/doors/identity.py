"""Who a request comes from, and whose state it is about. The front asks before it reads anything else."""

import functools
import ipaddress
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

from tocsin.doors.signature import Credential, account_of, credential, verify, verify_stream
from tocsin.doors.wire import Request
from tocsin.model.errors import AccessDenied
from tocsin.model.names import Scope

# Host headers that stay read: every request brings one, and clients send few. Others are read again.
HOSTS_REMEMBERED_MAX = 64


class Identity:
    """Verifies signatures when secrets are configured: access key id -> secret access key."""

    def __init__(self, account: str, region: str, secrets: Mapping[str, str]) -> None:
        self._default = Scope(account, region)
        self._secrets = dict(secrets)

    @property
    def verifies(self) -> bool:
        return bool(self._secrets)

    def of_stream(self, request: Request, now: datetime) -> None:
        """Admit a request whose body is not read here. Raises the AwsErrors of a bad signature."""
        if self._secrets:
            verify_stream(request, self._secrets, now)
        else:
            _demand_local(request.headers.get("host", ""))

    def of(self, request: Request, now: datetime) -> tuple[Scope, Credential | None]:
        """The request's scope. Raises the AwsErrors of a bad signature."""
        signed: Credential | None
        if self._secrets:
            signed = verify(request, self._secrets, now)
        else:
            _demand_local(request.headers.get("host", ""))
            signed = credential(request)
        if signed is None:
            return self._default, None
        return Scope(
            account_of(signed.access_key) or self._default.account, signed.region or self._default.region
        ), signed

    def of_own(self, request: Request, now: datetime) -> Scope:
        """Whose state our own API shows: the signer's, or what the query asks for where nobody needs to sign."""
        scope, _ = self.of(request, now)
        asked = {} if self._secrets else dict(parse_qsl(request.query))
        return Scope(asked.get("account", scope.account), asked.get("region", scope.region))


def _demand_local(host: str) -> None:
    """Refuse a name that is not this machine's own.

    Without keys anybody who reaches the socket may run scripts here. A web page can have its own name resolve to
    127.0.0.1 and then send what it likes; but its requests carry that name.
    """
    name, local = _read_host(host)
    if not local:
        raise AccessDenied(
            f"The request is for the host {name!r}. Without access_keys in the settings, only localhost is answered."
        )


@functools.lru_cache(HOSTS_REMEMBERED_MAX)
def _read_host(host: str) -> tuple[str, bool]:
    """The name in a Host header, and whether it is this machine's own."""
    name = urlsplit(f"//{host}").hostname or ""
    return name, name == "localhost" or name.endswith(".localhost") or is_loopback(name)


def is_loopback(name: str) -> bool:
    """Whether the text is an address that only this machine reaches."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
