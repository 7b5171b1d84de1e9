"""Finds a wheel on the package index that this machine's pip uses.

Only standard index addresses are asked: the JSON form of the simple API, or its HTML form where an
index has no other. Which index that is, pip decides: its environment, its settings, its default.
"""

import json
import os
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from homespun.models.errors import FetchError

TIMEOUT_S = 30.0
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_INDEX_VARIABLES = ("HOMESPUN_INDEX_URL", "PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
# pip's own default address, from an installed pip or from the one that Python brings along.
_ASK_PIP = """
import glob, os, sys
try:
    import pip
except ImportError:
    import ensurepip
    folder = os.path.join(os.path.dirname(ensurepip.__file__), "_bundled", "pip-*.whl")
    sys.path[:0] = glob.glob(folder)
from pip._internal.models.index import PyPI
print(PyPI.simple_url)
"""


def index_url() -> str:
    """The address of the package index, as pip would use it.

    Raises:
        FetchError: neither the environment nor pip names one.
    """
    for variable in _INDEX_VARIABLES:
        if os.environ.get(variable, "").strip():
            return os.environ[variable].strip()
    asked = (["-m", "pip", "config", "get", "global.index-url"], ["-c", _ASK_PIP])
    for arguments in asked:
        answer = _ask_python(arguments)
        if urlsplit(answer).scheme in ("http", "https", "file"):
            return answer
    raise FetchError(
        "no package index is known on this machine",
        remedy="Set HOMESPUN_INDEX_URL to the address of one (it ends in /simple).",
    )


def find_wheel(project: str, file_name: str) -> str:
    """The address of one file of a project.

    Raises:
        FetchError: the index cannot be reached, or does not have the file.
    """
    index = index_url()
    page_url = f"{index.rstrip('/')}/{project}/"
    try:
        with open_url(page_url, {"Accept": _ACCEPT}) as answer:
            kind = answer.headers.get_content_type()
            text = answer.read().decode("utf-8", "replace")
            page_url = answer.geturl()
    except urllib.error.HTTPError as error:
        what = "does not have it" if error.code == 404 else f"answered with error {error.code}"
        raise _index_error(project, page_url, what) from error
    except OSError as error:
        raise _index_error(project, page_url, f"cannot be reached ({reason(error)})") from error
    links = _json_links(text) if kind.endswith("json") else _html_links(text)
    for name, link in links:
        if name == file_name:
            return _with_login(urljoin(page_url, link).partition("#")[0], index)
    raise _index_error(project, page_url, f"does not have the file {file_name}")


class _LoginStaysHome(urllib.request.HTTPRedirectHandler):
    """A login goes along to another address of the same server, and to no other server."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        login = req.unredirected_hdrs.get("Authorization")
        if following is not None and login and _server(req.full_url) == _server(newurl):
            following.add_unredirected_header("Authorization", login)
        return following


def _server(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def open_url(url: str, headers: dict[str, str], token: str | None = None) -> Any:
    """Open an address with the proxy, certificates and login that the environment gives.

    Args:
        url: the address; a user name and password in it are its login.
        headers: of the request.
        token: a bearer token, for the server of `url` alone.
    """
    parts = urlsplit(url)
    request = urllib.request.Request(without_login(url), headers={"User-Agent": "homespun", **headers})
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        # Not sent on when the server points to another address.
        request.add_unredirected_header("Authorization", f"Basic {b64encode(login.encode()).decode()}")
    elif token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    handlers: list[urllib.request.BaseHandler] = [
        _LoginStaysHome(),
        urllib.request.HTTPSHandler(context=_certificates()),
        urllib.request.ProxyHandler(_proxies()),
    ]
    return urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT_S)


def without_login(url: str) -> str:
    """An address that may be shown: without user name and password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, parts.query, ""))


def _with_login(url: str, index: str) -> str:
    """An index that wants a login wants it for its files too; no other host is given it."""
    parts, known = urlsplit(url), urlsplit(index)
    if not known.username or parts.netloc != known.netloc.rpartition("@")[2]:
        return url
    return urlunsplit((parts.scheme, known.netloc, parts.path, parts.query, ""))


def reason(error: BaseException) -> str:
    """The cause of a failed connection, in few words."""
    cause = getattr(error, "reason", None) or error
    return str(getattr(cause, "strerror", None) or cause or type(error).__name__)


def _proxies() -> dict[str, str]:
    proxies = urllib.request.getproxies()
    if os.environ.get("PIP_PROXY"):
        proxies.update(dict.fromkeys(("http", "https"), os.environ["PIP_PROXY"]))
    return proxies


def _certificates() -> ssl.SSLContext:
    """What pip is told to trust, else what the system trusts, else what pip brings along."""
    given = next((os.environ[name] for name in ("PIP_CERT", "SSL_CERT_FILE") if os.environ.get(name)), None)
    if given and Path(given).is_file():
        return ssl.create_default_context(cafile=given)
    context = ssl.create_default_context()
    if not context.get_ca_certs() and not os.environ.get("SSL_CERT_DIR") and not _has_system_folder():
        brought = _ask_python(["-c", "from pip._vendor import certifi; print(certifi.where())"])
        if brought and Path(brought).is_file():
            context.load_verify_locations(brought)
    return context


def _has_system_folder() -> bool:
    folder = ssl.get_default_verify_paths().capath
    return bool(folder) and any(Path(str(folder)).glob("*"))


def _ask_python(arguments: list[str]) -> str:
    try:
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _json_links(text: str) -> list[tuple[str, str]]:
    try:
        return [(str(file["filename"]), str(file["url"])) for file in json.loads(text)["files"]]
    except (ValueError, KeyError, TypeError):
        return []


def _html_links(text: str) -> list[tuple[str, str]]:
    reader = _LinkReader()
    reader.feed(text)
    return reader.links


class _LinkReader(HTMLParser):
    """Collects the links of a page, each with the name of the file that it points to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        link = dict(attrs).get("href")
        if tag == "a" and link:
            self.links.append((unquote(urlsplit(link).path.rpartition("/")[2]), link))


def _index_error(project: str, url: str, what: str) -> FetchError:
    return FetchError(
        f"the package index {what}, looking for {project}",
        where=without_login(url),
        remedy="Check the connection and the proxy, or set HOMESPUN_INDEX_URL to another index.",
    )
