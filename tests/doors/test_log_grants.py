"""Log groups as targets where they are not granted by a setting: a resource policy must let EventBridge write."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.doors.asking import configured, log_lines
from tests.doors.test_cli_show import Shown
from tests.harness import RunningServer, eventually


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with configured(tmp_path_factory.mktemp("strict"), "[events]\ngrant_log_groups = false\n") as running:
        yield running


def test_a_delivery_nobody_allowed_is_a_dead_letter_and_explain_names_the_policy(
    strict: RunningServer, account: str
) -> None:
    shown = Shown(strict, account)
    events, logs, sqs = (strict.client(service, account) for service in ("events", "logs", "sqs"))
    logs.create_log_group(logGroupName="/g")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    queue = f"arn:aws:sqs:us-west-2:{account}:dead"
    events.put_rule(Name="r", EventPattern='{"source": ["my.app"]}')
    group = f"arn:aws:logs:us-west-2:{account}:log-group:/g"
    events.put_targets(Rule="r", Targets=[{"Id": "log", "Arn": group, "DeadLetterConfig": {"Arn": queue}}])
    shown.put('{"n": 1}')
    [dead] = eventually(
        lambda: sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages"), "a dead letter"
    )
    told = {name: value["StringValue"] for name, value in dead["MessageAttributes"].items()}
    assert (told["ERROR_CODE"], told["RETRY_ATTEMPTS"]) == ("NO_PERMISSIONS", "0")
    assert json.loads(dead["Body"])["detail"] == {"n": 1}
    assert log_lines(strict, account, "/g") == []
    obstacles = shown.text("rule", "explain", "r")
    assert "No resource policy lets EventBridge write to the log group /g of target log" in obstacles
    assert f"deliveries to it go to {queue}." in obstacles
    found = re.search(r"put-resource-policy --policy-name (\S+) --policy-document '([^']+)'", obstacles)
    assert found
    logs.put_resource_policy(policyName=found[1], policyDocument=found[2])
    shown.put('{"n": 2}')
    [line] = eventually(lambda: log_lines(strict, account, "/g"), "a delivery")
    assert json.loads(line)["detail"] == {"n": 2}
    assert "No resource policy" not in shown.text("rule", "explain", "r")


def test_a_deny_wins(strict: RunningServer, account: str) -> None:
    events, logs = (strict.client(service, account) for service in ("events", "logs"))
    for name in ("/open", "/closed"):
        logs.create_log_group(logGroupName=name)
        events.put_rule(Name=name[1:], EventPattern='{"source": ["my.app"]}')
        arn = f"arn:aws:logs:us-west-2:{account}:log-group:{name}"
        events.put_targets(Rule=name[1:], Targets=[{"Id": "log", "Arn": arn}])
    allow = {"Effect": "Allow", "Principal": "*", "Action": "logs:*", "Resource": "*"}
    deny = allow | {"Effect": "Deny", "Resource": f"arn:aws:logs:us-west-2:{account}:log-group:/closed:*"}
    for name, statement in (("yes", allow), ("no", deny)):
        logs.put_resource_policy(policyName=name, policyDocument=json.dumps({"Statement": [statement]}))
    Shown(strict, account).put('{"n": 1}')
    eventually(lambda: log_lines(strict, account, "/open"), "a delivery")
    assert log_lines(strict, account, "/closed") == []
