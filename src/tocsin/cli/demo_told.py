"""The demo's acts about who is told and what is done: a mail, a card, its button, and a command on the replacement."""

import html
import json
import queue
import re
import time
import urllib.request
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape

from tocsin.cli.demo_guests import MailServer, SlackRoom, card_buttons, card_text
from tocsin.services.investigations import COMMENT

TOPIC, READER = "hyperpod-alerts", "operator@demo.example"
DIAGNOSE = "Tocsin-CollectDiagnostics"
LIMIT_S = 20.0
LOOK_EVERY_S = 0.05
LINES_SHOWN = 12
CHARS_SHOWN = 160


class Missing(Exception):
    """Something that should have come did not."""


class Stage(Protocol):
    console: Console
    sns: Any
    ssm: Any
    events: Any
    chatbot: Any
    mail: MailServer
    slack: SlackRoom

    def say(self, text: str) -> None: ...

    def ask(self, call: str, request: Any) -> Any: ...


def settings(mail: MailServer, slack: SlackRoom) -> str:
    """The settings file of the demo's server: where mails and cards go."""
    return f"""
[mail]
host = "127.0.0.1"
port = {mail.port}
from_address = "tocsin@demo.example"

[chat.channels.demo-room]
webhook = "{slack.webhook}"
"""


def tell(stage: Stage, account: str, region: str, detail_type: str) -> None:
    """A topic that a person and a Slack channel hear, and two rules: one for the topic, one for the command."""
    topic = stage.ask(f"sns create-topic {TOPIC}", lambda: stage.sns.create_topic(Name=TOPIC)["TopicArn"])
    stage.ask(
        f"sns subscribe --protocol email {READER}",
        lambda: stage.sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=READER),
    )
    _confirm(stage)
    stage.ask(
        "chatbot create-slack-channel-configuration demo-room",
        lambda: stage.chatbot.create_slack_channel_configuration(
            ConfigurationName="demo-room",
            SlackTeamId="T0",
            SlackChannelId="C0",
            IamRoleArn=f"arn:aws:iam::{account}:role/chat",
            SnsTopicArns=[topic],
        ),
    )
    _rule(stage, "hyperpod-told", {"detail-type": [detail_type]}, {"Id": "topic", "Arn": topic})
    healthy = {"detail-type": [detail_type], "detail": {"HealthSummary": {"HealthStatus": ["Healthy"]}}}
    aim = {"RunCommandTargets": [{"Key": "event", "Values": ["$.detail.InstanceId"]}]}
    document = f"arn:aws:ssm:{region}::document/{DIAGNOSE}"
    _rule(stage, "hyperpod-look", healthy, {"Id": "look", "Arn": document, "RunCommandParameters": aim})


def _rule(stage: Stage, name: str, pattern: dict[str, Any], target: dict[str, Any]) -> None:
    text = json.dumps(pattern)
    stage.ask(f"events put-rule {name} {text}", lambda: stage.events.put_rule(Name=name, EventPattern=text))
    answer = stage.ask(
        f"events put-targets {name} → {target['Arn'].rpartition(':')[2]}",
        lambda: stage.events.put_targets(Rule=name, Targets=[target]),
    )
    if answer["FailedEntryCount"]:
        raise Missing(f"the target of {name} was refused: {answer['FailedEntries']}")


def _confirm(stage: Stage) -> None:
    """Open the link of the confirmation mail, as its reader would."""
    mail = _next(stage.mail.mails, "the confirmation mail")
    link = re.search(r"https?://\S+", _body(mail))
    if link is None:
        raise Missing("the confirmation mail holds no link")
    stage.console.print(f"  [green]←[/] mail: {escape(str(mail['Subject']))}", soft_wrap=True)
    with urllib.request.urlopen(link[0], timeout=LIMIT_S) as page:  # noqa: S310 - our own server's
        if page.status != 200:
            raise Missing(f"the link of the confirmation mail answers {page.status}")


