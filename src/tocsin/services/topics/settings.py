"""What can be set about topics, and what bounds them."""

from msgspec import Struct


class TopicsLimits(Struct, frozen=True, kw_only=True):
    """`[topics]` of the settings file."""

    # Mails one subscription gets in a minute; the others are listed in one digest. MailsPerMinute of a subscription
    # says otherwise for it.
    mails_per_minute: int = 10
    # Messages held for one subscription's digests: a hundred minutes of them.
    mails_held_max: int = 100_000
    topics_max: int = 100_000  # "Users can create at most 100,000 standard topics" (AWS, CreateTopic)
    # Of one topic: all of them are read for each publication.
    subscriptions_max: int = 10_000
