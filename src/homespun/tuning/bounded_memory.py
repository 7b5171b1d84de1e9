"""Memory that would grow with every new length of examples, kept within bounds.

Each new number of rows makes new kernels, which oneDNN and torch keep by the thousand with their buffers, and
leaves holes in the heap that no later array fits. Without bounds a run on real rows grew by 330 MB a step.
"""

import ctypes
import os
import sys

_KEPT_KERNELS = "32"
_M_MMAP_THRESHOLD = -3
#: Arrays from this size on are given back to the system when they are dropped.
_LARGE_BYTES = 2_000_000


def bound_memory() -> None:
    """Set the bounds for this process; to be called before torch computes anything. A person's own settings stay.

    It costs nothing where a few hundred tokens are computed together, and a fifth to a third of the speed where
    thousands are.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _KEPT_KERNELS)
    os.environ.setdefault("LRU_CACHE_CAPACITY", _KEPT_KERNELS)
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        except (OSError, AttributeError):
            return  # another C library than glibc
