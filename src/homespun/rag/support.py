"""Whether the passages say what a sentence says; works without any language model.

A sentence is laid over each sentence of the passages, and over neighbouring pairs. What it shares word
for word must then agree in the rest: a number, name or negation that differs from what stands in that
place is a changed claim. Where little is shared, values and names must still be there, and words and
meaning (embedder cosine) near enough.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from homespun.documents.split import Passage
from homespun.rag.alignment import Alignment, Token, align, sentence_stop, tokenize
from homespun.rag.embeds import Embeds, FloatArray
from homespun.rag.sentences import PassageSentence, passage_sentences
from homespun.rag.words import find_words

#: The constants below were chosen on the train split of examples/clinic/checks with bench/support.py.
#: From this share of equal words on, a sentence counts as taken over, and each difference as a change.
VERBATIM_SHARE = 0.55
#: How many of the nearest windows may support a sentence.
N_WINDOWS = 4
#: Words this near in meaning (cosine of their vectors) count as the same.
SYNONYM_COSINE = 0.6
#: The same where the rest is taken over word for word: there, only a true synonym is no change.
CHANGED_COSINE = 0.7
#: Least strength (mean of word share and cosine) of a sentence that says it in other words.
LEAST_STRENGTH = 0.52
#: Strength lost where one side has a negation and the other none.
DENIAL_COST = 0.1

#: The reason where nothing contradicts a sentence, and nothing says it.
NOT_SAID = "no passage says this"

_NEGATIONS = frozenset(
    [
        "not",
        "no",
        "never",
        "without",
        "nobody",
        "none",
        "neither",
        "nor",
        "cannot",
        "nothing",
        "nowhere",
        "dont",
        "doesnt",
        "isnt",
        "arent",
        "wont",
    ]
)
_NAME = re.compile(r"[^\W\d_a-z]\w*[’'\w]*", re.UNICODE)

#: Words of a sentence about the answer itself ("The answer is:"), which no passage can support.
_TALK_WORDS = frozenset(("answer", "answers", "question", "passage", "passages", "following", "information"))


@dataclass(frozen=True)
class Check:
    """The verdict on one sentence.

    Attributes:
        is_supported: whether a passage says it.
        sentences: the passage sentences that say it, or come nearest; neighbours in one passage.
        reason: why not, in plain words; empty when supported.
        strength: 0 to 1, how much of it is there in words and meaning.
    """

    is_supported: bool
    sentences: tuple[PassageSentence, ...]
    reason: str
    strength: float


@dataclass(frozen=True)
class _Window:
    sentences: tuple[PassageSentence, ...]
    tokens: tuple[Token, ...]
    context_terms: frozenset[str]


class SupportChecker:
    """Checks sentences against some passages, which are embedded once.

    Args:
        passages: what the model was given.
        text_of: a document's text by its name.
        embedder: the library's own.
    """

    def __init__(self, passages: Sequence[Passage], text_of: Callable[[str], str], embedder: Embeds) -> None:
        self._embedder = embedder
        self._windows = _windows(passage_sentences(passages, text_of))
        self._vectors = _window_vectors(self._windows, embedder)
        self._word_vectors: dict[str, FloatArray] = {}

    def check(self, claim: str) -> Check:
        """Whether the passages say what a sentence says."""
        tokens = tokenize(claim)
        says = [token for token in tokens if not token.is_stop and token.text.lower() not in _TALK_WORDS]
        if not self._windows or not says:
            return Check(False, (), "it says nothing that could be looked up", 0.0)
        cosines = self._vectors @ _embed(self._embedder, [claim])[0]
        alignments = [align(tokens, window.tokens, _weight) for window in self._windows]
        ranking = [
            alignment.matched + float(cosine) for alignment, cosine in zip(alignments, cosines, strict=True)
        ]
        # The length of a window breaks ties in favour of the shorter citation.
        order = sorted(
            range(len(ranking)), key=lambda i: (-round(ranking[i], 3), len(self._windows[i].sentences))
        )[:N_WINDOWS]
        nearest: Check | None = None
        for i in order:
            check = self._check_window(claim, tokens, self._windows[i], alignments[i], float(cosines[i]))
            if check.is_supported:
                return check
            nearest = nearest or check
            if alignments[i].matched >= VERBATIM_SHARE:
                break  # this is the sentence that was changed; a vaguer one does not excuse it
        assert nearest is not None
        return nearest

    def _check_window(
        self, claim: str, tokens: Sequence[Token], window: _Window, alignment: Alignment, cosine: float
    ) -> Check:
        covered = self._soft_coverage(tokens, window)
        strength = 0.5 * covered + 0.5 * max(cosine, 0.0)
        if _is_denied(tokens) != _is_denied(window.tokens):
            strength -= DENIAL_COST
        reason = (
            _wrong_quantity(window, alignment)
            or self._changed_word(tokens, window, alignment)
            or _missing_name(claim, tokens, window)
            or _changed_negation(tokens, window, alignment)
        )
        if not reason and strength < LEAST_STRENGTH:
            reason = NOT_SAID
        return Check(not reason, window.sentences, reason, strength)

    def _soft_coverage(self, tokens: Sequence[Token], window: _Window) -> float:
        """The share of the claim's telling tokens that the window has, a near word counting by its cosine."""
        values = []
        for token in tokens:
            if token.is_stop:
                continue
            if token.quantity:
                values.append(float(any(token.equals(other) for other in window.tokens if other.quantity)))
            else:
                values.append(self._presence(token, window))
        return float(np.mean(values)) if values else 0.0

    def _presence(self, token: Token, window: _Window) -> float:
        """1 where the word stands in the window or above it, else the cosine of the nearest word."""
        words = [other for other in window.tokens if not other.is_stop and not other.quantity]
        if token.term in window.context_terms or any(token.term == other.term for other in words):
            return 1.0
        return max((self._similarity(token.text, other.text) for other in words), default=0.0)

    def _similarity(self, one: str, other: str) -> float:
        missing = [word for word in {one.lower(), other.lower()} if word not in self._word_vectors]
        if missing:
            for word, vector in zip(missing, _embed(self._embedder, missing), strict=True):
                self._word_vectors[word] = vector
        return float(self._word_vectors[one.lower()] @ self._word_vectors[other.lower()])

    def _changed_word(self, tokens: Sequence[Token], window: _Window, alignment: Alignment) -> str:
        """A telling word that stands where the passage, otherwise the same, says something else."""
        if alignment.matched < VERBATIM_SHARE:
            return ""
        for token, under in alignment.pairs:
            if token.is_stop or token.quantity or (under is not None and token.equals(under)):
                continue
            if under is not None and not under.is_stop and not under.quantity:
                is_elsewhere = any(token.equals(other) for other in window.tokens)
                if is_elsewhere or self._similarity(token.text, under.text) < CHANGED_COSINE:
                    return f"it says “{token.text}” where the passage says “{under.text}”"
            elif self._presence(token, window) < SYNONYM_COSINE:
                return f"“{token.text}” is not in the passage"
        return ""


