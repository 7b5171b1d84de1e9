"""Which answer style a model is better at: quoting sentences or writing its own."""

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from homespun.engines.engine import Engine
from homespun.models.digest import file_digest
from homespun.models.gguf import read_gguf
from homespun.models.storage import write_atomically
from homespun.rag.result import Style

#: Models below this many parameters read passages badly; quoting is safer where nothing was measured.
MIN_WRITER_PARAMETERS = 1_000_000_000


@dataclass(frozen=True)
class StyleMeasurement:
    """Both styles on the same questions.

    Attributes:
        quote_f1, write_f1: mean token F1, 0 to 1.
        n_questions: how many.
        data: the set's name.
    """

    quote_f1: float
    write_f1: float
    n_questions: int
    data: str

    @property
    def better(self) -> Style:
        """The style with the higher mean; quoting on a tie, for it cannot invent."""
        return "write" if self.write_f1 > self.quote_f1 else "quote"


#: Measured by `bench/answers.py --sample 100`; by the model's name and parameters, which its file tells.
BUILT_IN: dict[tuple[str, int], StyleMeasurement] = {
    ("smollm2", 135): StyleMeasurement(0.30, 0.14, 100, "COVID-QA"),
}


def choose_style(engine: Engine, record_path: Path | None = None) -> tuple[Style, str]:
    """The default style of a model, and why in a sentence.

    Args:
        engine: the loaded model.
        record_path: file of measurements on this machine (see `record_measurement`); None: none.
    """
    path = Path(engine.facts.model_path)
    measured = read_measurements(record_path).get(file_digest(path)) if record_path else None
    where = "here"
    name, n_parameters = _name_and_parameters(path)
    n_millions = round(n_parameters / 1e6)
    if measured is None:
        measured, where = _built_in(name, n_millions), "before"
    if measured is not None:
        return measured.better, (
            f"{measured.better} measured better for this model {where}: token F1 {measured.quote_f1:.2f} for quote "
            f"and {measured.write_f1:.2f} for write on {measured.n_questions} questions of {measured.data}"
        )
    if n_parameters < MIN_WRITER_PARAMETERS:
        return "quote", f"not measured for this model; with {n_millions} million parameters, quoting is safer"
    return (
        "write",
        f"not measured for this model; with {n_millions} million parameters, it can write from passages",
    )


@lru_cache(maxsize=8)  # a chat asks for every question; the file of a loaded model stays
def _name_and_parameters(path: Path) -> tuple[str, int]:
    file = read_gguf(path)
    return str(file.metadata.get("general.name", path.stem)), file.n_parameters


def record_measurement(record_path: Path, digest: str, measurement: StyleMeasurement) -> None:
    """Keep a measurement for the model file of this digest; it replaces an older one."""
    kept: dict[str, Any] = {key: asdict(value) for key, value in read_measurements(record_path).items()}
    kept[digest] = asdict(measurement)
    record_path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(record_path, json.dumps(kept, indent=2) + "\n")


def read_measurements(record_path: Path) -> dict[str, StyleMeasurement]:
    """All measurements by model digest; an unreadable file holds none."""
    try:
        stored = json.loads(record_path.read_text("utf-8"))
        return {str(digest): StyleMeasurement(**values) for digest, values in stored.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _built_in(name: str, n_millions: int) -> StyleMeasurement | None:
    plain = name.lower().replace(" ", "").replace("-", "").replace("_", "")
    for (family, size), measurement in BUILT_IN.items():
        if family in plain and abs(n_millions - size) <= 0.05 * size:
            return measurement
    return None
