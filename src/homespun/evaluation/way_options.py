"""Which way of answering, with which model, adapter, library and sizes; and how a person writes that."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args, get_type_hints

from homespun.engines.engine import Mode
from homespun.evaluation.errors import EvaluationError

WayKind = Literal[
    "prompt",
    "few-shot",
    "quote",
    "retrieve",
    "whole-document",
    "tuned",
    "tuned+retrieve",
    "gold-passage",
    "gold-sentence",
]

KINDS: dict[WayKind, str] = {
    "prompt": "the model alone, from what it knows",
    "few-shot": "the model alone, after a few answered questions of the train split",
    "quote": "the best sentences of the library, word for word; no model writes",
    "retrieve": "the model, from the passages that are found",
    "whole-document": "the model, from the document that is found, whole where it fits",
    "tuned": "the model with an adapter, from what it knows",
    "tuned+retrieve": "the model with an adapter, from passages as it was tuned on them",
    "gold-passage": "an oracle: the model, given the passages that hold the answer",
    "gold-sentence": "an oracle: the model, given the sentences that hold the answer",
}
#: Ways that read a library; ways that need an adapter; ways that look where the answer stands.
WITH_LIBRARY = frozenset(
    ("quote", "retrieve", "whole-document", "tuned+retrieve", "gold-passage", "gold-sentence")
)
WITH_ADAPTER = frozenset(("tuned", "tuned+retrieve"))
ORACLES: tuple[WayKind, ...] = ("gold-passage", "gold-sentence")

#: Between the parts of a way that is written out: retrieve@passages=5@model=gemma.
SIGN = "@"


@dataclass(frozen=True)
class WayOptions:
    """One way. Whatever can change its answers is here, or is read from what is named here."""

    kind: WayKind = field(default="prompt", metadata={"help": "which way"})
    model: str = field(default="", metadata={"help": "a model's name; empty: the default one"})
    adapter: str = field(default="", metadata={"help": "an adapter's name or folder; empty: none"})
    library: str = field(default="", metadata={"help": "the library; another embedder is another library"})
    engine: str = field(default="auto", metadata={"help": "auto, openvino, llama.cpp, torch or vllm"})
    mode: Mode = field(default="fast", metadata={"help": "fast or exact"})
    window: int = field(default=0, metadata={"help": "context window in tokens; 0: the model's own"})
    passages: int = field(
        default=0, metadata={"help": "passages at most; 0: 10 to quote from, else 3 or the adapter's own"}
    )
    rerank: str = field(default="", metadata={"help": "who reranks, as in search; empty: as ask does"})
    max_new_tokens: int = field(default=64, metadata={"help": "tokens to write at most"})
    rule: str = field(
        default="short", metadata={"help": "what the model alone is told first: short, or none"}
    )
    shots: int = field(default=4, metadata={"help": "answered questions before a few-shot one"})
    abstain: bool = field(default=True, metadata={"help": "say so where nothing relevant is found"})

    def __post_init__(self) -> None:
        for name, allowed in (
            ("kind", tuple(KINDS)),
            ("mode", get_args(Mode)),
            ("rule", ("short", "none")),
        ):
            if getattr(self, name) not in allowed:
                raise EvaluationError(
                    f"There is no {'way' if name == 'kind' else name} {getattr(self, name)!r}.",
                    remedy=f"Choose from {', '.join(allowed)}.",
                )
        for name, least in (("window", 0), ("passages", 0), ("max_new_tokens", 1), ("shots", 1)):
            if getattr(self, name) < least:
                raise EvaluationError(f"{name} is {getattr(self, name)}; it must be {least} or more.")

    @property
    def name(self) -> str:
        """The way as a person writes it: its kind and what differs from the defaults."""
        told = [
            f"{item.name}={_shown(getattr(self, item.name))}"
            for item in fields(self)
            if item.name != "kind" and getattr(self, item.name) != item.default
        ]
        return SIGN.join((self.kind, *told))


def parse_ways(text: str, base: WayOptions = WayOptions()) -> tuple[tuple[str, WayOptions], ...]:
    """Ways as they are typed, such as "prompt,retrieve@passages=5,retrieve@model=gemma".

    Args:
        text: ways with commas; behind each, options as @NAME=VALUE.
        base: what holds for all of them where they do not say otherwise.

    Returns:
        Each way's name, as typed, and its options.

    Raises:
        EvaluationError: no such way or option, a value that is not allowed, or the same way twice.
    """
    found: dict[str, WayOptions] = {}
    for typed in (part.strip() for part in text.split(",")):
        if not typed:
            continue
        kind, *settings = typed.split(SIGN)
        if typed in found:
            raise EvaluationError(f"The way {typed} is named twice.")
        values = {**dict(_setting(one, typed) for one in settings), "kind": kind}
        found[typed] = _fitting(_replaced(base, values), set(values))
    if not found:
        raise EvaluationError("No way is named.", remedy=f"Choose from {', '.join(KINDS)}.")
    return tuple(found.items())


def _fitting(options: WayOptions, given: set[str]) -> WayOptions:
    """Without what the kind does not use, so that it changes no digest."""
    unused: dict[str, Any] = {}
    if options.kind not in WITH_LIBRARY:
        unused |= {"library": "", "passages": 0, "rerank": "", "abstain": True}
    if options.kind not in WITH_ADAPTER and "adapter" not in given:
        unused["adapter"] = ""
    if options.kind == "quote":
        unused |= {
            "max_new_tokens": 64,
            "adapter": "",
            "window": 0,
            "model": "",
            "engine": "auto",
            "mode": "fast",
        }
    if options.kind != "few-shot":
        unused["shots"] = 4
    return _replaced(options, unused)


def _replaced(options: WayOptions, values: Mapping[str, Any]) -> WayOptions:
    return replace(options, **values)


def _setting(text: str, way: str) -> tuple[str, object]:
    name, sign, value = text.partition("=")
    name = name.strip().replace("-", "_")
    hints = get_type_hints(WayOptions)
    if not sign or name not in hints or name == "kind":
        names = ", ".join(item.name for item in fields(WayOptions) if item.name != "kind")
        raise EvaluationError(f"{text!r} is no option of a way (in {way!r}).", remedy=f"Options: {names}.")
    if hints[name] is int:
        try:
            return name, int(value)
        except ValueError:
            raise EvaluationError(f"{name} must be a whole number, and is {value!r} (in {way!r}).") from None
    if hints[name] is bool:
        if value not in ("yes", "no"):
            raise EvaluationError(f"{name} must be yes or no, and is {value!r} (in {way!r}).")
        return name, value == "yes"
    return name, value


def _shown(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def way_base(*, model: str, adapter: str, library: str, engine: str, mode: str) -> WayOptions:
    """What holds for all ways of a comparison.

    Raises:
        EvaluationError: a value that is not allowed.
    """
    values: dict[str, Any] = {"model": model, "adapter": adapter, "library": library}
    return _replaced(WayOptions(), {**values, "engine": engine, "mode": mode})
