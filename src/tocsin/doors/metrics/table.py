"""All metrics: name, kind, labels, and what each is. Nothing is exposed that does not stand here.

Those of rules bear CloudWatch's names in Prometheus's spelling; docs/metrics.md has the mapping.
"""

from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"


class Metric(Struct, frozen=True):
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


_BUS = ("account", "region", "bus")
_RULE = (*_BUS, "rule")
_TARGET = (*_RULE, "target")

# By CloudWatch's name of what is counted: the metric.
OF_RULES = {
    "MatchedEvents": "tocsin_events_matched_events",
    "Invocations": "tocsin_events_invocations",
    "FailedInvocations": "tocsin_events_failed_invocations",
    "RetryInvocationAttempts": "tocsin_events_retry_invocation_attempts",
    "ThrottledRules": "tocsin_events_throttled_rules",
    "DeadLetterInvocations": "tocsin_events_dead_letter_invocations",
    "InvocationsFailedToBeSentToDlq": "tocsin_events_invocations_failed_to_be_sent_to_dlq",
}

METRICS: dict[str, Metric] = {
    "tocsin_build_info": Metric(Kind.GAUGE, "Always 1; the label tells the version", ("version",)),
    "tocsin_events_matched_events": Metric(Kind.COUNTER, "Events that a rule matched", _RULE),
    "tocsin_events_triggered_rules": Metric(Kind.COUNTER, "Matches of all rules of a bus", _BUS),
    "tocsin_events_invocations": Metric(Kind.COUNTER, "Deliveries handed to a target, whatever came of it", _TARGET),
    "tocsin_events_failed_invocations": Metric(Kind.COUNTER, "Deliveries given up for good", _TARGET),
    "tocsin_events_retry_invocation_attempts": Metric(Kind.COUNTER, "Attempts that failed and are repeated", _TARGET),
    "tocsin_events_throttled_rules": Metric(Kind.COUNTER, "Deliveries given up as too much was owed", _TARGET),
    "tocsin_events_dead_letter_invocations": Metric(Kind.COUNTER, "Deliveries put into a dead-letter queue", _TARGET),
    "tocsin_events_invocations_failed_to_be_sent_to_dlq": Metric(
        Kind.COUNTER, "Deliveries given up without a dead-letter queue that took them", _TARGET
    ),
    "tocsin_events_held_back": Metric(Kind.COUNTER, "Deliveries that noise control held back", _TARGET),
    "tocsin_events_target_latency_seconds": Metric(
        Kind.SUMMARY, "From an event's acceptance to its delivery being made or given up", _TARGET
    ),
    "tocsin_events_ingestion_to_invocation_seconds": Metric(
        Kind.HISTOGRAM, "From an event's acceptance to its delivery being committed"
    ),
    "tocsin_journal_accepted": Metric(Kind.COUNTER, "Places given out in the journal since it was made"),
    "tocsin_journal_events": Metric(Kind.GAUGE, "Events that the journal holds, counted by their places"),
    "tocsin_journal_bytes": Metric(Kind.GAUGE, "Bytes of the events that the journal holds"),
    "tocsin_journal_oldest_timestamp_seconds": Metric(Kind.GAUGE, "When the oldest event it holds was accepted"),
    "tocsin_journal_lag_events": Metric(Kind.GAUGE, "Events that are accepted and not yet routed"),
    "tocsin_outbox_owed": Metric(Kind.GAUGE, "Deliveries owed to the outside"),
    "tocsin_service": Metric(Kind.COUNTER, "What the services count by themselves", ("part", "what")),
    "tocsin_housekeeping_dropped": Metric(Kind.COUNTER, "What housekeeping dropped", ("what",)),
    "tocsin_clusters": Metric(Kind.GAUGE, "Clusters", ("status",)),
    "tocsin_nodes": Metric(Kind.GAUGE, "Nodes", ("status", "health")),
    "tocsin_health_findings": Metric(Kind.COUNTER, "Faults that agents told, and their ends", ("fault", "severity")),
    "tocsin_health_verdicts": Metric(Kind.COUNTER, "Nodes that turned, by the health they turned to", ("health",)),
    "tocsin_health_repairs": Metric(Kind.COUNTER, "Repairs that began, also those of lost nodes", ("repair",)),
    "tocsin_health_resets_failed": Metric(Kind.COUNTER, "Resets of GPUs that failed; a reboot follows"),
    "tocsin_health_held_back": Metric(Kind.GAUGE, "Repairs that a budget holds back", ("budget",)),
    "tocsin_health_fault_to_finding_seconds": Metric(
        Kind.HISTOGRAM, "From a fault's first sight on its node to its commit here"
    ),
    "tocsin_health_fault_to_event_seconds": Metric(
        Kind.HISTOGRAM, "From a fault's last sight before its node turned unhealthy to the commit of that event"
    ),
    "tocsin_health_event_to_drain_seconds": Metric(
        Kind.HISTOGRAM, "From a node's turning unhealthy to its drain in Slurm"
    ),
    "tocsin_health_lemons": Metric(Kind.GAUGE, "Nodes whose machines are lemons"),
    "tocsin_links_connected": Metric(Kind.GAUGE, "Nodes whose agents are connected"),
    "tocsin_store_commits": Metric(Kind.COUNTER, "Commits, by what became of them", ("outcome",)),
    "tocsin_store_commit_seconds": Metric(Kind.HISTOGRAM, "From handing in a commit to knowing its fate"),
    "tocsin_http_requests": Metric(Kind.COUNTER, "Requests answered", ("service", "operation", "status")),
}
