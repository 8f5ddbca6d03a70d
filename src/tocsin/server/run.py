"""Wiring, start and stop of the one process. Start: store, machines, loops, doors. Stop: the other way round."""

import asyncio
import contextlib
import logging
import random
import secrets
import shutil
import signal
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from msgspec import Struct
from starlette.applications import Starlette

from tocsin.backends.folders import BucketFolders
from tocsin.backends.sqlite import SqliteStore
from tocsin.core.faults import Catalogue
from tocsin.doors.bundles import Bundles
from tocsin.doors.chatbot import chatbot_door
from tocsin.doors.events import events_door
from tocsin.doors.front import Front
from tocsin.doors.identity import Identity
from tocsin.doors.links import Links
from tocsin.doors.logs import logs_door
from tocsin.doors.metrics import MetricsDoor, Sources
from tocsin.doors.nodes import NodesDoor
from tocsin.doors.own import OwnDoor
from tocsin.doors.own.hosts import HostsApi
from tocsin.doors.sagemaker import sagemaker_door
from tocsin.doors.sns import Pages, sns_door
from tocsin.doors.sqs import sqs_door
from tocsin.doors.ssm import ssm_door
from tocsin.doors.sts import sts_door
from tocsin.doors.upstream import Upstream
from tocsin.machines.held import HeldMachines
from tocsin.model.alarm import Alarm
from tocsin.model.archive import Archive, Replay
from tocsin.model.bus import EventBus
from tocsin.model.chat import ChatConfiguration, ChatPreferences, ChatThread
from tocsin.model.cluster import Cluster, Node, NodeCursor
from tocsin.model.cluster_event import ClusterEvent
from tocsin.model.command import Command, Document, Invocation, StepOutput
from tocsin.model.connection import ApiDestination, Connection, Credentials
from tocsin.model.governance import ComputeQuota, SchedulerConfig
from tocsin.model.host import Host, JoinToken
from tocsin.model.injection import Injection
from tocsin.model.logs import LogGroup, LogPolicy
from tocsin.model.mishap import Mishap
from tocsin.model.names import API_DESTINATION
from tocsin.model.noise import NoiseSetting, Window
from tocsin.model.outbound import Outbound
from tocsin.model.queue import Queue, QueueMessage
from tocsin.model.rule import Rule
from tocsin.model.tags import Tags
from tocsin.model.times import epoch_ms
from tocsin.model.topic import HeldMail, Publication, Subscription, Topic
from tocsin.orchestrators.slurm import Slurm
from tocsin.server import moto
from tocsin.server.chance import Chance
from tocsin.server.chat_settings import ChatSettings
from tocsin.server.chats import chat_carriers, read_chat
from tocsin.server.clock import SystemClock
from tocsin.server.faults import load_catalogue
from tocsin.server.http import endpoint_of, listen, served
from tocsin.server.keep import kept
from tocsin.server.providers import PROVIDERS, Surroundings
from tocsin.server.settings import Settings, SettingsError
from tocsin.server.worlds import RenewedWorlds, World
from tocsin.services.alarms import Alarms
from tocsin.services.bus import Bus
from tocsin.services.chats import Chats
from tocsin.services.commands import Commands, Documents, Drafting, Hearing, Output, Telling
from tocsin.services.connections import Connections
from tocsin.services.digests import Digests
from tocsin.services.drains import DrainService
from tocsin.services.fleet import Fleet
from tocsin.services.housekeeping import Housekeeping
from tocsin.services.injections import Injections
from tocsin.services.mishaps import Mishaps
from tocsin.services.noise import Noise
from tocsin.services.outbox import Outbox
from tocsin.services.outcomes import Outcomes
from tocsin.services.queues import Queues
from tocsin.services.replays import Replays
from tocsin.services.schedules import Schedules
from tocsin.services.topics import Signer, Topics
from tocsin.services.topics.fanout import HTTP_CARRIER
from tocsin.services.topics.mailing import CARRIER as MAIL_CARRIER
from tocsin.services.topics.signing import made
from tocsin.services.trials import Trials
from tocsin.targets.api_destinations import ApiDestinations, ApiDestinationTargets
from tocsin.targets.buses import BusTargets
from tocsin.targets.commands import CommandTargets
from tocsin.targets.http import BadCertificates, certificates, http_client
from tocsin.targets.loggroups import LogGroups
from tocsin.targets.mail import MailCarrier
from tocsin.targets.oauth import Tokens
from tocsin.targets.queues import DeadLetterQueues, QueueTargets
from tocsin.targets.subscribed import Subscribed
from tocsin.targets.topics import TopicTargets
from tocsin.targets.topics_http import EndpointCarrier

