"""The one HTTP client of all carriers: certificates verified, no cookies, no redirects unless asked for."""

import ssl

import aiohttp
from msgspec import Struct

from tocsin.model.errors import TocsinError

# Connections without work are closed before servers usually do it: a request on one that is being closed fails.
KEPT_OPEN_S = 1.0


class OutsideSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ca_file`: certificates that are trusted beside the machine's own, as PEM."""

    ca_file: str = ""


class BadCertificates(TocsinError):
    """The file of certificates cannot be used."""


def http_client(believed: ssl.SSLContext) -> aiohttp.ClientSession:
    """To be made in the running loop, and closed. How much goes out at once is the outbox's to decide."""
    connector = aiohttp.TCPConnector(limit=0, ssl=believed, keepalive_timeout=KEPT_OPEN_S)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # a small answer may unpack to one that fills the memory
        skip_auto_headers=("Accept-Encoding",),
    )


def certificates(settings: OutsideSettings) -> ssl.SSLContext:
    """Whose certificates are believed. Raises BadCertificates."""
    context, ca_file = ssl.create_default_context(), settings.ca_file
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise BadCertificates(f"outside.ca_file {ca_file}: no certificates can be read from it: {error}") from error
    return context


async def beginning(answer: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    """The answer's body, or so much of it, however it comes."""
    parts: list[bytes] = []
    while bytes_max > 0 and (part := await answer.content.read(bytes_max)):
        parts.append(part)
        bytes_max -= len(part)
    return b"".join(parts)
