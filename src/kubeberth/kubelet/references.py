"""References to images, as pods and nodes write them: `nginx`, `registry.k8s.io/pause:3.10`.

Matches `ParseNormalizedNamed` of `github.com/distribution/reference`, which kubelets and container
runtimes read them by: what is left out stands for Docker Hub, its library, the tag latest. Pure.
"""

from __future__ import annotations

import re
from functools import lru_cache

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
MAX_NAME = 255

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?P<name>{_REGISTRY}(?:/{_PART})+)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?"
)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")


class ImageReferenceError(ValueError):
    """It refers to no image; the text says why, as a kubelet does."""


@lru_cache(4096)
def full_reference(image: str) -> str:
    """Return a reference with everything that was left out: `docker.io/library/nginx:latest`.

    Raises
    ------
    ImageReferenceError
        It is none.
    """
    if _IDENTIFIER.fullmatch(image):
        raise ImageReferenceError(
            f"invalid repository name ({image}), cannot specify 64-byte hexadecimal strings"
        )
    registry, path = _split(image)
    repository = path.partition(":")[0]
    if repository.lower() != repository:
        raise ImageReferenceError(
            f"invalid reference format: repository name ({repository}) must be lowercase"
        )
    match = _REFERENCE.fullmatch(f"{registry}/{path}")
    if match is None:
        raise ImageReferenceError("invalid reference format")
    if len(match["name"].partition("/")[2]) > MAX_NAME:
        raise ImageReferenceError(f"repository name must not be more than {MAX_NAME} characters")
    return match[0] if match["tag"] or match["digest"] else f"{match[0]}:{DEFAULT_TAG}"


def _split(image: str) -> tuple[str, str]:
    """Return the registry of an image, and the rest: a word without a dot is no registry."""
    first, slash, rest = image.partition("/")
    is_registry = "." in first or ":" in first or first == "localhost" or first != first.lower()
    registry, path = (first, rest) if slash and is_registry else (DEFAULT_REGISTRY, image)
    if registry == "index.docker.io":
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and "/" not in path:
        path = f"library/{path}"
    return registry, path
