"""The queues: durable messages in the store, and in memory what it takes to say who is next."""

from tocsin.services.queues.place import QueueLimits
from tocsin.services.queues.queues import Queues
from tocsin.services.queues.receiving import Ask, Received
from tocsin.services.queues.sending import Sent

__all__ = ["Ask", "QueueLimits", "Queues", "Received", "Sent"]
