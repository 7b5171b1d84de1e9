"""Where sentences end, checked against what a reader would say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.documents.sentences import split_sentences


@pytest.mark.parametrize(
    "sentences",
    [
        ["Dr. Smith gives 2.5 mg.", "Take 5 mg.", "It costs e.g. 40 units."],
        ["See No. 5 and Fig. 3.", "He lives in the U.S. now.", 'She said "Go!"', "Then he went."],
        ["Is it open?", "Yes!", "Call J. B. Smith, M.D., at 9 a.m. on Monday."],
        ["Wait... and see.", "Use vitamins, minerals, etc. daily.", "Ask at 5 p.m.", "The end"],
        ["Die Praxis öffnet am 3. März um 8 Uhr.", "Bitte z. B. Herrn Dr. Maier fragen.", "Danke."],
        ["Le prix est de 3,50 €.", "M. Dupont est là !", "Vraiment ?", "Oui."],
        ["¿Qué hora es?", "Son las 5.", "El Sr. García espera."],
        ["Ask about hepatitis B.", "Then rest."],
        ["Приём стоит 40 рублей.", "Запись по телефону."],
    ],
)
def test_sentences_of_many_languages(sentences):
    text = " ".join(sentences)
    assert [text[start:end] for start, end in split_sentences(text)] == sentences


def test_scripts_without_spaces():
    text = "診療は九時からです。「予約は?」はい！料金は40円です"
    assert [text[start:end] for start, end in split_sentences(text)] == [
        "診療は九時からです。",
        "「予約は?」はい！",
        "料金は40円です",
    ]


def test_lines_of_lists_headings_and_rows():
    text = (
        "# Fees\nA visit costs forty units for every adult who comes\nwithout a booking. Pay at the desk.\n"
        "1. Wash hands\n2. Take 5 mg.\n- rest\n\nAge: 5; Dose: 1\nAge: 9; Dose: 2\n| a | b |\n| c | d |"
    )
    assert [text[start:end] for start, end in split_sentences(text)] == [
        "# Fees",
        "A visit costs forty units for every adult who comes\nwithout a booking.",
        "Pay at the desk.",
        "1. Wash hands",
        "2. Take 5 mg.",
        "- rest",
        "Age: 5; Dose: 1",
        "Age: 9; Dose: 2",
        "| a | b |",
        "| c | d |",
    ]


@given(st.text(alphabet=st.sampled_from("aB1.?!。…\"') \n\r\t-#|:é👍🏽\u200d日")))
def test_spans_are_ordered_and_hold_all_but_space(text):
    spans = split_sentences(text)
    end_before = 0
    for start, end in spans:
        assert text[end_before:start].strip() == ""
        assert text[start:end] == text[start:end].strip() != ""
        end_before = end
    assert text[end_before:].strip() == ""
