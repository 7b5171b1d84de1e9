"""Bytes to text: decoded surely, or refused by name; never mojibake.

Tried in this order: a byte order mark, UTF-16 without one, UTF-8, ISO-2022-JP, Windows-1252 (which
holds Latin-1's letters), CP932 (Japanese Windows). The last two accept nearly any bytes, so each
must also look like text that people write in it.
"""

import codecs
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

from homespun.documents.errors import UnreadableFile


@dataclass(frozen=True)
class Decoded:
    """A text, and the Python name of the encoding that it was in. A byte order mark is not kept."""

    text: str
    encoding: str


# UTF-32's mark begins with UTF-16's, so it comes first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROLS = re.compile(r"[\x00-\x07\x0e-\x1a\x1c-\x1f]")
_SAMPLE = 1_000_000


def decode_text(data: bytes) -> Decoded:
    """Decode a text file.

    Raises:
        UnreadableFile: the bytes are no text, or their encoding cannot be told for sure.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _checked(_strictly(data[len(mark) :], encoding), encoding)
    wide = _utf16_without_mark(data)
    if wide:
        return wide
    if b"\x00" in data:
        raise UnreadableFile("It is a binary file, not text: it holds NUL bytes.")
    if b"\x1b$" in data:
        japanese = _try(data, "iso2022_jp_ext")
        if japanese is not None:
            return _checked(japanese, "iso2022_jp_ext")
    text = _try(data, "utf-8")
    if text is not None:
        return _checked(text, "utf-8")
    text = _try(data, "cp1252")
    if text is not None and _looks_western(text):
        return _checked(text, "cp1252")
    text = _try(data, "cp932")
    if text is not None and _looks_japanese(text):
        return _checked(text, "cp932")
    raise UnreadableFile(
        "Its text encoding cannot be told for sure (it is not UTF-8, UTF-16, Windows-1252 or CP932); "
        "save it as UTF-8 and try again."
    )


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _strictly(data: bytes, encoding: str) -> str:
    text = _try(data, encoding)
    if text is None:
        raise UnreadableFile(f"It says that it is {encoding.upper()} but holds bytes that are not.")
    return text


def _checked(text: str, encoding: str) -> Decoded:
    # Concatenated files carry marks inside; at the start of a text it may stand twice.
    text = text.lstrip("\ufeff")
    n_controls = len(_CONTROLS.findall(text))
    if "\x00" in text or n_controls > max(2, len(text) // 100):
        raise UnreadableFile("It is a binary file, not text: it holds control characters.")
    return Decoded(text, encoding)


# --- UTF-16 without a mark ---------------------------------------------------------------------

_USUAL = re.compile(r"[\t\n\r -~\u3000-\u3002\u3041-\u30ff\u0430-\u044f]")


def _utf16_without_mark(data: bytes) -> Decoded | None:
    """UTF-16 is taken when one byte order gives only sane characters, many of them usual ones."""
    has_nul = b"\x00" in data
    if len(data) < 4 or len(data) % 2 or (not has_nul and data.isascii()):
        return None
    scores = {}
    for encoding in ("utf-16-le", "utf-16-be"):
        # The sample may cut a surrogate pair; its last unit is left out then.
        sample = data[:_SAMPLE]
        text = _try(sample, encoding) or _try(sample[:-2], encoding)
        if text and not _holds_nonsense(text):
            scores[encoding] = len(_USUAL.findall(text)) / len(text)
    if not scores:
        return None
    best = max(scores, key=scores.__getitem__)
    other = max((score for encoding, score in scores.items() if encoding != best), default=0.0)
    # Without a NUL byte there is no space, digit or line end in it, which is hardly a file.
    needed = 0.02 if has_nul else 0.5
    if scores[best] < needed or scores[best] < 2 * other:
        return None
    return _checked(_strictly(data, best), best)


def _holds_nonsense(text: str) -> bool:
    """Whether there are controls, private or unassigned characters among a text's characters."""
    return any(
        unicodedata.category(character) in ("Cc", "Co", "Cn", "Cs")
        for character in set(text) - set("\t\n\r\f\ufeff")
    )


# --- Windows-1252 ------------------------------------------------------------------------------

_SYMBOLS = frozenset("\xa0€‚„…‘’“”•–—™‹›¡¢£¥§©ª«®¯°±²³´µ¶·¸¹º»¼½¾¿×÷†¨\xad")
_INSIDE_WORDS = frozenset("’‘–—·\xad×µ°")
_HIGH_RUN = re.compile(r"[\u00c0-\u00ff\u0152-\u0178]{3,}")

