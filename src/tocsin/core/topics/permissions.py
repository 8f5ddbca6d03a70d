"""A topic's policy: the one it is born with, and statements that come and go. Kept and told, not asked."""

import json
import re
from collections.abc import Sequence
from typing import Any

from tocsin.model.topic import Topic
from tocsin.model.topic_errors import InvalidParameter

LABEL = re.compile(r"[A-Za-z0-9_-]{1,80}")
OWNERS_ACTIONS = (
    *("GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic"),
    *("Subscribe", "ListSubscriptionsByTopic", "Publish"),
)


def default_policy(topic: Topic) -> dict[str, Any]:
    """Everybody may, as long as it is the owner."""
    return {
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [
            {
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [f"SNS:{action}" for action in OWNERS_ACTIONS],
                "Resource": topic.arn,
                "Condition": {"StringEquals": {"AWS:SourceOwner": topic.scope.account}},
            }
        ],
    }


def with_statement(topic: Topic, label: str, accounts: Sequence[str], actions: Sequence[str]) -> str:
    """The policy's JSON with another statement. Raises InvalidParameter."""
    if not LABEL.fullmatch(label):
        raise InvalidParameter("Label Reason: letters, digits, hyphens and underscores, 1 to 80 of them")
    for action in actions:
        if action != "*" and action not in OWNERS_ACTIONS:
            raise InvalidParameter("Policy statement action out of service scope!")
    for account in accounts:
        if not re.fullmatch(r"\d{12}|\*", account):
            raise InvalidParameter("Policy Error: PrincipalNotFound")
    policy = _policy(topic)
    if any(statement.get("Sid") == label for statement in policy["Statement"]):
        raise InvalidParameter("Statement already exists")
    principals = [f"arn:aws:iam::{account}:root" if account != "*" else "*" for account in accounts]
    policy["Statement"].append(
        {
            "Sid": label,
            "Effect": "Allow",
            "Principal": {"AWS": principals[0] if len(principals) == 1 else principals},
            "Action": f"SNS:{actions[0]}" if len(actions) == 1 else [f"SNS:{action}" for action in actions],
            "Resource": topic.arn,
        }
    )
    return json.dumps(policy, separators=(",", ":"))


def without_statement(topic: Topic, label: str) -> str:
    """The policy's JSON without the statement. Who removes one that is not there has what he wants."""
    policy = _policy(topic)
    policy["Statement"] = [one for one in policy["Statement"] if one.get("Sid") != label]
    return json.dumps(policy, separators=(",", ":"))


def _policy(topic: Topic) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(topic.attributes.get("Policy") or "null") or default_policy(topic)
    statements = kept.get("Statement", [])
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not all(isinstance(one, dict) for one in statements):
        raise InvalidParameter("Policy Error: the topic's policy has no list of statements. Set another policy first.")
    return {**kept, "Statement": list(statements)}
