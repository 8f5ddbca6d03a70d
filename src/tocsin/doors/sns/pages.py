"""What the links in messages open: the certificate, AWS's own queries for programs, pages for people.

Nobody signs here: the token in the link entitles. Opening a mail's link confirms the first time, as on AWS; later it
changes nothing yet, for mail scanners open links too: the page's button does, or a mail program's own (RFC 8058).
"""

import html
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tocsin.doors.page import code, page
from tocsin.doors.sns.naming import subscription_place, topic_place
from tocsin.model.errors import AwsError
from tocsin.services.topics import Topics
from tocsin.services.topics.links import ROOT

NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/"


class Pages:
    def __init__(self, topics: Topics, now_ms: Callable[[], int], new_id: Callable[[], str]) -> None:
        self._topics = topics
        self._now_ms = now_ms
        self._new_id = new_id

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{ROOT}/", self.query, methods=["GET", "POST"]),
            Route(f"{ROOT}/confirmation.html", self.confirm),
            Route(f"{ROOT}/return.html", self.ask_back),
            Route(f"{ROOT}/return.html", self.confirm, methods=["POST"]),
            Route(f"{ROOT}/unsubscribe.html", self.ask),
            Route(f"{ROOT}/unsubscribe.html", self.leave, methods=["POST"]),
            Route(f"{ROOT}/{{name}}.pem", self.certificate),
        ]

    async def certificate(self, request: Request) -> Response:
        if f"{request.path_params['name']}.pem" != self._topics.signer.name:
            return Response("There is no such certificate.\n", status_code=404, media_type="text/plain")
        return Response(self._topics.signer.certificate, media_type="application/x-pem-file")

    async def query(self, request: Request) -> Response:
        """ConfirmSubscription and Unsubscribe as AWS's links ask for them, answered in its XML."""
        action = request.query_params.get("Action", "")
        try:
            if action == "ConfirmSubscription":
                confirmed = await self._confirmed(request)
                result = f"<SubscriptionArn>{html.escape(confirmed.arn)}</SubscriptionArn>"
                return self._xml(f"<ConfirmSubscriptionResult>{result}</ConfirmSubscriptionResult>", action)
            if action == "Unsubscribe":
                await self._left(request)
                return self._xml("", action)
        except AwsError as error:
            said = f"<Error><Type>Sender</Type><Code>{error.code}</Code>"
            said += f"<Message>{html.escape(error.message)}</Message></Error>"
            return self._xml(said, "Error", error.status)
        said = "<Error><Type>Sender</Type><Code>InvalidAction</Code>"
        return self._xml(
            f"{said}<Message>Only the links of messages are followed here.</Message></Error>", "Error", 400
        )

    def _xml(self, inner: str, action: str, status: int = 200) -> Response:
        request_id = f"<RequestId>{self._new_id()}</RequestId>"
        tail = request_id if action == "Error" else f"<ResponseMetadata>{request_id}</ResponseMetadata>"
        text = f'<{action}Response xmlns="{NAMESPACE}">{inner}{tail}</{action}Response>'
        return Response(text, status_code=status, media_type="text/xml")

    async def confirm(self, request: Request) -> Response:
        try:
            confirmed = await self._confirmed(request)
        except AwsError as error:
            return _failed("This link does not work", error)
        return page(
            "Subscription confirmed",
            f"<p>{code(confirmed.endpoint)} is subscribed to the topic {code(confirmed.topic_arn)}.</p>"
            f"<p>Its id is {code(confirmed.arn)}. Every message has a link to unsubscribe.</p>",
        )

    async def ask(self, request: Request) -> Response:
        return page(
            "Unsubscribe?",
            f"<p>{code(request.query_params.get('Endpoint', 'You'))} will get no more messages of the subscription "
            f"{code(request.query_params.get('SubscriptionArn', ''))}.</p>"
            '<form method="post"><button>Unsubscribe</button></form>',
        )

    async def ask_back(self, request: Request) -> Response:
        return page(
            "Subscribe again?",
            f"<p>{code(request.query_params.get('Endpoint', 'You'))} will get the messages of the topic "
            f"{code(request.query_params.get('TopicArn', ''))} again.</p>"
            '<form method="post"><button>Subscribe</button></form>',
        )

    async def leave(self, request: Request) -> Response:
        try:
            left = await self._left(request)
        except AwsError as error:
            return _failed("Nothing was unsubscribed", error)
        return page(
            "Unsubscribed",
            f"<p>{code(left.endpoint)} gets no more messages of the topic {code(left.topic_arn)}.</p>"
            "<p>If this was in error, the link in the message that says good-bye works for two days.</p>",
        )

    async def _confirmed(self, request: Request) -> Any:
        scope, topic = topic_place(request.query_params.get("TopicArn", ""))
        token = request.query_params.get("Token", "")
        return await self._topics.subscriptions.confirm(scope, topic, token, self._now_ms())

    async def _left(self, request: Request) -> Any:
        scope, key = subscription_place(request.query_params.get("SubscriptionArn", ""))
        token = request.query_params.get("Token", "")
        return await self._topics.subscriptions.leave(scope, key, token, self._now_ms())


def _failed(title: str, error: AwsError) -> Response:
    return page(title, f"<p>{html.escape(error.message)}</p><p>Subscribe again to get a new one.</p>", error.status)
