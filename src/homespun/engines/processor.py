"""What this machine's processor is and how much of it this process may use."""

import os
import platform
from functools import cache
from pathlib import Path


@cache
def processor_name() -> str:
    """The processor's own name, with the instruction sets that decide speed (Linux says them)."""
    # Not platform.processor(): it may fork, which the native libraries loaded by then do not survive well.
    name = os.environ.get("PROCESSOR_IDENTIFIER") or platform.machine()
    flags: set[str] = set()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            elif key.strip() == "flags":
                flags = set(value.split())
                break
    told = [label for flag, label in _TOLD_FLAGS if flag in flags]
    return f"{name} ({', '.join(told)})" if told else name


_TOLD_FLAGS = (
    ("avx2", "AVX2"),
    ("avx512f", "AVX-512"),
    ("avx512_vnni", "VNNI"),
    ("avx512_bf16", "bf16"),
    ("amx_tile", "AMX"),
)


def usable_threads() -> int:
    """Processors that this process may really use: its affinity, and the quota of its control group."""
    affinity = getattr(os, "sched_getaffinity", None)
    n_threads = len(affinity(0)) if affinity else (os.cpu_count() or 1)
    quota = _control_group_quota()
    return max(1, min(n_threads, quota)) if quota else max(1, n_threads)


def _control_group_quota() -> int | None:
    """Whole processors of the control group's quota (cgroup v2), None where there is no limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None


def available_memory_bytes() -> int:
    """Memory that can still be used: the machine's, or what the control group leaves if that is less."""
    free = _machine_memory_bytes()
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text()) - _cached_file_bytes()
    except (OSError, ValueError):
        return free
    return free if limit == "max" else min(free, max(0, int(limit) - used))


def _cached_file_bytes() -> int:
    """Files kept in the control group's memory that it gives up when asked: a model just read is one."""
    lines = Path("/sys/fs/cgroup/memory.stat").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))


def _machine_memory_bytes() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 4 << 30  # not told by this system: a modest guess
