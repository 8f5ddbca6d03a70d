"""Assembly: the only place that knows the concrete edges."""

from tocsin.server.run import serve
from tocsin.server.settings import Settings, SettingsError, load

__all__ = ["Settings", "SettingsError", "load", "serve"]
