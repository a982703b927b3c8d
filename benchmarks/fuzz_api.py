"""Whether an API server stays up, quick and honest while it is sent nonsense.

    python benchmarks/fuzz_api.py [--requests 20000] [--seed 1]

Starts a cluster in a temporary directory and sends its API server requests that began as good ones
and were spoilt: bytes changed, cut off and repeated, values of other types, headers and queries
that contradict each other, paths that lead nowhere, nesting without end. In between it writes
objects of its own, which nobody else touches. It reports

- an answer of 500 that the real API server would not give, or no proper answer at all
- a request that was not answered within `PATIENCE_S`
- an acknowledged write that is not there at the end, or is another one
- memory that grew by more than `MAX_GROWTH_MB`

with the request, so that it can be sent again, and ends with 1 when there was any.
"""

from __future__ import annotations

import argparse
import base64
import copy
import http.client
import json
import os
import random
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

Document = dict[str, Any]

PATIENCE_S = 10.0
MAX_GROWTH_MB = 150
# Where the sound writes go; no spoilt request names it.
KEPT = "kept"
SOUND_EVERY = 50
# Go's server answers these with 500, and so do we, word for word.
KNOWN_FAULTS = (
    "list element types are not identical: ",
    "strconv.ParseUint",
    "strconv.ParseInt",
    "resourceVersion should not be set on objects to be created",
    "unable to find api field in struct",
    "cannot restore map from string",
    "cannot restore slice from map",
    "does not contain declared merge key",
    "unknown patch type: ",
)
JSON, YAML = "application/json", "application/yaml"
PATCHES = (
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
SPACE = "/api/v1/namespaces/default"
COLLECTIONS = (
    f"{SPACE}/configmaps",
    f"{SPACE}/pods",
    f"{SPACE}/services",
    f"{SPACE}/secrets",
    f"{SPACE}/events",
    "/apis/apps/v1/namespaces/default/deployments",
    "/apis/apps/v1/namespaces/default/replicasets",
    "/apis/apps/v1/namespaces/default/daemonsets",
    "/apis/apps/v1/namespaces/default/statefulsets",
    "/apis/batch/v1/namespaces/default/jobs",
    "/apis/batch/v1/namespaces/default/cronjobs",
    "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
    "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
    "/api/v1/namespaces/default/persistentvolumeclaims",
    "/apis/coordination.k8s.io/v1/namespaces/default/leases",
    "/apis/scheduling.k8s.io/v1/priorityclasses",
    "/apis/events.k8s.io/v1/namespaces/default/events",
    "/api/v1/nodes",
    "/api/v1/persistentvolumes",
    "/api/v1/namespaces/default/limitranges",
    "/api/v1/namespaces/default/resourcequotas",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies",
    "/apis/networking.k8s.io/v1/namespaces/default/ingresses",
    "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
    "/apis/resource.k8s.io/v1/deviceclasses",
    "/apis/resource.k8s.io/v1/resourceslices",
    "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims",
    "/apis/storage.k8s.io/v1/storageclasses",
)
SUBRESOURCES = ("", "", "", "/status", "/scale", "/binding", "/eviction", "/log", "/token", "/x")
POD_SPEC: Document = {
    "containers": [
        {
            "name": "main",
            "image": "nginx",
            "ports": [{"containerPort": 80}],
            "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}},
            "env": [{"name": "A", "value": "b"}],
        }
    ],
    "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}}
            ]
        }
    },
    "volumes": [{"name": "v", "configMap": {"name": "settings"}}],
    "nodeSelector": {"disk": "ssd"},
}
SPECS: dict[str, Document] = {
    "configmaps": {"data": {"size": "1"}, "binaryData": {"raw": "AAEC"}},
    "secrets": {"stringData": {"size": "1"}, "type": "Opaque"},
    "pods": {"spec": POD_SPEC},
    "services": {"spec": {"ports": [{"port": 80, "targetPort": "http"}], "selector": {"a": "b"}}},
    "events": {
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "web"},
        "reason": "Seen",
        "message": "text",
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "count": 1,
    },
    "deployments": {
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD_SPEC},
        }
    },
    "leases": {"spec": {"holderIdentity": "me", "renewTime": "2026-01-01T00:00:00.000000Z"}},
    "priorityclasses": {"value": 10, "globalDefault": False},
    "nodes": {
        "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]},
        "status": {"capacity": {"cpu": "4", "pods": "10"}},
    },
}
for plural in ("replicasets", "daemonsets", "statefulsets"):
    SPECS[plural] = SPECS["deployments"]
