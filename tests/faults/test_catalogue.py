"""The table of faults: in step with its page, changed by a site, and refused in words when it cannot be used."""

import pytest
from tools.faults_page import PAGE, page

from tests.faults.table import CATALOGUE, CODES, TABLE, finding, verdict
from tocsin.core.deep import FAULTS
from tocsin.core.faults import CatalogueError, judge, read_catalogue
from tocsin.core.faults.lines import diagnose
from tocsin.model.health import Line, Remedy, Severity


def test_the_page_of_faults_is_made_from_the_table() -> None:
    assert PAGE.read_text() == page(), "run: python -m tools.faults_page"


def test_every_fault_type_is_shown_by_something_and_by_one_thing() -> None:
    for fault in CATALOGUE.faults.values():
        shown = [bool(fault.pattern), bool(fault.check), fault.name in ("quarantine", *FAULTS)]
        assert shown.count(True) == 1, fault.name
        assert not fault.check or (fault.above is None) != (fault.below is None), fault.name


def test_a_site_changes_what_is_done_about_a_code() -> None:
    own = b'[change.xid-63]\naction = "reboot"\n[change.xid-79]\nrepair = "replace"\nneeded = 2\nwindow_s = 60\n'
    changed = read_catalogue(TABLE, CODES, own)
    assert judge(finding("xid", 63), changed).remedy is Remedy.REBOOT
    assert verdict(finding("xid", 79), catalogue=changed).healthy
    assert verdict(finding("xid", 79), finding("xid", 79), catalogue=changed).remedy is Remedy.REPLACE


def test_a_site_adds_a_fault_type_of_its_own_and_replaces_one() -> None:
    own = b"""
[[fault]]
name = "fan"
title = "A fan stands still"
pattern = 'fan (?P<subject>\\w+) stopped'
severity = "error"
[[fault]]
name = "disk-full"
title = "Almost full"
check = "disk.used_percent"
above = 80
"""
    changed = read_catalogue(TABLE, CODES, own)
    found = diagnose(Line(source="kmsg", text="acme: fan f1 stopped", at_ms=0, facility=0), changed)
    assert found is not None
    assert (found.name, found.subject) == ("fan", "f1")
    assert judge(found, changed).severity is Severity.ERROR
    assert [fault.above for fault in changed.by_check["disk.used_percent"]] == [80]


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (b"[change.xid-4711]\nneeded = 2\n", "there is no fault type xid-4711"),
        (b"[change.disk-fool]\nneeded = 2\n", "there is no fault type disk-fool"),
        (b"[[fault]]\nname='x'\ntitle='x'\npattern='('\n", "fault x: the pattern is no regular expression"),
        (b"[[fault]]\nname='x'\ntitle='x'\nsame_as='y'\n", "there is no fault type y"),
        (b"[change.disk-full]\nneded = 2\n", "cannot be read"),
        (b"[change.disk-full]\nneeded = 0\n", "Expected `int` >= 1"),
        (b"[change.disk-full]\nsettle_s = -3\n", "Expected `float` >= 0"),
        (b"[change.disk-full]\naction = 'reboot'\n", "disk-full is no code of the driver and takes no action"),
        (b"[change.xid]\naction = 'reboot'\n", "xid is no code of the driver"),
        (b"not toml", "cannot be read"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_words(own: bytes, words: str) -> None:
    with pytest.raises(CatalogueError, match=words.replace("(", r"\(")):
        read_catalogue(TABLE, CODES, own)


def test_what_is_observed_must_be_a_fault_type() -> None:
    with pytest.raises(CatalogueError, match="there is no fault type xid-4711"):
        read_catalogue(TABLE, CODES, observed=frozenset({"xid-4711"}))
