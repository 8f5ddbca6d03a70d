"""Sources -> samples: for each metric the values by labels. What is asked of the store is asked here."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from msgspec import structs

from tocsin import __version__
from tocsin.core.histogram import Histogram
from tocsin.core.plan.budget import BUDGETS
from tocsin.doors.metrics.sources import MeasuredStore, Sources
from tocsin.doors.metrics.table import OF_RULES
from tocsin.model.cluster import Health
from tocsin.model.names import rule_bus_of, split_arn
from tocsin.services.bus import ROUTER
from tocsin.services.outbox import Outbox
from tocsin.services.sickness import REPAIRS
from tocsin.services.tally import ENDED, ENDED_MS

Labels = tuple[str, ...]
Samples = dict[str, dict[Labels, float]]

# How the outbox calls what CloudWatch calls so.
_OWED = {
    "retried": ("RetryInvocationAttempts",),
    "crowded_out": ("ThrottledRules",),
    "dead_lettered": ("FailedInvocations", "DeadLetterInvocations"),
    "dropped": ("FailedInvocations", "InvocationsFailedToBeSentToDlq"),
}


async def samples(sources: Sources) -> Samples:
    found: Samples = defaultdict(dict)
    found["tocsin_build_info"][(__version__,)] = 1
    _of_rules(sources, found)
    await _of_journal(sources.store, found)
    _of_fleet(sources, found)
    found["tocsin_outbox_owed"][()] = sources.outbox.waiting
    for part, counts in sources.counts.items():
        found["tocsin_service"] |= {(part, what): count for what, count in counts.items()}
    dropped = structs.asdict(sources.housekeeping.dropped)
    found["tocsin_housekeeping_dropped"] = {(what,): count for what, count in dropped.items()}
    found["tocsin_store_commits"] = {(outcome,): count for outcome, count in sources.store.commits.items()}
    found["tocsin_http_requests"] = {
        (service, operation, str(status)): count for (service, operation, status), count in sources.requests().items()
    }
    return found


def histograms(sources: Sources) -> dict[str, Histogram]:
    return {
        "tocsin_events_ingestion_to_invocation_seconds": sources.bus.tally.latency_s,
        "tocsin_health_fault_to_finding_seconds": sources.sickness.found_s,
        "tocsin_health_fault_to_event_seconds": sources.sickness.told_s,
        "tocsin_health_event_to_drain_seconds": sources.drained_s,
        "tocsin_store_commit_seconds": sources.store.commit_s,
    }


def latencies(sources: Sources) -> dict[Labels, tuple[int, float]]:
    """By target: how many deliveries came to an end, and the seconds they took together."""
    found: dict[Labels, tuple[int, float]] = {}
    for (scope, *where), counts in sources.bus.tally.counts.items():
        if counts[ENDED]:
            found[scope.account, scope.region, *where] = counts[ENDED], counts[ENDED_MS] / 1000
    for (origin, target), counts in sources.outbox.by_origin.items():
        labels = _rule_labels(origin)
        ended = sum(counts[what] for what in ("delivered", "dead_lettered", "dropped"))
        if labels and ended:
            found[*labels, target] = ended, sources.outbox.ended_ms[origin, target] / 1000
    return found


def _of_rules(sources: Sources, found: Samples) -> None:
    for (scope, bus, rule, target), counts in sources.bus.tally.counts.items():
        where = (scope.account, scope.region, bus, rule)
        for what, metric in OF_RULES.items():
            if what in counts:
                found[metric][where if what == "MatchedEvents" else (*where, target)] = counts[what]
        if counts["MatchedEvents"]:
            triggered = found["tocsin_events_triggered_rules"]
            triggered[where[:3]] = triggered.get(where[:3], 0) + counts["MatchedEvents"]
    for labels, what, count in _owed(sources.outbox):
        of = found[OF_RULES[what]]
        of[labels] = of.get(labels, 0) + count
    for (arn, target), count in sources.noise.held.items():
        if where_ := _rule_labels(arn):
            found["tocsin_events_held_back"][*where_, target] = count


def _owed(outbox: Outbox) -> Iterator[tuple[Labels, str, int]]:
    """What the outbox counts of rules and their targets."""
    for (origin, target), counts in outbox.by_origin.items():
        where = _rule_labels(origin)
        for what, names in _OWED.items() if where else ():
            for name in names if counts[what] else ():
                yield (*where, target), name, counts[what]


def _rule_labels(arn: str) -> Labels:
    """Account, region, bus and rule of a rule's ARN; nothing for anything else."""
    bus, split = rule_bus_of(arn), split_arn(arn)
    if not bus or split is None:
        return ()
    return split[1].account, split[1].region, bus, split[2].rpartition("/")[2]


async def _of_journal(store: MeasuredStore, found: Samples) -> None:
    first, last = await store.journal_bounds()
    found["tocsin_journal_accepted"][()] = last
    found["tocsin_journal_events"][()] = last - first + 1 if last else 0
    found["tocsin_journal_lag_events"][()] = last - await store.cursor(ROUTER)
    oldest, newest = await store.journal_marks(0, 1), await store.journal_marks(last - 1, 1)
    if oldest and newest:
        [event] = await store.journal(oldest[0].seq - 1, 1)
        size = newest[0].through_bytes - oldest[0].through_bytes + len(event.event.body)
        found["tocsin_journal_oldest_timestamp_seconds"][()] = oldest[0].at_ms / 1000
    else:
        size = 0
    found["tocsin_journal_bytes"][()] = size


def _of_fleet(sources: Sources, found: Samples) -> None:
    worlds = sources.fleet.worlds()
    clusters: Counter[Labels] = Counter((str(world.cluster.status),) for world in worlds)
    nodes: Counter[Labels] = Counter(
        (str(node.status), str(node.health)) for world in worlds for node in world.nodes.values()
    )
    found["tocsin_clusters"] |= clusters
    found["tocsin_nodes"] |= nodes
    held = Counter(budget for world in worlds for budget in world.held.values())
    found["tocsin_health_held_back"] |= {(budget,): held[budget] for budget in BUDGETS}
    found["tocsin_health_findings"] = dict(sources.findings.items())
    found["tocsin_health_verdicts"] |= {(health,): sources.sickness.verdicts[health] for health in Health}
    found["tocsin_health_repairs"] |= {(repair,): sources.sickness.repairs[repair] for repair in REPAIRS}
    found["tocsin_health_resets_failed"][()] = sources.sickness.failed
    found["tocsin_health_lemons"][()] = sources.lemons()
    connected = sum(seen.connected for seen in sources.links.seen().values())
    found["tocsin_links_connected"][()] = connected