_JOB = {"template": {"spec": {**POD_SPEC, "restartPolicy": "Never"}}, "completions": 2}
SPECS["jobs"] = {"spec": _JOB}
SPECS["cronjobs"] = {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": _JOB}}}
SPECS["poddisruptionbudgets"] = {
    "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"app": "web"}}}
}
SPECS["horizontalpodautoscalers"] = {
    "spec": {
        "maxReplicas": 3,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "metrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": 5},
                },
            }
        ],
    }
}
SPECS["persistentvolumeclaims"] = {
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
}
SPECS["persistentvolumes"] = {
    "spec": {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/data"},
        "nodeAffinity": {
            "required": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}
                ]
            }
        },
    }
}
SPECS["limitranges"] = {"spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}}
SPECS["resourcequotas"] = {"spec": {"hard": {"configmaps": "100000", "requests.cpu": "1000"}}}
SPECS["storageclasses"] = {"provisioner": "example.com/p", "parameters": {"a": "b"}}
SPECS["clusterroles"] = {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
SPECS["rolebindings"] = {
    "roleRef": {"kind": "ClusterRole", "name": "view"},
    "subjects": [{"kind": "User", "name": "jane"}],
}
SPECS["ingresses"] = {
    "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}
}
SPECS["networkpolicies"] = {
    "spec": {"podSelector": {"matchLabels": {"a": "b"}}, "ingress": [{"ports": [{"port": 80}]}]}
}
SPECS["deviceclasses"] = {"spec": {"selectors": [{"cel": {"expression": "device.driver == 'd'"}}]}}
SPECS["resourceclaims"] = {
    "spec": {
        "devices": {
            "requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu", "count": 1}}],
            "constraints": [{"matchAttribute": "example.com/numa", "requests": ["gpu"]}],
            "config": [{"opaque": {"driver": "d", "parameters": {"a": 1}}}],
        }
    },
    "status": {
        "allocation": {
            "devices": {
                "results": [{"request": "gpu", "driver": "d", "pool": "p", "device": "gpu-0"}]
            }
        },
        "reservedFor": [{"resource": "pods", "name": "p", "uid": "1"}],
        "devices": [{"driver": "d", "pool": "p", "device": "gpu-0", "data": {"a": 1}}],
    },
}
SPECS["resourceslices"] = {
    "spec": {
        "driver": "d",
        "pool": {"name": "p", "resourceSliceCount": 1},
        "nodeName": "n",
        "devices": [
            {
                "name": "gpu-0",
                "attributes": {"model": {"string": "A"}, "version": {"version": "1.0.0"}},
                "capacity": {
                    "memory": {
                        "value": "8Gi",
                        "requestPolicy": {
                            "default": "1Gi",
                            "validRange": {"min": "1Gi", "max": "4Gi", "step": "1Gi"},
                        },
                    }
                },
                "allowMultipleAllocations": True,
                "taints": [{"key": "a", "effect": "NoExecute"}],
            }
        ],
    }
}
SPECS["customresourcedefinitions"] = {
    "spec": {
        "group": "example.com",
        "names": {"plural": "boats", "kind": "Boat"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "sails": {"type": "integer", "minimum": 1, "default": 2},
                                    "crew": {
                                        "type": "array",
                                        "items": {"type": "string"},
                                        "x-kubernetes-list-type": "set",
                                    },
                                },
                                "x-kubernetes-validations": [{"rule": "self.sails < 9"}],
                            }
                        },
                    }
                },
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.sails",
                        "statusReplicasPath": ".status.sails",
                    },
                },
                "additionalPrinterColumns": [
                    {"name": "Sails", "type": "integer", "jsonPath": ".spec.sails"}
                ],
            }
        ],
    }
}
_MATCHED = {
    "resourceRules": [
        {
            "operations": ["CREATE"],
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "resources": ["podtemplates"],
        }
    ]
}
SPECS["validatingadmissionpolicies"] = {
    "spec": {
        "matchConstraints": _MATCHED,
        "variables": [{"name": "few", "expression": "size(object.metadata.name) < 9"}],
        "validations": [{"expression": "variables.few", "messageExpression": "'long'"}],
    }
}
SPECS["mutatingadmissionpolicies"] = {
    "spec": {
        "matchConstraints": _MATCHED,
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}],
    }
}
QUERIES = {
    "limit": ("1", "-1", "0", "x", "9" * 30, "9" * 5000, "1_0", "٣", "1.5"),
    "continue": ("x", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiYSJ9", "e30", "bnVsbA"),
    "resourceVersion": ("0", "1", "-1", "x", "9" * 19, "9" * 40, "9" * 5000, "٣", "1.5"),
    "resourceVersionMatch": ("Exact", "NotOlderThan", "x"),
    "timeoutSeconds": ("0", "1", "-1", "x", "9" * 12, "9" * 400, "9" * 5000),
    "timeout": ("1s", "x", "9" * 400 + "h"),
    "labelSelector": ("a=b", "a in (b,c)", "!a", "a in (", ",", "a==b=c", "a>1", "(" * 500, "é=1"),
    "fieldSelector": ("metadata.name=a", "spec.nodeName=", "a=b", "\\", "a=b\\", "=", "metadata.x"),
    "watch": ("1", "true", "0", "x"),
    "allowWatchBookmarks": ("true",),
    "sendInitialEvents": ("true", "false"),
    "dryRun": ("All", "x", ""),
    "fieldManager": ("me", "é", "x" * 200, "\n"),
    "fieldValidation": ("Strict", "Warn", "Ignore", "x"),
    "force": ("true", "x"),
    "gracePeriodSeconds": ("0", "-5", "9" * 30, "x"),
    "propagationPolicy": ("Orphan", "Foreground", "x"),
    "orphanDependents": ("true",),
    "pretty": ("true", "x"),
    "includeObject": ("None", "Object", "x"),
}
ACCEPTS = (
    JSON,
    YAML,
    "*/*",
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io",
    "application/vnd.kubernetes.protobuf",
    "text/html;q=nan,application/json;q=x",
    ";;;=,,q",
)
STRANGE: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    10**30,
    1.5,
    1e300,
    "",
    "x" * 300,
    "é",
    "\x00",
    "a/b/c",
    "..",
    "1e99999999",
    "9" * 5000,
    "100000000000000000000Ei",
    "2026-13-45T99:99:99Z",
    "9999-12-31T23:59:59.999999999Z",
    [],
    [None],
    [[]],
    {},
    {"": ""},
    {"a": None},
    {"$patch": "delete"},
    {"$setElementOrder/containers": [1]},
)
# Texts that no generator of documents comes to.
BODIES = (
    b"",
    b"null",
    b"[]",
    b"{",
    b"[" * 100_000,
    b'{"a":' * 5000,
    b"{" + b'"a":{' * 900 + b"}" * 901,
    b'{"metadata":{"name":"\\ud800"}}',
    b'{"metadata":{"name":"x"},"data":{"a":"\\udfff\\ud800"}}',
    b'{"metadata":{"name":"x","name":"y"},"data":{"a":"1","a":"2"}}',
    b'{"metadata":{"generation":' + b"9" * 5000 + b"}}",
    b'{"metadata":{"generation":1e999}}',
    b'{"metadata":{"generation":-0.0}}',
    b"\xff\xfe{\x00}\x00",
    b'\xef\xbb\xbf{"metadata":{"name":"bom"}}',
    b"a: &a [*a]",
    b"a: &a {b: *a}",
    b"<<: 5",
    b"<<: [5, {a: b}]",
    b"? [1, 2]\n: 3",
    b"? {a: b}\n: 3",
    b"a: " + b"9" * 5000,
    b"a: 0x" + b"f" * 5000,
    b"a: 0o9\nb: 0b\nc: +\nd: -.\ne: .",
    b"a: !!python/object/apply:os.system [x]",
    b"a: !!binary x\nb: !!timestamp y\nc: !!int z",
    b"[" * 3000,
    b"\n".join(
        [b"a0: &a0 [x,x]"] + [b"a%d: &a%d [*a%d,*a%d]" % (i, i, i - 1, i - 1) for i in range(1, 40)]
    ),
    b"k8s\x00",
    b"k8s\x00\x0a\x0e\x0a\x02v1\x12\x08ConfigMap\x12\x00",
    b"k8s\x00\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x03\x0a\x01\xff",
    b"k8s\x00\x08\x01\x10\x01",
    b"k8s\x00\x0a\x04\x08\x01\x10\x01",
    b"k8s\x00\x0a\x07\x0a\x02\xff\xfe\x12\x01\xff",
    b"k8s\x00\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x04\x08\x01\x10\x01",
)


