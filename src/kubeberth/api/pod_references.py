"""What a pod refers to: secrets, config maps, claims, accounts; and the secrets of a volume.

Matches `pkg/api/v1/pod` and `pkg/api/v1/persistentvolume` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from kubeberth.api.meta import ApiStruct

MIRROR = "kubernetes.io/config.mirror"


class Reference(ApiStruct, frozen=True):
    """An object by its name, and where others may be named its namespace."""

    name: str = ""
    namespace: str = ""


class _Holder(ApiStruct, frozen=True):
    """A volume of which only its secret matters."""

    secret_ref: Reference | None = None


class _AzureFile(ApiStruct, frozen=True):
    secret_name: str = ""
    secret_namespace: str | None = None


class _Secret(ApiStruct, frozen=True):
    secret_name: str = ""


class _Token(ApiStruct, frozen=True):
    audience: str = ""


class _Source(ApiStruct, frozen=True):
    """One part of a projected volume."""

    secret: Reference | None = None
    config_map: Reference | None = None
    service_account_token: _Token | None = None
    cluster_trust_bundle: Reference | None = None
    pod_certificate: Reference | None = None


class _Projected(ApiStruct, frozen=True):
    sources: tuple[_Source, ...] | None = ()


class _Claim(ApiStruct, frozen=True):
    claim_name: str = ""


class _Csi(ApiStruct, frozen=True):
    """A volume of a CSI driver, in a pod or as a persistent volume."""

    driver: str = ""
    node_publish_secret_ref: Reference | None = None
    node_stage_secret_ref: Reference | None = None
    node_expand_secret_ref: Reference | None = None


class _Volumes(ApiStruct, frozen=True):
    """The sources that pods and persistent volumes have in common."""

    azure_file: _AzureFile | None = None
    cephfs: _Holder | None = None
    cinder: _Holder | None = None
    csi: _Csi | None = None
    flex_volume: _Holder | None = None
    iscsi: _Holder | None = None
    rbd: _Holder | None = None
    scale_io: _Holder | None = msgspec.field(default=None, name="scaleIO")
    storageos: _Holder | None = None

    def holders(self) -> Iterator[Reference]:
        """Yield the secrets that are named alike in all of them."""
        for holder in (
            self.cephfs,
            self.cinder,
            self.flex_volume,
            self.rbd,
            self.scale_io,
            self.iscsi,
            self.storageos,
        ):
            if holder is not None and holder.secret_ref is not None:
                yield holder.secret_ref


class PodVolume(_Volumes, frozen=True):
    """A volume of a pod."""

    name: str = ""
    config_map: Reference | None = None
    ephemeral: Reference | None = None
    glusterfs: Reference | None = None
    persistent_volume_claim: _Claim | None = None
    projected: _Projected | None = None
    secret: _Secret | None = None

    @property
    def sources(self) -> tuple[_Source, ...]:
        """What is projected into it."""
        return (self.projected.sources or ()) if self.projected is not None else ()

    def secrets(self) -> Iterator[str]:
        """Yield the names of its secrets, as they are."""
        if self.azure_file is not None:
            yield self.azure_file.secret_name
        if self.secret is not None:
            yield self.secret.secret_name
        if self.csi is not None and self.csi.node_publish_secret_ref is not None:
            yield self.csi.node_publish_secret_ref.name
        for reference in self.holders():
            yield reference.name
        for source in self.sources:
            if source.secret is not None:
                yield source.secret.name

    def config_maps(self) -> Iterator[str]:
        """Yield the names of its config maps, as they are."""
        if self.config_map is not None:
            yield self.config_map.name
        for source in self.sources:
            if source.config_map is not None:
                yield source.config_map.name


class _ValueFrom(ApiStruct, frozen=True):
    secret_key_ref: Reference | None = None
    config_map_key_ref: Reference | None = None


class _Variable(ApiStruct, frozen=True):
    name: str = ""
    value_from: _ValueFrom | None = None


class _Variables(ApiStruct, frozen=True):
    secret_ref: Reference | None = None
    config_map_ref: Reference | None = None


class Container(ApiStruct, frozen=True):
    """What the environment of a container is taken from."""

    name: str = ""
    env: tuple[_Variable, ...] | None = ()
    env_from: tuple[_Variables, ...] | None = ()

    def env_secrets(self) -> Iterator[tuple[str, str]]:
        """Yield variable and secret of each variable that comes from one."""
        for variable in self.env or ():
            source = variable.value_from
            if source is not None and source.secret_key_ref is not None:
                yield variable.name, source.secret_key_ref.name

    def env_from_secrets(self) -> Iterator[str]:
        """Yield the secrets that are taken whole."""
        for source in self.env_from or ():
            if source.secret_ref is not None:
                yield source.secret_ref.name

    def secrets(self) -> Iterator[str]:
        """Yield the names of its secrets."""
        yield from self.env_from_secrets()
        yield from (name for _, name in self.env_secrets())

    def config_maps(self) -> Iterator[str]:
        """Yield the names of its config maps."""
        for whole in self.env_from or ():
            if whole.config_map_ref is not None:
                yield whole.config_map_ref.name
        for variable in self.env or ():
            source = variable.value_from
            if source is not None and source.config_map_key_ref is not None:
                yield source.config_map_key_ref.name


class _PodClaim(ApiStruct, frozen=True):
    name: str = ""
    resource_claim_name: str | None = None


class _Metadata(ApiStruct, frozen=True):
    name: str = ""
    namespace: str = ""
    annotations: dict[str, str] | None = None


class PodSpec(ApiStruct, frozen=True):
    """The parts of a pod's spec that refer to something."""

    node_name: str = ""
    service_account_name: str = ""
    image_pull_secrets: tuple[Reference, ...] | None = ()
    containers: tuple[Container, ...] | None = ()
    init_containers: tuple[Container, ...] | None = ()
    ephemeral_containers: tuple[Container, ...] | None = ()
    volumes: tuple[PodVolume, ...] | None = ()
    resource_claims: tuple[_PodClaim, ...] | None = ()


