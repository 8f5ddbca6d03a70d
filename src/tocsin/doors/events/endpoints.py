"""Where events may be sent over HTTP: AWS takes https only, and so does Tocsin beyond this machine."""

from urllib.parse import urlsplit

from tocsin.doors.identity import is_loopback
from tocsin.model.errors import Validation


def check_endpoint(endpoint: str, member: str, *, plain_http: bool) -> None:
    """Raises Validation. `plain_http` allows it to other machines too."""
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise _not_valid(endpoint, member, str(error)) from error
    if parts.scheme not in ("https", "http") or not host:
        raise _not_valid(endpoint, member, "It must be an https:// address.")
    if parts.scheme == "http" and not (plain_http or host == "localhost" or is_loopback(host)):
        raise _not_valid(endpoint, member, "It must begin with https://, except on this machine (events.plain_http).")
    if parts.username is not None:
        raise _not_valid(endpoint, member, "Credentials belong into a connection.")


def _not_valid(endpoint: str, member: str, reason: str) -> Validation:
    return Validation(f"Parameter {member} is not valid. Reason: {reason} ({endpoint})")