@dataclass(frozen=True)
class Sent:
    """A request."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def __str__(self) -> str:
        headers = " ".join(f"{name}={value!r}" for name, value in self.headers)
        return f"{self.method} {self.target[:300]!r} {headers} {self.body[:400]!r}"


@dataclass
class Report:
    """What was found."""

    n_requests: int = 0
    findings: list[str] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)


class Generator:
    """Good requests, spoilt; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def request(self) -> Sent:
        """Return the next request."""
        chance = self._chance
        method = chance.choice(("GET", "GET", "POST", "POST", "PUT", "PATCH", "PATCH", "DELETE"))
        if chance.random() < 0.01:
            method = chance.choice(("HEAD", "OPTIONS", "TRACE", "FOO"))
        collection = chance.choice(COLLECTIONS)
        path = collection
        if method in ("PUT", "PATCH", "DELETE") or (method == "GET" and chance.random() < 0.5):
            path += f"/{self._name(collection)}{chance.choice(SUBRESOURCES)}"
        if chance.random() < 0.05:
            path = self._strange_path(path)
        headers = self._headers(method)
        body = b"" if method in ("GET", "HEAD") else self._body(collection, dict(headers))
        return Sent(method, path + self._query(), headers, body)

    def _name(self, collection: str) -> str:
        names = ("a", "b", "c", "web", "node-1")
        if collection.endswith("/customresourcedefinitions"):
            names = ("boats.example.com", "boats.example.com", "a")
        return self._chance.choice(names)

    def _strange_path(self, path: str) -> str:
        chance = self._chance
        strange = (
            "%00",
            "%2F",
            "..",
            "%2e%2e",
            "//",
            "%ff%fe",
            "%",
            "é",
            "x" * 5000,
            "%25",
            "?",
            "",
        )
        parts = path.split("/")
        parts[chance.randrange(len(parts))] = chance.choice(strange)
        return "/" + "/".join(parts).lstrip("/")

    def _query(self) -> str:
        chance = self._chance
        names = chance.sample(list(QUERIES), chance.choice((0, 0, 1, 1, 2, 4)))
        if "watch" in names:  # not for ever
            names = ["timeoutSeconds", *(name for name in names if name != "timeoutSeconds")]
        pairs = []
        for name in names:
            values = QUERIES[name]
            is_bounded = name == "timeoutSeconds" and "watch" in names
            value = "1" if is_bounded and chance.random() < 0.7 else chance.choice(values)
            pairs.append(f"{name}={_quoted(value)}")
        return "?" + "&".join(pairs) if pairs else ""

    def _headers(self, method: str) -> tuple[tuple[str, str], ...]:
        chance = self._chance
        headers = []
        if chance.random() < 0.4:
            headers.append(("Accept", chance.choice(ACCEPTS)))
        kinds = PATCHES if method == "PATCH" else (JSON, JSON, JSON, YAML)
        kind = chance.choice(kinds)
        if chance.random() < 0.1:
            kind = chance.choice(
                (*PATCHES, JSON, YAML, "application/vnd.kubernetes.protobuf", "", "x", ";", "\xff")
            )
        headers.append(("Content-Type", kind))
        if chance.random() < 0.02:
            name = chance.choice(("Impersonate-User", "Authorization", "If-None-Match"))
            headers.append((name, chance.choice(("", "x", "Bearer ", "Basic x", '"', "é"))))
        return tuple(headers)

    def _body(self, collection: str, headers: dict[str, str]) -> bytes:
        chance = self._chance
        if chance.random() < 0.12:
            return chance.choice(BODIES)
        document = self._document(collection)
        if headers["Content-Type"] == PATCHES[1]:
            document = self._operations()
        for _ in range(chance.choice((0, 0, 1, 1, 2, 5))):
            document = self._spoilt(document)
        is_yaml = "yaml" in headers["Content-Type"] and chance.random() < 0.7
        body = yaml.safe_dump(document).encode() if is_yaml else json.dumps(document).encode()
        return self._with_noise(body) if chance.random() < 0.1 else body

    def _document(self, collection: str) -> Any:
        plural = collection.rpartition("/")[2]
        document = json.loads(json.dumps(SPECS[plural]))
        document["metadata"] = {"name": self._name(collection), "labels": {"app": "web"}}
        if self._chance.random() < 0.5:
            group_version = collection.split("/namespaces/")[0].removesuffix(f"/{plural}")
            document["apiVersion"] = group_version.removeprefix("/apis/").removeprefix("/api/")
        return document

    def _operations(self) -> list[Document]:
        chance = self._chance
        paths = (
            "",
            "/",
            "/metadata",
            "/metadata/labels/app",
            "/data/-",
            "/spec/containers/0",
            "/x/y",
        )
        return [
            {
                "op": chance.choice(("add", "remove", "replace", "move", "copy", "test", "x")),
                "path": chance.choice(paths),
                "from": chance.choice(paths),
                "value": copy.deepcopy(chance.choice(STRANGE)),
            }
            for _ in range(chance.randint(1, 4))
        ]

    def _spoilt(self, document: Any) -> Any:
        """Return a document with one place, somewhere in it, that is wrong."""
        chance = self._chance
        places = list(_places(document))
        if not places:
            return document
        holder, key = chance.choice(places)
        what = chance.random()
        if what < 0.6:
            holder[key] = copy.deepcopy(chance.choice(STRANGE))
        elif what < 0.8:
            del holder[key]
        elif isinstance(holder, list):
            holder.append(holder[key])
        else:
            holder[f"{key}x"] = holder[key]
        return json.loads(json.dumps(document))  # no two places share what was put there

    def _with_noise(self, body: bytes) -> bytes:
        chance = self._chance
        noisy = bytearray(body)
        for _ in range(chance.choice((1, 1, 2, 8))):
            at = chance.randrange(len(noisy) + 1)
            what = chance.randrange(4)
            if what == 0 and noisy:
                noisy[at % len(noisy)] = chance.randrange(256)
            elif what == 1:
                del noisy[at:]
            elif what == 2:
                noisy[at:at] = bytes(chance.randrange(256) for _ in range(3))
            else:
                noisy[at:at] = noisy[at : at + 20]
        return bytes(noisy)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


