"""The button of a card, from the event to what the command wrote, through a real server and a real agent."""

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec.structs import replace

from tests.chats.stand_in import StandIn, beside
from tests.commands.conftest import Fleet, cluster
from tests.doors.asking import Answer, ask, configured, connect
from tests.harness import REGION, RunningServer, eventually, free_port
from tocsin.core.cards.hyperpod import INVESTIGATION
from tocsin.core.tickets import Ticket, key_of, sealed
from tocsin.services.investigations import BUTTON, PATH

ACCOUNT = "111122223333"
HEALTH = "SageMaker HyperPod Cluster Node Health Event"


@pytest.fixture(scope="module")
def chat() -> Iterator[StandIn]:
    with beside() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def lab(chat: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A cluster of one node, and channels of Slack and Teams that hear the topic `alerts`."""
    toml = f"""
        public_url = "https://tocsin.example.com/ops"
        [chat.channels.slack-room]
        webhook = "{chat.url}/slack"
        [chat.channels.teams-room]
        webhook = "{chat.url}/teams"
    """
    with configured(tmp_path_factory.mktemp("look"), toml) as server:
        topic = server.client("sns").create_topic(Name="alerts")["TopicArn"]
        given = {"IamRoleArn": f"arn:aws:iam::{ACCOUNT}:role/r", "SnsTopicArns": [topic]}
        chatbot = server.client("chatbot")
        chatbot.create_slack_channel_configuration(
            ConfigurationName="slack-room", SlackTeamId="T1", SlackChannelId="C1", **given
        )
        some_id = "11111111-1111-1111-1111-111111111111"
        chatbot.create_microsoft_teams_channel_configuration(
            ConfigurationName="teams-room", ChannelId="19%3aa%40t", TeamId=some_id, TenantId=some_id, **given
        )
        found = cluster(server, ACCOUNT, 1)
        yield found
        server.client("sagemaker").delete_cluster(ClusterName="lab")


def event(lab: Fleet, account: str = ACCOUNT, status: str = "Unhealthy") -> str:
    summary = {"HealthStatus": status, "HealthStatusReason": "r", "RepairAction": "None", "Recommendation": ""}
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:cluster/{lab.cluster_id}"
    detail = {"ClusterName": "lab", "ClusterArn": arn, "InstanceId": lab.nodes[0], "HealthSummary": summary}
    return json.dumps({"account": account, "region": REGION, "detail-type": HEALTH, "detail": detail})


def published(lab: Fleet, chat: StandIn, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What Slack and Teams are posted."""
    before = {path: len(chat.posts(path)) for path in ("/slack", "/teams")}
    lab.server.client("sns").publish(TopicArn=f"arn:aws:sns:{REGION}:{ACCOUNT}:alerts", Message=text)
    for path, count in before.items():
        eventually(lambda: len(chat.posts(path)) > count, f"a post to {path}")  # noqa: B023
    return chat.posts("/slack")[-1], chat.posts("/teams")[-1]


def slack_buttons(card: dict[str, Any]) -> dict[str, str]:
    blocks = card["attachments"][0]["blocks"]
    found = [one for block in blocks for one in block.get("elements", []) if one["type"] == "button"]
    return {one["text"]["text"]: one["url"] for one in found}


def teams_buttons(card: dict[str, Any]) -> dict[str, str]:
    return {one["title"]: one["url"] for one in card["attachments"][0]["content"]["actions"]}


def ticket(lab: Fleet, **changes: Any) -> str:
    """A link's end as the server makes it, with the secret in its directory."""
    made = Ticket(
        account=ACCOUNT,
        region=REGION,
        cluster_id=lab.cluster_id,
        instance_id=lab.nodes[0],
        occasion=f"test {time.monotonic_ns()}",
        expires_ms=2**43,
    )
    text = sealed(replace(made, **changes), key_of((lab.server.data_dir / "secret").read_bytes()))
    return f"{PATH}?ticket={text}"


def look(lab: Fleet, link: str, method: str = "GET") -> Answer:
    with connect(lab.server) as connection:
        return ask(connection, method, link)


def run_of(lab: Fleet, link: str) -> str:
    """Press the button of the page; the command's id, as the page shows it."""
    pressed = look(lab, link, "POST")
    assert pressed.status == 303, pressed.body
    assert pressed.headers["location"] == link.removeprefix(PATH)
    shown = look(lab, link)
    assert shown.status == 200
    [command_id] = set(re.findall(r"<td>([0-9a-f-]{36})</td>", shown.body.decode()))
    return str(command_id)


def commands(lab: Fleet) -> int:
    return len(lab.ssm.list_commands()["Commands"])


def test_the_button_of_a_card_runs_the_command_once_and_shows_what_it_wrote(lab: Fleet, chat: StandIn) -> None:
    slack, teams = published(lab, chat, event(lab))
    url = slack_buttons(slack)[BUTTON]
    assert teams_buttons(teams)[BUTTON] == url  # one message, one run, whoever presses it where
    assert url.startswith(f"https://tocsin.example.com/ops{PATH}?ticket=")
    link = url.removeprefix("https://tocsin.example.com/ops")
    before = commands(lab)
    asked = look(lab, link)
    assert (asked.status, commands(lab)) == (200, before)  # scanners and previews look too
    page = asked.body.decode()
    assert INVESTIGATION in page
    assert lab.nodes[0] in page
    assert '<form method="post">' in page
    assert asked.headers["referrer-policy"] == "no-referrer"
    assert asked.headers["cache-control"] == "no-store"
    command_id = run_of(lab, link)
    assert run_of(lab, link) == command_id
    assert commands(lab) == before + 1
    [found] = lab.ssm.list_commands(CommandId=command_id)["Commands"]
    assert (found["DocumentName"], found["InstanceIds"]) == (INVESTIGATION, lab.nodes)
    lab.ended(command_id)
    done = look(lab, link).body.decode()
    assert "Success" in done
    assert "http-equiv" not in done  # what is over does not ask again
    assert "uname" in done or "kernel" in done.lower()


def test_a_page_asks_again_by_itself_while_the_command_runs(lab: Fleet) -> None:
    name = "Tocsin-CollectDiagnostics"
    first = run_of(lab, ticket(lab))
    [command] = lab.ssm.list_commands(CommandId=first)["Commands"]
    assert command["DocumentName"] == name
    link = ticket(lab)
    look(lab, link, "POST")
    shown = [look(lab, link).body.decode()]
    while "http-equiv" in shown[-1]:
        assert '<meta http-equiv="refresh" content="2">' in shown[-1]
        shown.append(look(lab, link).body.decode())
    assert "Success" in shown[-1]


def test_clicks_at_once_run_it_once(lab: Fleet) -> None:
    before, link = commands(lab), ticket(lab)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: look(lab, link, "POST").status, range(8)))
    assert answers == [303] * 8
    assert commands(lab) == before + 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_does_not_entitle_says_why_and_runs_nothing(lab: Fleet, method: str) -> None:
    before, good = commands(lab), ticket(lab)
    forged = look(lab, good[:-2] + ("AA" if good[-2:] != "AA" else "BB"), method)
    assert (forged.status, "was changed on its way" in forged.body.decode()) == (403, True)
    assert look(lab, PATH, method).status == 403
    late = look(lab, ticket(lab, expires_ms=1), method)
    assert (late.status, "has expired" in late.body.decode()) == (410, True)
    gone = look(lab, ticket(lab, instance_id="i-<script>"), method)
    assert gone.status == 410
    assert "i-&lt;script&gt;" in gone.body.decode()
    assert "<script>" not in gone.body.decode()
    elsewhere = look(lab, ticket(lab, account="999999999999"), method)
    assert (elsewhere.status, "is gone" in elsewhere.body.decode()) == (410, True)
    assert commands(lab) == before


