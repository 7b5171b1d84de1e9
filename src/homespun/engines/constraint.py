"""Output that must satisfy a JSON schema, a regular expression or a grammar: masks over the vocabulary.

The masks are llguidance's (an Earley parser over a lexer of derivatives). What it cannot enforce is refused
before anything is written. Control tokens stay out whatever a grammar says; the tokens that end an answer
are allowed exactly where the text may end.
"""

import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import Lock, Thread, stack_size
from typing import Any, Protocol
from weakref import WeakKeyDictionary, ref

import numpy as np
import numpy.typing as npt

from homespun.engines.constraint_checks import MAX_CHARS, check_size, checked_schema, failing_part
from homespun.engines.engine import GenerateOptions
from homespun.engines.errors import ConstraintError
from homespun.models.tokenizer import Tokenizer
from homespun.models.vocabulary import TokenType

#: Where JSON lets white space stand: as people format it, but never without end.
_SPACE_PATTERN = r"( |\n[ ]{0,24})"
_STACK_BYTES = 256 * 2**20  # only what is used of it takes memory
_KINDS = {"json_schema": "JSON schema", "regex": "regular expression", "grammar": "grammar"}


class Constraint(Protocol):
    """What one answer may go on with, token by token."""

    def mask(self) -> npt.NDArray[np.bool_]:
        """Tokens that may come next: (n_vocab,). End tokens are among them where the answer may end."""

    def advance(self, token_id: int) -> None:
        """Take a token that was drawn; the next mask is computed beside the model's step."""

    @property
    def is_complete(self) -> bool:
        """Nothing but an end token could follow."""


def begin_constraint(options: GenerateOptions, tokenizer: Tokenizer) -> Constraint | None:
    """The constraint that an answer's options ask for; None where they ask for none.

    Raises:
        ConstraintError: it cannot be enforced, naming the part.
    """
    asked = [name for name in _KINDS if getattr(options, name)]
    if not asked:
        return None
    if len(asked) > 1:
        raise ConstraintError(
            f"{' and '.join(asked)} are both given, but an answer takes only one of them",
            remedy="Say it all in one JSON schema or in one grammar.",
        )
    (kind,) = asked
    text = getattr(options, kind)
    if text.startswith("@") and kind != "regex":
        raise ConstraintError(
            f"{kind} is {text[:80]!r}: a file is read only where a command or program asks for it",
            remedy="Give its text.",
        )
    check_size(text, _KINDS[kind])
    if kind == "json_schema":
        text = checked_schema(text)
    prepared = _prepared(tokenizer)
    return _Masks(_compile(text, kind, prepared), prepared)


def with_files_read(options: GenerateOptions) -> GenerateOptions:
    """The options with `@FILE` replaced by the file's text.

    Not done by the engines: a schema may come from another machine, which must not name files of this one.

    Raises:
        ConstraintError: the file cannot be read.
    """
    read: dict[str, Any] = {}
    for name in ("json_schema", "grammar"):
        value = getattr(options, name)
        if not value.startswith("@"):
            continue
        path = Path(value[1:]).expanduser()
        try:
            with path.open(encoding="utf-8-sig") as file:
                read[name] = file.read(MAX_CHARS + 1)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is no UTF-8 text"
            raise ConstraintError(f"the {_KINDS[name]} cannot be read: {why}", where=str(path)) from None
        if not read[name].strip():
            raise ConstraintError(f"the {_KINDS[name]} is empty", where=str(path))
    return replace(options, **read)


