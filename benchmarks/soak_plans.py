"""Whether plans are what happens, on as many random clusters and manifests as time allows.

    python -m benchmarks.soak_plans [--minutes 10] [--seed 1]

In turn, a few dozen examples of each property that the tests hold of plans:

- manifests land, are refused and roll out in a live cluster in virtual time as planned
- a cluster in which things are under way comes to rest as planned
- nodes are drained, tainted, lost and added, and workloads scaled, as planned
- what is suggested for a pending pod gives it its node, once it is done
- a snapshot without names has the same answers as one with them

The tests try the same on far fewer. It stops by itself; at the first example that fails, which is
made as small as it gets within a minute and printed with the seed that found it, it ends with 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption
from tests.property.planned_worlds import WITH_POLICIES, node_specs, releases, stories
from tests.property.test_plan_equals_live import (
    asked_about,
    check_adding,
    check_draining,
    check_landing,
    check_losing,
    check_scaling,
    check_tainting,
    check_under_way,
    delays,
    sizes,
)
from tests.property.test_remedies_applied import asked_pods, asked_workloads, check_remedies, nodes
from tests.property.test_snapshots import check_names

# So many are tried of one property before the next one has its turn.
N_EXAMPLES = 25
# So much longer may it take, when the time is over, to make an example small that fails.
SHRINKING_S = 60.0

PROPERTIES: tuple[tuple[Callable[..., None], tuple[st.SearchStrategy[Any], ...]], ...] = (
    (check_landing, (node_specs(), stories())),
    (check_under_way, (node_specs(), stories(), delays)),
    (check_draining, (node_specs(), asked_about, st.integers(1, 2))),
    (check_tainting, (node_specs(), asked_about)),
    (check_losing, (node_specs(), releases(WITH_POLICIES))),
    (check_adding, (node_specs(), releases(WITH_POLICIES), st.integers(1, 2))),
    (check_scaling, (node_specs(), asked_about, sizes)),
    (check_remedies, (nodes(), releases(), asked_pods())),
    (check_remedies, (nodes(), releases(), asked_workloads())),
    (check_names, (nodes(), releases())),
)

few = settings(
    deadline=None,
    max_examples=N_EXAMPLES,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)


def try_some(
    check: Callable[..., None],
    strategies: tuple[st.SearchStrategy[Any], ...],
    number: int,
    ends_at: float,
) -> int:
    """Try some examples of a property, the same ones for the same number; return how many.

    Parameters
    ----------
    ends_at
        When no new examples are tried any more, by the monotonic clock.
    """
    n_tried = 0
    failing: set[str] = set()

    @seed(number)
    @few
    @given(st.tuples(*strategies))
    def tried(example: tuple[Any, ...]) -> None:
        nonlocal n_tried, ends_at
        if time.monotonic() > ends_at and repr(example) not in failing:
            return
        n_tried += 1
        try:
            check(*example)
        except UnsatisfiedAssumption:
            raise
        except Exception:
            if not failing:
                ends_at = max(ends_at, time.monotonic() + SHRINKING_S)
            failing.add(repr(example))
            raise

    tried()
    return n_tried


def main() -> None:
    """Try all properties in turn until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    ends_at = time.monotonic() + options.minutes * 60
    tried: Counter[str] = Counter()
    number = options.seed
    while time.monotonic() < ends_at:
        for check, strategies in PROPERTIES:
            try:
                tried[check.__name__] += try_some(check, strategies, number, ends_at)
            except BaseException:
                print(f"{check.__name__} fails with --seed {number}", file=sys.stderr)
                raise
        number += 1
    for name, count in tried.items():
        print(f"{name:16} {count:6} examples, all as planned")


if __name__ == "__main__":
    main()