log = logging.getLogger(__name__)

KINDS = (
    *(
        Cluster,
        Node,
        NodeCursor,
        ClusterEvent,
        Alarm,
        Mishap,
        Injection,
        EventBus,
        Rule,
        Archive,
        Replay,
        LogGroup,
        LogPolicy,
    ),
    *(Queue, QueueMessage, Topic, Subscription, Publication, HeldMail, Outbound, Tags, NoiseSetting, Window),
    *(ChatConfiguration, ChatPreferences, ChatThread),
    *(Document, Command, Invocation, StepOutput),
    *(Connection, Credentials, ApiDestination),
    *(Host, JoinToken),
    *(SchedulerConfig, ComputeQuota),
)


class Ground(Struct, frozen=True):
    """What outlives a world: the address we are at, the server behind us, and what takes long to read."""

    endpoint: str
    upstream: Upstream | None
    certificates: ssl.SSLContext
    catalogue: Catalogue


async def serve(settings: Settings, ready: Callable[[str], None]) -> int:
    """Serve until SIGTERM or SIGINT, and answer the exit code. `ready` is called with the endpoint.

    Raises SettingsError when the address is taken, Locked when the data directory is.
    """
    listening = listen(settings)
    endpoint = endpoint_of(settings.host, listening)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(listening.close)
        ground = Ground(
            endpoint, await _upstream(settings, stack), _certificates(settings), load_catalogue(settings.health)
        )
        worlds = await _worlds(settings, ground, stack)
        http = await stack.enter_async_context(served(worlds.front, listening))
        worlds.start()
        stack.push_async_callback(worlds.stop)
        ready(endpoint)
        waiting = asyncio.create_task(stopping.wait())
        ends: list[asyncio.Future[Any]] = [waiting, http, worlds.ended]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return 0
        log.critical("a part of the server ended: %s", worlds.ended if worlds.ended.done() else http)
        return 1


async def _upstream(settings: Settings, stack: contextlib.AsyncExitStack) -> Upstream | None:
    """The server to which requests go on that are not for us. Raises MotoMissing."""
    url = settings.upstream
    if settings.with_moto:
        url = stack.enter_context(moto.moto_running(settings.account))
    return await stack.enter_async_context(Upstream(url)) if url else None


async def _worlds(settings: Settings, ground: Ground, stack: contextlib.AsyncExitStack) -> World | RenewedWorlds:
    """The one world there is; in test mode one after the other, in a folder that goes at the end."""
    if not settings.test_mode:
        return await stack.enter_async_context(_opened(settings, ground))
    root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-test-")))
    also_wiped = _also_wiped(settings, ground)
    worlds = RenewedWorlds(root, lambda place: _opened(settings.of_test(place), ground), also_wiped)
    await worlds.open()
    return worlds


def _also_wiped(settings: Settings, ground: Ground) -> Callable[[], Awaitable[None]] | None:
    """A reset goes for our own moto as well; an upstream of somebody else's keeps what it has."""
    if not settings.with_moto or ground.upstream is None:
        return None
    url = ground.upstream.url
    return lambda: asyncio.to_thread(moto.reset, url)


@contextlib.asynccontextmanager
async def _opened(settings: Settings, ground: Ground) -> AsyncIterator[World]:
    store = await SqliteStore.open(settings.data, KINDS, synced=not settings.test_mode)
    try:
        async with http_client(ground.certificates) as session, _assembled(settings, store, session, ground) as world:
            yield world
    finally:
        await store.close()
        if settings.test_mode:
            shutil.rmtree(settings.data)


