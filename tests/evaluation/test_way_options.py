"""Ways as they are typed."""

from dataclasses import replace

import pytest

from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.way_open import adapter_note
from homespun.evaluation.way_options import WayOptions, parse_ways
from homespun.models.home import Home
from homespun.tuning.adapters import BaseFacts, Lineage, write_lineage


def test_ways_are_read_as_typed() -> None:
    base = WayOptions(library="clinic", adapter="tuned1")
    found = dict(
        parse_ways("prompt, quote@passages=5,retrieve@abstain=no@model=openai:x,tuned+retrieve", base)
    )
    assert list(found) == [
        "prompt",
        "quote@passages=5",
        "retrieve@abstain=no@model=openai:x",
        "tuned+retrieve",
    ]
    assert found["quote@passages=5"].passages == 5
    assert found["quote@passages=5"].name == "quote@library=clinic@passages=5"
    changed = found["retrieve@abstain=no@model=openai:x"]
    assert not changed.abstain and changed.model == "openai:x" and changed.adapter == ""
    assert found["tuned+retrieve"].adapter == "tuned1"


def test_what_a_way_does_not_use_does_not_change_it() -> None:
    """Else an answer of the model alone would be asked again for every library."""
    one = dict(parse_ways("prompt", WayOptions(library="a", passages=4)))["prompt"]
    assert one == dict(parse_ways("prompt", WayOptions(library="b")))["prompt"]
    quoted = dict(parse_ways("quote", WayOptions(library="a", model="x", mode="exact")))["quote"]
    assert quoted == dict(parse_ways("quote", WayOptions(library="a", model="y")))["quote"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("prompt,guess", "no way 'guess'"),
        ("", "No way is named"),
        ("prompt,prompt", "named twice"),
        ("quote@passages=many", "whole number"),
        ("quote@passages=-1", "0 or more"),
        ("quote@colour=red", "no option of a way"),
        ("retrieve@abstain=maybe", "yes or no"),
        ("retrieve@mode=slow", "no mode 'slow'"),
        ("prompt@kind=quote", "no option of a way"),
    ],
)
def test_what_cannot_be_read_is_said(typed: str, words: str) -> None:
    with pytest.raises(EvaluationError, match=words):
        parse_ways(typed)


def test_an_adapter_that_never_saw_passages_is_told_of(home: Home) -> None:
    for name, library in (("blind", ""), ("reader", "club")):
        lineage = Lineage(name, "finished", BaseFacts("smollm2", "0"), options={"library": library})
        write_lineage(home.adapters_path / name, lineage)
    way = WayOptions(kind="tuned+retrieve", library="club", adapter="blind")
    assert "blind was not tuned on passages" in adapter_note(home, way)
    assert adapter_note(home, replace(way, adapter="reader")) == ""
    assert adapter_note(home, replace(way, kind="tuned")) == ""
