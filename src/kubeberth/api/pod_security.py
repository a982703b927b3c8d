"""The pod security standards: what keeps a pod from being `baseline`, or `restricted`; pure.

Rule: https://kubernetes.io/docs/concepts/security/pod-security-standards/
Matches `k8s.io/pod-security-admission/policy` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]
LEVELS = ("privileged", "baseline", "restricted")
# The minor version that `latest` stands for: as new as the newest check.
LATEST = 10_000
_LISTS = ("initContainers", "containers", "ephemeralContainers")
_CAPABILITIES = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    )
)
# By the minor version that allowed them.
SAFE_SYSCTLS = {
    "kernel.shm_rmid_forced": 0,
    "net.ipv4.ip_local_port_range": 0,
    "net.ipv4.ip_unprivileged_port_start": 0,
    "net.ipv4.ping_group_range": 0,
    "net.ipv4.tcp_syncookies": 0,
    "net.ipv4.ip_local_reserved_ports": 27,
    "net.ipv4.tcp_fin_timeout": 29,
    "net.ipv4.tcp_keepalive_intvl": 29,
    "net.ipv4.tcp_keepalive_probes": 29,
    "net.ipv4.tcp_keepalive_time": 29,
    "net.ipv4.tcp_rmem": 32,
    "net.ipv4.tcp_wmem": 32,
}
_SELINUX_TYPES = {
    "": 0,
    "container_t": 0,
    "container_init_t": 0,
    "container_kvm_t": 0,
    "container_engine_t": 31,
}
_VOLUMES = frozenset(
    (
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    )
)
_PROFILES = ("RuntimeDefault", "Localhost")
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a pod: in short, and in full."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


@dataclass(frozen=True, slots=True)
class Pod:
    """What is looked at, and by the rules of which minor version."""

    metadata: Document
    spec: Document
    minor: int

    @property
    def context(self) -> Document:
        """What the pod says for all its containers."""
        return self.spec.get("securityContext") or {}

    def containers(self) -> Iterator[tuple[str, Document, Document]]:
        """Yield name, container and what it says of its security."""
        for field in _LISTS:
            for container in self.spec.get(field) or ():
                yield container.get("name", ""), container, container.get("securityContext") or {}

    @property
    def is_windows(self) -> bool:
        """Whether the pod says that it is for Windows, where much of this means nothing."""
        return (self.spec.get("os") or {}).get("name") == "windows" and self.minor >= 25

    @property
    def has_own_users(self) -> bool:
        """Whether root of the pod is nobody outside."""
        return self.spec.get("hostUsers") is False and self.minor >= 35


def quoted(names: Iterable[str]) -> str:
    """Return names in quotes, with commas between them."""
    return ", ".join(f'"{name}"' for name in names)


def _plural(word: str, n: int) -> str:
    return word if n == 1 else f"{word}s"


def _named(names: list[str], what: str = "container") -> str:
    return f"{_plural(what, len(names))} {quoted(names)}"


def _setters(pod: Pod, is_bad: Callable[[Document], bool]) -> str:
    """Return who says something bad: the pod, containers, or both."""
    found = ["pod"] if is_bad(pod.context) else []
    names = [name for name, _, context in pod.containers() if is_bad(context)]
    if names:
        found.append(_named(names))
    return " and ".join(found)


def _values(pod: Pod, value_of: Callable[[Document], str], allowed: Iterable[str]) -> list[str]:
    contexts = [pod.context, *(context for _, _, context in pod.containers())]
    return sorted({value_of(context) for context in contexts} - {*allowed, ""})


def _app_armor(pod: Pod) -> Finding | None:
    def kind(context: Document) -> str:
        return str((context.get("appArmorProfile") or {}).get("type", ""))

    details = []
    setters = _setters(pod, lambda context: kind(context) not in (*_PROFILES, ""))
    if setters:
        bad = quoted(_values(pod, kind, _PROFILES))
        details.append(f"{setters} must not set AppArmor profile type to {bad}")
    annotations = [
        f'{key}="{value}"'
        for key, value in sorted((pod.metadata.get("annotations") or {}).items())
        if key.startswith(_APP_ARMOR)
        and value not in ("", "runtime/default")
        and not value.startswith("localhost/")
    ]
    if annotations:
        details.append(f"{_plural('annotation', len(annotations))} {', '.join(annotations)}")
    if not details:
        return None
    return Finding(_plural("forbidden AppArmor profile", len(details)), "; ".join(details))


def _added(pod: Pod, allowed: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return which containers add which capabilities that they may not."""
    names, bad = [], set()
    for name, _, context in pod.containers():
        more = {*((context.get("capabilities") or {}).get("add") or ())} - {*allowed}
        if more:
            names.append(name)
            bad |= more
    return names, sorted(bad)


