"""Whether a rule may write to a log group, by the resource policies of CloudWatch Logs, and the policy that lets it.

The log group target asks before it delivers, `tocsin rule explain` to say what is missing.
"""

import json
from collections.abc import Iterable

from tocsin.core.access import Wish, allowed
from tocsin.model.names import delivery_stream, log_group_arn, log_group_of, split_arn
from tocsin.model.rule import Target

# EventBridge writes as these two (facts/hyperpod.md §10.2); the console's policy names both.
SERVICES = ("events.amazonaws.com", "delivery.logs.amazonaws.com")
ACTIONS = ("logs:CreateLogStream", "logs:PutLogEvents")
POLICY_NAME = "TrustEventsToStoreLogEvents"


def may_write(documents: Iterable[str], rule_arn: str, target: Target) -> bool:
    """Whether the rule may make and fill its stream in the log group that the target is."""
    texts = list(documents)
    split = split_arn(rule_arn)
    assert split is not None, "every rule has an ARN"
    facts = {"aws:SourceArn": rule_arn, "aws:SourceAccount": split[1].account}
    stream = f"{_group_arn(target.arn)}:log-stream:{delivery_stream(rule_arn, target.id)}"
    return all(allowed(texts, Wish(SERVICES, action, stream, facts)) for action in ACTIONS)


def needed_policy(target_arn: str) -> str:
    """The document that lets EventBridge write to the group, as put-resource-policy takes it."""
    statement = {
        "Sid": "TrustEventsToStoreLogEvent",
        "Effect": "Allow",
        "Principal": {"Service": list(SERVICES)},
        "Action": list(ACTIONS),
        "Resource": f"{_group_arn(target_arn)}:*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _group_arn(target_arn: str) -> str:
    place = log_group_of(target_arn)
    assert place is not None, "the target is a log group"
    return log_group_arn(*place)
