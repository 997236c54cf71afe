"""A real local HTTP server that answers as OpenAI's chat API does, and fails as servers do."""

import base64
import io
import threading
import time

import pytest
from PIL import Image

from dermaflux.domain.errors import ModelNotAvailable
from training.captioner import Question, Sampling
from training.endpoint_captioner import Endpoint, EndpointCaptioner

SAMPLING = Sampling(max_new_tokens=50, temperature=0.5, seed=3)


def questions(count, size=(32, 24)):
    return [Question(image_id=f"q{i}", image=Image.new("RGB", size, (i, 9, 9)), prompt="Look.") for i in range(count)]


def captioner(server, **changes):
    patience = {"concurrency": 4, "timeout_s": 5.0, "num_retries": 2, "first_wait_s": 0.01}
    return EndpointCaptioner(Endpoint(url=server.url, model="vlm", **patience | changes), SAMPLING, max_side_px=64)


def ask(server, count=1, **changes):
    return sorted(captioner(server, **changes).answers(questions(count)), key=lambda answer: answer.question.image_id)


def test_the_request_holds_the_picture_the_prompt_and_the_sampling(chat_server):
    (answer,) = captioner(chat_server).answers(questions(1, (200, 100)))
    assert answer.text == chat_server.reply({}, 0) and answer.failed is None and answer.seconds > 0
    (body,), ((path, headers),) = chat_server.bodies, chat_server.headers
    assert path == "/v1/chat/completions" and "Authorization" not in headers
    assert (body["model"], body["max_tokens"], body["temperature"], body["seed"]) == ("vlm", 50, 0.5, 3)
    picture, text = body["messages"][0]["content"]
    assert text == {"type": "text", "text": "Look."}
    kind, data = picture["image_url"]["url"].split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as sent:
        assert sent.size == (64, 32)


def test_every_question_is_answered_once_and_several_are_under_way(chat_server):
    together = threading.Barrier(4, timeout=5)  # breaks unless four requests meet

    def reply(body, nth):
        together.wait()
        return "Black."

    chat_server.reply = reply
    assert [answer.question.image_id for answer in ask(chat_server, 12)] == sorted(f"q{i}" for i in range(12))
    assert len(chat_server.bodies) == 12


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again(chat_server, status):
    chat_server.reply = lambda body, nth: "Black." if nth == 2 else (status, b"busy")
    (answer,) = ask(chat_server)
    assert answer.text == "Black." and len(chat_server.bodies) == 3


def test_what_does_not_pass_is_one_failed_answer_among_good_ones(chat_server):
    first = []

    def reply(body, nth):
        first.append(body["messages"][0]["content"][0]["image_url"]["url"])
        return (500, b"out of   order") if body["messages"][0]["content"][0]["image_url"]["url"] == first[0] else "Red."

    chat_server.reply = reply
    answers = ask(chat_server, 5, concurrency=1)
    assert [answer.failed for answer in answers] == ["Status 500: out of order", None, None, None, None]
    assert answers[0].text is None and answers[1].text == "Red."


def test_a_request_that_is_wrong_is_not_tried_again(chat_server):
    chat_server.reply = lambda body, nth: (400, b'{"error": "picture too small"}')
    (answer,) = ask(chat_server)
    assert "Status 400" in answer.failed and "picture too small" in answer.failed
    assert len(chat_server.bodies) == 1


@pytest.mark.parametrize(
    "data",
    [b"no json", b"[]", b'{"choices": []}', b'{"choices": [{"message": null}]}', b'{"choices": [{"message": {}}]}'],
)
def test_malformed_answers_are_tried_again_then_recorded(chat_server, data):
    chat_server.reply = lambda body, nth: (200, data)
    (answer,) = ask(chat_server)
    assert "chat completion" in answer.failed or "holds no text" in answer.failed
    assert len(chat_server.bodies) == 3


def test_a_server_that_does_not_answer_in_time_is_tried_again(chat_server):
    done = threading.Event()

    def reply(body, nth):
        if nth == 0:
            done.wait(5)
        return "Red."

    chat_server.reply = reply
    (answer,) = ask(chat_server, timeout_s=0.3)
    done.set()
    assert answer.text == "Red."


def test_the_server_says_how_long_to_wait(chat_server):
    chat_server.reply = lambda body, nth: "Red." if nth else (429, b"slow down", {"Retry-After": "1"})
    started = time.monotonic()
    (answer,) = ask(chat_server)
    assert answer.text == "Red." and time.monotonic() - started >= 1


@pytest.mark.parametrize(
    ("reply", "text", "is_cut_off"),
    [
        (b'{"choices": [{"message": {"content": "Half of"}, "finish_reason": "length"}]}', "Half of", True),
        (b'{"choices": [{"message": {"content": null, "refusal": "No."}, "finish_reason": "stop"}]}', "No.", False),
        (b'{"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]}', None, False),
    ],
)
def test_the_reason_of_the_end_is_heeded(chat_server, reply, text, is_cut_off):
    chat_server.reply = lambda body, nth: (200, reply)
    (answer,) = ask(chat_server)
    assert (answer.text, answer.is_cut_off) == (text, is_cut_off)


@pytest.mark.parametrize(
    ("status", "why"), [(401, "refuses the key"), (403, "refuses the key"), (404, "knows no model")]
)
def test_what_concerns_every_picture_ends_the_run_at_once(chat_server, status, why):
    chat_server.reply = lambda body, nth: (status, b"your key is sk-secret")
    with pytest.raises(ModelNotAvailable, match=why) as error:
        ask(chat_server, 50, key="sk-secret", concurrency=1)
    assert len(chat_server.bodies) < 10
    assert "sk-secret" not in str(error.value)


def test_the_key_goes_into_the_header_and_nowhere_else(chat_server, caplog):
    caplog.set_level("DEBUG")
    chat_server.reply = lambda body, nth: (400, b"what is sk-secret?")
    endpoint = Endpoint(url=chat_server.url, model="vlm", key="sk-secret")
    (answer,) = EndpointCaptioner(endpoint, SAMPLING).answers(questions(1))
    assert chat_server.headers[0][1]["Authorization"] == "Bearer sk-secret"
    for text in (repr(endpoint), caplog.text, answer.failed):
        assert "sk-secret" not in text


def test_where_no_server_is_the_address_is_named(chat_server):
    url = chat_server.url
    chat_server.close()
    with pytest.raises(ModelNotAvailable, match=f"No server answers at {url}. Start the server"):
        ask(chat_server, 3)
