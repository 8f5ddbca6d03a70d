"""Events at full rate while the server falls again and again: all that was accepted arrives, or lies in its queue.

TOCSIN_CRASH_KILLS (3) says how often it falls, TOCSIN_CRASH_SEED (1) when and what goes wrong at the peer.
"""

import asyncio
import os
import random
import threading
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import orjson
from botocore.exceptions import BotoCoreError, ClientError
from msgspec.structs import replace

from tests.auditing import read_world
from tests.harness import REGION, WAIT_S, RunningServer, eventually
from tests.peer import Answer, HttpPeer, Seen
from tocsin.backends.sqlite import SqliteStore
from tocsin.core.audit import World, audit, unrest
from tocsin.model.queue import Queue, QueueMessage
from tocsin.server.kinds import KINDS

KILLS = int(os.environ.get("TOCSIN_CRASH_KILLS", "3"))
SEED = int(os.environ.get("TOCSIN_CRASH_SEED", "1"))
ACCEPTED_MIN = 100
ACCOUNT, WRITERS = "111122223333", 3
GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/events"


WAYS = (
    Answer(),
    Answer(status=503),
    Answer(status=429, headers={"Retry-After": "1"}),
    Answer(raw=b"garbage\r\n\r\n"),
    Answer(status=400),
    Answer(hangs=True),
)
WEIGHTS = (80, 7, 5, 3, 3, 0.5)


class FlakyPeer(HttpPeer):
    """Takes most, and now and then fails in every way there is. `taken` are the bodies it took."""

    def __init__(self, chance: random.Random) -> None:
        self.well = False
        self.taken: list[bytes] = []
        self._chance = chance
        super().__init__()

    def took(self, seen: Seen) -> Answer:
        answer = Answer() if self.well else self._chance.choices(WAYS, WEIGHTS)[0]
        if answer.status == 200 and answer.raw is None and not answer.hangs:
            self.taken.append(seen.body.encode())
        return answer