def _certificates(settings: Settings) -> ssl.SSLContext:
    """Raises SettingsError."""
    try:
        return certificates(settings.outside)
    except BadCertificates as error:
        raise SettingsError(str(error)) from error


@contextlib.asynccontextmanager
async def _assembled(
    settings: Settings, store: SqliteStore, session: aiohttp.ClientSession, ground: Ground
) -> AsyncIterator[World]:
    """Front, loops and all they need. Machines end, or are let go, when this is left."""
    clock, chance, endpoint, catalogue = SystemClock(), Chance(), ground.endpoint, ground.catalogue
    settings.s3.mkdir(parents=True, exist_ok=True)
    links = Links()
    around = Surroundings(
        endpoint=endpoint,
        links=links,
        store=store,
        clock=clock,
        changed=lambda instance_id: fleet.changed(instance_id),
        take=lambda instance_id, report: nodes.take(instance_id, report),
        heard_through=lambda instance_id: fleet.heard_through(instance_id),
        node=lambda instance_id: fleet.node(instance_id),
        new_id=chance.request_id,
    )
    mishaps = Mishaps(store, clock, chance.request_id)
    provider = PROVIDERS[settings.machines.provider](settings, around)
    alarms = Alarms(store, clock, lambda scope: fleet.look_again(scope))
    fleet = Fleet(
        store=store,
        machines=HeldMachines(provider.machines, around.changed),
        links=provider.links,
        clock=clock,
        policy=settings.fleet,
        secret=kept(settings.data / "secret", lambda: secrets.token_bytes(32)),
        mishaps=mishaps,
        health=settings.health,
        ringing=alarms.ringing,
        free=lambda: drains.free if settings.slurm.enabled else None,
    )
    drains = DrainService(fleet, Slurm(settings.slurm.conf), clock, settings.slurm)
    queues = Queues(store=store, clock=clock, endpoint=lambda: endpoint, new_id=chance.request_id)
    chatting = read_chat(settings.chat)
    chats = Chats(
        store=store,
        arrived=lambda some: outbox.arrived(some),
        console_link=settings.chat.console_link,
        elsewhere=chatting.elsewhere.by_topic,
    )
    topics = Topics(
        store=store,
        clock=clock,
        queues=queues,
        signer=Signer(lambda: kept(settings.data / "sns-signing.pem", made)),
        address=lambda: settings.public_url.rstrip("/") or endpoint,
        new_id=chance.request_id,
        wake=lambda some: outbox.arrived(some),
        limits=settings.topics,
        demand_room=lambda: outbox.demand_room(),
        listeners=chats,
        console_link=settings.chat.console_link,
    )
    documents, buckets, telling = Documents(store), BucketFolders(settings.s3), Telling(fleet, topics)
    drafting = Drafting(store=store, nodes=fleet, documents=documents, buckets=buckets, new_id=chance.event_id)
    commands = Commands(
        store=store,
        clock=clock,
        nodes=fleet,
        links=provider.links,
        drafting=drafting,
        telling=telling,
        hearing=Hearing(store, clock, fleet, telling, Output(store, clock, buckets)),
        limits=settings.commands,
    )
    schedules = Schedules(store, clock)
    dead_letters = DeadLetterQueues(queues)
    tokens = Tokens(session, clock)
    connections = Connections(store, clock, tokens, chance.request_id)
    outcomes = Outcomes(store)
    mails, endpoints = MailCarrier(settings.mail, clock.now), EndpointCarrier(session, clock)
    outbox = Outbox(
        store=store,
        clock=clock,
        carriers=outcomes.tapped(
            {
                API_DESTINATION: ApiDestinations(store, clock, session, tokens),
                HTTP_CARRIER: Subscribed(endpoints, store),
                MAIL_CARRIER: Subscribed(mails, store),
                **chat_carriers(settings.chat, chatting, store, clock, session),
            }
        ),
        dead_letters=dead_letters,
        limits=settings.outbox,
        chance=random.random,
    )
    noise = Noise(store)
    bus = Bus(
        store=store,
        clock=clock,
        targets={
            "logs": LogGroups(store, granted=settings.events.grant_log_groups),
            "sqs": QueueTargets(queues),
            "events": BusTargets(store),
            "sns": TopicTargets(topics),
            "ssm": CommandTargets(commands, drafting),
            API_DESTINATION: ApiDestinationTargets(store, outbox),
        },
        dead_letters=dead_letters,
        rules_changed=schedules.changed,
        demand_room=outbox.demand_room,
        unrouted_max=settings.events.unrouted_max,
        noise=noise,
    )
    digests = Digests(noise=noise, bus=bus, store=store, clock=clock)
    replays = Replays(store, clock, lambda: outbox.full)
    housekeeping = Housekeeping(store, clock, settings.housekeeping)
    identity = Identity(settings.account, settings.region, settings.access_keys)
    nodes = NodesDoor(
        fleet=fleet,
        commands=commands,
        links=links,
        store=store,
        clock=clock,
        bundles=Bundles(settings.s3, ground.upstream.url if ground.upstream else None),
        beat_interval_s=settings.fleet.beat_interval_s,
        catalogue=catalogue,
        expect_gpus=settings.health.expect_gpus,
    )

    own = OwnDoor(
        fleet=fleet,
        bus=bus,
        outbox=outbox,
        noise=noise,
        store=store,
        clock=clock,
        new_event_id=chance.event_id,
        log_groups_granted=settings.events.grant_log_groups,
        mishaps=mishaps,
        hosts=HostsApi(provider.hosts, provider.linked),
        alarms=alarms,
        catalogue=catalogue,
        health=settings.health,
        injections=Injections(store, links, clock, chance.request_id),
        trials=Trials(store, clock, topics, chats, chance.request_id),
        outcomes=outcomes,
        chats=chats,
        posted_by=chatting.addresses.how,
    )
    metrics = MetricsDoor(
        Sources(
            store=store,
            bus=bus,
            noise=noise,
            outbox=outbox,
            fleet=fleet,
            links=provider.links,
            housekeeping=housekeeping,
            counts={
                "bus": bus.counts,
                "noise": noise.counts,
                "outbox": outbox.counts,
                "topics": topics.counts,
                "mail": mails.counts,
                "sns-http": endpoints.counts,
                "chats": chats.counts,
                "commands": commands.counts,
            },
            requests=lambda: front.requests,
        )
    )
    pages = Pages(topics, lambda: epoch_ms(clock.now()), chance.request_id)
    front = Front(
        doors=[
            chatbot_door(store, _names(settings.chat), chats.changed),
            events_door(store, bus, settings.events, chance.event_id, connections, chance.request_id, replays.wake),
            logs_door(store),
            sagemaker_door(store, fleet, secrets.token_bytes),
            sqs_door(queues),
            sns_door(topics, store),
            ssm_door(
                store=store,
                fleet=fleet,
                links=links,
                commands=commands,
                documents=documents,
                limits=settings.commands,
            ),
            sts_door(),
        ],
        own=Starlette(routes=[*own.routes(), *provider.routes(), *nodes.routes(), *pages.routes(), *metrics.routes()]),
        identity=identity,
        now=clock.now,
        new_id=chance.request_id,
        upstream=ground.upstream,
        open_metrics=settings.open_metrics,
    )

    async def settled() -> bool:
        return fleet.idle and commands.idle and provider.idle and await bus.caught_up()

    await provider.start()
    try:
        await queues.load()
        await topics.load()
        await outbox.load()
        await bus.load()
        await mishaps.load()
        await alarms.load()
        await fleet.load()
        await commands.load()
        loops = (fleet, bus, digests, outbox, connections, schedules, replays, queues, topics, commands, housekeeping)
        draining = [drains.run()] if settings.slurm.enabled else []
        yield World(front, [*(loop.run() for loop in loops), *draining, *provider.loops], settled)
    finally:
        await provider.close()


def _names(chat: ChatSettings) -> dict[str, str]:
    """Of Slack's workspaces, by id."""
    return {team: one.name for team, one in chat.workspaces.items()}
