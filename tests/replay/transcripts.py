"""Replays recorded kubectl sessions: the same commands, the same output after normalisation."""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import yaml

from kubeberth.api.scheme import (
    CONFIG_MAPS,
    NAMESPACES,
    NODES,
    PODS,
    PRIORITY_CLASSES,
    SERVICE_ACCOUNTS,
    Resource,
)
from kubeberth.client.client import Client
from kubeberth.errors import ApiError, NotFoundError
from tests.replay.loop import Loop

Document = dict[str, Any]

WAIT_S = 25.0
LONG_AGO = "2024-01-01T00:00:00Z"
SYSTEM_CLASSES = ("system-cluster-critical", "system-node-critical")


@dataclass(frozen=True)
class Difference:
    """One command whose outcome is not the recorded one."""

    command: str
    text: str

    def __str__(self) -> str:
        return f"$ {self.command}\n{self.text}"


class Session:
    """A recorded session, taken again on a cluster that has no nodes of its own.

    Parameters
    ----------
    kubectl
        The program.
    kubeconfig
        Of an administrator.
    folder
        An empty one.
    """

    def __init__(self, recording: Path, kubectl: str, kubeconfig: Path, folder: Path) -> None:
        self._recording = yaml.safe_load(recording.read_text())
        self._kubectl = kubectl
        self._folder = folder
        self._namespace: str = self._recording["namespace"]
        self._home = folder / "home"
        self._config = folder / "kubeconfig"
        self._client = Client.from_kubeconfig(kubeconfig)
        self._write_config(kubeconfig)

    def replay(self) -> list[Difference]:
        """Take all steps and return where they differ."""
        with Loop() as loop:
            self._do = loop.run
            self._do(self._client.__aenter__())
            try:
                self._set_up()
                steps = self._recording["steps"]
                return [found for step in steps for found in self._take(step)]
            finally:
                self._clean_up()
                self._do(self._client.close())

    def _write_config(self, kubeconfig: Path) -> None:
        self._work.mkdir(parents=True)
        self._home.mkdir()
        document = yaml.safe_load(kubeconfig.read_text())
        document["contexts"][0]["context"]["namespace"] = self._namespace
        document["contexts"][0]["name"] = document["current-context"] = "k"
        self._config.write_text(yaml.safe_dump(document))
        bin_folder = self._folder / "bin"
        bin_folder.mkdir()
        (bin_folder / "kubectl").symlink_to(self._kubectl)
        for name, text in self._recording.get("files", {}).items():
            path = self._work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    @property
    def _work(self) -> Path:
        return self._folder / "work"

    def _set_up(self) -> None:
        namespace = {"metadata": {"name": self._namespace}}
        self._do(self._client.create(NAMESPACES, namespace))
        for resource, name in ((SERVICE_ACCOUNTS, "default"), (CONFIG_MAPS, "kube-root-ca.crt")):
            self._await(lambda r=resource, n=name: self._exists(r, n))
        for node in self._recording["nodes"]:
            self._create_node(node)

    def _create_node(self, short: Document) -> None:
        document = node_document(short)
        self._do(self._client.create(NODES, document))
        taints = {"spec": {"taints": short.get("taints") or None}}
        self._do(self._client.patch(NODES, short["name"], taints))

    def _exists(self, resource: Resource, name: str) -> bool:
        try:
            self._do(self._client.get(resource, name, self._namespace))
        except NotFoundError:
            return False
        return True

    def _await(self, condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _take(self, step: Document) -> Iterator[Difference]:
        if "pause" in step:
            time.sleep(step["pause"])
        elif "kubelet" in step:
            self._act_as_kubelet(step)
        elif "until" in step:
            yield from self._wait_until(step["until"], step["is"])
        else:
            yield from self._compare(step)

    def _wait_until(self, command: str, wanted: str) -> Iterator[Difference]:
        if not self._await(lambda: self._run(command).stdout.strip() == wanted):
            found = self._run(command)
            text = f"  wanted: {wanted}\n  found:  {found.stdout.strip()} {found.stderr.strip()}"
            yield Difference(f"until {command}", text)

    def _compare(self, step: Document) -> Iterator[Difference]:
        with self._kubelets(bool(step.get("kubelets"))):
            found = self._run(step["run"])
        outcome = {"stdout": found.stdout, "stderr": found.stderr}
        texts = [
            line
            for stream, text in outcome.items()
            for line in _diff(
                _recorded(step["run"], step[stream]), _found(step["run"], text), stream
            )
        ]
        if found.returncode != step["code"]:
            texts.append(f"  exit code {found.returncode}, not {step['code']}")
        if texts:
            yield Difference(step["run"], "\n".join(texts))

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self._folder}/bin:{os.environ['PATH']}",
            "HOME": str(self._home),
            "KUBECONFIG": str(self._config),
            "COLUMNS": "200",
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
        }
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self._work,
            env=environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def _act_as_kubelet(self, step: Document) -> None:
        match step["kubelet"]:
            case "run":
                self._run_pods(step.get("pod"))
            case "remove":
                # Recorded when the controllers had done their part; here they may just be about to.
                self._await(lambda: any(map(_is_deleted, self._pods())))
                self._remove_pods()
            case "status":
                self._set_status(step["pod"], step["status"], "strategic")

    def _pods(self) -> list[Document]:
        pods: list[Document] = self._do(self._client.list(PODS, self._namespace))["items"]
        return pods

    def _run_pods(self, only: str | None) -> None:
        places = {n["name"]: i for i, n in enumerate(self._recording["nodes"], 1)}
        for pod in self._pods():
            name, node = pod["metadata"]["name"], pod["spec"].get("nodeName")
            is_waiting = pod["status"]["phase"] == "Pending"
            if node and is_waiting and not _is_deleted(pod) and only in (None, name):
                self._set_status(name, running_status(pod, places.get(node, 99)), "strategic")

    def _set_status(self, pod: str, status: Document, kind: Any) -> None:
        change = {"status": status}
        with suppress(NotFoundError):
            self._do(
                self._client.patch(PODS, pod, change, self._namespace, kind=kind, sub="status")
            )

    def _remove_pods(self) -> None:
        for pod in self._pods():
            if _is_deleted(pod):
                self._delete(PODS, pod["metadata"]["name"])

    def _delete(self, resource: Resource, name: str) -> None:
        with suppress(ApiError):
            self._do(self._client.delete(resource, name, self._namespace, grace_period_s=0))

    @contextmanager
    def _kubelets(self, act: bool) -> Iterator[None]:
        """Let the kubelets act every 0.4 s while a command runs."""
        stop = Event()

        def work() -> None:
            while not stop.wait(0.4):
                self._remove_pods()
                self._run_pods(None)

        thread = Thread(target=work)
        if act:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            if act:
                thread.join()

    def _clean_up(self) -> None:
        self._delete(NAMESPACES, self._namespace)
        self._await(lambda: self._is_gone())
        for resource in (NODES, PRIORITY_CLASSES):
            for item in self._do(self._client.list(resource))["items"]:
                if item["metadata"]["name"] not in SYSTEM_CLASSES:
                    self._delete(resource, item["metadata"]["name"])

    def _is_gone(self) -> bool:
        for pod in self._pods():
            self._delete(PODS, pod["metadata"]["name"])
        return not self._exists(NAMESPACES, self._namespace)


