"""What texts cost in tokens, language by language: who writes in some languages pays several times as much."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from homespun.decoding.errors import DecodingError
from homespun.decoding.tokens import tokenize
from homespun.models.tokenizer import Tokenizer
from homespun.pictures.charts import draw_bars

#: More cannot be read in a picture.
_MOST_BARS = 60


@dataclass(frozen=True)
class TokenCost:
    """What the texts of one label cost.

    Attributes:
        label: a language, or whatever the texts were put together by.
        n_texts, n_characters, n_bytes: of its texts; characters are code points, bytes those of UTF-8.
        n_tokens: by model.
        times_first: tokens over those of the first label, by model; meaningful where each label says the same.
        inexact: models whose tokens do not give the texts back, so that their counts leave something out.
    """

    label: str
    n_texts: int
    n_characters: int
    n_bytes: int
    n_tokens: Mapping[str, int]
    times_first: Mapping[str, float]
    inexact: tuple[str, ...] = ()


def token_costs(
    tokenizers: Mapping[str, Tokenizer], texts: Sequence[tuple[str, str]]
) -> tuple[TokenCost, ...]:
    """Count tokens by label and model.

    Args:
        tokenizers: by the models' names.
        texts: labels and texts; the texts of a label are counted together.

    Returns:
        One for each label, in the order in which they first come.
    """
    together: dict[str, list[str]] = {}
    for label, text in texts:
        together.setdefault(label, []).append(text)
    found: list[TokenCost] = []
    for label, its_texts in together.items():
        cut = {name: [tokenize(one, text) for text in its_texts] for name, one in tokenizers.items()}
        n_tokens = {name: sum(one.n_tokens for one in each) for name, each in cut.items()}
        first = found[0].n_tokens if found else n_tokens
        found.append(
            TokenCost(
                label=label,
                n_texts=len(its_texts),
                n_characters=sum(map(len, its_texts)),
                n_bytes=sum(len(text.encode("utf-8", "replace")) for text in its_texts),
                n_tokens=n_tokens,
                times_first={name: n / max(first[name], 1) for name, n in n_tokens.items()},
                inexact=tuple(name for name, each in cut.items() if not all(one.is_exact for one in each)),
            )
        )
    return tuple(found)


def draw_token_costs(found: Sequence[TokenCost], path: Path) -> None:
    """Bars for each label, the models beside each other.

    Raises:
        DecodingError: too many labels, or none.
        PictureError: the name ends otherwise, or the file cannot be written.
    """
    if not 0 < len(found) <= _MOST_BARS:
        raise DecodingError(f"The picture shows 1 to {_MOST_BARS} lines or groups, not {len(found)}.")
    series = {name: [float(one.n_tokens[name]) for one in found] for name in found[0].n_tokens}
    labels = [one.label for one in found]
    # With one model nothing else says whose tokens they are.
    title = f"Tokens of {next(iter(series))}" if len(series) == 1 else "Tokens of each model"
    draw_bars(labels, series, path, title=title, unit="tokens", are_tokens=False, decimals=0)
