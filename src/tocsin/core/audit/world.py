"""What the audit is given and what it gives: the world as somebody read it, and notes."""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping

from msgspec import Struct

from tocsin.model.cluster import Cluster, Node, NodeCursor
from tocsin.model.cluster_event import ClusterEvent
from tocsin.model.command import Command, Invocation
from tocsin.model.event import Journaled
from tocsin.model.logs import LogEvent
from tocsin.model.machine import MachineState
from tocsin.model.outbound import Outbound
from tocsin.model.rule import Rule
from tocsin.model.story import StoryLine

# (rule ARN, target id): what each target of a rule was sent.
Owed = tuple[str, str]


class World(Struct, frozen=True, kw_only=True):
    """What there is. What was not looked at is None, and not judged.

    `journal` is all that is kept of it, in order; `routed` where the router stands in it. `rules_since` is the place
    after which the rules and their log groups are as they are now: what came before was routed by others. `delivered`
    holds the lines of each log group target's stream. `carried` holds the ids of the events that peers outside took, by
    target, and `buried` those of dead letters, by rule and target ARN. `steps` are the Cluster Events that are kept.
    """

    clusters: tuple[Cluster, ...]
    nodes: tuple[Node, ...]
    cursors: tuple[NodeCursor, ...] = ()
    journal: tuple[Journaled, ...] = ()
    routed: int = 0
    rules: tuple[Rule, ...] = ()
    rules_since: int = 0
    delivered: Mapping[Owed, tuple[LogEvent, ...]] | None = None
    outbounds: tuple[Outbound, ...] = ()
    carried: Mapping[Owed, Collection[str]] | None = None
    buried: Mapping[tuple[str, str], Collection[str]] = {}
    story: tuple[StoryLine, ...] | None = None
    machines: Mapping[str, MachineState] | None = None
    steps: tuple[ClusterEvent, ...] = ()
    commands: tuple[Command, ...] = ()
    invocations: tuple[Invocation, ...] = ()


class Note(Struct, frozen=True):
    """`law` is the sentence that does not hold, `about` whom it concerns, `what` is seen instead."""

    law: str
    about: str
    what: str = ""


def twins(law: str, keys: Iterable[Hashable]) -> Iterable[Note]:
    return [Note(law, str(key), f"{times} of them") for key, times in Counter(keys).items() if times > 1]
