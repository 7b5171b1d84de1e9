"""Findings in the tokens that the model will see: what has no end, what is too long, which answers stand out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from homespun.models.errors import TemplateError
from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer
from homespun.progress import Progress, no_progress
from homespun.tuning.data.finding import Finding, places, rows_of
from homespun.tuning.encode import encode_example
from homespun.tuning.errors import DataError
from homespun.tuning.examples import EncodedExample, Example

#: An answer so many times longer than the median one, or than which the median is so many times longer.
_EXTREME = 10


@dataclass(frozen=True)
class Lengths:
    """Counts of tokens over all examples."""

    total: int
    smallest: int
    median: int
    p95: int
    largest: int


@dataclass(frozen=True)
class EncodedRow:
    """An example and its tokens."""

    example: Example
    encoded: EncodedExample


def encode_all(
    examples: Sequence[Example],
    template: ChatTemplate,
    tokenizer: Tokenizer,
    progress: Progress = no_progress,
) -> tuple[list[EncodedRow], list[Finding]]:
    """The tokens of all examples that the template takes, and findings on the others."""
    rows: list[EncodedRow] = []
    refused: list[tuple[Example, str]] = []
    for number, example in enumerate(examples, 1):
        try:
            rows.append(EncodedRow(example, encode_example(example, template, tokenizer)))
        except (DataError, TemplateError) as error:
            refused.append((example, error.what))
        if number % 50 == 0:
            progress("applying the template", number, len(examples))
    findings = []
    if refused:
        findings.append(
            Finding(
                "template",
                "error",
                f"{rows_of(len(refused))} cannot be written in this model's template. The first: {refused[0][1]}",
                "Mend these rows, or choose another model.",
                places(example for example, _ in refused),
            )
        )
    return rows, findings


def encoded_findings(
    rows: Sequence[EncodedRow], template: ChatTemplate, tokenizer: Tokenizer, window: int
) -> Iterator[Finding]:
    """Ends that are not learnt, rows longer than the window, and answers of an extreme length."""
    endless = [row.example for row in rows if not _end_is_learnt(row.encoded, tokenizer)]
    if endless:
        yield Finding(
            "template",
            "error",
            f"{rows_of(len(endless))} have no labelled end token: a model tuned on them does not learn to stop.",
            "Choose a model whose template ends each turn with a token of its own.",
            places(endless),
        )
    if template.is_fallback and any(row.example.messages for row in rows):
        yield Finding(
            "template",
            "note",
            "The model brings no chat template; turns are written with names before them.",
            "Fine if it is run by Homespun, which writes them the same way.",
        )
    yield from _cuts(rows, window)
    yield from _extremes(rows)


def _end_is_learnt(encoded: EncodedExample, tokenizer: Tokenizer) -> bool:
    return encoded.labelled[-1] and encoded.token_ids[-1] in tokenizer.stop_ids


def _cuts(rows: Sequence[EncodedRow], window: int) -> Iterator[Finding]:
    texts = [row for row in rows if not row.example.messages and len(row.encoded.token_ids) > window]
    if texts:
        yield Finding(
            "cut",
            "note",
            f"{rows_of(len(texts))} of plain text are longer than {window:,} tokens.",
            "They are divided into pieces that fit.",
            places(row.example for row in texts),
        )
    long = [row for row in rows if row.example.messages and len(row.encoded.token_ids) > window]
    if not long:
        return
    whole = [row for row in long if not any(row.encoded.labelled[:window])]
    longest = max(len(row.encoded.token_ids) for row in long)
    yield Finding(
        "cut",
        "error",
        f"{rows_of(len(long))} are longer than {window:,} tokens (the longest has {longest:,}) and are left out. "
        f"Cut there, all of them would lose their end, and {len(whole):,} their whole answer.",
        "Shorten them, or allow longer ones with --max-tokens.",
        tuple(
            f"{place} ({len(row.encoded.token_ids):,} tokens)"
            for row, place in zip(long, places(row.example for row in long), strict=True)
        ),
    )


def _extremes(rows: Sequence[EncodedRow]) -> Iterator[Finding]:
    chats = [row for row in rows if row.example.messages]
    if len(chats) < 10:
        return
    middle = median(row.encoded.n_labelled for row in chats)
    for what, some in (
        ("longer", [row for row in chats if row.encoded.n_labelled > _EXTREME * middle]),
        ("shorter", [row for row in chats if row.encoded.n_labelled * _EXTREME < middle]),
    ):
        if some:
            yield Finding(
                "length",
                "note",
                f"{rows_of(len(some))} have an answer more than {_EXTREME} times {what} than the median one "
                f"({middle:.0f} tokens).",
                "Look whether they are whole, and meant.",
                places(row.example for row in some),
            )


def lengths_of(counts: Sequence[int]) -> Lengths:
    """Total, extremes, median and 95th percentile (nearest rank) of at least one count."""
    ordered = sorted(counts)
    return Lengths(
        sum(ordered),
        ordered[0],
        ordered[(len(ordered) - 1) // 2],
        ordered[max(0, -(-95 * len(ordered) // 100) - 1)],
        ordered[-1],
    )
