"""Nodes that are added, removed, fail and are healed while their process runs."""

import asyncio
import json
import socket
import stat
from contextlib import asynccontextmanager

import pytest
from tests.fake_api import FakeApi
from tests.unit.kubelet.test_kubelet import is_ready, put_pod, until

from kubeberth.api.scheme import NODES, PODS
from kubeberth.errors import UsageError
from kubeberth.kubelet.control import Command, ask, listening
from kubeberth.kubelet.faults import How
from kubeberth.kubelet.nodes import Fleet
from kubeberth.kubelet.specs import node_specs

TWO = [{"kind": "Node", "metadata": {"name": name}} for name in ("extra-1", "extra-2")]


class World:
    """A fleet at a socket."""

    def __init__(self, path):
        self.path = path
        self.api = FakeApi()

    async def do(self, command):
        """Ask from outside, as another process does; return what has been told."""
        self.told = []
        await asyncio.to_thread(ask, self.path, command, self.told.append)
        return self.told


@asynccontextmanager
async def running(path, count=1):
    world = World(path)
    fleet = Fleet(lambda name: world.api.client())
    ready = asyncio.Event()
    async with listening(path, fleet):
        task = asyncio.create_task(fleet.run(node_specs(count), ready.set))
        await ready.wait()
        try:
            yield world
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def run(scenario, path, **settings):
    async def whole():
        async with running(path, **settings) as world:
            await scenario(world)

    asyncio.run(whole())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "nodes.sock"


def test_an_added_node_registers_and_runs_pods(path):
    async def scenario(world):
        said = await world.do(Command("add", manifests=TWO))
        assert said == ["node extra-1 added", "node extra-2 added"]
        assert {"node-1", "extra-1", "extra-2"} == set(world.api.objects[NODES])
        put_pod(world.api, node="extra-2")
        await until(lambda: is_ready(world.api))

    run(scenario, path)


def test_a_node_is_not_added_twice_and_what_was_done_before_is_told(path):
    async def scenario(world):
        again = {"kind": "Node", "metadata": {"name": "node-1"}}
        with pytest.raises(UsageError, match=r"\Anode node-1 is there already\Z"):
            await world.do(Command("add", manifests=[TWO[0], again]))
        assert world.told == ["node extra-1 added"]

    run(scenario, path)


def test_a_removed_node_shows_no_more_sign_of_life_and_its_name_is_free(path):
    async def scenario(world):
        assert await world.do(Command("remove", ["node-1"])) == ["node node-1 removed"]
        put_pod(world.api)
        await asyncio.sleep(0.05)
        assert world.api.objects[PODS]["default/web"]["status"]["phase"] == "Pending"
        manifest = {"kind": "Node", "metadata": {"name": "node-1"}}
        assert await world.do(Command("add", manifests=[manifest])) == ["node node-1 added"]
        await until(lambda: is_ready(world.api))

    run(scenario, path)


def test_a_dead_node_starts_no_pod_until_it_is_healed(path):
    async def scenario(world):
        said = await world.do(Command("fail", ["node-1"]))
        assert said == ["node node-1 is dead: its kubelet has stopped without a word"]
        put_pod(world.api)
        await asyncio.sleep(0.05)
        assert not is_ready(world.api)
        assert await world.do(Command("heal", ["node-1"])) == ["node node-1 is well again"]
        await until(lambda: is_ready(world.api))

    run(scenario, path)


def test_a_pod_runs_on_while_its_node_has_no_network(path):
    async def scenario(world):
        put_pod(world.api)
        await until(lambda: is_ready(world.api))
        await world.do(Command("fail", ["node-1"], how=How.NETWORK))
        world.api.change(PODS, "default/web", {"metadata": {"labels": {"seen": "no"}}})
        put_pod(world.api, name="late")
        await asyncio.sleep(0.05)
        assert world.api.objects[PODS]["default/late"]["status"]["phase"] == "Pending"
        await world.do(Command("heal", ["node-1"]))
        await until(lambda: is_ready(world.api, "late"))
        assert world.api.objects[PODS]["default/web"]["status"]["phase"] == "Running"
        statuses = world.api.objects[PODS]["default/web"]["status"]["containerStatuses"]
        assert [status["restartCount"] for status in statuses] == [0]

    run(scenario, path)


def test_a_node_that_flaps_comes_and_goes(path):
    async def scenario(world):
        said = await world.do(Command("fail", ["node-1"], how=How.FLAP, period_s=0.2))
        assert said == ["node node-1 flaps: 0.2 s without network, 0.2 s with it"]
        for name in ("first", "second"):
            put_pod(world.api, name=name)
            await until(lambda name=name: is_ready(world.api, name))
            await asyncio.sleep(0.25)

    run(scenario, path)


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (Command("remove", ["node-9"]), "no node node-9 runs here"),
        (Command("fail", ["node-9"]), "no node node-9 runs here"),
        (Command("heal", ["node-1"]), "node node-1 is well"),
        (Command("add", manifests=[{"kind": "Pod"}]), "a Pod is not a node"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(path, command, error):
    async def scenario(world):
        with pytest.raises(UsageError, match=error):
            await world.do(command)

    run(scenario, path)


def test_a_node_fails_once(path):
    async def scenario(world):
        await world.do(Command("fail", ["node-1"], how=How.NETWORK))
        with pytest.raises(UsageError, match=r"node node-1 has failed already \(network\): heal"):
            await world.do(Command("fail", ["node-1"]))

    run(scenario, path)


def test_what_is_no_command_is_answered_too(path):
    async def scenario(world):
        def send():
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                connection.sendall(b'{"do": "dance"}\n')
                return json.loads(connection.makefile("rb").readline())

        assert (await asyncio.to_thread(send))["error"].startswith("this is no command: ")

    run(scenario, path)


def test_only_its_owner_reaches_the_socket_and_it_goes_with_the_process(path):
    async def scenario(world):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    path.touch()  # of a process that was killed
    run(scenario, path)
    assert not path.exists()


def test_a_socket_may_lie_in_a_folder_with_a_long_name(tmp_path):
    async def scenario(world):
        assert await world.do(Command("remove", ["node-1"])) == ["node node-1 removed"]

    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    run(scenario, folder / "nodes.sock")


def test_who_asks_where_nobody_listens_is_told_what_to_start(path):
    with pytest.raises(UsageError, match="does `berth up`, or `berth nodes --control`, run"):
        ask(path, Command("heal", ["node-1"]), print)
