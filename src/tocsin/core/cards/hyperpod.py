"""HyperPod's three event types as cards: what changed, how bad it is, why, and what happens or is to be done next."""

import re
import shlex

from tocsin.core.announce import HEALTHY_REPLACEMENT
from tocsin.core.cards.card import Card, Suspect, Tone, facts
from tocsin.core.cards.content import Json, found_in, member_of, objects_of, text_of, texts_of
from tocsin.model.names import split_arn

STATUS_TONES = {
    "InService": Tone.GOOD,
    "Failed": Tone.BAD,
    "RollingBack": Tone.WARNING,
}
AILING = ("Failed", "Degraded")
HEALTH_TONES = {"Healthy": Tone.GOOD, "Unhealthy": Tone.BAD}
LEVEL_TONES = {"Info": Tone.INFO, "Warn": Tone.WARNING, "Error": Tone.BAD}

FAULT = re.compile(r"\bfault type (\w+)")
REPLACED = re.compile(re.escape(HEALTHY_REPLACEMENT).replace(re.escape("{replaced}"), r"(i-\w+)"))

# What looks into a node, where the settings name nothing else.
INVESTIGATION = "Tocsin-CollectDiagnostics"
DIAGNOSE = "aws ssm send-command --document-name {} --instance-ids"
TELL = "tocsin story"


def state_change(event: Json, previous: str) -> Card:
    """`previous` is the status before, empty when it is not known."""
    detail = member_of(event, "detail")
    name, status = text_of(detail, "ClusterName"), text_of(detail, "ClusterStatus")
    groups = [*objects_of(detail, "InstanceGroups"), *objects_of(detail, "RestrictedInstanceGroups")]
    ailing = any(text_of(group, "Status") in AILING for group in groups)
    return Card(
        tone=Tone.WARNING if status == "InService" and ailing else STATUS_TONES.get(status, Tone.INFO),
        title=f"Cluster {name} is {status}",
        text=text_of(detail, "FailureMessage"),
        facts=facts(
            ("Cluster", name),
            ("Status", f"{previous} → {status}" if previous else status),
            ("Orchestrator", ", ".join(member_of(detail, "Orchestrator"))),
            ("Node recovery", text_of(detail, "NodeRecovery")),
        ),
        lines=tuple(_group(group) for group in groups),
        command=_command(TELL, name),
    )


def _group(group: Json) -> str:
    counts = f"{text_of(group, 'CurrentCount')} of {text_of(group, 'TargetCount')}"
    told = f"{text_of(group, 'InstanceGroupName')}: {counts} {text_of(group, 'InstanceType')}"
    status = text_of(group, "Status")
    why = "; ".join(texts_of(group, "FailureMessages"))
    return ", ".join(filter(None, (told, status, why)))


def node_health(event: Json, document: str) -> Card:
    """`document` is what looks into a node."""
    detail = member_of(event, "detail")
    health = member_of(detail, "HealthSummary")
    cluster, instance, status = (
        text_of(detail, "ClusterName"),
        text_of(detail, "InstanceId"),
        text_of(health, "HealthStatus"),
    )
    reason, repair = text_of(health, "HealthStatusReason"), text_of(health, "RepairAction")
    fault, replaced = FAULT.search(reason), REPLACED.fullmatch(reason)
    healthy = status == "Healthy"
    thread = (text_of(detail, "ClusterArn") or cluster, replaced[1] if replaced else instance)
    return Card(
        tone=HEALTH_TONES.get(status, Tone.WARNING),
        title=f"Node {instance} of {cluster} is {'healthy again' if healthy and not replaced else status.lower()}",
        text=reason,
        facts=facts(
            ("Cluster", cluster),
            ("Instance", instance),
            ("Replaces", replaced[1] if replaced else ""),
            ("Fault type", fault[1] if fault else ""),
            ("Repair action", "" if healthy and repair == "None" else repair),
        ),
        steps=() if healthy else texts_of(health, "Recommendation"),
        command=_command(TELL if healthy else DIAGNOSE.format(document), instance),
        thread="/".join(("hyperpod", *thread)) if instance else "",
        ends=healthy,
        suspect=None if healthy else _suspect(event),
    )


def cluster_event(event: Json, document: str) -> Card:
    """The details are found where AWS's documentation has them and where its events have them, one level apart."""
    details = member_of(member_of(event, "detail"), "EventDetails")
    cluster, group, instance = (text_of(details, name) for name in ("ClusterName", "InstanceGroupName", "InstanceId"))
    described, level = text_of(details, "Description"), text_of(details, "EventLevel")
    ailing = bool(instance) and level != "Info"
    failure = found_in(details, "FailureMessage") or found_in(details, "HealthStatusReason")
    return Card(
        tone=LEVEL_TONES.get(level, Tone.INFO),
        title=described or f"{text_of(details, 'ResourceType')} event in cluster {cluster}",
        text=failure,
        facts=facts(
            ("Cluster", cluster),
            ("Instance group", group),
            ("Instance", instance),
            ("Level", level),
            ("Repair action", found_in(details, "RepairAction")),
            ("Operation", text_of(details, "OperationId")),
        ),
        steps=texts_of({"": found_in(details, "Recommendation")}, ""),
        command=_command(DIAGNOSE.format(document), instance) if ailing else _command(TELL, cluster),
        suspect=_suspect(event) if ailing else None,
    )


def _command(command: str, name: str) -> str:
    """A command for a shell. The name comes from an event, which anybody may put: it is quoted."""
    return f"{command} {shlex.quote(name)}" if name else ""


def _suspect(event: Json) -> Suspect | None:
    """The node of the event, where the event says all there is to know of it."""
    named = cluster_named(event)
    del named["cluster"]
    instance_id = named.pop("instance")
    return Suspect(instance_id=instance_id, **named) if instance_id and all(named.values()) else None


def cluster_named(event: Json) -> dict[str, str]:
    """What a link to the console may be filled with."""
    detail = member_of(event, "detail")
    details = member_of(detail, "EventDetails") or detail
    arn = split_arn(text_of(details, "ClusterArn"))
    return {
        "cluster": text_of(details, "ClusterName"),
        "cluster_id": arn[2].removeprefix("cluster/") if arn else "",
        "instance": text_of(details, "InstanceId"),
        "account": text_of(event, "account"),
        "region": text_of(event, "region"),
    }
