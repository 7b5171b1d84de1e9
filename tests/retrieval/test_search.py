"""Searching: field cases R2, R4, R5, R6, part of R7, and queries of every kind."""

import numpy as np
import pytest

from homespun.documents.split import SplitOptions
from homespun.retrieval.errors import RetrievalError
from homespun.retrieval.search import SearchOptions, search
from homespun.retrieval.sync import IngestOptions, ingest

ODD_QUERIES = ['"', "*", "+", "\\", "\x00", "\ud800", "🙂", "?!...", "'; DROP TABLE", "the of and"]
ODD_QUERIES += ["fee AND (", "fee OR", "NOT", "fee~2", "fee^9", "text:fee", "x" * 10_000, "fee " * 2_500]
ODD_QUERIES += [" ".join(f"w{number}" for number in range(2_000))]


@pytest.fixture
def clinic(library, folder):
    (folder / "fees.md").write_text(
        "# Fees\n\nA visit costs 40 pounds.\n\n## Children\n\nChildren under 12 pay nothing.\n"
    )
    (folder / "zebra.txt").write_text("Cars wait until zebras have crossed the road.")
    (folder / "empty.txt").write_text("")
    ingest(library, [folder])
    return library


def test_the_right_passage_comes_first_with_its_scores(clinic):
    hits = search(clinic, "How much do children pay?")
    first = hits[0]
    assert first.passage.document == "fees.md"
    assert first.passage.headings == ("Fees", "Children")
    assert clinic.text("fees.md")[first.passage.start : first.passage.end] == first.passage.text
    assert (first.keyword_rank, first.vector_rank, first.title) == (1, 1, "Fees")
    assert 0.4 < first.vector_score < 1
    assert first.score == pytest.approx(0.45 + 0.55 * first.vector_score)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_each_half_can_be_used_alone(clinic):
    by_words = search(clinic, "zebras nothing", SearchOptions(keyword_weight=1))
    assert {hit.passage.document for hit in by_words} == {"zebra.txt", "fees.md"}
    assert all(hit.keyword_score > 0 for hit in by_words)
    by_meaning = search(clinic, "striped animals on a street", SearchOptions(keyword_weight=0))
    assert by_meaning[0].passage.document == "zebra.txt"
    assert by_meaning[0].keyword_rank is None and by_meaning[0].keyword_score == 0
    assert [hit.vector_rank for hit in by_meaning] == [1, 2, 3]


def test_headings_and_title_are_keywords(clinic):
    (hit,) = (hit for hit in search(clinic, "fees") if hit.passage.headings == ("Fees", "Children"))
    assert hit.keyword_score > 0


@pytest.mark.parametrize("query", ODD_QUERIES, ids=range(len(ODD_QUERIES)))
def test_any_text_is_a_query(clinic, query):
    hits = search(clinic, query)
    assert 0 < len(hits) <= 3


@pytest.mark.parametrize("query", ["", " ", "\n\t"])
def test_nothing_is_asked(clinic, query):
    assert search(clinic, query) == []


def test_an_empty_library_gives_nothing(library, folder):
    assert search(library, "fee") == []
    (folder / "empty.txt").write_text("")
    ingest(library, [folder])
    assert search(library, "fee") == []


def test_hits_are_limited_and_options_checked(clinic):
    assert len(search(clinic, "fee", SearchOptions(n_hits=1))) == 1
    with pytest.raises(RetrievalError, match="n_hits is 0"):
        SearchOptions(n_hits=0)
    with pytest.raises(RetrievalError, match=r"keyword_weight is 1\.5"):
        SearchOptions(keyword_weight=1.5)


def test_new_text_is_found_at_once_and_after_each_tidying(clinic, folder):
    (folder / "new.txt").write_text("The quokka clinic opens on Sundays.")
    ingest(clinic, [folder])
    first = [(hit.passage, hit.keyword_rank) for hit in search(clinic, "quokka")]
    assert first[0][0].document == "new.txt" and first[0][1] == 1
    for _ in range(2):
        clinic.tables.tidy()
        assert [(hit.passage, hit.keyword_rank) for hit in search(clinic, "quokka")] == first


def test_the_end_of_a_long_text_is_found(library, folder):
    text = "The sun rises over the hills and the river runs to the sea. " * 60 + "The safe's code is 7319."
    (folder / "long.txt").write_text(text)
    ingest(library, [folder])
    for weight in (0.0, 0.5, 1.0):
        (hit,) = search(
            library, "What is the code of the safe?", SearchOptions(n_hits=1, keyword_weight=weight)
        )
        assert "7319" in hit.passage.text
        assert len(library.embedder.token_limit.offsets(hit.passage.text)) <= library.embedder.max_tokens


