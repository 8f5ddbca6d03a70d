"""Node health: what is wrong where, why, and what happens next; clearing faults and putting nodes aside by hand.

`tocsin health` asks here.
"""

from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from tocsin.core.commit import World
from tocsin.core.faults import Catalogue, HealthPolicy, assess, cleared
from tocsin.core.faults.outlook import outlook, troubled
from tocsin.doors.own.asking import answer, refuse, scope_of
from tocsin.doors.own.placing import placed
from tocsin.model.cluster import Node
from tocsin.model.errors import AwsError, Stale, StoreUnavailable
from tocsin.model.health import HAND, QUARANTINE, Finding
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock
from tocsin.services.fleet import Fleet

REASON_CHARS_MAX = 200


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`fault` and `part` name what is cleared: all of it where both are left out."""

    node: str
    action: Literal["clear", "quarantine"]
    fault: str = ""
    part: str = ""
    reason: str = ""


def _unknown(node: Node, asked: Asked) -> str:
    there = ", ".join(" of ".join(filter(None, (one.name, one.subject))) for one in node.faults)
    return (
        f"{node.name} has no fault {' of '.join(filter(None, (asked.fault, asked.part)))}. It has: {there or 'none'}."
    )


_asked = msgspec.json.Decoder(Asked).decode


class NodeHealth:
    def __init__(self, fleet: Fleet, clock: Clock, catalogue: Catalogue, policy: HealthPolicy) -> None:
        self._fleet = fleet
        self._clock = clock
        self._catalogue = catalogue
        self._policy = policy

    async def listed(self, request: Request) -> Response:
        """Nodes of which there is something to tell; the one that `node` names, in any case."""
        scope, name = scope_of(request), request.query_params.get("node", "")
        if name:
            found = placed(self._fleet, scope, name)
            return found if isinstance(found, Response) else answer({"nodes": [self._told(*found)]})
        now_ms = epoch_ms(self._clock.now())
        nodes = [
            self._told(world, node)
            for world in self._fleet.worlds(scope)
            for node in world.nodes.values()
            if troubled(node, self._policy, now_ms)
        ]
        return answer({"nodes": nodes})

    async def act(self, request: Request) -> Response:
        """Clear faults of a node, or put it aside. Answers what is known of it then."""
        try:
            asked = _asked(await request.body())
        except msgspec.MsgspecError as error:
            return refuse(f"What to do cannot be read: {error}")
        if len(asked.reason) > REASON_CHARS_MAX:
            return refuse(f"The reason may have {REASON_CHARS_MAX} characters, and has {len(asked.reason)}.")
        found = placed(self._fleet, scope_of(request), asked.node)
        if isinstance(found, Response):
            return found
        _, node = found
        if asked.action == "clear" and asked.fault and cleared(node.faults, asked.fault, asked.part) == node.faults:
            return refuse(_unknown(node, asked), 404)
        words = " ".join(filter(None, (asked.action, asked.fault, asked.part)))
        try:
            after = await self._fleet.amend(
                node.instance_id, lambda node: self._changed(node, asked), words, asked.reason
            )
        except AwsError as error:
            return refuse(error.message, error.status)
        except (StoreUnavailable, Stale) as error:
            return refuse(f"The state cannot be written now: {error}", 503)
        return answer({"node": self._told(*after)})

    def _changed(self, node: Node, asked: Asked) -> Node:
        if asked.action == "clear":
            left = cleared(node.faults, asked.fault, asked.part)
            gone = {one.name for one in node.faults} - {one.name for one in left}
            every = not asked.fault and not asked.part
            mended = () if every else tuple(one for one in node.mended if one.fault not in gone)
            return replace(node, faults=left, mended=mended, history=() if every else node.history)
        at_ms = epoch_ms(self._clock.now())
        words = asked.reason or "put aside by hand"
        put_aside = Finding(fault=QUARANTINE, at_ms=at_ms, text=words, source=HAND)
        return replace(node, faults=assess(node.faults, put_aside, self._catalogue))

    def _told(self, world: World, node: Node) -> dict[str, object]:
        return outlook(world.cluster, node, world.waiting, self._policy, epoch_ms(self._clock.now()))
