"""What endpoints say of their answers, held against real answers: over HTTP, from gradio_client and as MCP tools."""

import asyncio
import json

import httpx
import pytest
from gradio_client.exceptions import AppError
from jsonschema import Draft202012Validator
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

SPEC = {"asymmetry": 1, "border": 4, "colours": ["dark brown"], "diagnosis": "mel"}
DATASET = "schemas"


@pytest.fixture(scope="module")
def described(served):
    """The schema of each output of each endpoint, as /gradio_api/info states it."""
    endpoints = httpx.get(f"{served[0]}/gradio_api/info").json()["named_endpoints"]
    return {name: [output["type"] for output in told["returns"]] for name, told in endpoints.items()}


@pytest.fixture(scope="module")
def image_id(client):
    return client.predict(spec=SPEC, num_images=1, seed=21, api_name="/generate")["images"][0]["image_id"]


def call(url, name, **arguments):
    """The last event of a call over plain HTTP: its name and what it carries."""
    answer = httpx.post(f"{url}/gradio_api/call/v2/{name}", json=arguments).raise_for_status()
    lines = httpx.get(f"{url}/gradio_api/call/{name}/{answer.json()['event_id']}", timeout=120).text.splitlines()
    events = [line.partition(": ")[2] for line in lines if line.startswith("event: ")]
    return events[-1], json.loads([line.partition(": ")[2] for line in lines if line.startswith("data: ")][-1])


