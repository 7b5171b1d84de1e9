"""An Ollama Modelfile: the chat template in Go's language, and the tokens that end an answer.

The pieces of the template are found by writing chats with it: what stands before and behind a turn of each
role, and what is written where no instructions are given. A template that is more than that is refused.
"""

from dataclasses import dataclass

from homespun.models.template import ChatTemplate, Message
from homespun.models.tokenizer import Tokenizer
from homespun.tuning.errors import ExportError

_MARKS = ("\ue101", "\ue102", "\ue103", "\ue104")  # private characters, in no template


@dataclass(frozen=True)
class Pieces:
    """What stands around the turns: (before, behind) of each role; where no instructions are; before an answer."""

    system: tuple[str, str] | None
    user: tuple[str, str]
    assistant: tuple[str, str]
    without_system: str
    opened: str

    def write(self, system: str | None, turns: list[tuple[str, str]]) -> str:
        """A chat, as the Go template writes it."""
        text = self.without_system
        if system is not None and self.system is not None:
            text = self.system[0] + system + self.system[1]
        for role, content in turns:
            before, behind = self.user if role == "user" else self.assistant
            text += before + content + behind
        return text + self.opened


def find_pieces(template: ChatTemplate, begin: str) -> Pieces:
    """The pieces of a template.

    Args:
        begin: text of the begin token, which Ollama writes itself.

    Raises:
        ExportError: it is no plain sequence of turns.
    """
    one, two, three, system = _MARKS

    def written(*turns: tuple[str, str], opened: bool = True) -> str:
        messages = [Message(role, text) for role, text in turns]  # type: ignore[arg-type]
        return template.render(messages, add_generation_prompt=opened).removeprefix(begin)

    plain = written(("user", one), opened=False)
    opened = written(("user", one)).removeprefix(plain)
    chat = written(("user", one), ("assistant", two), ("user", three), opened=False)
    between = chat[chat.index(one) + 1 : chat.index(two)]
    behind_user = plain[plain.index(one) + 1 :]
    behind_answer_and_before_user = chat[chat.index(two) + 1 : chat.index(three)]
    before_user = _before_user(behind_answer_and_before_user, plain[: plain.index(one)], behind_user)
    behind_answer = behind_answer_and_before_user.removesuffix(before_user)
    found = None
    if template.supports_system:
        head = written(("system", system), ("user", one), opened=False)
        found = (
            head[: head.index(system)],
            head[head.index(system) + 1 : head.index(one)].removesuffix(before_user),
        )
    pieces = Pieces(
        found,
        (before_user, behind_user),
        (between.removeprefix(behind_user), behind_answer),
        plain[: plain.index(one)].removesuffix(before_user),
        opened,
    )
    turns = [("user", "a b"), ("assistant", "c"), ("user", "d e"), ("assistant", "f"), ("user", "g")]
    for instructions in (None, "be short") if found else (None,):
        head_turns = [] if instructions is None else [("system", instructions)]
        if pieces.write(instructions, turns) != written(*head_turns, *turns):
            raise ExportError(
                "the model's chat template is more than turns one after the other, which a Modelfile cannot say",
                remedy="Export the merged GGUF: programs that read its own template need no Modelfile.",
            )
    return pieces


def _before_user(behind_answer: str, first: str, behind_user: str) -> str:
    """What opens a user's turn: the longest end that the later turn shares with the first one."""
    for start in range(len(behind_answer) + 1):
        if first.endswith(behind_answer[start:]):
            shared = behind_answer[start:]
            # an answer usually ends as a question does; what is shared by chance goes back to it
            return shared.removeprefix(behind_user) if shared.startswith(behind_user) else shared
    return ""


def modelfile(gguf_name: str, template: ChatTemplate, tokenizer: Tokenizer) -> str:
    """The Modelfile's text for a GGUF beside it.

    Raises:
        ExportError: see `find_pieces`.
    """
    begin = "".join(tokenizer.vocabulary.texts[token_id] for token_id in tokenizer.begin_ids)
    pieces = find_pieces(template, begin)
    body = ""
    if pieces.system is not None:
        before, behind = (_go(text) for text in pieces.system)
        body += f"{{{{ if .System }}}}{before}{{{{ .System }}}}{behind}"
        body += f"{{{{ else }}}}{_go(pieces.without_system)}{{{{ end }}}}"
    else:
        body += _go(pieces.without_system)
    user, assistant = ([_go(text) for text in pair] for pair in (pieces.user, pieces.assistant))
    body += "{{ range .Messages }}"
    body += f'{{{{ if eq .Role "user" }}}}{user[0]}{{{{ .Content }}}}{user[1]}'
    body += (
        f'{{{{ else if eq .Role "assistant" }}}}{assistant[0]}{{{{ .Content }}}}{assistant[1]}{{{{ end }}}}'
    )
    body += f"{{{{ end }}}}{_go(pieces.opened)}"
    stops = sorted({tokenizer.vocabulary.texts[token_id] for token_id in tokenizer.stop_ids})
    lines = [f"FROM ./{gguf_name}", f'TEMPLATE """{body}"""']
    lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    return "\n".join([*lines, "PARAMETER temperature 0", ""])


def _go(text: str) -> str:
    """Text inside a Go template between the quotes of a Modelfile."""
    if '"""' in text:
        raise ExportError("the template holds three quotes in a row, which a Modelfile cannot")
    return text.replace("{{", '{{ "{{" }}')
