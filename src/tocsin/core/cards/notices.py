"""Messages that are no HyperPod events, as cards: custom notifications, CloudWatch alarms, other events, plain text."""

import json

from tocsin.core.cards.card import Card, Tone, facts
from tocsin.core.cards.content import Json, member_of, text_of, texts_of

ALARM_TONES = {"ALARM": Tone.BAD, "OK": Tone.GOOD}


def is_custom(content: Json) -> bool:
    """The schema of custom notifications, 1.0: it must say so itself, and must describe something."""
    return (
        text_of(content, "version") == "1.0"
        and text_of(content, "source") == "custom"
        and bool(text_of(member_of(content, "content"), "description"))
    )


def custom(content: Json) -> Card:
    """Title, description in the chat's own markdown, next steps and keywords; the rest of it is not shown, as by AWS.

    `threadId` puts messages into one thread; `summary` is what a notification shows.
    """
    said, metadata = member_of(content, "content"), member_of(content, "metadata")
    return Card(
        tone=Tone.INFO,
        title=text_of(said, "title"),
        summary=text_of(metadata, "summary"),
        markdown=text_of(said, "description"),
        steps=texts_of(said, "nextSteps"),
        keywords=texts_of(said, "keywords"),
        footer=text_of(metadata, "eventType"),
        thread=f"custom/{thread}" if (thread := text_of(metadata, "threadId")) else "",
    )


def is_alarm(content: Json) -> bool:
    return bool(text_of(content, "AlarmName") and text_of(content, "NewStateValue"))


def alarm(content: Json) -> Card:
    """A CloudWatch alarm as CloudWatch publishes it to a topic."""
    state, old = text_of(content, "NewStateValue"), text_of(content, "OldStateValue")
    name, trigger = text_of(content, "AlarmName"), member_of(content, "Trigger")
    metric = " ".join(filter(None, (text_of(trigger, "Namespace"), text_of(trigger, "MetricName"))))
    return Card(
        tone=ALARM_TONES.get(state, Tone.INFO),
        title=f"{state}: {name}",
        text=text_of(content, "NewStateReason"),
        facts=facts(
            ("State", f"{old} → {state}" if old else state),
            ("Metric", metric),
            ("Description", text_of(content, "AlarmDescription")),
        ),
        footer=" · ".join(filter(None, (text_of(content, "Region"), text_of(content, "StateChangeTime")))),
        thread=f"alarm/{text_of(content, 'AlarmArn') or name}",
        ends=state == "OK",
    )


def other_event(event: Json) -> Card:
    """An event of any other kind: its head as facts, its detail as it is."""
    return Card(
        tone=Tone.INFO,
        title=text_of(event, "detail-type"),
        facts=facts(("Source", text_of(event, "source")), ("Resources", ", ".join(texts_of(event, "resources")))),
        code=json.dumps(event.get("detail"), indent=2, ensure_ascii=False),
    )


def plain(text: str, subject: str, topic: str) -> Card:
    """Whatever else was published. AWS says nothing of these; a person who published one expects to see it."""
    return Card(tone=Tone.INFO, title=subject or f"Message on {topic}", text=text)


def unknown(content: object, subject: str, topic: str) -> Card:
    """JSON that is nothing of the above, as it is."""
    shown = json.dumps(content, indent=2, ensure_ascii=False)
    return Card(tone=Tone.INFO, title=subject or f"Message on {topic}", code=shown)