def by_mcp(url, *calls, on_progress=None):
    """The tools by name and the result of each call; the session itself holds results against their outputSchema."""

    async def work():
        async with (
            streamable_http_client(f"{url}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            return tools, [await session.call_tool(*one, progress_callback=on_progress) for one in calls]

    return asyncio.run(work())


def closed(schema):
    """The schema with no other field than the stated ones, so that an answer with more of them is found out."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    more = {"additionalProperties": False} if "properties" in schema else {}
    return {key: closed(part) for key, part in schema.items()} | more


def check(answer, schema):
    problems = Draft202012Validator(closed(schema)).iter_errors(answer)
    assert not [f"{problem.json_path}: {problem.message}" for problem in problems]


def fields(schema, path=""):
    """Every field of a schema with its place."""
    for name, part in schema.get("properties", {}).items():
        yield f"{path}.{name}", part
        yield from fields(part, f"{path}.{name}")
    for part in (schema.get("items"), schema.get("additionalProperties"), *schema.get("anyOf", ())):
        if isinstance(part, dict):
            yield from fields(part, path)


def test_every_field_of_every_answer_states_its_type_and_its_meaning(described):
    told = {f"{name}{place}": part for name, outputs in described.items() for s in outputs for place, part in fields(s)}
    assert len(told) > 80
    assert not [place for place, part in told.items() if not {"type", "anyOf", "const", "enum"} & set(part)]
    assert not [place for place, part in told.items() if "description" not in part]
    measured = described["/measure_sample"][0]["properties"]["asymmetry"]
    assert measured["anyOf"][0] == {"type": "number", "minimum": 0, "maximum": 2} and "Axes" in measured["description"]


def test_what_is_generated_and_judged_is_as_stated(client, described, image_id):
    answers = list(client.submit(spec=SPEC, num_images=1, seed=21, api_name="/generate"))
    assert answers[-1]["images"]
    for answer in answers:
        check(answer, *described["/generate"])
    check(client.predict(**SPEC, api_name="/compose_caption"), *described["/compose_caption"])
    for name in ("/measure_sample", "/classify_sample", "/explain_sample"):
        check(client.predict(image_id, api_name=name), *described[name])
    shown = client.predict(image_id, "benign", True, api_name="/explain_sample")
    check(shown, *described["/explain_sample"])
    assert shown["requested"] == "malignant"
    assert shown["refused"] and shown["side"] is None, "of a picture that the classifier refuses there is no map"
    free = client.predict("a brown mole", seed=22, api_name="/generate")  # nothing is known of what was asked
    check(free, *described["/generate"])


def test_verdicts_and_exports_are_as_stated(served, described, image_id):
    judged = {"image_id": image_id, "dataset": DATASET}
    for name, arguments in (
        ("decide", judged | {"verdict": "unsure"}),
        ("undo", {"dataset": DATASET}),
        ("decide", judged | {"verdict": "accept"}),
        ("export", {"dataset": DATASET, "layout": "imagefolder"}),
    ):
        event, outputs = call(served[0], name, **arguments)
        assert event == "complete"
        for output, schema in zip(outputs, described[f"/{name}"], strict=True):
            check(output, schema)


def test_tools_state_the_same_schemas_and_answer_in_them(served, described, image_id):
    calls = (
        ("compose_caption", SPEC),
        ("generate", {"spec": SPEC, "seed": 21}),
        ("measure_sample", {"image_id": image_id}),
        ("classify_sample", {"image_id": image_id}),
        ("explain_sample", {"image_id": image_id, "side": "requested"}),
        ("decide", {"image_id": image_id, "verdict": "accept", "dataset": "tools"}),
        ("export", {"dataset": "tools"}),
        ("undo", {"dataset": "tools"}),
    )
    heard = []

    async def on_progress(progress, total, message):
        heard.append(message)

    for listening in (None, on_progress):
        tools, results = by_mcp(served[0], *calls, on_progress=listening)
        for (name, _), result in zip(calls, results, strict=True):
            assert not result.isError, result.content
            assert json.loads(result.content[0].text) == result.structuredContent
            check(result.structuredContent, tools[name].outputSchema)
    assert heard
    assert {f"/{name}" for name in tools} == set(described)
    assert tools["generate"].outputSchema == described["/generate"][0]
    assert tools["compose_caption"].outputSchema["properties"] == {"caption": described["/compose_caption"][0]}
    archive = dict(zip([name for name, _ in calls], results, strict=True))["export"].structuredContent["archive"]
    assert httpx.get(archive["url"]).content[:2] == b"PK"


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("compose_caption", SPEC | {"asymmetry": 9}, "asymmetry is 9, outside 0 to 2"),
        ("generate", {"spec": SPEC | {"asymmetry": "much"}}, "spec.asymmetry: 'much' will not do"),
        ("generate", {"spec": SPEC | {"colour": "red"}}, "spec.colour: 'red' will not do"),
        ("generate", {"caption": "a mole", "num_images": 1.5}, "num_images: 1.5 will not do. Input should be"),
        ("generate", {"caption": "a mole", "size_px": 100}, "multiple of 16"),
        ("measure_sample", {"image_id": "no-such-image"}, "no-such-image"),
        ("explain_sample", {"image_id": "x", "side": "left"}, "side: 'left' will not do. Input should be 'requested',"),
        ("export", {"dataset": "no-such-set"}, "no-such-set"),
        ("undo", {"dataset": 7}, "dataset: 7 will not do. Input should be a valid string"),
    ],
)
def test_bad_input_is_refused_in_words_by_every_way_in(served, client, name, arguments, words):
    event, said = call(served[0], name, **arguments)
    assert event == "error" and words in str(said)
    with pytest.raises(AppError) as refused:
        client.predict(**arguments, api_name=f"/{name}")
    assert words in str(refused.value)
    _, (result,) = by_mcp(served[0], (name, arguments))
    assert result.isError
    # What the schema of the arguments shuts out is refused before the endpoint is asked, in the SDK's words.
    assert words in result.content[0].text or result.content[0].text.startswith("Input validation error: ")


@pytest.mark.parametrize(
    ("arguments", "words"), [({"border": 1}, "required argument: asymmetry"), (SPEC | {"colour": 1}, "`colour` is not")]
)
def test_a_call_without_its_arguments_or_with_others_is_refused_in_words(served, arguments, words):
    answer = httpx.post(f"{served[0]}/gradio_api/call/v2/compose_caption", json=arguments)
    assert answer.status_code == 422 and words in answer.json()["error"]
