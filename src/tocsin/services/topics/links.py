"""Addresses on this server that stand in messages: what a reader opens, what an endpoint fetches.

`address` is where the readers reach the server, `console_link` what a card's button opens, `document` what looks into a
node. The tokens in the links entitle: nobody needs to sign.
"""

from collections.abc import Callable
from urllib.parse import urlencode

from tocsin.core.cards.hyperpod import INVESTIGATION
from tocsin.model.topic import Subscription

# Beside AWS's own queries (`?Action=…`), which an endpoint's program may look at, stand pages for people.
ROOT = "/_tocsin/sns"


class Links:
    def __init__(self, address: Callable[[], str], console_link: str = "", document: str = INVESTIGATION) -> None:
        self._address = address
        self.console_link = console_link
        self.document = document

    def certificate(self, name: str) -> str:
        return f"{self._address()}{ROOT}/{name}"

    def subscribe(self, subscription: Subscription) -> str:
        asked = {"Action": "ConfirmSubscription", "TopicArn": subscription.topic_arn, "Token": subscription.token}
        return self._asked("/", asked)

    def unsubscribe(self, subscription: Subscription) -> str:
        asked = {"Action": "Unsubscribe", "SubscriptionArn": subscription.arn, "Token": subscription.token}
        return self._asked("/", asked)

    def confirm_page(self, subscription: Subscription) -> str:
        asked = {"TopicArn": subscription.topic_arn, "Token": subscription.token, "Endpoint": subscription.endpoint}
        return self._asked("/confirmation.html", asked)

    def return_page(self, subscription: Subscription) -> str:
        asked = {"TopicArn": subscription.topic_arn, "Token": subscription.token, "Endpoint": subscription.endpoint}
        return self._asked("/return.html", asked)

    def unsubscribe_page(self, subscription: Subscription) -> str:
        asked = {"SubscriptionArn": subscription.arn, "Token": subscription.token, "Endpoint": subscription.endpoint}
        return self._asked("/unsubscribe.html", asked)

    def _asked(self, path: str, asked: dict[str, str]) -> str:
        return f"{self._address()}{ROOT}{path}?{urlencode(asked)}"
