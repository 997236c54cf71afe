"""The endpoints for programs, called over HTTP as a program would."""

import json
import zipfile

import pytest
from gradio_client.exceptions import AppError
from PIL import Image

from dermaflux.domain.caption import parse
from dermaflux.domain.lesion import LesionSpec
from dermaflux.provenance import read_provenance

SPEC = {"asymmetry": 1.5, "border": 6, "colours": ["light brown", "dark brown"], "diagnosis": "mel"}
NAMES = {
    "/compose_caption",
    "/generate",
    "/decide",
    "/undo",
    "/export",
    "/classify_sample",
    "/measure_sample",
    "/explain_sample",
    "/probe",
}


@pytest.fixture(scope="module")
def made(client):
    """Two generated images, as the last answer of /generate tells of them."""
    return client.predict(spec=SPEC, num_images=2, seed=11, api_name="/generate")


def test_exactly_the_stable_names_are_public(client):
    assert set(client.view_api(return_format="dict", print_info=False)["named_endpoints"]) == NAMES


def test_no_endpoint_takes_a_picture(client):
    described = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    taken = [p["component"] for endpoint in described.values() for p in endpoint["parameters"]]
    assert set(taken) <= {"Api", "Dropdown"}


def test_a_caption_is_composed_from_flags_and_read_back(client):
    caption = client.predict(
        1.5, 6, ["red", "black"], "mel", age=60, sex="female", api_name="/compose_caption"
    )
    wanted = LesionSpec(
        asymmetry=1.5, border=6, colours=("red", "black"), diagnosis="mel", age=60, sex="female"
    )
    assert parse(caption) == wanted


def test_colours_may_be_a_number(client):
    assert len(parse(client.predict(0, 0, 3, "nv", api_name="/compose_caption")).colours) == 3


def test_a_value_out_of_range_is_said_in_words(client):
    with pytest.raises(AppError, match="asymmetry is 9, outside 0 to 2"):
        client.predict(9, 6, ["red"], "mel", api_name="/compose_caption")


def test_generating_streams_steps_and_ends_with_every_image(client, made, services):
    job = client.submit(spec=SPEC, num_images=2, seed=11, api_name="/generate")
    answers = list(job)
    assert {"running", "done"} <= {answer["state"] for answer in answers}
    assert [image["seed"] for image in answers[-1]["images"]] == [11, 12]
    again = [image["image_id"] for image in answers[-1]["images"]]
    assert again == [
        image["image_id"] for image in made["images"]
    ]  # the same request, the same images
    stored = services.image(again[0])
    assert read_provenance(stored.path).spec == LesionSpec.from_dict(SPEC)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"caption": "  "}, "The caption is empty"),
        ({"caption": "a mole", "num_images": 0}, "num_images is 0"),
        ({"caption": "a mole", "size_px": 100}, "multiple of 16"),
        ({"caption": "a mole", "model": "no-such-model"}, "is not known"),
        ({"caption": "a mole", "adapter": "no-such-adapter"}, "is not known"),
        ({"spec": {"asymmetry": 1}}, "needs the field .border."),
    ],
)
def test_a_bad_request_is_refused_in_words_and_the_app_goes_on(client, arguments, words):
    with pytest.raises(AppError, match=words):
        client.predict(**arguments, api_name="/generate")
    assert client.predict(0, 0, ["red"], "vasc", api_name="/compose_caption")


def test_verdicts_undo_and_export(client, made):
    good, bad = (image["image_id"] for image in made["images"])
    assert client.predict(good, "accept", "endpoints", api_name="/decide")["verdict"] == "accept"
    client.predict(bad, "accept", "endpoints", api_name="/decide")
    assert client.predict("endpoints", api_name="/undo") == {
        "image_id": bad,
        "verdict": None,
        "dataset": "endpoints",
    }
    client.predict(bad, "reject", "endpoints", api_name="/decide")
    path, _ = client.predict("endpoints", "imagefolder", api_name="/export")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        lines = [name for name in names if name.endswith("metadata.jsonl")]
        rows = [json.loads(line) for line in archive.read(lines[0]).decode().splitlines()]
        picture = next(name for name in names if name.endswith(rows[0]["file_name"]))
        record = read_provenance(archive.read(picture))
    assert len(rows) == 1 and record.spec == LesionSpec.from_dict(SPEC)


def test_a_verdict_on_what_was_seen_is_stored_once_and_a_stale_one_refused(client, made):
    image = made["images"][0]["image_id"]
    sent = {"image_id": image, "verdict": "accept", "dataset": "versions", "expected_version": 0, "request_id": "v1"}
    answer = client.predict(**sent, api_name="/decide")
    assert client.predict(**sent, api_name="/decide") == answer
    assert client.predict(image, "reject", "versions", answer["version"], api_name="/decide")["verdict"] == "reject"
    with pytest.raises(AppError, match="you said reject"):
        client.predict(image, "accept", "versions", answer["version"], api_name="/decide")


def test_verdicts_on_nothing_are_refused_in_words(client):
    with pytest.raises(AppError, match="no-such-image"):
        client.predict("no-such-image", "accept", "endpoints", api_name="/decide")
    with pytest.raises(AppError):
        client.predict("never-used", api_name="/undo")


def test_classifying_and_measuring_answer_for_a_stored_image_only(client, made):
    image_id = made["images"][0]["image_id"]
    measured = client.predict(image_id, api_name="/measure_sample")
    assert {"asymmetry", "border", "colours", "num_colours", "refused"} <= set(measured)
    predicted = client.predict(image_id, api_name="/classify_sample")
    assert "Not a medical device" in predicted["statement"]
    with pytest.raises(AppError):
        client.predict("no-such-image", api_name="/measure_sample")


def test_the_picture_of_an_image_is_whole(services, made):
    with Image.open(services.image_path(made["images"][0]["image_id"])) as picture:
        picture.load()
        assert picture.size == (64, 64)
