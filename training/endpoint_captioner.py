"""A vision-language model behind any server that speaks OpenAI's chat format: SGLang, vLLM, or a service.

Several pictures are asked about at once; what may pass is tried again, later each time. It knows no caption and no
file. The key goes into the header of the requests and nowhere else.
"""

import base64
import io
import random
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import httpx
from PIL import Image

from dermaflux.domain.errors import DermaFluxError, ModelNotAvailable
from training.captioner import Answer, Question, Sampling, at_most

_JPEG_QUALITY = 95
_MAY_PASS = (408, 425, 429, 500, 502, 503, 504)
_MAX_WAIT_S = 60.0
_EXCERPT_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the server is (`url` ends before /chat/completions) and how patient we are with it."""

    url: str
    model: str
    key: str = field(default="", repr=False)
    concurrency: int = 16
    timeout_s: float = 120.0
    num_retries: int = 5
    first_wait_s: float = 1.0


class _NotNow(DermaFluxError):
    """What may go better another time; `wait_s` is how long the server asks to be left alone."""

    def __init__(self, why: str, wait_s: float = 0.0, *, is_unreachable: bool = False) -> None:
        super().__init__(why)
        self.wait_s = wait_s
        self.is_unreachable = is_unreachable


class _Never(DermaFluxError):
    """The server refuses this picture for good."""


class EndpointCaptioner:
    """Answers as they come, at most `concurrency` pictures under way; each is sent as JPEG of at most max_side_px."""

    def __init__(self, endpoint: Endpoint, sampling: Sampling, *, revision: str = "", max_side_px: int = 1120) -> None:
        self.revision = revision
        self._endpoint = endpoint
        self._sampling = sampling
        self._max_side_px = max_side_px
        self._closing = threading.Event()

    def answers(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """Ask while questions come, then wait for what is under way.

        Raises ModelNotAvailable when the server is not there, knows no such model, or refuses the key.
        """
        endpoint = self._endpoint
        headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
        self._closing.clear()
        with (
            httpx.Client(headers=headers, timeout=endpoint.timeout_s) as client,
            ThreadPoolExecutor(endpoint.concurrency) as pool,
        ):
            waiting: set[Future[Answer]] = set()
            try:
                for question in questions:
                    waiting.add(pool.submit(self._asked, client, question))
                    if len(waiting) >= 2 * endpoint.concurrency:  # twice, so that nobody idles while we yield
                        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                        yield from (future.result() for future in done)
                while waiting:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            finally:
                self._closing.set()
                pool.shutdown(wait=False, cancel_futures=True)

    def _asked(self, client: httpx.Client, question: Question) -> Answer:
        started = time.monotonic()
        body = self._body(question)
        for attempt in range(self._endpoint.num_retries + 1):
            try:
                text, is_cut_off = self._posted(client, body)
            except _NotNow as error:
                last = error
                backoff_s = self._endpoint.first_wait_s * 2**attempt * random.uniform(0.75, 1.25)
                if attempt < self._endpoint.num_retries and self._closing.wait(
                    min(max(backoff_s, error.wait_s), _MAX_WAIT_S)
                ):
                    break
            except _Never as error:
                return Answer(question=question, failed=str(error), seconds=time.monotonic() - started)
            else:
                seconds = time.monotonic() - started
                return Answer(question=question, text=text, is_cut_off=is_cut_off, seconds=seconds)
        if last.is_unreachable:
            raise ModelNotAvailable(f"{last} Start the server, or correct --url.")
        return Answer(question=question, failed=str(last), seconds=time.monotonic() - started)

    def _body(self, question: Question) -> dict[str, Any]:
        sampling = self._sampling
        picture = {"type": "image_url", "image_url": {"url": _data_url(at_most(question.image, self._max_side_px))}}
        return {
            "model": self._endpoint.model,
            "messages": [{"role": "user", "content": [picture, {"type": "text", "text": question.prompt}]}],
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "seed": sampling.seed,
        }

    def _posted(self, client: httpx.Client, body: dict[str, Any]) -> tuple[str, bool]:
        try:
            response = client.post(f"{self._endpoint.url.rstrip('/')}/chat/completions", json=body)
        except httpx.TimeoutException as error:
            raise _NotNow(f"No answer within {self._endpoint.timeout_s:g} s.") from error
        except httpx.ConnectError as error:
            raise _NotNow(f"No server answers at {self._endpoint.url}.", is_unreachable=True) from error
        except httpx.TransportError as error:
            raise _NotNow(f"The connection broke ({type(error).__name__}).") from error
        self._check(response)
        return _text_of(response)

    def _check(self, response: httpx.Response) -> None:
        status, endpoint = response.status_code, self._endpoint
        if status in (401, 403):
            raise ModelNotAvailable(
                f"{endpoint.url} refuses the key (status {status}). Put a valid one into the variable that "
                "--key-variable names."
            )
        if status == 404:
            raise ModelNotAvailable(
                f"{endpoint.url} knows no model {endpoint.model!r}, or is not the root of the API (status 404). "
                "Correct --model or --url; the latter usually ends in /v1."
            )
        if status in _MAY_PASS:
            raise _NotNow(f"Status {status}: {self._excerpt(response)}", _asked_wait_s(response))
        if status != httpx.codes.OK:
            raise _Never(f"Status {status}: {self._excerpt(response)}")

    def _excerpt(self, response: httpx.Response) -> str:
        text = " ".join(response.text.split())
        return (text.replace(self._endpoint.key, "***") if self._endpoint.key else text)[:_EXCERPT_CHARS]


def _text_of(response: httpx.Response) -> tuple[str, bool]:
    """The text of a chat completion, and whether it was cut off at the limit of tokens."""
    try:
        first = response.json()["choices"][0]
        text = first["message"].get("content") or first["message"].get("refusal")
        reason = first.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise _NotNow("The answer is not a chat completion in OpenAI's format.") from error
    if reason == "content_filter":
        raise _Never("The server's content filter withheld the answer.")
    if not isinstance(text, str):
        raise _NotNow("The answer holds no text.")
    return text, reason == "length"


def _asked_wait_s(response: httpx.Response) -> float:
    """What Retry-After says in seconds; 0 where it says nothing, or a date."""
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() else 0.0


def _data_url(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
