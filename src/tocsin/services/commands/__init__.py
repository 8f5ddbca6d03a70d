"""Run Command: documents, commands and their way to the nodes and back. Decisions are core/commands'."""

from tocsin.services.commands.commands import Commands
from tocsin.services.commands.documents import Documents
from tocsin.services.commands.drafting import CommandLimits, Drafting

__all__ = ["CommandLimits", "Commands", "Documents", "Drafting"]
