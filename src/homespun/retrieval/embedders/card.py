"""What a model's card asks for: the prefixes before queries and passages, and the languages it was made for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Prefixes:
    """What stands before each query and each passage; `are_stated`: the folder's own files say so."""

    query: str = ""
    passage: str = ""
    are_stated: bool = True


_BGE = "Represent this sentence for searching relevant passages: "
#: Families whose published folders often lack the prompts that their cards ask for: pattern of a name,
#: query, passage. The first that fits counts.
_KNOWN = (
    (r"e5-(?:small|base|large)(?!.*instruct)|multilingual-e5(?!.*instruct)", "query: ", "passage: "),
    (r"nomic-embed-text", "search_query: ", "search_document: "),
    (r"bge-(?:small|base|large)-en", _BGE, ""),
    (r"mxbai-embed-(?:large|xsmall)|snowflake-arctic-embed-(?:xs|s|m|l)(?!.*v2)", _BGE, ""),
)


def prefixes_of(stated: Mapping[str, Any], names: Sequence[str]) -> Prefixes:
    """The prefixes that the folder states, else those that its family is known to need, else none.

    Args:
        stated: config_sentence_transformers.json.
        names: what the model is called, in any of the places where that is said.
    """
    prompts = stated.get("prompts")
    prompts = prompts if isinstance(prompts, Mapping) else {}
    query = str(prompts.get("query") or "")
    passage = str(prompts.get("passage") or prompts.get("document") or "")
    if query or passage:
        return Prefixes(query, passage)
    for pattern, query, passage in _KNOWN:
        if any(re.search(pattern, name.lower()) for name in names):
            return Prefixes(query, passage, are_stated=False)
    return Prefixes()


def folder_languages(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Codes such as "en" of the languages that a model was made for; () where that is not known, or for many.

    The model card's own list counts; without one, what is known of the name.
    """
    told = _card_languages(path / "README.md")
    if told:
        return () if "multilingual" in told else told
    joined = " ".join(names).lower()
    if re.search(r"multilingual|-m3|labse|xlm", joined):
        return ()
    if re.search(
        r"all-minilm|minilm-l6|minilm-l12|all-mpnet|all-distilroberta|-en\b|-en-", joined.replace("_", "-")
    ):
        return ("en",)
    return ()


def _card_languages(path: Path) -> tuple[str, ...]:
    """The list `language:` of a model card's first block."""
    try:
        card = path.read_text("utf-8", errors="replace")[:20_000]
    except OSError:
        return ()
    block = re.match(r"---\n(.*?)\n---", card, re.DOTALL)
    found = (
        re.search(r"^language:[ \t]*(.*(?:\n[ \t]*-[ \t]*\S+)*)", block.group(1), re.MULTILINE)
        if block
        else None
    )
    if not found:
        return ()
    return tuple(re.findall(r"[a-z]{2,3}(?![a-z])|multilingual", found.group(1).lower()))
