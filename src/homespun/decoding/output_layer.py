"""The matrix with which a model turns its last hidden state into logits."""

from pathlib import Path

from homespun.decoding.contrastive import HiddenStates
from homespun.decoding.errors import DecodingError
from homespun.decoding.stages import Floats


def output_weights(path: Path) -> Floats:
    """The output layer of a GGUF file, float32 (n_vocab, hidden size); many models use their embeddings again.

    Raises:
        DecodingError: no GGUF file.
        ModelFileError: a damaged one.
    """
    from homespun.models.gguf import read_gguf

    if path.suffix.lower() != ".gguf" or not path.is_file():
        raise DecodingError(
            "Contrastive search needs a model in a GGUF file, for its output layer.", where=str(path)
        )
    file = read_gguf(path)
    return file.dequantize("output.weight" if "output.weight" in file.tensors else "token_embd.weight")


def hidden_states_of(path: Path) -> HiddenStates:
    """What finds a model's hidden states from its log-probabilities; kept, it serves many texts.

    Raises:
        DecodingError: no GGUF file, or an output layer that leaves the states open.
        ModelFileError: a damaged one.
    """
    return HiddenStates(output_weights(path))
