"""What Word, Excel and PowerPoint files have in common: parts in an archive, and relations of parts."""

import posixpath
from dataclasses import dataclass

from homespun.documents.safe_xml import parse_xml
from homespun.documents.safe_zip import Archive

#: The namespace of relation ids in a part, as `{...}`.
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
#: The namespace of drawings' text, which all three share.
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"


@dataclass(frozen=True)
class Relation:
    """A part that another one names: the last word of its type ("worksheet"), and its own name."""

    kind: str
    part: str


def relations(archive: Archive, part: str) -> dict[str, Relation]:
    """The relations of a part ("" for the whole file) by their ids; what lies outside is left out."""
    folder, name = posixpath.split(part)
    xml = archive.find(posixpath.join(folder, "_rels", f"{name}.rels"))
    if xml is None:
        return {}
    found = {}
    for element in parse_xml(xml, f"{name}.rels"):
        target = element.get("Target") or ""
        if element.get("TargetMode") != "External":
            path = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            found[element.get("Id") or ""] = Relation((element.get("Type") or "").rsplit("/", 1)[-1], path)
    return found


def main_part(archive: Archive, usual: str) -> str:
    """The name of the part that the file begins with."""
    for relation in relations(archive, "").values():
        if relation.kind == "officeDocument":
            return relation.part
    return usual


def macro_notice(archive: Archive) -> str:
    """A sentence for files with macros, else empty. Macros are never run; only text is looked at."""
    has_macros = any(member.name.endswith("vbaProject.bin") for member in archive.members)
    return "Its macros are left out (they are never run)." if has_macros else ""
