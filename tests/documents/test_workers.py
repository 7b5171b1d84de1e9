"""Files read in worker processes: in order, and one that crashes, hangs or bloats its reader harms no other."""

import os
import signal
import subprocess
import sys
import threading
import time
import zipfile

import pytest

from homespun.documents.read import read_document
from homespun.documents.workers import ReadingPool, ReadJob

TABLE = "<table>" + "<tr><td>a</td><td>b</td></tr>" * 100_000 + "</table>"  # seconds of work


@pytest.fixture
def pages(tmp_path):
    """Eight web pages, with text that is no ASCII, and the jobs to read them."""
    jobs = []
    for index in range(8):
        path = tmp_path / f"{index}.html"
        path.write_text(
            f"<h1>Seite {index}</h1><p>Größe 歪 {index}</p><table><tr><th>a<th>b<tr><td>1<td>2</table>"
        )
        jobs.append(ReadJob(path, f"folder/{path.name}"))
    return jobs


@pytest.fixture
def slow(tmp_path):
    path = tmp_path / "slow.html"
    path.write_text(TABLE)
    return ReadJob(path, "slow.html")


def busy_worker(pool):
    """The process of a worker at work, waited for."""
    for _ in range(2000):
        for worker in tuple(pool._workers):
            if worker.is_busy:
                time.sleep(0.2)
                return worker._process.pid
        time.sleep(0.005)
    raise AssertionError("no worker began")


def test_documents_come_in_the_order_of_the_jobs_as_without_workers(pages, tmp_path, build_pdf, pdf_page):
    pdf = tmp_path / "two.pdf"
    pdf.write_bytes(build_pdf([pdf_page(["The first page."]), pdf_page(["The second page."])]))
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("in/side.html", "<p>inside</p>")
    text = tmp_path / "plain.txt"
    text.write_text("plain")
    jobs = [
        *pages,
        ReadJob(pdf, "two.pdf"),
        ReadJob(archive, "all.zip/in/side.html", "in/side.html"),
        ReadJob(text, "plain.txt"),
        ReadJob(tmp_path / "gone.pdf", "gone.pdf"),
    ]
    with ReadingPool(2) as pool:
        documents = list(pool.read(iter(jobs)))
        assert documents == [read_document(job.path, job.name, job.member) for job in jobs]
        assert pool.record.n_started == 2
    assert documents[8].pages[1].number == 2
    assert [document.status for document in documents[-4:]] == ["read", "read", "read", "not read"]


def test_a_few_plain_files_start_no_worker(tmp_path):
    jobs = []
    for name in ("a.txt", "b.md", "c.csv"):
        (tmp_path / name).write_text("x,y\n1,2\n")
        jobs.append(ReadJob(tmp_path / name, name))
    with ReadingPool() as pool:
        assert [document.status for document in pool.read(jobs)] == ["read"] * 3
        assert [document.name for document in pool.read(jobs[:2] * 8)] == ["a.txt", "b.md"] * 8
        assert list(pool.read([])) == []
        assert pool.record.n_started == 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_crash_and_a_hang_are_told_and_the_worker_replaced(pages, slow):
    harms = iter((signal.SIGSEGV, signal.SIGSTOP))

    def harm(pool):
        os.kill(busy_worker(pool), next(harms))

    for reason in ("crashed (SIGSEGV)", "took more than 3 seconds"):
        with ReadingPool(1, timeout_s=3.0) as pool:
            threading.Thread(target=harm, args=(pool,)).start()
            documents = list(pool.read([slow, *pages]))
            assert documents[0].status == "not read"
            assert reason in documents[0].reason
            assert [document.status for document in documents[1:]] == ["read"] * 8
            assert pool.record.n_started == 2
            assert (pool.record.n_crashed, pool.record.n_stopped) == ((1, 0) if "SEGV" in reason else (0, 1))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a bound on the address space")
@pytest.mark.parametrize("memory_mib", [36, pytest.param(80, marks=pytest.mark.long)])
def test_a_file_that_needs_too_much_memory_is_told(pages, slow, memory_mib):
    """At 80 MiB it runs short where Python 3.11 cannot even raise the error."""
    with ReadingPool(1, memory_bytes=memory_mib * 2**20) as pool:
        documents = list(pool.read([slow, *pages[:4]]))
    assert documents[0].status == "not read"
    assert "memory" in documents[0].reason
    assert [document.reason for document in documents[1:]] == [""] * 4


def test_leaving_early_ends_the_workers_at_once(pages, slow):
    pool = ReadingPool(2)
    for document in pool.read([pages[0], slow, slow, slow, *pages]):
        assert document.name == pages[0].name
        break
    processes = [worker._process for worker in pool._workers]
    pool.close()
    assert all(process.poll() is not None for process in processes)


def test_workers_do_not_run_the_program_again(tmp_path, pages):
    """A script without a main guard must not be started once more by each worker."""
    script = tmp_path / "script.py"
    script.write_text(
        "print('begun')\n"
        "from pathlib import Path\n"
        "from homespun.documents.workers import ReadingPool, ReadJob\n"
        f"jobs = [ReadJob(path, path.name) for path in sorted(Path({str(tmp_path)!r}).glob('*.html'))]\n"
        "with ReadingPool(2) as pool:\n"
        "    print(sum(document.status == 'read' for document in pool.read(jobs)))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["begun", "8"], done.stderr
    assert done.stderr == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_workers_end_with_a_killed_parent(tmp_path, pages):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal\n"
        "from pathlib import Path\n"
        "from homespun.documents.workers import ReadingPool, ReadJob\n"
        f"jobs = [ReadJob(path, path.name) for path in sorted(Path({str(tmp_path)!r}).glob('*.html'))]\n"
        "pool = ReadingPool(2)\n"
        "list(pool.read(jobs))\n"
        "print(*[worker._process.pid for worker in pool._workers], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    pids = [int(word) for word in done.stdout.split()]
    assert pids
    for _ in range(200):
        left = [pid for pid in pids if is_running(pid)]
        if not left:
            break
        time.sleep(0.05)
    assert not left


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
