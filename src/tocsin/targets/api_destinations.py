"""API destinations: the deliveries of rules become outbounds, and the outbox has them carried here over HTTP.

Where and how is read when an attempt is made, so that a corrected endpoint or connection helps what is owed already.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus

import aiohttp
import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from tocsin.core.connections import secrets_in
from tocsin.core.invocation import (
    CLIENT_ERROR,
    EXCERPT_CHARS_MAX,
    TIMEOUT,
    Request,
    authorization_headers,
    blotted,
    http_parameters,
    request,
    verdict,
)
from tocsin.core.settle import last_resort, retry_policy
from tocsin.model.changes import Put
from tocsin.model.connection import (
    ApiDestination,
    Authorization,
    Connection,
    ConnectionState,
    Credentials,
    HttpParameters,
    api_destination_of,
    connection_of,
)
from tocsin.model.delivery import Delivery, Landed, Refused
from tocsin.model.names import API_DESTINATION, Scope
from tocsin.model.outbound import Outbound, Outcome, Verdict
from tocsin.ports import Arrivals, Clock, Store
from tocsin.targets import oauth
from tocsin.targets.http import beginning
from tocsin.targets.oauth import Tokens
from tocsin.targets.paces import Paces

# "EventBridge requests to an API destination endpoint must have a maximum client execution timeout of 5 seconds" (AWS).
INVOCATION_LIMIT_S = 5.0
# "OAUTH tokens are refreshed when a 401 or 407 response is returned" (AWS).
TOKEN_OVER = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED})


class ApiDestinationTargets:
    """The InsideTarget: each delivery is owed, in a lane of its rule and target."""

    def __init__(self, store: Store, arrived: Arrivals) -> None:
        self._store = store
        self._arrived = arrived

    async def land(self, deliveries: Sequence[Delivery], now_ms: int) -> Landed:
        owed: list[Outbound] = []
        refused: list[Refused] = []
        there: dict[str, ApiDestination | None] = {}
        for one in deliveries:
            arn = one.target.arn
            if arn not in there:
                there[arn] = await named(self._store, arn)
            if there[arn] is None:
                message = f"The API destination {arn} does not exist."
                refused.append(Refused(delivery=one, code="NO_RESOURCE", message=message))
            else:
                owed.append(_owed(one, now_ms))
        return Landed(
            changes=tuple(map(Put, owed)), refused=tuple(refused), committed=lambda: self._arrived.arrived(owed)
        )


async def named(store: Store, arn: str) -> ApiDestination | None:
    """The API destination of an ARN. One that was made anew under the name is another."""
    place = api_destination_of(arn)
    found = await store.get(ApiDestination, *place) if place else None
    return found if found and found.arn == arn else None


def _owed(delivery: Delivery, now_ms: int) -> Outbound:
    event, rule, target = delivery.event, delivery.rule, delivery.target
    name = (api_destination_of(target.arn) or (None, ""))[1]
    return Outbound(
        scope=rule.scope,
        lane=f"{API_DESTINATION}/{name}/{rule.bus}/{rule.name}/{target.id}",
        id=event.id,
        carrier=API_DESTINATION,
        origin=rule.arn,
        target=target.id,
        body=delivery.payload.decode(),
        about={"arn": target.arn, "http": asdict(http_parameters(target.spec, event.body))},
        first_ms=now_ms,
        due_ms=now_ms,
        retry=retry_policy(delivery),
        last_resort=last_resort(delivery),
    )


class About(Struct, frozen=True):
    """What the outbound of a delivery holds beside its body."""

    arn: str
    http: HttpParameters


class Way(Struct, frozen=True, kw_only=True):
    """Where an attempt goes, and with whose credentials."""

    destination: ApiDestination
    connection: Connection
    credentials: Credentials


class ApiDestinations:
    """The Carrier."""

    def __init__(self, store: Store, clock: Clock, session: aiohttp.ClientSession, tokens: Tokens) -> None:
        self._store = store
        self._clock = clock
        self._session = session
        self._tokens = tokens
        self._paces = Paces(clock)

    async def carry(self, outbound: Outbound) -> Outcome:
        about = msgspec.convert(outbound.about, About)
        way = await self._way(outbound.scope, about.arn)
        if isinstance(way, Outcome):
            return way
        pause_s = await self._paces.turn(way.destination.arn, outbound.lane, way.destination.rate_per_s)
        if pause_s:
            return Outcome(verdict=Verdict.NOT_YET, after_s=pause_s)
        parameters, token = way.credentials.parameters, ""
        if way.connection.authorization is Authorization.OAUTH_CLIENT_CREDENTIALS:
            try:
                token = await self._tokens.token(way.connection, way.credentials)
            except oauth.Refused as error:
                return _again(CLIENT_ERROR, str(error))
        headers = authorization_headers(way.connection.authorization, parameters, token)
        what = request(way.destination, parameters, about.http, outbound.body, headers)
        status, outcome = await self._send(what, secrets_in(parameters) | {token} - {""})
        if status in TOKEN_OVER:
            self._tokens.forget(way.connection, way.credentials)
        return outcome

    async def _way(self, scope: Scope, arn: str) -> Way | Outcome:
        destination = await named(self._store, arn)
        if destination is None:
            return _never("NO_RESOURCE", f"The API destination {arn} does not exist.")
        place = connection_of(destination.connection_arn)
        connection = await self._store.get(Connection, *place[:2]) if place else None
        if connection is None or connection.arn != destination.connection_arn:
            return _never("NO_RESOURCE", f"The connection {destination.connection_arn} does not exist.")
        credentials = await self._store.get(Credentials, scope, connection.name)
        if connection.state is not ConnectionState.AUTHORIZED or credentials is None:
            why = f": {connection.reason}" if connection.reason else ""
            return _again("NO_PERMISSIONS", f"The connection {connection.name} is {connection.state}{why}")
        return Way(destination=destination, connection=connection, credentials=credentials)

    async def _send(self, what: Request, secrets: set[str]) -> tuple[int, Outcome]:
        """The answer's status, 0 when there was none, and what it means."""
        try:
            async with asyncio.timeout(INVOCATION_LIMIT_S):
                return await self._asked(what, secrets)
        except TimeoutError:
            return 0, _again(TIMEOUT, f"The endpoint did not answer within {INVOCATION_LIMIT_S:g} seconds.")
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: a URL nobody can ask
            why = blotted(str(error) or type(error).__name__, secrets)
            return 0, _again(CLIENT_ERROR, f"Unable to invoke ApiDestination endpoint: {why}")

    async def _asked(self, what: Request, secrets: set[str]) -> tuple[int, Outcome]:
        async with self._session.request(
            what.method, what.url, headers=what.headers, data=what.body, allow_redirects=False
        ) as answer:
            excerpt = b""
            with suppress(aiohttp.ClientError):  # the status is the answer, whatever follows it
                excerpt = await beginning(answer, 4 * EXCERPT_CHARS_MAX)
            text = blotted(excerpt.decode(errors="replace"), secrets)
            asked = answer.headers.get("Retry-After")
            return answer.status, verdict(answer.status, text, asked, self._clock.now())


def _again(code: str, message: str) -> Outcome:
    return Outcome(verdict=Verdict.AGAIN, code=code, message=message)


def _never(code: str, message: str) -> Outcome:
    return Outcome(verdict=Verdict.NEVER, code=code, message=message)