def _capabilities(pod: Pod) -> Finding | None:
    names, bad = _added(pod, _CAPABILITIES)
    if not names:
        return None
    detail = f"{_named(names)} must not include {quoted(bad)} in securityContext.capabilities.add"
    return Finding("non-default capabilities", detail)


def _host_namespaces(pod: Pod) -> Finding | None:
    found = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC")
             if pod.spec.get(field)]  # fmt: skip
    return Finding("host namespaces", ", ".join(found)) if found else None


def _host_paths(pod: Pod) -> Finding | None:
    names = [v.get("name", "") for v in pod.spec.get("volumes") or () if v.get("hostPath")]
    return Finding("hostPath volumes", _named(names, "volume")) if names else None


def _host_ports(pod: Pod) -> Finding | None:
    names, ports = [], set()
    for name, container, _ in pod.containers():
        found = {str(p["hostPort"]) for p in container.get("ports") or () if p.get("hostPort")}
        if found:
            names.append(name)
            ports |= found
    if not names:
        return None
    verb = "uses" if len(names) == 1 else "use"
    what = _plural("hostPort", len(ports))
    return Finding("hostPort", f"{_named(names)} {verb} {what} {', '.join(sorted(ports))}")


def _hosts(container: Document) -> Iterator[str]:
    """Yield the hosts that probes and hooks of a container talk to."""
    lifecycle = container.get("lifecycle") or {}
    probes = (container.get(f"{kind}Probe") for kind in ("liveness", "readiness", "startup"))
    for handler in (*probes, lifecycle.get("postStart"), lifecycle.get("preStop")):
        for action in ("httpGet", "tcpSocket"):
            host = ((handler or {}).get(action) or {}).get("host", "")
            if host:
                yield host


def _host_probes(pod: Pod) -> Finding | None:
    found = {name: {*_hosts(container)} for name, container, _ in pod.containers()}
    names = sorted(name for name, hosts in found.items() if hosts)
    if not names:
        return None
    hosts = sorted(set().union(*found.values()))
    verb = "uses" if len(names) == 1 else "use"
    what = _plural("probe or lifecycle host", len(hosts))
    return Finding("probe or lifecycle host", f"{_named(names)} {verb} {what} {quoted(hosts)}")


def _privileged(pod: Pod) -> Finding | None:
    names = [name for name, _, context in pod.containers() if context.get("privileged")]
    if not names:
        return None
    return Finding("privileged", f"{_named(names)} must not set securityContext.privileged=true")


def _proc_mount(pod: Pod) -> Finding | None:
    if pod.has_own_users:
        return None
    found = {name: context.get("procMount") or "Default" for name, _, context in pod.containers()}
    names = [name for name, kind in found.items() if kind != "Default"]
    if not names:
        return None
    kinds = quoted(sorted({found[name] for name in names}))
    return Finding(
        "procMount", f"{_named(names)} must not set securityContext.procMount to {kinds}"
    )


def _selinux(pod: Pod) -> Finding | None:
    allowed = {kind for kind, since in _SELINUX_TYPES.items() if pod.minor >= since}

    def options(context: Document) -> Document:
        return context.get("seLinuxOptions") or {}

    def is_bad(context: Document) -> bool:
        told = options(context)
        is_other = told.get("type", "") not in allowed
        return bool(is_other or told.get("user") or told.get("role"))

    setters = _setters(pod, is_bad)
    if not setters:
        return None
    details = []
    if kinds := _values(pod, lambda context: str(options(context).get("type", "")), allowed):
        details.append(f"{_plural('type', len(kinds))} {quoted(kinds)}")
    for field in ("user", "role"):
        contexts = (pod.context, *(context for _, _, context in pod.containers()))
        if any(options(context).get(field) for context in contexts):
            details.append(f"{field} may not be set")
    detail = f"{setters} set forbidden securityContext.seLinuxOptions: {'; '.join(details)}"
    return Finding("seLinuxOptions", detail)


def _seccomp_type(context: Document) -> str:
    return str((context.get("seccompProfile") or {}).get("type", ""))


def _seccomp(pod: Pod) -> Finding | None:
    setters = _setters(pod, lambda context: _seccomp_type(context) not in (*_PROFILES, ""))
    if not setters:
        return None
    bad = quoted(_values(pod, _seccomp_type, _PROFILES))
    detail = f"{setters} must not set securityContext.seccompProfile.type to {bad}"
    return Finding("seccompProfile", detail)


def _sysctls(pod: Pod) -> Finding | None:
    found = [
        sysctl.get("name", "")
        for sysctl in pod.context.get("sysctls") or ()
        if pod.minor < SAFE_SYSCTLS.get(sysctl.get("name", ""), LATEST + 1)
    ]
    return Finding("forbidden sysctls", ", ".join(found)) if found else None


