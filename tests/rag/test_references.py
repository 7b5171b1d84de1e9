"""References in texts: what is named, and what no document contains."""

from hypothesis import given
from hypothesis import strategies as st

from homespun.rag.references import find_references, invented_references, unknown_references

DOCUMENT = (
    "Dr Anna Okafor sees patients at Alder Street. See Meyer and Braun (2019), doi 10.1000/abc.123, and "
    "https://www.example.org/fees/ or write to desk@alder.example. Rabies vaccine is kept at 4 °C."
)


def told(text):
    return [(reference.kind, reference.text) for reference in find_references(text)]


def unknown(text, *texts):
    return [reference.text for reference in unknown_references(find_references(text), texts)]


def test_what_is_named():
    assert told("It is doi:10.1000/abc.123.") == [("doi", "10.1000/abc.123")]
    assert told("Look at https://example.org/a?b=1, please.") == [("address", "https://example.org/a?b=1")]
    assert told("Write to desk@alder.example now.") == [("e-mail", "desk@alder.example")]
    assert told("As Smith et al. (2021) found.") == [("citation", "Smith et al. (2021")]
    assert told("It was shown (Lee & Park, 2004).") == [("citation", "Lee & Park, 2004")]
    assert told("Ask Dr. Anna Okafor or Mrs Lang in Port Zarblatt.") == [
        ("name", "Dr. Anna Okafor"), ("name", "Mrs Lang"), ("name", "Port Zarblatt"),
    ]  # fmt: skip


def test_what_is_no_name():
    for text in (
        "The clinic opens on Monday.",
        "Rinse it. Then wait until May 2024.",
        "I think so. Yes.",
        "",
    ):
        assert told(text) == []
    # At a sentence's beginning one capital is grammar, two are a name.
    assert told("Zarblatt is far.") == []
    assert told("Port Zarblatt is far.") == [("name", "Port Zarblatt")]
    assert told("In Zarblatt it rains.") == [("name", "Zarblatt")]


def test_places_are_those_of_the_text():
    text = "Ask Dr Okafor, see 10.1000/xyz and www.nowhere.com."
    for reference in find_references(text):
        assert text[reference.start : reference.end] == reference.text


def test_what_no_document_contains():
    assert unknown("Ask Dr Okafor of Alder Street.", DOCUMENT) == []
    assert unknown("Ask Anna Okafor’s desk.", DOCUMENT) == []
    assert unknown("Ask Dr Bela Okafor.", DOCUMENT) == ["Dr Bela Okafor"]
    assert unknown("As Meyer (2019) says, 10.1000/ABC.123 and example.org/fees show.", DOCUMENT) == []
    assert unknown("As Meyer (2018) says, see 10.1000/abc.999.", DOCUMENT) == [
        "Meyer (2018", "10.1000/abc.999",
    ]  # fmt: skip
    assert unknown("See https://example.org/prices for it.", DOCUMENT) == ["https://example.org/prices"]
    assert unknown("It rains in Zarblatt.", DOCUMENT, "Zarblatt is a city.") == []
    # The words of one name must stand in one text.
    assert unknown("He lives in Port Zarblatt.", "a port", "the Zarblatt") == ["Port Zarblatt"]


def test_a_whole_library_is_looked_through(library):
    text = "Dr Okafor works at Parkwell, and Dr Zorn in Zarblatt; see www.parkwell.com."
    found = [reference.text for reference in invented_references(text, library)]
    assert found == ["Dr Zorn", "Zarblatt", "www.parkwell.com"]
    assert invented_references(text, library, ["Dr Zorn of Zarblatt, www.parkwell.com"]) == []


@given(st.text(max_size=200))
def test_any_text_can_be_looked_at_and_knows_itself(text):
    found = find_references(text)
    ends = [0, *(reference.end for reference in found)]
    assert all(reference.start >= end for reference, end in zip(found, ends, strict=False))
    assert unknown_references(found, [text]) == []
