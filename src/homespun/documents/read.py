"""One file in, one `Document` out, whatever the file holds."""

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from homespun.documents.bundle import read_member
from homespun.documents.document import Document, Reading, Status
from homespun.documents.errors import UnreadableFile
from homespun.documents.ocr import OcrOptions
from homespun.documents.readers import SUPPORTED_SUFFIXES, reader_for

#: Files above this are refused: their text would not fit in memory several times over.
MAX_FILE_BYTES = 256 * 2**20
TOO_LARGE = "Reading it needs more memory than a file may take."


@dataclass(frozen=True)
class ReadOptions:
    """How files are read."""

    ocr: bool = field(default=False, metadata={"help": "read scanned pages, with the program tesseract"})
    ocr_languages: str = field(
        default="eng", metadata={"help": "languages of scanned pages, as tesseract calls them: eng+deu"}
    )

    def __post_init__(self) -> None:
        if self.ocr:
            _ = self.recognition  # its languages are checked

    @property
    def recognition(self) -> OcrOptions | None:
        """How pictures of text are read; None: they are not."""
        return OcrOptions(self.ocr_languages) if self.ocr else None


def read_document(
    path: Path, name: str | None = None, member: str | None = None, *, options: ReadOptions | None = None
) -> Document:
    """Read a file of any supported format, or one member of an archive.

    Never raises for what a file holds or for a file that cannot be opened: the document then has
    the status "not read" and a reason.

    Args:
        path: the file.
        name: what people call it; the file's own name when None.
        member: which of the archive's members, as `bundle.members` calls it; None: the file itself.
        options: how it is read.
    """
    path = Path(path)
    own_name = path.name if member is None else f"{path.name}/{member}"
    shown = shown_name(own_name if name is None else name)
    digest = ""
    try:
        data = _read_bytes(path) if member is None else read_member(path, member)
        digest = hashlib.sha256(data).hexdigest()
        suffix = (path if member is None else PurePosixPath(member)).suffix.lower()
        reading = _read_bytes_as(suffix, data, options or ReadOptions())
    except UnreadableFile as error:
        return Document(path, shown, "", (), (), "not read", error.what, digest)
    except OSError as error:
        reason = f"The file could not be opened: {error.strerror or error}."
        return Document(path, shown, "", (), (), "not read", reason, digest)
    status: Status = "partly read" if reading.missing else "read"
    return Document(
        path,
        shown,
        reading.text.replace("\x00", "\ufffd"),  # what no database keeps; one for one, so that offsets stay
        reading.pages,
        reading.headings,
        status,
        reading.missing,
        digest,
        reading.rows,
        reading.places,
    )


def shown_name(name: str) -> str:
    """A name as text that can be written anywhere: what its bytes do not spell is a question mark."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _read_bytes(path: Path) -> bytes:
    """The whole file, as one state of it; a change while it was read is tried once more."""
    for _ in range(2):
        # A pipe or a device would block on opening, so this comes before.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableFile("It is no regular file.")
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            if before.st_size > MAX_FILE_BYTES:
                raise UnreadableFile(
                    f"It is {before.st_size / 2**20:.0f} MiB large and at most "
                    f"{MAX_FILE_BYTES // 2**20} MiB are read; divide it into smaller files."
                )
            data = file.read(before.st_size + 1)  # room for just so much is set aside
            after = os.fstat(file.fileno())
        same_state = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
        if same_state and len(data) == before.st_size:
            return data
    raise UnreadableFile("It was changed while it was read; try again when nothing writes to it.")


def _read_bytes_as(suffix: str, data: bytes, options: ReadOptions) -> Reading:
    if suffix not in SUPPORTED_SUFFIXES:
        kind = f"{suffix} files" if suffix else "Files without an ending"
        raise UnreadableFile(f"{kind} are not supported.")
    if not data:
        raise UnreadableFile("It is empty (0 bytes).")
    try:
        reading = _read_pdf(data, options.recognition) if suffix == ".pdf" else reader_for(suffix)(data)
    except UnreadableFile:
        raise
    except MemoryError as error:
        raise UnreadableFile(TOO_LARGE) from error
    except Exception as error:
        # Readers stand on native libraries that fail in ways of their own; one broken file must
        # not end the reading of a folder.
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise UnreadableFile(f"It is broken or not really a {suffix} file ({detail}).") from error
    if not reading.text.strip():
        raise UnreadableFile(reading.missing or "It is empty: it holds no text.")
    return reading


def _read_pdf(data: bytes, recognition: OcrOptions | None) -> Reading:
    from homespun.documents.readers.pdf import read

    return read(data, recognition)