def _windows(sentences: Sequence[PassageSentence]) -> list[_Window]:
    groups: list[tuple[PassageSentence, ...]] = [
        (sentence,) for sentence in sentences if not sentence.is_heading
    ]
    groups.extend(
        (first, second)
        for first, second in pairwise(sentences)
        if first.rank == second.rank and not first.is_heading and not second.is_heading
    )
    return [
        _Window(
            group,
            _window_tokens(group),
            frozenset(word.term for sentence in group for word in find_words(sentence.context)),
        )
        for group in groups
    ]


def _window_tokens(group: Sequence[PassageSentence]) -> tuple[Token, ...]:
    """Tokens of a window; a claim rarely spans the end of a sentence, so a stop stands there that costs."""
    tokens = tokenize(group[0].text)
    for sentence in group[1:]:
        end = tokens[-1].end if tokens else 0
        tokens.append(sentence_stop(end))
        tokens.extend(
            replace(token, start=token.start + end + 1, end=token.end + end + 1)
            for token in tokenize(sentence.text)
        )
    return tuple(tokens)


def _window_vectors(windows: Sequence[_Window], embedder: Embeds) -> FloatArray:
    """A unit vector for each window: its sentence's, or the mean direction of its two; (n windows, d)."""
    singles = [window for window in windows if len(window.sentences) == 1]
    vectors = _embed(embedder, [window.sentences[0].text for window in singles])
    by_start = {
        (window.sentences[0].rank, window.sentences[0].start): vector
        for window, vector in zip(singles, vectors, strict=True)
    }
    rows = []
    for window in windows:
        total = np.sum([by_start[sentence.rank, sentence.start] for sentence in window.sentences], axis=0)
        rows.append(total / max(float(np.linalg.norm(total)), 1e-12))
    return np.array(rows, dtype=np.float32).reshape(len(rows), vectors.shape[1])


def _embed(embedder: Embeds, texts: Sequence[str]) -> FloatArray:
    if not texts:
        return np.zeros((0, 1), dtype=np.float32)
    return embedder.embed(list(texts), "passage")


def _weight(token: Token) -> float:
    return 1.0


def _wrong_quantity(window: _Window, alignment: Alignment) -> str:
    """A value that is not in the window, or that the window has in another place than the claim."""
    is_verbatim = alignment.matched >= VERBATIM_SHARE
    for token, under in alignment.pairs:
        if token.quantity is None or (under is not None and token.equals(under)):
            continue
        if not is_verbatim and _is_weak(token):
            continue
        is_there = any(token.equals(other) for other in window.tokens if other.quantity)
        if is_there and not (is_verbatim and under is not None and under.quantity):
            continue
        if under is not None and under.quantity and is_verbatim:
            return f"it says “{token.text}” where the passage says “{under.text}”"
        if not is_there:
            return f"“{token.text}” is not in the passage"
    return ""


def _is_weak(token: Token) -> bool:
    """Values that language uses loosely: "one", "a week", "first"."""
    assert token.quantity is not None
    if token.quantity.kind == "ordinal":
        return True
    return token.text.lower() in ("one", "a day", "a week", "a month", "a year", "per day", "per week")


def _missing_name(claim: str, tokens: Sequence[Token], window: _Window) -> str:
    """A capitalised word inside the sentence that the window and what stands above it do not have."""
    here = {other.term for other in window.tokens} | window.context_terms
    first_start = min(token.start for token in tokens)
    for token in tokens:
        is_name = token.start > first_start and not token.quantity and _NAME.fullmatch(token.text) is not None
        if is_name and not token.is_stop and token.term not in here:
            return f"“{token.text}” is not in the passage"
    return ""


def _changed_negation(tokens: Sequence[Token], window: _Window, alignment: Alignment) -> str:
    """A negation on one side only, where the rest is taken over."""
    if alignment.matched < VERBATIM_SHARE:
        return ""
    under = [other for _, other in alignment.pairs if other is not None]
    if not under:
        return ""
    start, end = min(token.start for token in under), max(token.end for token in under)
    spanned = [token for token in window.tokens if start <= token.start and token.end <= end]
    if _is_denied(tokens) == _is_denied(spanned):
        return ""
    return "it denies what the passage says" if _is_denied(tokens) else "it leaves out a “not” of the passage"


def _is_denied(tokens: Sequence[Token]) -> bool:
    words = [token.text.lower().replace("’", "'") for token in tokens]
    return any(word in _NEGATIONS or word.endswith("n't") for word in words)
