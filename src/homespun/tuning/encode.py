"""An example as the model's own template writes it, with exactly the assistant's tokens labelled."""

from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer
from homespun.tuning.errors import DataError
from homespun.tuning.examples import EncodedExample, Example


def encode_example(example: Example, template: ChatTemplate, tokenizer: Tokenizer) -> EncodedExample:
    """The tokens of an example and its labels.

    A chat is encoded by the very template that serving uses. The assistant's tokens of every turn are
    labelled, with the token that ends the turn, so that stopping is learnt; nothing of the prompt, of other
    roles or of a tool's answer is. A plain text is labelled whole, but for the begin token, and ends with
    the end token.

    Raises:
        DataError: the template writes an earlier turn differently once a later one follows, or the example
            has nothing to learn.
        TemplateError: the template refuses the turns.
    """
    if example.messages:
        ids, labelled = _chat(example, template, tokenizer)
    else:
        begin = tokenizer.begin_ids
        end = [] if tokenizer.eos_id is None else [tokenizer.eos_id]
        body = [*tokenizer.encode(example.text), *end]
        ids, labelled = [*begin, *body], [False] * len(begin) + [True] * len(body)
    if not any(labelled):
        raise DataError("there is nothing to learn: no turn of the assistant", where=_where(example))
    return EncodedExample(tuple(ids), tuple(labelled), example.file, example.line)


def _chat(example: Example, template: ChatTemplate, tokenizer: Tokenizer) -> tuple[list[int], list[bool]]:
    def encode(n_turns: int, *, opened: bool) -> list[int]:
        turns = example.messages[:n_turns]
        return template.encode(turns, tools=example.tools, add_generation_prompt=opened)

    answers = [place for place, message in enumerate(example.messages) if message.role == "assistant"]
    if not answers:
        return encode(len(example.messages), opened=False), []
    whole = encode(answers[-1] + 1, opened=False)
    labelled = [False] * len(whole)
    for place in answers:
        before = encode(place, opened=True) if place else []
        through = encode(place + 1, opened=False)
        end = _end_of_turn(through, len(before), tokenizer)
        if whole[: len(before)] != before or whole[:end] != through[:end]:
            raise DataError(
                f"the template writes turn {place + 1} differently once other turns follow it",
                where=_where(example),
                remedy="Give each turn of the assistant as an example of its own.",
            )
        labelled[len(before) : end] = [True] * (end - len(before))
    last = max(place for place, is_labelled in enumerate(labelled) if is_labelled)
    return whole[: last + 1], labelled[: last + 1]


def _end_of_turn(ids: list[int], begin: int, tokenizer: Tokenizer) -> int:
    """One past the token that ends the turn which begins at `begin`; what a template writes after is no answer."""
    stops = tokenizer.stop_ids
    for place in range(len(ids) - 1, begin - 1, -1):
        if ids[place] in stops:
            return place + 1
    return len(ids)


def _where(example: Example) -> str | None:
    return f"{example.file}:{example.line}" if example.file else None