def _quoted(text: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else _percent(c) for c in text)


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())


class Connection:
    """Sends raw requests, on one connection as long as it lasts."""

    def __init__(self, kubeconfig: Path) -> None:
        settings = yaml.safe_load(kubeconfig.read_text())
        server = settings["clusters"][0]["cluster"]
        self._host, _, port = server["server"].removeprefix("https://").partition(":")
        self.address = (self._host, int(port))
        user = settings["users"][0]["user"]
        self._context = ssl.create_default_context(
            cadata=base64.b64decode(server["certificate-authority-data"]).decode()
        )
        with tempfile.NamedTemporaryFile() as file:
            for name in ("client-certificate-data", "client-key-data"):
                file.write(base64.b64decode(user[name]))
            file.flush()
            self._context.load_cert_chain(file.name)
        self._socket: ssl.SSLSocket | None = None

    def open(self) -> ssl.SSLSocket:
        """Return a new connection of the caller's own."""
        raw = socket.create_connection(self.address, PATIENCE_S)
        return self._context.wrap_socket(raw, server_hostname=self._host)

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, sent: Sent) -> tuple[int, bytes]:
        """Return code and body of the answer."""
        head = [f"{sent.method} {sent.target} HTTP/1.1", f"Host: {self._host}"]
        head += [f"{name}: {value}" for name, value in sent.headers]
        head.append(f"Content-Length: {len(sent.body)}")
        data = "\r\n".join([*head, "", ""]).encode("utf-8", "surrogateescape") + sent.body
        if self._socket is None:
            self._socket = self.open()
        try:
            self._socket.sendall(data)
            response = http.client.HTTPResponse(self._socket, method=sent.method)
            response.begin()
            body = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if response.will_close:
            self.close()
        return response.status, body


