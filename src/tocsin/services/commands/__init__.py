"""Run Command: documents, commands and their way to the nodes and back. Decisions are core/commands'."""

from tocsin.services.commands.commands import Commands
from tocsin.services.commands.documents import Documents
from tocsin.services.commands.drafting import CommandLimits, Drafting
from tocsin.services.commands.hearing import Hearing
from tocsin.services.commands.output import Output
from tocsin.services.commands.telling import Telling

__all__ = ["CommandLimits", "Commands", "Documents", "Drafting", "Hearing", "Output", "Telling"]
