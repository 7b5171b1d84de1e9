"""Style quote: the sentences that answer, word for word from the passages; no model writes anything."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from homespun.rag.evidence import SENTENCE_FEATURES, Evidence
from homespun.rag.sentences import PassageSentence

#: Weights of `SENTENCE_FEATURES` in a softmax over a question's sentences, fitted by bench/calibrate_quote.py
#: --sample 250 on training questions of the clinic and of COVID-QA. Who changes them runs
#: bench/calibrate_abstain.py too, for abstaining looks at the sentence chosen here.
WEIGHTS: dict[str, float] = {
    "coverage": 1.30,
    "around": 3.37,
    "passage": 0.09,
    "cosine": 4.57,
    "passage_cosine": 0.47,
    "rank": 1.76,
    "kind": 1.55,
    "length": 0.36,
    "is_question": -2.27,
}

#: A further sentence is added when its probability is at least this share of the best one's.
FURTHER_SHARE = 0.6
MAX_SENTENCES = 3


@dataclass(frozen=True)
class Quote:
    """A chosen sentence and the probability that it is the one that answers, among those looked at."""

    sentence: PassageSentence
    probability: float


def sentence_probabilities(evidence: Evidence) -> npt.NDArray[np.float64]:
    """For each sentence, how likely it answers the question, given that one of them does: (n sentences,)."""
    weights = np.array([WEIGHTS[name] for name in SENTENCE_FEATURES])
    scores = evidence.features.astype(np.float64) @ weights
    exponents = np.exp(scores - scores.max()) if len(scores) else scores
    return exponents / exponents.sum() if len(scores) else scores


def choose_sentences(evidence: Evidence, max_sentences: int = MAX_SENTENCES) -> list[Quote]:
    """The one to three sentences that answer best, in reading order within a passage, best passage first."""
    probabilities = sentence_probabilities(evidence)
    if not len(probabilities):
        return []
    order = np.argsort(-probabilities)
    least = probabilities[order[0]] * FURTHER_SHARE
    chosen: list[int] = []
    for index in order[:max_sentences]:
        text = evidence.sentences[index].text
        if probabilities[index] >= least and all(evidence.sentences[i].text != text for i in chosen):
            chosen.append(int(index))
    best_rank = evidence.sentences[chosen[0]].rank
    chosen.sort(key=lambda i: (evidence.sentences[i].rank != best_rank, i))
    return [Quote(evidence.sentences[i], float(probabilities[i])) for i in chosen]
