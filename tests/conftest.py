"""For all tests: how many of them run at a time."""

import os


def pytest_xdist_auto_num_workers() -> int:
    """Return how many workers `-n auto` starts: half as many again as there are cores.

    Many tests wait for processes of their own; with a worker a core, a third of the time would go
    by with nothing to do.
    """
    return max(2, (os.cpu_count() or 1) * 3 // 2)
