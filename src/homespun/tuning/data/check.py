"""A data set checked for a model of the home, from paths and names alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from homespun.models.home import Home
from homespun.progress import Progress, no_progress
from homespun.retrieval.embedder import Embedder
from homespun.retrieval.embedders.opening import description, open_registered
from homespun.tuning.data.columns import DataColumns
from homespun.tuning.data.doctor import Checkup, examine
from homespun.tuning.data.finding import place
from homespun.tuning.data.model_parts import read_model_parts
from homespun.tuning.data.preview import PreviewToken, preview
from homespun.tuning.data.read import read_examples


@dataclass(frozen=True)
class ShownExample:
    """An example as the model sees it, and where it stands."""

    place: str
    tokens: tuple[PreviewToken, ...]


@dataclass(frozen=True)
class DataCheck:
    """A checkup, for which model and window, and the first examples token by token."""

    model: str
    window: int
    checkup: Checkup
    shown: tuple[ShownExample, ...]


def check_data(
    home: Home,
    paths: Sequence[Path],
    columns: DataColumns = DataColumns(),
    *,
    test: Sequence[Path] = (),
    model: str | None = None,
    max_tokens: int = 2048,
    n_shown: int = 0,
    progress: Progress = no_progress,
) -> DataCheck:
    """Read examples and look them over for a model.

    Args:
        test: files of what will be measured on; leaks into them are looked for, in other words too if the
            home has an embedder on this machine (nothing is ever sent away).
        model: None: the home's default one.
        max_tokens: that an example may have; fewer where the model's window is smaller.
        n_shown: so many examples are given token by token.

    Raises:
        DataError: the files cannot be used.
        UnknownModelError: no such model.
    """
    parts = read_model_parts(home, model)
    data = read_examples(paths, columns, progress=progress)
    tested = read_examples(test, columns, progress=progress) if test else None
    window = min(max_tokens, parts.context_length or max_tokens)
    checkup = examine(
        data,
        parts.template,
        parts.tokenizer,
        window=window,
        test=tested,
        embedder=_local_embedder(home) if test else None,
        progress=progress,
    )
    shown = tuple(
        ShownExample(place(example), tuple(preview(example, parts.template, parts.tokenizer)))
        for example in data.examples[:n_shown]
    )
    return DataCheck(parts.name, window, checkup, shown)


def _local_embedder(home: Home) -> Embedder | None:
    """The home's default embedder, unless it is a server's."""
    if not home.embedders():
        return None
    registered = home.embedder()
    if description(registered.path).get("kind") == "remote":
        return None
    return open_registered(home, registered)
