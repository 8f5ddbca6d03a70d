"""What an agent is told at its start. The command line and the tests fill it in; every file of the agent reads it."""

from pathlib import Path

from msgspec import Struct


class AgentSettings(Struct, frozen=True, kw_only=True):
    """`server` is the base URL (`http://127.0.0.1:4566`), `directory` the node's own (absolute, on a local disk)."""

    instance_id: str
    server: str
    directory: Path
    token: str

    def __repr__(self) -> str:
        """Without the token, so that no log line ever carries it."""
        return f"AgentSettings({self.instance_id}, {self.server}, {self.directory})"
