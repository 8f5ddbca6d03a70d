"""The AWS CLI for every operation of who is told and what is done: SNS, the chats, Run Command."""

import json

import pytest
from botocore import xform_name

from tests.commands.conftest import cluster
from tests.doors.shell import Shell, Step
from tests.harness import REGION
from tests.test_docs import DOORS

ROLE = "arn:aws:iam::111122223333:role/any"
TEAM = "11111111-1111-1111-1111-111111111111"

SNS: list[Step] = [
    (["create-topic", "--name", "t", "--tags", "Key=a,Value=b"], ""),
    (["create-topic", "--name", "no good"], "InvalidParameter"),
    (["list-topics"], ""),
    (["get-topic-attributes", "--topic-arn", "{topic}"], ""),
    (["get-topic-attributes", "--topic-arn", "{topic}x"], "NotFound"),
    (
        ["set-topic-attributes", "--topic-arn", "{topic}", "--attribute-name", "DisplayName", "--attribute-value", "T"],
        "",
    ),
    (["set-topic-attributes", "--topic-arn", "{topic}", "--attribute-name", "Zzz"], "InvalidParameter"),
    (
        [
            *("add-permission", "--topic-arn", "{topic}", "--label", "l"),
            *("--aws-account-id", "111122223333", "--action-name", "Publish"),
        ],
        "",
    ),
    (["remove-permission", "--topic-arn", "{topic}", "--label", "l"], ""),
    (["put-data-protection-policy", "--resource-arn", "{topic}", "--data-protection-policy", "{}"], ""),
    (["get-data-protection-policy", "--resource-arn", "{topic}"], ""),
    (["tag-resource", "--resource-arn", "{topic}", "--tags", "Key=c,Value=d"], ""),
    (["list-tags-for-resource", "--resource-arn", "{topic}"], ""),
    (["untag-resource", "--resource-arn", "{topic}", "--tag-keys", "c"], ""),
    (["subscribe", "--topic-arn", "{topic}", "--protocol", "sqs", "--notification-endpoint", "{queue}"], ""),
    (
        ["subscribe", "--topic-arn", "{topic}", "--protocol", "sms", "--notification-endpoint", "+15550100"],
        "NotImplemented",
    ),
    (["confirm-subscription", "--topic-arn", "{topic}", "--token", "no-token"], "InvalidParameter"),
    (["list-subscriptions"], ""),
    (["list-subscriptions-by-topic", "--topic-arn", "{topic}"], ""),
    (["get-subscription-attributes", "--subscription-arn", "{SubscriptionArn}"], ""),
    (
        [
            *("set-subscription-attributes", "--subscription-arn", "{SubscriptionArn}"),
            *("--attribute-name", "RawMessageDelivery", "--attribute-value", "true"),
        ],
        "",
    ),
    (["publish", "--topic-arn", "{topic}", "--message", "ünïcode & <tags>", "--subject", "s"], ""),
    (["publish", "--topic-arn", "{topic}x", "--message", "m"], "NotFound"),
    (
        [
            "publish-batch",
            "--topic-arn",
            "{topic}",
            "--publish-batch-request-entries",
            "Id=1,Message=a",
            "Id=2,Message=b",
        ],
        "",
    ),
    (["unsubscribe", "--subscription-arn", "{SubscriptionArn}"], ""),
    (["delete-topic", "--topic-arn", "{topic}"], ""),
]
_HEARS = ["--iam-role-arn", ROLE, "--sns-topic-arns", "{topic}", "--configuration-name"]
_SLACK = ["--slack-team-id", "T1", "--slack-channel-id", "C1"]
_TEAMS = ["--channel-id", "19%3aa%40t", "--team-id", TEAM, "--tenant-id", TEAM]
_CHIME = ["--webhook-url", "https://hooks.chime.aws/incomingwebhooks/x?token=y", "--webhook-description", "d"]
CHATBOT: list[Step] = [
    (["create-slack-channel-configuration", *_SLACK, *_HEARS, "slack"], ""),
    (["create-slack-channel-configuration", *_SLACK, *_HEARS, "slack"], "ConflictException"),
    (
        [
            *("update-slack-channel-configuration", "--slack-channel-id", "C2"),
            *("--chat-configuration-arn", "{ChatConfigurationArn}"),
        ],
        "",
    ),
    (["describe-slack-channel-configurations"], ""),
    (["describe-slack-workspaces"], ""),
    (["tag-resource", "--resource-arn", "{ChatConfigurationArn}", "--tags", "TagKey=a,TagValue=b"], ""),
    (["list-tags-for-resource", "--resource-arn", "{ChatConfigurationArn}"], ""),
    (["untag-resource", "--resource-arn", "{ChatConfigurationArn}", "--tag-keys", "a"], ""),
    (["delete-slack-channel-configuration", "--chat-configuration-arn", "{ChatConfigurationArn}"], ""),
    (
        ["delete-slack-channel-configuration", "--chat-configuration-arn", "{ChatConfigurationArn}"],
        "ResourceNotFoundException",
    ),
    (["create-microsoft-teams-channel-configuration", *_TEAMS, *_HEARS, "teams"], ""),
    (
        [
            *("update-microsoft-teams-channel-configuration", "--channel-id", "19%3ab%40t"),
            *("--chat-configuration-arn", "{ChatConfigurationArn}"),
        ],
        "",
    ),
    (["get-microsoft-teams-channel-configuration", "--chat-configuration-arn", "{ChatConfigurationArn}"], ""),
    (["list-microsoft-teams-channel-configurations"], ""),
    (["list-microsoft-teams-configured-teams"], ""),
    (["delete-microsoft-teams-channel-configuration", "--chat-configuration-arn", "{ChatConfigurationArn}"], ""),
    (["create-chime-webhook-configuration", *_CHIME, *_HEARS, "chime"], ""),
    (
        [
            *("update-chime-webhook-configuration", "--webhook-description", "e"),
            *("--chat-configuration-arn", "{ChatConfigurationArn}"),
        ],
        "",
    ),
    (["describe-chime-webhook-configurations"], ""),
    (["delete-chime-webhook-configuration", "--chat-configuration-arn", "{ChatConfigurationArn}"], ""),
    (["update-account-preferences", "--no-user-authorization-required"], ""),
    (["get-account-preferences"], ""),
]