class _Prepared:
    """What all answers of one tokenizer share: llguidance's own form of it, and which ids mean what."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        from llguidance import LLTokenizer, TokenizerWrapper

        types = tokenizer.vocabulary.types
        unwritable = np.isin(types, (TokenType.CONTROL, TokenType.UNKNOWN, TokenType.UNUSED))
        self.n_vocab = tokenizer.n_vocab
        self.stop_ids = np.array(sorted(tokenizer.stop_ids), np.int64)
        unwritable[self.stop_ids] = True
        self.unwritable = unwritable
        if not len(self.stop_ids):
            raise ConstraintError("the model has no token that ends an answer, so none can be constrained")
        self.llguidance = LLTokenizer(
            TokenizerWrapper(_Vocabulary(tokenizer, np.flatnonzero(unwritable).tolist())),
            n_vocab=self.n_vocab,
            eos_token=self.stop_ids.tolist(),
        )
        self.first_pieces = _first_pieces(tokenizer, self.llguidance)


class _Vocabulary:
    """The tokenizer in the form that llguidance asks for. It holds no reference that keeps it alive."""

    def __init__(self, tokenizer: Tokenizer, special_token_ids: list[int]) -> None:
        self.eos_token_id = min(tokenizer.stop_ids)
        self.bos_token_id = tokenizer.bos_id
        self.tokens = [tokenizer.token_bytes(token_id) for token_id in range(tokenizer.n_vocab)]
        self.special_token_ids = special_token_ids
        self._tokenizer = ref(tokenizer)

    def __call__(self, text: str) -> list[int]:
        tokenizer = self._tokenizer()
        return [] if tokenizer is None else tokenizer.encode(text)


def _first_pieces(tokenizer: Tokenizer, prepared: Any) -> dict[int, list[int]]:
    """For an answer's first token: the tokens with the bytes that its text has, where those are not its own.

    SentencePiece writes a space before the text, which is then taken off: the text of a first "_Yes" is
    "Yes", and that is what the constraint is about. Empty where first tokens are like all others.
    """
    spaced = [i for i in range(tokenizer.n_vocab) if tokenizer.token_bytes(i).startswith(b" ")]
    spaced = [i for i in spaced if not tokenizer.is_control(i)]
    if not spaced or tokenizer.stream_decoder().push(spaced[-1]).startswith(" "):
        return {}
    texts = {i: tokenizer.token_bytes(i)[1:].decode("utf-8", "replace") for i in spaced}
    return {i: [] if "\ufffd" in text else prepared.greedy_tokenize(text) for i, text in texts.items()}


_PREPARED: WeakKeyDictionary[Tokenizer, _Prepared] = WeakKeyDictionary()
_PREPARING = Lock()


def _prepared(tokenizer: Tokenizer) -> _Prepared:
    with _PREPARING:
        if tokenizer not in _PREPARED:
            _PREPARED[tokenizer] = _Prepared(tokenizer)
        return _PREPARED[tokenizer]


def _limits() -> Any:
    from llguidance import LLParserLimits

    # Its defaults in time (20 ms to begin, 15 ms a step); at most some 100 MB of lexer states.
    return LLParserLimits(max_lexer_states=60_000, max_grammar_size=200_000, verbose_errors=False)


def _compile(text: str, kind: str, prepared: _Prepared) -> Any:
    """A matcher at its beginning.

    Raises:
        ConstraintError: naming the part.
    """
    from llguidance import LLMatcher

    def compile_it() -> Any:
        return LLMatcher(prepared.llguidance, _grammar(text, kind), log_level=0, limits=_limits())

    matcher = _on_deep_stack(compile_it)
    if matcher.is_error():
        why = _first_lines(matcher.get_error())
        part = failing_part(text, matcher.get_error(), _error_of_schema) if kind == "json_schema" else None
        raise ConstraintError(
            f"the {_KINDS[kind]} cannot be enforced: {f'at {part}: ' if part else ''}{why}",
            remedy="Change that part; nothing was written.",
        )
    return matcher


def _on_deep_stack(call: Callable[[], Any]) -> Any:
    """What a call gives, in a thread with room for the recursion of the longest chain of references."""
    answer: Future[Any] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    with _PREPARING:
        before = stack_size(_STACK_BYTES)
        try:
            thread = Thread(target=run, daemon=True)
            thread.start()
        finally:
            stack_size(before)
    return answer.result()


def _grammar(text: str, kind: str) -> str:
    from llguidance import LLMatcher

    if kind == "regex":
        return LLMatcher.grammar_from_regex(text)
    if kind == "grammar":
        return LLMatcher.grammar_from_lark(text)
    # Overrides win over the schema's own `x-guidance`, which could make the rest lenient.
    return LLMatcher.grammar_from_json_schema(
        text,
        overrides={
            "whitespace_flexible": True,
            "whitespace_pattern": _SPACE_PATTERN,
            "lenient": False,
            "coerce_one_of": False,
            "item_separator": ",",
            "key_separator": ":",
        },
    )


def _error_of_schema(text: str) -> str:
    """What is wrong with a schema by itself; empty if nothing."""
    from llguidance import LLMatcher

    return LLMatcher.validate_grammar(_grammar(text, "json_schema"), limits=_limits())


def _first_lines(error: str) -> str:
    """An error of llguidance without the drawings below it."""
    kept = [line.strip() for line in error.splitlines() if line.strip().strip("^-~")]
    told = (
        " ".join(line for line in kept if not re.match(r"\d* *\|", line))
        .replace("<non-verbose/>", "")
        .strip()
    )
    return told if len(told) <= 300 else f"{told[:150]} ... {told[-150:]}"


@cache
def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, thread_name_prefix="homespun-masks")


class _Masks:
    """The masks of one answer."""

    def __init__(self, matcher: Any, prepared: _Prepared) -> None:
        self._matcher = matcher
        self._prepared = prepared
        self._is_first = True
        self._is_stopped = False
        # The first mask is known before anything is written: what has no beginning is refused at once.
        self._mask: Future[npt.NDArray[np.bool_]] = Future()
        self._mask.set_result(self._compute())

    def mask(self) -> npt.NDArray[np.bool_]:
        """Tokens that may come next, waiting until it is known. See `Constraint.mask`.

        Raises:
            ConstraintError: nothing may follow, or finding out takes too long.
        """
        return self._mask.result()

    def advance(self, token_id: int) -> None:
        """Take a drawn token. See `Constraint.advance`.

        Raises:
            ConstraintError: the token is not allowed here.
        """
        if not self._mask.result()[token_id]:
            raise ConstraintError(f"token {token_id} was drawn, which the constraint does not allow here")
        pieces = self._prepared.first_pieces.get(token_id) if self._is_first else None
        self._is_first = False
        self._matcher.consume_tokens(pieces or [token_id])
        self._check()
        self._is_stopped = bool(self._matcher.is_stopped())  # asked here: a worker has the matcher below
        self._mask = _workers().submit(self._compute)

    @property
    def is_complete(self) -> bool:
        """Nothing but an end token could follow."""
        return self._is_stopped

    def _compute(self) -> npt.NDArray[np.bool_]:
        prepared = self._prepared
        if self._matcher.is_stopped():
            return self._ends()
        packed = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check()
        mask = np.unpackbits(packed, bitorder="little")[: prepared.n_vocab].astype(np.bool_)
        mask[prepared.unwritable] = False
        if self._is_first:
            for token_id, pieces in prepared.first_pieces.items():
                mask[token_id] = bool(pieces) and self._matcher.validate_tokens(pieces) == len(pieces)
        mask[prepared.stop_ids] = self._matcher.is_accepting()
        if not mask.any():
            raise ConstraintError("no token of this model can go on with the answer as the constraint wants")
        return mask

    def _ends(self) -> npt.NDArray[np.bool_]:
        mask = np.zeros(self._prepared.n_vocab, np.bool_)
        mask[self._prepared.stop_ids] = True
        return mask

    def _check(self) -> None:
        if not self._matcher.is_error():
            return
        if "NoExtension" in self._matcher.get_error():
            raise ConstraintError("nothing can satisfy the constraint from here on")
        raise ConstraintError(
            f"the constraint became too large to follow: {_first_lines(self._matcher.get_error())}",
            remedy="Use a simpler schema, regular expression or grammar.",
        )
