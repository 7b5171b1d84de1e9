"""Web addresses that may be asked, and connections to just the machine that was checked.

An address that a person was given may lead into their own network: so only public addresses are
connected to unless private ones are allowed. The connection goes to the very address that was checked;
the name is not looked up twice. Proxies are not used, for they would look it up themselves.
"""

import http.client
import ipaddress
import socket
import ssl
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from homespun.documents.errors import FetchError

# IPv4 addresses for networks that have none.
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open internet, also when it is wrapped into an IPv6 one."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback)


def checked_url(url: str, given: str) -> SplitResult:
    """The parts of an address that may be asked, without its #fragment."""
    try:
        parts = urlsplit(url.strip())
        parts.port  # noqa: B018 (raises for ports that are none)
    except ValueError as error:
        raise FetchError(f"it is no web address ({error})", where=given) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        is_other = "" if url == given else f" redirects to {url[:200]!r}, which"
        raise FetchError(
            f"it{is_other} is no web address", where=given, remedy="Addresses begin with https:// or http://."
        )
    if parts.username is not None or parts.password is not None:
        raise FetchError(
            "a name and password in an address are not sent",
            where=shown_address(parts),
            remedy="Leave them out.",
        )
    try:
        # Names in other scripts are asked for in their ASCII form.
        host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise FetchError("its host name is none", where=given) from error
    shown_host = f"[{host}]" if ":" in host else host
    netloc = shown_host if parts.port is None else f"{shown_host}:{parts.port}"
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?[]")
    return SplitResult(parts.scheme, netloc, path, query, "")


def shown_address(parts: SplitResult) -> str:
    """The address without what may be a secret in it."""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def open_connection(
    parts: SplitResult, timeout_s: float, *, allow_private: bool
) -> http.client.HTTPConnection:
    """A connection to the host, made, to one of the addresses that its name has right now.

    Raises:
        FetchError: the name is not known, an address is private, or nothing answers.
    """
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchError(f"the name {host} is not known ({error})", where=shown_address(parts)) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    private = [address for address in addresses if not is_public(address)]
    if private and not allow_private:
        raise FetchError(
            f"{host} is {private[0]}, an address of this machine or of a local network",
            where=shown_address(parts),
            remedy="If you mean it, allow private addresses (--allow-private).",
        )
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = _PinnedHTTPSConnection(host, port, addresses, timeout_s, context)
    else:
        connection = _PinnedHTTPConnection(host, port, addresses, timeout_s)
    try:
        connection.connect()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise FetchError(failure_reason(error, timeout_s), where=shown_address(parts)) from error
    return connection


def _open_socket(addresses: list[str], port: int, timeout_s: float) -> socket.socket:
    failure: OSError | None = None
    for address in addresses[:4]:
        try:
            return socket.create_connection((address, port), timeout_s)
        except OSError as error:
            failure = error
    raise failure or OSError("no address")


class _PinnedHTTPConnection(http.client.HTTPConnection):
    """Connects to addresses that were checked before."""

    def __init__(self, host: str, port: int, addresses: list[str], timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._addresses = addresses
        self._timeout_s = timeout_s

    def connect(self) -> None:
        self.sock = _open_socket(self._addresses, self.port, self._timeout_s)


class _PinnedHTTPSConnection(http.client.HTTPSConnection):
    """The same, with the certificate checked against the name."""

    def __init__(
        self, host: str, port: int, addresses: list[str], timeout_s: float, context: ssl.SSLContext
    ) -> None:
        super().__init__(host, port, timeout=timeout_s, context=context)
        self._addresses = addresses
        self._timeout_s = timeout_s
        self._tls = context

    def connect(self) -> None:
        plain = _open_socket(self._addresses, self.port, self._timeout_s)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def failure_reason(error: Exception, timeout_s: float) -> str:
    """Why a connection failed, as a phrase."""
    if isinstance(error, TimeoutError):
        return f"nothing came for {timeout_s:.0f} seconds"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid ({error.verify_message})"
    if isinstance(error, ConnectionRefusedError):
        return "nothing answers at this address"
    if isinstance(error, http.client.HTTPException):
        return f"what answers is no web server ({type(error).__name__})"
    return f"it cannot be reached ({getattr(error, 'strerror', None) or error})"
