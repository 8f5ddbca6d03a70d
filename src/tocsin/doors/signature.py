"""AWS Signature Version 4: who signed a request and for which service; and whether the signature is right.

The front asks `credential` of every request (it names the service and region), and `verify` only where keys are
configured. Both read headers and the query string; neither knows operations.
"""

import functools
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from tocsin.doors.wire import Request
from tocsin.model.errors import (
    IncompleteSignature,
    InvalidSignature,
    MissingAuthentication,
    UnrecognizedClient,
)

ALGORITHM = "AWS4-HMAC-SHA256"
ASYMMETRIC = "AWS4-ECDSA-P256-SHA256"

skew_max = timedelta(minutes=15)  # "(... - 15 min.)" in AWS's text
expires_seconds_max = 7 * 24 * 3600  # AWS: a presigned URL lives a week at most
quote_chars_max = 256

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)
UNKNOWN_KEY = "The security token included in the request is invalid."
MISSING = "Missing Authentication Token"

UNRESERVED = "-_.~"
_ACCOUNT = re.compile(r"[0-9]{12}")
_ISO_BASIC = re.compile(r"[0-9]{8}T[0-9]{6}Z")


class Credential(msgspec.Struct, frozen=True):
    """The scope of a signature. `region` is empty for SigV4A, which signs for several at once."""

    access_key: str
    region: str
    service: str
    date: str


class Claim(msgspec.Struct, frozen=True):
    """What a signed request says of its signature. `lifetime` is None for the header form."""

    algorithm: str
    credential: Credential
    scope: str
    signed_headers: tuple[str, ...]
    signature: str
    moment: str
    lifetime: int | None


def credential(request: Request) -> Credential | None:
    """Who signed the request, None when nobody did. Raises IncompleteSignature for a malformed signature."""
    claim = _claim(request)
    return None if claim is None else claim.credential


def account_of(access_key: str) -> str | None:
    """The account an access key stands for: the key itself where it is twelve digits, as in LocalStack."""
    return access_key if _ACCOUNT.fullmatch(access_key) else None


def verify(request: Request, secrets: Mapping[str, str], now: datetime) -> Credential:
    """Check the signature, and say who signed; `secrets` maps access keys to secret keys, `now` is UTC.

    Raises MissingAuthentication, IncompleteSignature, UnrecognizedClient or InvalidSignature, in AWS's words.
    """
    return _check(request, secrets, now, _canonical_path(request.path), _payload_hash)


def verify_stream(request: Request, secrets: Mapping[str, str], now: datetime) -> None:
    """The same for S3, whose signatures hold the body's hash as the client states it, and the path as it is."""
    _check(request, secrets, now, request.path, _stated_hash)


def _check(
    request: Request,
    secrets: Mapping[str, str],
    now: datetime,
    path: str,
    payload_hash: Callable[[Request], str],
) -> Credential:
    claim = _claim(request)
    if claim is None:
        raise MissingAuthentication(MISSING)
    if claim.algorithm == ASYMMETRIC:
        raise InvalidSignature(f"{ASYMMETRIC} is not checked here: sign with {ALGORITHM}.")
    secret = secrets.get(claim.credential.access_key)
    if secret is None:
        raise UnrecognizedClient(UNKNOWN_KEY)
    _check_time(claim, now)
    if "host" not in claim.signed_headers:
        raise InvalidSignature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    expected = _signature(claim, secret, _canonical_request(request, claim, path, payload_hash(request)))
    if not hmac.compare_digest(expected, claim.signature.encode("utf-8", "replace")):
        raise InvalidSignature(MISMATCH)
    return claim.credential


def _claim(request: Request) -> Claim | None:
    header = request.headers.get("authorization")
    if header is not None:
        return _header_claim(request, header)
    if "X-Amz-Credential=" in request.query or "X-Amz-Algorithm=" in request.query:
        return _query_claim(request)
    return None


def _header_claim(request: Request, header: str) -> Claim | None:
    algorithm, _, rest = header.strip().partition(" ")
    if algorithm not in (ALGORITHM, ASYMMETRIC):
        if algorithm.startswith("AWS"):
            raise IncompleteSignature(f"Unsupported AWS 'algorithm': '{algorithm[:quote_chars_max]}'.")
        return None  # Bearer, Basic: not a signature of ours
    parts: dict[str, str] = {}
    for part in rest.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals:
            shown = header[:quote_chars_max]
            raise IncompleteSignature(
                f"'{name[:quote_chars_max]}' not a valid key=value pair (missing equal-sign) "
                f"in Authorization header: '{shown}'."
            )
        parts[name] = value
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not parts.get(name)]
    moment = request.headers.get("x-amz-date") or request.headers.get("date") or ""
    complaints = [f"Authorization header requires '{name}' parameter." for name in missing]
    if not moment:
        complaints.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if complaints:
        raise IncompleteSignature(f"{' '.join(complaints)} Authorization={header[:quote_chars_max]}")
    return _claimed(algorithm, parts, moment, None)


