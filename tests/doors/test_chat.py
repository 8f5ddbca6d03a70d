"""From a rule to a channel, through a real server: events, topics, chat configurations, and a stand-in's door."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chats.stand_in import StandIn, beside, says, slack_says
from tests.doors.asking import ask, configured, connect, tocsin
from tests.harness import REGION, RunningServer, eventually

ACCOUNT = "111122223333"
HEALTH = "SageMaker HyperPod Cluster Node Health Event"
TOKEN, WEBHOOK = "xoxb-S3cret", "S3cretPath"


@pytest.fixture(scope="module")
def chat() -> Iterator[StandIn]:
    with beside() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def told(chat: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose settings name the stand-in: a bot's token from a file, one webhook from the environment."""
    folder = tmp_path_factory.mktemp("chat")
    (folder / "token").write_text(f"{TOKEN}\n")
    toml = f"""
        [chat]
        slack_api = "{chat.url}/api"
        console_link = "https://console.example/{{cluster}}"
        [chat.channels.teams-room]
        webhook = "http://127.0.0.1:1/replaced"
        [chat.workspaces.T1]
        name = "Acme"
        token_file = "{folder / "token"}"
        [chat.apprise]
        alerts = ["$ELSEWHERE"]
    """
    environment = {
        "TOCSIN_CHAT_TEAMS_ROOM_WEBHOOK": f"{chat.url}/{WEBHOOK}",
        "ELSEWHERE": f"{chat.url.replace('http', 'json')}/elsewhere/{WEBHOOK}",
    }
    with configured(folder, toml, environment=environment) as server:
        _set_up(server)
        yield server


def _set_up(server: RunningServer) -> None:
    """A rule to a topic that a Slack channel and a Teams channel hear."""
    sns, events, chatbot = (server.client(service) for service in ("sns", "events", "chatbot"))
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    events.put_rule(Name="sick", EventPattern=json.dumps({"detail-type": [HEALTH]}))
    events.put_targets(Rule="sick", Targets=[{"Id": "topic", "Arn": topic}])
    given = {"IamRoleArn": f"arn:aws:iam::{ACCOUNT}:role/r", "SnsTopicArns": [topic]}
    slack = chatbot.create_slack_channel_configuration(
        ConfigurationName="slack-room", SlackTeamId="T1", SlackChannelId="C1", **given
    )["ChannelConfiguration"]
    assert slack["SlackTeamName"] == "Acme"
    chatbot.create_microsoft_teams_channel_configuration(
        ConfigurationName="teams-room",
        ChannelId="19%3aabc%40thread.tacv2",
        TeamId="11111111-1111-1111-1111-111111111111",
        TenantId="11111111-1111-1111-1111-111111111111",
        **given,
    )


def health(status: str) -> dict[str, Any]:
    summary = {"HealthStatus": status, "HealthStatusReason": "r", "RepairAction": "Replace", "Recommendation": "Wait."}
    return {"ClusterName": "c", "ClusterArn": "arn:c", "InstanceId": "i-1", "HealthSummary": summary}


