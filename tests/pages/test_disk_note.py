"""The note above the tabs when the disk budget is nearly used up, in a real app."""

import json
import urllib.request

from dermaflux.services.limits import DiskUse
from pages.shell import disk_note_html


def test_it_says_nothing_while_there_is_room():
    assert disk_note_html(None) == ""
    assert disk_note_html(DiskUse(used_bytes=50, budget_bytes=100)) == ""


def test_near_the_budget_it_warns_and_at_it_says_that_nothing_is_made():
    near, full = (disk_note_html(DiskUse(used_bytes=used * 10**7, budget_bytes=10**9)) for used in (95, 100))
    assert "0.95 of 1.00 GB" in near
    assert "Nothing new is made" not in near
    assert 'role="alert"' in full
    assert "Nothing new is made" in full


def test_the_page_asks_for_it_when_it_loads(served):
    with urllib.request.urlopen(f"{served[0]}/config", timeout=20) as answer:
        config = json.load(answer)
    note = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "disk-note")
    assert any(note in d["outputs"] and [t[1] for t in d["targets"]] == ["load"] for d in config["dependencies"])
