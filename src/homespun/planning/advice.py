"""Hosted or one's own: the talk's table of needs, answered with the user's own numbers, each line with its rule.

No need is weighed against another by a hidden figure: a need either rules a way out, or speaks for one; the verdict
takes what is left and counts the lines, and says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from homespun.models.home import Home
from homespun.planning.costs import CostLine, CostOptions, Costs, work_out_costs
from homespun.planning.errors import PlanError
from homespun.sizing.suggest import Suggestion, machine_memory_bytes, suggest_models

Choice = Literal["own", "hosted", "rented", "either", "unknown"]
#: Shares of correct answers closer than this are told apart only with many questions (see evaluation/power.py).
CLOSE = 0.05
#: Tokens of a prompt's documents that a small model still reads well and soon.
PROMPT_TOKENS = 6_000
_TOKENS_A_PASSAGE = 250


@dataclass(frozen=True)
class Needs:
    """What matters, and the numbers."""

    private: bool = field(default=False, metadata={"help": "the data may not leave this house"})
    control: bool = field(default=False, metadata={"help": "the model may not change unless I change it"})
    quick_start: bool = field(default=False, metadata={"help": "it has to answer today"})
    low_cost: bool = field(default=False, metadata={"help": "it has to be cheap"})
    little_infrastructure: bool = field(default=False, metadata={"help": "nobody looks after machines"})
    top_quality: bool = field(default=False, metadata={"help": "the best answers that there are"})
    documents: int = field(default=0, metadata={"help": "documents that answers come from"})
    document_tokens: int = field(default=2_000, metadata={"help": "tokens of one of them, about"})
    examples: int = field(default=0, metadata={"help": "examples of good answers to tune on"})
    own_correct: float = field(default=0.0, metadata={"help": "measured share of correct answers here"})
    hosted_correct: float = field(default=0.0, metadata={"help": "measured share of a hosted model"})
    memory: float = field(default=0.0, metadata={"help": "of the machine, in GB; 0: this machine's"})

    @property
    def asked(self) -> tuple[str, ...]:
        """Names of the needs that matter."""
        return tuple(name for name in NEEDS if getattr(self, name))


NEEDS = ("private", "control", "quick_start", "low_cost", "little_infrastructure", "top_quality")


@dataclass(frozen=True)
class AdviceLine:
    """One need.

    Attributes:
        need: its name; matters: whether the user said so.
        choice: the way that it speaks for.
        excludes: ways that it rules out.
        rule: why, in general; numbers: what it came to with the user's numbers.
    """

    need: str
    matters: bool
    choice: Choice
    excludes: tuple[Choice, ...]
    rule: str
    numbers: str


@dataclass(frozen=True)
class Advised:
    """The table and what follows.

    Attributes:
        lines: all needs, those that matter first.
        verdict: own, hosted, rented, either or unknown; why: how the lines came to it.
        way: how to bring the documents in (prompt, retrieve, tune), with its rule.
        model: the largest suggested model that fits the machine, and what fetches it.
        next_command: what to type.
    """

    lines: tuple[AdviceLine, ...]
    verdict: Choice
    why: str
    way: str
    way_rule: str
    model: str
    next_command: str


def advise(needs: Needs, costs: CostOptions = CostOptions(), home: Home | None = None) -> Advised:
    """Answer the table of needs.

    Args:
        needs: what matters, and the user's numbers.
        costs: questions a month, tokens, machine; as for `work_out_costs`.
        home: whose models and prices count.

    Raises:
        PlanError: numbers that make no sense.
    """
    _check(needs)
    home = home or Home.open()
    worked_out = work_out_costs(costs, home=home)
    memory = round(needs.memory * 1e9) if needs.memory else machine_memory_bytes()
    fitting = next((one for one in suggest_models(memory).suggestions if one.fits), None)
    lines = [
        _private(),
        _control(),
        _quick_start(home, fitting),
        _low_cost(worked_out),
        _little_infrastructure(fitting, memory),
        _top_quality(needs),
    ]
    lines = [replace(line, matters=line.need in needs.asked) for line in lines]
    lines.sort(key=lambda line: not line.matters)
    verdict, why = _verdict([line for line in lines if line.matters])
    way, way_rule = _way(needs)
    return Advised(
        lines=tuple(lines),
        verdict=verdict,
        why=why,
        way=way,
        way_rule=way_rule,
        model=fitting.name if fitting else "",
        next_command=_next_command(verdict, home, fitting, needs),
    )


def _check(needs: Needs) -> None:
    for name in ("documents", "document_tokens", "examples", "memory"):
        if not 0 <= getattr(needs, name) < 1e15:
            raise PlanError(f"{name} is {getattr(needs, name)}, and must be 0 or more")
    for name in ("own_correct", "hosted_correct"):
        if not 0 <= getattr(needs, name) <= 1:
            raise PlanError(f"{name} is {getattr(needs, name)}, and must be a share from 0 to 1")


def _private() -> AdviceLine:
    return AdviceLine(
        "private",
        False,
        "own",
        ("hosted", "rented"),
        "What is sent to a server is out of the house; only what runs here stays here.",
        "rules out hosted and rented, whatever the other lines say",
    )


def _control() -> AdviceLine:
    return AdviceLine(
        "control",
        False,
        "own",
        ("hosted",),
        "A hosted model is changed or withdrawn by its maker; a file with a checksum stays what it is.",
        "rules out hosted; the same file can run on a rented machine",
    )


def _quick_start(home: Home, fitting: Suggestion | None) -> AdviceLine:
    rule = "A key answers in minutes; an own model does once it is downloaded."
    models = home.models()
    if models:
        return AdviceLine("quick_start", False, "either", (), rule, f"{models[0].name} is already here")
    if fitting is None:
        return AdviceLine("quick_start", False, "hosted", (), rule, "no suggested model fits this machine")
    minutes = fitting.size_bytes * 8 / 50e6 / 60
    numbers = f"no model is here; {fitting.size_bytes / 1e9:.1f} GB take {minutes:.0f} minutes at 50 Mbit/s"
    return AdviceLine("quick_start", False, "hosted", (), rule, numbers)


def _low_cost(costs: Costs) -> AdviceLine:
    """The cheapest way today at the user's number of questions; an own machine that is too slow is none."""
    rule = "The cheapest way at your questions a month, prices of today."
    today = [line for line in costs.lines if not line.as_of.startswith("2023")]
    able = [line for line in today if line.most_questions is None or costs.questions <= line.most_questions]
    cheapest = min(able, key=lambda line: line.month_usd)
    own = next((line for line in today if line.kind == "own"), None)
    choice: Choice = (
        "own" if cheapest.kind == "own" else ("rented" if cheapest.kind == "rented" else "hosted")
    )
    numbers = f"{costs.questions:,.0f} questions: {_told(cheapest)}"
    if own is not None and own is not cheapest:
        numbers += f"; {_told(own)}"
    return AdviceLine("low_cost", False, choice, (), rule, numbers)


