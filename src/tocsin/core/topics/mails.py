"""Notifications as mails: the plain text as AWS sends it, the confirmation, the digest. Links come in as arguments.

A subject or address never carries a line break (`core/topics/messages.py`, `subscriptions.py` refuse them).
"""

from collections.abc import Sequence
from html import escape

from msgspec import Struct

from tocsin.core.cards import Card, Hints, html, read_card
from tocsin.core.topics.envelope import timestamp
from tocsin.core.topics.messages import SUBJECT_CHARS_MAX
from tocsin.model.topic import HeldMail, Subscription, Topic, TopicMessage

SUBJECT = "AWS Notification Message"
CONFIRM_SUBJECT = "AWS Notification - Subscription Confirmation"
GOODBYE_SUBJECT = "AWS Notification - Unsubscribe Confirmation"
LINE_CHARS_MAX = 300


class Mail(Struct, frozen=True, kw_only=True):
    """What the carrier makes a message of. `html` is empty for plain text alone, `unsubscribe` where nobody can."""

    to: str
    subject: str
    text: str
    html: str = ""
    sender_name: str = ""
    unsubscribe: str = ""


def footed(text: str, unsubscribe_url: str) -> str:
    return (
        f"{text}\n\n--\n"
        "If you wish to stop receiving notifications from this topic, please click or visit the link below to "
        f"unsubscribe:\n{unsubscribe_url}\n"
    )


def confirmation(topic: Topic, subscription: Subscription, confirm_url: str) -> Mail:
    text = (
        "You have chosen to subscribe to the topic:\n"
        f"{topic.arn}\n\n"
        "To confirm this subscription, click or visit the link below (If this was in error no action is necessary):\n"
        f"{confirm_url}\n\n"
        "The link works for two days.\n"
    )
    return Mail(to=subscription.endpoint, subject=CONFIRM_SUBJECT, text=text)


def goodbye(subscription: Subscription, return_url: str) -> Mail:
    text = (
        "Your subscription to the topic below has been deactivated:\n"
        f"{subscription.topic_arn}\n\n"
        "If this was in error, click or visit the link below within two days to subscribe again:\n"
        f"{return_url}\n"
    )
    return Mail(to=subscription.endpoint, subject=GOODBYE_SUBJECT, text=text)


def notice(
    topic: Topic, subscription: Subscription, message: TopicMessage, text: str, unsubscribe_url: str, hints: Hints
) -> Mail:
    """One message. `text` is what the protocol's readers get; who asked for HTML gets a card of it beside."""
    card = read_card(text, hints) if subscription.attributes.get("MailFormat") == "html" else None
    return Mail(
        to=subscription.endpoint,
        subject=message.subject or (subject_of(card) if card else SUBJECT),
        text=footed(text, unsubscribe_url),
        html=html(card, f'<a href="{escape(unsubscribe_url)}">Unsubscribe</a> from {topic.arn}') if card else "",
        sender_name=topic.attributes.get("DisplayName", ""),
        unsubscribe=unsubscribe_url,
    )


def subject_of(card: Card) -> str:
    """A card's title as a header: one line."""
    return " ".join(card.title.split())[:SUBJECT_CHARS_MAX] or SUBJECT


def digest(topic: Topic, subscription: Subscription, held: Sequence[HeldMail], more: int, unsubscribe_url: str) -> Mail:
    """One mail for all of `held`; `more` are left for the next."""
    text = (
        f"{len(held)} more messages were published to the topic\n{topic.arn}\n"
        "faster than this subscription is written to. Here is each of them in a line:\n\n"
        + "\n".join(f"{timestamp(one.at_ms)}  {one.line}" for one in held)
        + (f"\n\n{more} more follow with the next mail." if more else "")
    )
    return Mail(
        to=subscription.endpoint,
        subject=f"{len(held)} more notifications of {topic.name}",
        text=footed(text, unsubscribe_url),
        sender_name=topic.attributes.get("DisplayName", ""),
        unsubscribe=unsubscribe_url,
    )


def in_a_line(message: TopicMessage, text: str, hints: Hints) -> str:
    """A message as a digest lists it: an event by its title and reason, another by its beginning."""
    card = read_card(text, hints)
    said = ". ".join(filter(None, (message.subject, card.title, card.text))) if card.facts else text
    words = " ".join((said if card.facts or not message.subject else f"{message.subject}: {text}").split())
    return words if len(words) <= LINE_CHARS_MAX else f"{words[: LINE_CHARS_MAX - 1]}…"
