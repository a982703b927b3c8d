"""Whatever becomes of its controllers, a rollout has never too many pods, nor too few available.

All controllers as they are, over the network of `distant_cluster.py`; templates that there were
before come back at any time. Looked at are the pods that stay, after every single change. What a
killed process had asked for is heard before its successor has started, as where both are on the
machine of the server: its connections are read to their end before new ones are.
"""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.distant_cluster import LONGEST_S, Cluster, is_serving
from tests.virtual_time import VirtualLoop

from kubeberth.api.scheme import DEPLOYMENTS, PODS, REPLICA_SETS

REPLICAS = 10
# Until all pods are there for the first time.
START_S = 30.0


def rolling(surge, unavailable):
    strategy = {"maxSurge": surge, "maxUnavailable": unavailable}
    more = {"progressDeadlineSeconds": 600, "revisionHistoryLimit": 10}
    return DEPLOYMENTS, {"strategy": {"type": "RollingUpdate", "rollingUpdate": strategy}, **more}


SETS = {
    "usual": rolling("25%", "25%"),
    "careful": rolling(1, 0),
    "tight": rolling(0, 2),
}
MOST_AND_LEAST = {"usual": (13, 8), "careful": (11, 10), "tight": (10, 8)}
WRITES = [
    *((verb, PODS) for verb in ("create", "delete")),
    *((verb, REPLICA_SETS) for verb in ("create", "patch")),
    ("patch", DEPLOYMENTS),
]
happenings = st.one_of(
    st.tuples(st.just("roll"), st.sampled_from(list(SETS)), st.integers(1, 4)),
    st.tuples(st.just("kill"), st.none(), st.floats(LONGEST_S, 1.0)),
    st.tuples(st.just("refuse"), st.sampled_from(WRITES), st.floats(0.1, 2.0)),
)
stories = st.lists(
    st.tuples(st.floats(0.001, 1.5, allow_subnormal=False), happenings), min_size=6, max_size=30
)


def breaches(api):
    """Return which sets have too many pods now, or too few that serve."""
    staying = [
        pod for pod in api.objects[PODS].values() if "deletionTimestamp" not in pod["metadata"]
    ]
    for name, (most, least) in MOST_AND_LEAST.items():
        mine = [pod for pod in staying if pod["metadata"]["labels"]["app"] == name]
        n_serving = sum(map(is_serving, mine))
        if len(mine) > most or n_serving < least:
            yield f"{name}: {len(mine)} pods, {n_serving} serve"


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), story=stories)
def test_a_rollout_stays_within_its_bounds_whatever_becomes_of_its_controllers(seed, story):
    async def scenario():
        cluster, found = Cluster(seed, SETS, REPLICAS), []
        async with cluster.going_on():
            await asyncio.sleep(START_S)
            cluster.api.onlookers.append(lambda: found.extend(breaches(cluster.api)))
            for pause_s, happening in story:
                await asyncio.sleep(pause_s)
                await cluster.happen(*happening)
            await asyncio.sleep(START_S)
        assert found == []

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scenario())