def _is_deleted(pod: Document) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def node_document(short: Document) -> Document:
    """Return the Node that a recording's short form stands for."""
    name = short["name"]
    is_ready = short.get("ready", True)
    capacity = {
        "cpu": "4",
        "memory": "8Gi",
        "pods": "110",
        "ephemeral-storage": "100Gi",
        **short.get("capacity", {}),
    }
    condition = {
        "type": "Ready",
        "status": "True" if is_ready else "False",
        "reason": "KubeletReady" if is_ready else "KubeletNotReady",
        "message": "by hand",
        "lastHeartbeatTime": LONG_AGO,
        "lastTransitionTime": LONG_AGO,
    }
    addresses = [
        {"type": "InternalIP", "address": short.get("ip", "192.168.0.1")},
        {"type": "Hostname", "address": name},
    ]
    labels = {"kubernetes.io/hostname": name, **short.get("labels", {})}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"unschedulable": True} if short.get("unschedulable") else {},
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [condition],
            "addresses": addresses,
            "nodeInfo": {
                "machineID": "m",
                "systemUUID": "s",
                "bootID": "b",
                "kernelVersion": "6.1.0",
                "osImage": "Debian GNU/Linux 12",
                "containerRuntimeVersion": "containerd://2.0.0",
                "kubeletVersion": "v1.36.2",
                "kubeProxyVersion": "",
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
        },
    }


def running_status(pod: Document, place: int) -> Document:
    """Return the status that a kubelet on the node at `place` would give a running pod."""
    conditions = ("Initialized", "Ready", "ContainersReady", "PodReadyToStartContainers")
    return {
        "phase": "Running",
        "hostIP": f"192.168.0.{place}",
        "podIP": f"10.244.{place}.10",
        "podIPs": [{"ip": f"10.244.{place}.10"}],
        "startTime": LONG_AGO,
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": LONG_AGO} for kind in conditions
        ],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "sha256:0",
                "containerID": "containerd://0",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": LONG_AGO}},
            }
            for container in pod["spec"]["containers"]
        ],
    }


def _diff(wanted: str, found: str, stream: str) -> list[str]:
    if wanted.rstrip("\n") == found.rstrip("\n"):
        return []
    lines = difflib.unified_diff(
        wanted.splitlines(), found.splitlines(), f"recorded {stream}", "ours", lineterm="", n=1
    )
    return [f"  {line}" for line in lines]


