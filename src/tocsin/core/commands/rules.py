"""A rule's Run Command target and an event -> the SendCommand request they mean.

Beyond AWS the event itself may name the node: {"Key": "event", "Values": ["$.detail.InstanceId"]}, so that one rule
looks at whichever node falls ill.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tocsin.core.transform.paths import Reading, read_path
from tocsin.model.command import document_of
from tocsin.model.errors import Validation

EVENT = "event"
_SHAPING = ("Input", "InputPath", "InputTransformer")


class Unfit(Exception):
    """The event leads to no command; the text says why."""


def check(spec: Mapping[str, Any]) -> None:
    """A Run Command target as PutTargets gets it. Raises Validation."""
    parameters = spec.get("RunCommandParameters")
    if parameters is None:
        raise Validation(f"Parameter(s) RunCommandParameters must be specified for target: {spec['Id']}.")
    for target in parameters["RunCommandTargets"]:
        wrong = [one for one in target["Values"] if target["Key"] == EVENT and read_path(one) is None]
        if wrong:
            raise Validation(
                f"RunCommandTargets of target {spec['Id']}: {wrong[0]} is no JSONPath such as $.detail.InstanceId."
            )


def request_of(spec: Mapping[str, Any], payload: bytes, event: bytes) -> dict[str, Any]:
    """Raises Unfit. `payload` is what the target is sent: the parameters, where the target shapes them."""
    place = document_of(spec["Arn"])
    assert place is not None, "PutTargets takes only ARNs of kinds that can be delivered"
    targets = [_target(one, event) for one in spec["RunCommandParameters"]["RunCommandTargets"]]
    shaped = any(name in spec for name in _SHAPING)
    return {
        "DocumentName": place[1],
        "Parameters": _parameters(payload) if shaped else {},
        "Targets": targets,
    }


def _target(target: Mapping[str, Any], event: bytes) -> dict[str, Any]:
    if target["Key"] != EVENT:
        return dict(target)
    reading = Reading(event)
    ids = [one for path in target["Values"] for one in _ids(path, reading)]
    if not ids:
        raise Unfit(f"The event names no node at {', '.join(target['Values'])}.")
    return {"Key": "InstanceIds", "Values": list(dict.fromkeys(ids))}


def _ids(text: str, reading: Reading) -> Sequence[str]:
    path = read_path(text)
    found = reading.text(path) if path else None
    match msgspec.json.decode(found) if found else None:
        case str(one):
            return [one]
        case list(many):
            return [one for one in many if isinstance(one, str)]
        case _:
            return []


def _parameters(payload: bytes) -> dict[str, list[str]]:
    """As SendCommand takes them; a value that is no list counts as a list of it."""
    try:
        given = msgspec.json.decode(payload)
    except msgspec.MsgspecError as error:
        raise Unfit(f"The input is no JSON: {error}") from error
    if not isinstance(given, dict):
        raise Unfit('The input is no object of parameters such as {"commands": ["uptime"]}.')
    return {
        name: [_text(one) for one in (value if isinstance(value, list) else [value])] for name, value in given.items()
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
