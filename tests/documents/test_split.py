"""Passages: exact offsets, all of the text, never beyond a limit, along the document's structure."""

import re
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.documents.document import Document, Heading, Page
from homespun.documents.errors import LimitTooSmall
from homespun.documents.read import read_document
from homespun.documents.split import SplitOptions, TokenLimit, split_document


def make(text, headings=(), pages=(), rows=()):
    return Document(Path("a.md"), "a.md", text, tuple(pages), tuple(headings), "read", "", "", tuple(rows))


def words(text):
    return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]


def utf8_bytes(text):
    """One token a byte, as byte-level tokenizers have for rare signs; and two marks of no width."""
    body = [(index, index + 1) for index, c in enumerate(text) for _ in c.encode("utf-8", "surrogatepass")]
    return [(0, 0), *body, (0, 0)]


@lru_cache
def bert_of(folder):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def bert_offsets(folder):
    return lambda text: bert_of(folder).encode(text).offsets


def check(document, passages, limits):
    """What holds for every split of every text."""
    covered = set()
    for passage in passages:
        assert document.text[passage.start : passage.end] == passage.text
        assert passage.text == passage.text.strip() != ""
        for limit in limits:
            assert len(limit.offsets(passage.text)) <= limit.max_tokens
        covered.update(range(passage.start, passage.end))
    missed = [index for index, c in enumerate(document.text) if not c.isspace() and index not in covered]
    assert missed == []
    starts = [passage.start for passage in passages]
    assert starts == sorted(set(starts))


TEXTS = st.lists(
    st.sampled_from(
        [
            "word ",
            "Dose. ",
            "\n",
            "\n\n",
            "👨‍👩‍👧",
            "é",
            "e\u0301",
            "日本。",
            "\r\n",
            "| a | b |\n",
            "# H\n",
            "x" * 40,
            "\t",
            "\x00",
        ]
    )
    | st.text(max_size=4),
    max_size=60,
).map("".join)


@given(TEXTS, st.integers(1, 40), st.integers(30, 60), st.booleans(), st.data())
@settings(max_examples=150, deadline=None)
def test_offsets_cover_and_limits_for_any_text(text, target, n_bytes, has_overlap, data):
    places = sorted(data.draw(st.sets(st.integers(0, max(0, len(text) - 1)), max_size=4)))
    headings = [Heading(place, data.draw(st.integers(1, 3)), f"h{place}") for place in places]
    document = make(text, headings)
    limits = [TokenLimit(words, 50), TokenLimit(utf8_bytes, n_bytes)]
    overlap = target // 2 if has_overlap else 0
    passages = split_document(document, SplitOptions(target, overlap), limits)
    check(document, passages, limits)
    if not has_overlap:
        for before, after in pairwise(passages):
            assert before.end <= after.start


@given(text=TEXTS)
@settings(max_examples=60, deadline=None)
def test_real_tokenizer_for_any_text(starter_embedder, text):
    limits = [TokenLimit(bert_offsets(starter_embedder), 24)]
    document = make(text)
    check(document, split_document(document, SplitOptions(16), limits), limits)


def test_r2_long_text_fits_the_embedder_to_its_last_word(starter_embedder):
    sentence = "Physiotherapists recommend immunohistochemistry and electroencephalography daily. "
    document = make(sentence * 60 + "The vault code is zebra.")
    limits = [TokenLimit(bert_offsets(starter_embedder), 256), TokenLimit(utf8_bytes, 5000)]
    passages = split_document(document, SplitOptions(target_tokens=400), limits)
    check(document, passages, limits)
    assert passages[-1].text.endswith("zebra.")
    assert max(len(bert_offsets(starter_embedder)(p.text)) for p in passages) > 128
    assert all(passage.text.endswith(".") for passage in passages)


def test_r4_repeats_and_emoji_keep_their_own_places(starter_embedder):
    paragraph = "👍🏽 The fee is 40 units. 👨‍👩‍👧 Families pay half of it at the desk. "
    document = make((paragraph * 3 + "\n\n") * 8)
    limits = [TokenLimit(bert_offsets(starter_embedder), 64)]
    passages = split_document(document, SplitOptions(50, overlap_tokens=20), limits)
    check(document, passages, limits)
    assert len(passages) > 8
    assert any(after.start < before.end for before, after in pairwise(passages))


