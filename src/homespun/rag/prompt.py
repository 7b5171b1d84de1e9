"""A prompt that fits the model's real window: whole passages, none cut, and what did not fit is named."""

from collections.abc import Sequence
from dataclasses import dataclass

from homespun.documents.split import Passage
from homespun.engines.engine import Engine
from homespun.models.template import Message
from homespun.rag.errors import QuestionTooLongError
from homespun.rag.result import PromptTokens

#: Short, for small models follow little; passages stand nearest to the question.
SYSTEM_RULE = (
    "Answer the question in one or two short sentences, using only the passages. Keep numbers, doses, dates and "
    "names exactly as they are written there. If the passages do not say it, answer that they do not say it."
)


@dataclass(frozen=True)
class FittedPrompt:
    """What the model reads.

    Attributes:
        token_ids: the whole prompt, template included.
        messages: the same as messages.
        n_used: how many of the passages are in it, always the first ones.
        tokens: where the tokens went; `passages` has one count for each that is in.
        dropped_tokens: what each passage that is not in would have taken.
    """

    token_ids: tuple[int, ...]
    messages: tuple[Message, ...]
    n_used: int
    tokens: PromptTokens
    dropped_tokens: tuple[int, ...]


def fit_prompt(
    engine: Engine,
    question: str,
    passages: Sequence[Passage],
    *,
    max_new_tokens: int,
    history: Sequence[Message] = (),
    rule: str = SYSTEM_RULE,
    max_passages: int | None = None,
) -> FittedPrompt:
    """Put as many passages as fit, best first, before the question.

    Passages leave from the end of the ranking, then the oldest turns of the history; the rule and the
    question always stay. Counts are differences between whole encoded prompts, so they add up exactly.

    Args:
        engine: its window, tokenizer and template are what count.
        question: the user's own words.
        passages: best first.
        max_new_tokens: room kept free for the answer.
        history: earlier turns, oldest first.
        rule: the system message.
        max_passages: at most so many are used even if more would fit; None: no such limit.

    Raises:
        QuestionTooLongError: rule and question alone do not fit.
    """
    window = engine.facts.window
    room = window - max_new_tokens
    encode = engine.template.encode
    bare = len(encode(prompt_messages(rule, question, (), ())))
    if bare > room or max_new_tokens < 1:
        raise QuestionTooLongError(engine.tokenizer.count(question), bare, max(0, room), window)
    kept = tuple(history)
    while kept and len(encode(prompt_messages(rule, question, kept, ()))) > room:
        kept = kept[1:]
    # A history that begins with an answer makes no sense, and many templates refuse it.
    while kept and kept[0].role != "user":
        kept = kept[1:]
    with_history = len(encode(prompt_messages(rule, question, kept, ())))
    limit = len(passages) if max_passages is None else min(max_passages, len(passages))
    counts: list[int] = []
    ids = encode(prompt_messages(rule, question, kept, ()))
    total = with_history
    while len(counts) < limit:
        longer = encode(prompt_messages(rule, question, kept, passages[: len(counts) + 1]))
        if len(longer) > room:
            break
        counts.append(len(longer) - total)
        ids, total = longer, len(longer)
    n_used = len(counts)
    empty = len(encode(prompt_messages("", "", (), ())))
    n_rule = len(encode(prompt_messages(rule, "", (), ()))) - empty
    tokens = PromptTokens(
        window=window,
        template=empty,
        instructions=n_rule,
        question=bare - empty - n_rule,
        history=with_history - bare,
        passages=tuple(counts),
        left_for_answer=window - total,
    )
    dropped = tuple(engine.tokenizer.count(_shown(passage, n_used + 1)) for passage in passages[n_used:])
    return FittedPrompt(
        tuple(ids), prompt_messages(rule, question, kept, passages[:n_used]), n_used, tokens, dropped
    )


def prompt_messages(
    rule: str, question: str, history: Sequence[Message], passages: Sequence[Passage]
) -> tuple[Message, ...]:
    """The turns of a question behind its passages: what `ask` sends, and what tuning on passages learns."""
    shown = "\n\n".join(_shown(passage, number) for number, passage in enumerate(passages, start=1))
    asked = f"{shown}\n\nQuestion: {question}" if shown else question
    return Message("system", rule), *history, Message("user", asked)


def _shown(passage: Passage, number: int) -> str:
    title = " > ".join((passage.document, *passage.headings))
    return f"Passage {number} ({title}):\n{passage.text.strip()}"
