"""Requests for clusters end when their cluster comes to rest, whether or not anybody asks for them.

The fleet tells every change of a cluster after its commit. What was under way at that moment is judged by the cluster
as it was then: what others make of it later is none of these requests' doing.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

from tocsin.core.cloud.progress import cluster_standing
from tocsin.core.cloud.schemas import CLUSTER
from tocsin.core.commit import World
from tocsin.doors.cloudcontrol.requests import Requests
from tocsin.model.cloud import OperationStatus, ResourceRequest
from tocsin.model.cluster import Cluster
from tocsin.model.errors import TocsinError
from tocsin.model.names import Scope
from tocsin.ports import Clock, Store

log = logging.getLogger(__name__)

RETRY_PAUSE_S = 0.5


class Watching:
    """What waits to be judged: a request with its cluster as it was when it came to rest; None: it is gone."""

    def __init__(self, requests: Requests, store: Store, clock: Clock) -> None:
        self._requests = requests
        self._store = store
        self._clock = clock
        self._waiting: deque[tuple[Scope, str, Cluster | None]] = deque()
        self._news = asyncio.Event()

    @property
    def idle(self) -> bool:
        return not self._waiting

    async def load(self) -> None:
        """Take up what was under way when the last server ended."""
        clusters = {(one.scope, one.arn): one for one in await self._store.find(Cluster)}
        for one in await self._store.find(ResourceRequest):
            if one.type_name == CLUSTER.type_name and one.status is OperationStatus.IN_PROGRESS:
                self._requests.goes_on(one)
                self._waiting.append((one.scope, one.token, clusters.get((one.scope, one.identifier))))

    def moved(self, before: World | None, after: World | None) -> None:
        """A cluster was committed. Called for each commit, so it does nothing where nobody waits."""
        one = after or before
        if one is None or (before and after and before.cluster.status is after.cluster.status):
            return
        scope, arn = one.cluster.scope, one.cluster.arn
        for token in self._requests.going(scope, arn):
            self._waiting.append((scope, token, after.cluster if after else None))
            self._news.set()

    async def run(self) -> None:
        """Judge what waits, for ever."""
        while True:
            self._news.clear()
            while self._waiting:
                scope, token, cluster = self._waiting[0]
                try:
                    await self._judge(scope, token, cluster)
                except TocsinError as error:
                    log.warning("request %s waits to be judged: %s", token, error)
                    await self._clock.sleep(RETRY_PAUSE_S)
                    continue
                self._waiting.popleft()
            await self._news.wait()

    async def _judge(self, scope: Scope, token: str, cluster: Cluster | None) -> None:
        request = await self._store.get(ResourceRequest, scope, token)
        if request is None or not request.open:
            return
        standing = cluster_standing(request.operation, _members(cluster))
        if standing.status is not OperationStatus.IN_PROGRESS:
            await self._requests.end(request, standing, request.identifier, {})


def _members(cluster: Cluster | None) -> Mapping[str, Any] | None:
    """As much of DescribeCluster as a request is judged by."""
    if cluster is None:
        return None
    return {"ClusterStatus": cluster.status, "FailureMessage": cluster.failure_message}
