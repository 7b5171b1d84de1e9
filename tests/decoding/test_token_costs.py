"""What texts cost in tokens: counted with the real small model's tokenizer."""

from pathlib import Path

import pytest

from homespun.decoding.errors import DecodingError
from homespun.decoding.token_costs import draw_token_costs, token_costs
from homespun.documents.text_list import gather_texts
from homespun.models.gguf import read_gguf
from homespun.models.tokenizer import Tokenizer

LANGUAGES = Path(__file__).parents[2] / "examples" / "languages.csv"


@pytest.fixture(scope="module")
def tokenizer(starter_gguf):
    return Tokenizer.from_gguf(read_gguf(starter_gguf))


def test_texts_of_a_label_are_counted_together(tokenizer):
    texts = [("German", "Guten Tag."), ("English", "Hello"), ("German", "Grüße")]
    german, english = token_costs({"a": tokenizer}, texts)
    n_german = len(tokenizer.encode("Guten Tag.")) + len(tokenizer.encode("Grüße"))
    assert (german.label, german.n_texts, german.n_characters, german.n_bytes) == ("German", 2, 15, 17)
    assert german.n_tokens == {"a": n_german} and german.times_first == {"a": 1.0}
    assert english.times_first == {"a": pytest.approx(len(tokenizer.encode("Hello")) / n_german)}
    assert german.inexact == () and token_costs({"a": tokenizer}, []) == ()


def test_the_same_in_other_languages_costs_several_times_as_much(tokenizer, tmp_path):
    listed = gather_texts([str(LANGUAGES)])
    found = token_costs({"smollm2": tokenizer}, [(one.group, one.text) for one in listed])
    times = {one.label: one.times_first["smollm2"] for one in found}
    assert times["English"] == 1 == min(times.values())
    # Its tokenizer learnt from English text: other Latin letters cost twice, other scripts far more.
    assert 1.3 < times["German"] < 4 < times["Hindi"]
    draw_token_costs(found, tmp_path / "costs.svg")
    drawn = (tmp_path / "costs.svg").read_text("utf-8")
    assert all(label in drawn for label in (*times, "Tokens of smollm2", ">tokens<"))
    with pytest.raises(DecodingError, match="1 to 60"):
        draw_token_costs([], tmp_path / "costs.svg")
