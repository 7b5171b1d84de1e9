"""Messages to the tokens that a model was trained to see them as.

The template is the file's own (`tokenizer.chat_template`, a Jinja program), run in a sandbox with
the settings and functions that transformers gives it. What the messages say never becomes a marker,
whatever it spells (see `untrusted.py`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, get_args

from homespun.models.errors import TemplateError
from homespun.models.folder import ModelFolder
from homespun.models.gguf import GGUFFile
from homespun.models.tokenizer import Tokenizer
from homespun.models.untrusted import MarkerGuard, unused_character

Role = Literal["system", "user", "assistant"]

#: For a model that brings no template: names before the turns, a blank line between them.
FALLBACK_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ {'system': '', 'user': 'User: ', 'assistant': 'Assistant: '}[message['role']] }}"
    "{{ message['content'] | trim }}\n\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
#: What begins a turn that the person would write, where only the fallback marks turns.
FALLBACK_STOP_TEXTS = ("\nUser:",)


@dataclass(frozen=True)
class Message:
    """One turn of a chat.

    Attributes:
        role: who speaks.
        content: what they say; any text.
    """

    role: Role
    content: str

    def __post_init__(self) -> None:
        if self.role not in get_args(Role):
            raise TemplateError(
                f"a message's role is {self.role!r}, but only {', '.join(get_args(Role))} are known"
            )


class ChatTemplate:
    """A model's way of writing a chat.

    Attributes:
        text: the Jinja program.
        is_fallback: the model brings none, and `FALLBACK_TEMPLATE` is used.
        stop_texts: what must also end an answer, because no token does.
    """

    def __init__(self, text: str | None, tokenizer: Tokenizer, where: str | None = None) -> None:
        self.is_fallback = text is None
        self.text = FALLBACK_TEMPLATE if text is None else text
        self.stop_texts: tuple[str, ...] = FALLBACK_STOP_TEXTS if text is None else ()
        self._where = where
        self._tokenizer = tokenizer
        self._guard = MarkerGuard(tokenizer.vocabulary.markers)
        self._program = _compile(self.text, where)

    @classmethod
    def from_gguf(cls, file: GGUFFile, tokenizer: Tokenizer) -> "ChatTemplate":
        """The template of a file, or the plain fallback where it has none.

        Raises:
            TemplateError: the file's template is no valid Jinja.
        """
        text = file.metadata.get("tokenizer.chat_template")
        return cls(text if isinstance(text, str) and text.strip() else None, tokenizer, str(file.path))

    @classmethod
    def from_folder(cls, folder: ModelFolder, tokenizer: Tokenizer) -> "ChatTemplate":
        """The template of a Hugging Face folder, or the plain fallback where it has none.

        Raises:
            TemplateError: the template is no valid Jinja.
        """
        return cls(folder.chat_template, tokenizer, str(folder.path))

    def encode(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> list[int]:
        """The tokens of a chat. No begin token is added beyond what the template writes.

        For contents that spell no marker these are the ids that transformers' `apply_chat_template`
        gives; markers that a content spells are kept as the plain text they are.

        Args:
            messages: the turns so far.
            add_generation_prompt: end with the beginning of the assistant's turn.

        Raises:
            TemplateError: the template refuses these messages.
        """
        rendered, sentinel = self._render_guarded(messages, add_generation_prompt)
        ids: list[int] = []
        for run, marker_id in self._tokenizer.split_markers(rendered):
            ids.extend(self._tokenizer.encode(run.replace(sentinel, "")))
            if marker_id is not None:
                ids.append(marker_id)
        return ids

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        """The chat as text, for people to look at; encode messages with `encode`, not this text.

        Raises:
            TemplateError: the template refuses these messages.
        """
        rendered, sentinel = self._render_guarded(messages, add_generation_prompt)
        return rendered.replace(sentinel, "")

    @cached_property
    def supports_system(self) -> bool:
        """Whether a system message reaches the model; otherwise it is put before the first user one."""
        probe = unused_character([self.text])
        try:
            rendered = self._run([_turn("system", probe), _turn("user", "Hello")], True)
        except TemplateError:
            return False
        return probe in rendered

    def _render_guarded(self, messages: Sequence[Message], add_generation_prompt: bool) -> tuple[str, str]:
        if not messages:
            raise TemplateError("there is no message to answer")
        sentinel = unused_character([self.text, *(message.content for message in messages)])
        turns = [_turn(message.role, self._guard.guard(message.content, sentinel)) for message in messages]
        if turns[0]["role"] == "system" and not self.supports_system:
            turns = _system_into_user(turns)
        return self._run(turns, add_generation_prompt), sentinel

    def _run(self, turns: list[dict[str, str]], add_generation_prompt: bool) -> str:
        import jinja2

        try:
            return str(
                self._program.render(
                    messages=turns,
                    tools=None,
                    documents=None,
                    add_generation_prompt=add_generation_prompt,
                    **self._named_tokens(),
                )
            )
        except (jinja2.TemplateError, TypeError, KeyError, ValueError, OverflowError) as error:
            raise TemplateError(
                f"the model's chat template refuses these messages: {error}",
                where=self._where,
                remedy="Most templates want user and assistant messages in turn, beginning with a user.",
            ) from error

    def _named_tokens(self) -> dict[str, str]:
        vocabulary = self._tokenizer.vocabulary
        named = {name: vocabulary.texts[token_id] for name, token_id in vocabulary.named_ids.items()}
        tokens = {f"{name}_token": named[name] for name in ("bos", "eos") if name in named}
        if "unknown" in named:
            tokens["unk_token"] = named["unknown"]
        if "padding" in named:
            tokens["pad_token"] = named["padding"]
        if self.is_fallback and not self._tokenizer.add_bos:
            tokens["bos_token"] = ""
        return tokens


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _system_into_user(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    """For templates without a system turn: what it says opens the first user turn."""
    system, *rest = turns
    if not rest or rest[0]["role"] != "user":
        return [_turn("user", system["content"]), *rest]
    return [_turn("user", f"{system['content']}\n\n{rest[0]['content']}"), *rest[1:]]


def _compile(text: str, where: str | None) -> Any:
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_generation_tag(), "jinja2.ext.loopcontrols"],
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    try:
        return environment.from_string(text)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(
            f"the model's chat template is not valid Jinja (line {error.lineno}: {error.message})",
            where=where,
            remedy="Get a newer file of the same model.",
        ) from None


def _generation_tag() -> Any:
    """`{% generation %}`, which some templates put around the assistant's text; it changes nothing."""
    from jinja2 import nodes
    from jinja2.ext import Extension

    class GenerationTag(Extension):
        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    return GenerationTag


def _tojson(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _raise_exception(message: str) -> None:
    import jinja2

    raise jinja2.TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


def as_messages(turns: Sequence[Mapping[str, str]]) -> list[Message]:
    """Messages from dicts with "role" and "content", as files and programs have them."""
    return [Message(turn["role"], turn["content"]) for turn in turns]  # type: ignore[arg-type]
