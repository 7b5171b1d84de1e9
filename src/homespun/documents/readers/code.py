"""Programs and settings: the decoded file itself; what it defines are its headings."""

import re

from homespun.documents.decode import decode_text
from homespun.documents.document import Heading, Reading
from homespun.documents.errors import UnreadableFile

_WORDS = (
    "class|struct|interface|enum|trait|impl|mod|module|namespace|object|record|protocol|extension|message|"
    "service|function|func|fn|fun|def|sub|type|union"
)
_BEFORE = (
    "export|default|public|private|protected|internal|static|final|abstract|async|pub|unsafe|const|sealed|"
    "override|virtual|open|inline|extern|partial|data|suspend|local|declare"
)
_DEFINITION = re.compile(
    rf"([ \t]*)(?:@\w+[ \t]+)*(?:(?:{_BEFORE})(?:\([\w ]{{0,20}}\))?[ \t]+){{0,6}}(?:{_WORDS})\b\*?[ \t]+"
    r"(?:\([^()\n]{0,80}\)[ \t]*|<[^<>\n]{0,80}>[ \t]*)?[A-Za-z_$~][\w$:.]*"
)
# A function of C, C++, C# or Java: a type, a name, arguments, and a brace here or on the next line.
_FUNCTION = re.compile(
    r"([ \t]*)(?!(?:return|else|if|for|while|switch|new|throw|case|delete|goto|typedef)\b)"
    r"[A-Za-z_][\w:<>,*&\[\] \t]{0,120}?[ \t*&]+[A-Za-z_~][\w:~]{0,80}[ \t]*\([^;{}()]{0,400}\)[ \t\w]{0,40}(?:\{|$)"
)
_TABLE = re.compile(
    r"([ \t]*)CREATE[ \t]+(?:OR[ \t]+REPLACE[ \t]+)?(?:\w+[ \t]+){0,2}"
    r"(?:TABLE|VIEW|FUNCTION|PROCEDURE|INDEX|TRIGGER|TYPE)\b.*",
    re.I,
)
_SECTION = re.compile(r"()\[{1,2}[^\[\]\r\n]{1,100}\]{1,2}[ \t]*(?:[#;].*)?$")
_KEY = re.compile(r"()[A-Za-z_][\w.-]{0,80}:(?:[ \t]*(?:#.*)?)$")
_SHELL = re.compile(r"([ \t]*)(?:function[ \t]+)?[A-Za-z_][\w-]{0,80}[ \t]*\(\)[ \t]*(?:\{|$)")
_TEX = re.compile(r"()\\(?:part|chapter|(?:sub){0,2}section|paragraph)\*?\{.*")
_PATTERNS = (_DEFINITION, _FUNCTION, _TABLE, _SECTION, _KEY, _SHELL, _TEX)
_LINE = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n|\Z)")
_MAX_LINE = 500
_TAB = 4
#: A line this long is of a program for machines, packed or made.
_MAX_MEAN_LINE = 2_000


def read(data: bytes) -> Reading:
    """The file's text. The line that defines a class, function, table or section is a heading.

    How deep a heading is comes from its indentation among those above it.

    Raises:
        UnreadableFile: it is packed for machines: its lines are thousands of characters long.
    """
    text = decode_text(data).text
    if len(text) > 50_000 and len(text) / (1 + text.count("\n")) > _MAX_MEAN_LINE:
        raise UnreadableFile("It is packed for machines (its lines are very long); add its source instead.")
    headings: list[Heading] = []
    indents: list[int] = []
    position = 0
    while position < len(text):
        match = _LINE.match(text, position)
        assert match is not None
        line = match[1]
        defined = _definition(line) if 0 < len(line) <= _MAX_LINE else None
        if defined is not None:
            indent = len(defined[1].expandtabs(_TAB))
            while indents and indents[-1] >= indent:
                indents.pop()
            indents.append(indent)
            shown = " ".join(line.split()).rstrip("{:").rstrip()
            headings.append(Heading(position + len(defined[1]), len(indents), shown))
        position = match.end()
    return Reading(text, headings=tuple(headings))


def _definition(line: str) -> re.Match[str] | None:
    for pattern in _PATTERNS:
        match = pattern.match(line)
        if match is not None:
            return match
    return None
