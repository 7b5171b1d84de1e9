"""Label Studio's exports (JSON and JSON-MIN): written answers, chosen labels, and preferred sides."""

from collections.abc import Iterator, Mapping
from typing import Any

from homespun.tuning.data.columns import KNOWN_NAMES, DataColumns
from homespun.tuning.data.turns import RowError

#: What JSON-MIN puts beside the data and the labels.
_OWN = ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "inner_id", "agreement")


def task_rows(task: Mapping[str, Any], columns: DataColumns) -> Iterator[dict[str, Any]]:
    """A task as rows: one for each annotation that was finished.

    A text area gives prompt and response, a choice prompt and label, a pairwise choice prompt, chosen and
    rejected. The prompt is the task's one text, one that is named like a prompt, or what `columns` names.

    Raises:
        RowError: nothing was annotated, or it is unclear which text is the prompt.
    """
    if "annotations" not in task:
        yield _of_min(task, columns)
        return
    data = task.get("data")
    texts = {name: value for name, value in data.items() if _is_text(value)} if isinstance(data, dict) else {}
    n_found = 0
    for annotation in task["annotations"] if isinstance(task["annotations"], list) else []:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        for result in annotation.get("result") or []:
            row = _row(result, texts, columns)
            if row is not None:
                n_found += 1
                yield row
    if not n_found:
        raise RowError("empty", "Nothing that can be learnt was annotated: no text area, choice or pair.")


def _row(result: Any, texts: Mapping[str, str], columns: DataColumns) -> dict[str, Any] | None:
    if not isinstance(result, dict) or not isinstance(result.get("value"), dict):
        return None
    kind, value = result.get("type"), result["value"]
    if kind == "pairwise":
        return _preference(result, value, texts, columns)
    answers = value.get("text") if kind == "textarea" else value.get("choices") if kind == "choices" else None
    if columns.response and columns.response != result.get("from_name"):
        return None
    answers = [answers] if isinstance(answers, str) else answers
    if not isinstance(answers, list) or not answers:
        return None
    separator = "\n" if kind == "textarea" else ", "
    return {"prompt": texts[_prompt_name(texts, columns)], "response": separator.join(map(str, answers))}


def _preference(
    result: Mapping[str, Any], value: Mapping[str, Any], texts: Mapping[str, str], columns: DataColumns
) -> dict[str, Any] | None:
    selected = value.get("selected")
    if selected not in ("left", "right"):
        return None
    to_name = result.get("to_name")
    named = [name.strip() for name in to_name.split(",")] if isinstance(to_name, str) else []
    sides = named if len(named) == 2 and all(name in texts for name in named) else []
    others = {name: text for name, text in texts.items() if name not in sides}
    if not sides:
        prompt = _prompt_name(texts, columns)
        sides = [name for name in texts if name != prompt]
    else:
        prompt = _prompt_name(others, columns) if others else ""
    if len(sides) != 2:
        raise RowError("type", f"Which two texts are compared is unclear (there are: {', '.join(texts)}).")
    left, right = texts[sides[0]], texts[sides[1]]
    chosen, rejected = (left, right) if selected == "left" else (right, left)
    return {"prompt": texts.get(prompt, ""), "chosen": chosen, "rejected": rejected}


def _of_min(row: Mapping[str, Any], columns: DataColumns) -> dict[str, Any]:
    texts = {name: value for name, value in row.items() if _is_text(value) and name not in _OWN}
    prompt = _prompt_name(texts, columns, is_alone=False)
    answers = [columns.response] if columns.response else [n for n in texts if n in KNOWN_NAMES["response"]]
    if len(answers) != 1 or answers[0] not in texts:
        raise RowError(
            "type", f"Which column is the answer is unclear; name it (there are: {', '.join(texts)})."
        )
    return {"prompt": texts[prompt], "response": texts[answers[0]]}


def _prompt_name(texts: Mapping[str, str], columns: DataColumns, *, is_alone: bool = True) -> str:
    if columns.prompt:
        named = [columns.prompt] if columns.prompt in texts else []
    elif is_alone and len(texts) == 1:
        named = list(texts)
    else:
        named = [name for name in texts if name.casefold() in (*KNOWN_NAMES["prompt"], "text")]
    if len(named) != 1:
        raise RowError(
            "type", f"Which text is the prompt is unclear; name it (there are: {', '.join(texts)})."
        )
    return named[0]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
