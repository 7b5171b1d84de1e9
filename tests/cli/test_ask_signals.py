"""`homespun ask --signals` as it is typed."""

import pytest


@pytest.mark.long
def test_signals_stand_beside_an_answer(homespun, clinic):
    asked = "What does a second replacement of the yellow booklet cost?"
    ran = homespun("ask", asked, "--library", "clinic", "--style", "quote", "--signals", "--json")
    found = ran.json["signals"]
    assert found["unsupported"] == 0 and found["support"] > 0.9 and found["invented"] == []
    assert found["mean_entropy"] > 0 and len(found["samples"]) == 5 and 0 <= found["agreement"] <= 1


def test_a_made_up_city_is_not_found_and_named(homespun, clinic):
    ran = homespun("ask", "What is the weather in Zarblattville?", "--library", "clinic", "--signals")
    assert ran.code == 0 and "Nothing that answers this was found" in ran.out
    assert "named in the question, in no document: Zarblattville" in ran.out
