"""The hosts: which there are and what they are, quarantine, and the tokens by which they join."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from tocsin.doors.own.asking import answer, refuse
from tocsin.model.errors import AwsError, Stale, StoreUnavailable
from tocsin.model.host import Host, JoinToken
from tocsin.services.hosts import Hosts

TOKEN_FOR_S = 3600.0
TOKEN_FOR_S_MAX = 30 * 86_400.0


class TokenAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`host` "": any of the inventory. `once` false: good for as many hosts as come, until it expires."""

    host: str = ""
    for_s: float = TOKEN_FOR_S
    once: bool = True


class HostAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    host: str


_token_asked = msgspec.json.Decoder(TokenAsked).decode
_host_asked = msgspec.json.Decoder(HostAsked).decode


class HostsApi:
    """`there` says whether a host is linked. Without hosts, nothing here is to be had."""

    def __init__(self, hosts: Hosts | None, there: Callable[[str], bool]) -> None:
        self._hosts = hosts
        self._there = there

    async def listed(self, _request: Request) -> Response:
        """Those of the inventory, in its order, then those that joined and are not in it any more."""
        if self._hosts is None:
            return _none()
        names = [*self._hosts.inventory, *(host.name for host in self._hosts.all_hosts())]
        return answer({"hosts": [self._told(self._hosts, name) for name in dict.fromkeys(names)]})

    async def release(self, request: Request) -> Response:
        return await self._on_host(request, "free")

    async def forget(self, request: Request) -> Response:
        return await self._on_host(request, "forget")

    async def _on_host(self, request: Request, verb: str) -> Response:
        if self._hosts is None:
            return _none()
        hosts = self._hosts
        try:
            name = _host_asked(await request.body()).host
        except msgspec.MsgspecError as error:
            return refuse(f"The request cannot be read: {error}")

        async def act() -> dict[str, Any]:
            await getattr(hosts, verb)(name)
            return {"host": self._told(hosts, name)}

        return await _tried(act)

    async def tokens(self, _request: Request) -> Response:
        if self._hosts is None:
            return _none()
        return answer({"tokens": [_token(one) for one in self._hosts.tokens()]})

    async def create_token(self, request: Request) -> Response:
        """The token's text is in this answer, and nowhere else ever."""
        if self._hosts is None:
            return _none()
        hosts = self._hosts
        try:
            asked = _token_asked(await request.body())
        except msgspec.MsgspecError as error:
            return refuse(f"The request cannot be read: {error}")
        if not 0 < asked.for_s <= TOKEN_FOR_S_MAX:
            return refuse(f"for_s must be above 0 and at most {TOKEN_FOR_S_MAX:g}, not {asked.for_s:g}.")

        async def act() -> dict[str, Any]:
            token, text = await hosts.create_token(asked.host, asked.for_s, once=asked.once)
            return {"token": text, **_token(token)}

        return await _tried(act)

    async def revoke_token(self, request: Request) -> Response:
        if self._hosts is None:
            return _none()
        hosts, token_id = self._hosts, request.query_params.get("id", "")

        async def act() -> dict[str, Any]:
            await hosts.revoke_token(token_id)
            return {"revoked": token_id}

        return await _tried(act)

    def _told(self, hosts: Hosts, name: str) -> dict[str, Any]:
        known, host = hosts.inventory.get(name), hosts.host(name)
        return {
            "name": name,
            "address": known.address if known else None,
            "instance_type": known.instance_type if known else None,
            "labels": known.labels if known else {},
            "spare": known.spare if known else False,
            "in_inventory": known is not None,
            "linked": self._there(name),
            **_state(host),
        }


def _state(host: Host | None) -> dict[str, Any]:
    if host is None:
        return {"state": "not-joined", "instance_id": None, "why": "", "joined_ms": None}
    state = host.state if host.credential or host.instance_id else "not-joined"
    return {"state": state, "instance_id": host.instance_id or None, "why": host.why, "joined_ms": host.joined_ms}


def _token(token: JoinToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "host": token.host or None,
        "once": token.once,
        "expires_ms": token.expires_ms,
        "created_ms": token.created_ms,
    }


def _none() -> Response:
    return refuse("There are no hosts here: machines.provider is not hosts.", 404)


async def _tried(act: Callable[[], Awaitable[dict[str, Any]]]) -> Response:
    try:
        return answer(await act())
    except AwsError as error:
        return refuse(error.message, error.status)
    except (StoreUnavailable, Stale) as error:
        return refuse(f"The state cannot be written now: {error}", 503)