class Running:
    """The server, and the clients of the one that runs now."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.accepted: dict[str, int] = {}  # event id -> the number it bears
        self._lock = threading.Lock()
        self._numbers = iter(range(10**9))
        self.server = RunningServer(data)

    def fall(self, after_s: float) -> None:
        threading.Event().wait(after_s)
        self.server.kill()
        self.server = RunningServer(self.data)

    def write(self, over: threading.Event) -> None:
        """Put events, ten at a time, as fast as they are taken. What is not answered may be there or not."""
        while not over.is_set():
            server = self.server
            events = server.client("events", ACCOUNT)
            try:
                while not over.is_set():
                    with self._lock:
                        numbers = [next(self._numbers) for _ in range(10)]
                    put = events.put_events(Entries=list(map(entry, numbers))).get("Entries")
                    if put is None:  # the head of an answer whose body did not come
                        continue
                    with self._lock:
                        self.accepted |= {one["EventId"]: n for one, n in zip(put, numbers, strict=True)}
            except (BotoCoreError, ClientError):
                over.wait(0.02)

    def put_last(self) -> str:
        """Its event id."""
        put = self.server.client("events", ACCOUNT).put_events(Entries=[entry(next(self._numbers))])
        return str(put["Entries"][0]["EventId"])

    def owed(self) -> Any:
        url = f"{self.server.endpoint}/_tocsin/v1/deliveries?account={ACCOUNT}&region={REGION}"
        with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
            return orjson.loads(answer.read())["owed"]


def entry(number: int) -> dict[str, Any]:
    return {"Source": "my.app", "DetailType": "t", "Detail": orjson.dumps({"number": number}).decode()}


def aim(running: Running, peer: HttpPeer) -> None:
    """One rule with a log group, a queue and an API destination; and the queue of dead letters."""
    events, logs, sqs = (running.server.client(name, ACCOUNT) for name in ("events", "logs", "sqs"))
    logs.create_log_group(logGroupName="/events")
    for name in ("q", "dlq"):
        sqs.create_queue(QueueName=name)
    key = {"ApiKeyAuthParameters": {"ApiKeyName": "x", "ApiKeyValue": "y"}}
    connection = events.create_connection(Name="c", AuthorizationType="API_KEY", AuthParameters=key)["ConnectionArn"]
    destination = events.create_api_destination(
        Name="d", ConnectionArn=connection, InvocationEndpoint=f"{peer.url}/hook", HttpMethod="POST"
    )["ApiDestinationArn"]
    events.update_api_destination(Name="d", InvocationRateLimitPerSecond=5000)
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:"
    events.put_rule(Name="all", EventPattern='{"source":["my.app"]}')
    events.put_targets(
        Rule="all",
        Targets=[
            {"Id": "log", "Arn": GROUP},
            {"Id": "queue", "Arn": f"{queue}q"},
            {
                "Id": "out",
                "Arn": destination,
                "RetryPolicy": {"MaximumRetryAttempts": 2},
                "DeadLetterConfig": {"Arn": f"{queue}dlq"},
            },
        ],
    )


class Left(msgspec.Struct):
    """What a stopped server left."""

    world: World
    queues: dict[str, list[QueueMessage]]


def left(data: Path, peer: FlakyPeer) -> Left:
    async def read() -> Left:
        store = await SqliteStore.open(data, KINDS)
        try:
            world = await read_world(store, {})
            queues = {queue.id: queue.name for queue in await store.find(Queue)}
            messages: dict[str, list[QueueMessage]] = defaultdict(list)
            for message in await store.find(QueueMessage):
                messages[queues[message.queue_id]].append(message)
        finally:
            await store.close()
        [rule] = world.rules
        out = next(target.arn for target in rule.targets if target.id == "out")
        carried = {(rule.arn, "out"): ids(peer.taken)}
        buried = {(rule.arn, out): ids(one.body.encode() for one in messages["dlq"])}
        return Left(replace(world, carried=carried, buried=buried), messages)

    return asyncio.run(read())


def ids(bodies: Iterable[bytes]) -> list[str]:
    return [orjson.loads(body)["id"] for body in bodies]


def test_all_that_was_accepted_is_delivered_or_a_dead_letter_whenever_the_server_falls(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    peer, running, over = FlakyPeer(random.Random(SEED)), Running(tmp_path / "data"), threading.Event()
    try:
        aim(running, peer)
        writers = [threading.Thread(target=running.write, args=(over,)) for _ in range(WRITERS)]
        for writer in writers:
            writer.start()
        for _ in range(KILLS):
            running.fall(chance.uniform(0.0, 1.0))
        eventually(lambda: len(running.accepted) > ACCEPTED_MIN, "there is something to lose")
        over.set()
        for writer in writers:
            writer.join(WAIT_S)
        peer.well = True
        last = running.put_last().encode()
        eventually(lambda: any(last in body for body in peer.taken), "all before the last event is routed", every_s=0.2)
        eventually(lambda: running.owed() == 0, "nothing is owed any more", every_s=0.2)
        assert running.server.stop() == 0
        check(left(running.data, peer), running, peer)
    finally:
        over.set()
        running.server.process.kill()
        peer.close()


def check(found: Left, running: Running, peer: FlakyPeer) -> None:
    assert audit(found.world) == []
    assert unrest(replace(found.world, machines=None)) == []
    accepted = set(running.accepted)
    assert len(accepted) > ACCEPTED_MIN
    [rule] = found.world.rules
    assert found.world.delivered is not None
    logged = Counter(ids(line.message.encode() for line in found.world.delivered[rule.arn, "log"]))
    queued = Counter(ids(one.body.encode() for one in found.queues["q"]))
    taken, dead = Counter(ids(peer.taken)), Counter(ids(one.body.encode() for one in found.queues["dlq"]))
    assert {name: logged[name] for name in accepted if logged[name] != 1} == {}, "inside our own store: exactly once"
    assert {name: queued[name] for name in accepted if queued[name] != 1} == {}
    assert accepted <= taken.keys() | dead.keys(), "delivered or dead-lettered"
    assert taken.keys() | dead.keys() <= logged.keys(), "nothing comes out of nowhere"
    numbers = Counter(orjson.loads(entry.event.body)["detail"]["number"] for entry in found.world.journal)
    assert max(numbers.values()) == 1, "an event put once has one id, however often it is delivered"
    print(
        f"{len(accepted)} accepted over {KILLS} kills: {len(taken)} delivered ({taken.total() - len(taken)} again), "
        f"{len(dead)} dead letters"
    )
