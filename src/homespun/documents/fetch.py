"""One web page or file by its address, fetched because somebody asked for just this one.

Every address on the way is checked before it is connected to, see `web_address`.
"""

import contextlib
import http.client
import re
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import SplitResult, unquote, urljoin, urlunsplit

from homespun.documents.bundle import BUNDLE_SUFFIXES, safe_name
from homespun.documents.errors import FetchError
from homespun.documents.readers import SUPPORTED_SUFFIXES
from homespun.documents.web_address import checked_url, failure_reason, open_connection, shown_address

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_PIECE = 65_536
_ENDINGS = {
    "text/html": ".html",
    "application/xhtml+xml": ".xhtml",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "text/rtf": ".rtf",
    "application/rtf": ".rtf",
    "application/pdf": ".pdf",
    "application/json": ".json",
    "application/zip": ".zip",
    "application/epub+zip": ".epub",
    "message/rfc822": ".eml",
    "application/mbox": ".mbox",
    "application/vnd.ms-outlook": ".msg",
    "application/x-ipynb+json": ".ipynb",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.oasis.opendocument.text": ".odt",
}
# Under these names servers send all kinds of files; the ending of the address knows more.
_SAYS_LITTLE = frozenset(
    ("", "text/plain", "application/octet-stream", "binary/octet-stream", "text/x-markdown")
)


@dataclass(frozen=True)
class FetchOptions:
    """How a page is fetched."""

    allow_private: bool = field(
        default=False, metadata={"help": "fetch from this machine and the local network too"}
    )
    max_bytes: int = field(default=64 * 2**20, metadata={"help": "bytes that are fetched at most"})
    timeout_s: float = field(
        default=15.0, metadata={"help": "seconds to wait for an answer or for more of it"}
    )
    total_s: float = field(default=120.0, metadata={"help": "seconds that one page may take in all"})
    max_redirects: int = field(default=5, metadata={"help": "redirects that are followed"})


@dataclass(frozen=True)
class Fetched:
    """What an address gave.

    `name` ends as the content is to be read: "example.org/guide.html". `url` is where redirects led.
    Text whose encoding only the server named is UTF-8 with its mark; other data is as it came.
    """

    name: str
    data: bytes
    url: str
    content_type: str

    @property
    def suffix(self) -> str:
        """The ending that says how it is read, with its dot; empty where nothing does."""
        return PurePosixPath(self.name).suffix.lower()


def is_url(text: str) -> bool:
    """Whether a person means a web address, not a file."""
    return re.match(r"https?://", text, re.I) is not None


def fetch_page(url: str, options: FetchOptions | None = None) -> Fetched:
    """Fetch one page or file.

    Raises:
        FetchError: the address is none that may be fetched, nothing answers, the answer is an error, too
            large, too slow, or of a kind that cannot be read.
    """
    options = options or FetchOptions()
    deadline = time.monotonic() + options.total_s
    parts = checked_url(url, url)
    for _ in range(options.max_redirects + 1):
        connection = open_connection(parts, options.timeout_s, allow_private=options.allow_private)
        try:
            with _ended_at(deadline, connection):
                answer = _ask(connection, parts)
                if answer.status not in _REDIRECTS:
                    return _taken(answer, parts, options)
                parts = _redirected(answer, parts, url)
        except (FetchError, OSError, ValueError, http.client.HTTPException) as error:
            # What a connection that was shut gave until then says nothing about the page.
            if time.monotonic() > deadline:
                reason = f"it took more than {options.total_s:.0f} seconds"
            elif isinstance(error, FetchError):
                raise
            else:
                reason = failure_reason(error, options.timeout_s)
            raise FetchError(reason, where=shown_address(parts)) from error
        finally:
            connection.close()
    raise FetchError(f"it redirects more than {options.max_redirects} times", where=url)


@contextlib.contextmanager
def _ended_at(deadline: float, connection: http.client.HTTPConnection) -> Iterator[None]:
    """Shut the connection then: a server that drips bytes never runs into the time-out between two."""
    sock = connection.sock

    def shut() -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), shut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except FetchError as error:  # half an answer is often a wrong one too
        if time.monotonic() > deadline:
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
    if time.monotonic() > deadline:
        raise TimeoutError


def _redirected(answer: http.client.HTTPResponse, parts: SplitResult, url: str) -> SplitResult:
    target = answer.getheader("Location")
    if not target:
        raise FetchError(f"the server redirects (status {answer.status}) and does not say where", where=url)
    following = checked_url(urljoin(urlunsplit(parts), target), url)
    if parts.scheme == "https" and following.scheme == "http":
        raise FetchError(
            f"it redirects from https to {shown_address(following)}, which is not safe", where=url
        )
    return following


