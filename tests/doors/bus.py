"""EventBridge of one account as door tests meet it."""

import json
from typing import Any

from tests.doors.asking import log_lines
from tests.harness import REGION, RunningServer, eventually

PATTERN = json.dumps({"source": ["my.app"]})


class Bus:
    """The events and logs clients of one account, and what tests do with them again and again."""

    def __init__(self, server: RunningServer, account: str, region: str = REGION) -> None:
        self.server, self.account, self.region = server, account, region
        self.events = server.client("events", account, region)
        self.logs = server.client("logs", account, region)

    def rule_arn(self, name: str) -> str:
        return f"arn:aws:events:{self.region}:{self.account}:rule/{name}"

    def group_arn(self, name: str) -> str:
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{name}"

    def rule(self, name: str, pattern: str = PATTERN, **more: Any) -> None:
        self.events.put_rule(Name=name, EventPattern=pattern, **more)

    def route(self, group: str, rule: str = "rule", pattern: str = PATTERN) -> None:
        """A log group, and a rule that delivers to it."""
        self.logs.create_log_group(logGroupName=group)
        self.rule(rule, pattern)
        self.events.put_targets(Rule=rule, Targets=[{"Id": "log", "Arn": self.group_arn(group)}])

    def put(self, **entry: Any) -> Any:
        """The answer's entry for an event that lacks nothing but what is given."""
        full = {"Source": "my.app", "DetailType": "thing happened", "Detail": "{}"} | entry
        return self.events.put_events(Entries=[full])["Entries"][0]

    def lines(self, group: str, number: int = 1) -> list[str]:
        """The group's lines, once there are so many."""

        def enough() -> list[str] | None:
            found = log_lines(self.server, self.account, group, self.region)
            return found if len(found) >= number else None

        found: list[str] = eventually(enough, f"{number} lines in {group}")
        return found