def test_d8_a_split_has_nothing_of_an_older_text(tmp_path):
    path = tmp_path / "fees.md"
    limits = [TokenLimit(words, 100)]
    path.write_text("# Fees\n\nThe fee is 40.\n")
    old = split_document(read_document(path), SplitOptions(), limits)
    path.write_text("# Fees\n\nThe fee is 55.\n")
    new = split_document(read_document(path), SplitOptions(), limits)
    assert "40" in old[0].text
    assert [passage.text for passage in new] == ["# Fees\n\nThe fee is 55."]
    assert split_document(read_document(path), SplitOptions(), limits) == new


def test_passages_follow_headings(tmp_path):
    path = tmp_path / "a.md"
    body = (
        "The rule is kept by all who work here and is read once a year by each of them, says the desk. " * 2
    )
    path.write_text(f"# Clinic\n\n## Fees\n{body}\n### Children\n{body}\n## Hours\n{body}\n")
    passages = split_document(read_document(path), SplitOptions(), [TokenLimit(words, 200)])
    assert [passage.headings for passage in passages] == [
        ("Clinic", "Fees"),
        ("Clinic", "Fees", "Children"),
        ("Clinic", "Hours"),
    ]
    # A heading with nothing under it goes with the first section below it.
    assert passages[0].text.startswith("# Clinic\n\n## Fees\nThe rule")


def test_tiny_sections_join_only_under_one_heading(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("# Words\n## A\nfirst\n## B\nsecond\n# Other\n## C\nthird\n")
    passages = split_document(read_document(path), SplitOptions(), [TokenLimit(words, 200)])
    assert [(passage.headings, passage.text[-6:]) for passage in passages] == [
        (("Words",), "second"),
        (("Other", "C"), "\nthird"),
    ]


def test_breaks_prefer_paragraphs_then_sentences_then_words():
    paragraphs = make("\n\n".join(["one two three four five six seven. Eight nine ten."] * 4))
    found = split_document(paragraphs, SplitOptions(16), [TokenLimit(words, 16)])
    assert [passage.text for passage in found] == ["one two three four five six seven. Eight nine ten."] * 4
    sentences = make("One two three four. " * 6)
    found = split_document(sentences, SplitOptions(12), [TokenLimit(words, 12)])
    assert all(passage.text.endswith("four.") for passage in found)
    no_stops = make("alpha beta gamma delta " * 6)
    found = split_document(no_stops, SplitOptions(10), [TokenLimit(words, 10)])
    assert {word for passage in found for word in passage.text.split()} == {"alpha", "beta", "gamma", "delta"}


def test_rows_stay_whole_and_too_long_ones_are_cut(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("Name,Note\n" + "".join(f"drug {n},Take it daily. Avoid the sun.\n" for n in range(30)))
    document = read_document(path)
    limits = [TokenLimit(words, 40)]
    for passage in split_document(document, SplitOptions(40), limits):
        assert passage.text.startswith("Name: drug")
        assert passage.text.endswith("sun.")
    small = [TokenLimit(words, 6)]
    check(document, split_document(document, SplitOptions(6), small), small)


def test_pages_are_those_that_passages_begin_on():
    text = "First page text.\n\nSecond page text."
    document = make(text, pages=[Page(1, 0, 16), Page(2, 18, len(text))])
    passages = split_document(document, SplitOptions(4), [TokenLimit(words, 4)])
    assert [(passage.text, passage.page) for passage in passages] == [
        ("First page text.", 1),
        ("Second page text.", 2),
    ]


def test_a_limit_below_one_character_is_refused():
    with pytest.raises(LimitTooSmall, match="One character"):
        split_document(make("日本"), SplitOptions(), [TokenLimit(utf8_bytes, 3)])
    with pytest.raises(LimitTooSmall, match="overlap_tokens"):
        SplitOptions(10, 8)


def test_no_text_gives_no_passages_and_no_limits_are_fine():
    assert split_document(make(" \n"), SplitOptions(), []) == []
    assert [p.text for p in split_document(make("One two."), SplitOptions(), [])] == ["One two."]
