"""A library's own embedder: the one it has, tuned on questions with their passages, and what that gained."""

import json
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from homespun.models.home import Home
from homespun.progress import Progress, no_progress
from homespun.retrieval.embedders.card import prefixes_of
from homespun.retrieval.embedders.manage import add_embedder
from homespun.retrieval.embedders.opening import description, open_registered
from homespun.retrieval.library import Library
from homespun.tuning.encoder_gain import Gain, measure_gain
from homespun.tuning.encoder_options import EncoderTuneOptions
from homespun.tuning.encoder_pairs import encoder_pairs, hold_out, read_placed_questions
from homespun.tuning.encoder_train import import_sentence_transformers, train_encoder
from homespun.tuning.errors import TuneError

PROMPTS_FILE = "config_sentence_transformers.json"


@dataclass(frozen=True)
class TunedEncoder:
    """A tuned embedder of the home.

    Attributes:
        name, path: its own. `base`: which it was made from.
        n_learnt, n_heldout: questions. `n_unanswerable`, `n_not_found`: rows that could not be used.
        losses: of the steps, in nats.
        gains: on questions that were not learnt.
        seconds: of training; `measure_seconds`: of measuring.
        verdict: what the gains say, in one sentence.
    """

    name: str
    path: Path
    base: str
    n_learnt: int
    n_heldout: int
    n_unanswerable: int
    n_not_found: int
    losses: tuple[float, ...]
    gains: tuple[Gain, ...]
    seconds: float
    measure_seconds: float
    verdict: str


def tune_encoder(
    home: Home,
    library: Library,
    questions: Path,
    name: str,
    options: EncoderTuneOptions = EncoderTuneOptions(),
    progress: Progress = no_progress,
) -> TunedEncoder:
    """Tune a library's embedder to its questions and register the result as an embedder of its own.

    The library stays as it is: its vectors are the old embedder's. A new library has to be made to use the
    tuned one, which is worth it only where the verdict says so.

    Args:
        home: where the embedder is and goes.
        library: opened with its embedder.
        questions: a file (see `read_placed_questions`).
        name: of the new embedder.

    Raises:
        TuneError: the library's embedder cannot be tuned.
        DataError: too few questions with a place in the library.
        EngineError: torch or sentence-transformers are not installed.
        EmbedderError: the name is taken.
    """
    base = home.embedder(library.facts.embedder_name)
    if description(base.path)["kind"] != "folder" or not (base.path / "modules.json").is_file():
        raise TuneError(f"the embedder {base.name} is no sentence-transformers folder", where=str(base.path))
    import_sentence_transformers()
    placed = read_placed_questions(questions, library)
    learnt, held = hold_out(placed.questions, options.heldout, options.seed)
    pairs = encoder_pairs(library, learnt, options.seed)
    started = time.perf_counter()
    home.cache_path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.cache_path) as folder:
        made = Path(folder) / name
        losses = train_encoder(
            base.path,
            made,
            pairs,
            _prefixes(base.path),
            epochs=options.epochs,
            learning_rate=options.learning_rate,
            batch_pairs=options.batch_pairs,
            n_hard=options.hard_negatives,
            seed=options.seed,
            threads=options.threads,
            progress=progress,
        )
        _keep_facts(base.path, made)
        trained = time.perf_counter()
        facts = add_embedder(home, str(made), name, progress=progress)
    gains = measure_gain(library, open_registered(home, home.embedder(name)), held, progress)
    return TunedEncoder(
        name=facts.name,
        path=facts.path,
        base=base.name,
        n_learnt=len(pairs),
        n_heldout=len(held),
        n_unanswerable=placed.n_unanswerable,
        n_not_found=placed.n_not_found,
        losses=tuple(losses),
        gains=gains,
        seconds=trained - started,
        measure_seconds=time.perf_counter() - trained,
        verdict=verdict(gains),
    )


def verdict(gains: tuple[Gain, ...]) -> str:
    """What may be claimed of search as libraries do it: only what no interval leaves open."""
    told = [gain for gain in gains if gain.way == "search"]
    better = [f"hit@{gain.cut}" for gain in told if gain.difference.low > 0]
    worse = [f"hit@{gain.cut}" for gain in told if gain.difference.high < 0]
    if better and not worse:
        return f"Search finds more with it ({', '.join(better)}): worth a new library."
    if worse:
        return f"Search finds less with it ({', '.join(worse)}): keep the old embedder."
    return "No gain is shown for search: these questions leave open whether it is better or worse."


def _prefixes(path: Path) -> tuple[str, str]:
    stated = path / PROMPTS_FILE
    found = prefixes_of(json.loads(stated.read_text("utf-8")) if stated.is_file() else {}, [path.name])
    return found.query, found.passage


def _keep_facts(base: Path, made: Path) -> None:
    """What the base is known by under its own name: its card's languages, its family's prefixes."""
    if (base / "README.md").is_file():
        shutil.copyfile(base / "README.md", made / "README.md")
    query, passage = _prefixes(base)
    stated = json.loads((made / PROMPTS_FILE).read_text("utf-8"))
    if (query or passage) and not any((stated.get("prompts") or {}).values()):
        stated["prompts"] = {"query": query, "passage": passage}
        (made / PROMPTS_FILE).write_text(json.dumps(stated, indent=2) + "\n", "utf-8")
