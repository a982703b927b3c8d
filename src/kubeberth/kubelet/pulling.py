"""How a container gets its image: it is there, it is pulled, or it cannot be had yet.

Rule 1: which of these, the pull policy says, and whether the node has the image.
Rule 2: after a pull that failed the next one waits 10 s, then 20, up to 5 min.
Rule 3: what waits for its image has not been started: that is no restart, and the pod is Pending.

Matches kubelet 1.36 (`pkg/kubelet/images`), with the words of containerd for what a registry says.
Pure.
"""

from __future__ import annotations

from kubeberth.kubelet.chance import drawn
from kubeberth.kubelet.containers import ImageTrouble, Role, Run
from kubeberth.kubelet.images import Images
from kubeberth.kubelet.program import Pull
from kubeberth.kubelet.references import ImageReferenceError, full_reference
from kubeberth.kubelet.transitions import RELIST_S, Effects, Notice, Step, Stimulus, Timer

ALWAYS, NEVER = "Always", "Never"
ERR_IMAGE_PULL = "ErrImagePull"
IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
ERR_IMAGE_NEVER_PULL = "ErrImageNeverPull"
INVALID_IMAGE_NAME = "InvalidImageName"

BACKOFF_FIRST_S = 10.0
BACKOFF_LAST_S = 300.0
# A kubelet comes back to a pod that it could not start; the first time sooner, since the sandbox
# that has just come up has it look.
FIRST_LOOK_S = 1.0
NEXT_LOOK_S = 10.0
# By so much a clock may be behind the timer that was set by it.
CLOCK_ERROR_S = 0.1

MIB = 1024 * 1024
SMALLEST_IMAGE, LARGEST_IMAGE = 2 * MIB, 200 * MIB


def begin(run: Run, images: Images, now: float) -> Effects:
    """Start a container whose image is there, have it pulled, or see that it cannot be had."""
    run.is_awaited = True
    try:
        is_there = images.has(run.image)
    except ImageReferenceError as error:
        message = (
            f'Failed to apply default image tag "{run.image}": '
            f'couldn\'t parse image name "{run.image}": {error}'
        )
        return _not_to_be_had(run, INVALID_IMAGE_NAME, message, "InspectFailed", now)
    if is_there and run.pull_policy != ALWAYS:
        message = (
            f'Container image "{run.image}" already present on machine '
            "and can be accessed by the pod"
        )
        return Effects([_starting(run)], [Notice("Pulled", message, container=run.name)])
    if run.pull_policy == NEVER:
        message = f'Container image "{run.image}" is not present with pull policy of Never'
        return _not_to_be_had(run, ERR_IMAGE_NEVER_PULL, message, ERR_IMAGE_NEVER_PULL, now)
    run.pulling = (run.image, now)
    own_s = run.script.pull.takes_s
    step = Step.PULL if own_s is None else None
    pulled = Timer(Stimulus.PULLED, step, own_s or 0.0, run.name, run.attempt)
    return Effects(
        [pulled], [Notice("Pulling", f'Pulling image "{run.image}"', container=run.name)]
    )


def tried(run: Run, images: Images, now: float) -> Effects:
    """Look again at a container that waits: its time may have come."""
    if run.pulling is not None:
        return Effects()
    trouble = run.trouble
    if trouble is None or now + CLOCK_ERROR_S >= trouble.retry_at:
        return begin(run, images, now)
    message = f'Back-off pulling image "{run.image}"'
    if trouble.reason == ERR_IMAGE_PULL:
        shown = f"{message}: {ERR_IMAGE_PULL}: {trouble.message}"
        run.trouble = trouble.now_shown_as(IMAGE_PULL_BACK_OFF, shown)
    notices = [
        Notice("BackOff", message, container=run.name),
        _failed(run, f"Error: {IMAGE_PULL_BACK_OFF}"),
    ]
    return Effects([_trying(run, trouble.retry_at - now)], notices)


def pulled(run: Run, images: Images, pod_started_at: float, now: float) -> Effects:
    """See what a pull has led to.

    Parameters
    ----------
    pod_started_at
        A script says from then on for how long an image cannot be pulled.
    """
    (image, began_at), run.pulling = run.pulling or (run.image, now), None
    if image != run.image:
        return begin(run, images, now)  # the pod was given another one meanwhile
    if now < pod_started_at + run.script.pull.fails_s:
        return _not_pulled(run, now)
    images.add(image)
    took = go_duration(now - began_at)
    message = (
        f'Successfully pulled image "{image}" in {took} ({took} including waiting). '
        f"Image size: {image_size(image)} bytes."
    )
    notice = Notice("Pulled", message, container=run.name)
    return Effects([_starting(run)], [notice], told_after_s=RELIST_S)


def _not_pulled(run: Run, now: float) -> Effects:
    why = _refusal(full_reference(run.image), run.script.pull)
    before_s = run.trouble.backoff_s if run.trouble is not None else 0.0
    backoff_s = min(max(BACKOFF_FIRST_S, 2 * before_s), BACKOFF_LAST_S)
    run.trouble = ImageTrouble(ERR_IMAGE_PULL, why, now + backoff_s, backoff_s)
    notices = [
        _failed(run, f'Failed to pull image "{run.image}": {why}'),
        _failed(run, f"Error: {ERR_IMAGE_PULL}"),
    ]
    return Effects([_trying(run, NEXT_LOOK_S if before_s else FIRST_LOOK_S)], notices)


def _refusal(image: str, pull: Pull) -> str:
    """Return what the runtime tells of a pull that has failed."""
    failed = f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": '
    if pull.message:
        return f"{failed}{pull.message}"
    return f"rpc error: code = NotFound desc = {failed}{image}: not found"


def _not_to_be_had(run: Run, reason: str, message: str, event: str, now: float) -> Effects:
    """Look again and again whether somebody has changed that."""
    run.trouble = ImageTrouble(reason, message, now)
    notices = [
        Notice(event, message, "Warning", run.name),
        _failed(run, f"Error: {reason}"),
    ]
    return Effects([_trying(run, NEXT_LOOK_S)], notices)


def _failed(run: Run, message: str) -> Notice:
    return Notice("Failed", message, "Warning", run.name)


def _trying(run: Run, after_s: float) -> Timer:
    return Timer(Stimulus.TRIED, None, after_s, run.name, run.attempt)


def _starting(run: Run) -> Timer:
    own_s = run.script.start_s
    step = Step.INIT if run.role in (Role.INIT, Role.SIDECAR) else Step.START
    return Timer(
        Stimulus.STARTED, step if own_s is None else None, own_s or 0.0, run.name, run.attempt
    )


def image_size(image: str) -> int:
    """Return how many bytes an image has: the same for everybody."""
    share = drawn("image", full_reference(image))
    return SMALLEST_IMAGE + int(share * (LARGEST_IMAGE - SMALLEST_IMAGE))


def go_duration(duration_s: float) -> str:
    """Return a duration as Go writes it, to the millisecond: `345ms`, `1.2s`, `1m2.05s`."""
    millis = int(duration_s * 1000 + 1e-6)
    if millis < 1000:
        return f"{millis}ms" if millis else "0s"
    minutes, millis = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{millis / 1000:.3f}".rstrip("0").rstrip(".")
    return f"{f'{hours}h' if hours else ''}{f'{minutes}m' if hours or minutes else ''}{seconds}s"
