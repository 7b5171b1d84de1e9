"""Messages: who wrote what when, what they quote, what is attached; eml, mbox and msg."""

import base64
import io
import zipfile
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.ole_writer import build_msg, build_ole
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers import eml, mbox, msg
from homespun.documents.readers.compressed_rtf import decompress_rtf
from homespun.documents.readers.mail import quoted_spans


def part(reading, label):
    """The text of the only place called so."""
    (place,) = [place for place in reading.places if place.label == label]
    return reading.text[place.start : place.end]


def message(body="Dear Ann,\n\nthe atlas costs 40 euro.\n", **headers) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Bob Müller <bob@example.org>"
    mail["To"] = "ann@example.org"
    mail["Subject"] = headers.pop("subject", "Price of the atlas – final")
    mail["Date"] = "Tue, 05 Mar 2024 14:20:00 +0100"
    for name, value in headers.items():
        mail[name] = value
    mail.set_content(body)
    return mail


def test_headers_subject_and_text():
    reading = eml.read(message().as_bytes())
    assert reading.text == (
        "Price of the atlas – final\n\nFrom: Bob Müller <bob@example.org>\nTo: ann@example.org\n"
        "Date: Tue, 05 Mar 2024 14:20:00 +0100\n\nDear Ann,\n\nthe atlas costs 40 euro."
    )
    assert [(heading.level, heading.text) for heading in reading.headings] == [
        (1, "Price of the atlas – final")
    ]
    assert reading.missing == ""


def test_the_plain_text_is_preferred_and_a_stub_is_not():
    mail = message("The atlas costs 40 euro and the globe 30.\n")
    mail.add_alternative("<p>The <b>atlas</b> costs 40 euro and the globe 30.</p>", subtype="html")
    assert eml.read(mail.as_bytes()).text.count("atlas costs") == 1
    stub = message("Please use HTML.\n")
    stub.add_alternative(
        "<h1>Prices</h1><p>"
        + "The atlas costs 40 euro. " * 4
        + "</p><table><tr><th>What</th><th>Euro</th></tr>"
        "<tr><td>globe</td><td>30</td></tr></table>",
        subtype="html",
    )
    reading = eml.read(stub.as_bytes())
    assert "Please use" not in reading.text
    assert [heading.text for heading in reading.headings] == ["Price of the atlas – final", "Prices"]
    assert [reading.text[start:end] for start, end in reading.rows] == ["What: globe; Euro: 30"]


def test_wrong_and_missing_charsets_are_read_anyway():
    head = b"From: a@example.org\r\nSubject: =?iso-8859-1?Q?Caf=E9_?= =?utf-8?B?w7xiZXI=?=\r\n"
    wrong = head + b"Content-Type: text/plain; charset=utf-8\r\n\r\nCaf\xe9 au lait\r\n"
    unknown = head + b"Content-Type: text/plain; charset=x-nonsense\r\n\r\nCaf\xc3\xa9 au lait\r\n"
    for data in (wrong, unknown):
        reading = eml.read(data)
        assert reading.text.startswith("Café über\n\n")
        assert reading.text.endswith("Café au lait")
    raw = b"From: J\xc3\xbcrgen <j@example.org>\r\nSubject: Gr\xfc\xdfe\r\n\r\nhello\r\n"
    assert eml.read(raw).text.startswith("Grüße\n\nFrom: Jürgen <j@example.org>")


def test_attachments_are_places_of_the_message(build_pdf, pdf_page, build_docx):
    mail = message()
    pdf = build_pdf(
        [pdf_page(["The offer is valid until June."]), pdf_page(["Page two speaks of delivery."])]
    )
    mail.add_attachment(pdf, maintype="application", subtype="pdf", filename="offer.pdf")
    mail.add_attachment(b"name,euro\nglobe,30\n", maintype="text", subtype="csv", filename="../../prices.csv")
    mail.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="photo.png")
    mail.add_attachment(b"not a zip", maintype="application", subtype="zip", filename="b.zip")
    reading = eml.read(mail.as_bytes())
    assert part(reading, "attachment offer.pdf").startswith("offer.pdf\n\nThe offer is valid")
    assert part(reading, "attachment offer.pdf, page 2").strip() == "Page two speaks of delivery."
    assert part(reading, "attachment prices.csv") == "prices.csv\n\nname: globe; euro: 30"
    assert [reading.text[start:end] for start, end in reading.rows] == ["name: globe; euro: 30"]
    assert reading.missing == (
        "The attachment photo.png was not read: .png files are not supported. The attachment b.zip was not "
        "read: It is broken or no zip archive: it cannot be opened."
    )
    starts = [place.start for place in reading.places]
    assert starts == sorted(starts)


