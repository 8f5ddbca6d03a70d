"""A connection's parameters: what is asked of them, and what of them may be shown. Called by the events door.

Source: the service model's shapes, and the API reference of AuthParameters.
"""

from collections.abc import Mapping
from typing import Any

from tocsin.model.connection import Authorization
from tocsin.model.errors import NotImplementedYet, Validation

# The member that each kind of authorization needs, and what of it is secret.
_NEEDED: dict[Authorization, tuple[str, frozenset[str]]] = {
    Authorization.BASIC: ("BasicAuthParameters", frozenset({"Password"})),
    Authorization.API_KEY: ("ApiKeyAuthParameters", frozenset({"ApiKeyValue"})),
    Authorization.OAUTH_CLIENT_CREDENTIALS: ("OAuthParameters", frozenset()),
}


def check_parameters(authorization: Authorization, parameters: Mapping[str, Any]) -> None:
    """Raises Validation unless the parameters are those of the kind of authorization, and of no other."""
    if parameters.get("ConnectivityParameters"):
        raise NotImplementedYet("Connections over VPC Lattice (ConnectivityParameters) are not implemented in Tocsin.")
    needed, _ = _NEEDED[authorization]
    if not parameters.get(needed):
        raise Validation(f"Parameter(s) {needed} must be specified for authorization type {authorization}.")
    for kind, (member, _) in _NEEDED.items():
        if kind is not authorization and parameters.get(member):
            raise Validation(f"Parameter {member} is not valid for authorization type {authorization}.")


def merged(old: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters after an update: members that are given go in, member by member; others stay."""
    result = dict(old)
    for name, value in given.items():
        before = result.get(name)
        nested = isinstance(before, Mapping) and isinstance(value, Mapping)
        result[name] = merged(before, value) if nested else value  # type: ignore[arg-type]
    return result


def only(authorization: Authorization, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Without what belongs to other kinds of authorization, which an update may have left behind."""
    others = {member for kind, (member, _) in _NEEDED.items() if kind is not authorization}
    return {name: value for name, value in parameters.items() if name not in others}


def shown(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What DescribeConnection tells of the parameters: nothing secret."""
    secret = dict(_NEEDED.values())
    result: dict[str, Any] = {}
    for member, value in parameters.items():
        if member == "InvocationHttpParameters":
            result[member] = _http_shown(value)
        elif member == "OAuthParameters":
            result[member] = _oauth_shown(value)
        elif member in secret:
            result[member] = {name: text for name, text in value.items() if name not in secret[member]}
    return result


def _oauth_shown(parameters: Mapping[str, Any]) -> dict[str, Any]:
    result = {name: parameters[name] for name in ("AuthorizationEndpoint", "HttpMethod") if name in parameters}
    result["ClientParameters"] = {"ClientID": parameters.get("ClientParameters", {}).get("ClientID", "")}
    if "OAuthHttpParameters" in parameters:
        result["OAuthHttpParameters"] = _http_shown(parameters["OAuthHttpParameters"])
    return result


def _http_shown(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {sort: [_pair_shown(pair) for pair in told] for sort, told in parameters.items()}


def _pair_shown(pair: Mapping[str, Any]) -> dict[str, Any]:
    """A value is shown unless it was said to be secret (the API reference of ConnectionHeaderParameter)."""
    return {name: value for name, value in pair.items() if name != "Value" or not pair.get("IsValueSecret")}


def endpoint_of(parameters: Mapping[str, Any]) -> str:
    """The authorization endpoint; empty where there is none."""
    endpoint: str = parameters.get("OAuthParameters", {}).get("AuthorizationEndpoint", "")
    return endpoint


def pairs(parameters: Mapping[str, Any], sort: str) -> dict[str, str]:
    """HeaderParameters, QueryStringParameters or BodyParameters as names and values."""
    return {pair["Key"]: pair.get("Value", "") for pair in parameters.get(sort, ())}


def secrets_in(parameters: Mapping[str, Any]) -> set[str]:
    """All texts that nobody may see, to blot them out of what a peer answers."""
    found = {
        parameters.get("BasicAuthParameters", {}).get("Password", ""),
        parameters.get("ApiKeyAuthParameters", {}).get("ApiKeyValue", ""),
        parameters.get("OAuthParameters", {}).get("ClientParameters", {}).get("ClientSecret", ""),
    }
    http = [parameters.get("InvocationHttpParameters", {})]
    http.append(parameters.get("OAuthParameters", {}).get("OAuthHttpParameters", {}))
    for told in (told for some in http for told in some.values()):
        found |= {pair.get("Value", "") for pair in told if pair.get("IsValueSecret")}
    return found - {""}
