"""Posts cards to channels: one at a time to each, no faster than its chat takes them, threads kept where there are any.

The outbox hands over what services/chats.py owed. Where a channel is posted to comes from the settings.
"""

import json
import logging
from typing import Any

import msgspec
from msgspec.structs import replace

from tocsin.core.chat_answers import (
    SLACK_THREAD_GONE,
    Answer,
    by_status,
    of_slack_api,
    of_slack_webhook,
    of_teams_webhook,
)
from tocsin.model.chat import ChatConfiguration, Post, Provider, chat_scope
from tocsin.model.outbound import Outbound, Outcome, Verdict
from tocsin.ports import Clock, Store
from tocsin.targets.chats.addresses import Address, Addresses
from tocsin.targets.chats.pace import PAUSE_S, Pace
from tocsin.targets.chats.posting import Poster
from tocsin.targets.chats.threads import Threads

log = logging.getLogger(__name__)

BY_WEBHOOK = {
    Provider.SLACK: of_slack_webhook,
    Provider.TEAMS: of_teams_webhook,
    Provider.CHIME: by_status,
}
# Nobody fixes the settings faster, and a restart tries again at once.
UNADDRESSED_PAUSE_S = 300.0


class ChatCarrier:
    """See ports.Carrier. `slack_api` is the base of Slack's methods."""

    def __init__(self, *, store: Store, clock: Clock, poster: Poster, addresses: Addresses, slack_api: str) -> None:
        self._store = store
        self._clock = clock
        self._poster = poster
        self._addresses = addresses
        self._post_message = f"{slack_api.rstrip('/')}/chat.postMessage"
        self._threads = Threads(store, clock)
        self._pace = Pace(clock)
        self._missed: set[str] = set()

    async def carry(self, outbound: Outbound) -> Outcome:
        post = msgspec.convert(outbound.about, Post)
        configuration = await self._store.get(ChatConfiguration, chat_scope(post.account), post.configuration)
        if configuration is None:
            return _never("The chat configuration was deleted.")
        address = self._addresses.of(configuration)
        if address is None:
            return self._unaddressed(configuration)
        with self._pace.turn(configuration.arn, PAUSE_S[configuration.provider]) as turn:
            if turn.wait_s > 0:
                return Outcome(verdict=Verdict.NOT_YET, after_s=turn.wait_s)
            outcome = await self._posted(configuration, address, post, outbound.body)
            turn.ended(outcome.after_s)
            return outcome

    async def _posted(self, one: ChatConfiguration, address: Address, post: Post, body: str) -> Outcome:
        if address.webhook:
            answer = await self._poster.post(address.webhook, body.encode(), {})
            return answer if isinstance(answer, Outcome) else BY_WEBHOOK[one.provider](answer, self._clock.now())
        if one.provider is not Provider.SLACK:
            return _never(f"A token posts to Slack only; {one.name} needs a webhook.")
        return await self._by_slacks_api(one, address, post, json.loads(body))

    async def _by_slacks_api(
        self, one: ChatConfiguration, address: Address, post: Post, body: dict[str, Any]
    ) -> Outcome:
        thread = await self._threads.open(one, post.thread) if post.thread else None
        content = body | {"channel": one.channel} | ({"thread_ts": thread.ts} if thread else {})
        headers = {"Authorization": f"Bearer {address.token}"}
        answer = await self._poster.post(self._post_message, json.dumps(content, ensure_ascii=False).encode(), headers)
        if not isinstance(answer, Answer):
            return answer
        said = of_slack_api(answer, self._clock.now())
        if said.outcome.verdict is Verdict.DELIVERED:
            await self._threads.keep(one, post, thread, ts=said.ts)
            for name in post.closes:
                if ended := await self._threads.open(one, name):
                    await self._threads.close(ended)
        elif thread is not None and said.error in SLACK_THREAD_GONE:
            await self._threads.close(thread)
            return replace(said.outcome, verdict=Verdict.AGAIN)
        return said.outcome

    def _unaddressed(self, one: ChatConfiguration) -> Outcome:
        """Said once in the log for each configuration, and owed on: it is posted once somebody has put that right."""
        said = f"[chat.channels.{one.name}] names no webhook and no token"
        if one.arn not in self._missed:
            self._missed.add(one.arn)
            log.warning("%s cannot be posted to: %s", one.arn, said)
        return Outcome(verdict=Verdict.AGAIN, code="NO_RESOURCE", message=f"{said}.", after_s=UNADDRESSED_PAUSE_S)


def _never(message: str) -> Outcome:
    return Outcome(verdict=Verdict.NEVER, code="NO_RESOURCE", message=message)
