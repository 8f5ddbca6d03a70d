"""Names: scopes, ARNs and ids. Ids of acts that may be repeated are derived, so that a repeat finds the same name.

Formats follow botocore's models: cluster ids are 12 x [a-z0-9], instance ids `i-` and 17 hex digits.
"""

import hashlib
import string

from msgspec import Struct

PARTITION = "aws"
DEFAULT_BUS = "default"
API_DESTINATION = "api-destination"
_ALNUM = string.ascii_lowercase + string.digits
_VARIANT = "89ab"  # of a UUID: two bits that are set, and two that are free (RFC 9562)


class Scope(Struct, frozen=True, order=True, gc=False):
    """Account (12 digits) and region: all state is kept apart per scope."""

    account: str
    region: str


def arn(service: str, scope: Scope, resource: str) -> str:
    return f"arn:{PARTITION}:{service}:{scope.region}:{scope.account}:{resource}"


def cluster_arn(scope: Scope, cluster_id: str) -> str:
    return arn("sagemaker", scope, f"cluster/{cluster_id}")


def bus_arn(scope: Scope, bus: str) -> str:
    return arn("events", scope, f"event-bus/{bus}")


def rule_arn(scope: Scope, bus: str, rule: str) -> str:
    """Rules of the default bus leave the bus out of their ARN."""
    return arn("events", scope, f"rule/{rule}" if bus == DEFAULT_BUS else f"rule/{bus}/{rule}")


def rule_bus_of(text: str) -> str:
    """The bus of a rule's ARN; empty for anything else."""
    split = split_arn(text)
    if split is None or split[0] != "events" or not split[2].startswith("rule/"):
        return ""
    bus, _, _ = split[2].removeprefix("rule/").rpartition("/")
    return bus or DEFAULT_BUS


def log_group_arn(scope: Scope, group: str) -> str:
    """Without the `:*` that DescribeLogGroups appends in its `arn` member."""
    return arn("logs", scope, f"log-group:{group}")


def split_arn(text: str) -> tuple[str, Scope, str] | None:
    """(service, scope, resource) of an ARN, or None when the text is none."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not parts[1].startswith("aws"):
        return None
    return parts[2], Scope(parts[4], parts[3]), parts[5]


def target_kind(text: str) -> str:
    """What sort of target an ARN names: its service, and where a service has several, the sort of resource."""
    service, _, resource = split_arn(text) or ("", None, "")
    return API_DESTINATION if resource.startswith(f"{API_DESTINATION}/") else service


def log_group_of(text: str) -> tuple[Scope, str] | None:
    """(scope, group name) of a log group ARN, with or without a trailing `:*`; None for anything else."""
    split = split_arn(text)
    if split is None or split[0] != "logs" or not split[2].startswith("log-group:"):
        return None
    name = split[2].removeprefix("log-group:").removesuffix(":*")
    return (split[1], name) if name else None


def queue_of(text: str) -> tuple[Scope, str] | None:
    """(scope, queue name) of an SQS ARN; None for anything else."""
    split = split_arn(text)
    if split is None or split[0] != "sqs" or not split[2] or ":" in split[2]:
        return None
    return split[1], split[2]


def topic_arn(scope: Scope, name: str) -> str:
    return arn("sns", scope, name)


def topic_of(text: str) -> tuple[Scope, str] | None:
    """(scope, topic name) of an SNS topic's ARN; None for anything else, a subscription's too."""
    split = split_arn(text)
    if split is None or split[0] != "sns" or not split[2] or ":" in split[2]:
        return None
    return split[1], split[2]


def bus_of(text: str) -> tuple[Scope, str] | None:
    """(scope, bus name) of an event bus's ARN; None for anything else."""
    split = split_arn(text)
    if split is None or split[0] != "events" or not split[2].startswith("event-bus/"):
        return None
    name = split[2].removeprefix("event-bus/")
    return (split[1], name) if name else None


def cluster_log_group(name: str, cluster_id: str) -> str:
    """The log group HyperPod writes a cluster's logs to (facts/hyperpod.md §4.5)."""
    return f"/aws/sagemaker/Clusters/{name}/{cluster_id}"


def lifecycle_stream(group: str, instance_id: str) -> str:
    return f"LifecycleConfig/{group}/{instance_id}"


def delivery_stream(rule_arn: str, target_id: str) -> str:
    """The log stream of a rule's deliveries: one for each rule and target, UUID-shaped as on AWS.

    Source: facts/hyperpod.md §10.2.
    """
    return derived_uuid(rule_arn, target_id)


def health_stream(group: str, instance_id: str) -> str:
    return f"SagemakerHealthMonitoringAgent/{group}/{instance_id}"


def deep_check_stream(instance_id: str) -> str:
    return f"DeepHealthCheckResults/{instance_id}"


def _digest(parts: tuple[object, ...]) -> bytes:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()


def derived_uuid(*parts: object) -> str:
    """A UUID-shaped name that is the same whenever the parts are."""
    text = _digest(parts).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"


def time_ordered_uuid(now_ms: int, chance: bytes) -> str:
    """A UUID of version 7: 48 bits of time, then 74 of 10 random bytes. Ids that grow keep an index's inserts local."""
    time, drawn = f"{now_ms:012x}", chance.hex()
    return f"{time[:8]}-{time[8:]}-7{drawn[:3]}-{_VARIANT[chance[9] & 3]}{drawn[3:6]}-{drawn[6:18]}"


def random_uuid(chance: bytes) -> str:
    """A UUID of version 4, of 122 of 16 random bytes' bits."""
    drawn = chance.hex()
    return f"{drawn[:8]}-{drawn[8:12]}-4{drawn[12:15]}-{_VARIANT[chance[15] & 3]}{drawn[15:18]}-{drawn[18:30]}"


def derived_instance_id(*parts: object) -> str:
    return f"i-{_digest(parts).hex()[:17]}"


def cluster_id(chance: bytes) -> str:
    """A cluster id out of at least 12 random bytes. 256 is no multiple of 36; the bias does no harm here."""
    return "".join(_ALNUM[byte % len(_ALNUM)] for byte in chance[:12])


def loopback_address(*parts: object) -> str:
    """An address of the node's own in 127.64.0.0/10: Linux answers on all of 127/8, so a node can really bind it."""
    raw = _digest(parts)
    return f"127.{64 + raw[0] % 64}.{raw[1]}.{1 + raw[2] % 254}"


def private_dns_name(address: str, region: str) -> str:
    return f"ip-{address.replace('.', '-')}.{region}.compute.internal"