class Fuzzer:
    """Sends requests and judges answers."""

    def __init__(self, connection: Connection, seed: int) -> None:
        self._connection = connection
        self._generator = Generator(seed)
        self._kept: dict[str, str] = {}
        self.report = Report()

    def run(self, n_requests: int) -> Report:
        """Send so many spoilt requests, and check the sound writes at the end."""
        self._sound("POST", "/api/v1/namespaces", {"metadata": {"name": KEPT}})
        for number in range(n_requests):
            if number % SOUND_EVERY == 0:
                self._write(number)
            self._judge(self._generator.request())
        self._check_kept()
        return self.report

    def _judge(self, sent: Sent) -> None:
        self.report.n_requests += 1
        begun = time.monotonic()
        try:
            code, body = self._connection.ask(sent)
        except TimeoutError:
            if "timeoutSeconds" not in sent.target:
                self._found(f"no answer within {PATIENCE_S} s", sent)
            return
        except (OSError, http.client.HTTPException) as error:
            self._found(f"no proper answer: {error!r}", sent)
            return
        self.report.codes[code] += 1
        took_s = time.monotonic() - begun
        if took_s > PATIENCE_S:
            self._found(f"answered after {took_s:.1f} s", sent)
        text = body.decode("utf-8", "replace")
        if code >= 500 and code != 504 and not any(known in text for known in KNOWN_FAULTS):
            self._found(f"{code} {text[:500]}", sent)

    def _found(self, what: str, sent: Sent) -> None:
        self.report.findings.append(f"{what}\n    {sent}")

    def _sound(self, method: str, path: str, body: Document | None = None) -> Document:
        raw = b"" if body is None else json.dumps(body).encode()
        code, answer = self._connection.ask(Sent(method, path, (("Content-Type", JSON),), raw))
        if code >= 300:
            self.report.findings.append(f"{method} {path}: {code} {answer[:500]!r}")
        return json.loads(answer)

    def _write(self, number: int) -> None:
        name = f"kept-{number}"
        body = {"metadata": {"name": name}, "data": {"number": str(number)}}
        made = self._sound("POST", f"/api/v1/namespaces/{KEPT}/configmaps", body)
        if "uid" in made.get("metadata", {}):
            self._kept[name] = made["metadata"]["uid"]

    def _check_kept(self) -> None:
        listed = self._sound("GET", f"/api/v1/namespaces/{KEPT}/configmaps")
        found = {item["metadata"]["name"]: item for item in listed.get("items", ())}
        for name, uid in self._kept.items():
            item = found.get(name, {"metadata": {}, "data": {}})
            number = name.removeprefix("kept-")
            if item["metadata"].get("uid") != uid or item["data"] != {"number": number}:
                self.report.findings.append(f"{name} was acknowledged, and is now {item}")


