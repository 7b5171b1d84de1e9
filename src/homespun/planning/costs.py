"""What answering costs: hosted by the token, rented by the month, or on one's own machine; and where they cross.

Prices are data with a date and a source (`sizing/prices.py`, `sizing/old_prices.json`); the rest is arithmetic
on the user's own numbers.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from homespun.models.home import Home
from homespun.planning.errors import PlanError
from homespun.sizing.prices import (
    Price,
    Rent,
    read_old_prices,
    read_old_training_prices,
    read_prices,
    read_rents,
)

HOURS_A_MONTH = 730.0
#: A price read longer ago is told to be old.
STALE_DAYS = 120
Kind = Literal["hosted", "hosted 2023", "rented", "own"]


@dataclass(frozen=True)
class CostOptions:
    """The user's own numbers."""

    questions: float = field(default=1000.0, metadata={"help": "questions a month"})
    read: int = field(
        default=1500, metadata={"help": "tokens read for a question: it, its passages, the rest"}
    )
    written: int = field(default=200, metadata={"help": "tokens of an answer"})
    cached: float = field(
        default=0.0, metadata={"help": "share of the tokens read that the server still has"}
    )
    correct: tuple[str, ...] = field(
        default=(), metadata={"help": "share of correct answers, such as 0.8, or NAME=0.8 for one way"}
    )
    tune_tokens: int = field(default=0, metadata={"help": "tokens to tune on, all epochs together"})
    rent_per_hour: float = field(default=0.0, metadata={"help": "US dollars an hour of a rented machine"})
    rent_per_month: float = field(default=0.0, metadata={"help": "US dollars a month of a rented machine"})
    machine_usd: float = field(
        default=0.0, metadata={"help": "price of the own machine; 0: it is there anyway"}
    )
    machine_years: float = field(default=4.0, metadata={"help": "years that it is used"})
    watts: float = field(default=60.0, metadata={"help": "of the own machine while it works"})
    idle_watts: float = field(default=0.0, metadata={"help": "while it waits, if it is on for this alone"})
    kwh_usd: float = field(default=0.30, metadata={"help": "US dollars a kilowatt hour"})
    read_speed: float = field(default=0.0, metadata={"help": "tokens a second that the own machine reads"})
    write_speed: float = field(default=0.0, metadata={"help": "tokens a second that it writes"})


@dataclass(frozen=True)
class CostLine:
    """One way of answering.

    Attributes:
        name, kind: which.
        month_usd: for all questions of a month.
        fixed_usd: of that, what a month without questions costs; question_usd: of each question.
        correct_usd: for one correct answer; None where its share is not known.
        tuning_usd: for tuning once; None where no price is known.
        most_questions: a month that it can answer; None: no limit is known.
        as_of, source: of the price.
        note: what to know about it.
    """

    name: str
    kind: Kind
    month_usd: float
    fixed_usd: float
    question_usd: float
    correct_usd: float | None = None
    tuning_usd: float | None = None
    most_questions: float | None = None
    as_of: str = ""
    source: str = ""
    note: str = ""


@dataclass(frozen=True)
class BreakEven:
    """Questions a month from which on a way with a fixed price is the cheaper one."""

    hosted: str
    other: str
    questions: float


@dataclass(frozen=True)
class Costs:
    """All ways, and where they cross.

    Attributes:
        tokens_a_month: read and written.
        own_hours: hours a month that the own machine works; None where its speed is not known.
        lines: cheapest first, of each kind.
        break_evens: of hosted ways at today's prices.
        notes: what is missing or old.
    """

    questions: float
    read: int
    written: int
    tokens_a_month: float
    own_hours: float | None
    lines: tuple[CostLine, ...]
    break_evens: tuple[BreakEven, ...]
    notes: tuple[str, ...]


