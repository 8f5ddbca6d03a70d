"""One POST to a chat, within a time limit; whatever goes wrong on the way is an outcome, and names no address."""

import asyncio
import os
from collections.abc import Mapping

import aiohttp

from tocsin.core.chat_answers import BROKEN, REFUSED, TIMED_OUT, Answer
from tocsin.model.outbound import Outcome, Verdict

# Slack's answer repeats the message, which is some 20 KB at most, and more once it is escaped. What is longer is cut.
ANSWER_BYTES_MAX = 256 << 10
# The charset is said, because Teams counts a message without it twice.
JSON = "application/json; charset=utf-8"


class Poster:
    """`limit_s` is for the whole of it: connecting, sending, and the answer."""

    def __init__(self, session: aiohttp.ClientSession, limit_s: float) -> None:
        self._session = session
        self._limit_s = limit_s

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer | Outcome:
        """The answer, or why there is none."""
        try:
            async with asyncio.timeout(self._limit_s):
                return await self._answer(url, body, {"Content-Type": JSON, **headers})
        except TimeoutError:
            said = f"The chat did not answer within {self._limit_s:g} seconds."
            return Outcome(verdict=Verdict.AGAIN, code=TIMED_OUT, message=said)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError):
            said = "The address that is configured is no HTTP address."
            return Outcome(verdict=Verdict.NEVER, code=REFUSED, message=said)
        except (aiohttp.ClientError, OSError) as error:
            said = f"The chat cannot be reached: {_why(error)}."
            return Outcome(verdict=Verdict.AGAIN, code=BROKEN, message=said)

    async def _answer(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            content = b""
            async for part in response.content.iter_any():
                content += part
                if len(content) > ANSWER_BYTES_MAX:
                    break
            found = {name.lower(): value for name, value in response.headers.items()}
            return Answer(status=response.status, headers=found, body=content)


def _why(error: aiohttp.ClientError | OSError) -> str:
    """The system's words for it, else the kind of error: its own text may hold the address."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number and number > 0 else type(error).__name__
