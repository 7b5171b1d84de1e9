"""Bytes to text: right, or refused; never mojibake."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.documents.decode import decode_text
from homespun.documents.errors import UnreadableFile
from homespun.documents.read import read_document

TABLE = "# Gebühr\n\n| Art | Preis |\n|---|---|\n| Größe, café, señor | 40 £ |\n"


@pytest.mark.parametrize(
    "data",
    [
        TABLE.encode(),
        b"\xef\xbb\xbf" + TABLE.encode(),
        b"\xff\xfe" + TABLE.encode("utf-16-le"),
        b"\xfe\xff" + TABLE.encode("utf-16-be"),
        TABLE.encode("utf-16-le"),
        TABLE.encode("utf-16-be"),
        TABLE.encode("utf-32"),
        TABLE.encode("latin-1"),
        TABLE.encode("cp1252"),
    ],
)
def test_d5_one_table_in_many_encodings(data, tmp_path):
    path = tmp_path / "a.md"
    path.write_bytes(data)
    document = read_document(path)
    assert document.text == TABLE
    assert document.headings[0].text == "Gebühr"


JAPANESE = [
    "番号,名前\n①,東京都\n②,大阪府\n",
    "項目,内容\n①,ご予約は電話でお願いします。\n㈱テスト,ＡＢＣ\n",
    "id,name\n1,①\n",
    "会社名,ｶﾅ\n株式会社東京,ﾄｳｷｮｳ\n",
    "No.1 東\n",
]


@pytest.mark.parametrize("text", JAPANESE)
@pytest.mark.parametrize("encoding", ["cp932", "utf-8", "utf-16-le", "utf-16-be"])
def test_d4_japanese_windows_files(text, encoding):
    assert decode_text(text.encode(encoding)).text == text


def test_mail_encoding_of_japan():
    assert decode_text("診療は九時から\n".encode("iso2022_jp")).text == "診療は九時から\n"


@pytest.mark.parametrize(
    "text",
    [
        "It’s “fine” – really… 37 °C, 5 €.\n",
        "It’s the doctor’s rule.\n",
        "Les élèves créés à l'été où ça coûte 3 €. Œuvre naïve, garçon.\n",
        "Überdosierung vermeiden; größere Mengen für Säuglinge: ½ Tablette.\n",
        "¿Qué año? El niño mañana está aquí, señor.\n",
        "Tabletten på 5 mg må ikke gis til små barn. Ærlig talt, Øyvind.\n",
        "Não é possível; atenção às crianças até três anos.\n",
    ],
)
def test_western_text_of_windows(text):
    decoded = decode_text(text.encode("cp1252"))
    assert (decoded.text, decoded.encoding) == (text, "cp1252")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Приём врача стоит сорок рублей. Запись по телефону.\n", "cp1251"),
        ("English text about Иван Петров and his visit.\n", "cp1251"),
        ("Приём врача стоит сорок рублей.\n", "koi8-r"),
        ("Zażółć gęślą jaźń; dawka dla małych dzieci.\n", "cp1250"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy, dávka pro děti.\n", "cp1250"),
        ("Çocuklar için günlük doz, ağrı kesici şurup ılık suyla.\n", "cp1254"),
        ("Η δόση για παιδιά είναι μικρή.\n", "cp1253"),
        ("诊所的费用是四十元,请按时来。\n", "gb18030"),
        ("診所的費用是四十元。\n", "big5"),
        ("診療は九時からです。\n", "euc_jp"),
        ("진료는 아홉 시부터입니다.\n", "euc_kr"),
        ("Le général a été créé à Pâques, même s'il préfère l'été.\n", "cp437"),
        ("Größere Mengen für Säuglinge schädlich.\n", "cp850"),
        ("Le général a été créé à Pâques.\n", "mac_roman"),
    ],
)
def test_other_encodings_are_right_or_refused(text, encoding):
    try:
        decoded = decode_text(text.encode(encoding)).text
    except UnreadableFile as error:
        assert "UTF-8" in error.what
    else:
        assert decoded == text


def test_binary_is_refused():
    for data in (
        b"\x7fELF\x02\x01\x01\x00" + bytes(50),
        b"ab\x00cd",
        bytes(range(1, 32)) * 9,
        b"\xff\xfe\x00\xd8",
    ):
        with pytest.raises(UnreadableFile):
            decode_text(data)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cc"])))
def test_utf8_is_always_itself(text):
    assert decode_text(text.encode()).text == text.lstrip("\ufeff")


@given(st.binary(max_size=60))
def test_any_bytes_are_text_or_refused(data):
    try:
        decoded = decode_text(data)
    except UnreadableFile:
        return
    assert "\x00" not in decoded.text
    assert not decoded.text.startswith("\ufeff")
