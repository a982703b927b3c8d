"""The token of a service account, asked of the API server by somebody who may.

Rule 1  It is asked for when it is first needed; an account that is missing is made.
Rule 2  It is asked for anew when a fifth of its time is left, or when the server refuses it.
Rule 3  What holds is shown for as long as it does, even if no new one can be had.

Matches `k8s.io/controller-manager/pkg/clientbuilder` of Kubernetes 1.36.
"""

from __future__ import annotations

import asyncio
from typing import Any

from kubeberth.api.scheme import SERVICE_ACCOUNTS
from kubeberth.client.client import Client
from kubeberth.client.credentials import Proof
from kubeberth.clock import Clock
from kubeberth.errors import AlreadyExistsError, BerthError, NotFoundError, TransportError

ASKED_S = 3600
RENEW_AT = 0.8


class AccountToken:
    """A `ProofSource`: one token of one account.

    Parameters
    ----------
    client
        Of somebody who may make the account and ask for its tokens.
    """

    def __init__(self, client: Client, namespace: str, name: str, clock: Clock) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._clock = clock
        self._proof: Proof | None = None
        self._asked_at = 0.0
        self._seconds = 0.0
        self._asking = asyncio.Lock()

    async def get(self) -> Proof:
        """Return a token that holds.

        Raises
        ------
        TransportError
            None can be had; the text says why.
        """
        async with self._asking:
            age_s = self._clock.now() - self._asked_at
            if self._proof is None or not 0 <= age_s < self._seconds * RENEW_AT:
                try:
                    await self._ask()
                except BerthError as error:
                    if self._proof is None or age_s >= self._seconds:
                        # Never as the error it is: "not found" would be said of what the request
                        # that needs the token is about.
                        account = f"{self._namespace}/{self._name}"
                        raise TransportError(
                            f"no token for service account {account}: {error}"
                        ) from error
            assert self._proof is not None
            return self._proof

    def refused(self) -> None:
        """Ask for another one next time: the account may have been made anew."""
        self._proof = None

    async def _ask(self) -> None:
        asked_at = self._clock.now()
        try:
            answer = await self._request()
        except NotFoundError:
            await self._make_account()
            answer = await self._request()
        self._proof = Proof(answer["status"]["token"])
        self._asked_at = asked_at
        # The server may give less than it was asked for.
        self._seconds = answer["spec"]["expirationSeconds"]

    async def _request(self) -> dict[str, Any]:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": ASKED_S},
        }
        return await self._client.create(
            SERVICE_ACCOUNTS, body, self._namespace, name=self._name, sub="token"
        )

    async def _make_account(self) -> None:
        body = {
            "apiVersion": SERVICE_ACCOUNTS.api_version,
            "kind": SERVICE_ACCOUNTS.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
        }
        try:
            await self._client.create(SERVICE_ACCOUNTS, body)
        except AlreadyExistsError:
            return  # somebody else was faster