def test_pictures_of_the_page_and_seals_are_nothing_missing():
    mail = message()
    mail.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="logo.png", cid="<logo>")
    mail.add_attachment(b"seal", maintype="application", subtype="pgp-signature", filename="signature.asc")
    assert eml.read(mail.as_bytes()).missing == ""


def test_messages_in_messages_end_somewhere():
    mail = message("the innermost\n", subject="level 0")
    for level in range(1, 9):
        outer = message(f"body {level}\n", subject=f"level {level}")
        outer.add_attachment(mail)
        mail = outer
    reading = eml.read(mail.as_bytes())
    assert "body 8" in reading.text
    assert "body 4" in reading.text
    assert "the innermost" not in reading.text
    assert "too deep" in reading.missing
    label = "attachment level 7.eml, attachment level 6.eml"
    assert part(reading, label).startswith("level 6.eml\n\nlevel 6\n\nFrom: Bob")


def test_an_archive_in_a_message_is_read():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a/notes.txt", "the notes")
        archive.writestr("tool.exe", "MZ")
    mail = message()
    mail.add_attachment(out.getvalue(), maintype="application", subtype="zip", filename="all.zip")
    reading = eml.read(mail.as_bytes())
    assert part(reading, "attachment all.zip, a/notes.txt") == "a/notes.txt\n\nthe notes"


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        (
            "Yes.\n\nOn Monday Ann wrote:\n> Is it 40?\n>\n> Ann\n\nBob",
            ["On Monday Ann wrote:\n> Is it 40?\n>\n> Ann"],
        ),
        (
            "Yes.\n\n-----Original Message-----\nFrom: Ann\nIs it 40?\n",
            ["-----Original Message-----\nFrom: Ann\nIs it 40?"],
        ),
        (
            "Ja.\n\nVon: Ann\nGesendet: Montag\nAn: Bob\n\nKostet er 40?",
            ["Von: Ann\nGesendet: Montag\nAn: Bob\n\nKostet er 40?"],
        ),
        ("> one\n\n> two\nanswer\n> three\n", ["> one\n\n> two", "> three"]),
        ("From: the north the wind came.\nNo more.", []),
        ("a > b\n", []),
    ],
)
def test_what_is_quoted(text, quoted):
    assert [text[start:end] for start, end in quoted_spans(text)] == quoted


@given(st.text(alphabet=">a\n :", max_size=80))
def test_quoted_spans_are_ordered_and_inside(text):
    before = 0
    for start, end in quoted_spans(text):
        assert before <= start < end <= len(text)
        before = end


def test_quoted_text_is_kept_and_marked():
    reading = eml.read(message("Yes, 40.\n\nOn Monday Ann wrote:\n> Is it 40?\n").as_bytes())
    assert part(reading, "quoted text") == "On Monday Ann wrote:\n> Is it 40?"


def test_what_is_no_message_is_refused():
    with pytest.raises(UnreadableFile, match="no header"):
        eml.read(b"just some words\nand more\n")
    with pytest.raises(UnreadableFile, match="no mailbox"):
        mbox.read(b"Subject: x\n\nhello\n")
    with pytest.raises(UnreadableFile, match="no Outlook"):
        msg.read(b"hello")
    with pytest.raises(UnreadableFile, match="no Outlook"):
        msg.read(build_ole({"WordDocument": b"x"}))


def test_encrypted_text_is_told():
    data = (
        b"From: a@example.org\nSubject: secret\nContent-Type: application/pkcs7-mime; name=smime.p7m\n\nMIIB"
    )
    assert eml.read(data).missing == "Its text is encrypted and was not read."


