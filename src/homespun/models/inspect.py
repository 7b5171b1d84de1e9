"""What a model file is, for people: the facts that `homespun models show` prints."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile, TensorInfo


@dataclass(frozen=True)
class FormatShare:
    """How much of a file is stored in one format.

    Attributes:
        ggml_type: such as "Q4_1".
        n_tensors: how many tensors are stored so.
        n_parameters: how many numbers these hold.
        size_bytes: bytes that they take.
        share: of all tensors' bytes, 0 to 1.
    """

    ggml_type: str
    n_tensors: int
    n_parameters: int
    size_bytes: int
    share: float


@dataclass(frozen=True)
class SpecialToken:
    """A token that the file names.

    Attributes:
        name: what it is for: "bos", "eos", "eot", "unknown", "padding", ...
        token_id: its number.
        text: its spelling.
    """

    name: str
    token_id: int
    text: str


@dataclass(frozen=True)
class ModelDescription:
    """The facts about a model file.

    Attributes:
        name: what its maker calls it, else the file's name.
        path: the file.
        architecture: such as "llama".
        n_parameters: all numbers in all tensors.
        size_bytes: of the file.
        gguf_version: 2 or 3.
        formats: the mix of formats, largest share of bytes first.
        context_length: tokens in one window, as trained; 0 where the file does not say.
        n_layers: blocks.
        n_heads: query heads.
        n_kv_heads: key and value heads.
        hidden_size: width.
        vocab_size: tokens.
        tokenizer: kind and way of cutting words, such as "gpt2 (smollm)".
        chat_template: its text, or None.
        special_tokens: those that the file names.
        licence: as the file states it, or None.
        digest: SHA-256 of the file.
    """

    name: str
    path: Path
    architecture: str
    n_parameters: int
    size_bytes: int
    gguf_version: int
    formats: tuple[FormatShare, ...]
    context_length: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    hidden_size: int
    vocab_size: int
    tokenizer: str
    chat_template: str | None
    special_tokens: tuple[SpecialToken, ...]
    licence: str | None
    digest: str

    @property
    def quantization(self) -> str:
        """The format of the largest part, such as "Q4_1"."""
        return self.formats[0].ggml_type if self.formats else "none"


def describe_model(file: GGUFFile) -> ModelDescription:
    """Collect the facts about a file; works for architectures that no engine runs.

    Raises:
        ModelFileError: the metadata contradict each other.
    """
    config = ModelConfig.from_gguf(file)
    metadata = file.metadata
    template = metadata.get("tokenizer.chat_template")
    return ModelDescription(
        name=model_title(file),
        path=file.path,
        architecture=file.architecture,
        n_parameters=file.n_parameters,
        size_bytes=file.size_bytes,
        gguf_version=file.version,
        formats=format_shares(file),
        context_length=config.context_length,
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        n_kv_heads=config.n_kv_heads,
        hidden_size=config.hidden_size,
        vocab_size=config.vocab_size,
        tokenizer=_tokenizer_kind(file),
        chat_template=template if isinstance(template, str) else None,
        special_tokens=_special_tokens(file),
        licence=str(metadata["general.license"]) if "general.license" in metadata else None,
        digest=file.digest,
    )


def format_shares(file: GGUFFile) -> tuple[FormatShare, ...]:
    """The mix of formats in a file, largest share of bytes first."""
    groups: dict[str, list[TensorInfo]] = defaultdict(list)
    for info in file.tensors.values():
        groups[info.ggml_type].append(info)
    total_bytes = sum(info.size_bytes for info in file.tensors.values()) or 1
    shares = []
    for ggml_type, infos in groups.items():
        size_bytes = sum(info.size_bytes for info in infos)
        n_parameters = sum(info.n_values for info in infos)
        shares.append(FormatShare(ggml_type, len(infos), n_parameters, size_bytes, size_bytes / total_bytes))
    return tuple(sorted(shares, key=lambda share: (-share.size_bytes, share.ggml_type)))


def model_title(file: GGUFFile) -> str:
    """What the model's maker calls it, else the file's name without its ending."""
    title = file.metadata.get("general.name")
    return title if isinstance(title, str) and title.strip() else file.path.stem


def short_name(file: GGUFFile) -> str:
    """A name to type: the maker's base name (such as "smollm2"), else the file's own, in small letters."""
    base = file.metadata.get("general.basename")
    given = base if isinstance(base, str) and base.strip() else file.path.stem
    return re.sub(r"[^a-z0-9._-]+", "-", given.lower()).strip("-._") or "model"


def _tokenizer_kind(file: GGUFFile) -> str:
    kind = file.metadata.get("tokenizer.ggml.model")
    if not kind:
        return "none"
    pre = file.metadata.get("tokenizer.ggml.pre")
    return f"{kind} ({pre})" if pre else str(kind)


def _special_tokens(file: GGUFFile) -> tuple[SpecialToken, ...]:
    tokens = file.metadata.get("tokenizer.ggml.tokens")
    texts = tokens if isinstance(tokens, list) else []
    found = []
    for key, value in file.metadata.items():
        match = re.fullmatch(r"tokenizer\.ggml\.(\w+)_token_id", key)
        if match and isinstance(value, int) and 0 <= value < len(texts):
            found.append(SpecialToken(match[1], value, str(texts[value])))
    return tuple(found)
