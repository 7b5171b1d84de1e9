"""`homespun doctor` shows what was measured here."""

import pytest
from typer.testing import CliRunner

from homespun.cli import doctor
from homespun.engines.bench_record import BenchRow, MachineBench, remember_bench
from homespun.models.gguf import read_gguf
from homespun.models.home import Home


def told(arguments: list[str], home: Home, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HOMESPUN_HOME", str(home.root))
    done = CliRunner().invoke(doctor.app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_a_measurement_is_shown_and_explains_the_choice(home, starter_gguf, monkeypatch):
    model = home.add_model(starter_gguf, "small", reference=True)
    assert "homespun doctor --bench MODEL" in told([], home, monkeypatch)
    rows = (
        BenchRow("openvino", "fast", "bf16", False, 10.0, 5.0, 9.0, 10**9, 0.001, 0.94, 0.01),
        BenchRow(
            "llama.cpp",
            "fast",
            "f32, int8 activations",
            False,
            320.0,
            60.0,
            90.0,
            4 * 10**8,
            0.002,
            1.0,
            0.05,
        ),
        BenchRow("torch", "fast", error="it needs at least 9.0 GB of memory, and 1.0 GB are free"),
    )
    bench = MachineBench(model.path.name, "this one", 2, rows)
    remember_bench(read_gguf(model.path), home.cache_path, bench)
    text = told([], home, monkeypatch)
    assert (
        "small          llama.cpp: measured here: an answer over passages costs least with llama.cpp" in text
    )
    row = next(line for line in text.splitlines() if line.strip().startswith("openvino   fast"))
    assert row.split()[-5:] == ["1.0", "GB", "1.0e-03", "1.0e-02", "94%"]
    assert "torch fast: it needs at least 9.0 GB of memory" in text
    assert '"read_tokens_per_s": 320.0' in told(["--json"], home, monkeypatch)
