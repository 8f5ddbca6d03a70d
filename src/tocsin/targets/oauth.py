"""OAuth access tokens of connections: fetched from the authorization endpoint, kept until they are about to expire.

Who uses a token says when a peer does not take it any more; the next use fetches a new one.
"""

import asyncio
from http import HTTPStatus

import aiohttp

from tocsin.core.connections import secrets_in
from tocsin.core.invocation import blotted
from tocsin.core.tokens import Asked, Token, asked, read_token
from tocsin.model.connection import Connection, Credentials
from tocsin.ports import Clock
from tocsin.targets.http import beginning

TOKEN_LIMIT_S = 5.0  # as for any request of an API destination
TOKEN_BYTES_MAX = 64 << 10
TOKENS_KEPT_MAX = 10_000


class Refused(Exception):
    """No token was to be had; the text says why, without secrets."""


class Tokens:
    def __init__(self, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._kept: dict[tuple[str, int], Token] = {}
        self._fetching: dict[tuple[str, int], asyncio.Task[Token]] = {}

    async def authorize(self, connection: Connection, credentials: Credentials) -> str:
        """Port Authorizer: get a token now, whatever was kept. Why it could not be had; empty when it was."""
        self.forget(connection, credentials)
        try:
            await self.token(connection, credentials)
        except Refused as error:
            return str(error)
        return ""

    async def token(self, connection: Connection, credentials: Credentials) -> str:
        """As an Authorization header has it. Raises Refused."""
        key = connection.arn, credentials.revision
        kept = self._kept.get(key)
        if kept is not None and kept.until > self._clock.now():
            return kept.header
        task = self._fetching.get(key)  # all who wait share one request
        if task is None:
            task = self._fetching[key] = asyncio.create_task(self._fetch(credentials))
            task.add_done_callback(lambda done: self._fetched(key, done))
        return (await asyncio.shield(task)).header

    def forget(self, connection: Connection, credentials: Credentials) -> None:
        """The token is not taken any more."""
        self._kept.pop((connection.arn, credentials.revision), None)

    def _fetched(self, key: tuple[str, int], done: "asyncio.Task[Token]") -> None:
        del self._fetching[key]
        if not done.cancelled() and done.exception() is None:
            while len(self._kept) >= TOKENS_KEPT_MAX:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = done.result()

    async def _fetch(self, credentials: Credentials) -> Token:
        what = asked(credentials.parameters["OAuthParameters"])
        try:
            async with asyncio.timeout(TOKEN_LIMIT_S):
                status, answer = await self._send(what)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Refused(f"The authorization endpoint cannot be reached: {type(error).__name__}") from error
        found = read_token(answer, self._clock.now()) if status == HTTPStatus.OK else None
        if found is None:
            excerpt = blotted(answer[:200].decode(errors="replace"), secrets_in(credentials.parameters))
            raise Refused(f"The authorization endpoint gave no token: HTTP status code {status}: {excerpt}")
        return found

    async def _send(self, what: Asked) -> tuple[int, bytes]:
        async with self._session.request(
            what.method, what.url, headers=what.headers, data=what.body, allow_redirects=False
        ) as answer:
            return answer.status, await beginning(answer, TOKEN_BYTES_MAX)
