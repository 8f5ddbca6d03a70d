"""The other doors, called from inside: input parsed and validated as if it came over the wire, then their handlers."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from tocsin.doors.door import Context, Door
from tocsin.doors.wire import Call, Request, Wire
from tocsin.model.errors import NotImplementedYet, Serialization, Validation
from tocsin.model.names import Scope

# Pages of one listing that are read at most: a million things at a hundred a page.
PAGES_MAX = 10_000


class Services:
    """The doors by service. One for the whole server."""

    def __init__(self, doors: Iterable[Door]) -> None:
        self.doors = {door.service: door for door in doors}
        self.wire = Wire(self.doors)


class Asking:
    """The same in somebody's name."""

    def __init__(self, services: Services, context: Context) -> None:
        self._services = services
        self._context = context

    @property
    def scope(self) -> Scope:
        return self._context.scope

    async def __call__(self, service: str, operation: str, **members: Any) -> dict[str, Any]:
        """The answer without what is not there. None among the members is left out, as on the wire.

        Raises the service's errors; NotImplementedYet for an operation that it has not.
        """
        handler = self._services.doors[service].operations.get(operation)
        if handler is None:
            raise NotImplementedYet(f"{service}:{operation} is not implemented in Tocsin yet.")
        call = Call(service=service, operation=operation, protocol="json")
        body = orjson.dumps({name: value for name, value in members.items() if value is not None})
        try:
            request = self._services.wire.read(call, Request("POST", "/", "", {}, body))
        except Serialization as error:  # a model is long: say where
            raise Validation(f"Model validation failed (#/{'/'.join(map(str, error.path))}: {error})") from error
        answer = await handler(self._context, request)
        return {name: value for name, value in answer.items() if value is not None}

    async def all(self, service: str, operation: str, items: str, more: str = "NextToken", **members: Any) -> list[Any]:
        """A listing to its end; `more` is the member of its token."""
        found: list[Any] = []
        answer: Mapping[str, Any] = {}
        for _ in range(PAGES_MAX):
            answer = await self(service, operation, **members, **({more: answer[more]} if answer else {}))
            found += answer.get(items) or []
            if not answer.get(more):
                break
        return found