def test_who_publishes_for_another_account_gets_no_button(lab: Fleet, chat: StandIn) -> None:
    slack, teams = published(lab, chat, event(lab, account="999999999999"))
    assert (slack_buttons(slack), teams_buttons(teams)) == ({}, {})


def test_a_node_that_is_well_again_has_no_button(lab: Fleet, chat: StandIn) -> None:
    slack, _ = published(lab, chat, event(lab, status="Healthy"))
    assert slack_buttons(slack) == {}


def test_a_card_runs_what_the_settings_name(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("own")
    with configured(folder, '[chat]\ninvestigate = "Look"\n') as server:
        lab = cluster(server, ACCOUNT, 1)
        link = ticket(lab)
        missing = look(lab, link, "POST")
        assert (missing.status, "Document with name Look does not exist" in missing.body.decode()) == (400, True)
        step = {"action": "aws:runShellScript", "name": "say", "inputs": {"runCommand": ["echo '<b>looked</b>'"]}}
        content = json.dumps({"schemaVersion": "2.2", "description": "Looks.", "mainSteps": [step]})
        lab.ssm.create_document(Name="Look", Content=content, DocumentType="Command", DocumentFormat="JSON")
        assert "Looks." in look(lab, link).body.decode()
        lab.ended(run_of(lab, link))
        lab.ssm.delete_document(Name="Look")  # what was run is shown all the same
        assert "&lt;b&gt;looked&lt;/b&gt;" in look(lab, link).body.decode()
        server.client("sagemaker").delete_cluster(ClusterName="lab")


def test_what_a_link_ran_is_remembered_over_a_kill(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, port = tmp_path_factory.mktemp("killed"), str(free_port())  # agents know no other address
    server = RunningServer(folder / "data", "--port", port)
    lab = cluster(server, ACCOUNT, 1)
    link = ticket(lab)
    command_id = run_of(lab, link)
    server.kill()
    server = RunningServer(folder / "data", "--port", port)
    lab = lab._replace(server=server, ssm=server.client("ssm"))
    assert run_of(lab, link) == command_id
    assert commands(lab) == 1
    lab.ended(command_id)
    assert server.stop() == 0