class _ClaimStatus(ApiStruct, frozen=True):
    name: str = ""
    resource_claim_name: str | None = None


class _PodStatus(ApiStruct, frozen=True):
    resource_claim_statuses: tuple[_ClaimStatus, ...] | None = ()
    extended_resource_claim_status: _ClaimStatus | None = None


class ReferringPod(ApiStruct, frozen=True):
    """A pod as one that refers to things."""

    metadata: _Metadata = _Metadata()
    spec: PodSpec = PodSpec()
    status: _PodStatus | None = None

    @property
    def is_mirror(self) -> bool:
        """Whether it mirrors a static pod of its node."""
        return MIRROR in (self.metadata.annotations or ())

    @property
    def all_containers(self) -> Iterator[Container]:
        """Its containers of every kind."""
        spec = self.spec
        yield from spec.init_containers or ()
        yield from spec.containers or ()
        yield from spec.ephemeral_containers or ()

    def secrets(self) -> Iterator[str]:
        """Yield the names of the secrets it uses; some may be empty."""
        yield from (reference.name for reference in self.spec.image_pull_secrets or ())
        for container in self.all_containers:
            yield from container.secrets()
        for volume in self.spec.volumes or ():
            yield from volume.secrets()

    def config_maps(self) -> Iterator[str]:
        """Yield the names of the config maps it uses; some may be empty."""
        for container in self.all_containers:
            yield from container.config_maps()
        for volume in self.spec.volumes or ():
            yield from volume.config_maps()

    def claims(self) -> Iterator[str]:
        """Yield the names of its persistent volume claims."""
        for volume in self.spec.volumes or ():
            if volume.persistent_volume_claim is not None:
                yield volume.persistent_volume_claim.claim_name
            elif volume.ephemeral is not None:
                yield f"{self.metadata.name}-{volume.name}"

    def resource_claims(self) -> Iterator[str]:
        """Yield the names of its resource claims, those made for it as its status tells them."""
        status = self.status or _PodStatus()
        made = {s.name: s.resource_claim_name for s in status.resource_claim_statuses or ()}
        for claim in self.spec.resource_claims or ():
            yield claim.resource_claim_name or made.get(claim.name) or ""
        extended = status.extended_resource_claim_status
        if extended is not None:
            yield extended.resource_claim_name or ""


class _VolumeSpec(_Volumes, frozen=True):
    claim_ref: Reference | None = None


class ReferringVolume(ApiStruct, frozen=True):
    """A persistent volume as one that refers to things."""

    metadata: _Metadata = _Metadata()
    spec: _VolumeSpec = _VolumeSpec()

    def kubelet_secrets(self) -> Iterator[Reference]:
        """Yield the secrets that the kubelet of a pod needs, namespace and name."""
        spec = self.spec
        home = spec.claim_ref.namespace if spec.claim_ref is not None else ""
        if (azure := spec.azure_file) is not None:
            yield Reference(name=azure.secret_name, namespace=azure.secret_namespace or home)
        references = [*spec.holders()]
        if (csi := spec.csi) is not None:
            found = (
                csi.node_publish_secret_ref,
                csi.node_stage_secret_ref,
                csi.node_expand_secret_ref,
            )
            references += [reference for reference in found if reference is not None]
        for reference in references:
            yield Reference(name=reference.name, namespace=reference.namespace or home)


def referring_pod(document: object) -> ReferringPod:
    """Return a pod document as one that refers to things."""
    return msgspec.convert(document, ReferringPod)
