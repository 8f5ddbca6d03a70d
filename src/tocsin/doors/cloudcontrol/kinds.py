"""The table of resource kinds: what Cloud Control can make, each a row."""

from tocsin.doors.cloudcontrol import buses, clusters, loggroups, queues, rules, topics
from tocsin.doors.cloudcontrol.kind import Kind
from tocsin.model.cloud import TypeNotFound, UnsupportedAction

KINDS: dict[str, Kind] = {
    kind.schema.type_name: kind
    for kind in (clusters.KIND, rules.KIND, buses.KIND, loggroups.KIND, topics.KIND, queues.KIND)
}


def kind_of(type_name: str, action: str) -> Kind:
    """Raises UnsupportedActionException for a type of AWS's that is not here, TypeNotFoundException for others."""
    if type_name in KINDS:
        return KINDS[type_name]
    if type_name.startswith("AWS::"):
        raise UnsupportedAction(f"Resource type {type_name} does not support {action} action")
    raise TypeNotFound(f"The type '{type_name}' cannot be found.")
