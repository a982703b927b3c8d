"""The pod security standards, control by control, in the words of the refusals."""

import pytest

from kubeberth.api.pod_security import LATEST, findings

SAFE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def lacking(level, spec, *, minor=LATEST, annotations=None):
    found = findings(level, minor, {"annotations": annotations or {}}, spec)
    return [str(finding) for finding in found]


def containers(*contexts, **more):
    return {
        "containers": [
            {"name": f"c{n}", "image": "i", "securityContext": context, **more}
            for n, context in enumerate(contexts)
        ]
    }


def test_everything_is_privileged_and_a_careful_pod_is_restricted():
    careless = containers({"privileged": True}) | {"hostNetwork": True}
    assert lacking("privileged", careless) == []
    assert lacking("restricted", containers(SAFE)) == []
    pod = {"runAsNonRoot": True, "seccompProfile": {"type": "Localhost"}}
    own = {field: SAFE[field] for field in ("allowPrivilegeEscalation", "capabilities")}
    assert lacking("restricted", containers(own, own) | {"securityContext": pod}) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"hostNetwork": True, "hostPID": True},
            "host namespaces (hostNetwork=true, hostPID=true)",
        ),
        (
            {"volumes": [{"name": "a", "hostPath": {"path": "/"}}]},
            'hostPath volumes (volume "a")',
        ),
        (
            containers({"privileged": True}, {"privileged": True}),
            'privileged (containers "c0", "c1" must not set securityContext.privileged=true)',
        ),
        (
            containers({}, ports=[{"hostPort": 80}, {"hostPort": 443}]),
            'hostPort (container "c0" uses hostPorts 443, 80)',
        ),
        (
            containers({"capabilities": {"add": ["NET_ADMIN", "CHOWN"]}}),
            'non-default capabilities (container "c0" must not include "NET_ADMIN" in '
            "securityContext.capabilities.add)",
        ),
        (
            containers({"procMount": "Unmasked"}),
            'procMount (container "c0" must not set securityContext.procMount to "Unmasked")',
        ),
        (
            {"securityContext": {"seLinuxOptions": {"type": "spc_t", "user": "u"}}},
            "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: "
            'type "spc_t"; user may not be set)',
        ),
        (
            containers({"seccompProfile": {"type": "Unconfined"}}),
            'seccompProfile (container "c0" must not set securityContext.seccompProfile.type to '
            '"Unconfined")',
        ),
        (
            {"securityContext": {"sysctls": [{"name": "kernel.msgmax"}]}},
            "forbidden sysctls (kernel.msgmax)",
        ),
        (
            {"securityContext": {"windowsOptions": {"hostProcess": True}}},
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
        (
            containers({"appArmorProfile": {"type": "Unconfined"}}),
            'forbidden AppArmor profile (container "c0" must not set AppArmor profile type to '
            '"Unconfined")',
        ),
        (
            containers({}, livenessProbe={"httpGet": {"host": "10.0.0.1"}}),
            'probe or lifecycle host (container "c0" uses probe or lifecycle host "10.0.0.1")',
        ),
    ],
)
def test_a_pod_is_not_baseline(spec, expected):
    assert lacking("baseline", spec) == [expected]


def test_profiles_in_annotations_count_too():
    key = "container.apparmor.security.beta.kubernetes.io/c"
    for value, expected in (("runtime/default", []), ("localhost/mine", [])):
        assert lacking("baseline", {}, annotations={key: value}) == expected
    assert lacking("baseline", {}, annotations={key: "unconfined"}) == [
        f'forbidden AppArmor profile (annotation {key}="unconfined")'
    ]


def without(field):
    return {name: value for name, value in SAFE.items() if name != field}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            containers(without("allowPrivilegeEscalation")),
            'allowPrivilegeEscalation != false (container "c0" must set '
            "securityContext.allowPrivilegeEscalation=false)",
        ),
        (
            containers(without("capabilities") | {"capabilities": {"add": ["CHOWN"]}}),
            'unrestricted capabilities (container "c0" must set '
            'securityContext.capabilities.drop=["ALL"]; container "c0" must not include "CHOWN" in '
            "securityContext.capabilities.add)",
        ),
        (
            containers(SAFE) | {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
            'restricted volume types (volume "v" uses restricted volume type "hostPath")',
        ),
        (
            containers(without("runAsNonRoot")),
            'runAsNonRoot != true (pod or container "c0" must set '
            "securityContext.runAsNonRoot=true)",
        ),
        (
            containers(SAFE | {"runAsNonRoot": False}),
            'runAsNonRoot != true (container "c0" must not set securityContext.runAsNonRoot=false)',
        ),
        (
            containers(SAFE) | {"securityContext": {"runAsUser": 0}},
            "runAsUser=0 (pod must not set runAsUser=0)",
        ),
        (
            containers(without("seccompProfile")),
            'seccompProfile (pod or container "c0" must set securityContext.seccompProfile.type to '
            '"RuntimeDefault" or "Localhost")',
        ),
    ],
)
def test_a_pod_is_not_restricted(spec, expected):
    assert lacking("restricted", spec) == [expected]


def test_ephemeral_and_init_containers_are_looked_at_as_well():
    for field in ("initContainers", "ephemeralContainers"):
        spec = {field: [{"name": "x", "securityContext": {"privileged": True}}]}
        assert lacking("baseline", spec) == [
            'privileged (container "x" must not set securityContext.privileged=true)'
        ]


@pytest.mark.parametrize(
    ("minor", "spec", "is_allowed"),
    [
        (33, containers({}, livenessProbe={"httpGet": {"host": "a"}}), True),
        (26, {"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}}, False),
        (32, {"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}}, True),
        (30, {"securityContext": {"seLinuxOptions": {"type": "container_engine_t"}}}, False),
        (31, {"securityContext": {"seLinuxOptions": {"type": "container_engine_t"}}}, True),
    ],
)
def test_older_versions_have_the_rules_of_their_time(minor, spec, is_allowed):
    assert (lacking("baseline", spec, minor=minor) == []) is is_allowed


def test_a_pod_for_windows_needs_nothing_that_only_linux_has():
    spec = containers({"runAsNonRoot": True}) | {"os": {"name": "windows"}}
    assert lacking("restricted", spec) == []


def test_root_of_a_pod_with_users_of_its_own_is_nobody():
    spec = containers(SAFE | {"runAsNonRoot": False, "runAsUser": 0, "procMount": "Unmasked"})
    assert lacking("restricted", spec | {"hostUsers": False}) == []
    assert len(lacking("restricted", spec | {"hostUsers": False}, minor=34)) == 3
