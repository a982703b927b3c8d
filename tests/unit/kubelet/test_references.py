"""References to images, and the images that a node has."""

import pytest

from kubeberth.kubelet.images import Images
from kubeberth.kubelet.references import ImageReferenceError, full_reference

DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.25", "docker.io/library/nginx:1.25"),
        ("bitnami/redis", "docker.io/bitnami/redis:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("localhost/app", "localhost/app:latest"),
        ("registry:5000/app", "registry:5000/app:latest"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
        (f"nginx:1.25@{DIGEST}", f"docker.io/library/nginx:1.25@{DIGEST}"),
    ],
)
def test_what_a_reference_leaves_out_stands_for_docker_hub_and_latest(image, full):
    assert full_reference(image) == full


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (
            "busyBOX",
            "invalid reference format: repository name (library/busyBOX) must be lowercase",
        ),
        ("team/App:1", "invalid reference format: repository name (team/App) must be lowercase"),
        (":sha-0b29", "invalid reference format"),
        ("nginx:", "invalid reference format"),
        ("registry.k8s.io//pause", "invalid reference format"),
        ("two words", "invalid reference format"),
        ("https://registry.k8s.io/pause", "invalid reference format"),
        ("nginx@sha256:12", "invalid reference format"),
        (
            "a" * 64,
            f"invalid repository name ({'a' * 64}), cannot specify 64-byte hexadecimal strings",
        ),
        ("x" * 256, "repository name must not be more than 255 characters"),
    ],
)
def test_what_refers_to_no_image_is_told_in_the_words_of_the_registries_library(image, error):
    with pytest.raises(ImageReferenceError) as caught:
        full_reference(image)
    assert str(caught.value) == error


def test_an_image_is_known_by_all_its_names_and_what_is_none_is_passed_over():
    images = Images(["docker.io/library/nginx:latest", "<none>@<none>"])
    assert images.has("nginx")
    assert not images.has("nginx:1.25")
    images.add("nginx:1.25")
    assert images.has("docker.io/library/nginx:1.25")


def test_what_one_node_pulls_no_other_has():
    one, other = Images(["nginx"]), Images(["nginx"])
    one.add("redis")
    assert (one.has("redis"), other.has("redis")) == (True, False)
