"""Where sentences begin and end, by rules that hold for many languages."""

import re

_CLOSERS = "\"'”’»›)\\]）」』】〕"
_STOP = re.compile(
    rf"(?<![.!?…])(?P<western>[.!?…]++)[{_CLOSERS}]*+(?=\s|\Z)"
    rf"|[。！？｡．]+[{_CLOSERS}]*"
    rf"|[।॥۔؟።။։]+[{_CLOSERS}]*"
    r"|(?P<line>(?:\r\n|\r|\n|\f|\v|\x85|\u2028|\u2029)\s*)"
)
_WORD_BEFORE = re.compile(r"[\w.&/-]+\Z")
#: "J. B. Smith", but not "hepatitis B. Then": a name begins, or goes on after a capital.
_INITIAL = re.compile(r"(?:\A|[\n.!?]\s*|[(\"“]|\b[^\W\d_a-z]\w*\.?\s|\b[a-z]\. ?)[^\W\d_a-z]\Z")
_SPACED_SHORT = re.compile(r"\b[a-z]\. [A-Za-zÄÖÜ]\.")
_FIRST_AFTER = re.compile(r"\s+[\"'“‘«„(\[]*(\w+)?")


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


#: Never end a sentence, as a name or a number follows.
_TITLES = _words(
    "dr mr mrs ms prof st rev hon gen col capt sgt lt jr sr messrs mme mlle sra srta dra herr frau "
    "no nos nr num fig figs tab eq eqs ref refs sec sect ch chap vol pp p para art abs ziff vgl cf vs "
    "v viz e.g i.e eg ie e.g.e approx ca circa z.b d.h u.a s.o s.u bzw evtl ggf inkl bsp p.ex par ex "
    "dept univ est al sog gem lfd núm pág"
)
#: End a sentence only when a capital follows.
_SHORT_WORDS = _words(
    "mg ml kg g l cm mm m km mcg hr hrs h min mins sec s d wk wks yr yrs mo etc usw a.m p.m am pm inc "
    "ltd co corp bros tel ext max min avg temp std jan feb mar apr jun jul aug sep sept oct nov dec "
    "mon tue tues wed thu thurs fri sat sun u.s u.k u.n e.u ph.d m.d b.sc m.sc str tabl tsp tbsp oz lb "
    "lbs ft in iu wt vol conc"
)
_MONTHS = _words(
    "januar februar märz april mai juni juli august september oktober november dezember jänner "
    "leden února ledna tammikuuta helmikuuta januari februari maart marts mars"
)
_LIST_MARK = re.compile(r"[ \t]*(?:[-*+•‣◦–—·]|\(?\d{1,3}[.)]|\(?[A-Za-z][.)])[ \t]+|[ \t]*[#>|]")
_LIST_NUMBER = re.compile(r"[ \t]*\(?(?:\d{1,3}|[A-Za-z])\Z")
_ROW = re.compile(r"[^\s:;][^:;]{0,40}: ")
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef]")
#: A line at least this long that lacks a stop was broken by a margin, not by its author.
_WRAPPED_LINE_CHARS = 45


def split_sentences(text: str) -> list[tuple[int, int]]:
    """The (start, end) of each sentence in code points, in order, without the space around it.

    All that is no whitespace lies in exactly one sentence. Headings, list items and table rows that
    stand on lines of their own are sentences too; a line that a margin broke is not an end.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _STOP.finditer(text):
        if match["western"]:
            is_end = _ends_sentence(text, match)
        elif match["line"]:
            is_end = _line_ends_sentence(text, match)
        else:
            is_end = True
        if is_end:
            start = _add(spans, text, start, match.end())
    _add(spans, text, start, len(text))
    return spans


def _add(spans: list[tuple[int, int]], text: str, start: int, end: int) -> int:
    piece = text[start:end]
    stripped = piece.strip()
    if stripped:
        first = start + len(piece) - len(piece.lstrip())
        spans.append((first, first + len(stripped)))
    return end


def _ends_sentence(text: str, stop: re.Match[str]) -> bool:
    """Whether full stops, question or exclamation marks before whitespace end a sentence."""
    after = _FIRST_AFTER.match(text, stop.end())
    next_word = (after[1] or "") if after else ""
    at_lower_case = next_word[:1].islower()
    if at_lower_case:
        return False
    if stop["western"] != ".":
        return True
    line_start = max(text.rfind("\n", max(0, stop.start() - 80), stop.start()) + 1, stop.start() - 80, 0)
    before = text[line_start : stop.start()]
    if _LIST_NUMBER.match(before) and line_start + 80 != stop.start():
        return False
    match = _WORD_BEFORE.search(before)
    word = match[0].lower().lstrip("-&/") if match else ""
    if _SPACED_SHORT.match(text, stop.start() - 1):  # "z. B."
        return False
    if _INITIAL.search(before):
        return not next_word
    if word in _TITLES:
        return not next_word
    if word in _SHORT_WORDS:
        return not next_word[:1].isdigit()
    is_ordinal = word.isdigit() and len(word) <= 2  # "3. März"
    return not (is_ordinal and next_word.lower() in _MONTHS)


def _line_ends_sentence(text: str, stop: re.Match[str]) -> bool:
    """Whether a line break ends a sentence: it does unless a margin broke the line."""
    breaks = stop[0]
    if breaks.count("\n") > 1 or breaks.count("\r") > 1 or "\f" in breaks:
        return True
    if stop.end() == len(text):
        return True
    # The last part of a very long line says enough.
    earliest = max(0, stop.start() - 200)
    ends = [text.rfind(sign, earliest, stop.start()) for sign in "\n\r"]
    line = text[max(earliest, *(end + 1 for end in ends)) : stop.start()].rstrip()
    following = (
        text[stop.start("line") : stop.end()].lstrip("\r\n\x85\u2028\u2029\v")
        + text[stop.end() : stop.end() + 60]
    )
    if _LIST_MARK.match(following) or line.lstrip()[:1] in ("#", "|"):
        return True
    if _ROW.match(line.lstrip()) and _ROW.match(following.lstrip()):
        return True
    if "\t" in line.strip() or "\t" in following.split("\n", 1)[0].strip():
        return True  # cells of a table row
    first = following.lstrip()[:1]
    if _WIDE.match(first) and _WIDE.match(line[-1:]):
        return len(line) < 20
    if first.islower():
        return False
    return len(line) < _WRAPPED_LINE_CHARS