def document(command: str) -> str:
    step = {"action": "aws:runShellScript", "name": "s", "inputs": {"runCommand": [command]}}
    return json.dumps({"schemaVersion": "2.2", "mainSteps": [step]})


SSM: list[Step] = [
    (["describe-instance-information"], ""),
    (["create-document", "--name", "Mine", "--document-type", "Command", "--content", document("true")], ""),
    (
        ["create-document", "--name", "Mine", "--document-type", "Command", "--content", document("true")],
        "DocumentAlreadyExists",
    ),
    (["get-document", "--name", "Mine"], ""),
    (["describe-document", "--name", "Mine"], ""),
    (["list-documents", "--filters", "Key=Owner,Values=Self"], ""),
    (["update-document", "--name", "Mine", "--document-version", "1", "--content", document("date")], ""),
    (["list-document-versions", "--name", "Mine"], ""),
    (["update-document-default-version", "--name", "Mine", "--document-version", "2"], ""),
    (
        ["add-tags-to-resource", "--resource-type", "Document", "--resource-id", "Mine", "--tags", "Key=a,Value=b"],
        "",
    ),
    (["list-tags-for-resource", "--resource-type", "Document", "--resource-id", "Mine"], ""),
    (["remove-tags-from-resource", "--resource-type", "Document", "--resource-id", "Mine", "--tag-keys", "a"], ""),
    (["send-command", "--document-name", "Mine", "--instance-ids", "{node}"], ""),
    (["send-command", "--document-name", "Mine", "--instance-ids", "i-0123456789abcdef0"], "InvalidInstanceId"),
    (["list-commands"], ""),
    (["list-command-invocations", "--details"], ""),
    (["get-command-invocation", "--command-id", "{CommandId}", "--instance-id", "{node}"], ""),
    (["cancel-command", "--command-id", "{CommandId}"], ""),
    (["delete-document", "--name", "Mine"], ""),
    (["get-document", "--name", "Mine"], "InvalidDocument"),
]


@pytest.mark.parametrize(("service", "steps"), [("sns", SNS), ("chatbot", CHATBOT)])
def test_the_cli_speaks_every_operation(shell: Shell, service: str, steps: list[Step]) -> None:
    shell.server.client("sqs", shell.account).create_queue(QueueName="q")
    shell.server.client("sns", shell.account).create_topic(Name="hears")
    topic = "t" if service == "sns" else "hears"
    shell.names["topic"] = f"arn:aws:sns:{REGION}:{shell.account}:{topic}"
    shell.names["queue"] = f"arn:aws:sqs:{REGION}:{shell.account}:q"
    shell.play(service, steps)


def test_the_cli_speaks_every_operation_of_run_command(shell: Shell) -> None:
    shell.names["node"] = cluster(shell.server, shell.account, 1).nodes[0]
    shell.play("ssm", SSM)


@pytest.mark.parametrize(("service", "steps"), [("sns", SNS), ("chatbot", CHATBOT), ("ssm", SSM)])
def test_no_operation_is_left_out(service: str, steps: list[Step]) -> None:
    there = {xform_name(name, "-") for name in DOORS[f"{service}_door"]().operations}
    assert {arguments[0] for arguments, _ in steps} >= there