def memory_mb(pid: int) -> int:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000


def fuzz(data: Path, n_requests: int, seed: int) -> Report:
    """Fuzz the API server of a cluster that runs in a data directory."""
    running = msgspec.json.decode((data / "running.json").read_bytes())
    [pid] = [entry["pid"] for entry in running["processes"] if entry["name"] == "apiserver"]
    before = memory_mb(pid)
    connection = Connection(data / "kubeconfig")
    try:
        report = Fuzzer(connection, seed).run(n_requests)
    finally:
        connection.close()
    if not Path(f"/proc/{pid}").exists():
        report.findings.append("the API server died")
    elif (grown := memory_mb(pid) - before) > MAX_GROWTH_MB:
        report.findings.append(f"memory grew by {grown} MB from {before} MB")
    return report


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "cluster"
        berth = [sys.executable, "-m", "kubeberth"]
        where = ["--data-dir", str(data)]
        up = [*berth, "up", *where, "--port", "0", "--detach", "--nodes", "1"]
        subprocess.run(up, check=True, stdout=subprocess.DEVNULL)
        try:
            report = fuzz(data, options.requests, options.seed)
        finally:
            subprocess.run([*berth, "down", *where], check=True, stdout=subprocess.DEVNULL)
    for finding in report.findings:
        print(finding)
    counts = ", ".join(f"{code}: {count}" for code, count in sorted(report.codes.items()))
    print(f"{report.n_requests} requests ({counts}), {len(report.findings)} findings")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
