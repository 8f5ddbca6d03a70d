"""History: what was announced and told follows from what happened, with nothing left out and nothing twice."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

import msgspec
from msgspec import Struct, field

from tocsin.core.announce import NODE_HEALTH, SOURCE, STATE_CHANGE
from tocsin.core.audit.world import Note, World, twins
from tocsin.core.lifecycle import CLUSTER_MOVES
from tocsin.core.tell import status_words
from tocsin.model.cluster import ClusterStatus, Health
from tocsin.model.story import Chapter


class _Summary(Struct):
    status: str = field(name="HealthStatus", default="")


class _Detail(Struct):
    arn: str = field(name="ClusterArn", default="")
    status: str = field(name="ClusterStatus", default="")
    instance_id: str = field(name="InstanceId", default="")
    health: _Summary | None = field(name="HealthSummary", default=None)


class _Announced(Struct):
    id: str
    source: str
    detail_type: str = field(name="detail-type")
    detail: msgspec.Raw


_envelope = msgspec.json.Decoder(_Announced).decode
_detail = msgspec.json.Decoder(_Detail).decode


def journal(world: World) -> Iterable[Note]:
    for one, two in pairwise(world.journal):
        if one.seq >= two.seq:
            yield Note("the journal grows", str(two.seq), f"stands behind {one.seq}")
    yield from twins(
        "an event is journaled once", ((one.event.scope, one.event.bus, one.event.id) for one in world.journal)
    )
    if world.journal and world.routed > world.journal[-1].seq:
        yield Note("the router stays within the journal", "the router", f"stands at {world.routed}")


def _announced(world: World, detail_type: str) -> list[_Detail]:
    """Our own events of a type, in the order of the journal."""
    envelopes = (_envelope(entry.event.body) for entry in world.journal)
    return [_detail(one.detail) for one in envelopes if (one.source, one.detail_type) == (SOURCE, detail_type)]


def whole(world: World) -> bool:
    """Whether the journal still has its beginning."""
    return not world.journal or world.journal[0].seq == 1


def _histories(world: World) -> dict[str, list[ClusterStatus | None]]:
    """The statuses of each cluster as they were announced, by ARN. They begin with None unless that is forgotten."""
    histories: dict[str, list[ClusterStatus | None]] = {}
    for detail in _announced(world, STATE_CHANGE):
        histories.setdefault(detail.arn, [None] if whole(world) else []).append(ClusterStatus(detail.status))
    return histories


def state_changes(world: World) -> Iterable[Note]:
    living = {cluster.arn: cluster for cluster in world.clusters}
    histories = _histories(world)
    for arn, statuses in histories.items():
        for before, after in pairwise(statuses):
            if after not in CLUSTER_MOVES[before]:
                yield Note("events tell every status once and in order", arn, f"{before} → {after}")
        now, last = living[arn].status if arn in living else None, statuses[-1]
        if last != now and not (now is None and None in CLUSTER_MOVES[last]):
            yield Note("a status and its event commit together", arn, f"told {last}, is {now}")
    for arn in living.keys() - histories.keys():
        if whole(world):
            yield Note("a status and its event commit together", arn, "nothing was told")


def health_events(world: World) -> Iterable[Note]:
    told: dict[str, list[str]] = defaultdict(list)
    for detail in _announced(world, NODE_HEALTH):
        told[detail.instance_id].append(detail.health.status if detail.health else "")
    for instance_id, healths in told.items():
        if any(one == two for one, two in pairwise(healths)):
            yield Note("health is told when it turns", instance_id, " → ".join(healths))
    for node in world.nodes:
        healths = told[node.instance_id]
        if not healths and not whole(world):
            continue
        last = healths[-1] if healths else Health.HEALTHY
        if last != node.health:
            yield Note("health and its event commit together", node.instance_id, f"told {last}, is {node.health}")


def told(world: World) -> Iterable[Note]:
    """The story has every status, in the words of core/tell, and no other."""
    if world.story is None:
        return
    living = {cluster.arn for cluster in world.clusters}
    words: dict[str, list[str]] = defaultdict(list)
    for line in world.story:
        if line.chapter is Chapter.STATUS and not line.what.startswith("group "):
            words[line.cluster_id].append(line.what)
    for arn, statuses in _histories(world).items():
        whole = statuses if arn in living else [*statuses, None]
        expected = [status_words(before, after) for before, after in pairwise(whole)]
        found = words[arn.rpartition("/")[2]]
        judged = found if statuses[0] is None else found[max(0, len(found) - len(expected)) :]
        if judged != expected:
            yield Note("the story tells every status", arn, f"{found} instead of {expected}")
