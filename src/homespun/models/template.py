"""Messages to the tokens that a model was trained to see them as.

The template is the file's own (`tokenizer.chat_template`, a Jinja program), run in a sandbox with
the settings and functions that transformers gives it. What the messages say never becomes a marker,
whatever it spells (see `untrusted.py`).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, get_args

from homespun.models.errors import TemplateError
from homespun.models.folder import ModelFolder
from homespun.models.gguf import GGUFFile
from homespun.models.tokenizer import Tokenizer
from homespun.models.untrusted import MarkerGuard, unused_character

Role = Literal["system", "user", "assistant", "tool"]
Turn = dict[str, Any]

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
class ToolCall:
    """A function that the model wants called, with its arguments by name (JSON values)."""

    name: str
    arguments: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Message:
    """One turn of a chat.

    Attributes:
        role: who speaks; `tool` is what a called tool answered.
        content: what they say; any text.
        tool_calls: what an assistant's turn asked for.
        name: of the tool that answers.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    name: str | None = None

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

    def encode(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        add_generation_prompt: bool = True,
    ) -> list[int]:
        """The tokens of a chat. No begin token is added beyond what the template writes.

        For contents that spell no marker these are the ids that transformers' `apply_chat_template`
        gives; markers that a content spells are kept as the plain text they are.

        Args:
            messages: the turns so far.
            tools: functions that the model may ask for, each with `name`, `description` and `parameters`
                (a JSON schema), or such an object under `function`.
            add_generation_prompt: end with the beginning of the assistant's turn.

        Raises:
            TemplateError: the template refuses these messages.
        """
        rendered, sentinel = self._render_guarded(messages, tools, add_generation_prompt)
        ids: list[int] = []
        for run, marker_id in self._tokenizer.split_markers(rendered):
            ids.extend(self._tokenizer.encode(run.replace(sentinel, "")))
            if marker_id is not None:
                ids.append(marker_id)
        return ids

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        add_generation_prompt: bool = True,
    ) -> str:
        """The chat as text, for people to look at; encode messages with `encode`, not this text.

        Raises:
            TemplateError: the template refuses these messages.
        """
        rendered, sentinel = self._render_guarded(messages, tools, add_generation_prompt)
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

    @cached_property
    def supports_tools(self) -> bool:
        """Whether the template has a place for tools that the model may ask for."""
        probe = unused_character([self.text])
        tool = _tool({"name": probe, "description": "", "parameters": {"type": "object", "properties": {}}})
        for turns in ([_turn("user", "Hello")], [_turn("system", "Be kind."), _turn("user", "Hello")]):
            try:
                if probe in self._run(turns, True, [tool]):
                    return True
            except TemplateError:
                continue
        return False

    def _render_guarded(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], add_generation_prompt: bool
    ) -> tuple[str, str]:
        if not messages:
            raise TemplateError("there is no message to answer")
        uses_tools = bool(tools) or any(message.tool_calls or message.role == "tool" for message in messages)
        if uses_tools and not self.supports_tools:
            raise TemplateError(
                "this model's chat template has no place for tools",
                where=self._where,
                remedy="Use a model that was trained to call tools, or leave them out.",
            )
        plain = [_as_turn(message) for message in messages]
        offered = [_tool(tool) for tool in tools]
        sentinel = unused_character([self.text, *_texts(plain), *_texts(offered)])
        turns = [{**self._guarded(turn, sentinel), "role": turn["role"]} for turn in plain]
        if turns[0]["role"] == "system" and not self.supports_system:
            turns = _system_into_user(turns)
        return self._run(turns, add_generation_prompt, self._guarded(offered, sentinel) or None), sentinel

    def _guarded(self, value: Any, sentinel: str) -> Any:
        """The same value; no text in it spells a marker. What the roles are called stays."""
        if isinstance(value, str):
            return self._guard.guard(value, sentinel)
        if isinstance(value, list):
            return [self._guarded(item, sentinel) for item in value]
        if isinstance(value, Mapping):
            return {
                key if key in _FIXED_KEYS else self._guarded(key, sentinel): item
                if (key, item) == ("type", "function")
                else self._guarded(item, sentinel)
                for key, item in value.items()
            }
        return value

    def _run(self, turns: list[Turn], add_generation_prompt: bool, tools: Any = None) -> str:
        from homespun.models.template_budget import Budget

        n_characters = sum(len(text) for turn in turns for text in _texts(turn)) + sum(
            map(len, _texts(tools))
        )
        try:
            return str(
                self._program.environment.render(
                    self._program,
                    Budget(len(turns), n_characters),
                    messages=turns,
                    tools=tools,
                    documents=None,
                    add_generation_prompt=add_generation_prompt,
                    **self._named_tokens(),
                )
            )
        except Exception as error:  # the program is a stranger's and may raise anything
            raise TemplateError(
                f"the model's chat template refuses these messages: {_one_line(error)}",
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


#: Names that templates look up; they are ours, whatever a marker is called.
_FIXED_KEYS = frozenset({
    "role", "content", "name", "tool_calls", "type", "function", "arguments", "description", "parameters",
    "properties", "required",
})  # fmt: skip


def _turn(role: str, content: str) -> Turn:
    return {"role": role, "content": content}


def _as_turn(message: Message) -> Turn:
    """A message in the form in which transformers hands it to templates."""
    turn = _turn(message.role, message.content)
    if message.name is not None:
        turn["name"] = message.name
    if message.tool_calls:
        turn["tool_calls"] = [
            {"type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}
            for call in message.tool_calls
        ]
    return turn


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function", tool) if isinstance(tool, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise TemplateError(
            "a tool has no name",
            remedy='Give each as {"name": ..., "description": ..., "parameters": {...}}.',
        )
    return {"type": "function", "function": dict(function)}


def _texts(value: Any) -> list[str]:
    """Every text in a JSON value, keys too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for pair in value.items() for part in pair for text in _texts(part)]
    return [text for item in value for text in _texts(item)] if isinstance(value, (list, tuple)) else []


def _system_into_user(turns: list[Turn]) -> list[Turn]:
    """For templates without a system turn: what it says opens the first user turn."""
    system, *rest = turns
    if not rest or rest[0]["role"] != "user":
        return [_turn("user", system["content"]), *rest]
    return [_turn("user", f"{system['content']}\n\n{rest[0]['content']}"), *rest[1:]]


def _compile(text: str, where: str | None) -> Any:
    import jinja2

    from homespun.models.template_sandbox import GenerationTag, TemplateSandbox

    environment = TemplateSandbox([GenerationTag, "jinja2.ext.loopcontrols"])
    environment.filters["tojson"] = environment.bounded_filter("tojson", _tojson)
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    remedy = "Get a newer file of the same model."
    try:
        return environment.from_string(text)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(
            f"the model's chat template is not valid Jinja (line {error.lineno}: {error.message})",
            where=where,
            remedy=remedy,
        ) from None
    except (RecursionError, SyntaxError, MemoryError, ValueError, jinja2.TemplateError) as error:
        raise TemplateError(
            f"the model's chat template cannot be compiled ({_one_line(error)})", where=where, remedy=remedy
        ) from None


def _tojson(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, **options)
    # A private character that keeps markers apart must stay one to be taken out again.
    return re.sub("[^\x00-\x7f\U000f0000-\U000ffffd]+", _escaped, text) if ensure_ascii else text


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}..."


def _raise_exception(message: str) -> None:
    import jinja2

    raise jinja2.TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


def as_messages(turns: Sequence[Mapping[str, str]]) -> list[Message]:
    """Messages from dicts with "role" and "content", as files and programs have them."""
    return [Message(turn["role"], turn["content"]) for turn in turns]  # type: ignore[arg-type]
