"""What the story says of a request. The fleet commits it together with what the request changed."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from tocsin.core.requests import unheeded
from tocsin.core.tell import line
from tocsin.model.changes import Change, Tell
from tocsin.model.cluster import Cluster
from tocsin.model.story import Chapter


def asked(
    cluster: Cluster, now: datetime, operation: str, what: Iterable[str] = (), known: Sequence[str] = ()
) -> list[Change]:
    """The request, and what of the cluster nothing here acts on: told once, not pretended. `known` was told before."""
    new = [member for member in unheeded(cluster) if member not in known]
    return [
        Tell(line(cluster, now, Chapter.REQUEST, operation, ", ".join(what))),
        *(Tell(line(cluster, now, Chapter.DECISION, f"kept but not acted on: {member}")) for member in new),
    ]
