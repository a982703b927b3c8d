import asyncio
import base64
from pathlib import Path

import pytest
import yaml

from kubeberth.client.default_kubeconfig import default_kubeconfig
from kubeberth.client.kubeconfig import in_cluster, load_kubeconfig
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


def test_of_several_files_the_first_that_says_something_counts(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "two/tls.crt").write_bytes(b"CERT")
    (tmp_path / "two/tls.key").write_bytes(b"KEY")
    first = write(tmp_path / "one", users=[], **{"current-context": "x"})
    linked = {"client-certificate": "tls.crt", "client-key": "tls.key"}
    second = write(
        tmp_path / "two",
        clusters=[{"name": "c", "cluster": {"server": "https://elsewhere"}}],
        users=[{"name": "u", "user": linked}],
        **{"current-context": "anonymous"},
    )
    credentials = load_kubeconfig(Path(f"{tmp_path / 'gone'}:{first}:{second}"))
    assert credentials.server == "https://host:1"
    assert (credentials.cert, credentials.key) == (b"CERT", b"KEY")


def test_none_of_several_files_is_one_clear_line(tmp_path):
    with pytest.raises(UsageError, match="none of the kubeconfigs"):
        load_kubeconfig(Path(f"{tmp_path}/a:{tmp_path}/b"))


class TestInAPod:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        for name, text in (("ca.crt", "CA"), ("namespace", "team\n"), ("token", "one\n")):
            (tmp_path / name).write_text(text)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
        return tmp_path

    def test_the_service_account_counts(self, folder):
        credentials = in_cluster(folder)
        assert credentials.server == "https://10.0.0.1:6443"
        assert (credentials.ca, credentials.namespace) == (b"CA", "team")
        assert asyncio.run(credentials.source.get()).token == "one"

    def test_an_address_of_ipv6_is_bracketed(self, folder, monkeypatch):
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
        assert in_cluster(folder).server == "https://[fd00::1]:6443"

    def test_it_counts_where_no_kubeconfig_is_named_and_none_is_there(self, folder, monkeypatch):
        monkeypatch.setenv("HOME", str(folder))
        with pytest.raises(UsageError, match="no service account: /var/run/secrets"):
            load_kubeconfig(default_kubeconfig())

    def test_a_pod_without_a_service_account_says_so(self, folder):
        (folder / "token").unlink()
        with pytest.raises(UsageError, match=r"no service account: .*token: No such file"):
            in_cluster(folder)
