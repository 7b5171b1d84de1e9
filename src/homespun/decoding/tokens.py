"""A text as a model's tokenizer cuts it: pieces, ids, bytes, and what they cost in each language."""

from dataclasses import dataclass

from homespun.models.tokenizer import Tokenizer


@dataclass(frozen=True)
class TokenPiece:
    """One token of a text.

    Attributes:
        text: what it adds to the text; empty for a part of a character (the last part gives it whole).
        bytes: what it stands for, in hex.
        start, end: in code points; equal for a part that completes no character.
    """

    id: int
    text: str
    bytes: str
    start: int
    end: int


@dataclass(frozen=True)
class TokenizedText:
    """A text cut into tokens; `tokens` decoded together are the text again."""

    text: str
    tokens: tuple[TokenPiece, ...]

    @property
    def n_tokens(self) -> int:
        return len(self.tokens)

    @property
    def n_characters(self) -> int:
        """Code points."""
        return len(self.text)

    @property
    def n_bytes(self) -> int:
        """In UTF-8."""
        return len(self.text.encode("utf-8", "replace"))

    @property
    def characters_per_token(self) -> float:
        return self.n_characters / max(self.n_tokens, 1)

    @property
    def is_exact(self) -> bool:
        """Whether the tokens' bytes are the text's: some tokenizers change spaces or unknown signs."""
        return bytes.fromhex("".join(token.bytes for token in self.tokens)) == self.text.encode(
            "utf-8", "replace"
        )


def tokenize(tokenizer: Tokenizer, text: str) -> TokenizedText:
    """Cut a text as it would be read in a prompt; control tokens' names in it stay plain text."""
    ids = tokenizer.encode(text)
    decoder = tokenizer.stream_decoder()
    pieces = []
    place = 0
    for token_id in ids:
        shown = decoder.push(token_id)
        pieces.append(
            TokenPiece(token_id, shown, tokenizer.token_bytes(token_id).hex(), place, place + len(shown))
        )
        place += len(shown)
    rest = decoder.flush()
    if rest and pieces:
        last = pieces[-1]
        pieces[-1] = TokenPiece(last.id, last.text + rest, last.bytes, last.start, place + len(rest))
    return TokenizedText(text, tuple(pieces))
