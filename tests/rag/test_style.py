"""Which style is chosen, and that a measurement on this machine decides."""

from pathlib import Path

from homespun.engines.engine import Engine
from homespun.models.digest import file_digest
from homespun.rag.style import StyleMeasurement, choose_style, read_measurements, record_measurement


def test_a_measurement_here_goes_before_the_built_in_one(engine: Engine, tmp_path: Path) -> None:
    record_path = tmp_path / "styles.json"
    assert choose_style(engine, record_path)[0] == "quote"
    digest = file_digest(Path(engine.facts.model_path))
    record_measurement(record_path, digest, StyleMeasurement(0.20, 0.31, 50, "my questions"))
    style, reason = choose_style(engine, record_path)
    assert style == "write"
    assert "0.31" in reason
    assert "my questions" in reason


def test_measurements_are_kept_by_model(tmp_path: Path) -> None:
    record_path = tmp_path / "styles.json"
    first, second = StyleMeasurement(0.2, 0.1, 5, "a"), StyleMeasurement(0.1, 0.2, 5, "b")
    record_measurement(record_path, "one", first)
    record_measurement(record_path, "two", second)
    assert read_measurements(record_path) == {"one": first, "two": second}
    assert (first.better, second.better) == ("quote", "write")


def test_a_broken_record_is_no_record(tmp_path: Path) -> None:
    record_path = tmp_path / "styles.json"
    record_path.write_text('{"one": [1]}', encoding="utf-8")
    assert read_measurements(record_path) == {}
