"""Lines that come by themselves: the kernel's log, the journal, files. Each hands on what it reads, as it comes."""

from tocsin.agent.sources.files import FollowedFile
from tocsin.agent.sources.journal import Journal
from tocsin.agent.sources.kmsg import KernelLog, parse
from tocsin.agent.sources.pstore import crashes

__all__ = ["FollowedFile", "Journal", "KernelLog", "crashes", "parse"]
