"""SNS: topics, subscriptions, and messages on their way to all who subscribed."""

from tocsin.services.topics.fanout import Hop
from tocsin.services.topics.links import Links
from tocsin.services.topics.publishing import Prepared, Sent
from tocsin.services.topics.settings import TopicsLimits
from tocsin.services.topics.signing import Signer
from tocsin.services.topics.topics import Topics

__all__ = ["Hop", "Links", "Prepared", "Sent", "Signer", "Topics", "TopicsLimits"]
