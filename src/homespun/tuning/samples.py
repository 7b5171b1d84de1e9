"""Held-out questions answered by the base and by what is learnt so far, through the engine that will serve."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from homespun.engines.engine import Engine, GenerateOptions, Request
from homespun.tuning.encode import encode_example
from homespun.tuning.examples import Example

_NAME = "being-tuned"


@dataclass(frozen=True)
class Sample:
    """One question and its answers."""

    question: str
    wanted: str
    base: str
    tuned: str


class Sampler:
    """Answers of base and tuned side by side; the base's are written once."""

    def __init__(self, engine: Engine, examples: Sequence[Example], *, max_new_tokens: int = 48) -> None:
        self._engine = engine
        self._examples = [example for example in examples if example.messages]
        self._options = GenerateOptions(max_new_tokens=max_new_tokens)
        self._base = self._answers(None)

    def look(self, adapter: Path) -> tuple[Sample, ...]:
        """The answers with an adapter folder as it is now."""
        self._engine.load_adapter(_NAME, adapter)
        try:
            tuned = self._answers(_NAME)
        finally:
            self._engine.remove_adapter(_NAME)
        return tuple(
            Sample(example.messages[-2].content, example.response, base, answer)
            for example, base, answer in zip(self._examples, self._base, tuned, strict=True)
        )

    def _answers(self, adapter: str | None) -> list[str]:
        requests = []
        for example in self._examples:
            encoded = encode_example(example, self._engine.template, self._engine.tokenizer)
            prompt = encoded.token_ids[: encoded.labelled.index(True)]
            requests.append(Request(prompt, self._options, adapter))
        return [generation.text.strip() for generation in self._engine.generate(requests)]
