"""Tag keys that begin with aws: are AWS's own: every service refuses them, with an error of its own.

Of clusters and chats, whose making takes more, their own tests tell.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.doors.asking import refusal
from tests.harness import REGION, RunningServer

SAID = "aws: prefixed tag key names are not allowed for external use."
OWN = [{"Key": "AWS:cloudformation:stack-name", "Value": "s"}]
OWN_MAP = {"aws:x": "y"}
STEP = {"action": "aws:runShellScript", "name": "a", "inputs": {"runCommand": ["true"]}}
DOCUMENT = json.dumps({"schemaVersion": "2.2", "mainSteps": [STEP]})

Clients = Callable[[str], Any]
Call = tuple[Callable[..., Any], dict[str, Any]]


@pytest.fixture
def clients(server: RunningServer, account: str) -> Clients:
    return lambda service: server.client(service, account)


def events(clients: Clients, account: str) -> list[Call]:
    api = clients("events")
    bus = api.create_event_bus(Name="b")["EventBusArn"]
    rule = api.put_rule(Name="r", EventPattern='{"source": ["a"]}')["RuleArn"]
    return [
        (api.create_event_bus, {"Name": "c", "Tags": OWN}),
        (api.put_rule, {"Name": "s", "EventPattern": '{"source": ["a"]}', "Tags": OWN}),
        *((api.tag_resource, {"ResourceARN": arn, "Tags": OWN}) for arn in (bus, rule)),
    ]


def sns(clients: Clients, account: str) -> list[Call]:
    api = clients("sns")
    arn = api.create_topic(Name="t")["TopicArn"]
    return [(api.create_topic, {"Name": "u", "Tags": OWN}), (api.tag_resource, {"ResourceArn": arn, "Tags": OWN})]


def sqs(clients: Clients, account: str) -> list[Call]:
    api = clients("sqs")
    url = api.create_queue(QueueName="q")["QueueUrl"]
    return [
        (api.create_queue, {"QueueName": "p", "tags": OWN_MAP}),
        (api.tag_queue, {"QueueUrl": url, "Tags": OWN_MAP}),
    ]


def logs(clients: Clients, account: str) -> list[Call]:
    api = clients("logs")
    api.create_log_group(logGroupName="g")
    arn = f"arn:aws:logs:{REGION}:{account}:log-group:g"
    return [
        (api.create_log_group, {"logGroupName": "h", "tags": OWN_MAP}),
        (api.tag_resource, {"resourceArn": arn, "tags": OWN_MAP}),
        (api.tag_log_group, {"logGroupName": "g", "tags": OWN_MAP}),
    ]


def ssm(clients: Clients, account: str) -> list[Call]:
    api = clients("ssm")
    api.create_document(Name="Mine", Content=DOCUMENT)
    return [
        (api.create_document, {"Name": "Other", "Content": DOCUMENT, "Tags": OWN}),
        (api.add_tags_to_resource, {"ResourceType": "Document", "ResourceId": "Mine", "Tags": OWN}),
    ]


@pytest.mark.parametrize(
    ("prepared", "code"),
    [
        (events, "ValidationException"),
        (sns, "InvalidParameter"),
        (sqs, "InvalidParameterValue"),
        (logs, "InvalidParameterException"),
        (ssm, "ValidationException"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_tag_keys_that_are_aws_s_own_are_refused(
    clients: Clients, account: str, prepared: Callable[[Clients, str], list[Call]], code: str
) -> None:
    for call, request in prepared(clients, account):
        refused = refusal(call, **request)
        assert (refused.code, refused.status) == (code, 400)
        assert refused.message.endswith(SAID)
