"""promptfoo: test cases of a config (YAML, JSON), of a csv or xlsx file, or of saved results, as questions."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from homespun.documents.decode import decode_text
from homespun.tuning.data.rows import TABLE_SUFFIXES, read_table
from homespun.tuning.data.turns import RowError
from homespun.tuning.errors import DataError

#: Assertions whose value is an answer that would be right; others (rubrics, code, patterns) name none.
_ANSWERS = (
    "equals",
    "contains",
    "icontains",
    "starts-with",
    "similar",
    "factuality",
    "contains-any",
    "icontains-any",
)
_VARIABLE = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
_QUESTIONS = ("question", "query", "prompt", "input", "message", "user_input")
_MAX_FILE_BYTES = 64 << 20

Case = tuple[int, dict[str, Any]]


def cases(path: Path, data: bytes) -> Iterator[Case]:
    """The test cases of a file with their number (or line), each an object with `vars` and `assert`.

    Raises:
        DataError: no promptfoo file, or it points to something that is not read here.
    """
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv", ".xlsx", ".jsonl", ".ndjson"):
        yield from _table_cases(path, data)
        return
    config = _parsed(path, data)
    results = config.get("results") if isinstance(config, dict) else None
    if isinstance(results, dict) and isinstance(results.get("results"), list):
        for number, result in enumerate(results["results"], 1):
            yield number, _of_result(result)
        return
    if not isinstance(config, dict) or "tests" not in config:
        raise DataError("it has no `tests`, as promptfoo's configs have", where=str(path))
    prompts = [_prompt(prompt, path) for prompt in _as_list(config.get("prompts"))]
    default = config.get("defaultTest")
    shared = default if isinstance(default, dict) else {}
    number = 0
    for tests in _as_list(config["tests"]):
        found = [test for _, test in _of_file(tests, path)] if isinstance(tests, str) else [tests]
        for test in found:
            number += 1
            if isinstance(test, dict):
                test = {
                    **test,
                    "vars": {**_mapping(shared.get("vars")), **_mapping(test.get("vars"))},
                    "assert": [*_as_list(shared.get("assert")), *_as_list(test.get("assert"))],
                    "prompts": prompts,
                }
            yield number, test


def case_row(case: Any) -> dict[str, Any]:
    """A test case as a question and the answers that its assertions name.

    The question is the one prompt with its variables filled in, or a variable that is named like one.

    Raises:
        RowError: no answer is named, or it is unclear what the question is.
    """
    if not isinstance(case, dict):
        raise RowError("type", "A test case must be an object.")
    variables = {name: value for name, value in _mapping(case.get("vars")).items() if value is not None}
    answers: list[str] = []
    for one in _as_list(case.get("assert")):
        if isinstance(one, dict) and one.get("type") in _ANSWERS:
            answers += [shown for value in _as_list(one.get("value")) if (shown := _scalar(value))]
    if not answers:
        raise RowError("empty", f"No assertion names an answer (these do: {', '.join(_ANSWERS)}).")
    return {"question": _question(case, variables), "answers": list(dict.fromkeys(answers))}


def _question(case: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
    prompts = [prompt for prompt in case.get("prompts", []) if _VARIABLE.search(prompt)]
    if len(prompts) == 1:
        missing = [name for name in _VARIABLE.findall(prompts[0]) if name not in variables]
        if missing:
            raise RowError("empty", f"The prompt's variable {missing[0]!r} is not given.")
        return _VARIABLE.sub(lambda match: _scalar(variables[match[1]]), prompts[0]).strip()
    if case.get("rendered"):
        return str(case["rendered"]).strip()
    named = [name for name in _QUESTIONS if name in variables]
    if not named and len(variables) == 1:
        named = list(variables)
    if not named:
        known = ", ".join(map(str, variables)) or "none"
        raise RowError("type", f"Which variable is the question is unclear (there are: {known}).")
    return _scalar(variables[named[0]])


def _table_cases(path: Path, data: bytes) -> Iterator[Case]:
    for row in read_table(path, data).rows:
        if "vars" in row.values:
            yield row.line, row.values
            continue
        expected = [
            _expected(str(value))
            for name, value in row.values.items()
            if re.fullmatch(r"__expected\d*", name) and value is not None and str(value).strip()
        ]
        variables = {name: value for name, value in row.values.items() if not name.startswith("__")}
        yield row.line, {"vars": variables, "assert": expected}


def _expected(text: str) -> dict[str, Any]:
    """A cell of an `__expected` column: "contains: Paris", or an answer alone, which has to be equal."""
    match = re.match(r"\s*(not-)?([a-z][a-z-]*)(?:\([\d.]+\))?:(.*)", text, re.DOTALL)
    kinds = (
        *_ANSWERS,
        "fn",
        "eval",
        "grade",
        "javascript",
        "python",
        "llm-rubric",
        "regex",
        "is-json",
        "file",
    )
    if match and match[2] in kinds:
        kind = f"{match[1] or ''}{match[2]}"
        is_list = match[2].endswith("-any")
        return {"type": kind, "value": match[3].split(",") if is_list else match[3].strip()}
    return {"type": "equals", "value": text.strip()}


def _of_result(result: Any) -> Any:
    if not isinstance(result, dict):
        return result
    test, prompt = _mapping(result.get("testCase")), _mapping(result.get("prompt"))
    return {
        "vars": result.get("vars") or test.get("vars"),
        "assert": test.get("assert"),
        "rendered": prompt.get("raw"),
    }


def _of_file(address: str, config: Path) -> Iterator[Case]:
    path = _local(address, config)
    suffix = path.suffix.lower()
    data = _bytes(path)
    if suffix in TABLE_SUFFIXES and suffix != ".json":
        yield from _table_cases(path, data)
        return
    found = _parsed(path, data)
    yield from enumerate(_as_list(found), 1)


def _prompt(prompt: Any, config: Path) -> str:
    if isinstance(prompt, dict):
        prompt = prompt.get("raw", "")
    prompt = str(prompt)
    if prompt.startswith("file://"):
        path = _local(prompt, config)
        return decode_text(_bytes(path)).text if path.suffix.lower() in (".txt", ".md") else ""
    return prompt


def _local(address: str, config: Path) -> Path:
    """A file named in a config; nothing is fetched, run, or read outside the config's folder."""
    name = address.removeprefix("file://")
    folder = config.parent.resolve()
    path = (folder / name).resolve()
    if "://" in name or not path.is_relative_to(folder) or not path.is_file():
        raise DataError(
            f"it points to {address!r}, and only files in its own folder are read",
            where=str(config),
            remedy="Put that file there, and name it.",
        )
    return path


def _parsed(path: Path, data: bytes) -> Any:
    text = decode_text(data).text
    try:
        if path.suffix.lower() == ".json":
            return json.loads(text)
        import yaml

        return yaml.safe_load(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"this is no JSON ({error})", where=str(path)) from None
    except Exception as error:  # yaml's own errors have no base that is imported without it
        raise DataError(f"this is no YAML ({' '.join(str(error).split())[:120]})", where=str(path)) from None


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise DataError(f"it is larger than {_MAX_FILE_BYTES >> 20} MiB", where=str(path))
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror})", where=str(path)) from error


def _scalar(value: Any) -> str:
    # Never a list or mapping as text: in YAML, a small one may name itself often and so unfold without end.
    if isinstance(value, (dict, list)):
        raise RowError("type", "A variable or an answer must be a text or a number.")
    return "" if value is None else str(value).strip()


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
