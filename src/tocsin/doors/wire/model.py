"""Botocore's service models read as data: where they lie, what a service is called, its operations and shapes.

The compilers (parse, validate, render, query, xml) read shapes from here. A service's metadata is peeked at
start-up (a few kilobytes); the model itself is loaded when its first operation is called.
"""

import functools
import gzip
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import orjson

from tocsin.doors.wire import node_names, queue_names

Shape = dict[str, Any]

# Metadata stands at the head of every service-2.json; 8 KiB holds the longest with room to spare.
metadata_peek_bytes = 8 * 1024

# The namespaces of services whose model no longer names one, for clients that still speak Query.
NAMESPACES = {"sqs": "http://queue.amazonaws.com/doc/2012-11-05/"}


# What is changed in a model as it is loaded, by the service.
_CHANGED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "sqs": queue_names.taught,
    "ssm": node_names.widened,
}


@functools.cache
def data_folder() -> Path:
    """Botocore's data folder, found without importing botocore (which takes 100 ms and more)."""
    spec = importlib.util.find_spec("botocore")
    if spec is None or spec.origin is None:
        raise RuntimeError("botocore is not installed: its service models are the wire's source")
    return Path(spec.origin).parent / "data"


def model_file(service: str) -> Path:
    """The newest model of a service. Raises LookupError for a name botocore has no folder for."""
    folder = data_folder() / service
    versions = sorted(path for path in folder.glob("*/service-2.json*") if path.suffix in {".json", ".gz"})
    if not versions:
        raise LookupError(f"botocore has no model of a service named {service!r}")
    return versions[-1]


def _read(path: Path, size: int = -1) -> bytes:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return file.read(size)


def _peeked(service: str) -> dict[str, Any]:
    """The metadata alone, without decompressing and parsing the whole model (sagemaker's is 2.6 MB)."""
    head = _read(model_file(service), metadata_peek_bytes).decode("utf-8", "replace")
    start = head.index('"metadata":')
    found, _ = json.JSONDecoder().raw_decode(head, head.index("{", start))
    return cast("dict[str, Any]", found)


class Service:
    """One service: its metadata at once, its operations and shapes on first use."""

    def __init__(self, name: str) -> None:
        self.name = name

    @functools.cached_property
    def metadata(self) -> dict[str, Any]:
        try:
            return _peeked(self.name)
        except ValueError:  # not at the head of the file: read it all
            return cast("dict[str, Any]", self.model["metadata"])

    @functools.cached_property
    def model(self) -> dict[str, Any]:
        model = cast("dict[str, Any]", orjson.loads(_read(model_file(self.name))))
        change = _CHANGED.get(self.name)
        return change(model) if change else model

    @property
    def operations(self) -> dict[str, dict[str, Any]]:
        return cast("dict[str, dict[str, Any]]", self.model["operations"])

    @property
    def shapes(self) -> dict[str, Shape]:
        return cast("dict[str, Shape]", self.model["shapes"])

    @functools.cached_property
    def protocol(self) -> str:
        return str(self.metadata["protocol"])

    @functools.cached_property
    def target_prefix(self) -> str | None:
        return self.metadata.get("targetPrefix")

    @functools.cached_property
    def signing_name(self) -> str:
        return str(self.metadata.get("signingName") or self.metadata["endpointPrefix"])

    @functools.cached_property
    def content_type(self) -> str:
        return f"application/x-amz-json-{self.metadata.get('jsonVersion', '1.1')}"

    @functools.cached_property
    def query_compatible(self) -> bool:
        """A service that moved from Query to JSON and still names its old error codes."""
        return "awsQueryCompatible" in self.metadata

    @functools.cached_property
    def namespace(self) -> str:
        default = f"https://{self.metadata['endpointPrefix']}.amazonaws.com/doc/{self.metadata['apiVersion']}/"
        return str(self.metadata.get("xmlNamespace") or NAMESPACES.get(self.name, default))

    @functools.cached_property
    def errors(self) -> dict[str, Shape]:
        """Every error shape, by its shape name and by its wire code where that differs (sns: NotFound)."""
        found = {name: shape for name, shape in self.shapes.items() if shape.get("exception")}
        coded = {shape["error"]["code"]: shape for shape in found.values() if shape.get("error", {}).get("code")}
        return {**coded, **found}


class Resolved:
    """A shape reference resolved: the shape itself with the traits of the member that refers to it on top."""

    __slots__ = ("name", "shape", "traits")

    def __init__(self, service: Service, reference: dict[str, Any]) -> None:
        self.name: str = reference["shape"]
        self.shape: Shape = service.shapes[self.name]
        self.traits: dict[str, Any] = reference

    def trait(self, name: str) -> Any:
        """A trait of the member, else of its shape, else None."""
        value = self.traits.get(name)
        return self.shape.get(name) if value is None else value
