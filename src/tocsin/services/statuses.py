"""What a cluster's status was before a State Change, which the event itself does not say: looked up in the story."""

import json
from typing import Any

from tocsin.core.announce import STATE_CHANGE
from tocsin.model.names import Scope, split_arn
from tocsin.model.story import Chapter
from tocsin.ports import Store

ARROW = " → "
NONE_BEFORE = "nothing"  # core/tell's word
CLUSTERS_REMEMBERED_MAX = 1000
LINES_AT_ONCE = 1000


class StatusHistory:
    """Reads each cluster's story once, and on from there."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # cluster -> (place in the story, status -> the status before, as last told)
        self._told: dict[tuple[Scope, str], tuple[int, dict[str, str]]] = {}

    async def before(self, scope: Scope, text: str) -> str:
        """The status before the event's; empty for a message that is no event of the scope, or when it is not known."""
        change = _change(text)
        if change is None or change[0] != scope:
            return ""
        _, cluster_id, status = change
        after, previous = self._told.pop((scope, cluster_id), (0, {}))
        while told := await self._store.story(scope, cluster=cluster_id, after=after, limit=LINES_AT_ONCE):
            after = told[-1].seq
            for one in told:
                if one.line.chapter is Chapter.STATUS and not one.line.instance_id and ARROW in one.line.what:
                    old, _, new = one.line.what.partition(ARROW)
                    previous[new] = old
        self._told[scope, cluster_id] = (after, previous)
        while len(self._told) > CLUSTERS_REMEMBERED_MAX:
            self._told.pop(next(iter(self._told)))
        found = previous.get(status, "")
        return "" if found == NONE_BEFORE else found


def _change(text: str) -> tuple[Scope, str, str] | None:
    """(scope, cluster id, status) of a State Change as we tell it; None for anything else."""
    if STATE_CHANGE not in text:
        return None
    try:
        event: Any = json.loads(text)
        detail = event["detail"]
        arn = split_arn(detail["ClusterArn"])
        status = detail["ClusterStatus"]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
    if arn is None or not arn[2].startswith("cluster/") or not isinstance(status, str):
        return None
    return arn[1], arn[2].removeprefix("cluster/"), status