def test_a_mailbox_has_a_heading_and_a_place_for_each_message():
    first = message("One.\nFrom here on it rains.\n", subject="first").as_bytes()
    second = message("Two.\n", subject="second")
    second.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="t.csv")
    data = (
        b"From bob@example.org Tue Mar  5 14:20:00 2024\n"
        + first.replace(b"\nFrom here", b"\n>From here")
        + b"\nFrom bob@example.org Tue Mar  5 14:21:00 2024\n"
        + second.as_bytes()
    )
    reading = mbox.read(data)
    assert [heading.text for heading in reading.headings] == ["first", "second", "t.csv"]
    assert part(reading, "message 1").endswith("One.\nFrom here on it rains.")
    assert part(reading, "message 2").startswith("second\n\nFrom: Bob")
    assert part(reading, "message 2, attachment t.csv") == "t.csv\n\na: 1; b: 2"


def test_one_broken_message_leaves_the_others():
    data = b"From a\nSubject: one\n\nfirst\n\nFrom b\nX-Odd: y\n\nlost\n\nFrom c\nSubject: three\n\nthird\n"
    reading = mbox.read(data)
    assert "first" in reading.text
    assert "third" in reading.text
    assert reading.missing == "In message 2: It is no e-mail message: it has no header lines."


# 5 March 2024 13:20 UTC in 100 ns since 1601
SENT = (1_709_644_800 + 11_644_473_600) * 10**7
HELLO_RTF = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
)
REPEATED_RTF = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")


def test_an_outlook_message():
    inner = build_msg({0x0037: "The offer", 0x1000: "I offer the globe."}, head=24)
    tree = build_msg(
        {
            0x0037: "Price – final",
            0x0C1A: "Bob Müller",
            0x5D01: "bob@example.org",
            0x0E04: "Ann",
            0x1000: "It is 40.\r\n" + "x" * 5000,
        },
        fixed={0x0039: SENT},
        attachments=[
            {
                "__properties_version1.0": bytes(8),
                "__substg1.0_3707001F": "prices.csv".encode("utf-16-le"),
                "__substg1.0_37010102": b"name,euro\nglobe,30\n",
            },
            {
                "__properties_version1.0": bytes(8),
                "__substg1.0_3001001F": "The offer".encode("utf-16-le"),
                "__substg1.0_3701000D": inner,
            },
        ],
    )
    reading = msg.read(build_ole(tree))
    assert reading.text.startswith(
        "Price – final\n\nFrom: Bob Müller <bob@example.org>\nTo: Ann\nDate: Tue, 05 Mar 2024 13:20:00 +0000\n\n"
        "It is 40.\nxxx"
    )
    assert part(reading, "attachment prices.csv") == "prices.csv\n\nname: globe; euro: 30"
    assert part(reading, "attachment The offer") == "The offer\n\nThe offer\n\nI offer the globe."


def test_an_outlook_message_that_is_a_web_page_in_a_narrow_encoding():
    tree = build_msg({0x0037: "Hi"}, fixed={0x3FDE: 1252}, raw={0x1013: b"<p>Caf\xe9 <b>au lait</b></p>"})
    assert msg.read(build_ole(tree)).text == "Hi\n\nCafé au lait"
    tree = build_msg({}, fixed={0x3FFD: 1251})
    tree["__substg1.0_1000001E"] = "Привет, мир".encode("cp1251")
    assert msg.read(build_ole(tree)).text == "(no subject)\n\nПривет, мир"


def test_compressed_rich_text_is_unpacked_as_its_specification_shows():
    assert decompress_rtf(HELLO_RTF) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert decompress_rtf(REPEATED_RTF) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
    with pytest.raises(UnreadableFile):
        decompress_rtf(b"short")


def test_an_outlook_message_whose_text_is_only_rich_text():
    reading = msg.read(build_ole(build_msg({0x0037: "Hi"}, raw={0x1009: HELLO_RTF})))
    assert reading.text == "Hi\n\nhello world"
    reading = msg.read(build_ole(build_msg({0x0037: "Hi"}, raw={0x1009: b"short"})))
    assert reading.missing == "Its text was not read: Its rich text is broken: it is too short."


def test_base64_garbage_and_cut_messages_do_not_fail():
    whole = message()
    whole.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="t.csv")
    data = whole.as_bytes()
    for end in range(60, len(data), 37):
        try:
            eml.read(data[:end])
        except UnreadableFile as error:
            assert error.what
    noise = base64.b64encode(bytes(range(256)))
    assert eml.read(b"Subject: x\nContent-Transfer-Encoding: base64\n\n" + noise[:-3] + b"=!\n").text
