"""The data doctor: everything that is wrong with a data set, before anything is learnt from it."""

from collections.abc import Mapping
from dataclasses import dataclass

from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer
from homespun.progress import Progress, no_progress
from homespun.retrieval.embedder import Embedder
from homespun.tuning.data.checks import (
    content_findings,
    duplicate_findings,
    language_findings,
    row_findings,
    secret_findings,
)
from homespun.tuning.data.encoded import Lengths, encode_all, encoded_findings, lengths_of
from homespun.tuning.data.finding import Finding
from homespun.tuning.data.leaks import leak_findings
from homespun.tuning.data.read import FileFacts, ReadData

_ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Checkup:
    """What the doctor found.

    Attributes:
        findings: the worst first.
        lengths: tokens of each example, template included; None where not one can be encoded.
        answer_lengths: of each example's tokens that carry loss.
        languages: rows by ISO 639-1 code.
    """

    findings: tuple[Finding, ...]
    files: tuple[FileFacts, ...]
    shape: str
    n_examples: int
    n_unusable: int
    lengths: Lengths | None
    answer_lengths: Lengths | None
    languages: Mapping[str, int]

    @property
    def has_errors(self) -> bool:
        """Whether something would spoil the tuning or its measurement."""
        return any(finding.severity == "error" for finding in self.findings)


def examine(
    data: ReadData,
    template: ChatTemplate,
    tokenizer: Tokenizer,
    *,
    window: int,
    test: ReadData | None = None,
    embedder: Embedder | None = None,
    progress: Progress = no_progress,
) -> Checkup:
    """Look a data set over.

    Args:
        template, tokenizer: of the model that is to be tuned.
        window: tokens that an example may have.
        test: what will be measured on; rows that were learnt are looked for in it.
        embedder: finds such rows in other words.
    """
    rows, findings = encode_all(data.examples, template, tokenizer, progress)
    findings += encoded_findings(rows, template, tokenizer, window)
    findings += row_findings(data.problems, len(data.examples))
    findings += duplicate_findings(data.examples)
    findings += secret_findings(data.examples)
    languages, of_languages = language_findings(data.examples)
    findings += [*of_languages, *content_findings(data.examples)]
    if test is not None:
        findings += leak_findings(data.examples, test.examples, embedder, progress)
    return Checkup(
        tuple(sorted(findings, key=lambda finding: _ORDER[finding.severity])),
        data.files,
        data.shape,
        len(data.examples),
        sum(not problem.is_kept for problem in data.problems),
        lengths_of([len(row.encoded.token_ids) for row in rows]) if rows else None,
        lengths_of([row.encoded.n_labelled for row in rows]) if rows else None,
        languages,
    )