def _told(line: CostLine) -> str:
    note = f" ({line.note})" if line.note else ""
    return f"{line.name} ${line.month_usd:,.2f} a month{note}"


def _little_infrastructure(fitting: Suggestion | None, memory: int) -> AdviceLine:
    rule = "Hosted needs no machine; a model that fits the machine that is there needs no further one."
    if fitting is None:
        numbers = f"no suggested model fits {memory / 1e9:.0f} GB"
        return AdviceLine("little_infrastructure", False, "hosted", ("rented",), rule, numbers)
    numbers = f"{fitting.name} needs {fitting.needed_bytes / 1e9:.1f} of {memory / 1e9:.0f} GB"
    return AdviceLine("little_infrastructure", False, "either", ("rented",), rule, numbers)


def _top_quality(needs: Needs) -> AdviceLine:
    rule = "The way that measures better on your own questions; a difference that is small is none."
    if not (needs.own_correct and needs.hosted_correct):
        numbers = "not measured: `homespun compare` does, then give --own-correct and --hosted-correct"
        return AdviceLine("top_quality", False, "unknown", (), rule, numbers)
    difference = needs.own_correct - needs.hosted_correct
    numbers = f"here {needs.own_correct:.0%} correct, hosted {needs.hosted_correct:.0%}"
    if abs(difference) < CLOSE - 1e-9:
        return AdviceLine("top_quality", False, "either", (), rule, numbers + f": closer than {CLOSE:.0%}")
    return AdviceLine("top_quality", False, "own" if difference > 0 else "hosted", (), rule, numbers)


def _verdict(lines: Sequence[AdviceLine]) -> tuple[Choice, str]:
    """What no line rules out; of that, what most lines speak for."""
    if not lines:
        return "unknown", "no need was named"
    out = {choice for line in lines for choice in line.excludes}
    left: list[Choice] = [choice for choice in ("own", "hosted", "rented") if choice not in out]  # type: ignore[misc]
    excluding = ", ".join(line.need.replace("_", " ") for line in lines if line.excludes)
    told = f"{excluding} rules out {', '.join(sorted(out))}" if out else "nothing is ruled out"
    votes = {choice: sum(line.choice == choice for line in lines) for choice in left}
    most = max(votes.values())
    best = [choice for choice, count in votes.items() if count == most]
    against = [
        line.need.replace("_", " ") for line in lines if line.choice not in (*best, "either", "unknown")
    ]
    if len(left) == 1:
        why = f"{told}, which leaves {left[0]}"
    elif most == 0:
        open_needs = [line.need.replace("_", " ") for line in lines if line.choice == "unknown"]
        why = told + (
            f"; {', '.join(open_needs)} is not measured" if open_needs else "; no line speaks for one way"
        )
        return ("unknown" if open_needs else "either"), why
    else:
        why = f"{told}; {most} of {len(lines)} lines speak for {' and '.join(best)}"
    if against:
        why += f"; against it: {', '.join(against)}"
    return (best[0] if len(best) == 1 else "either"), why


def _way(needs: Needs) -> tuple[str, str]:
    """How documents and examples come in."""
    tokens = needs.documents * needs.document_tokens
    tuned = (
        f"; {needs.examples:,} examples are enough to try tuning beside it" if needs.examples >= 50 else ""
    )
    if not needs.documents:
        if needs.examples >= 50:
            return "tune", f"no documents, and {needs.examples:,} examples (50 or more): tune, and compare"
        return "prompt", "no documents, and fewer than 50 examples: a prompt with some of them"
    if tokens <= PROMPT_TOKENS:
        return "prompt", f"{tokens:,} tokens of documents fit into a prompt (up to {PROMPT_TOKENS:,})" + tuned
    passages = -(-tokens // _TOKENS_A_PASSAGE)
    return (
        "retrieve",
        f"{tokens:,} tokens of documents, about {passages:,} passages: too many for a prompt" + tuned,
    )


def _next_command(verdict: Choice, home: Home, fitting: Suggestion | None, needs: Needs) -> str:
    if verdict == "unknown":
        return "homespun compare"
    if verdict == "hosted":
        return "homespun keys set openai"
    if not home.models():
        return fitting.command if fitting else "homespun models suggest"
    return "homespun ingest FOLDER" if needs.documents else 'homespun run "Good morning!"'
