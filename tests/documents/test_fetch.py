"""One page from a real server on this machine; and what is refused without a byte being sent."""

import gzip
import http.server
import socket
import threading
import time

import pytest

from homespun.documents import web_address
from homespun.documents.errors import FetchError
from homespun.documents.fetch import FetchOptions, fetch_page, is_url
from homespun.documents.web_address import is_public

HERE = FetchOptions(allow_private=True, timeout_s=2.0, total_s=5.0, max_bytes=100_000)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        status, headers, body = self.server.pages.get(self.path.split("?")[0], (404, {}, b"no"))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for piece in [body] if isinstance(body, bytes) else body:
            try:
                self.wfile.write(piece)
            except OSError:
                return

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    served.pages, served.asked = {}, []
    served.url = f"http://127.0.0.1:{served.server_address[1]}"
    thread = threading.Thread(target=served.serve_forever, args=(0.02,))
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


def html(body, **headers):
    return 200, {"Content-Type": "text/html"} | headers, body


def test_a_page_is_fetched(server):
    server.pages["/guide"] = html(b"<h1>Guide</h1>")
    got = fetch_page(f"{server.url}/guide?part=2#fees", HERE)
    assert got.data == b"<h1>Guide</h1>"
    assert got.name == "127.0.0.1/guide (part=2).html"
    assert got.suffix == ".html"
    assert got.url == f"{server.url}/guide?part=2"
    ((path, headers),) = server.asked
    assert path == "/guide?part=2"
    assert headers["Host"] == server.url.removeprefix("http://")
    assert not {"Cookie", "Authorization", "Referer"} & set(headers)


@pytest.mark.parametrize(
    ("path", "kind", "name"),
    [
        ("/", "text/html; charset=utf-8", "index.html"),
        ("/a.htm", "text/html", "a.htm"),
        ("/notes.md", "text/plain", "notes.md"),
        ("/list.csv", "application/octet-stream", "list.csv"),
        ("/download", "application/pdf", "download.pdf"),
        ("/page.php", "text/html", "page.php.html"),
        ("/x/%2e%2e/%2fetc/y.txt", "text/plain", "x/etc/y.txt"),
        ("/all.zip", "application/zip", "all.zip"),
    ],
)
def test_the_name_ends_as_the_content_is_read(server, path, kind, name):
    server.pages[path] = (200, {"Content-Type": kind}, b"body")
    assert fetch_page(server.url + path, HERE).name == f"127.0.0.1/{name}"


def test_kinds_that_cannot_be_read_are_refused(server):
    server.pages["/a.png"] = (200, {"Content-Type": "image/png"}, b"\x89PNG")
    server.pages["/x"] = (200, {}, b"what")
    for path, kind in (("/a.png", "image/png"), ("/x", "unknown")):
        with pytest.raises(FetchError, match=kind):
            fetch_page(server.url + path, HERE)


def test_the_servers_encoding_counts(server):
    server.pages["/l.html"] = html(
        "<p>Größe</p>".encode("latin-1"), **{"Content-Type": "text/html; charset=ISO-8859-1"}
    )
    assert fetch_page(server.url + "/l.html", HERE).data == b"\xef\xbb\xbf" + "<p>Größe</p>".encode()


def test_redirects_are_followed_and_counted(server):
    server.pages["/end.html"] = html(b"<p>end</p>")
    server.pages["/a"] = (302, {"Location": "end.html"}, b"")
    assert fetch_page(server.url + "/a", HERE).url == server.url + "/end.html"
    server.pages["/loop"] = (301, {"Location": "/loop"}, b"")
    with pytest.raises(FetchError, match="more than 5 times"):
        fetch_page(server.url + "/loop", HERE)
    server.pages["/nowhere"] = (302, {}, b"")
    with pytest.raises(FetchError, match="does not say where"):
        fetch_page(server.url + "/nowhere", HERE)
    for target in ("file:///etc/passwd", "ftp://example.org/x", "gopher://127.0.0.1:70/"):
        server.pages["/bad"] = (302, {"Location": target}, b"")
        with pytest.raises(FetchError, match="no web address"):
            fetch_page(server.url + "/bad", HERE)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://[::1]/",
        "http://0.0.0.0/",
        "http://10.0.0.8/",
        "http://192.168.1.1/",
        "http://172.16.0.1:8080/",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.0.1/",
        "http://[fd00::1]/",
        "http://[fe80::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://2130706433/",  # 127.0.0.1 as one number
        "http://0x7f.1/",
        "http://224.0.0.1/",
    ],
)
def test_private_addresses_are_refused_before_anything_is_sent(url, monkeypatch):
    def connect(*_):
        raise AssertionError("it was connected to")

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(FetchError, match=r"local network|not known"):
        fetch_page(url)


