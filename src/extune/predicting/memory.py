"""How much memory this process has needed. In: nothing. Out: bytes. It knows nothing about models."""

from __future__ import annotations

import sys

import psutil
import torch


def peak_memory() -> int:
    """Largest resident size of the process so far, in bytes."""
    if sys.platform == "win32":
        peak: int = psutil.Process().memory_info().peak_wset
        return peak
    import resource  # absent on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB


def peak_gpu_memory() -> int:
    """Most memory that tensors have taken on the current GPU so far, in bytes; 0 without a GPU."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
