"""What is measured of the texts that the strategies write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from homespun.decoding.strategies import Strategy, Written
from homespun.evaluation.diversity import distinct_n, repeated_share, self_bleu, words
from homespun.evaluation.intervals import Shares, mean_shares
from homespun.evaluation.metrics import token_f1
from homespun.evaluation.prompts import Prompt
from homespun.progress import Progress, no_progress
from homespun.retrieval.embedder import Embedder


@dataclass(frozen=True)
class Measure:
    """One column of the table: its name, its unit, and how many decimals tell something."""

    name: str
    unit: str
    decimals: int
    about: str


MEASURES = (
    Measure("distinct-1", "share", 3, "distinct words over all words of all texts"),
    Measure("distinct-2", "share", 3, "distinct pairs of words over all pairs of all texts"),
    Measure("self-BLEU", "0 to 1", 3, "BLEU of each text against all others; low is diverse"),
    Measure("speed", "tokens/s", 1, "tokens written in a second, the prompt being read already"),
    Measure("log-likelihood", "nats/token", 2, "mean log-probability of a token under the model"),
    Measure("token F1", "0 to 1", 3, "shared words with the closest reference"),
    Measure("coherence", "cosine", 3, "similarity of prompt and text, by the embedder"),
    Measure("repetition", "share", 3, "4-grams that stood in the same text before"),
)


def text_shares(texts: Sequence[Written], prompts: Sequence[Prompt]) -> dict[str, Shares]:
    """What each prompt's text adds to each measure."""
    cut = [words(one.text) for one in texts]
    told = [bool(one.n_steps) and np.isfinite(one.log_probability) for one in texts]
    f1 = [
        token_f1(one.text, prompt.references) if prompt.references else None
        for one, prompt in zip(texts, prompts, strict=True)
    ]
    return {
        "distinct-1": distinct_n(cut, 1),
        "distinct-2": distinct_n(cut, 2),
        "self-BLEU": self_bleu(cut),
        "speed": Shares(tuple(float(one.n_steps) for one in texts), tuple(one.seconds for one in texts)),
        "log-likelihood": Shares(
            tuple(one.log_probability if ok else 0.0 for one, ok in zip(texts, told, strict=True)),
            tuple(float(one.n_steps) if ok else 0.0 for one, ok in zip(texts, told, strict=True)),
        ),
        "token F1": mean_shares(f1),
        "repetition": repeated_share(cut),
    }


def coherence_shares(
    prompts: Sequence[Prompt],
    written: Mapping[Strategy, Sequence[Written]],
    embedder: Embedder,
    progress: Progress = no_progress,
) -> dict[Strategy, Shares]:
    """The cosine of each prompt's vector and its text's, by strategy; an empty text says nothing."""
    asked = embedder.embed([prompt.text for prompt in prompts], "query", progress)
    found = {}
    for name, texts in written.items():
        vectors = embedder.embed([one.text or "-" for one in texts], "query", progress)
        cosines = (asked * vectors).sum(axis=1)
        pairs = zip(cosines, texts, strict=True)
        found[name] = mean_shares([float(c) if one.text.strip() else None for c, one in pairs])
    return found
