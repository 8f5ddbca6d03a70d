"""The types of resources as a Terraform provider has them, from Tocsin's own table and the shapes in botocore.

`python -m tests.terraform.kinds` writes them as JSON, which the provider in this folder reads.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

from tocsin.core.cloud.schema import ARRAY, BOOLEAN, INTEGER, OBJECT, Schema
from tocsin.core.cloud.schemas import BUS, CLUSTER, LOG_GROUP, QUEUE, RULE, TOPIC

Property = dict[str, Any]

SCALARS = {BOOLEAN: "boolean", INTEGER: "integer"}
SHAPES = {"boolean": "boolean", "integer": "integer", "long": "integer", "map": "map"}
# Name in Terraform -> its schema, and the operations whose members say what its properties hold.
KINDS: Mapping[str, tuple[Schema, str, tuple[str, ...]]] = {
    "awscc_sagemaker_cluster": (CLUSTER, "sagemaker", ("CreateCluster",)),
    "awscc_events_rule": (RULE, "events", ("PutRule", "PutTargets")),
    "awscc_events_event_bus": (BUS, "events", ("CreateEventBus",)),
    "awscc_logs_log_group": (LOG_GROUP, "logs", ()),
    "awscc_sns_topic": (TOPIC, "sns", ()),
    "awscc_sqs_queue": (QUEUE, "sqs", ()),
}
# Lists whose items no service has as a shape.
ITEMS = {
    "Tags": ("Key", "Value"),
    "Subscription": ("Endpoint", "Protocol"),
    "DeliveryStatusLogging": (
        *("Protocol", "FailureFeedbackRoleArn", "SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate"),
    ),
}


def kinds() -> dict[str, Any]:
    return {
        name: {"type": schema.type_name, "properties": _properties(schema, service, operations)}
        for name, (schema, service, operations) in KINDS.items()
    }


def _properties(schema: Schema, service: str, operations: tuple[str, ...]) -> dict[str, Property]:
    model = ServiceModel(Loader().load_service_model(service, "service-2"))
    shapes = {
        name: shape for one in operations for name, shape in model.operation_model(one).input_shape.members.items()
    }
    found = {
        name: _property(name, wanted, shapes.get(name))
        | {
            "read_only": name in schema.read_only,
            "create_only": name in schema.create_only,
            "write_only": name in schema.write_only,
        }
        for name, wanted in schema.properties.items()
    }
    for outer, inner in (path.split("/*/") for path in schema.read_only if "/*/" in path):
        found[outer]["item"]["properties"][inner] = _named(inner, {"kind": "integer", "read_only": True})
    return found


def _property(name: str, wanted: tuple[str, ...], shape: Shape | None) -> Property:
    if name in ITEMS:
        members = {one: _named(one, {"kind": "string"}) for one in ITEMS[name]}
        return _named(name, {"kind": "list", "item": {"kind": "object", "properties": members}})
    if shape is not None and wanted in ((ARRAY,), (OBJECT,)):
        return _named(name, _shaped(shape))
    kind = "document" if OBJECT in wanted else SCALARS.get(wanted[0], "string")
    return _named(name, {"kind": kind})


def _shaped(shape: Any) -> Property:
    match shape.type_name:
        case "structure":
            return {"kind": "object", "properties": {n: _named(n, _shaped(s)) for n, s in shape.members.items()}}
        case "list":
            return {"kind": "list", "item": _shaped(shape.member)}
    return {"kind": SHAPES.get(shape.type_name, "string")}


def _named(name: str, rest: Property) -> Property:
    return {"attribute": xform_name(name), **rest}


if __name__ == "__main__":
    json.dump(kinds(), sys.stdout, indent=1)
