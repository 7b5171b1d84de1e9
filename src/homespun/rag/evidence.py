"""How each sentence of the passages found relates to the question: the numbers that choosing, abstaining
and explaining stand on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log1p

import numpy as np

from homespun.documents.split import Passage
from homespun.rag.asked import answer_kind, holds_kind
from homespun.rag.embeds import Embeds, FloatArray
from homespun.rag.quantities import find_quantities
from homespun.rag.sentences import PassageSentence, passage_sentences
from homespun.rag.words import WordWeights, content_terms

#: Passages whose sentences are looked at; the answer is hardly ever further down.
N_PASSAGES = 10


@dataclass(frozen=True)
class Evidence:
    """A question and what was found for it.

    Attributes:
        question_terms: content words of the question, as compared.
        sentences: of the first passages, headings left out.
        features: float32 (n sentences, n features), columns as in `SENTENCE_FEATURES`.
        sentence_cosines: float32 (n sentences,), to the question.
        passage_cosines: float32 (n passages,), to the question.
        query_vector, passage_vectors: float32 (dimensions,) and (n passages, dimensions), unit length.
    """

    question: str
    question_terms: frozenset[str]
    passages: tuple[Passage, ...]
    sentences: tuple[PassageSentence, ...]
    features: FloatArray
    sentence_cosines: FloatArray
    passage_cosines: FloatArray
    query_vector: FloatArray
    passage_vectors: FloatArray


#: coverage: share of the question's words (by weight) in the sentence; around: in the sentence and its
#: context; passage: in the passage. rank: 1 / (1 + rank). kind: holds the kind of answer asked for.
SENTENCE_FEATURES = (
    "coverage",
    "around",
    "passage",
    "cosine",
    "passage_cosine",
    "rank",
    "kind",
    "length",
    "is_question",
)


def gather_evidence(
    question: str,
    passages: Sequence[Passage],
    text_of: Callable[[str], str],
    embedder: Embeds,
    weights: WordWeights,
    n_passages: int = N_PASSAGES,
) -> Evidence:
    """Compare the question with each sentence of the first passages.

    Args:
        question: as searched.
        passages: best first.
        text_of: a document's text by its name.
        embedder: the library's own.
        weights: how much words tell in this library.
        n_passages: how many passages to look into.
    """
    passages = tuple(passages[:n_passages])
    sentences = tuple(
        sentence for sentence in passage_sentences(passages, text_of) if not sentence.is_heading
    )
    passage_texts = [passage_text(passage) for passage in passages]
    query = embedder.embed([question], "query")[0]
    # As queries, for a passage with its headings may be longer than the embedder's window.
    vectors = embedder.embed([*passage_texts, *(sentence.text for sentence in sentences)], "query")
    cosines = np.asarray(vectors @ query, dtype=np.float32) if len(vectors) else np.zeros(0, dtype=np.float32)
    passage_cosines, sentence_cosines = cosines[: len(passages)], cosines[len(passages) :]
    terms = content_terms(question)
    kind, given = answer_kind(question), find_quantities(question)
    passage_coverage = [weights.coverage(terms, content_terms(text)) for text in passage_texts]
    rows = []
    for sentence, cosine in zip(sentences, sentence_cosines, strict=True):
        own = content_terms(sentence.text)
        rows.append(
            (
                weights.coverage(terms, own),
                weights.coverage(terms, own | content_terms(sentence.context)),
                passage_coverage[sentence.rank],
                float(cosine),
                float(passage_cosines[sentence.rank]),
                1 / (1 + sentence.rank),
                float(holds_kind(kind, sentence.text, given)),
                log1p(len(sentence.text) / 20),
                float(sentence.text.rstrip().endswith("?")),
            )
        )
    features = np.array(rows, dtype=np.float32).reshape(len(rows), len(SENTENCE_FEATURES))
    return Evidence(
        question,
        terms,
        passages,
        sentences,
        features,
        sentence_cosines,
        passage_cosines,
        query,
        vectors[: len(passages)],
    )


def passage_text(passage: Passage) -> str:
    """A passage with the headings above it, as it is compared."""
    return "\n".join((" > ".join(passage.headings), passage.text)) if passage.headings else passage.text