def _host_process(pod: Pod) -> Finding | None:
    setters = _setters(
        pod, lambda context: bool((context.get("windowsOptions") or {}).get("hostProcess"))
    )
    if not setters:
        return None
    detail = f"{setters} must not set securityContext.windowsOptions.hostProcess=true"
    return Finding("hostProcess", detail)


def _escalation(pod: Pod) -> Finding | None:
    names = [
        name
        for name, _, context in pod.containers()
        if context.get("allowPrivilegeEscalation") is not False
    ]
    if not names or pod.is_windows:
        return None
    detail = f"{_named(names)} must set securityContext.allowPrivilegeEscalation=false"
    return Finding("allowPrivilegeEscalation != false", detail)


def _dropped_capabilities(pod: Pod) -> Finding | None:
    if pod.is_windows:
        return None
    details = []
    keeping = [
        name
        for name, _, context in pod.containers()
        if "ALL" not in ((context.get("capabilities") or {}).get("drop") or ())
    ]
    if keeping:
        details.append(f'{_named(keeping)} must set securityContext.capabilities.drop=["ALL"]')
    names, bad = _added(pod, ("NET_BIND_SERVICE",))
    if names:
        details.append(
            f"{_named(names)} must not include {quoted(bad)} in securityContext.capabilities.add"
        )
    return Finding("unrestricted capabilities", "; ".join(details)) if details else None


def _volume_types(pod: Pod) -> Finding | None:
    names, kinds = [], set()
    for volume in pod.spec.get("volumes") or ():
        found = {kind for kind, source in volume.items() if kind != "name" and source is not None}
        if not found & _VOLUMES:
            names.append(volume.get("name", ""))
            kinds |= found or {"unknown"}
    if not names:
        return None
    verb = "uses" if len(names) == 1 else "use"
    what = f"{_named(names, 'volume')} {verb} restricted volume {_plural('type', len(kinds))}"
    return Finding("restricted volume types", f"{what} {quoted(sorted(kinds))}")


def _non_root(pod: Pod) -> Finding | None:
    if pod.has_own_users:
        return None
    reason = "runAsNonRoot != true"
    setters = _setters(pod, lambda context: context.get("runAsNonRoot") is False)
    if setters:
        return Finding(reason, f"{setters} must not set securityContext.runAsNonRoot=false")
    silent = [name for name, _, context in pod.containers() if context.get("runAsNonRoot") is None]
    if not silent or pod.context.get("runAsNonRoot"):
        return None
    return Finding(reason, f"pod or {_named(silent)} must set securityContext.runAsNonRoot=true")


def _root_user(pod: Pod) -> Finding | None:
    if pod.has_own_users:
        return None
    setters = _setters(pod, lambda context: context.get("runAsUser") == 0)
    return Finding("runAsUser=0", f"{setters} must not set runAsUser=0") if setters else None


def _told_seccomp(pod: Pod) -> Finding | None:
    if pod.is_windows:
        return None
    if bad := _seccomp(pod):
        return bad
    silent = [name for name, _, context in pod.containers() if not _seccomp_type(context)]
    if not silent or _seccomp_type(pod.context):
        return None
    detail = (
        f"pod or {_named(silent)} must set securityContext.seccompProfile.type to "
        '"RuntimeDefault" or "Localhost"'
    )
    return Finding("seccompProfile", detail)


@dataclass(frozen=True, slots=True)
class Check:
    """One control of the standards.

    Parameters
    ----------
    since
        The minor version from which on it counts.
    is_widened
        Whether `restricted` has a wider one in its place.
    """

    run: Callable[[Pod], Finding | None]
    since: int = 0
    is_widened: bool = False


BASELINE = (
    Check(_app_armor),
    Check(_capabilities, is_widened=True),
    Check(_host_namespaces),
    Check(_host_paths, is_widened=True),
    Check(_host_ports),
    Check(_host_probes, since=34),
    Check(_privileged),
    Check(_proc_mount),
    Check(_selinux),
    Check(_seccomp, since=19, is_widened=True),
    Check(_sysctls),
    Check(_host_process),
)
RESTRICTED = (
    Check(_escalation, since=8),
    Check(_dropped_capabilities, since=22),
    Check(_volume_types),
    Check(_non_root),
    Check(_root_user, since=23),
    Check(_told_seccomp, since=19),
)


def findings(level: str, minor: int, metadata: Document, spec: Document) -> list[Finding]:
    """Return what keeps a pod from a level, by the rules of a minor version."""
    if level == "privileged":
        return []
    checks = [*BASELINE]
    if level == "restricted":
        checks = [check for check in BASELINE if not check.is_widened or minor < 22]
        checks += RESTRICTED
    pod = Pod(metadata, spec, minor)
    found = (check.run(pod) for check in checks if minor >= check.since)
    return [finding for finding in found if finding is not None]
