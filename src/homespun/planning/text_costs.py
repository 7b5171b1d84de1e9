"""What texts cost: prompts, files or data sets, read once by a hosted model, or trained on there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homespun.models.tokenizer import Tokenizer
from homespun.sizing.prices import Price, read_old_training_prices

#: English text has about as many characters to a token; other languages fewer.
CHARACTERS_PER_TOKEN = 4.0


@dataclass(frozen=True)
class TextCosts:
    """Tokens of texts, and dollars.

    Attributes:
        n_texts, n_tokens: how many.
        counted: how the tokens were counted.
        read_usd: reading all of them once, by model.
        train_usd: training on all of them once, by hosted model (2023).
    """

    n_texts: int
    n_tokens: int
    counted: str
    read_usd: Mapping[str, float]
    train_usd: Mapping[str, float]


def cost_texts(
    texts: Sequence[str], prices: Mapping[str, Price], tokenizer: Tokenizer | None = None, model: str = ""
) -> TextCosts:
    """Count texts, with a tokenizer where one is at hand, else by their characters, and price them.

    A hosted model has a tokenizer of its own, which is seldom published: its count differs by some percent.
    """
    if tokenizer is None:
        n_tokens = sum(round(len(text) / CHARACTERS_PER_TOKEN) for text in texts)
        counted = f"about: {CHARACTERS_PER_TOKEN:g} characters a token (--model counts with a tokenizer)"
    else:
        n_tokens = sum(len(tokenizer.encode(text)) for text in texts)
        counted = f"with the tokenizer of {model}"
    return TextCosts(
        len(texts),
        n_tokens,
        counted,
        {name: n_tokens * price.input / 1e6 for name, price in prices.items()},
        {name: n_tokens * price.training / 1e6 for name, price in read_old_training_prices().items()},
    )
