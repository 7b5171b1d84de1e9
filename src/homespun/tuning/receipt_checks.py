"""What of a receipt needs no model to run: token ids on both sides, and an adapter's own wholeness."""

from collections.abc import Mapping, Sequence
from typing import Any

from homespun.engines.llama_cpp_process import LlamaCppProcess
from homespun.engines.openvino.bank import LowRank
from homespun.models.errors import TemplateError
from homespun.models.template import ChatTemplate, Message
from homespun.models.tokenizer import Tokenizer
from homespun.tuning.encode import encode_example
from homespun.tuning.errors import DataError
from homespun.tuning.examples import EncodedExample, Example

_PROBES = ("Yes", "Which day is it?")
MOST_RENDERED = 16


def missing_parts(pairs: Mapping[str, LowRank], config: Mapping[str, Any]) -> str | None:
    """A layer that lacks what the other layers have, although the adapter's config does not leave it out."""
    if config.get("layers_to_transform") or config.get("exclude_modules"):
        return None
    targets = config.get("target_modules")
    if isinstance(targets, str) or any("." in target for target in targets or ()):
        return None  # sites by their whole names, or by an expression: what is there was meant
    layers: dict[int, set[str]] = {}
    for site in pairs:
        parts = site.split(".")
        if len(parts) > 3 and parts[1] == "layers":
            layers.setdefault(int(parts[2]), set()).add(parts[-1])
    every = set().union(*layers.values())
    for layer in range(max(layers, default=-1) + 1):
        lacking = sorted(every - layers.get(layer, set()))
        if lacking:
            return f"missing layer: layer {layer} has no {', '.join(lacking)}, which other layers have"
    return None


def wrong_template(examples: Sequence[EncodedExample], template: ChatTemplate) -> str | None:
    """Whether a chat's answer does not begin behind, or end as, the serving template writes it."""
    try:
        opened = [template.encode([Message("user", probe)]) for probe in _PROBES]
    except TemplateError:
        return None
    header = _common_end(*opened)
    for example in examples:
        labelled = example.labelled
        starts = [i for i in range(1, len(labelled)) if labelled[i] and not labelled[i - 1]]
        if len(starts) == 1 and starts[0] == 1:
            continue  # a plain text behind its begin token
        for start in starts:
            if list(example.token_ids[max(start - len(header), 0) : start]) != header:
                return (
                    f"wrong template: {_where(example)} answers behind another beginning "
                    "of the assistant's turn than the model is served with"
                )
    return None


def ids_differ(
    trained: Sequence[EncodedExample],
    sources: Sequence[Example],
    template: ChatTemplate,
    tokenizer: Tokenizer,
) -> str | None:
    """The first example whose tokens are not those that the serving template and tokenizer give."""
    for example, source in zip(trained, sources, strict=True):
        try:
            served = encode_example(source, template, tokenizer)
        except (DataError, TemplateError) as error:
            return f"wrong template: {_where(example)} cannot be written by the serving template ({error})"
        ids = example.token_ids
        if ids == served.token_ids[: len(ids)] or served.token_ids == ids[: len(served.token_ids)]:
            continue
        place = next(i for i, (a, b) in enumerate(zip(ids, served.token_ids, strict=False)) if a != b)
        return (
            f"wrong template: {_where(example)} was trained with other tokens than it is served with, "
            f"from token {place} on ({tokenizer.token_text(ids[place])!r} instead of "
            f"{tokenizer.token_text(served.token_ids[place])!r})"
        )
    return None


def llama_cpp_ids_differ(
    process: LlamaCppProcess, examples: Sequence[EncodedExample], tokenizer: Tokenizer
) -> tuple[int, str | None]:
    """Examples' texts cut by llama.cpp's own tokenizer.

    A text that spells a marker in its words is not compared: there the ids say more than the text.

    Returns:
        How many were compared, and the first one that differs.
    """
    compared = 0
    for example in examples:
        ids = list(example.token_ids)
        text = tokenizer.decode(ids, skip_control=False)
        if tokenizer.encode(text, control=True) != ids:
            continue
        compared += 1
        body = {"content": text, "add_special": False, "parse_special": True}
        if process.ask("/tokenize", body)["tokens"] != ids:
            return compared, f"llama.cpp cuts {_where(example)} into other tokens"
    return compared, None


def llama_cpp_renders_differently(
    process: LlamaCppProcess, sources: Sequence[Example], template: ChatTemplate
) -> str | None:
    """The first chat whose prompt llama.cpp's own template engine writes in another way."""
    chats = [e for e in sources if e.messages and not e.tools and len(e.messages) > 1]
    for example in chats[:MOST_RENDERED]:
        turns = example.messages[:-1]
        if any(turn.tool_calls for turn in turns):
            continue
        body = {"messages": [{"role": turn.role, "content": turn.content} for turn in turns]}
        theirs = str(process.ask("/apply-template", body)["prompt"])
        ours = template.render(turns)
        if not ours.endswith(theirs) or len(ours) - len(theirs) > 16:  # they leave the begin token out
            return f"llama.cpp's template engine writes the prompt of line {example.line} differently"
    return None


def _common_end(one: Sequence[int], other: Sequence[int]) -> list[int]:
    n = 0
    while n < min(len(one), len(other)) and one[-1 - n] == other[-1 - n]:
        n += 1
    return list(one[len(one) - n :])


def _where(example: EncodedExample) -> str:
    return f"{example.file}:{example.line}" if example.file else "an example"
