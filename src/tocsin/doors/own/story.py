"""The story: what happened to a cluster or a node, and why."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tocsin.doors.own.asking import EVENTS_MAX, INT64_LARGEST, answer, number, scope_of
from tocsin.ports import Store


class Story:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def story(self, request: Request) -> Response:
        """Lines on the cluster (by name or id, living or gone) or node named by `of`; all of them without.

        With `last`, the newest so many.
        """
        scope = scope_of(request)
        of = request.query_params.get("of", "")
        after = number(request, "after", 0)
        last = number(request, "last", 0)
        limit = max(1, min(last or number(request, "limit", EVENTS_MAX), EVENTS_MAX))
        before = INT64_LARGEST if last else None
        whose = {"instance_id": of} if of.startswith("i-") else {"cluster": of}
        told = await self._store.story(scope, **whose, after=after, before=before, limit=limit)
        return answer({"after": told[-1].seq if told else after, "lines": [_line(one.line) for one in told]})


def _line(line: Any) -> dict[str, Any]:
    return {
        "at_ms": line.at_ms,
        "cluster": line.cluster_name,
        "cluster_id": line.cluster_id,
        "instance_id": line.instance_id,
        "chapter": line.chapter,
        "what": line.what,
        "why": line.why,
    }
