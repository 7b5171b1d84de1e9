"""Languages of texts."""

import pytest

from homespun.documents.language import main_language, text_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The library opens at nine on weekdays and at ten on Saturdays.", "en"),
        ("Die Bücherei öffnet werktags um neun Uhr und samstags um zehn Uhr.", "de"),
        ("Библиотека открывается в девять часов по будням.", "ru"),
        ("図書館は平日の九時に開きます。", "ja"),
        ("图书馆平日九点开门，周六十点开门。", "zh"),
        ("ห้องสมุดเปิดเวลาเก้าโมงในวันธรรมดา", "th"),
        ("250 mg", None),
        ("x", None),
        ("", None),
        ("12.5; 13.7; 14.9 " * 40, None),
    ],
)
def test_language(text, language):
    assert text_language(text) == language


def test_main_language_is_of_most_texts():
    german = "Die Bücherei öffnet werktags um neun Uhr und samstags um zehn Uhr."
    english = "The library opens at nine on weekdays and at ten on Saturdays."
    assert main_language([german, "7", english, german]) == "de"
    assert main_language(["7"]) is None