def work_out_costs(
    options: CostOptions = CostOptions(),
    *,
    home: Home | None = None,
    models: Sequence[str] = (),
    prices_path: Path | None = None,
    today: datetime.date | None = None,
) -> Costs:
    """Compare what a month of questions costs.

    Args:
        options: questions, tokens, machine.
        home: whose `prices.json` goes before the list prices.
        models: only these hosted ones; none: all that have a price.
        prices_path: another table instead of the home's.
        today: for telling old prices.

    Raises:
        PlanError: numbers that make no sense.
        HomeError: a table of prices that cannot be read.
    """
    _check(options)
    today = today or datetime.date.today()
    prices = read_prices((home or Home.open()).root, prices_path)
    notes = [f"No price is known for {name}: add it to prices.json." for name in models if name not in prices]
    hosted = {name: price for name, price in prices.items() if not models or name in models}
    shares = _shares(options.correct)
    lines = [
        *_hosted(hosted, options, "hosted", notes),
        *_hosted(read_old_prices(), options, "hosted 2023", notes),
        *_rented(options),
        _own(options, notes),
    ]
    unused = set(shares) - {"", *(line.name for line in lines)}
    if unused:
        raise PlanError(
            f"--correct names {sorted(unused)[0]!r}, which is none of the ways",
            remedy=f"They are: {', '.join(line.name for line in lines)}.",
        )
    lines = [_per_correct(line, options, shares) for line in lines]
    notes += _stale(hosted, today)
    order: list[Kind] = ["own", "hosted", "rented", "hosted 2023"]
    lines.sort(key=lambda line: (order.index(line.kind), line.month_usd))
    return Costs(
        questions=options.questions,
        read=options.read,
        written=options.written,
        tokens_a_month=options.questions * (options.read + options.written),
        own_hours=_own_hours(options),
        lines=tuple(lines),
        break_evens=_break_evens(lines),
        notes=tuple(notes),
    )


def _check(options: CostOptions) -> None:
    for name in ("questions", "read", "written", "tune_tokens", "rent_per_hour", "rent_per_month", "machine_usd",
                 "watts", "idle_watts", "kwh_usd", "read_speed", "write_speed"):  # fmt: skip
        value = getattr(options, name)
        if not 0 <= value < 1e15:
            raise PlanError(f"{name} is {value}, and must be 0 or more")
    if not options.machine_years > 0:
        raise PlanError(f"machine_years is {options.machine_years}, and must be above 0")
    if not 0 <= options.cached <= 1:
        raise PlanError(f"cached is {options.cached}, and must be a share from 0 to 1")


def _shares(given: Sequence[str]) -> dict[str, float]:
    """Shares of correct answers by way; "" is for all."""
    shares = {}
    for one in given:
        name, _, number = one.rpartition("=")
        try:
            share = float(number)
        except ValueError:
            share = -1.0
        if not 0 < share <= 1:
            raise PlanError(f"--correct {one!r} is no share", remedy="Write 0.8, or NAME=0.8 for one way.")
        shares[name] = share
    return shares


def _hosted(prices: dict[str, Price], options: CostOptions, kind: Kind, notes: list[str]) -> list[CostLine]:
    tuning = read_old_training_prices() if kind == "hosted 2023" else {}
    lines = []
    for name, price in prices.items():
        each = price.cost_usd(options.read, options.written, n_cached=round(options.cached * options.read))
        if each is None:
            notes.append(f"The price of {name} holds for prompts up to {price.n_read_most:,} tokens only.")
            continue
        trained = next((one for key, one in tuning.items() if name.startswith(key)), None)
        training_usd = (
            trained.training * options.tune_tokens / 1e6 if trained and options.tune_tokens else None
        )
        month = each * options.questions
        lines.append(
            CostLine(
                name, kind, month, 0.0, each, tuning_usd=training_usd, as_of=price.as_of, source=price.source
            )
        )
    return lines


