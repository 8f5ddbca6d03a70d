"""A message through the whole path, for a test, and what became of what it owed to the outside."""

import msgspec
from msgspec import Struct, to_builtins
from starlette.requests import Request
from starlette.responses import Response

from tocsin.doors.own.asking import answer, refuse, scope_of
from tocsin.model.errors import AwsError, StoreUnavailable
from tocsin.services.outcomes import Outcomes
from tocsin.services.trials import Trials

# Deliveries asked about at once: more than a person looks at.
ASKED_MAX = 1_000


class Asked(Struct, frozen=True, forbid_unknown_fields=True):
    to: str


_asked = msgspec.json.Decoder(Asked).decode


class Notify:
    def __init__(self, trials: Trials, outcomes: Outcomes) -> None:
        self._trials = trials
        self._outcomes = outcomes

    async def send(self, request: Request) -> Response:
        """Send a test message to the topic or channel `to`, by name or ARN; answers each hop that follows at once."""
        scope = scope_of(request)
        try:
            to = _asked(await request.body()).to
        except msgspec.MsgspecError as error:
            return refuse(f"The request cannot be read: {error}")
        try:
            trial = await self._trials.send(scope, to)
        except StoreUnavailable as error:
            return refuse(f"The state cannot be written now: {error}", 503)
        except AwsError as error:
            return refuse(error.message, error.status)
        if trial is None:
            return refuse(f"There is no topic or channel {to} in account {scope.account}, {scope.region}.", 404)
        return answer(to_builtins(trial))

    async def outbounds(self, request: Request) -> Response:
        """How the outbound deliveries of these ids stand."""
        ids = request.query_params.getlist("id")[:ASKED_MAX]
        return answer({"outbounds": await self._outcomes.told(scope_of(request), ids)})
