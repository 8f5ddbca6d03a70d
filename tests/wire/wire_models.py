"""Botocore's own serializers and parsers, and hypothesis strategies over its models, for the wire's tests."""

import functools
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.serialize
import orjson
from botocore.compat import HTTPHeaders
from botocore.utils import percent_encode_sequence
from hypothesis import strategies as st

from tocsin.core.regex.syntax import parsed, spelled
from tocsin.doors.wire import Call, Request, Response, Wire

SERVICES = ("events", "logs", "sagemaker", "sts", "sns", "sqs", "ssm", "cloudcontrol", "chatbot")
# Not served: their models bind members wherever REST-JSON can, and chatbot's only in the body.
BOUND = ("scheduler", "appconfig", "dataexchange", "lambda", "securityhub", "entityresolution", "amp")
WIRE = Wire((*SERVICES, *BOUND))

depth_max = 4

TEXT = st.text(st.characters(min_codepoint=0x20, exclude_categories=("Cs", "Cn", "Cc")), max_size=20)
MS = timedelta(milliseconds=1)
PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
MOMENTS = st.integers(0, 4_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC))
MILLISECONDS = st.integers(0, 4_000_000_000_000).map(lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + ms * MS)

# Unicode's properties make hypothesis slow, and the alphabet is ASCII anyway.
ASCII_PROPERTIES = {r"\p{L}": "a-zA-Z", r"\p{N}": "0-9", r"\p{Z}": " ", r"\p{P}": "!-/", r"\p{M}": "a", r"\p{S}": "+"}


@functools.cache
def model_of(service: str) -> botocore.model.ServiceModel:
    loader = botocore.loaders.Loader()
    return botocore.model.ServiceModel(loader.load_service_model(service, "service-2"), service)


def protocol_of(service: str) -> str:
    return str(model_of(service).metadata["protocol"])


def success_of(service: str, operation: str) -> int:
    """The status of an answer that went well."""
    return int(model_of(service).operation_model(operation).http.get("responseCode", 200))


def json_call(service: str, operation: str, body: object) -> tuple[Call, Request]:
    """A JSON request with `body` (bytes as they are), resolved."""
    prefix = model_of(service).metadata["targetPrefix"]
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    headers = {"x-amz-target": f"{prefix}.{operation}", "content-type": "application/x-amz-json-1.1"}
    request = Request("POST", "/", "", headers, content)
    return WIRE.resolve(request, None), request


def query_call(service: str, operation: str, form: Mapping[str, str]) -> tuple[Call, Request]:
    """A Query request with the form's members, resolved."""
    version = model_of(service).metadata["apiVersion"]
    body = urlencode({"Action": operation, "Version": version, **form}).encode()
    request = Request("POST", "/", "", {"content-type": "application/x-www-form-urlencoded"}, body)
    return WIRE.resolve(request, service), request


def serialized(service: str, operation: str, members: dict[str, Any]) -> Request:
    """The request botocore would send."""
    serializer = botocore.serialize.create_serializer(protocol_of(service), include_validation=False)
    sent = serializer.serialize_to_request(members, model_of(service).operation_model(operation))
    headers = {name.lower(): value for name, value in sent["headers"].items()}
    body = sent["body"]
    if isinstance(body, dict):
        body = urlencode(body, doseq=True)
    path, _, asked = sent["url_path"].partition("?")
    query = "&".join(filter(None, (asked, percent_encode_sequence(sent["query_string"] or {}))))
    return Request(sent["method"], path, query, headers, body.encode() if isinstance(body, str) else body)


def understood(service: str, operation: str, response: Response) -> dict[str, Any]:
    """What botocore reads in an answer."""
    parser = botocore.parsers.create_parser(protocol_of(service))
    operation_model = model_of(service).operation_model(operation)
    headers = HTTPHeaders.from_pairs(response.headers)
    raw = {"status_code": response.status, "headers": headers, "body": response.body}
    found = parser.parse(raw, operation_model.output_shape)
    return dict(found)


def pruned(value: Any) -> Any:
    """Without empty members: XML and forms cannot tell an empty list, map or structure from an absent one."""
    if isinstance(value, dict):
        kept = {name: pruned(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in ({}, [])}
    if isinstance(value, list):
        return [kept for item in value if (kept := pruned(item)) not in ({}, [])]
    return value


@functools.cache
def inputs(service: str, operation: str) -> st.SearchStrategy[dict[str, Any]]:
    """Valid inputs of an operation."""
    shape = model_of(service).operation_model(operation).input_shape
    return st.just({}) if shape is None else _values(shape, MOMENTS, 0)


@functools.cache
def results(service: str, operation: str) -> st.SearchStrategy[dict[str, Any]]:
    """Results of an operation, with every timestamp to the millisecond."""
    shape = model_of(service).operation_model(operation).output_shape
    return st.just({}) if shape is None else _values(shape, MILLISECONDS, 0)


def _values(shape: Any, moments: Any, depth: int) -> Any:
    match shape.type_name:
        case "structure":
            return _structures(shape, moments, depth)
        case "list":
            items = _values(shape.member, moments, depth + 1)
            return st.lists(items, min_size=_least(shape), max_size=_most(shape, 3))
        case "map":
            keys, items = _values(shape.key, moments, depth + 1), _values(shape.value, moments, depth + 1)
            return st.dictionaries(keys, items, min_size=_least(shape), max_size=_most(shape, 3))
        case "string":
            return _strings(shape)
        case "integer" | "long":
            bits = 31 if shape.type_name == "integer" else 63
            least, most = shape.metadata.get("min", -(2**bits)), shape.metadata.get("max", 2**bits - 1)
            return st.integers(math.ceil(least), math.floor(most))
        case "float" | "double":
            least, most = shape.metadata.get("min", -1e6), shape.metadata.get("max", 1e6)
            return st.floats(least, most, width=64).map(lambda v: v + 0.0)
        case "boolean":
            return st.booleans()
        case "timestamp":
            return moments
        case "blob":
            return st.binary(min_size=_least(shape), max_size=_most(shape, 12))
    raise AssertionError(shape.type_name)


def _structures(shape: Any, moments: Any, depth: int) -> Any:
    members = {
        name: _later(member, moments, depth + 1)
        for name, member in shape.members.items()
        if not getattr(member, "is_eventstream", False)
    }
    if getattr(shape, "is_tagged_union", False):
        return st.one_of([st.fixed_dictionaries({name: made}) for name, made in members.items()])
    required = {name: made for name, made in members.items() if name in shape.required_members}
    optional = {name: made for name, made in members.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional if depth < depth_max else {})


def _later(shape: Any, moments: Any, depth: int) -> Any:
    return st.deferred(lambda: _values(shape, moments, depth))


def _strings(shape: Any) -> Any:
    if shape.enum:
        return st.sampled_from(shape.enum)
    least, pattern = _least(shape), shape.metadata.get("pattern")
    if pattern is None:
        return TEXT if not least else st.text(PRINTABLE, min_size=least, max_size=_most(shape, least + 9))
    for name, ascii_items in ASCII_PROPERTIES.items():
        pattern = pattern.replace(name, ascii_items)
    made = st.from_regex(spelled(parsed(pattern)), fullmatch=True, alphabet=PRINTABLE)
    return made.filter(lambda text: least <= len(text) <= shape.metadata.get("max", 10**6))


def _least(shape: Any) -> int:
    return int(shape.metadata.get("min", 0))


def _most(shape: Any, otherwise: int) -> int:
    return max(_least(shape), min(int(shape.metadata.get("max", otherwise)), otherwise))
