"""How AWS's services print a value inside a validation message: Java's toString, members in lowerCamel.

The validators call it, only when something is wrong. Origin: messages validated against AWS (fact sheet, 3.2).
"""

from datetime import datetime
from typing import Any

from tocsin.doors.wire.model import Service
from tocsin.doors.wire.times import to_epoch

# The longest value a message quotes; AWS quotes a whole batch, which here would be megabytes of answer.
value_chars_max = 4096

SECRET = "*** Sensitive Data Redacted ***"  # noqa: S105 - what AWS prints in a secret's place

# Members AWS prints that its public model does not name (seen in AWS's answers; fact sheet, 3.2).
UNPUBLISHED = {"PutEventsRequestEntry": ("KmsKeyIdentifier", "InternalMetadata")}


def lower_camel(name: str) -> str:
    """ClusterName -> clusterName; KMSKeyId -> kMSKeyId, as AWS's generated getters have it."""
    return name[:1].lower() + name[1:]


def quoted(service: Service, shape: str, value: Any) -> str:
    """The `Value ...` part of a violation; a sensitive value is left out."""
    if service.shapes[shape].get("sensitive"):
        return "Value"
    text = _printed(service, shape, value)
    if len(text) > value_chars_max:
        text = text[:value_chars_max] + "..."
    return f"Value '{text}'"


def _printed(service: Service, name: str, value: Any) -> str:
    shape = service.shapes[name]
    if shape.get("sensitive"):
        return SECRET
    match shape["type"], value:
        case "structure", dict():
            members = [(member, value.get(member), ref["shape"]) for member, ref in shape["members"].items()]
            parts = [
                f"{lower_camel(member)}={'null' if item is None else _printed(service, ref, item)}"
                for member, item, ref in members
            ]
            parts += [f"{lower_camel(member)}=null" for member in UNPUBLISHED.get(name, ())]
            return f"{name}({', '.join(parts)})"
        case "list", list():
            return f"[{', '.join(_printed(service, shape['member']['shape'], item) for item in value)}]"
        case "map", dict():
            ref = shape["value"]["shape"]
            return "{" + ", ".join(f"{key}={_printed(service, ref, item)}" for key, item in value.items()) + "}"
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return str(to_epoch(value))
        case bytes():
            return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    return str(value)