def _recorded(command: str, text: str) -> str:
    return _of_any_kubectl(_without_descriptions(command, _of_any_distribution(text)))


def _found(command: str, text: str) -> str:
    return normalise(_without_descriptions(command, text))


def _of_any_distribution(text: str) -> str:
    pattern, replacement = _HUNK
    return re.sub(pattern, replacement, text)


def _without_descriptions(command: str, text: str) -> str:
    """Return what `kubectl explain` prints less the prose of upstream, which ours does not hold.

    See docs/decisions/0010-schemas-describe-what-places.md.
    """
    if not command.startswith("kubectl explain"):
        return text
    lines = [line for line in text.splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith("    ") or _TELLS_OF_A_FIELD.search(line)]
    return "\n".join(line for line in kept if not line.startswith("DESCRIPTION:"))


# Its type, or the values that it may have.
_TELLS_OF_A_FIELD = re.compile(r"\t<|^ +enum: ")


# Where the difference of two objects begins hangs on what distributions add to them.
_HUNK = (r"@@ -\d+,(\d+) \+\d+,(\d+) @@", r"@@ -<line>,\1 +<line>,\2 @@")
_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_AGE = r"(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?"
_RULES: tuple[tuple[str, str], ...] = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
    (r"20(?:2[5-9]|[3-9]\d)-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", "<time>"),
    (r"\w{3}, \d\d \w{3} 20(?:2[5-9]|[3-9]\d) \d\d:\d\d:\d\d [+-]\d{4}", "<time>"),
    (r"(resourceVersion\"?: \"?)\d+", r"\1<rv>"),
    (r"/tmp/(LIVE|MERGED)-\d+/(\S+)\t.*", r"<\1>/\2"),
    (r"/tmp/(LIVE|MERGED)-\d+/", r"<\1>/"),
    (r"\b10\.(?:0|96)\.\d+\.\d+", "<ip>"),
    _HUNK,
    (r"\bberth-admin\b", "admin"),
    (r"https://(?:127\.0\.0\.1|localhost):\d+", "<server>"),
    (r"127\.0\.0\.1:\d+", "<server>"),
    (r"[^\s\"]*kubectl-edit-[^\s\"]+", "<file>"),
    (rf"-[{_SAFE}]{{8,10}}(?=-[{_SAFE}]{{5}}\b)", "-<hash>"),
    (rf"-[{_SAFE}]{{8,10}}\b", "-<hash>"),
    (rf"-[{_SAFE}]{{5}}\b", "-<rand>"),
    (rf"((?:pod-template|controller-revision)-hash\"?[:=] ?\"?)[{_SAFE}]+", r"\1<hash>"),
    (rf"\(x\d+ over {_AGE}\)", "(x<n> over <age>)"),
    (rf"\({_AGE} ago\)", "(<age> ago)"),
)
# Minutes alone also read as a quantity, so they count only where an age is known to stand.
_COLUMN_AGE = re.compile(
    r"(?:(?<=^)|(?<=\s\s))(?:(?:\d+d)?(?:\d+h)?(?:\d+m)?\d+s|(?:\d+d)?\d+h(?:\d+m)?|\d+d)"
    r"(?=\s\s|\s\(|\s*$)"
)


# What hangs on the kubectl alone: the recorded one was 1.33, built without a version of its own.
_REWORDED = (
    (r"^error: could not parse pre-release/metadata .*\n", ""),
    (r"^WARNING: version difference between client .*\n", ""),
    # Whether it notices the end of its patience or that of its watch first.
    (r"^[IW]\d{4} .*\bvery short watch: .*\n", ""),
    (r"(\bdeleted\b) from \S+ namespace\b", r"\1"),
    (r"^error: no objects passed to scale (.+)", r"Error from server (NotFound): \1"),
)


def _of_any_kubectl(text: str) -> str:
    for pattern, replacement in _REWORDED:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


def normalise(text: str) -> str:
    """Return output with what differs from run to run replaced, as the recordings have it."""
    for pattern, replacement in _RULES:
        text = re.sub(pattern, replacement, text)
    text = _of_any_kubectl(text)
    lines = [_normalise_line(line) for line in text.split("\n")]
    return "\n".join(_sort_random(lines))


def _normalise_line(line: str) -> str:
    line = _COLUMN_AGE.sub("<age>", line).rstrip()
    indentation = line[: len(line) - len(line.lstrip())]
    return indentation + re.sub(r"(?<=\S)[ \t]{2,}", "   ", line.lstrip())


def _sort_random(lines: list[str]) -> list[str]:
    """Sort neighbouring unindented lines that hold a random name."""
    result: list[str] = []
    run: list[str] = []
    for line in [*lines, ""]:
        if "<rand>" in line and not line.startswith(" "):
            run.append(line)
            continue
        result += sorted(run)
        run = []
        result.append(line)
    return result[:-1]
