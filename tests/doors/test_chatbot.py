"""The chatbot over the wire: boto3 and the AWS CLI as they are, every operation, and the refusals."""

import json
from typing import Any

import pytest

from tests.doors.asking import ask, connect, members, refusal
from tests.doors.shell import Shell
from tests.harness import REGION, RunningServer

TENANT, TEAM, OTHER_TEAM = (f"{digit * 8}-{digit * 4}-{digit * 4}-{digit * 4}-{digit * 12}" for digit in "123")
WEBHOOK = "https://hooks.chime.aws/incomingwebhooks/1a-2b?token=S3cretT0ken"


class Desk:
    def __init__(self, server: RunningServer, account: str) -> None:
        self.server, self.account = server, account
        self.chatbot = server.client("chatbot", account)
        self.role = f"arn:aws:iam::{account}:role/chat"
        self.topic = f"arn:aws:sns:{REGION}:{account}:alerts"

    def arn(self, key: str) -> str:
        return f"arn:aws:chatbot::{self.account}:chat-configuration/{key}"

    def slack(self, name: str = "ops", **more: Any) -> dict[str, Any]:
        given = {"SlackTeamId": "T1", "SlackChannelId": "C1", "IamRoleArn": self.role, "ConfigurationName": name}
        made = self.chatbot.create_slack_channel_configuration(**{**given, **more})
        found: dict[str, Any] = made["ChannelConfiguration"]
        return found

    def teams(self, name: str = "ops", **more: Any) -> dict[str, Any]:
        given = {
            "ChannelId": "19%3aabc%40thread.tacv2",
            "TeamId": TEAM,
            "TenantId": TENANT,
            "IamRoleArn": self.role,
            "ConfigurationName": name,
        }
        made = self.chatbot.create_microsoft_teams_channel_configuration(**{**given, **more})
        found: dict[str, Any] = made["ChannelConfiguration"]
        return found

    def chime(self, name: str = "ops", **more: Any) -> dict[str, Any]:
        given = {
            "WebhookDescription": "room/hook",
            "WebhookUrl": WEBHOOK,
            "SnsTopicArns": [self.topic],
            "IamRoleArn": self.role,
            "ConfigurationName": name,
        }
        made = self.chatbot.create_chime_webhook_configuration(**{**given, **more})
        found: dict[str, Any] = made["WebhookConfiguration"]
        return found


@pytest.fixture
def desk(server: RunningServer, account: str) -> Desk:
    return Desk(server, account)


def test_a_slack_channel_is_made_described_changed_and_deleted(desk: Desk) -> None:
    made = desk.slack(SnsTopicArns=[desk.topic], SlackChannelName="#ops", LoggingLevel="ERROR", Tags=[tag("team", "a")])
    assert made == {
        "SlackTeamName": "T1",
        "SlackTeamId": "T1",
        "SlackChannelId": "C1",
        "SlackChannelName": "#ops",
        "ChatConfigurationArn": desk.arn("slack-channel/ops"),
        "IamRoleArn": desk.role,
        "SnsTopicArns": [desk.topic],
        "ConfigurationName": "ops",
        "LoggingLevel": "ERROR",
        "Tags": [tag("team", "a")],
        "State": "ENABLED",
    }
    arn = made["ChatConfigurationArn"]
    described = desk.chatbot.describe_slack_channel_configurations(ChatConfigurationArn=arn)
    assert described["SlackChannelConfigurations"] == [made]
    changed = desk.chatbot.update_slack_channel_configuration(
        ChatConfigurationArn=arn, SlackChannelId="C2", SnsTopicArns=[], UserAuthorizationRequired=True
    )["ChannelConfiguration"]
    assert changed == made | {"SlackChannelId": "C2", "SnsTopicArns": [], "UserAuthorizationRequired": True}
    answer = desk.chatbot.delete_slack_channel_configuration(ChatConfigurationArn=arn)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert desk.chatbot.describe_slack_channel_configurations()["SlackChannelConfigurations"] == []


def test_a_teams_channel_is_made_got_listed_changed_and_deleted(desk: Desk) -> None:
    made = desk.teams(ChannelName="ops", TeamName="platform")
    arn = made["ChatConfigurationArn"]
    assert arn == desk.arn("microsoft-teams-channel/ops")
    got = desk.chatbot.get_microsoft_teams_channel_configuration(ChatConfigurationArn=arn)
    assert got["ChannelConfiguration"] == made
    listing = desk.chatbot.list_microsoft_teams_channel_configurations
    assert listing(TeamId=TEAM)["TeamChannelConfigurations"] == [made]
    assert listing(TeamId=OTHER_TEAM)["TeamChannelConfigurations"] == []
    changed = desk.chatbot.update_microsoft_teams_channel_configuration(
        ChatConfigurationArn=arn, ChannelId="19%3axyz%40thread.tacv2", SnsTopicArns=[desk.topic]
    )["ChannelConfiguration"]
    assert (changed["ChannelId"], changed["SnsTopicArns"]) == ("19%3axyz%40thread.tacv2", [desk.topic])
    assert desk.chatbot.list_microsoft_teams_configured_teams()["ConfiguredTeams"] == [
        {"TenantId": TENANT, "TeamId": TEAM, "TeamName": "platform", "State": "ENABLED"}
    ]
    desk.chatbot.delete_microsoft_teams_channel_configuration(ChatConfigurationArn=arn)
    assert listing()["TeamChannelConfigurations"] == []


