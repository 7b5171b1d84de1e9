"""Costs by hand: tokens times prices, months, break-evens, correct answers."""

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.cli.main import exit_code
from homespun.models.errors import HomeError
from homespun.planning.costs import CostOptions, work_out_costs
from homespun.planning.costs_picture import draw_costs
from homespun.planning.errors import PlanError
from homespun.planning.text_costs import cost_texts
from homespun.sizing.prices import Price, read_old_prices, read_old_training_prices, read_prices, read_rents

TODAY = datetime.date(2026, 11, 25)


def lines(options: CostOptions, home, **changes) -> dict:
    return {line.name: line for line in work_out_costs(options, home=home, today=TODAY, **changes).lines}


def test_the_talks_tables_are_there_with_date_and_source() -> None:
    old = read_old_prices()
    # US dollars for 1,000 tokens, as the lists of 2023 had them.
    per_1k = {
        "2023: GPT-3 Ada": (0.0004, 0.0004),
        "2023: GPT-3 Babbage": (0.0005, 0.0005),
        "2023: GPT-3 Curie": (0.002, 0.002),
        "2023: GPT-3 Davinci": (0.02, 0.02),
        "2023: GPT-3.5 turbo 4K": (0.0015, 0.002),
        "2023: GPT-3.5 turbo 16K": (0.003, 0.004),
        "2023: GPT-4 8K": (0.03, 0.06),
        "2023: GPT-4 32K": (0.06, 0.12),
    }
    assert old.keys() == per_1k.keys()
    for name, figures in per_1k.items():
        assert (old[name].input / 1000, old[name].output / 1000) == pytest.approx(figures)
    assert all(price.as_of.startswith("2023") and price.source for price in old.values())
    assert {rent.low_usd for rent in read_rents()} == {8500, 6000, 4500, 1000}
    assert read_old_training_prices()["2023: GPT-3 Davinci"].training == 30


def test_a_month_of_davinci_by_hand(home) -> None:
    found = lines(CostOptions(questions=1000, read=1500, written=500, tune_tokens=2_000_000), home)
    davinci = found["2023: GPT-3 Davinci"]
    assert davinci.month_usd == pytest.approx(1000 * 2 * 0.02)
    assert davinci.tuning_usd == pytest.approx(60)
    assert found["2023: GPT-4 8K"].month_usd == pytest.approx(1000 * (1.5 * 0.03 + 0.5 * 0.06))


def test_the_own_machine_by_hand(home) -> None:
    options = CostOptions(
        questions=3600, read=1000, written=50, read_speed=1000, write_speed=50, watts=100, kwh_usd=0.5,
        machine_usd=960, machine_years=2,
    )  # fmt: skip
    own = lines(options, home)["own machine"]
    # 2 s a question: 2 hours, 0.2 kWh, $0.10; and $40 a month of the purchase.
    assert own.month_usd == pytest.approx(40.10)
    assert own.most_questions == pytest.approx(730 * 3600 / 2)
    idle = CostOptions(**{**options.__dict__, "idle_watts": 10.0})
    # On all month at 10 W: 7.3 kWh, $3.65; 90 W more for 2 hours: $0.09.
    assert lines(idle, home)["own machine"].month_usd == pytest.approx(40 + 3.65 + 0.09)


def test_a_correct_answer_costs_more_than_an_answer(home) -> None:
    found = lines(CostOptions(questions=100, correct=("0.5", "own machine=0.25")), home)
    assert found["2023: GPT-4 8K"].correct_usd == pytest.approx(found["2023: GPT-4 8K"].question_usd / 0.5)
    assert found["own machine"].correct_usd == pytest.approx(found["own machine"].month_usd / 25)


def test_the_users_table_goes_first_and_can_lie_elsewhere(home, tmp_path) -> None:
    (home.root / "prices.json").write_text('{"mine": {"input": 1, "output": 2, "as_of": "2026-11-01"}}')
    assert lines(CostOptions(questions=1, read=10**6, written=10**6), home)["mine"].month_usd == 3
    other = tmp_path / "other.json"
    other.write_text('{"openai:gpt-6-sol": {"input": 7, "output": 0}}')
    prices = read_prices(home.root, other)
    assert prices["openai:gpt-6-sol"].input == 7 and "mine" not in prices
    with pytest.raises(HomeError):
        read_prices(home.root, tmp_path / "gone.json")
    other.write_text('{"x": {"input": "many"}}')
    with pytest.raises(HomeError):
        read_prices(home.root, other)


def test_missing_and_old_prices_are_said(home) -> None:
    (home.root / "prices.json").write_text(
        '{"old": {"input": 1, "output": 2, "as_of": "2025-11-25"}, "bare": {"input": 1, "output": 2}}'
    )
    notes = work_out_costs(home=home, models=("old", "bare", "none"), today=TODAY).notes
    assert any("No price is known for none" in note for note in notes)
    assert any("365 days ago" in note for note in notes)
    assert any("bare has no date" in note for note in notes)
    long = work_out_costs(CostOptions(read=300_000), home=home, today=TODAY)
    assert any("272,000" in note for note in long.notes)


@given(
    machine=st.floats(10, 10_000),
    price=st.floats(0.1, 100),
    questions=st.floats(1, 1e5),
    watts=st.floats(1, 500),
)
def test_both_ways_cost_the_same_where_they_cross(tmp_path_factory, machine, price, questions, watts) -> None:
    path = tmp_path_factory.getbasetemp() / "prices.json"
    path.write_text(json.dumps({"it": {"input": price, "output": price}}))
    options = CostOptions(
        questions=questions, machine_usd=machine, watts=watts, read_speed=1000, write_speed=50
    )
    found = work_out_costs(options, home=_Home(path.parent), models=("it",), today=TODAY)  # type: ignore[arg-type]
    by_name = {line.name: line for line in found.lines}
    own, hosted = by_name["own machine"], by_name["it"]
    crossing = next((one for one in found.break_evens if one.hosted == "it"), None)
    if crossing is None:
        assert own.most_questions is not None
        n = own.most_questions
        assert own.fixed_usd + own.question_usd * n >= hosted.question_usd * n * 0.999
    else:
        n = crossing.questions
        assert own.fixed_usd + own.question_usd * n == pytest.approx(hosted.question_usd * n)


class _Home:
    """All that prices need of a home."""

    def __init__(self, root) -> None:
        self.root = root


@pytest.mark.parametrize(
    "options",
    [
        CostOptions(questions=-1),
        CostOptions(read=float("nan")),  # type: ignore[arg-type]
        CostOptions(machine_years=0),
        CostOptions(cached=1.5),
        CostOptions(correct=("1.5",)),
        CostOptions(correct=("nobody=0.5",)),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options: CostOptions, home) -> None:
    with pytest.raises(PlanError):
        work_out_costs(options, home=home, today=TODAY)


def test_texts_are_counted_and_priced() -> None:
    found = cost_texts(["x" * 4_000_000], {"it": Price(3.0, 9.0)})
    assert found.n_tokens == 1_000_000 and found.read_usd == {"it": 3.0}
    assert found.train_usd["2023: GPT-3 Curie"] == pytest.approx(3)
    assert "about" in found.counted


def test_the_command_draws_and_prints_json(home, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("HOMESPUN_HOME", str(home.root))
    path = tmp_path / "costs.svg"
    assert exit_code(["costs", "Hello there", "--machine-usd", "1000", "--picture", str(path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["texts"]["n_tokens"] == 3 and shown["costs"]["break_evens"]
    assert "own machine" in path.read_text()
    draw_costs(work_out_costs(home=home, today=TODAY), tmp_path / "other.svg")
