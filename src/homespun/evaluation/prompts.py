"""Files of prompts: a text file with one prompt a line, or JSON lines with references."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homespun.documents.decode import decode_text
from homespun.evaluation.errors import EvaluationError


@dataclass(frozen=True)
class Prompt:
    """One prompt.

    Attributes:
        line: of the file, counted from 1.
        references: right answers, where there are any.
    """

    text: str
    line: int
    references: tuple[str, ...] = ()


def read_prompts(path: Path) -> list[Prompt]:
    """Read a file of prompts. Empty lines are left out.

    Args:
        path: `.jsonl` has an object with `prompt` and perhaps `references` (a list, or one text) on each
            line, or is a question set with `question` and `answers`; any other file has one prompt a line.

    Raises:
        EvaluationError: no file, no prompt, the same prompt twice, or a line that says something else.
        UnreadableFile: no text.
    """
    try:
        text = decode_text(path.read_bytes()).text
    except OSError as error:
        raise EvaluationError(
            f"The prompts cannot be read ({error.strerror}).",
            where=str(path),
            remedy="Name a file of prompts.",
        ) from error
    is_json = path.suffix.lower() == ".jsonl"
    found: list[Prompt] = []
    seen: dict[str, int] = {}
    # Only line ends divide lines; a prompt may hold other characters that str.splitlines divides at.
    for line, content in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if not content.strip():
            continue
        where = f"{path}, line {line}"
        prompt = _from_json(content, line, where) if is_json else Prompt(content.strip(), line)
        if prompt.text in seen:
            raise EvaluationError(
                f"This prompt stands in line {seen[prompt.text]} already; each counts once.", where=where
            )
        seen[prompt.text] = line
        found.append(prompt)
    if not found:
        raise EvaluationError("The file has no prompt.", where=str(path), remedy="Write one prompt a line.")
    return found


def _from_json(content: str, line: int, where: str) -> Prompt:
    try:
        entry: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise EvaluationError(f"This is no JSON ({error}).", where=where) from None
    text = entry.get("prompt", entry.get("question")) if isinstance(entry, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise EvaluationError('Each line needs an object with a text "prompt".', where=where)
    references = entry.get("references", entry.get("answers")) or []
    references = [references] if isinstance(references, str) else references
    if not isinstance(references, list) or not all(isinstance(one, str) for one in references):
        raise EvaluationError('"references" must be a text or a list of texts.', where=where)
    return Prompt(text, line, tuple(references))
