"""`berth apiserver`: an API server."""

from __future__ import annotations

from pathlib import Path

import click

from kubeberth.apiserver.admission_selection import AdmissionSettings
from kubeberth.apiserver.audit.log import LogSettings
from kubeberth.apiserver.server import ServerSettings, serve
from kubeberth.cli.admission import admission_options
from kubeberth.cli.component import Ready, run_component
from kubeberth.cli.server_options import server_options
from kubeberth.clock import SystemClock
from kubeberth.errors import UsageError

EXISTING_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("apiserver")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=6443, show_default=True, help="0: a free one."
)
@click.option(
    "--tls-cert-file", type=EXISTING_FILE, required=True, help="The server's certificate, PEM."
)
@click.option(
    "--tls-private-key-file",
    type=EXISTING_FILE,
    help="The key that goes with it.  [default: in the certificate's file]",
)
@click.option(
    "--client-ca-file",
    type=EXISTING_FILE,
    required=True,
    help="Who signs the certificates of clients, PEM.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where objects are kept.  [default: in memory only]",
)
@click.option(
    "--service-account-signing-key-file",
    type=EXISTING_FILE,
    help="P-256 key that signs tokens, PEM; made when it is not there.  [default: in the data "
    "directory]",
)
@click.option(
    "--enable-bootstrap-token-auth",
    is_flag=True,
    help="Let in who shows a bootstrap token, as nodes do that join with `berth token create`.",
)
@server_options
@admission_options
def command(
    host: str,
    port: int,
    tls_cert_file: Path,
    tls_private_key_file: Path | None,
    client_ca_file: Path,
    data_dir: Path | None,
    service_account_signing_key_file: Path | None,
    enable_bootstrap_token_auth: bool,
    token_auth_file: str | None,
    encryption_provider_config: str | None,
    audit_log_path: str | None,
    audit_policy_file: str | None,
    audit_log_maxage: int | None,
    audit_log_maxbackup: int | None,
    audit_log_maxsize: int | None,
    admission: AdmissionSettings | None,
) -> None:
    """Run an API server: Kubernetes 1.36 on the wire, objects in SQLite."""
    audit_log = None
    if audit_log_path:
        audit_log = LogSettings(
            audit_log_path,
            audit_log_maxage or 0,
            audit_log_maxbackup or 0,
            audit_log_maxsize or 0,
        )
    elif audit_policy_file:
        raise UsageError(
            "--audit-policy-file says what is written down: say where, too, with --audit-log-path"
        )
    settings = ServerSettings(
        host=host,
        port=port,
        cert_file=tls_cert_file,
        key_file=tls_private_key_file or tls_cert_file,
        client_ca_file=client_ca_file,
        data_dir=data_dir,
        signing_key_file=service_account_signing_key_file,
        token_auth_file=Path(token_auth_file) if token_auth_file else None,
        takes_bootstrap_tokens=enable_bootstrap_token_auth,
        encryption_file=Path(encryption_provider_config) if encryption_provider_config else None,
        audit_log=audit_log,
        audit_policy_file=Path(audit_policy_file) if audit_policy_file else None,
        admission=admission or AdmissionSettings(),
    )

    async def main(ready: Ready) -> None:
        await serve(settings, clock=SystemClock(), ready=ready)

    run_component(main)