def _query_claim(request: Request) -> Claim:
    parts = {name.removeprefix("X-Amz-"): value for name, value in parse_qsl(request.query) if name[:6] == "X-Amz-"}
    wanted = ("Algorithm", "Credential", "Signature", "SignedHeaders", "Date", "Expires")
    missing = [name for name in wanted if not parts.get(name)]
    if missing:
        raise IncompleteSignature(
            " ".join(f"AWS query-string parameters must include 'X-Amz-{name}'." for name in missing)
        )
    if parts["Algorithm"] not in (ALGORITHM, ASYMMETRIC):
        raise IncompleteSignature(f"Unsupported AWS 'algorithm': '{parts['Algorithm'][:quote_chars_max]}'.")
    expires = parts["Expires"]
    if not re.fullmatch(r"[0-9]{1,6}", expires) or int(expires) > expires_seconds_max:
        raise IncompleteSignature(f"X-Amz-Expires must be a number from 0 to {expires_seconds_max} seconds.")
    return _claimed(parts["Algorithm"], parts, parts["Date"], int(expires))


def _claimed(algorithm: str, parts: Mapping[str, str], moment: str, lifetime: int | None) -> Claim:
    key, scope = parts["Credential"].partition("/")[::2]
    elements = scope.split("/")
    wanted = 3 if algorithm == ASYMMETRIC else 4
    if not key or len(elements) != wanted or elements[-1] != "aws4_request" or not all(elements):
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, "
            f"e.g. keyid/date/region/service/aws4_request, got: '{parts['Credential'][:quote_chars_max]}'"
        )
    region = "" if algorithm == ASYMMETRIC else elements[1]
    found = Credential(key, region, elements[-2], elements[0])
    names = tuple(name.lower() for name in parts["SignedHeaders"].split(";"))
    return Claim(algorithm, found, scope, names, parts["Signature"], _iso_basic(moment), lifetime)


def _iso_basic(moment: str) -> str:
    """20261123T101500Z, whether the client wrote that or an HTTP date."""
    if _ISO_BASIC.fullmatch(moment):
        return moment
    try:
        read = datetime.strptime(moment, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError as error:
        raise IncompleteSignature(
            f"Date must be in ISO-8601 'basic format'. Got '{moment[:quote_chars_max]}'."
        ) from error
    return f"{read:%Y%m%dT%H%M%SZ}"


def _check_time(claim: Claim, now: datetime) -> None:
    try:
        signed = datetime.fromisoformat(claim.moment)
    except ValueError as error:
        raise IncompleteSignature(f"'{claim.moment}' is no date.") from error
    date = claim.credential.date
    if date != claim.moment[:8]:
        raise InvalidSignature(
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{date[:quote_chars_max]}' != '{claim.moment[:8]}', from '{claim.moment}'."
        )
    lifetime = skew_max if claim.lifetime is None else timedelta(seconds=claim.lifetime)
    clock = f"{now:%Y%m%dT%H%M%SZ}"
    if signed > now + skew_max:
        limit = f"{now + skew_max:%Y%m%dT%H%M%SZ}"
        raise InvalidSignature(
            f"Signature not yet current: {claim.moment} is still later than {limit} ({clock} + 15 min.)"
        )
    if signed + lifetime < now:
        limit = f"{now - lifetime:%Y%m%dT%H%M%SZ}"
        span = "15 min." if claim.lifetime is None else f"{claim.lifetime} s"
        raise InvalidSignature(f"Signature expired: {claim.moment} is now earlier than {limit} ({clock} - {span})")


def _canonical_request(request: Request, claim: Claim, path: str, payload_hash: str) -> str:
    headers = [f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in claim.signed_headers]
    return "\n".join(
        [
            request.method.upper(),
            path,
            _canonical_query(request.query),
            *headers,
            "",
            ";".join(claim.signed_headers),
            payload_hash,
        ]
    )


def _payload_hash(request: Request) -> str:
    """The body's hash, which a stated one must equal; a body declared unsigned stays out of the signature."""
    stated = request.headers.get("x-amz-content-sha256")
    if stated == "UNSIGNED-PAYLOAD":
        return stated
    actual = hashlib.sha256(request.body).hexdigest()
    if stated is not None and not hmac.compare_digest(stated.encode("utf-8", "replace"), actual.encode()):
        raise InvalidSignature("The provided 'x-amz-content-sha256' header does not match what was computed.")
    return actual


def _stated_hash(request: Request) -> str:
    """What the client says of its body; nothing in a presigned URL."""
    return request.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")


def _canonical_path(path: str) -> str:
    """Dot segments and doubled slashes resolved, then encoded once more (every service but S3 does)."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    trailing = "/" if kept and path.endswith("/") else ""
    return quote(f"/{'/'.join(kept)}{trailing}", safe="/~")


def _canonical_query(query: str) -> str:
    pairs = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if part and name != "X-Amz-Signature":
            pairs.append((quote(unquote(name), safe=UNRESERVED), quote(unquote(value), safe=UNRESERVED)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _signature(claim: Claim, secret: str, canonical_request: str) -> bytes:
    digest = hashlib.sha256(canonical_request.encode("utf-8", "surrogateescape")).hexdigest()
    text = "\n".join([ALGORITHM, claim.moment, claim.scope, digest])
    scope = claim.credential
    key = _signing_key(secret, scope.date, scope.region, scope.service)
    return _hmac(key, text).hex().encode()


@functools.lru_cache(maxsize=256)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode("utf-8", "surrogateescape"), "sha256")
