"""The answer as it goes out: compressed where that pays."""

import gzip
import json

import pytest
import yaml
from tests.unit.apiserver.conftest import chunks_of

from kubeberth.apiserver.responses import Response, StreamResponse

MAPS = "/api/v1/namespaces/default/configmaps"
LARGE = "x" * 200_000


def test_a_large_answer_is_compressed_for_who_takes_gzip(run):
    async def scenario(api):
        await api.config_map("large", key=LARGE)
        answer = await api.get(MAPS, accept_encoding="deflate, gzip")
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert len(answer.body) < len(LARGE)
        listed = json.loads(gzip.decompress(answer.body))
        assert [item["data"] for item in listed["items"]] == [{"key": LARGE}]

    run(scenario)


@pytest.mark.parametrize("accepted", ["", "deflate", "gzip;q=0"])
def test_who_takes_no_gzip_gets_none(run, accepted):
    async def scenario(api):
        await api.config_map("large", key=LARGE)
        answer = await api.get(MAPS, accept_encoding=accepted)
        assert "content-encoding" not in answer.headers
        assert answer.json["items"][0]["data"] == {"key": LARGE}

    run(scenario)


def test_a_small_answer_is_not_compressed(run):
    async def scenario(api):
        await api.config_map("small", key="x" * 100_000)
        answer = await api.get(MAPS, accept_encoding="gzip")
        assert "content-encoding" not in answer.headers

    run(scenario)


def test_a_watch_is_never_compressed(run):
    async def scenario(api):
        await api.config_map("large", key=LARGE)
        async with api.watch(f"{MAPS}?watch=true", accept_encoding="gzip") as next_event:
            kind, config_map = await next_event()
            assert (kind, config_map["data"]) == ("ADDED", {"key": LARGE})

    run(scenario)


@pytest.mark.parametrize("headers", [{}, {"accept": "application/yaml"}, {"user_agent": "curl"}])
def test_a_long_list_leaves_in_chunks_unless_it_is_asked_for_in_another_form(run, headers):
    async def scenario(api):
        for name in "abcdef":
            await api.config_map(name, key=LARGE)
        answer = await api.open("GET", MAPS, **headers)
        assert isinstance(answer, Response if headers else StreamResponse)
        # What is written while the list is sent is no part of it.
        await api.config_map("g", key=LARGE)
        await api.delete(f"{MAPS}/a")
        body = answer.body if headers else b"".join([chunk async for chunk in chunks_of(answer)])
        names = [item["metadata"]["name"] for item in yaml.safe_load(body)["items"]]
        assert names == list("abcdef")

    run(scenario)
