"""Who is asked about a write, and in which order."""

import asyncio

from kubeberth.api.scheme import LEASES, PODS
from kubeberth.apiserver.admission.chain import Attributes, Chain, Plugin
from kubeberth.apiserver.auth.authn import User


class Noting(Plugin):
    """Notes that it was asked."""

    def __init__(self, asked):
        self._asked = asked

    async def admit(self, attributes):
        self._asked.append((type(self).__name__, attributes.resource.plural))


class AboutEverything(Noting):
    pass


class AboutPods(Noting):
    resources = (PODS,)


def test_a_plugin_is_asked_only_about_what_it_is_about():
    asked = []
    chain = Chain([AboutPods(asked), AboutEverything(asked)])
    for resource in (PODS, LEASES, PODS):
        attributes = Attributes("CREATE", resource, "default", User("me"), {"metadata": {}})
        asyncio.run(chain.admit(attributes))
    of_pod = [("AboutPods", "pods"), ("AboutEverything", "pods")]
    assert asked == [*of_pod, ("AboutEverything", "leases"), *of_pod]
