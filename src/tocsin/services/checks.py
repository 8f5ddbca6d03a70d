"""Deep health checks that are through, as lines of the cluster's log. The fleet commits them with what they came to."""

from datetime import datetime

from tocsin.core.commit import World
from tocsin.core.deep import verdict_lines
from tocsin.model.changes import Change, Log, Put
from tocsin.model.cluster import Cluster
from tocsin.model.logs import LogGroup, LogLine
from tocsin.model.names import deep_check_stream
from tocsin.model.times import epoch_ms
from tocsin.ports import Store


async def checks_told(store: Store, before: World, after: World | None, now: datetime) -> list[Change]:
    """A log group that somebody deleted is made again: results must go somewhere."""
    if after is None:
        return []
    told: list[Change] = []
    for key in after.nodes.differing(before.nodes):
        node = before.nodes.get(key)
        if node is None or node.deep is None or not node.deep.open or key not in after.nodes:
            continue
        told_of = verdict_lines(node, after.nodes[key])
        if told_of:
            told.append(_log(after.cluster, key, told_of, epoch_ms(now)))
    group = after.cluster.log_group
    if told and await store.get(LogGroup, after.cluster.scope, group) is None:
        told.insert(0, Put(LogGroup(scope=after.cluster.scope, name=group, created_ms=epoch_ms(now))))
    return told


def _log(cluster: Cluster, instance_id: str, lines: list[str], at_ms: int) -> Log:
    written = tuple(LogLine(at_ms, text) for text in lines)
    stream = deep_check_stream(instance_id)
    return Log(scope=cluster.scope, group=cluster.log_group, stream=stream, lines=written, ingested_ms=at_ms)
