"""What a model knows of the general set: which option it finds most probable, and neutral text's perplexity."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from homespun.engines.engine import Engine
from homespun.engines.likelihood import log_likelihoods
from homespun.models.digest import file_digest
from homespun.models.storage import write_atomically
from homespun.models.template import Message
from homespun.progress import Progress, no_progress
from homespun.tuning.forgetting_set import GeneralItem, general_digest, general_items, general_texts


@dataclass(frozen=True)
class GeneralScores:
    """Of one model, or one adapter on it.

    Attributes:
        kinds: the kind of each question.
        right: per question, whether the right option was the most probable one.
        text_nats: per text, minus the sum of its tokens' log-probabilities.
        text_tokens: per text, how many tokens that is.
    """

    kinds: tuple[str, ...]
    right: tuple[bool, ...]
    text_nats: tuple[float, ...]
    text_tokens: tuple[int, ...]

    @property
    def perplexity(self) -> float:
        """exp of the mean over all tokens of all texts."""
        return float(np.exp(sum(self.text_nats) / sum(self.text_tokens)))


def measure_general(
    engine: Engine,
    *,
    adapter: str | None,
    n_a_kind: int = 0,
    cache_path: Path | None = None,
    progress: Progress = no_progress,
) -> GeneralScores:
    """Ask all questions and read all texts.

    A question is put through the model's own template; of its options the one that the assistant would most
    probably write is taken as the model's. (The mean over an option's tokens instead of their sum knows less:
    SmolLM2-135M has 142 of 224 right by the sum, 131 by the mean.)

    Args:
        engine: any that scores given tokens.
        adapter: a loaded one; None is the base model.
        n_a_kind: questions of each kind, and as many texts at most; 0: all.
        cache_path: a folder where the base model's scores are kept from run to run.

    Raises:
        WindowError: a question is longer than the engine's window.
    """
    kept = None if cache_path is None or adapter is not None else _kept(engine, n_a_kind, cache_path)
    if kept is not None and kept.is_file():
        found = _read(kept)
        if found is not None:
            return found
    items, texts = general_items(n_a_kind), general_texts(n_a_kind)
    right = _answered(engine, items, adapter, progress)
    nats, tokens = _read_texts(engine, texts, adapter, progress)
    scores = GeneralScores(tuple(item.kind for item in items), right, nats, tokens)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, json.dumps(asdict(scores)) + "\n")
    return scores


def _answered(
    engine: Engine, items: Sequence[GeneralItem], adapter: str | None, progress: Progress
) -> tuple[bool, ...]:
    prompts: list[list[int]] = []
    options: list[list[int]] = []
    for item in items:
        asked = engine.template.encode([Message("user", item.prompt)])
        begin, space = (engine.tokenizer.encode(item.begin), " ") if item.begin else ([], "")
        for option in item.options:
            prompts.append([*asked, *begin])
            options.append(engine.tokenizer.encode(space + option))
    scores = log_likelihoods(
        engine, prompts, options, adapter=adapter, progress=progress, what="asking general questions"
    )
    sums = iter(float(np.sum(values, dtype=np.float64)) for values in scores)
    chosen = [int(np.argmax([next(sums) for _ in item.options])) for item in items]
    return tuple(place == item.answer for place, item in zip(chosen, items, strict=True))


def _read_texts(
    engine: Engine, texts: Sequence[str], adapter: str | None, progress: Progress
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Nats and tokens of each text; its first token is given where the model has no begin token."""
    begin = list(engine.tokenizer.begin_ids)
    ids = [[*begin, *engine.tokenizer.encode(text)] for text in texts]
    given = max(1, len(begin))
    scores = log_likelihoods(
        engine,
        [one[:given] for one in ids],
        [one[given:] for one in ids],
        adapter=adapter,
        progress=progress,
        what="reading neutral texts",
    )
    return tuple(-float(np.sum(values, dtype=np.float64)) for values in scores), tuple(map(len, scores))


def _kept(engine: Engine, n_a_kind: int, cache_path: Path) -> Path | None:
    """Where the base model's scores are; None where its file has no digest (a server, a folder)."""
    facts = engine.facts
    path = Path(facts.model_path)
    if not path.is_file():
        return None
    parts = (
        file_digest(path),
        general_digest(),
        facts.engine,
        facts.version,
        facts.mode,
        facts.precision,
        facts.cache_precision,
        str(n_a_kind),
    )
    return cache_path / f"{sha256(chr(10).join(parts).encode()).hexdigest()[:32]}.json"


def _read(path: Path) -> GeneralScores | None:
    """Kept scores; a damaged file is measured again."""
    try:
        found = json.loads(path.read_text("utf-8"))
        return GeneralScores(**{name: tuple(values) for name, values in found.items()})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
