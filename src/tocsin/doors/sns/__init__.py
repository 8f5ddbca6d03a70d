"""The SNS door: topics, subscriptions and publishing over AWS's operations; the pages behind the links in messages."""

from tocsin.doors.sns.door import sns_door
from tocsin.doors.sns.pages import Pages

__all__ = ["Pages", "sns_door"]
