"""What the torch engine needs from a model, whether it comes from a GGUF file or a folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer


@dataclass(frozen=True)
class TorchParts:
    """A model that is loaded and placed, with all that belongs to it.

    Attributes:
        model: the transformers model, in eval mode.
        architecture: what facts call it.
        context_length: tokens that it was trained on in one window.
        check_adapter: refuses a PEFT folder that cannot be applied (PEFT itself leaves out what does not fit).
        decoder_start_id: where the model is an encoder with a decoder: what its answers start from.
    """

    model: Any
    tokenizer: Tokenizer
    template: ChatTemplate
    architecture: str
    context_length: int
    check_adapter: Callable[[Path], object]
    decoder_start_id: int | None = None