def show_told(stage: Stage, instances: tuple[str, str]) -> None:
    """The mails and cards of a fault and its recovery, and what the command found on the replacement."""
    for instance in instances:
        mail = _about(stage.mail.mails, instance, "a mail", _body)
        stage.console.print(f"  [green]←[/] mail to {escape(str(mail['To']))}: {escape(str(mail['Subject']))}")
        for line in filter(None, _body(mail).splitlines()[:LINES_SHOWN]):
            stage.console.print(f"      [dim]{escape(line[:CHARS_SHOWN])}[/]", soft_wrap=True)
        card = _about(stage.slack.cards, instance, "a card", json.dumps)
        stage.console.print(f"  [green]←[/] card in Slack, {card['attachments'][0]['color']}:", highlight=False)
        for line in card_text(card):
            stage.console.print(f"      [dim]{escape(line)}[/]", soft_wrap=True)
    _show_command(stage, instances[-1])


def press_button(stage: Stage, instance: str) -> None:
    """Open the link of the card's button, as a preview would too, then press the page's own."""
    card = _about(stage.slack.cards, instance, "a card", json.dumps)
    [(name, link)] = card_buttons(card).items()
    stage.console.print(f"  [green]←[/] card in Slack, with the button \\[{escape(name)}]", highlight=False)
    with urllib.request.urlopen(link, timeout=LIMIT_S) as page:  # noqa: S310 - our own server's
        asked = _plain(page.read().decode())
    _demand(not _commands(stage, instance, COMMENT), "looking at the page ran the command")
    stage.console.print(f"      [dim]its page: {escape(asked[:CHARS_SHOWN])}…[/]", soft_wrap=True)
    for press in ("pressed", "pressed again: the same run"):
        with urllib.request.urlopen(link, b"", timeout=LIMIT_S) as page:  # noqa: S310
            shown = _plain(page.read().decode())
        stage.console.print(f"      [dim]{press}: {escape(shown[:CHARS_SHOWN])}…[/]", soft_wrap=True)
    _demand(len(_commands(stage, instance, COMMENT)) == 1, "the button did not run one command")
    _show_command(stage, instance)


def _commands(stage: Stage, instance: str, comment: str) -> list[Any]:
    found = stage.ssm.list_commands(InstanceId=instance)["Commands"]
    return [one for one in found if one["Comment"] == comment]


def _demand(true: object, otherwise: str) -> None:
    if not true:
        raise Missing(otherwise)


def _plain(page: str) -> str:
    """A page's text in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.partition("<body>")[2])).split())


def _show_command(stage: Stage, instance: str) -> None:
    began = time.monotonic()
    while time.monotonic() - began < LIMIT_S:
        found = stage.ssm.list_command_invocations(InstanceId=instance, Details=True)["CommandInvocations"]
        if found and found[0]["Status"] == "Success":
            output = stage.ssm.get_command_invocation(CommandId=found[0]["CommandId"], InstanceId=instance)
            lines = output["StandardOutputContent"].splitlines()
            stage.console.print(f"  [green]←[/] {DIAGNOSE} on {instance}: {found[0]['Status']}, {len(lines)} lines")
            for line in lines[:LINES_SHOWN]:
                stage.console.print(f"      [dim]{escape(line)}[/]", soft_wrap=True)
            return
        time.sleep(LOOK_EVERY_S)
    raise Missing(f"{DIAGNOSE} did not succeed on {instance} within {LIMIT_S:g} s")


def _body(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    return "" if part is None else str(part.get_content())


def _about(arrivals: "queue.Queue[Any]", instance: str, what: str, text: Any) -> Any:
    """The next arrival that names the instance."""
    while True:
        found = _next(arrivals, f"{what} about {instance}")
        if instance in text(found):
            return found


def _next(arrivals: "queue.Queue[Any]", what: str) -> Any:
    try:
        return arrivals.get(timeout=LIMIT_S)
    except queue.Empty:
        raise Missing(f"{what} did not arrive within {LIMIT_S:g} s") from None


def settings_file(folder: Path, mail: MailServer, slack: SlackRoom) -> Path:
    """The settings file, where the server finds it."""
    file = folder / "tocsin.toml"
    file.write_text(settings(mail, slack))
    file.chmod(0o600)
    return file
