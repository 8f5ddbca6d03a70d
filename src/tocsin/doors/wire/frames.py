"""What goes in and out of the wire: a request as HTTP brought it, the operation it calls, the answer to send.

The front builds a Request and sends a Response; nothing here knows sockets or servers.
"""

from collections.abc import Mapping

import msgspec


class Request(msgspec.Struct, frozen=True):
    """One HTTP request. `path` and `query` are raw (still percent-encoded); header names are lower-case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Response(msgspec.Struct, frozen=True):
    """One HTTP answer. `headers` name no content-length: the server writes it from `body`."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Call(msgspec.Struct, frozen=True):
    """Which operation is called, and in which protocol.

    `service` is botocore's folder name ('events'), `operation` AWS's name ('PutEvents'),
    `protocol` a key of `wire.PROTOCOLS` ('json', 'query', 'rest-json').
    """

    service: str
    operation: str
    protocol: str