def _rented(options: CostOptions) -> list[CostLine]:
    rents = list(read_rents())
    month = options.rent_per_month or options.rent_per_hour * HOURS_A_MONTH
    lines = []
    if month:
        note = "" if options.rent_per_month else f"{HOURS_A_MONTH:.0f} hours of ${options.rent_per_hour:g}"
        lines.append(CostLine("rented machine", "rented", month, month, 0.0, source="as given", note=note))
    return lines + [_rent_line(rent) for rent in rents]


def _rent_line(rent: Rent) -> CostLine:
    is_range = rent.high_usd > rent.low_usd
    return CostLine(
        rent.name,
        "hosted 2023" if is_range else "rented",
        rent.low_usd,
        0.0 if is_range else rent.low_usd,
        0.0,
        as_of=rent.as_of,
        source=rent.source,
        note=f"up to ${rent.high_usd:,.0f}" if is_range else "",
    )


def _own_hours(options: CostOptions) -> float | None:
    if not (options.read_speed and options.write_speed):
        return None
    return options.questions * _own_seconds(options) / 3600


def _own_seconds(options: CostOptions) -> float:
    """Of work for one question."""
    return options.read / options.read_speed + options.written / options.write_speed


def _own(options: CostOptions, notes: list[str]) -> CostLine:
    """Purchase spread over its years, electricity of the hours of work, and of waiting where that is asked for."""
    fixed = options.machine_usd / (12 * options.machine_years)
    hours = _own_hours(options)
    if hours is None:
        notes.append(
            "The own machine's speed is not given: its electricity counts as if it worked all month."
        )
        fixed += options.watts / 1000 * HOURS_A_MONTH * options.kwh_usd
        return CostLine("own machine", "own", fixed, fixed, 0.0, source="as given", note="working all month")
    note = f"{hours:,.1f} of {HOURS_A_MONTH:.0f} hours"
    if hours > HOURS_A_MONTH:
        note = f"too slow: {hours:,.0f} hours of work in a month of {HOURS_A_MONTH:.0f}"
        notes.append("The own machine cannot answer so many questions in a month; several would be needed.")
    fixed += options.idle_watts / 1000 * HOURS_A_MONTH * options.kwh_usd
    working_watts = max(options.watts - options.idle_watts, 0.0)
    each = working_watts / 1000 * _own_seconds(options) / 3600 * options.kwh_usd
    month = fixed + each * options.questions
    most = HOURS_A_MONTH * 3600 / _own_seconds(options) if options.read or options.written else None
    return CostLine(
        "own machine", "own", month, fixed, each, most_questions=most, source="as given", note=note
    )


def _per_correct(line: CostLine, options: CostOptions, shares: dict[str, float]) -> CostLine:
    share = shares.get(line.name, shares.get(""))
    if share is None or not options.questions:
        return line
    return replace(line, correct_usd=line.month_usd / (options.questions * share))


def _break_evens(lines: Sequence[CostLine]) -> tuple[BreakEven, ...]:
    """fixed + each * n = hosted * n, where the hosted question costs more and n can be answered.

    Prices of one time are compared: those of 2023 with rents of 2023.
    """
    found = []
    for hosted in lines:
        for other in lines:
            is_old = other.as_of.startswith("2023")
            if hosted.kind != ("hosted 2023" if is_old else "hosted") or other.kind not in ("own", "rented"):
                continue
            saved = hosted.question_usd - other.question_usd
            if saved <= 0 or not other.fixed_usd:
                continue
            questions = other.fixed_usd / saved
            if other.most_questions is None or questions <= other.most_questions:
                found.append(BreakEven(hosted.name, other.name, questions))
    return tuple(sorted(found, key=lambda one: one.questions))


def _stale(prices: dict[str, Price], today: datetime.date) -> list[str]:
    notes = []
    for name, price in prices.items():
        try:
            days = (today - datetime.date.fromisoformat(price.as_of)).days
        except ValueError:
            notes.append(f"The price of {name} has no date ({price.source}).")
            continue
        if days > STALE_DAYS:
            notes.append(
                f"The price of {name} was read {days} days ago: check it, and keep it in prices.json."
            )
    return notes
