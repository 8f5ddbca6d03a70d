"""What every service's door is: a name and its operations. The front calls them; they know no wire format.

A handler gets parsed and validated input under AWS's member names and returns the members of the answer.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from tocsin.model.names import Scope


class Context(Struct, frozen=True, kw_only=True):
    """Who asks, and when."""

    scope: Scope
    access_key: str
    request_id: str
    now: datetime

    @property
    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return int(self.now.timestamp() * 1000)


Handler = Callable[[Context, dict[str, Any]], Awaitable[Mapping[str, Any]]]


class Door(Struct, frozen=True, kw_only=True):
    """`service` is botocore's folder name of the service; `operations` maps AWS's operation names to handlers."""

    service: str
    operations: Mapping[str, Handler]
