"""Replays: started, described, cancelled. services/replays.py does the work, and is woken from here."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from tocsin.doors.door import Context, decided
from tocsin.doors.events.finding import PAGE_MAX, TOO_MANY, named_bus, rules_of
from tocsin.doors.paging import page
from tocsin.model.archive import AT_WORK, Archive, Replay, ReplayState, archive_arn
from tocsin.model.changes import Put
from tocsin.model.errors import (
    IllegalStatus,
    LimitExceeded,
    ResourceAlreadyExists,
    ResourceNotFoundException,
    Validation,
)
from tocsin.model.names import Scope, bus_arn, split_arn
from tocsin.model.records import successor
from tocsin.ports import Store
from tocsin.services.bus import Bus

CANCELLABLE = frozenset({ReplayState.STARTING, ReplayState.RUNNING})


class Replays:
    def __init__(self, store: Store, bus: Bus, replays_max: int, wake: Callable[[], None]) -> None:
        """`replays_max`: at work at a time, of one account in one region."""
        self._store = store
        self._bus = bus
        self._replays_max = replays_max
        self._wake = wake

    async def start(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        scope, name = context.scope, request["ReplayName"]
        start_ms, end_ms = _ms(request["EventStartTime"]), _ms(request["EventEndTime"])

        async def attempt() -> Replay:
            archive = await self._source(scope, request)
            rules = await self._limited_to(archive, request)
            if start_ms >= end_ms:
                raise Validation(
                    "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime."
                )
            if await self._store.get(Replay, scope, name):
                raise ResourceAlreadyExists(f"Replay {name} already exists.")
            if sum(one.state in AT_WORK for one in await self._store.find(Replay, scope)) >= self._replays_max:
                raise LimitExceeded(TOO_MANY)
            replay = Replay(
                scope=scope,
                name=name,
                archive=archive.name,
                bus=archive.bus,
                description=request.get("Description", ""),
                filter_arns=rules,
                start_ms=start_ms,
                end_ms=end_ms,
                started_ms=context.now_ms,
            )
            await self._store.commit(Put(replay))
            return replay

        replay = await decided(attempt)
        await self._bus.reload_archives()
        self._wake()
        return {
            "ReplayArn": replay.arn,
            "State": replay.state,
            "ReplayStartTime": replay.started_ms / 1000,
        }

    async def _source(self, scope: Scope, request: dict[str, Any]) -> Archive:
        """The archive to be replayed. Raises what AWS does where it and the destination do not fit."""
        destination = request["Destination"]["Arn"]
        _, _, resource = split_arn(destination) or ("", scope, "")
        if not resource.startswith("event-bus/"):
            raise Validation("Parameter Destination.Arn is not valid. Reason: Must contain an event bus ARN.")
        bus = await named_bus(self._store, scope, destination)
        source: str = request["EventSourceArn"]
        name = source.rpartition("/")[2]
        archive = await self._store.get(Archive, scope, name) if source == archive_arn(scope, name) else None
        if archive is None:
            raise Validation(f"Parameter EventSourceArn is not valid. Reason: Archive {name} does not exist.")
        if archive.bus != bus.name:
            raise Validation("Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.")
        return archive

    async def _limited_to(self, archive: Archive, request: dict[str, Any]) -> tuple[str, ...]:
        """The rules that alone get what is replayed: of the archive's bus. How AWS refuses others is a guess."""
        arns = tuple(request["Destination"].get("FilterArns") or ())
        there = {rule.arn for rule in await rules_of(self._store, archive.scope, archive.bus)} if arns else set()
        for arn in arns:
            if arn not in there:
                reason = f"{arn} is not a rule on EventBus {archive.bus}."
                raise Validation(f"Parameter Destination.FilterArns is not valid. Reason: {reason}")
        return arns

    async def describe(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        replay = await self._replay(context.scope, request["ReplayName"])
        return _members(replay) | {
            "ReplayArn": replay.arn,
            "Description": replay.description or None,
            "Destination": {"Arn": bus_arn(replay.scope, replay.bus), "FilterArns": list(replay.filter_arns)},
        }

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        if sum(name in request for name in ("State", "EventSourceArn", "NamePrefix")) > 1:
            raise Validation(
                "At most one filter is allowed for ListReplays. Use either : State, EventSourceArn, or NamePrefix."
            )
        found = await self._store.find(Replay, context.scope, prefix=request.get("NamePrefix", ""))
        source, state = request.get("EventSourceArn"), request.get("State")
        taken, token = page(
            [
                one
                for one in found
                if state in (None, one.state) and source in (None, archive_arn(one.scope, one.archive))
            ],
            kind="ListReplays",
            position=lambda replay: [replay.name],
            limit=request.get("Limit", PAGE_MAX),
            token=request.get("NextToken"),
        )
        return {"Replays": [_members(one) for one in taken], "NextToken": token}

    async def cancel(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        async def attempt() -> Replay:
            old = await self._replay(context.scope, request["ReplayName"])
            if old.state not in CANCELLABLE:
                raise IllegalStatus(f"Replay {old.name} is not in a valid state for this operation.")
            new = successor(old, state=ReplayState.CANCELLING)
            await self._store.commit(Put(new))
            return new

        replay = await decided(attempt)
        self._wake()
        return {"ReplayArn": replay.arn, "State": replay.state}

    async def _replay(self, scope: Scope, name: str) -> Replay:
        replay = await self._store.get(Replay, scope, name)
        if replay is None:
            raise ResourceNotFoundException(f"Replay {name} does not exist.")
        return replay


def _ms(moment: datetime) -> int:
    """Epoch milliseconds, cut to the second: events tell no finer times, and boto3 sends none."""
    return int(moment.timestamp()) * 1000


def _members(replay: Replay) -> dict[str, Any]:
    return {
        "ReplayName": replay.name,
        "EventSourceArn": archive_arn(replay.scope, replay.archive),
        "State": replay.state,
        "StateReason": replay.reason or None,
        "EventStartTime": replay.start_ms / 1000,
        "EventEndTime": replay.end_ms / 1000,
        "EventLastReplayedTime": replay.place[0] / 1000 if replay.place else None,
        "ReplayStartTime": replay.started_ms / 1000,
        "ReplayEndTime": replay.ended_ms / 1000 if replay.ended_ms else None,
    }
