"""What a world is entered by: the AWS doors, our own API, metrics, pages, and the agents' door, behind one front."""

import secrets
from collections.abc import Callable, Mapping

from starlette.applications import Starlette

from tocsin.doors.chatbot import chatbot_door
from tocsin.doors.cloudcontrol import cloudcontrol_door
from tocsin.doors.door import Door
from tocsin.doors.events import events_door
from tocsin.doors.front import Front
from tocsin.doors.identity import Identity
from tocsin.doors.investigation import InvestigationPage
from tocsin.doors.logs import logs_door
from tocsin.doors.metrics import MetricsDoor, Sources
from tocsin.doors.own import OwnDoor
from tocsin.doors.own.hosts import HostsApi
from tocsin.doors.sagemaker import sagemaker_door
from tocsin.doors.sns import Pages, sns_door
from tocsin.doors.sqs import sqs_door
from tocsin.doors.ssm import ssm_door
from tocsin.doors.sts import sts_door
from tocsin.model.times import epoch_ms
from tocsin.server.parts import Parts
from tocsin.services.sickness import lemons
from tocsin.services.trials import Trials


def front_of(parts: Parts) -> Front:
    settings, new_id = parts.settings, parts.chance.request_id
    pages = Pages(parts.topics, lambda: epoch_ms(parts.clock.now()), new_id)
    metrics = MetricsDoor(_sources(parts, lambda: front.requests))
    investigation = InvestigationPage(parts.investigations)
    routed = (_own(parts), parts.provider, parts.nodes, parts.node_files, pages, investigation, metrics)
    doors = _doors(parts)
    front = Front(
        doors=[*doors, cloudcontrol_door(parts.cloud_requests, doors)],
        own=Starlette(routes=[route for one in routed for route in one.routes()]),
        identity=Identity(settings.account, settings.region, settings.access_keys),
        now=parts.clock.now,
        new_id=new_id,
        upstream=parts.ground.upstream,
        open_metrics=settings.open_metrics,
    )
    return front


def _doors(parts: Parts) -> list[Door]:
    store, settings, chance = parts.store, parts.settings, parts.chance
    workspaces = {team: one.name for team, one in settings.chat.workspaces.items()}
    return [
        chatbot_door(store, workspaces, parts.chats.changed),
        events_door(
            store,
            parts.bus,
            settings.events,
            chance.event_id,
            parts.connections,
            chance.request_id,
            parts.replays.wake,
        ),
        logs_door(store),
        sagemaker_door(
            store, parts.fleet, secrets.token_bytes, parts.extensions, parts.packages, parts.provider.labels
        ),
        sqs_door(parts.queues),
        sns_door(parts.topics, store),
        ssm_door(
            store=store,
            fleet=parts.fleet,
            links=parts.provider.links,
            hello=parts.links.hello,
            commands=parts.commands,
            documents=parts.documents,
            limits=settings.commands,
        ),
        sts_door(),
    ]


def _own(parts: Parts) -> OwnDoor:
    store, clock, new_id = parts.store, parts.clock, parts.chance.request_id
    return OwnDoor(
        fleet=parts.fleet,
        bus=parts.bus,
        outbox=parts.outbox,
        noise=parts.noise,
        store=store,
        clock=clock,
        new_event_id=parts.chance.event_id,
        log_groups_granted=parts.settings.events.grant_log_groups,
        mishaps=parts.mishaps,
        hosts=HostsApi(parts.provider.hosts, parts.provider.linked),
        alarms=parts.alarms,
        catalogue=parts.ground.catalogue,
        health=parts.settings.health,
        injections=parts.injections,
        trials=Trials(store, clock, parts.topics, parts.chats, new_id),
        outcomes=parts.outcomes,
        chats=parts.chats,
        posted_by=parts.chatting.addresses.how,
    )


def _sources(parts: Parts, requests: Callable[[], Mapping[tuple[str, str, int], int]]) -> Sources:
    return Sources(
        store=parts.store,
        bus=parts.bus,
        noise=parts.noise,
        outbox=parts.outbox,
        fleet=parts.fleet,
        links=parts.provider.links,
        housekeeping=parts.housekeeping,
        sickness=parts.sickness,
        drained_s=parts.drains.drained_s,
        lemons=lambda: lemons(parts.fleet.worlds(), parts.settings.health, epoch_ms(parts.clock.now())),
        findings=parts.nodes.findings,
        counts={
            "bus": parts.bus.counts,
            "noise": parts.noise.counts,
            "outbox": parts.outbox.counts,
            "topics": parts.topics.counts,
            "mail": parts.mails.counts,
            "sns-http": parts.endpoints.counts,
            "chats": parts.chats.counts,
            "commands": parts.commands.counts,
            "drains": parts.drains.counts,
        },
        requests=requests,
    )