def test_a_chime_webhooks_address_is_never_told(desk: Desk) -> None:
    made = desk.chime()
    described = desk.chatbot.describe_chime_webhook_configurations()
    changed = desk.chatbot.update_chime_webhook_configuration(
        ChatConfigurationArn=made["ChatConfigurationArn"], WebhookUrl=WEBHOOK + "2", WebhookDescription="new"
    )["WebhookConfiguration"]
    assert described["WebhookConfigurations"] == [made]
    assert changed["WebhookDescription"] == "new"
    assert "S3cretT0ken" not in json.dumps([made, described, changed], default=str)
    desk.chatbot.delete_chime_webhook_configuration(ChatConfigurationArn=made["ChatConfigurationArn"])
    assert desk.chatbot.describe_chime_webhook_configurations()["WebhookConfigurations"] == []


def test_a_wrong_chime_address_is_refused_without_being_quoted(desk: Desk) -> None:
    refused = refusal(desk.chime, WebhookUrl="https://evil.example/S3cretT0ken")
    assert refused.code == "InvalidParameterException"
    assert "S3cretT0ken" not in refused.message


def test_configurations_are_the_accounts_and_the_same_in_every_region(desk: Desk, server: RunningServer) -> None:
    made = desk.slack()
    elsewhere = server.client("chatbot", desk.account, "eu-central-1")
    assert elsewhere.describe_slack_channel_configurations()["SlackChannelConfigurations"] == [made]
    stranger = server.client("chatbot", "999900001111")
    arn = made["ChatConfigurationArn"]
    refused = refusal(stranger.delete_slack_channel_configuration, ChatConfigurationArn=arn)
    assert (refused.code, refused.status) == ("ResourceNotFoundException", 404)


def test_a_topic_that_is_named_twice_is_heard_once(desk: Desk) -> None:
    assert desk.slack(SnsTopicArns=[desk.topic, desk.topic])["SnsTopicArns"] == [desk.topic]


def test_pages_go_on_where_the_last_one_ended(desk: Desk) -> None:
    for number in range(5):
        desk.slack(f"ops-{number}", SlackChannelId=f"C{number}")
    pages = desk.chatbot.get_paginator("describe_slack_channel_configurations").paginate(MaxResults=2)
    found = [[one["ConfigurationName"] for one in page["SlackChannelConfigurations"]] for page in pages]
    assert found == [["ops-0", "ops-1"], ["ops-2", "ops-3"], ["ops-4"]]
    workspaces = desk.chatbot.describe_slack_workspaces()["SlackWorkspaces"]
    assert workspaces == [{"SlackTeamId": "T1", "SlackTeamName": "T1", "State": "ENABLED"}]


def test_preferences_are_kept(desk: Desk) -> None:
    off = {"UserAuthorizationRequired": False, "TrainingDataCollectionEnabled": False}
    assert desk.chatbot.get_account_preferences()["AccountPreferences"] == off
    for changes in ({"UserAuthorizationRequired": True}, {"TrainingDataCollectionEnabled": False}):
        answer = desk.chatbot.update_account_preferences(**changes)
        assert answer["AccountPreferences"] == off | {"UserAuthorizationRequired": True}
    assert members(desk.chatbot.get_account_preferences()) == members(answer)


def test_tags_come_and_go(desk: Desk) -> None:
    arn = desk.teams(Tags=[tag("a", "1")])["ChatConfigurationArn"]
    desk.chatbot.tag_resource(ResourceARN=arn, Tags=[tag("b", "2"), tag("a", "3")])
    assert desk.chatbot.list_tags_for_resource(ResourceARN=arn)["Tags"] == [tag("a", "3"), tag("b", "2")]
    desk.chatbot.untag_resource(ResourceARN=arn, TagKeys=["a", "x"])
    assert desk.chatbot.list_tags_for_resource(ResourceARN=arn)["Tags"] == [tag("b", "2")]
    many = [tag(str(number), "") for number in range(50)]
    assert refusal(desk.chatbot.tag_resource, ResourceARN=arn, Tags=many).code == "TooManyTagsException"
    assert refusal(desk.chatbot.tag_resource, ResourceARN=arn, Tags=[tag("Aws:b", "")]).code == "ValidationException"
    nothing = desk.arn("slack-channel/none")
    assert refusal(desk.chatbot.list_tags_for_resource, ResourceARN=nothing).code == "ResourceNotFoundException"


