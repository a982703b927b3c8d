import base64

import pytest
import yaml

from kubeberth.client.kubeconfig import load_kubeconfig
from kubeberth.errors import UsageError


def write(tmp_path, **changes):
    document = {
        "clusters": [{"name": "c", "cluster": {"server": "https://host:1/"}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [
            {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
            {"name": "anonymous", "context": {"cluster": "c"}},
        ],
        "current-context": "x",
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document | changes))
    return path


def test_the_current_context_says_server_user_and_namespace(tmp_path):
    credentials = load_kubeconfig(write(tmp_path))
    assert credentials.server == "https://host:1"
    assert credentials.token == "secret"
    assert credentials.namespace == "team"


def test_another_context_can_be_named(tmp_path):
    assert load_kubeconfig(write(tmp_path), "anonymous").token is None


def test_certificates_come_from_files_beside_the_kubeconfig_or_from_within(tmp_path):
    (tmp_path / "tls.crt").write_bytes(b"CERT")
    user = {
        "client-certificate": "tls.crt",
        "client-key-data": base64.b64encode(b"KEY").decode(),
    }
    credentials = load_kubeconfig(write(tmp_path, users=[{"name": "u", "user": user}]))
    assert (credentials.cert, credentials.key) == (b"CERT", b"KEY")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"current-context": ""}, "has no current-context"),
        ({"current-context": "y"}, "has no context named 'y'"),
        ({"clusters": []}, "has no cluster named 'c'"),
        ({"users": [{"name": "u", "user": {"client-key": "gone"}}]}, "gone: No such file"),
        ({"users": [{"name": "u", "user": {"client-key-data": "%"}}]}, "is not base64"),
    ],
)
def test_what_is_missing_is_named(tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        load_kubeconfig(write(tmp_path, **changes))


def test_a_missing_kubeconfig_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read kubeconfig .*: No such file or directory"):
        load_kubeconfig(tmp_path / "config")


def test_a_kubeconfig_that_is_no_yaml_is_named(tmp_path):
    (tmp_path / "config").write_text("{")
    with pytest.raises(UsageError, match="is not YAML"):
        load_kubeconfig(tmp_path / "config")
