"""Findings in what the rows say: copies, contradictions, secrets, languages, foreign markers."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from homespun.documents.language import text_language
from homespun.tuning.data.finding import Finding, place, places, rows_of
from homespun.tuning.data.likeness import answered, asked, near_pairs, said, same_places
from homespun.tuning.data.rows import RowProblem
from homespun.tuning.data.secrets import find_secrets
from homespun.tuning.examples import Example

#: Fewer examples than this teach little but themselves.
FEW_EXAMPLES = 50
#: An answer that is so large a share of all is soon given to everything.
_COMMON_ANSWER = 0.25
#: So large a share of unusable rows says that the file is misread as a whole.
_MANY_UNUSABLE = 0.1
#: Languages are told from so many rows, spread over all: 1,000 rows take about 2 s.
_LANGUAGE_ROWS = 1000
#: Languages below this share are hardly meant.
_SMALL_SHARE = 0.02

#: Signs of turns that templates write; inside a text they were hardly meant.
_MARKERS = re.compile(
    r"<\|(?:im_start|im_end|user|assistant|system|end|endoftext|eot_id|start_header_id|begin_of_text)\|>"
    r"|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|^\s*###? ?(?:Instruction|Response|Human|Assistant)\s*:",
    re.MULTILINE,
)


def row_findings(problems: Sequence[RowProblem], n_examples: int) -> Iterator[Finding]:
    """Rows that could not be used, or not as they stand, by kind."""
    by_kind: dict[tuple[str, bool], list[RowProblem]] = defaultdict(list)
    for problem in problems:
        by_kind[problem.kind, problem.is_kept].append(problem)
    for (kind, is_kept), some in by_kind.items():
        unusable = 0 if is_kept or kind == "file" else len(some)
        is_bad = unusable > _MANY_UNUSABLE * (n_examples + unusable)
        things = f"{len(some):,} file{'s' * (len(some) > 1)}" if kind == "file" else rows_of(len(some))
        fate = "used, but look at them" if is_kept else "left out"
        yield Finding(
            kind,
            "error" if is_bad else "note" if kind == "file" else "warning",
            f"{things} {fate}. The first: {some[0].what}",
            "So many that the file is hardly read as it was meant: look at its columns."
            if is_bad
            else "Mend or remove them.",
            tuple(f"{one.file}:{one.line}" if one.line else one.file for one in some),
        )


def duplicate_findings(examples: Sequence[Example]) -> Iterator[Finding]:
    """Rows that say the same, that say nearly the same, and that answer the same thing in two ways."""
    whole = [said(example) for example in examples]
    same = same_places(whole)
    if same:
        n_extra = sum(len(group) - 1 for group in same)
        yield Finding(
            "duplicates",
            "warning",
            f"{rows_of(n_extra)} repeat another one but for case and spaces.",
            "Remove them: they weigh double and are learnt by heart.",
            tuple(" = ".join(places(examples[number] for number in group)) for group in same),
        )
    first: dict[str, int] = {}
    for number, text in enumerate(whole):
        first.setdefault(text, number)
    numbers = list(first.values())
    near = [
        f"{place(examples[numbers[one]])} ~ {place(examples[numbers[other]])} ({shared:.0%})"
        for one, other, shared in near_pairs(list(first))
    ]
    if near:
        yield Finding(
            "near-duplicates",
            "note",
            f"{len(near):,} pairs of rows share at least 80% of their runs of three words.",
            "Fine if they differ in what matters; a share held out keeps them on one side.",
            tuple(near),
        )
    yield from _conflicts(examples)


def _conflicts(examples: Sequence[Example]) -> Iterator[Finding]:
    chats = [example for example in examples if example.messages]
    answers: dict[str, dict[str, Example]] = defaultdict(dict)
    for example in chats:
        answers[asked(example)].setdefault(answered(example), example)
    torn = [group for group in answers.values() if len(group) > 1]
    if torn:
        yield Finding(
            "conflict",
            "warning",
            f"{len(torn):,} prompts have different answers in different rows.",
            "Keep one answer, or write into the prompt what makes the difference.",
            tuple(" / ".join(places(group.values())) for group in torn),
        )


def secret_findings(examples: Sequence[Example]) -> Iterator[Finding]:
    """Secrets and personal data, by their kind."""
    rows: dict[tuple[bool, str], dict[str, None]] = defaultdict(dict)
    for example in examples:
        for text in _texts(example):
            for secret in find_secrets(text):
                rows[secret.is_secret, secret.kind].setdefault(f"{place(example)} {secret.shown}")
    for (is_secret, kind), some in sorted(rows.items(), reverse=True):
        count = len({row.rsplit(" ", 1)[0] for row in some})
        yield Finding(
            "secret" if is_secret else "personal data",
            "error" if is_secret else "warning",
            f"{rows_of(count)} with what looks like this: {kind}.",
            "Replace it: what is learnt can be asked out of the model again."
            if is_secret
            else "Replace it unless it is public or meant to be known by everybody who asks the model.",
            tuple(some),
        )


def language_findings(examples: Sequence[Example]) -> tuple[Mapping[str, int], list[Finding]]:
    """How many rows are in which language ("unclear": too short to tell), and what is odd about that.

    Of many rows, `_LANGUAGE_ROWS` are looked at.
    """
    examples = examples[:: -(-len(examples) // _LANGUAGE_ROWS)] if examples else examples
    counts: Counter[str] = Counter()
    crossed: list[Example] = []
    for example in examples:
        counts[text_language(" ".join(_texts(example))) or "unclear"] += 1
        if len(example.messages) > 1:
            question, answer = (text_language(message.content) for message in example.messages[-2:])
            if question and answer and question != answer:
                crossed.append(example)
    findings = []
    known = {name: count for name, count in counts.most_common() if name != "unclear"}
    total = sum(known.values())
    if len(known) > 1:
        small = [name for name, count in known.items() if count < _SMALL_SHARE * total]
        shares = ", ".join(f"{name} {count / total:.1%}" for name, count in known.items())
        findings.append(
            Finding(
                "language",
                "note",
                f"The rows are in several languages: {shares}.",
                f"Look whether {', '.join(small)} is meant; short rows are easily mistaken."
                if small
                else "Fine if the model is to speak them all.",
            )
        )
    if crossed:
        findings.append(
            Finding(
                "language",
                "warning",
                f"{rows_of(len(crossed))} are answered in another language than they are asked in.",
                "Fine for translations; else the model learns to change the language.",
                places(crossed),
            )
        )
    return dict(counts.most_common()), findings


def content_findings(examples: Sequence[Example]) -> Iterator[Finding]:
    """Markers of a template inside the texts, one answer to many prompts, and too few rows."""
    marked = [example for example in examples if any(map(_MARKERS.search, _texts(example)))]
    if marked:
        yield Finding(
            "markers",
            "warning",
            f"{rows_of(len(marked))} hold markers of a chat's turns as text, such as <|im_end|> or ### Response:.",
            "Give the bare turns: the model's own template is put around them, and these would be learnt as words.",
            places(marked),
        )
    answers = Counter(answered(example) for example in examples if example.messages)
    for answer, count in answers.most_common(1):
        if count > max(2, _COMMON_ANSWER * len(examples)):
            yield Finding(
                "same answer",
                "warning",
                f"{count:,} of {len(examples):,} rows have one answer: {answer[:60]!r}.",
                "Fine for classes; else the model learns to say it to everything.",
                places(example for example in examples if example.messages and answered(example) == answer),
            )
    if len(examples) < FEW_EXAMPLES and any(example.messages for example in examples):
        yield Finding(
            "few",
            "note",
            f"There are {len(examples)} examples.",
            f"Below about {FEW_EXAMPLES} a model learns the form of the answers, and little else.",
        )


def _texts(example: Example) -> list[str]:
    if not example.messages:
        return [example.text]
    return [
        message.content + "".join(f" {list(call.arguments.values())}" for call in message.tool_calls)
        for message in example.messages
    ]
