"""What others need to verify tokens of service accounts: who issues them, and with which key.

Matches `pkg/serviceaccount/openidmetadata.go` of Kubernetes 1.36, as OpenID Connect Discovery has
it.
"""

from __future__ import annotations

from kubeberth.apiserver.auth.service_accounts import ServiceAccountTokens
from kubeberth.apiserver.auth.signing_key import ALGORITHM
from kubeberth.apiserver.responses import Response, encode

CONFIGURATION_PATH = "/.well-known/openid-configuration"
KEYS_PATH = "/openid/v1/jwks"
PATHS = (CONFIGURATION_PATH, KEYS_PATH)
# Keys change when a cluster is made anew; an hour is upstream's.
CACHED = ("Cache-Control", "public, max-age=3600")


def respond(path: str, tokens: ServiceAccountTokens, server_address: str) -> Response:
    """Answer a GET of one of the paths."""
    if path == KEYS_PATH:
        body = encode({"keys": [tokens.key.public_jwk()]})
        return Response(body, content_type="application/jwk-set+json", headers=[CACHED])
    body = encode(
        {
            "issuer": tokens.issuer,
            "jwks_uri": f"https://{server_address}{KEYS_PATH}",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
        }
    )
    return Response(body, headers=[CACHED])
