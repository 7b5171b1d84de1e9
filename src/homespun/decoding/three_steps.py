"""The three steps from a text to the next token (tokenize, represent, decode), with the model's real numbers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from homespun.decoding.contrastive import HiddenStates
from homespun.decoding.errors import DecodingError
from homespun.decoding.next import NextTokens, next_tokens
from homespun.decoding.stages import Floats
from homespun.engines.engine import Engine, GenerateOptions
from homespun.models.structure import Structure, structure_of

#: Values of each vector that are shown.
N_VALUES = 8
#: A matrix of more numbers is not unpacked for a page (0.8 GB as float32).
_MOST_VALUES = 200_000_000


@dataclass(frozen=True)
class ReadToken:
    """A token of the prompt, and the vector that stands for it.

    Attributes:
        bytes: in hex.
        vector: the first values of its row of the embedding matrix, as stored; empty where left out.
        length: of the whole row (Euclidean).
    """

    position: int
    id: int
    token: str
    bytes: str
    is_control: bool
    vector: tuple[float, ...]
    length: float | None


@dataclass(frozen=True)
class Flow:
    """What goes from one station to the next: numbers of this shape."""

    step: str
    what: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ThreeSteps:
    """A prompt on its way to the next token.

    Attributes:
        flow: shapes in the order of the computation.
        hidden: the first values of the state after the last layer and norm, for the last token; it is found
            from the logits (least squares), for engines give no hidden states. Empty where left out.
        hidden_error: largest difference, in nats, between the model's log-probabilities and those that this
            state gives with the output matrix: how true it is.
        notes: what was left out, and why.
    """

    prompt: str
    structure: Structure
    tokens: tuple[ReadToken, ...]
    flow: tuple[Flow, ...]
    hidden: tuple[float, ...]
    hidden_error: float | None
    next: NextTokens
    notes: tuple[str, ...]


def three_steps(
    engine: Engine,
    prompt: str,
    token_ids: tuple[int, ...],
    options: GenerateOptions = GenerateOptions(temperature=1.0),
    *,
    k: int = 10,
) -> ThreeSteps:
    """Follow a prompt through a model.

    Args:
        engine: a local one.
        prompt: as the user wrote it.
        token_ids: what the model reads, at least one.
        options: those that change the odds.
        k: next tokens shown.

    Raises:
        DecodingError: a model on a server, whose inside nobody sees here, or nothing to read.
        ModelFileError: a damaged file.
    """
    if engine.facts.engine == "remote":
        raise DecodingError(
            "A server does not show its model's inside.",
            where=engine.facts.model_path,
            remedy="Name a local model.",
        )
    if not token_ids:
        raise DecodingError("There is nothing to read.", remedy="Give a text.")
    path = Path(engine.facts.model_path)
    structure = structure_of(path)
    notes: list[str] = []
    rows = _embedding_rows(structure, token_ids, notes)
    hidden, error = _last_hidden(engine, structure, token_ids, notes)
    tokenizer = engine.tokenizer
    tokens = tuple(
        ReadToken(
            position,
            token_id,
            tokenizer.token_text(token_id),
            tokenizer.token_bytes(token_id).hex(),
            tokenizer.is_control(token_id),
            () if row is None else tuple(float(value) for value in row[:N_VALUES]),
            None if row is None else float(np.linalg.norm(row)),
        )
        for position, (token_id, row) in enumerate(zip(token_ids, rows, strict=True), start=1)
    )
    return ThreeSteps(
        prompt,
        structure,
        tokens,
        flow_of(structure, len(token_ids)),
        hidden,
        error,
        next_tokens(engine, token_ids, options, k=k),
        tuple(notes),
    )


def flow_of(structure: Structure, n_tokens: int) -> tuple[Flow, ...]:
    """The shapes of what is computed for a prompt of so many tokens, in order."""
    s, width = structure, structure.hidden_size
    heads = (n_tokens, s.n_heads, s.head_size)
    kept = (n_tokens, s.n_kv_heads, s.head_size)
    flow = [
        Flow("tokenize", "token ids", (n_tokens,)),
        Flow("represent", "their rows of the embedding matrix", (n_tokens, width)),
    ]
    if s.has_encoder:
        n = s.n_encoder_layers
        flow += [
            Flow("represent", f"queries in each of the encoder's {n} layers", heads),
            Flow("represent", f"after each of the encoder's {n} layers", (n_tokens, width)),
        ]
    if s.has_encoder and s.has_decoder:
        flow.append(Flow("decode", "the decoder begins with its start token", (1, width)))
        heads, kept = (1, s.n_heads, s.head_size), (1, s.n_kv_heads, s.head_size)
    if s.has_decoder:
        n, n_read = s.n_decoder_layers, heads[0]
        step = "decode" if s.has_encoder else "represent"
        flow += [
            Flow(step, f"queries in each of the decoder's {n} layers", heads),
            Flow(step, f"keys, and as many values, kept by each of the {n} layers", kept),
            Flow(step, f"after each of the {n} layers, and after the last norm", (n_read, width)),
            Flow("decode", "the hidden state of the last token", (width,)),
            Flow("decode", "logits: that state times the output matrix", (s.vocab_size,)),
            Flow("decode", "odds of the next token: softmax of the logits", (s.vocab_size,)),
        ]
    return tuple(flow)


def _embedding_rows(
    structure: Structure, token_ids: tuple[int, ...], notes: list[str]
) -> list[Floats] | list[None]:
    """The tokens' rows of the embedding matrix, (hidden size,) each."""
    if structure.path.is_dir():
        matrix = _folder_matrix(structure, structure.embedding)
        if matrix is None:
            notes.append("the embedding matrix is too large to be unpacked for this page")
            return [None] * len(token_ids)
        return list(matrix[list(token_ids)])
    from homespun.models.gguf import read_gguf

    return list(read_gguf(structure.path).dequantize(structure.embedding, np.array(token_ids)))


def _folder_matrix(structure: Structure, name: str) -> Floats | None:
    from homespun.models.folder import read_folder
    from homespun.models.safetensors_file import read_tensor

    stored = read_folder(structure.path).tensors.get(name)
    if stored is None or stored.shape[0] * stored.shape[1] > _MOST_VALUES:
        return None
    matrix: Floats = read_tensor(stored, name).reshape(stored.shape)
    return matrix


def _last_hidden(
    engine: Engine, structure: Structure, token_ids: tuple[int, ...], notes: list[str]
) -> tuple[tuple[float, ...], float | None]:
    """The last hidden state's first values, and how far the odds that it gives are from the model's."""
    n_values = structure.vocab_size * structure.hidden_size
    if n_values > _MOST_VALUES:
        notes.append(f"the hidden state is not shown: the output matrix has {n_values:,} numbers")
        return (), None
    if structure.path.is_dir():
        weights = _folder_matrix(structure, structure.output)
    else:
        from homespun.decoding.output_layer import output_weights

        weights = output_weights(structure.path)
    row = engine.distributions(token_ids)[0]
    if weights is None or len(weights) != len(row):
        notes.append(
            "the hidden state is not shown: the output matrix is not found, or not as long as the odds"
        )
        return (), None
    try:
        state = HiddenStates(weights).of(row[None])[0]
    except DecodingError as error:
        notes.append(f"the hidden state is not shown: {error.what}")
        return (), None
    logits = weights @ state.astype(np.float32)
    shifted = logits - logits.max()
    found = shifted - np.log(np.exp(shifted).sum(dtype=np.float64))
    likely = row > -15  # of the least likely ones nothing but rounding is left
    return tuple(float(value) for value in state[:N_VALUES]), float(np.abs(found - row)[likely].max())
