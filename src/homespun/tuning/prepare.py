"""From a person's files to encoded examples: what is trained on, what is held out, what is left out and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from homespun.models.errors import TemplateError
from homespun.models.home import Home
from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer
from homespun.progress import Progress, no_progress
from homespun.tuning.data.columns import DataColumns
from homespun.tuning.data.pieces import divide_texts
from homespun.tuning.data.read import ReadData, read_examples
from homespun.tuning.data.split import split_examples
from homespun.tuning.encode import encode_example
from homespun.tuning.errors import DataError
from homespun.tuning.examples import EncodedExample, Example
from homespun.tuning.forgetting_set import replay_examples
from homespun.tuning.grounded import GroundOptions, ground
from homespun.tuning.options import TuneOptions

#: A held-out loss of so many examples is steady enough to stop by, and soon measured.
MAX_HELDOUT = 64
#: With fewer examples than this, none is held out unless a share is asked for by name.
FEW_EXAMPLES = 10


@dataclass(frozen=True)
class Prepared:
    """The data of a run.

    Attributes:
        train, heldout: encoded as the model sees them.
        train_examples, heldout_examples: what they were encoded from, in the same order.
        left_out: rows that are not trained on, each "FILE:LINE: why".
    """

    data: ReadData
    train: tuple[EncodedExample, ...]
    heldout: tuple[EncodedExample, ...]
    train_examples: tuple[Example, ...]
    heldout_examples: tuple[Example, ...]
    left_out: tuple[str, ...]


def prepare(
    home: Home,
    paths: Sequence[Path],
    template: ChatTemplate,
    tokenizer: Tokenizer,
    options: TuneOptions,
    grounding: GroundOptions,
    columns: DataColumns,
    *,
    window: int,
    progress: Progress = no_progress,
) -> Prepared:
    """Read, ground, split and encode. Nothing is cut: a chat that is too long is left out and named, a plain
    text that is too long is learnt in several pieces.

    Raises:
        DataError: no example is left to train on.
    """
    data = read_examples(paths, columns, progress=progress)
    examples: Sequence[Example] = data.examples
    if grounding.library:
        examples = ground(home, examples, grounding, progress=progress)
    longest = min(options.max_tokens, window)
    examples = divide_texts(examples, tokenizer, longest)
    left_out = [f"{p.file}:{p.line}: {p.what}" for p in data.problems if not p.is_kept]
    kept: dict[Example, EncodedExample] = {}
    for example in examples:
        reason, encoded = _encoded(example, template, tokenizer, longest)
        if encoded is None:
            left_out.append(f"{example.file}:{example.line}: {reason}")
        else:
            kept[example] = encoded
    if not kept:
        raise DataError(
            f"none of the {len(examples)} examples can be trained on; the first: {left_out[0]}",
            remedy="Raise --max-tokens, or shorten the examples.",
        )
    share = min(options.heldout, MAX_HELDOUT / len(kept)) if len(kept) >= FEW_EXAMPLES else 0.0
    split = split_examples(list(kept), share, options.seed)
    replayed = _replayed(len(split.train), options, template, tokenizer)
    kept |= replayed
    train_examples = (*split.train, *replayed)
    return Prepared(
        data=data,
        train=tuple(kept[example] for example in train_examples),
        train_examples=train_examples,
        heldout=tuple(kept[example] for example in split.heldout),
        heldout_examples=split.heldout,
        left_out=tuple(left_out),
    )


def _replayed(
    n_train: int, options: TuneOptions, template: ChatTemplate, tokenizer: Tokenizer
) -> dict[Example, EncodedExample]:
    """General examples that make up the share `replay` of all that is trained on, as far as there are so many."""
    if not 0 <= options.replay < 1:
        raise DataError(f"the share replayed is {options.replay}; it must be at least 0 and below 1")
    wanted = round(n_train * options.replay / (1 - options.replay))
    if not wanted:
        return {}
    return {
        example: encode_example(example, template, tokenizer)
        for example in replay_examples(wanted, options.seed)
    }


def _encoded(
    example: Example, template: ChatTemplate, tokenizer: Tokenizer, longest: int
) -> tuple[str, EncodedExample | None]:
    try:
        encoded = encode_example(example, template, tokenizer)
    except (TemplateError, DataError) as error:
        return error.what, None
    if len(encoded.token_ids) > longest:
        return f"{len(encoded.token_ids)} tokens, and {longest} are allowed", None
    return "", encoded
