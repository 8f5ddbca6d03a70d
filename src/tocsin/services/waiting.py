"""A loop's rest: until there is news for it, or some time has passed on the clock that it is given."""

import asyncio

from tocsin.ports import Clock


async def news_or_pause(news: asyncio.Event, clock: Clock, pause_s: float) -> None:
    """Until `news` is set, `pause_s` seconds at most. Whoever waits clears it."""
    waiting = [asyncio.ensure_future(one) for one in (news.wait(), clock.sleep(pause_s))]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