def _ask(connection: http.client.HTTPConnection, parts: SplitResult) -> http.client.HTTPResponse:
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    connection.request(
        "GET",
        target,
        headers={
            "User-Agent": "homespun (one page, for a person)",
            "Accept": "text/html, text/*, application/pdf, */*;q=0.5",
            "Accept-Encoding": "identity",
            "Connection": "close",
        },
    )
    return connection.getresponse()


def _taken(answer: http.client.HTTPResponse, parts: SplitResult, options: FetchOptions) -> Fetched:
    where = shown_address(parts)
    if answer.status != 200:
        raise FetchError(
            f"the server answered with status {answer.status} {answer.reason}".rstrip(), where=where
        )
    declared = answer.getheader("Content-Length", "")
    if declared.isdigit() and int(declared) > options.max_bytes:
        raise _too_large(options, where)
    data = b"".join(_pieces(answer, options, where))
    encoding = answer.getheader("Content-Encoding", "identity").strip().lower()
    if encoding in ("gzip", "x-gzip", "deflate"):  # sent although it was not asked for
        data = _unpacked(data, options, where)
    elif encoding not in ("", "identity"):
        raise FetchError(
            f"the server packs its answer as {encoding[:40]!r}, which was not asked for", where=where
        )
    content_type = answer.headers.get_content_type() if answer.getheader("Content-Type") else ""
    name = _name(parts, content_type)
    if PurePosixPath(name).suffix.lower() not in SUPPORTED_SUFFIXES | BUNDLE_SUFFIXES:
        raise FetchError(
            f"it is of the kind {content_type or 'unknown'}, which is not supported", where=where
        )
    charset = answer.headers.get_content_charset()
    if content_type.startswith("text/") or content_type == "application/xhtml+xml":
        data = _as_utf8(data, charset)
    return Fetched(name, data, where, content_type)


def _pieces(answer: http.client.HTTPResponse, options: FetchOptions, where: str) -> list[bytes]:
    pieces: list[bytes] = []
    n_bytes = 0
    while piece := answer.read1(_PIECE):
        pieces.append(piece)
        n_bytes += len(piece)
        if n_bytes > options.max_bytes:
            raise _too_large(options, where)
    declared = answer.getheader("Content-Length", "")
    if declared.isdigit() and n_bytes < int(declared):
        raise ConnectionError(f"the connection ended after {n_bytes} of {declared} bytes")
    return pieces


def _unpacked(data: bytes, options: FetchOptions, where: str) -> bytes:
    unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, told by the head
    try:
        out = unpacker.decompress(data, options.max_bytes + 1)
    except zlib.error as error:
        raise FetchError("its answer is packed, and broken", where=where) from error
    if len(out) > options.max_bytes:
        raise _too_large(options, where)
    return out


def _too_large(options: FetchOptions, where: str) -> FetchError:
    return FetchError(
        f"it is larger than {options.max_bytes / 2**20:.0f} MiB",
        where=where,
        remedy="Save the file yourself and ingest it.",
    )


def _name(parts: SplitResult, content_type: str) -> str:
    """Host and path as a name, with the ending that tells how to read it."""
    path = safe_name(unquote(parts.path)) if parts.path.strip("/") else "index"
    suffix = PurePosixPath(path).suffix.lower()
    known = SUPPORTED_SUFFIXES | BUNDLE_SUFFIXES
    if content_type in _SAYS_LITTLE and suffix in known:
        ending = suffix
    else:
        ending = _ENDINGS.get(content_type, "" if content_type not in _SAYS_LITTLE else suffix)
    if parts.query:
        path += f" ({unquote(parts.query)[:80]})".replace("/", "_")
        suffix = ""
    same = suffix == ending or {suffix, ending} <= {".html", ".htm", ".xhtml"} - {""}
    return f"{parts.hostname}/{path}" + ("" if same else ending)


def _as_utf8(data: bytes, charset: str | None) -> bytes:
    """What the server says about the encoding goes before what the page says, and gets lost with it."""
    marks = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
    if not charset or charset.lower() in ("utf-8", "utf8") or data.startswith(marks):
        return data
    try:
        return marks[0] + data.decode(charset).encode("utf-8")
    except (LookupError, ValueError):
        return data
