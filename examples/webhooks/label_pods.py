"""A mutating webhook: every new pod gets the label `team: blue`.

    python label_pods.py > webhook.yaml &
    kubectl apply -f webhook.yaml

Prints the configuration that registers it, with a certificate of its own, and serves until it is
interrupted.
"""

import asyncio
import base64
import datetime
import ipaddress
import json
import ssl
import tempfile

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CONFIGURATION = """\
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata:
  name: label-pods
webhooks:
- name: label-pods.example.com
  clientConfig:
    url: https://127.0.0.1:{port}/label
    caBundle: {bundle}
  rules:
  - apiGroups: [""]
    apiVersions: [v1]
    operations: [CREATE]
    resources: [pods]
  failurePolicy: Fail
  sideEffects: None
  admissionReviewVersions: [v1]
  timeoutSeconds: 5
"""


async def label(request: web.Request) -> web.Response:
    """Answer an AdmissionReview with a patch that adds the label."""
    review = await request.json()
    labels = review["request"]["object"]["metadata"].get("labels", {})
    patch = [{"op": "add", "path": "/metadata/labels", "value": {**labels, "team": "blue"}}]
    review["response"] = {
        "uid": review["request"]["uid"],
        "allowed": True,
        "patchType": "JSONPatch",
        "patch": base64.b64encode(json.dumps(patch).encode()).decode(),
    }
    return web.json_response(review)


def certificate() -> tuple[bytes, bytes]:
    """Return a certificate for 127.0.0.1 that signs itself, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "label-pods")])
    now = datetime.datetime.now(datetime.UTC)  # noqa: TID251 - a program of its own
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = serialization.PrivateFormat.PKCS8
    return made.public_bytes(pem), key.private_bytes(pem, private, serialization.NoEncryption())


async def serve() -> None:
    """Print the configuration, and answer the API server."""
    public, private = certificate()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(private + public)
        file.flush()
        context.load_cert_chain(file.name)
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/label", label)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    bundle = base64.b64encode(public).decode()
    print(CONFIGURATION.format(port=runner.addresses[0][1], bundle=bundle), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