def test_a_rule_tells_slack_teams_and_other_services_and_a_recovery_stands_in_its_faults_thread(
    told: RunningServer, chat: StandIn
) -> None:
    events = told.client("events")
    chat.answers["/api/chat.postMessage"] = [slack_says(ok=True, ts="1.1"), slack_says(ok=True, ts="1.2")]
    chat.answers[f"/{WEBHOOK}"] = [says(503), says(202, "")]
    for number, status in enumerate(["Unhealthy", "Healthy"], 1):
        entry = {"Source": "test", "DetailType": HEALTH, "Detail": json.dumps(health(status))}
        assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
        eventually(lambda: len(chat.posts("/api/chat.postMessage")) >= number, f"post {number} to Slack")  # noqa: B023
    fault, recovery = chat.posts("/api/chat.postMessage")
    assert (fault["channel"], recovery["thread_ts"]) == ("C1", "1.1")
    blocks = fault["attachments"][0]["blocks"]
    assert blocks[0]["text"]["text"] == "Node i-1 of c is unhealthy"
    assert [one["url"] for block in blocks for one in block.get("elements", []) if "url" in one] == [
        "https://console.example/c"
    ]
    eventually(lambda: len(chat.posts(f"/{WEBHOOK}")) >= 3, "the refused post again, and the second")
    card = chat.posts(f"/{WEBHOOK}")[0]["attachments"][0]["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    notes = eventually(lambda: chat.posts(f"/elsewhere/{WEBHOOK}"), "a note to the other service")
    assert (notes[0]["type"], notes[0]["title"]) == ("failure", "Node i-1 of c is unhealthy")
    assert notes[0]["message"].startswith("r\n\n**Cluster**: c")


def test_no_secret_is_told_anywhere(told: RunningServer, chat: StandIn) -> None:
    sns = told.client("sns")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    chat.answers["/api/chat.postMessage"] = [slack_says(ok=False, error="invalid_auth")]
    chat.answers[f"/{WEBHOOK}"] = [says(404, f"no {WEBHOOK}")]
    before = len(chat.taken)
    sns.publish(TopicArn=topic, Message="hello")
    eventually(lambda: "dropped" in told.errors.read_text(), "a line in the log")
    assert len(chat.taken) > before
    paths = ("/_tocsin/v1/status", "/_tocsin/v1/story", "/metrics", "/_tocsin/v1/channels")
    with connect(told) as connection:
        answers = [ask(connection, "GET", path).body.decode() for path in paths]
    for text in (*answers, told.errors.read_text()):
        assert "S3cret" not in text


def test_channels_are_listed_by_the_topic_they_hear(told: RunningServer) -> None:
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:alerts"
    with connect(told) as connection:
        found = ask(connection, "GET", "/_tocsin/v1/channels?topic=alerts").json
        none = ask(connection, "GET", "/_tocsin/v1/channels?topic=other").json
    assert [(one["configuration"], one["kind"], one["address"]) for one in found["channels"]] == [
        ("teams-room", "microsoft-teams-channel", "webhook"),
        ("slack-room", "slack-channel", "token"),
    ]
    assert found["channels"][0]["topics"] == [topic]
    assert [one["service"].split("-")[0] for one in found["services"]] == ["json"]
    assert none == {"channels": [], "services": []}


def test_tocsin_channels_prints_who_hears_what(told: RunningServer) -> None:
    shown = tocsin("channels", "--endpoint-url", told.endpoint)
    assert shown.returncode == 0, shown.stderr
    assert "slack-room" in shown.stdout
    assert "alerts" in shown.stdout
    asked = tocsin("channels", "--topic", "other", "--endpoint-url", told.endpoint, "--output", "json")
    assert (asked.returncode, asked.stdout) == (0, "")


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('[chat.channels.ops]\ntoken_file = "/no/such/file"', "setting chat.channels.ops.token_file: /no/such/file"),
        ('[chat.apprise]\nalerts = ["$NOT_SET"]', "setting chat.apprise.alerts: the environment has no NOT_SET"),
        ('[chat.channels.ops]\nwebhok = "x"', "webhok"),
    ],
)
def test_a_setting_that_cannot_be_used_ends_the_start_and_says_which(tmp_path: Path, toml: str, said: str) -> None:
    config = tmp_path / "tocsin.toml"
    config.write_text(toml)
    started = tocsin("serve", "--port", "0", "--data-dir", str(tmp_path / "data"), "--config", str(config))
    assert started.returncode == 2
    assert said in started.stderr
    assert "Traceback" not in started.stderr


def test_explain_tells_of_a_channel_that_the_settings_do_not_know(told: RunningServer) -> None:
    sns, events, chatbot = (told.client(service) for service in ("sns", "events", "chatbot"))
    topic = sns.create_topic(Name="forgotten")["TopicArn"]
    events.put_rule(Name="forgotten", EventPattern='{"source": ["nobody"]}')
    events.put_targets(Rule="forgotten", Targets=[{"Id": "topic", "Arn": topic}])

    def obstacles() -> list[str]:
        with connect(told) as connection:
            found: list[str] = ask(connection, "GET", "/_tocsin/v1/explain?rule=forgotten").json["obstacles"]
        return found

    assert "no confirmed subscription and no chat's channel" in obstacles()[0]
    chatbot.create_slack_channel_configuration(
        ConfigurationName="lost-room",
        SlackTeamId="T9",
        SlackChannelId="C9",
        IamRoleArn=f"arn:aws:iam::{ACCOUNT}:role/r",
        SnsTopicArns=[topic],
    )
    said = "The channel lost-room hears the topic forgotten of target topic, and the settings name no webhook or token"
    assert obstacles() == [f"{said} for it: its posts wait."]


def test_what_is_owed_and_the_threads_live_through_a_kill(tmp_path: Path, chat: StandIn) -> None:
    config = tmp_path / "tocsin.toml"
    config.write_text(f'[chat]\nslack_api = "{chat.url}/killed"\n[chat.workspaces.T1]\ntoken = "{TOKEN}"\n')
    path = "/killed/chat.postMessage"
    chat.answers[path] = [slack_says(ok=True, ts="2.1"), says(503)]
    server = RunningServer(tmp_path / "data", "--config", str(config))
    sns, chatbot = server.client("sns"), server.client("chatbot")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    chatbot.create_slack_channel_configuration(
        ConfigurationName="room",
        SlackTeamId="T1",
        SlackChannelId="C1",
        IamRoleArn=f"arn:aws:iam::{ACCOUNT}:role/r",
        SnsTopicArns=[topic],
    )
    for status in ("Unhealthy", "Healthy"):
        sns.publish(TopicArn=topic, Message=json.dumps({"detail-type": HEALTH, "detail": health(status)}))
    eventually(lambda: len(chat.posts(path)) >= 2, "the recovery's first try")
    server.kill()
    chat.answers[path] = [slack_says(ok=True, ts="2.2")]
    tried = len(chat.posts(path))
    server = RunningServer(tmp_path / "data", "--config", str(config))
    eventually(lambda: len(chat.posts(path)) > tried, "the recovery after the restart")
    assert chat.posts(path)[-1]["thread_ts"] == "2.1"
    assert server.stop() == 0
