"""Posts to the HTTP endpoints of topics' subscriptions. The outbox hands over what is owed; body and headers are made.

What SNS tries again: time-outs, a peer that is away, 429 and 5xx. Any other answer but 2xx ends it (AWS, message
delivery retries).
"""

import asyncio
from collections import Counter

import msgspec
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout

from tocsin.core.patience import asked_pause_s
from tocsin.core.topics.retries import RetrySchedule
from tocsin.model.outbound import Outbound, Outcome, Verdict
from tocsin.ports import Clock
from tocsin.targets.paces import Paces

TIME_LIMIT_S = 15.0  # "within 15 seconds" (AWS, HTTP endpoints)
ANSWER_BYTES_MAX = 500  # of an answer, told with its status
TIMEOUT, THROTTLING, FROM_TARGET = "TIMEOUT", "THROTTLING", "ERROR_FROM_TARGET"
TOO_MANY = 429


class EndpointCarrier:
    def __init__(self, session: ClientSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._paces = Paces(clock)
        self.counts: Counter[str] = Counter(accepted=0, refused=0, failed=0, paced=0)

    async def carry(self, outbound: Outbound) -> Outcome:
        schedule = msgspec.convert(outbound.about["schedule"], RetrySchedule)
        if schedule.per_second_max:
            pause_s = await self._paces.turn(outbound.lane, outbound.lane, schedule.per_second_max)
            if pause_s > 0:
                self.counts["paced"] += 1
                return Outcome(verdict=Verdict.NOT_YET, after_s=pause_s)
        outcome = await self._posted(outbound, schedule.delay_s(outbound.attempts))
        became = {Verdict.DELIVERED: "accepted", Verdict.NEVER: "refused"}.get(outcome.verdict, "failed")
        self.counts[became] += 1
        return outcome

    async def _posted(self, outbound: Outbound, delay_s: float) -> Outcome:
        try:
            async with self._session.post(
                outbound.about["url"],
                data=outbound.body.encode(),
                headers=outbound.about["headers"],
                timeout=ClientTimeout(total=TIME_LIMIT_S),
                allow_redirects=False,
            ) as answer:
                asked_s = asked_pause_s(answer.headers.get("Retry-After"), self._clock.now()) or 0
                return _judged(answer.status, await _said(answer), max(delay_s, asked_s))
        except TimeoutError:
            message = f"The endpoint did not answer within {TIME_LIMIT_S:g} seconds."
            return Outcome(verdict=Verdict.AGAIN, code=TIMEOUT, message=message, after_s=delay_s)
        except (ClientError, OSError, ValueError, asyncio.IncompleteReadError) as error:
            message = f"{type(error).__name__}: {error}"
            return Outcome(verdict=Verdict.AGAIN, code=FROM_TARGET, message=message, after_s=delay_s)


async def _said(answer: ClientResponse) -> str:
    head = await answer.content.read(ANSWER_BYTES_MAX)
    words = " ".join(head.decode(errors="replace").split())
    return f"{answer.status} {answer.reason or ''} {words}".strip()


def _judged(status: int, said: str, delay_s: float) -> Outcome:
    if 200 <= status < 300:
        return Outcome(verdict=Verdict.DELIVERED, message=said)
    if status == TOO_MANY or status >= 500:
        code = THROTTLING if status == TOO_MANY else FROM_TARGET
        return Outcome(verdict=Verdict.AGAIN, code=code, message=f"The endpoint answers {said}", after_s=delay_s)
    return Outcome(verdict=Verdict.NEVER, code=FROM_TARGET, message=f"The endpoint answers {said}")
