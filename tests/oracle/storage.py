"""The rules about volumes, one node and one claim at a time, on the objects alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.oracle.objects import Cluster, label_selector_holds, node_term_holds
from tests.oracle.stored import Promises, StoredObjects

from kubeberth.api.core import Node, Pod
from kubeberth.api.quantity import parse_quantity
from kubeberth.api.storage import (
    CSIDriver,
    CSIStorageCapacity,
    PersistentVolume,
    PersistentVolumeClaim,
    VolumeAttachment,
)
from kubeberth.api.volumes import Volume

Refusal = tuple[str, tuple[str, ...]]

ZONES = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region": "topology.kubernetes.io/region",
}
MIGRATED = "storage.alpha.kubernetes.io/migrated-plugins"
IN_TREE = {
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
}


def claims_of(pod: Pod) -> list[tuple[str, bool]]:
    """Key of each claim that a pod uses, and whether it is made for the pod."""
    namespace, found = pod.metadata.namespace, []
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim:
            found.append((f"{namespace}/{volume.persistent_volume_claim.claim_name}", False))
        elif volume.ephemeral:
            found.append((f"{namespace}/{pod.metadata.name}-{volume.name}", True))
    return found


# Before any node is looked at


def refusal(stored: StoredObjects, pod: Pod) -> Refusal | None:
    for key, made_for_pod in claims_of(pod):
        if not made_for_pod and stored.claim(key) is None:
            return "VolumeRestrictions", (f'persistentvolumeclaim "{_name(key)}" not found',)
    for key, made_for_pod in claims_of(pod):
        claim = stored.claim(key)
        if claim is None:
            controller = "waiting for ephemeral volume controller to create the"
            return "VolumeBinding", (f'{controller} persistentvolumeclaim "{_name(key)}"',)
        text = f'persistentvolumeclaim "{_name(key)}"'
        if claim.status.phase == "Lost":
            gone = claim.spec.volume_name
            return "VolumeBinding", (f'{text} bound to non-existent persistentvolume "{gone}"',)
        if claim.metadata.deletion_timestamp:
            return "VolumeBinding", (f"{text} is being deleted",)
        owners = [o.uid for o in claim.metadata.owner_references if o.controller]
        if made_for_pod and pod.metadata.uid not in owners:
            owner = f"{pod.metadata.namespace}/{pod.metadata.name}"
            reason = f"PVC {key} was not created for pod {owner} (pod is not owner)"
            return "VolumeBinding", (reason,)
    for key, _ in claims_of(pod):
        claim = stored.claim(key)
        assert claim
        if not is_bound(claim) and not waits(stored, claim):
            return "VolumeBinding", ("pod has unbound immediate PersistentVolumeClaims",)
    for key, made_for_pod in claims_of(pod):
        claim = stored.claim(key)
        assert claim
        wanted = claim.spec.volume_name
        if not made_for_pod and wanted and stored.volume(wanted) is None:
            return "VolumeZone", (f'persistentvolume "{wanted}" not found',)
    return None


def is_bound(claim: PersistentVolumeClaim) -> bool:
    annotated = "pv.kubernetes.io/bind-completed" in claim.metadata.annotations
    return bool(claim.spec.volume_name) and annotated


def waits(stored: StoredObjects, claim: PersistentVolumeClaim) -> bool:
    storage_class = stored.storage_class(claim.spec.storage_class_name)
    if claim.spec.volume_name or storage_class is None:
        return False
    return storage_class.volume_binding_mode == "WaitForFirstConsumer"


# Node by node


def first_rejection(cluster: Cluster, pod: Pod, node: Node) -> Refusal | None:
    stored, here = cluster.stored, cluster.on(node.name)
    if any(_clash(v, w) for v in pod.spec.volumes for other in here for w in other.spec.volumes):
        return "VolumeRestrictions", ("node(s) had no available disk",)
    if n_claims_in_use(cluster, pod) > 0:
        reason = (
            "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode "
            "already in-use by another pod"
        )
        return "VolumeRestrictions", (reason,)
    if exceeds_limit(stored, here, pod, node):
        return "NodeVolumeLimits", ("node(s) exceed max volume count",)
    reasons, _ = bind(stored, pod, node)
    if reasons:
        return "VolumeBinding", tuple(sorted(reasons))
    if is_in_another_zone(stored, pod, node):
        return "VolumeZone", ("node(s) had no available volume zone",)
    return None


def n_claims_in_use(cluster: Cluster, pod: Pod) -> int:
    """How many claims for one pod only are taken; a trial adds and takes off by name alone."""
    exclusive = {
        key
        for key, made_for_pod in claims_of(pod)
        if not made_for_pod
        and (claim := cluster.stored.claim(key))
        and "ReadWriteOncePod" in claim.spec.access_modes
    }
    placed = [pod for pod, _ in cluster.placed()]
    guests = [pod for pod, _ in cluster.guests.values()]
    evicted = [pod for pod, _ in cluster.evicted.values()]
    strangers = {pod.metadata.key for pod in guests}
    before = [pod for pod in placed if pod.metadata.key not in strangers] + evicted
    in_use = {key for other in before for key, own in claims_of(other) if not own}

    def by_name(pods: list[Pod]) -> int:
        names = {_name(key) for key in exclusive}
        uses = [key for pod in pods for key, own in claims_of(pod) if not own]
        return sum(_name(key) in names for key in uses)

    return len(exclusive & in_use) + by_name(guests) - by_name(evicted)


def _clash(one: Volume, other: Volume) -> bool:
    if one.gce_persistent_disk and other.gce_persistent_disk:
        a, b = one.gce_persistent_disk, other.gce_persistent_disk
        return a.pd_name == b.pd_name and not (a.read_only and b.read_only)
    if one.aws_elastic_block_store and other.aws_elastic_block_store:
        a_id = one.aws_elastic_block_store.volume_id
        return a_id == other.aws_elastic_block_store.volume_id
    if one.iscsi and other.iscsi:
        c, d = one.iscsi, other.iscsi
        return c.iqn == d.iqn and not (c.read_only and d.read_only)
    if one.rbd and other.rbd:
        e, f = one.rbd, other.rbd
        same = (e.pool, e.image) == (f.pool, f.image) and set(e.monitors) & set(f.monitors)
        return bool(same) and not (e.read_only and f.read_only)
    return False


def exceeds_limit(stored: StoredObjects, here: list[Pod], pod: Pod, node: Node) -> bool:
    csi_node = stored.csi_node(node.name)
    if csi_node is None:
        return False
    plugins = csi_node.metadata.annotations.get(MIGRATED, "").split(",")
    attached = set()
    for other in here:
        attached |= set(attachable(stored, other, plugins))
    for attachment in stored.of(VolumeAttachment):
        assert isinstance(attachment, VolumeAttachment)
        name = attachment.spec.source.persistent_volume_name
        volume = stored.volume(name or "")
        if attachment.spec.node_name == node.name and volume and volume.spec.csi:
            attached.add((attachment.spec.attacher, volume.spec.csi.volume_handle))
    new = set(attachable(stored, pod, plugins)) - attached
    for driver in csi_node.spec.drivers:
        limit = driver.allocatable.count if driver.allocatable else None
        n_new = sum(name == driver.name for name, _ in new)
        n_old = sum(name == driver.name for name, _ in attached)
        if limit is not None and n_new and n_old + n_new > limit:
            return True
    return False


def attachable(stored: StoredObjects, pod: Pod, plugins: list[str]) -> Iterator[tuple[str, str]]:
    """Driver and handle of each volume that a driver counts."""
    for key, _ in claims_of(pod):
        claim = stored.claim(key)
        if claim is None:
            continue
        volume = stored.volume(claim.spec.volume_name)
        storage_class = stored.storage_class(claim.spec.storage_class_name)
        if volume is not None and volume.spec.csi:
            yield volume.spec.csi.driver, volume.spec.csi.volume_handle
        elif volume is None and storage_class is not None:
            yield storage_class.provisioner, f"new volume for {key}"
    for inline in pod.spec.volumes:
        if inline.gce_persistent_disk and "kubernetes.io/gce-pd" in plugins:
            yield IN_TREE["kubernetes.io/gce-pd"], inline.gce_persistent_disk.pd_name
        if inline.aws_elastic_block_store and "kubernetes.io/aws-ebs" in plugins:
            yield IN_TREE["kubernetes.io/aws-ebs"], inline.aws_elastic_block_store.volume_id


def bind(stored: StoredObjects, pod: Pod, node: Node) -> tuple[set[str], Promises]:
    """Why the claims cannot have volumes on a node, and what they are promised there."""
    reasons: set[str] = set()
    claims = [claim for key, _ in claims_of(pod) if (claim := stored.claim(key))]
    for claim in claims:
        if is_bound(claim):
            volume = stored.volume(claim.spec.volume_name)
            if volume is None:
                gone = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
                reasons.add(gone)
                break
            if not can_reach(node, volume):
                reasons.add("node(s) didn't match PersistentVolume's node affinity")
                break
    reason, promises = match_and_provision(stored, claims, node)
    return reasons | ({reason} if reason else set()), promises


def match_and_provision(
    stored: StoredObjects, claims: list[PersistentVolumeClaim], node: Node
) -> tuple[str, Promises]:
    waiting = [claim for claim in claims if not is_bound(claim) and waits(stored, claim)]
    promises = Promises()
    to_provision = [claim for claim in waiting if stored.selected_node(claim) is not None]
    if any(stored.selected_node(claim) != node.name for claim in to_provision):
        return "node(s) didn't find available persistent volumes to bind", promises
    fresh = [claim for claim in waiting if stored.selected_node(claim) is None]
    for claim in sorted(fresh, key=wanted_size):
        taken = {name for _, name in promises.volumes}
        name = find_volume(stored, claim, node, taken)
        if name:
            promises.volumes.append((claim.metadata.key, name))
        else:
            to_provision.append(claim)
    for claim in to_provision:
        reason = why_not_provision(stored, claim, node)
        if reason:
            return reason, promises
        promises.nodes.append((claim.metadata.key, node.name))
    return "", promises


def find_volume(
    stored: StoredObjects, claim: PersistentVolumeClaim, node: Node, taken: set[str]
) -> str | None:
    good = []
    for volume in stored.of(PersistentVolume):
        assert isinstance(volume, PersistentVolume)
        owner = stored.owner_of(volume)
        is_own = owner is not None and owner[0] == claim.metadata.key
        is_own = is_own and (not owner[1] or owner[1] == claim.metadata.uid)  # type: ignore[index]
        if volume.metadata.name in taken or (owner and not is_own):
            continue
        if volume.spec.storage_class_name != claim.spec.storage_class_name:
            continue
        if size(volume) < wanted_size(claim) or volume.metadata.deletion_timestamp:
            continue
        if (volume.spec.volume_mode or "Filesystem") != (claim.spec.volume_mode or "Filesystem"):
            continue
        if is_own:
            return volume.metadata.name if can_reach(node, volume) else None
        selector = claim.spec.selector
        if (
            volume.status.phase == "Available"
            and (selector is None or label_selector_holds(selector, volume.metadata.labels))
            and set(claim.spec.access_modes) <= set(volume.spec.access_modes)
            and can_reach(node, volume)
        ):
            good.append((size(volume), volume.metadata.name))
    return min(good)[1] if good else None


def why_not_provision(stored: StoredObjects, claim: PersistentVolumeClaim, node: Node) -> str:
    storage_class = stored.storage_class(claim.spec.storage_class_name)
    assert storage_class
    nothing = "node(s) didn't find available persistent volumes to bind"
    if storage_class.provisioner in ("", "kubernetes.io/no-provisioner"):
        return nothing
    labels = node.metadata.labels
    terms = [t.match_label_expressions for t in storage_class.allowed_topologies]
    if terms and not any(
        term and all(labels.get(e.key) in e.values for e in term) for term in terms
    ):
        return nothing
    driver = stored.items.get((CSIDriver, storage_class.provisioner))
    if not isinstance(driver, CSIDriver) or not driver.spec.storage_capacity:
        return ""
    for capacity in stored.of(CSIStorageCapacity):
        assert isinstance(capacity, CSIStorageCapacity)
        limit = capacity.maximum_volume_size or capacity.capacity
        if (
            capacity.storage_class_name == storage_class.metadata.name
            and limit is not None
            and parse_quantity(limit).nanos >= wanted_size(claim)
            and label_selector_holds(capacity.node_topology, labels)
        ):
            return ""
    return "node(s) did not have enough free storage"


def can_reach(node: Node, volume: PersistentVolume) -> bool:
    affinity = volume.spec.node_affinity
    if affinity is None or affinity.required is None:
        return True
    return any(node_term_holds(term, node) for term in affinity.required.node_selector_terms)


def size(volume: PersistentVolume) -> int:
    return parse_quantity(volume.spec.capacity.get("storage", "0")).nanos


def wanted_size(claim: PersistentVolumeClaim) -> int:
    return parse_quantity(claim.spec.resources.requests.get("storage", "0")).nanos


def is_in_another_zone(stored: StoredObjects, pod: Pod, node: Node) -> bool:
    labels: Mapping[str, str] = node.metadata.labels
    if not any(key in labels for key in ZONES):
        return False
    for key, made_for_pod in claims_of(pod):
        claim = stored.claim(key)
        volume = stored.volume(claim.spec.volume_name) if claim and not made_for_pod else None
        for label, newer in ZONES.items():
            if volume is not None and label in volume.metadata.labels:
                zones = volume.metadata.labels[label].split("__")
                if labels.get(label, labels.get(newer)) not in zones:
                    return True
    return False


def _name(key: str) -> str:
    return key.split("/")[1]
