"""kubectl with a certificate that does not count is told what is wrong in its own words."""

import pytest
import yaml

from kubeberth.clock import SystemClock
from kubeberth.cluster.pki import ADMIN, Authority

pytestmark = pytest.mark.e2e
LOGIN = "error: You must be logged in to the server"


@pytest.mark.parametrize("kind", ["expired", "foreign"])
def test_kubectl_asks_to_log_in(cluster, tmp_path, kind):
    now = SystemClock().now()
    folder = tmp_path / "authority" if kind == "foreign" else cluster.data / "pki"
    certificate = Authority(folder, now - (0 if kind == "foreign" else 400 * 86400)).client(
        f"bad-{kind}", ADMIN
    )
    config = yaml.safe_load((cluster.data / "kubeconfig").read_text())
    user = config["users"][0]["user"]
    user.clear()
    user |= {"client-certificate": str(certificate), "client-key": str(certificate)}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    answer = cluster.kubectl().run(f"kubectl --kubeconfig {path} get nodes")
    assert LOGIN in answer.stderr
    assert answer.returncode == 1
