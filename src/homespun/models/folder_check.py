"""Whether a folder's tokenizer belongs to its model: a wrong one gives fluent nonsense without any error."""

from homespun.models.errors import TokenizerError
from homespun.models.folder import ModelFolder
from homespun.models.folder_vocabulary import FolderTokens

_EMBEDDINGS = (
    "embed_tokens.weight",
    "shared.weight",
    "wte.weight",
    "word_embeddings.weight",
    "embed_in.weight",
)
#: Rows of an embedding table that makers add to round it up: at most these, or this share.
_SPARE_ROWS, _SPARE_SHARE = 512, 0.01


def check_belongs(folder: ModelFolder, tokens: FolderTokens) -> None:
    """Refuse a tokenizer that does not fit the model, naming what differs.

    Raises:
        TokenizerError: more tokens than embedding rows, far fewer, or special ids that name other tokens.
    """
    rows = embedding_rows(folder)
    if rows is not None and rows != folder.vocab_size:
        raise _refusal(
            folder,
            f"config.json says {folder.vocab_size:,} tokens, but the embedding table has {rows:,} rows",
        )
    n_tokens, n_rows = tokens.n_tokens, folder.vocab_size
    if n_tokens > n_rows:
        text = tokens.texts[n_tokens - 1]
        raise _refusal(
            folder,
            f"the tokenizer has {n_tokens:,} tokens, but the embedding table only {n_rows:,} rows; "
            f"the last is {text!r}",
        )
    allowed = min(max(_SPARE_ROWS, int(n_rows * _SPARE_SHARE)), max(n_tokens // 4, 1))
    if n_rows - n_tokens > allowed:
        raise _refusal(
            folder,
            f"the tokenizer has {n_tokens:,} tokens, the model {n_rows:,}; "
            f"that is more than padding explains (at most {allowed:,} rows)",
        )
    for name in ("bos", "eos", "pad"):
        _check_named(folder, tokens, name)


def _check_named(folder: ModelFolder, tokens: FolderTokens, name: str) -> None:
    ids = folder.named_ids(name)
    for number in sorted(ids):
        if number not in tokens.texts:
            raise _refusal(
                folder, f"config.json says that {name} is token {number}, which the tokenizer lacks"
            )
    theirs = tokens.named_ids.get("padding" if name == "pad" else name)
    if name == "eos":
        ids = ids | folder.stop_ids
    if ids and theirs is not None and theirs not in ids:
        number = min(ids)
        raise _refusal(
            folder,
            f"config.json says that {name} is token {number} ({tokens.texts.get(number)!r}), "
            f"the tokenizer that it is {theirs} ({tokens.texts[theirs]!r})",
        )


def embedding_rows(folder: ModelFolder) -> int | None:
    """Rows of the input embedding table; None where its name is not known."""
    for name, tensor in folder.tensors.items():
        if name.endswith(_EMBEDDINGS) and len(tensor.shape) == 2:
            return tensor.shape[0]
    return None


def _refusal(folder: ModelFolder, what: str) -> TokenizerError:
    return TokenizerError(
        f"the tokenizer does not belong to this model: {what}",
        where=str(folder.path),
        remedy="Get config.json, tokenizer.json and the weights from the same place and revision.",
    )
