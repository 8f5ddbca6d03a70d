"""What a sealed ticket is worth: only whole, and only under the key it was sealed with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tocsin.core.tickets import TICKET_CHARS_MAX, Ticket, key_of, opened, sealed

KEY = key_of(b"secret")
TICKET = Ticket(
    account="111122223333",
    region="us-west-2",
    cluster_id="abcdefghijkl",
    instance_id="i-0123456789abcdef0",
    occasion="6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    expires_ms=1_764_000_000_000,
)


def test_a_sealed_ticket_opens_as_it_was() -> None:
    assert opened(sealed(TICKET, KEY), KEY) == TICKET


def test_no_other_secret_opens_it() -> None:
    assert opened(sealed(TICKET, KEY), key_of(b"another")) is None


def test_the_link_of_a_ticket_stays_within_what_every_chat_draws() -> None:
    assert len(sealed(TICKET, KEY)) < 250


@given(st.integers(0, 200), st.characters(min_codepoint=33, max_codepoint=126))
def test_a_changed_ticket_is_none(place: int, char: str) -> None:
    text = sealed(TICKET, KEY)
    place %= len(text)
    changed = text[:place] + char + text[place + 1 :]
    found = opened(changed, KEY)
    assert found is None or found == TICKET  # the last digit of base64 holds bits that count for nothing


@given(st.text(max_size=60) | st.just("." * TICKET_CHARS_MAX) | st.just("A" * (TICKET_CHARS_MAX + 1)))
def test_whatever_comes_is_read_without_a_fall(text: str) -> None:
    assert opened(text, KEY) is None


@pytest.mark.parametrize(
    "changes", [{"instance_id": "i-1"}, {"occasion": "x"}, {"expires_ms": 1}, {"cluster_id": "mnopqrstuvwx"}]
)
def test_tickets_that_differ_run_for_themselves(changes: dict[str, object]) -> None:
    assert replace(TICKET, **changes).key != TICKET.key
