"""What every service's door is: a name and its operations. The front calls them; they know no wire format.

A handler gets parsed and validated input under AWS's member names and returns the members of the answer.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct

from tocsin.model.errors import AwsError, ConcurrentModification, Stale, Throttling
from tocsin.model.names import Scope
from tocsin.model.times import epoch_ms

T = TypeVar("T")


class Context(Struct, frozen=True, kw_only=True):
    """Who asks, and when."""

    scope: Scope
    access_key: str
    request_id: str
    now: datetime

    @property
    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return epoch_ms(self.now)


Handler = Callable[[Context, dict[str, Any]], Awaitable[Mapping[str, Any]]]


class Door(Struct, frozen=True, kw_only=True):
    """`service` is botocore's folder name of the service; `operations` maps AWS's operation names to handlers.

    `part`: the rest of the service has nothing to do with these, so an upstream may serve it.
    """

    service: str
    operations: Mapping[str, Handler]
    part: bool = False


STALE_TRIES_MAX = 5  # each loses only to a writer that won, so contention this deep means something is wrong


async def decided(attempt: Callable[[], Awaitable[T]]) -> T:
    """Read, decide and commit again when another writer was faster. Raises ConcurrentModification when it always is."""
    for _ in range(STALE_TRIES_MAX):
        try:
            return await attempt()
        except Stale:
            continue
    raise ConcurrentModification("The resource is being changed by other requests. Try again.")


def settled(operations: Mapping[str, Handler], refusal: Callable[[str], AwsError], what: str) -> dict[str, Handler]:
    """The handlers, what they refuse for the moment (a lost race, a full store) under the code that the service's
    clients try again on."""

    def settle(handler: Handler) -> Handler:
        async def settling(context: Context, request: dict[str, Any]) -> Mapping[str, Any]:
            try:
                return await handler(context, request)
            except (Stale, Throttling) as busy:
                raise refusal(f"The {what} is busy: {busy}. Try again.") from busy

        return settling

    return {name: settle(handler) for name, handler in operations.items()}
