"""Prompts for the benches: real text of set length, different at each call so that no cache can help."""

from collections.abc import Callable

from homespun.engines.probe import probe_text

_TOPICS = (
    "a lighthouse keeper", "the tides", "bread", "a night train", "granite", "an old violin", "bees",
    "a market in the rain", "the first snow", "maps", "a letter that came late", "copper", "a ferry",
    "chess", "an orchard", "a broken clock",
)  # fmt: skip


def long_prompt(encode: Callable[[str], list[int]], n_tokens: int, number: int) -> list[int]:
    """About n_tokens of prose; another beginning for each number."""
    text = f"Report number {number}. " + probe_text() * 6
    return encode(text)[:n_tokens]


def chat_prompts(n_prompts: int, number: int) -> list[str]:
    """Short prompts that begin differently."""
    return [
        f"{number}.{i}: Write a long story about {_TOPICS[i % len(_TOPICS)]}. Once upon a time"
        for i in range(n_prompts)
    ]