def test_passages_are_their_text_with_overlap_emoji_and_repeats(library, folder):
    text = (
        "👩‍⚕️ naïve café.\r\n\r\n" + "The same paragraph, word for word. 🙂\r\n\r\n" * 40 + "日本語の文。" * 50
    )
    (folder / "odd.txt").write_bytes(text.encode())
    ingest(library, [folder], IngestOptions(split=SplitOptions(target_tokens=40, overlap_tokens=15)))
    assert library.text("odd.txt") == text
    hits = search(library, "paragraph 日本語", SearchOptions(n_hits=100, collapse=False))
    assert len(hits) > 10
    for hit in hits:
        assert text[hit.passage.start : hit.passage.end] == hit.passage.text
    assert len({hit.passage.start for hit in hits}) == len(hits)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("昨日、東京の病院で薬をもらいました。", "病院"),
        ("昨日、東京の病院で薬をもらいました。", "薬"),
        ("ผู้ป่วยต้องกินยาทุกวัน", "กินยา"),
        ("Пациент принимает Лекарство утром.", "лекарство"),
        ("El niño toma la medicación.", "nino"),
    ],
)
def test_words_of_other_scripts_are_keywords(library, folder, text, query):
    (folder / "a.txt").write_text(text, encoding="utf-8")
    (folder / "b.txt").write_text("The fee is 40.")
    ingest(library, [folder])
    hits = search(library, query, SearchOptions(keyword_weight=1))
    assert [hit.passage.document for hit in hits] == ["a.txt"]


def test_an_unrelated_question_scores_low(clinic):
    near = search(clinic, "What does a visit cost?")[0]
    far = search(clinic, "Why is the sky blue?")[0]
    assert far.keyword_score == 0
    assert far.vector_score < 0.35 < near.vector_score


def test_exact_codes_and_quotations_come_first(library, folder):
    for number in range(30):
        (folder / f"part{number}.txt").write_text(
            f"The pump part AB-{1000 + number} is made of steel by hand."
        )
    (folder / "guide.txt").write_text(
        "Which pump part should be ordered? The pump parts guide about pump parts."
    )
    (folder / "quote.txt").write_text("He said that the pump never sleeps at night.")
    ingest(library, [folder])
    first = search(library, "Which pump part is ab-1017?")[0]
    assert first.passage.document == "part17.txt" and first.stages["exact"] == 1
    assert "exact" not in search(library, "Which pump part is ab-1017?", SearchOptions(exact=False))[0].stages
    assert search(library, 'guide to pump parts "pump never sleeps"')[0].passage.document == "quote.txt"


def test_nearly_the_same_text_is_given_once_and_all_its_places_are_named(library, folder):
    (folder / "a.txt").write_text("The fee is 40 pounds a visit, to be paid in cash at the desk.")
    (folder / "b.txt").write_text("The fee is 40 pounds a visit, to be paid in cash at the desk!")
    (folder / "c.txt").write_text("The fee is 90 pounds for a whole night in the ward.")
    ingest(library, [folder])
    hits = search(library, "What is the fee?")
    assert sorted((hit.passage.document, hit.also_in) for hit in hits) == [
        ("a.txt", ("b.txt",)),
        ("c.txt", ()),
    ]
    assert len(search(library, "What is the fee?", SearchOptions(collapse=False))) == 3


def test_words_beside_a_passage_count_less_than_its_own(library, folder):
    text = "Notes\n\nQuokkas live in the west.\n\nThey eat leaves and grass.\n\nBoats go twice a day."
    (folder / "a.txt").write_text(text)
    ingest(library, [folder], IngestOptions(split=SplitOptions(target_tokens=9)))
    hits = search(library, "quokkas", SearchOptions(keyword_weight=1))
    assert [hit.passage.text.split()[0] for hit in hits] == ["Notes", "They"]
    assert hits[0].stages == {
        "fused": 1.0,
        "keywords": hits[0].keyword_score,
        "vectors": hits[0].vector_score,
    }


def test_endings_of_german_and_russian_words_do_not_matter(library, folder):
    german = "Die Häuser in der Straße sind alt, und die Kinder spielen nicht mit dem Ball auf dem Hof."
    (folder / "de.txt").write_text(german)
    (folder / "ru.txt").write_text("Пациент принимает лекарства утром.")
    (folder / "en.txt").write_text("The children are playing with a ball in the yard of the old school.")
    ingest(library, [folder])
    for query, document in (
        ("Haus", "de.txt"),
        ("strasse", "de.txt"),
        ("лекарство", "ru.txt"),
        ("play", "en.txt"),
    ):
        found = search(library, query, SearchOptions(keyword_weight=1))
        assert [hit.passage.document for hit in found] == [document], query


class _Backwards:
    name, weight = "backwards", 100.0

    def scores(self, query, texts, progress=None):
        return np.arange(len(texts), dtype=np.float32)


def test_rerankers_change_the_order_and_tell_their_scores(clinic):
    plain = search(clinic, "How much do children pay?")
    again = search(clinic, "How much do children pay?", rerankers=[_Backwards()])
    assert [hit.passage for hit in again] == [hit.passage for hit in reversed(plain)]
    assert [hit.score for hit in again] == [hit.score for hit in plain]
    assert again[0].stages["backwards"] == len(plain) - 1