_WESTERN = (
    "àâæçéèêëîïôœùûüÿ",  # French
    "äöüßéàè",  # German
    "áéíóúñüçª",  # Spanish
    "áâãàçéêíóôõúü",  # Portuguese
    "àèéìíîòóùú",  # Italian
    "æøåéèêóòôäöü",  # Danish, Norwegian
    "åäöéüàšž",  # Swedish, Finnish
    "éëïèöüêáóíúä",  # Dutch
    "áéíóúýþæöð",  # Icelandic
    "àèéíïòóúüç",  # Catalan
)
_EASTERN = (
    ("cp1250", "áčďéěíňóřšťúůýžäľĺŕô"),  # Czech, Slovak
    ("cp1250", "ąćęłńóśźż"),  # Polish
    ("cp1250", "áéíóöőúüű"),  # Hungarian
    ("cp1250", "ăâîşţ"),  # Romanian
    ("cp1250", "čćđšž"),  # Croatian, Slovene
    ("cp1254", "çğıöşüâî"),  # Turkish
    ("cp1257", "ąčęėįšųūž"),  # Lithuanian
    ("cp1257", "āčēģīķļņšūž"),  # Latvian
)


def _looks_western(text: str) -> bool:
    """Whether bytes read as Windows-1252 stand where a Western European language puts them.

    Letters stand beside letters and seldom three accented in a row (Cyrillic would), symbols stand
    between words, and no Eastern European alphabet explains the same bytes better.
    """
    text = text[:_SAMPLE]
    places = [index for index, character in enumerate(text) if ord(character) > 0x7F]
    n_printed = sum(not character.isspace() for character in text)
    if len(places) > 0.3 * n_printed + 1:
        return False
    n_letters = sum(text[index].isalpha() for index in places)
    n_in_runs = sum(len(match[0]) for match in _HIGH_RUN.finditer(text))
    if n_in_runs > 0.2 * n_letters:
        return False
    n_expected = sum(_is_expected(text, index) for index in places)
    return n_expected >= 0.95 * len(places) and not _eastern_explains_better(text)


def _is_expected(text: str, index: int) -> bool:
    character = text[index]
    before = text[index - 1] if index else " "
    after = text[index + 1] if index + 1 < len(text) else " "
    if character.isalpha() and character not in "ªº":
        if character.isupper() and before.islower():
            return False
        around = text[max(0, index - 2) : index + 3]
        alone = not before.isalpha() and not after.isalpha()
        return (alone and character in "àáéèóíúæÀÁÉÈÓÍÚåöÅÖ") or any(
            c.isascii() and c.isalpha() for c in around
        )
    if character not in _SYMBOLS:
        return False
    if character in "‚„¿¡" and before.isalpha():
        return False
    return character in _INSIDE_WORDS or not (before.isalpha() and after.isalpha())


def _eastern_explains_better(text: str) -> bool:
    """Whether an alphabet of Windows-1250, -1254 or -1257 covers the accented letters better."""
    high = Counter(
        character for character in text if ord(character) > 0x7F and character not in _SYMBOLS - {"¹"}
    )
    for symbol in "³¹¿ºª":  # letters in the Eastern code pages
        high[symbol] = text.count(symbol)
    total = sum(high.values())
    if not total:
        return False

    def covered(letters: Counter[str], alphabet: str) -> float:
        return sum(count for letter, count in letters.items() if letter.lower() in alphabet) / total

    western = max(covered(high, alphabet) for alphabet in _WESTERN)
    if western >= 0.9:
        return False
    for encoding, alphabet in _EASTERN:
        again: Counter[str] = Counter()
        for letter, count in high.items():
            again[letter.encode("cp1252").decode(encoding, "replace")] += count
        if covered(again, alphabet) > western:
            return True
    return False


# --- CP932 -------------------------------------------------------------------------------------

_KANA = re.compile(r"[\u3041-\u30ff]")
_KANJI = re.compile(r"[\u4e00-\u9fff]")
_WIDE_SIGNS = re.compile(r"[\u3000-\u303f\uff01-\uff5e\u2460-\u2473\u2160-\u2169\u3200-\u33ff\u2010-\u2312]")

_WIDE_IN_WORD = re.compile(
    r"(?<=[A-Za-z])[^\x00-\x7f](?![^\x00-\x7f])|(?<![^\x00-\x7f])[^\x00-\x7f](?=[A-Za-z])"
)


def _looks_japanese(text: str) -> bool:
    """Whether bytes read as CP932 are mostly kana, kanji and their signs, and the kanji common ones.

    Other encodings read so give half-width katakana or rare kanji (lead bytes 0x98 and above).
    """
    text = text[:_SAMPLE]
    n_high = sum(ord(character) > 0x7F for character in text)
    n_kana = len(_KANA.findall(text))
    kanji = _KANJI.findall(text)
    n_signs = len(_WIDE_SIGNS.findall(text))
    n_wide = n_kana + len(kanji) + n_signs
    # Names in bank and mail tables are often in half-width katakana, beside common kanji.
    if n_wide < 0.5 * n_high or _holds_nonsense(text):
        return False
    # Bytes of DOS code pages swallow the letter behind them and leave one wide sign inside a word.
    if len(_WIDE_IN_WORD.findall(text)) > 0.1 * n_high:
        return False
    n_common = sum(0x88 <= character.encode("cp932")[0] <= 0x98 for character in kanji)
    if n_common and n_common >= 0.8 * len(kanji):
        return True
    is_mostly_wide = n_wide >= 0.7 * n_high
    return (is_mostly_wide and n_kana >= 0.05 * n_high) or (not kanji and n_signs == n_high)
