"""Where an extension stands on the nodes of its cluster, kept along from look to look: one costs who has news.

services/extensions.py keeps one for each extension, and reads it anew where another writer was faster.
"""

from collections.abc import Iterable, Mapping

from tocsin.core.extensions.standing import Stands, stands, status
from tocsin.model.cluster import Node, NodeStatus
from tocsin.model.extension import Extension, ExtensionNode, ExtensionStatus


class Roll:
    """`records` by instance id, whether the instance runs or not. `on` are the running ones, by where they stand."""

    __slots__ = ("_stands", "extension", "on", "records", "told")

    def __init__(self, extension: Extension, records: Iterable[ExtensionNode], nodes: Mapping[str, Node]) -> None:
        self.extension = extension
        self.records = {one.instance_id: one for one in records}
        self.on: dict[Stands, dict[str, None]] = {one: {} for one in Stands}
        self._stands: dict[str, Stands] = {}
        for key in nodes:
            self.turn(key, nodes[key])
        self.told = self.status  # what the story knows

    def turn(self, instance_id: str, node: Node | None) -> None:
        """The node, or what is known of it, is another; None: it is gone."""
        before = self._stands.pop(instance_id, None)
        if before is not None:
            del self.on[before][instance_id]
        if node is not None and node.status is NodeStatus.RUNNING:
            now = stands(self.extension, self.records.get(instance_id), node)
            self._stands[instance_id] = now
            self.on[now][instance_id] = None

    @property
    def counts(self) -> Mapping[Stands, int]:
        return {one: len(self.on[one]) for one in Stands}

    @property
    def status(self) -> ExtensionStatus:
        return status(self.extension, self.counts)

    @property
    def resting(self) -> bool:
        """Nobody is on the way."""
        return not self.on[Stands.DUE] and not self.on[Stands.OPEN]
