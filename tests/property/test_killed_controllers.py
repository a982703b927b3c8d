"""Whatever becomes of their process and its connections, controllers do what was asked for last.

All controllers as they are, over the network of `distant_cluster.py`.
"""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.distant_cluster import Cluster
from tests.virtual_time import VirtualLoop

from kubeberth.api.scheme import (
    CONTROLLER_REVISIONS,
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
)

# As long as upstream's back-off takes for a dozen failures in a row.
CALM_S = 60.0
ROLLING = {"type": "RollingUpdate"}
ONE_BY_ONE = {"updateStrategy": {**ROLLING, "rollingUpdate": {"maxUnavailable": 1}}}
SURGE = {"strategy": {**ROLLING, "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}
SETS = {
    "ordered": (STATEFUL_SETS, {"updateStrategy": ROLLING, "revisionHistoryLimit": 1}),
    "parallel": (STATEFUL_SETS, {"podManagementPolicy": "Parallel", **ONE_BY_ONE}),
    "hasty": (STATEFUL_SETS, {"podManagementPolicy": "Parallel", "updateStrategy": ROLLING}),
    "web": (DEPLOYMENTS, {**SURGE, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10}),
}
WRITES = [
    *(("create", resource) for resource in (PODS, CONTROLLER_REVISIONS, REPLICA_SETS)),
    *(("patch", resource) for resource in (STATEFUL_SETS, CONTROLLER_REVISIONS, REPLICA_SETS)),
    ("delete", PODS),
]
names = st.sampled_from(list(SETS))
happenings = st.one_of(
    st.tuples(st.just("roll"), names, st.integers(1, 3)),
    st.tuples(st.just("scale"), names, st.integers(0, 4)),
    st.tuples(st.just("refuse"), st.sampled_from(WRITES), st.floats(0.1, 2.0)),
    st.tuples(st.just("end"), st.sampled_from(("fail", "delete")), st.integers(0, 9)),
    st.tuples(st.just("kill"), st.none(), st.just(0.0)),
    st.tuples(st.just("lose"), st.booleans(), st.floats(0.1, 5.0)),
)
stories = st.lists(
    st.tuples(st.floats(0.001, 3.0, allow_subnormal=False), happenings), min_size=4, max_size=30
)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), story=stories)
def test_sets_are_what_was_asked_for_last_whatever_becomes_of_their_controllers(seed, story):
    async def scenario():
        cluster = Cluster(seed, SETS)
        async with cluster.going_on():
            for pause_s, happening in story:
                await asyncio.sleep(pause_s)
                await cluster.happen(*happening)
            await asyncio.sleep(CALM_S)
            assert cluster.stayed_behind() == {}

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scenario())
