"""Writes the smallest office files that have what a test asks for, from their XML."""

import io
import zipfile
from collections.abc import Mapping
from itertools import pairwise

_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SLIDE = "http://schemas.openxmlformats.org/presentationml/2006/main"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
_ODF = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{space}:1.0"'
    for name, space in (
        ("office", "office"),
        ("text", "text"),
        ("table", "table"),
        ("draw", "drawing"),
        ("presentation", "presentation"),
        ("style", "style"),
    )
)


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    """A zip archive of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def relations(*targets: tuple[str, str]) -> str:
    """The relations of a part: (kind, target) each; their ids are r1, r2, ..."""
    listed = "".join(
        f'<Relationship Id="r{number}" Type="{_TYPES}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{_RELATIONS}">{listed}</Relationships>'


def worksheet(rows: str, after: str = "") -> str:
    """A sheet's XML around its `row` elements."""
    return (
        f'<worksheet xmlns="{_SHEET}"><dimension ref="A1:XFD1048576"/><sheetData>{rows}</sheetData>{after}'
        "</worksheet>"
    )


def sheet_row(number: int, **cells: str | float) -> str:
    """A row: words are inline strings, numbers numbers; a word that begins with < is a whole cell."""
    parts = []
    for column, value in cells.items():
        name = f"{column}{number}"
        if isinstance(value, str) and value.startswith("<"):
            parts.append(value.replace("<c", f'<c r="{name}"', 1))
        elif isinstance(value, str):
            parts.append(f'<c r="{name}" t="inlineStr"><is><t>{value}</t></is></c>')
        else:
            parts.append(f'<c r="{name}"><v>{value}</v></c>')
    return f'<row r="{number}">{"".join(parts)}</row>'


def workbook(
    sheets: Mapping[str, str],
    *,
    states: Mapping[str, str] | None = None,
    strings: str = "",
    styles: str = "",
    extra: Mapping[str, str | bytes] | None = None,
    properties: str = "",
) -> bytes:
    """An xlsx file of these sheets, by their names; `strings` and `styles` are the inner XML."""
    listed = "".join(
        f'<sheet name="{name}" sheetId="{number}" r:id="r{number}" state="{(states or {}).get(name, "visible")}"/>'
        for number, name in enumerate(sheets, 1)
    )
    targets = [("worksheet", f"worksheets/sheet{number}.xml") for number in range(1, len(sheets) + 1)]
    return zipped(
        {
            "_rels/.rels": relations(("officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": (
                f'<workbook xmlns="{_SHEET}" xmlns:r="{_TYPES}">{properties}<sheets>{listed}</sheets></workbook>'
            ),
            "xl/_rels/workbook.xml.rels": relations(
                *targets, ("sharedStrings", "sharedStrings.xml"), ("styles", "/xl/styles.xml")
            ),
            "xl/sharedStrings.xml": f'<sst xmlns="{_SHEET}">{strings}</sst>',
            "xl/styles.xml": f'<styleSheet xmlns="{_SHEET}">{styles}</styleSheet>',
            **{f"xl/worksheets/sheet{n}.xml": xml for n, xml in enumerate(sheets.values(), 1)},
            **(extra or {}),
        }
    )


def shape(*paragraphs: str, kind: str | None = None) -> str:
    """A shape of a slide with these lines; `kind` is its placeholder's type."""
    typed = f'type="{kind}"' if kind else ""
    placeholder = "" if kind is None else f"<p:nvPr><p:ph {typed}/></p:nvPr>"
    lines = "".join(f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>" for text in paragraphs)
    return f"<p:sp><p:nvSpPr>{placeholder}</p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>"


def slide(shapes: str, attributes: str = "", kind: str = "sld") -> str:
    """A slide's XML (or, with the kind "notes", its notes') around its shapes."""
    return (
        f'<p:{kind} xmlns:p="{_SLIDE}" xmlns:a="{_DRAWING}" xmlns:r="{_TYPES}" {attributes}>'
        f"<p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:{kind}>"
    )


def presentation(slides: list[str], extra: Mapping[str, str | bytes] | None = None) -> bytes:
    """A pptx file of these slides, the parts slide1.xml, slide2.xml, ..."""
    listed = "".join(f'<p:sldId id="{255 + n}" r:id="r{n}"/>' for n in range(1, len(slides) + 1))
    return zipped(
        {
            "_rels/.rels": relations(("officeDocument", "ppt/presentation.xml")),
            "ppt/presentation.xml": (
                f'<p:presentation xmlns:p="{_SLIDE}" xmlns:r="{_TYPES}"><p:sldIdLst>{listed}</p:sldIdLst>'
                "</p:presentation>"
            ),
            "ppt/_rels/presentation.xml.rels": relations(
                *(("slide", f"slides/slide{n}.xml") for n in range(1, len(slides) + 1))
            ),
            **{f"ppt/slides/slide{n}.xml": xml for n, xml in enumerate(slides, 1)},
            **(extra or {}),
        }
    )


def open_document(kind: str, body: str, styles: str = "", manifest: str = "<manifest/>") -> bytes:
    """An OpenDocument file; `kind` is "text", "spreadsheet" or "presentation"."""
    return zipped(
        {
            "content.xml": (
                f"<office:document-content {_ODF}><office:automatic-styles>{styles}</office:automatic-styles>"
                f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
            ),
            "META-INF/manifest.xml": manifest,
        }
    )


def checked_places(text: str, places: tuple) -> list[tuple[str, str]]:
    """(label, text) of each place, after checking that they are sorted and lie in the text."""
    assert all(before.start <= after.start for before, after in pairwise(places))
    assert all(0 <= place.start < place.end <= len(text) for place in places)
    return [(place.label, text[place.start : place.end]) for place in places]
