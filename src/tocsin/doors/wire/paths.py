"""Which operation of a REST service a method and a path call, and what stands in the path's labels.

resolve asks `find`, the REST protocol asks `labels`. Templates come from the model: `/tags/{Arn+}?kind=a`.
"""

import functools
import re
from urllib.parse import parse_qsl, unquote

import msgspec

from tocsin.doors.wire.frames import Request
from tocsin.doors.wire.model import Service
from tocsin.model.errors import Serialization

LABEL = re.compile(r"\{(\w+)(\+?)\}")
# What a path segment is, from the most to the least particular: of two templates that fit, the earlier one counts.
LITERAL, ONE_SEGMENT, MANY_SEGMENTS = range(3)


class Template(msgspec.Struct, frozen=True):
    """One operation's method and path. `asked` are the query parameters that belong to the address itself."""

    operation: str
    method: str
    pattern: re.Pattern[str]
    names: tuple[str, ...]
    asked: frozenset[tuple[str, str]]
    rank: tuple[tuple[int, ...], int]

    def fits(self, request: Request, pairs: frozenset[tuple[str, str]]) -> bool:
        return (
            request.method == self.method and self.asked <= pairs and self.pattern.fullmatch(request.path) is not None
        )


class Paths:
    """The addresses of one service's operations."""

    def __init__(self, service: Service) -> None:
        self._templates = {name: _template(name, said["http"]) for name, said in service.operations.items()}
        self._ranked = sorted(self._templates.values(), key=lambda template: template.rank)

    def find(self, request: Request) -> str | None:
        """The operation, or None when there is none at this address."""
        pairs = frozenset(parse_qsl(request.query, keep_blank_values=True))
        return next((one.operation for one in self._ranked if one.fits(request, pairs)), None)

    def labels(self, operation: str, path: str) -> dict[str, str]:
        """What stands in the labels of an operation's path, decoded. Raises Serialization."""
        template = self._templates[operation]
        found = template.pattern.fullmatch(path)
        try:
            texts = [unquote(text, errors="strict") for text in (found.groups() if found else ())]
        except UnicodeDecodeError as error:
            raise Serialization("The request path is not UTF-8") from error
        return dict(zip(template.names, texts, strict=False))


@functools.cache
def paths_of(service: Service) -> Paths:
    """Made when the first request for the service comes: it loads the service's model."""
    return Paths(service)


def _template(operation: str, http: dict[str, str]) -> Template:
    path, _, query = http["requestUri"].partition("?")
    names = tuple(name for name, _ in LABEL.findall(path))
    asked = frozenset(parse_qsl(query, keep_blank_values=True))
    kinds = tuple(_kind(segment) for segment in path.split("/")[1:])
    return Template(operation, http["method"], _pattern(path), names, asked, (kinds, -len(asked)))


def _kind(segment: str) -> int:
    found = LABEL.search(segment)
    if found is None:
        return LITERAL
    return MANY_SEGMENTS if found[2] else ONE_SEGMENT


def _pattern(path: str) -> re.Pattern[str]:
    """The template as a pattern over the raw path: a label ends at a slash unless it is greedy."""
    said, at = "", 0
    for found in LABEL.finditer(path):
        said += re.escape(path[at : found.start()]) + ("(.+)" if found[2] else "([^/]+)")
        at = found.end()
    return re.compile(said + re.escape(path[at:]))
