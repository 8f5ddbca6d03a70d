"""Carriers of chats: Slack, Teams and Chime by their webhooks or by Slack's own API, other services by apprise."""

from tocsin.targets.chats.addresses import Address, Addresses
from tocsin.targets.chats.carrier import ChatCarrier

__all__ = ["Address", "Addresses", "ChatCarrier"]
