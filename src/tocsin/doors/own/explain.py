"""Why a rule matched the last events of its bus, or did not, and why nothing is delivered although it did."""

import asyncio
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import orjson
from msgspec import to_builtins
from starlette.requests import Request
from starlette.responses import Response

from tocsin.core.loggrants import may_write
from tocsin.core.noise import text_of
from tocsin.core.obstacles import obstacles
from tocsin.core.patterns import Pattern, explain, lines, load_event, parse, sentence
from tocsin.doors.own.asking import answer, number, refuse, scope_of
from tocsin.doors.own.journal import Wanted, newest
from tocsin.doors.own.troubles import Troubles
from tocsin.model.bus import EventBus
from tocsin.model.chat import ChatConfiguration
from tocsin.model.command import Document, document_of
from tocsin.model.connection import ApiDestination, api_destination_of
from tocsin.model.event import Event, Journaled
from tocsin.model.logs import LogGroup, LogPolicy
from tocsin.model.names import DEFAULT_BUS, Scope, bus_of, log_group_of, queue_of, topic_of
from tocsin.model.queue import Queue
from tocsin.model.records import Record
from tocsin.model.rule import Rule
from tocsin.model.topic import Topic
from tocsin.ports import Store
from tocsin.services.bus import Bus
from tocsin.services.commands.documents import built_in
from tocsin.services.noise import Noise
from tocsin.services.outbox import Outbox

# Events explained in one answer: some milliseconds each for the largest pattern.
EXPLAINED_MAX = 100
EXPLAINED = 20
ALTERNATIVES_TOLD = 3


# What a target's ARN may name, and the record that is there when it is.
_KINDS: tuple[tuple[Callable[[str], tuple[Scope, str] | None], type[Record]], ...] = (
    (log_group_of, LogGroup),
    (queue_of, Queue),
    (bus_of, EventBus),
    (topic_of, Topic),
    (document_of, Document),
    (api_destination_of, ApiDestination),
)


class Explain:
    def __init__(
        self,
        store: Store,
        bus: Bus,
        noise: Noise,
        outbox: Outbox,
        *,
        posted_by: Callable[[ChatConfiguration], str],
        log_groups_granted: bool,
    ) -> None:
        self._store = store
        self._noise = noise
        self._bus = bus
        self._troubles = Troubles(store, outbox, posted_by)
        self._log_groups_granted = log_groups_granted

    async def explain(self, request: Request) -> Response:
        """The rule `rule` of `bus`, as it is now, against the `last` events of the bus or the one with `event_id`."""
        scope, query = scope_of(request), request.query_params
        bus, name, event_id = query.get("bus", DEFAULT_BUS), query.get("rule", ""), query.get("event_id", "")
        rule = await self._store.get(Rule, scope, f"{bus}/{name}")
        if rule is None:
            return refuse(await self._unknown(scope, bus, name), 404)
        await self._bus.refreshed()
        last = 1 if event_id else min(number(request, "last", EXPLAINED), EXPLAINED_MAX)
        _, found = await newest(self._store, _on(scope, bus, event_id), last)
        if event_id and not found:
            return refuse(f"No event {event_id} is on bus {bus}, as far back as is looked.", 404)
        told = [] if not rule.pattern else await _judged(parse(rule.pattern), found)
        for verdict, entry in zip(told, found, strict=bool(told)):
            verdict["held"] = await self._held(rule, entry) if verdict["matched"] else []
        missing, closed, troubles = await self._missing(rule), await self._closed(rule), await self._troubles.of(rule)
        return answer(
            {
                "rule": {"name": rule.name, "arn": rule.arn, "bus": bus, "state": rule.state, "pattern": rule.pattern},
                "obstacles": obstacles(rule, missing, closed, troubles),
                "noise": {name: text_of(control) for name, control in self._noise.controls(rule).items()},
                "events": told,
            }
        )

    async def _held(self, rule: Rule, entry: Journaled) -> list[dict[str, str]]:
        """The deliveries of the event to the rule's targets that were held back."""
        found = await self._store.held(entry.seq - 1, entry.seq)
        return [{"target": one.target_id, "by": one.gate, "why": one.why} for one in found if one.rule_arn == rule.arn]

    async def _missing(self, rule: Rule) -> set[str]:
        """The ARNs of the rule's targets that are not there."""
        gone: set[str] = set()
        for target in rule.targets:
            for place_of, kind in _KINDS:
                place = place_of(target.arn)
                if place and not _always_there(place[1]) and await self._store.get(kind, *place) is None:
                    gone.add(target.arn)
        return gone

    async def _closed(self, rule: Rule) -> set[str]:
        """The ARNs of the log groups that no resource policy lets the rule write to."""
        if self._log_groups_granted:
            return set()
        documents = [policy.document for policy in await self._store.find(LogPolicy, rule.scope)]
        groups = [target for target in rule.targets if log_group_of(target.arn)]
        return {target.arn for target in groups if not may_write(documents, rule.arn, target)}

    async def _unknown(self, scope: Scope, bus: str, name: str) -> str:
        if not name:
            return "The parameter rule is missing."
        names = [rule.name for rule in await self._store.find(Rule, scope, prefix=f"{bus}/")]
        near = get_close_matches(name, names, n=1)
        said = f"There is no rule {name} on bus {bus} in account {scope.account}, {scope.region}."
        return f"{said} Did you mean {near[0]}?" if near else said


def _always_there(name: str) -> bool:
    """The default bus, and documents that are built in: no record stands for them."""
    return name == DEFAULT_BUS or name in built_in()


def _on(scope: Scope, bus: str, event_id: str) -> Wanted:
    def wanted(event: Event) -> bool:
        return event.scope == scope and event.bus == bus and event_id in ("", event.id)

    return wanted


async def _judged(pattern: Pattern, found: list[Journaled]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for entry in found:
        told.append(_verdict(pattern, entry.event))
        await asyncio.sleep(0)
    return told


def _verdict(pattern: Pattern, event: Event) -> dict[str, Any]:
    try:
        content = load_event(event.body)
    except ValueError as error:
        why = f"cannot be read: {error}"
        return {"id": event.id, "matched": False, "why": why, "lines": [why], "alternatives": [], "event": None}
    found = explain(pattern, content)
    return {
        "id": event.id,
        "matched": found.matched,
        "why": sentence(found),
        "lines": lines(found),
        "alternatives": to_builtins(found.alternatives[:ALTERNATIVES_TOLD]),
        "event": orjson.Fragment(event.body),
    }