def test_public_addresses_are_told_from_others():
    assert is_public("93.184.216.34")
    assert is_public("2606:2800:220:1::1")
    assert is_public("::ffff:93.184.216.34")
    assert not is_public("::ffff:10.1.1.1")
    assert not is_public("240.0.0.1")
    assert not is_public("fe80::1%eth0")


def test_a_redirect_into_the_own_network_is_refused(server, monkeypatch):
    """The first address counts as public here, so that the check of the second is seen."""
    server.pages["/a"] = (302, {"Location": "http://169.254.169.254/secret"}, b"")
    monkeypatch.setattr(web_address, "is_public", lambda address: address == "127.0.0.1")
    with pytest.raises(FetchError, match=r"169\.254\.169\.254"):
        fetch_page(server.url + "/a", FetchOptions(timeout_s=2.0))


def test_the_name_is_looked_up_once(server, monkeypatch):
    """A name that leads elsewhere the second time changes nothing."""
    server.pages["/"] = html(b"<p>here</p>")
    port = server.server_address[1]
    looked_up = []
    real = socket.getaddrinfo

    def lookup(host, *rest, **named):
        if host != "rebound.example":
            return real(host, *rest, **named)
        looked_up.append(host)
        address = "127.0.0.1" if len(looked_up) == 1 else "203.0.113.9"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert fetch_page(f"http://rebound.example:{port}/", HERE).data == b"<p>here</p>"
    assert looked_up == ["rebound.example"]
    assert server.asked[0][1]["Host"] == f"rebound.example:{port}"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("file:///etc/passwd", "no web address"),
        ("ftp://example.org/a", "no web address"),
        ("https://", "no web address"),
        ("http://example.org:99999/", "no web address"),
        ("http://[::1/", "no web address"),
        ("https://ann:secret@example.org/", "name and password"),
    ],
)
def test_other_addresses_are_refused(url, told):
    with pytest.raises(FetchError, match=told) as caught:
        fetch_page(url)
    assert "secret" not in str(caught.value)


def drip_headers(listener):
    """A server that is never done with its headers."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in range(100):
            time.sleep(0.05)
            try:
                connection.sendall(b"x")
            except OSError:
                return


def test_what_is_too_large_too_slow_or_cut_is_refused(server):
    server.pages["/big"] = html(b"", **{"Content-Length": "100001"})
    server.pages["/grows"] = html([b"x" * 50_000] * 3)
    server.pages["/bomb"] = html(gzip.compress(bytes(10_000_000)), **{"Content-Encoding": "gzip"})
    for path in ("/big", "/grows", "/bomb"):
        with pytest.raises(FetchError, match="larger than"):
            fetch_page(server.url + path, HERE)
    server.pages["/cut"] = html(b"<p>half", **{"Content-Length": "5000"})
    with pytest.raises(FetchError, match="ended after 7 of 5000"):
        fetch_page(server.url + "/cut", HERE)

    def drip():
        for _ in range(100):
            time.sleep(0.05)
            yield b"x"

    server.pages["/drip"] = html(drip())
    quick = FetchOptions(allow_private=True, timeout_s=0.3, total_s=0.4)
    with pytest.raises(FetchError, match="took more than"):
        fetch_page(server.url + "/drip", quick)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip_headers, args=(listener,), daemon=True).start()
        with pytest.raises(FetchError, match="took more than"):
            fetch_page(f"http://127.0.0.1:{listener.getsockname()[1]}/", quick)

    def stall():
        time.sleep(0.6)
        yield b"x"

    server.pages["/stall"] = html(stall())
    with pytest.raises(FetchError, match="nothing came"):
        fetch_page(server.url + "/stall", quick)


def test_errors_of_the_server_are_told(server):
    with pytest.raises(FetchError, match="status 404"):
        fetch_page(server.url + "/gone", HERE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(FetchError, match="nothing answers"):
        fetch_page(f"http://127.0.0.1:{port}/", HERE)


def test_gzip_that_nobody_asked_for_is_unpacked(server):
    server.pages["/z.html"] = html(gzip.compress(b"<p>z</p>"), **{"Content-Encoding": "gzip"})
    assert fetch_page(server.url + "/z.html", HERE).data == b"<p>z</p>"


def test_what_looks_like_an_address():
    assert is_url("https://example.org/a")
    assert is_url("HTTP://example.org")
    assert not is_url("notes.md")
    assert not is_url("C:/docs")
