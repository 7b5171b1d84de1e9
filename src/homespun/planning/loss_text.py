"""The text on which a format's loss is measured: the user's own documents, or neutral ones that ship along."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from homespun.documents.read import read_document
from homespun.models.home import Home
from homespun.models.tokenizer import Tokenizer
from homespun.planning.errors import PlanError
from homespun.retrieval.library import Library
from homespun.tuning.forgetting_set import general_texts

PIECE_TOKENS = 256  # a few long pieces are read much faster than many short ones
#: After so few tokens every model guesses; they are read, and not scored.
UNSCORED_TOKENS = 8
#: A piece is cut out of so many characters at most, so that no whole book is tokenized for it.
_PIECE_CHARS = 12 * PIECE_TOKENS
_MOST_DOCUMENTS = 64


def measuring_pieces(
    home: Home, tokenizer: Tokenizer, n_tokens: int, *, library: str = "", text: Path | None = None
) -> list[list[int]]:
    """Pieces of text in tokens, each behind the begin token where the model wants one.

    Args:
        n_tokens: of all pieces together, about.
        library: pieces out of its documents, spread over them.
        text: pieces of this file, of any format that can be ingested. Without both: neutral texts.

    Raises:
        PlanError: both are given, or there is not one piece of text.
        LibraryError: no such library.
    """
    if library and text is not None:
        raise PlanError("both a library and a text are given", remedy="Measure on one of them.")
    if library:
        source = _library_texts(home, library)
    elif text is not None:
        source = iter([_file_text(text)])
    else:
        source = iter(["\n\n".join(general_texts())])
    texts = list(source)
    n_pieces = max(1, n_tokens // PIECE_TOKENS)
    pieces = []
    for part in _spread(texts, n_pieces):
        tokens = [*tokenizer.begin_ids, *tokenizer.encode(part)][:PIECE_TOKENS]
        if len(tokens) > UNSCORED_TOKENS + 1:
            pieces.append(tokens)
        if sum(map(len, pieces)) >= n_tokens:
            break
    if not pieces:
        raise PlanError("there is no text of ten words or more to measure on", where=library or str(text))
    return pieces


def _library_texts(home: Home, name: str) -> Iterator[str]:
    library = Library.open(home, name)
    readable = [document for document in library.documents() if document.content_id]
    step = max(1, len(readable) // _MOST_DOCUMENTS)
    for document in islice(readable, 0, None, step):
        yield library.text(document.name)


def _file_text(path: Path) -> str:
    document = read_document(path)
    if not document.text.strip():
        raise PlanError(document.reason or "it holds no text", where=str(path))
    return document.text


def _spread(texts: list[str], n_pieces: int) -> Iterator[str]:
    """Pieces at even distances over all texts together, each beginning at a word."""
    n_chars = sum(map(len, texts))
    for number in range(n_pieces):
        place = number * n_chars // n_pieces
        for text in texts:
            if place < len(text):
                start = text.find(" ", place) + 1 if place else 0
                yield text[start : start + _PIECE_CHARS]
                break
            place -= len(text)
