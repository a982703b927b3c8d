"""A configuration becomes profiles, or says in one line per fault what is wrong and where."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from tests.unit.placement.builders import (
    PREFERRED,
    REQUIRED,
    ZONE,
    expression,
    far,
    make_node,
    make_pod,
    near,
    node_terms,
    term,
)

from kubeberth.api.scheduler_config import GROUP_VERSION, KIND
from kubeberth.placement.config.decoding import ConfigurationError
from kubeberth.placement.config.profiles import to_profiles
from kubeberth.placement.config.validation import decode_configuration
from kubeberth.placement.delta import NodePut, PodPut
from kubeberth.placement.engine import Engine
from kubeberth.placement.explain import explain
from kubeberth.placement.explanation import Explanation
from kubeberth.placement.plugin import Codes, Reads, Rejection
from kubeberth.placement.profile import Profile, default_profile
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes


def document(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": GROUP_VERSION, "kind": KIND, **fields}


def profile_of(**profile: Any) -> Profile:
    (found,) = to_profiles(decode_configuration(document(profiles=[profile])))
    return found


def with_args(plugin: str, **args: Any) -> Profile:
    return profile_of(pluginConfig=[{"name": plugin, "args": args}])


def faults(**fields: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        to_profiles(decode_configuration(document(**fields)))
    return str(raised.value).split("\n")


def faults_of_args(plugin: str, **args: Any) -> list[str]:
    lines = faults(profiles=[{"pluginConfig": [{"name": plugin, "args": args}]}])
    start = "profiles[0].pluginConfig[0].args."
    assert all(line.startswith(start) for line in lines)
    return [line.removeprefix(start) for line in lines]


def cluster(*placed: Any) -> ClusterState:
    """Return two nodes in two zones, with some pods on the first."""
    state = ClusterState()
    state.apply(NodePut(make_node("a", labels={ZONE: "zone-a"})))
    state.apply(NodePut(make_node("b", labels={ZONE: "zone-b"})))
    for pod in placed:
        state.apply(PodPut(pod, "a"))
    return state


def story(profile: Profile, *placed: Any, **pod: Any) -> Explanation:
    return explain(cluster(*placed), make_pod("new", **pod), profile)


# The file


def test_empty_configuration_is_the_default_profile() -> None:
    (found,) = to_profiles(decode_configuration(document()))
    default = default_profile()
    assert found.name == "default-scheduler"
    assert [rule.name for rule in found.filters] == [rule.name for rule in default.filters]
    assert [(r.name, w) for r, w in found.scores] == [(r.name, w) for r, w in default.scores]


def test_the_only_profile_is_named_default_scheduler() -> None:
    assert profile_of().name == "default-scheduler"


def test_null_is_as_good_as_left_out() -> None:
    assert profile_of(schedulerName=None, plugins=None).name == "default-scheduler"


def test_several_profiles_each_have_their_own_rules() -> None:
    bare = {"plugins": {"score": {"disabled": [{"name": "*"}]}}}
    first, second = to_profiles(
        decode_configuration(
            document(profiles=[{"schedulerName": "one"}, {"schedulerName": "two", **bare}])
        )
    )
    assert (first.name, second.name) == ("one", "two")
    assert first.scores
    assert second.scores == ()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            {"paralelism": 3, "profiles": [{"plugin": {}}]},
            [
                "paralelism: unknown field; did you mean parallelism?",
                "profiles[0].plugin: unknown field; did you mean plugins?",
            ],
            id="fields that do not exist",
        ),
        pytest.param(
            {"parallelism": "many"},
            ["parallelism: expected an integer, got a text"],
            id="another type",
        ),
        pytest.param(
            {"profiles": {}},
            ["profiles: expected a list, got a mapping"],
            id="a mapping instead of a list",
        ),
        pytest.param(
            {"podMaxBackoffSeconds": 1, "podInitialBackoffSeconds": 2},
            [
                "podMaxBackoffSeconds: Invalid value: 1: must be greater than or equal to "
                "PodInitialBackoffSeconds"
            ],
            id="shortest backoff above the longest",
        ),
        pytest.param(
            {"parallelism": 0, "percentageOfNodesToScore": 101, "podInitialBackoffSeconds": 0},
            [
                "parallelism: Invalid value: 0: should be an integer value greater than zero",
                "percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]",
                "podInitialBackoffSeconds: Invalid value: 0: must be greater than 0",
            ],
            id="numbers out of range",
        ),
        pytest.param(
            {"profiles": [{"schedulerName": "x"}, {"schedulerName": "x"}, {}]},
            [
                'profiles[1].schedulerName: Duplicate value: "x"',
                "profiles[2].schedulerName: Required value: with several profiles, each needs a "
                "name",
            ],
            id="names of profiles",
        ),
        pytest.param(
            {"profiles": [{"percentageOfNodesToScore": -1}]},
            ["profiles[0].percentageOfNodesToScore: Invalid value: -1: not in valid range [0-100]"],
            id="percentage of a profile",
        ),
        pytest.param(
            {"leaderElection": {"leaseDuration": "soon", "resourceLock": "endpoints"}},
            [
                'leaderElection.leaseDuration: Invalid value: "soon": time: invalid duration '
                '"soon"',
                'leaderElection.resourceLock: Invalid value: "endpoints": resourceLock value must '
                'be "leases"',
            ],
            id="leader election",
        ),
        pytest.param(
            {"extenders": [{"urlPrefix": "http://example.com"}]},
            ["extenders: Forbidden: no extender is called here; a plugin can do the same"],
            id="extenders",
        ),
        pytest.param(
            {"profiles": [{"plugins": {"multiPoint": {"disabled": [{"name": "*"}]}}}]},
            [
                "profiles[0].plugins.queueSort: Required value: only one queue sort plugin "
                'required for profile with scheduler name "default-scheduler", but got 0',
                "profiles[0].plugins.bind: Required value: at least one bind plugin is needed for "
                'profile with scheduler name "default-scheduler"',
            ],
            id="no plugin to sort and to bind",
        ),
        pytest.param(
            {"profiles": [{"pluginConfig": [{"name": "NodeName"}, {"name": "NodeName"}]}]},
            ['profiles[0].pluginConfig[1].name: Duplicate value: "NodeName"'],
            id="arguments twice",
        ),
        pytest.param(
            {"profiles": [{"pluginConfig": [{"name": "NodeNam"}]}]},
            ['profiles[0].pluginConfig[0].name: Invalid value: "NodeNam": no plugin has this name'],
            id="arguments of nobody",
        ),
    ],
)
def test_a_wrong_file_is_refused(fields: dict[str, Any], expected: list[str]) -> None:
    assert faults(**fields) == expected


def test_another_version_is_refused() -> None:
    with pytest.raises(ConfigurationError) as raised:
        decode_configuration({"apiVersion": "kubescheduler.config.k8s.io/v1beta3", "kind": KIND})
    assert str(raised.value) == (
        'apiVersion: Unsupported value: "kubescheduler.config.k8s.io/v1beta3": '
        'supported values: "kubescheduler.config.k8s.io/v1"'
    )


@pytest.mark.parametrize("nothing", [None, [], "text"])
def test_what_is_no_mapping_is_refused(nothing: object) -> None:
    with pytest.raises(ConfigurationError, match="the file: must be a mapping"):
        decode_configuration(nothing)


# Arguments


@pytest.mark.parametrize(
    ("plugin", "args", "expected"),
    [
        pytest.param(
            "InterPodAffinity",
            {"kind": "NodeAffinityArgs"},
            [
                'kind: Invalid value: "NodeAffinityArgs": has to match plugin args: those of '
                "InterPodAffinity are InterPodAffinityArgs"
            ],
            id="of another plugin",
        ),
        pytest.param(
            "InterPodAffinity",
            {"hardPodAffinityWeight": 101},
            ["hardPodAffinityWeight: Invalid value: 101: not in valid range [0, 100]"],
            id="hard pod affinity weight",
        ),
        pytest.param(
            "DefaultPreemption",
            {"minCandidateNodesPercentage": 0, "minCandidateNodesAbsolute": 0},
            [
                "minCandidateNodesPercentage: Invalid value: 0: cannot be zero at the same time as "
                "minCandidateNodesAbsolute",
                "minCandidateNodesAbsolute: Invalid value: 0: cannot be zero at the same time as "
                "minCandidateNodesPercentage",
            ],
            id="no candidates",
        ),
        pytest.param(
            "DefaultPreemption",
            {"minCandidateNodesPercentage": 101, "minCandidateNodesAbsolute": -1},
            [
                "minCandidateNodesPercentage: Invalid value: 101: not in valid range [0, 100]",
                "minCandidateNodesAbsolute: Invalid value: -1: not in valid range [0, inf)",
            ],
            id="candidates out of range",
        ),
        pytest.param(
            "NodeResourcesFit",
            {"scoringStrategy": {"type": "RequestedToCapacityRatio"}},
            [
                "scoringStrategy.requestedToCapacityRatio: Required value: must be specified when "
                "type is RequestedToCapacityRatio"
            ],
            id="ratio without a shape",
        ),
        pytest.param(
            "NodeResourcesFit",
            {
                "scoringStrategy": {
                    "type": "RequestedToCapacityRatio",
                    "resources": [{"name": "cpu", "weight": 101}],
                    "requestedToCapacityRatio": {
                        "shape": [
                            {"utilization": 50, "score": 11},
                            {"utilization": 50, "score": 1},
                            {"utilization": 101, "score": 1},
                        ]
                    },
                }
            },
            [
                "scoringStrategy.resources[0].weight: Invalid value: 101: resource weight of cpu "
                "not in valid range (0, 100]",
                "scoringStrategy.requestedToCapacityRatio.shape[1].utilization: Invalid value: 50: "
                "values must be sorted in increasing order",
                "scoringStrategy.requestedToCapacityRatio.shape[0].score: Invalid value: 11: not "
                "in valid range [0, 10]",
                "scoringStrategy.requestedToCapacityRatio.shape[2].utilization: Invalid value: "
                "101: not in valid range [0, 100]",
            ],
            id="bad shape",
        ),
        pytest.param(
            "NodeResourcesFit",
            {"ignoredResourceGroups": ["a/b"], "ignoredResources": ["-"]},
            [
                'ignoredResources[0]: Invalid value: "-": name part must consist of alphanumeric '
                "characters, '-', '_' or '.', and must start and end with an alphanumeric character"
                " (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
                "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
                'ignoredResourceGroups[0]: Invalid value: "a/b": resource group name can\'t '
                "contain '/'",
            ],
            id="ignored resources",
        ),
        pytest.param(
            "NodeResourcesBalancedAllocation",
            {"resources": [{"name": "cpu", "weight": 2}, {"name": "cpu", "weight": 1}]},
            [
                "resources[0].weight: Invalid value: 2: must be 1",
                'resources[1].name: Duplicate value: "cpu"',
            ],
            id="resources to balance",
        ),
        pytest.param(
            "NodeAffinity",
            {"addedAffinity": node_terms([expression("disk", "Near", "x")])["nodeAffinity"]},
            [
                f"addedAffinity.{REQUIRED}.nodeSelectorTerms[0]: "
                '"Near" is not a valid label selector operator'
            ],
            id="added affinity that does not parse",
        ),
        pytest.param(
            "PodTopologySpread",
            {
                "defaultConstraints": [
                    {"maxSkew": 0, "topologyKey": "a", "whenUnsatisfiable": "Never"},
                    {"maxSkew": 1, "labelSelector": {}},
                ]
            },
            [
                'defaultingType: Invalid value: "System": when .defaultConstraints are not empty',
                "defaultConstraints[0].maxSkew: Invalid value: 0: not in valid range (0, inf)",
                'defaultConstraints[0].whenUnsatisfiable: Unsupported value: "Never": supported '
                'values: "DoNotSchedule", "ScheduleAnyway"',
                "defaultConstraints[1].topologyKey: Required value: can not be empty",
                "defaultConstraints[1].whenUnsatisfiable: Required value: can not be empty",
                "defaultConstraints[1].labelSelector: Forbidden: constraint must not define a "
                "selector, as they deduced for each pod",
            ],
            id="default constraints",
        ),
        pytest.param(
            "VolumeBinding",
            {"bindTimeoutSeconds": -1},
            [
                "bindTimeoutSeconds: Invalid value: -1: invalid BindTimeoutSeconds, should not be "
                "a negative value"
            ],
            id="volume binding timeout",
        ),
        pytest.param(
            "DynamicResources",
            {"filterTimeout": "-1s", "bindingTimeout": "500ms"},
            [
                'filterTimeout: Invalid value: "-1s": must be at least 0s',
                'bindingTimeout: Invalid value: "500ms": must be at least 1s',
            ],
            id="dynamic resources timeouts",
        ),
    ],
)
def test_wrong_arguments_are_refused(
    plugin: str, args: dict[str, Any], expected: list[str]
) -> None:
    assert faults_of_args(plugin, **args) == expected


def test_added_affinity_is_required_of_every_pod() -> None:
    added = node_terms([expression(ZONE, "In", "zone-a")])["nodeAffinity"]
    found = story(with_args("NodeAffinity", addedAffinity=added))
    assert found.feasible == ("a",)
    assert found.rejected["b"].reasons == ("node(s) didn't match scheduler-enforced node affinity",)
    assert found.rejected["b"].code == "UnschedulableAndUnresolvable"


def test_added_affinity_is_looked_at_before_the_pods_own() -> None:
    added = node_terms([expression(ZONE, "In", "zone-a")])["nodeAffinity"]
    own = node_terms([expression(ZONE, "In", "zone-c")])
    found = story(with_args("NodeAffinity", addedAffinity=added), affinity=own)
    assert found.rejected["a"].reasons == ("node(s) didn't match Pod's node affinity/selector",)
    assert found.rejected["b"].reasons == ("node(s) didn't match scheduler-enforced node affinity",)


def test_added_preferences_add_to_those_of_the_pod() -> None:
    prefers_b = {"matchExpressions": [expression(ZONE, "In", "zone-b")]}
    added = {PREFERRED: [{"weight": 5, "preference": prefers_b}]}
    profile = with_args("NodeAffinity", addedAffinity=added)
    assert story(profile).scores["NodeAffinity"] == {"a": 0, "b": 200}
    prefers_a = {"matchExpressions": [expression(ZONE, "In", "zone-a")]}
    own = {"nodeAffinity": {PREFERRED: [{"weight": 10, "preference": prefers_a}]}}
    assert story(profile, affinity=own).scores["NodeAffinity"] == {"a": 200, "b": 100}


FRIEND = make_pod("friend", labels={"app": "db"}, affinity=near(term(ZONE, "web")))
WEB = {"labels": {"app": "web"}}


def test_hard_pod_affinity_weight_of_zero_wants_nobody() -> None:
    profile = with_args("InterPodAffinity", hardPodAffinityWeight=0)
    assert "InterPodAffinity" not in story(profile, FRIEND, **WEB).scores
    assert story(default_profile(), FRIEND, **WEB).scores["InterPodAffinity"] == {"a": 200, "b": 0}


def test_ignored_preferences_count_again_for_pods_with_preferences_of_their_own() -> None:
    profile = with_args("InterPodAffinity", ignorePreferredTermsOfExistingPods=True)
    assert "InterPodAffinity" not in story(profile, FRIEND, **WEB).scores
    own = {"podAffinity": {PREFERRED: [{"weight": 1, "podAffinityTerm": term(ZONE, "none")}]}}
    found = story(profile, FRIEND, affinity=own, **WEB)
    assert found.scores["InterPodAffinity"] == {"a": 200, "b": 0}


def test_disabled_filter_refuses_nobody() -> None:
    profile = profile_of(plugins={"filter": {"disabled": [{"name": "InterPodAffinity"}]}})
    lonely = make_pod("lonely", affinity=far(term(ZONE, "web")))
    assert story(profile, lonely, **WEB).feasible == ("a", "b")
    assert story(default_profile(), lonely, **WEB).feasible == ("b",)


@pytest.mark.parametrize("weight", [1, 200_000, 2**31 - 1])
def test_weights_of_any_size_are_kept_apart(weight: int) -> None:
    enabled = [{"name": "TaintToleration", "weight": weight}]
    profile = profile_of(plugins={"multiPoint": {"enabled": enabled}})
    state = ClusterState()
    soft = [{"key": "spot", "effect": "PreferNoSchedule"}]
    state.apply(NodePut(make_node("empty", taints=soft)))
    state.apply(NodePut(make_node("full")))
    state.apply(PodPut(make_pod("there", requests={"cpu": "2", "memory": "4Gi"}), "full"))
    pod = make_pod("new", requests={"cpu": "1", "memory": "2Gi"})
    decision = Engine(state, profile).place(pod)
    found = explain(state, pod, profile)
    assert (decision.node,) == found.best == ("full",)
    assert decision.score == found.totals["full"]


def test_weights_that_no_total_can_hold_are_refused() -> None:
    enabled = [{"name": n, "weight": 2**31 - 1} for n in ("TaintToleration", "NodeAffinity")]
    assert faults(profiles=[{"plugins": {"multiPoint": {"enabled": enabled}}}]) == [
        "profiles[0].plugins.score: Invalid value: 4294967303: weights of all plugins together "
        "must be less than 2748779069"
    ]


# When no node fits

FULL = {"requests": {"cpu": "5"}}
TOO_LITTLE = "0/2 nodes are available: 2 Insufficient cpu."
PREEMPTION = "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."


@pytest.mark.parametrize(
    ("disabled", "tail"),
    [
        pytest.param([], f" no new claims to deallocate, {PREEMPTION}", id="nothing disabled"),
        pytest.param(["DynamicResources"], f" {PREEMPTION}", id="no dynamic resources"),
        pytest.param(["DefaultPreemption"], " no new claims to deallocate", id="no preemption"),
        pytest.param(["*"], "", id="nobody helps"),
    ],
)
def test_message_ends_with_what_the_post_filters_say(disabled: list[str], tail: str) -> None:
    names = [{"name": name} for name in disabled]
    found = story(profile_of(plugins={"postFilter": {"disabled": names}}), **FULL)
    assert found.failure is not None
    assert found.failure.message == TOO_LITTLE + tail


def test_without_dynamic_resources_preemption_is_asked_after_a_refusal() -> None:
    fields = [{"key": "metadata.name", "operator": "In", "values": [name]} for name in ("a", "b")]
    conflict = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": fields}]}}}
    names = [{"name": "DynamicResources"}]
    found = story(profile_of(plugins={"multiPoint": {"disabled": names}}), affinity=conflict)
    assert found.failure is not None
    assert found.failure.message == (
        f"0/2 nodes are available: pod affinity terms conflict. {PREEMPTION}"
    )


def test_disabled_preemption_finds_no_victims() -> None:
    lesser = make_pod("lesser", requests={"cpu": "4"})
    pod = {"priority": 1, "requests": {"cpu": "1"}, "nodeSelector": {ZONE: "zone-a"}}
    assert story(default_profile(), lesser, **pod).nominated == ("a",)
    names = [{"name": "DefaultPreemption"}]
    profile = profile_of(plugins={"postFilter": {"disabled": names}})
    assert story(profile, lesser, **pod).nominated == ()


def test_preemption_tries_as_many_nodes_as_its_arguments_say() -> None:
    profile = with_args(
        "DefaultPreemption", minCandidateNodesPercentage=0, minCandidateNodesAbsolute=1
    )
    assert profile.preemption.size(1000) == 1
    assert default_profile().preemption.size(1000) == 1000


# Plugins of one's own


class OnlyNodes:
    """Turn away all nodes but some."""

    name: ClassVar[str] = "OnlyNodes"
    reads: ClassVar[Reads] = Reads.NODE

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self._names = names

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        found = [state.nodes.name_of[slot] in self._names for slot in state.slots[nodes]]
        return (~np.array(found)).astype(np.int64)

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        return Rejection(self.name, ("node is not one of ours",), resolvable=False)


def own_profile(**profile: Any) -> Profile:
    configuration = decode_configuration(document(profiles=[profile]))
    (found,) = to_profiles(configuration, {"OnlyNodes": OnlyNodes})
    return found


ENABLED = {"filter": {"enabled": [{"name": "OnlyNodes"}]}}


def test_own_plugin_takes_part_when_it_is_enabled_with_its_arguments() -> None:
    arguments = [{"name": "OnlyNodes", "args": {"names": ["b"]}}]
    found = story(own_profile(plugins=ENABLED, pluginConfig=arguments))
    assert found.feasible == ("b",)
    assert found.rejected["a"].reasons == ("node is not one of ours",)


def test_own_plugin_that_is_not_enabled_takes_no_part() -> None:
    assert [rule.name for rule in own_profile().filters] == [
        rule.name for rule in default_profile().filters
    ]


def test_arguments_that_an_own_plugin_does_not_take_are_refused() -> None:
    arguments = [{"name": "OnlyNodes", "args": {"nodes": ["b"]}}]
    with pytest.raises(ConfigurationError) as raised:
        own_profile(plugins=ENABLED, pluginConfig=arguments)
    assert str(raised.value) == (
        'profiles[0].pluginConfig[0].args: Invalid value: {"nodes":["b"]}: '
        "OnlyNodes.__init__() got an unexpected keyword argument 'nodes'"
    )


def test_own_plugin_takes_part_only_where_it_can() -> None:
    score = {"score": {"enabled": [{"name": "OnlyNodes"}]}}
    with pytest.raises(ConfigurationError, match="takes no part in score; it can be enabled for"):
        own_profile(plugins=score)