def test_what_is_there_is_not_made_again(desk: Desk) -> None:
    desk.slack()
    desk.teams()
    assert refusal(desk.slack, SlackChannelId="C9") == (
        "ConflictException",
        "A configuration named ops exists already.",
        409,
    )
    assert refusal(desk.slack, ConfigurationName="other") == (
        "ConflictException",
        "The Slack channel C1 is configured already, as ops.",
        409,
    )
    second = desk.slack("second", SlackChannelId="C2")["ChatConfigurationArn"]
    update = desk.chatbot.update_slack_channel_configuration
    assert refusal(update, ChatConfigurationArn=second, SlackChannelId="C1").code == "ConflictException"


def test_what_is_not_there_is_not_found(desk: Desk) -> None:
    desk.slack()
    calls = [
        (desk.chatbot.update_slack_channel_configuration, "slack-channel/none", {"SlackChannelId": "C1"}),
        (desk.chatbot.delete_slack_channel_configuration, "slack-channel/none", {}),
        (desk.chatbot.delete_microsoft_teams_channel_configuration, "slack-channel/ops", {}),
        (desk.chatbot.get_microsoft_teams_channel_configuration, "microsoft-teams-channel/none", {}),
        (desk.chatbot.update_chime_webhook_configuration, "chime-webhook/none", {}),
        (desk.chatbot.delete_chime_webhook_configuration, "chime-webhook/none", {}),
    ]
    for call, key, more in calls:
        refused = refusal(call, ChatConfigurationArn=desk.arn(key), **more)
        assert (refused.code, refused.status) == ("ResourceNotFoundException", 404), key


def test_wrong_values_are_refused_in_the_services_words(desk: Desk) -> None:
    assert (
        refusal(desk.slack, SnsTopicArns=[f"arn:aws:sqs:{REGION}:{desk.account}:q"]).code == "InvalidRequestException"
    )
    refused = refusal(desk.slack, SlackTeamId="lower", ConfigurationName="a b")
    assert refused.code == "InvalidParameterException"
    assert refused.message.startswith("2 validation errors detected: ")
    listing = desk.chatbot.list_microsoft_teams_channel_configurations
    assert refusal(listing, NextToken="abcd").code == "InvalidParameterException"


def test_what_is_not_there_yet_says_so(desk: Desk) -> None:
    refused = refusal(desk.chatbot.list_custom_actions)
    assert refused == ("NotImplemented", "chatbot:ListCustomActions is not implemented in Tocsin yet.", 501)


def test_the_aws_cli_speaks_it_too(desk: Desk, shell: Shell) -> None:
    shell.names |= {"role": desk.role, "topic": desk.topic}
    named = "--iam-role-arn {role} --configuration-name cli --sns-topic-arns {topic}"
    asked = f"create-slack-channel-configuration --slack-team-id T1 --slack-channel-id C1 {named}"
    arn = shell.run("chatbot", (asked, ""))["ChannelConfiguration"]["ChatConfigurationArn"]
    listed = shell.run("chatbot", ("describe-slack-channel-configurations", ""))
    assert listed["SlackChannelConfigurations"][0]["SnsTopicArns"] == [desk.topic]
    delete = f"delete-slack-channel-configuration --chat-configuration-arn {arn}"
    assert shell.run("chatbot", (delete, "")) is None
    shell.run("chatbot", (delete, "ResourceNotFoundException"))


def tag(key: str, value: str) -> dict[str, str]:
    return {"TagKey": key, "TagValue": value}


def test_an_unsigned_request_is_understood_by_its_path_and_no_content_has_no_length(
    server: RunningServer,
) -> None:
    body = {
        "SlackTeamId": "T1",
        "SlackChannelId": "C1",
        "IamRoleArn": "arn:aws:iam::111122223333:role/r",
        "ConfigurationName": "unsigned",
    }
    with connect(server) as connection:
        made = ask(connection, "POST", "/create-slack-channel-configuration", json.dumps(body).encode())
        arn = made.json["ChannelConfiguration"]["ChatConfigurationArn"]
        named = json.dumps({"ChatConfigurationArn": arn}).encode()
        gone = ask(connection, "POST", "/delete-slack-channel-configuration", named)
        again = ask(connection, "POST", "/delete-slack-channel-configuration", named)
    assert (made.status, arn) == (201, "arn:aws:chatbot::111122223333:chat-configuration/slack-channel/unsigned")
    assert (gone.status, gone.body, "content-length" in gone.headers) == (204, b"", False)
    assert (again.status, again.headers["x-amzn-errortype"]) == (404, "ResourceNotFoundException")
    assert list(again.json) == ["Message"]
