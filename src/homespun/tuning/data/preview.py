"""Exactly what the model sees of an example, token by token, and which tokens carry loss."""

from dataclasses import dataclass

from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer
from homespun.tuning.encode import encode_example
from homespun.tuning.examples import Example


@dataclass(frozen=True)
class PreviewToken:
    """One token: what it adds to the text (a marker its spelling), and whether it is learnt."""

    text: str
    id: int
    labelled: bool


def preview(example: Example, template: ChatTemplate, tokenizer: Tokenizer) -> list[PreviewToken]:
    """The tokens of an example in their order.

    Raises:
        DataError, TemplateError: as `encode_example`.
    """
    encoded = encode_example(example, template, tokenizer)
    shown: list[PreviewToken] = []
    decoder = tokenizer.stream_decoder()
    for token_id, labelled in zip(encoded.token_ids, encoded.labelled, strict=True):
        if tokenizer.is_control(token_id):
            text, decoder = decoder.flush() + tokenizer.token_text(token_id), tokenizer.stream_decoder()
        else:
            text = decoder.push(token_id)
        shown.append(PreviewToken(text, token_id, labelled))
    return shown
