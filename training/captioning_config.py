"""One captioning run as a record, and the presets: Python values, every field can be changed on the command line."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import Diagnosis, choice
from dermaflux.domain.records import Split
from training.caption_text import BLIND_PROMPT, PAPER_PROMPT, PromptKind
from training.captioner import Sampling
from training.dataset import HAM_ARCHIVES

LLAMA = "meta-llama/Llama-3.2-11B-Vision-Instruct"
QWEN = "Qwen/Qwen2.5-VL-7B-Instruct"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptioningRun:
    """Which pictures are described, by whom, and how. Raises InvalidRequest naming the field outside its range."""

    name: str = "llama"
    model: str = LLAMA
    """A hub repository or a local folder; with a url the name under which the server serves it."""
    revision: str | None = None
    """A commit, tag or branch of the hub repository; with a url only noted, since a server does not say."""
    url: str = ""
    """The root of an API in OpenAI's format, as http://localhost:30000/v1. Empty: the model runs in this process."""
    key_variable: str = "CAPTIONING_API_KEY"
    """The environment variable that holds the server's key, if it wants one."""
    prompt: PromptKind = "blind"
    """blind does not tell the model the label; paper is the paper's prompt, which does."""
    pictures: Path | None = None
    """Your own folder: pictures with metadata.csv or .jsonl (file_name, diagnosis, split, ...)."""
    data_dir: Path = Path("../shared/data")
    """HAM10000, used where `pictures` names nothing."""
    archive_px: int = 200
    """Which of its archives: 200 whole frames, 224 centre crops of one picture a lesion."""
    splits: tuple[Split, ...] = (Split.TRAIN,)
    diagnoses: tuple[str, ...] = ()
    """Only these classes; all when empty."""
    limit: int | None = None
    """At most so many pictures, the first ones."""
    retry_refused: bool = False
    """Ask again about the pictures that have no caption yet because something failed."""
    runs_dir: Path = Path("runs/captions")
    models_dir: Path = Path("assets/models")
    """Where the embedded segmenter is, for the measurement."""
    max_side_px: int = 1120
    max_new_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0
    batch_size: int = 4
    """Pictures at once in this process."""
    device: str = "auto"
    precision: str = "auto"
    concurrency: int = 16
    """Requests under way at once at the server."""
    timeout_s: float = 120.0
    num_retries: int = 5
    max_failures_in_a_row: int = 20
    """Then the run stops: what fails is not the pictures."""

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        for field in ("max_side_px", "max_new_tokens", "batch_size", "concurrency", "max_failures_in_a_row", "limit"):
            if (value := getattr(self, field)) is not None and value < 1:
                raise InvalidRequest(f"{field} is {value}. Give 1 or more.")
        if self.temperature < 0 or self.timeout_s <= 0 or self.num_retries < 0:
            raise InvalidRequest("temperature and num_retries must be 0 or more, timeout_s more than 0.")
        for diagnosis in self.diagnoses:
            choice("diagnoses", diagnosis, Diagnosis)
        if self.archive_px not in HAM_ARCHIVES:
            raise InvalidRequest(f"There is no HAM10000 archive of {self.archive_px}. Choose {sorted(HAM_ARCHIVES)}.")
        if not self.name or Path(self.name).name != self.name:
            raise InvalidRequest(f"name is {self.name!r}; it must be one plain folder name.")
        if self.url:
            _check_url(self.url)

    @property
    def folder(self) -> Path:
        """The folder of this run: captions.jsonl, report.json, config.json, status.json."""
        return self.runs_dir / self.name

    @property
    def sampling(self) -> Sampling:
        """How text is drawn."""
        return Sampling(max_new_tokens=self.max_new_tokens, temperature=self.temperature, seed=self.seed)

    def identity(self) -> dict[str, Any]:
        """What must stay the same for a run to be gone on with; more pictures or another machine may come."""
        kept = {
            "model", "revision", "prompt", "pictures", "data_dir", "archive_px", "max_side_px", "max_new_tokens",
            "temperature", "seed",
        }  # fmt: skip
        asked = BLIND_PROMPT if self.prompt == "blind" else PAPER_PROMPT
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name in kept} | {
            "prompt_text": asked
        }


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidRequest(f"url is {url!r}; give an address such as http://localhost:30000/v1.")
    if parts.username or parts.password or parts.query:
        raise InvalidRequest(
            "The url holds a name, a password or a query. Put the key into the variable that key_variable names."
        )


PRESETS = {
    "llama": ("Llama 3.2 11B Vision in this process, 21 GB of weights in bfloat16; blind prompt", CaptioningRun()),
    "paper": (
        "the same model with the paper's prompt, which tells it the label: for comparison",
        CaptioningRun(name="paper", prompt="paper"),
    ),
    "sglang": (
        "Llama 3.2 11B Vision behind an SGLang server on this machine, for many pictures",
        CaptioningRun(name="sglang", url="http://localhost:30000/v1"),
    ),
    "qwen": ("Qwen2.5-VL 7B in this process, 17 GB of weights in bfloat16", CaptioningRun(name="qwen", model=QWEN)),
    "vllm": (
        "Qwen2.5-VL 7B behind a vLLM server on this machine, for many pictures",
        CaptioningRun(name="vllm", model=QWEN, url="http://localhost:8000/v1"),
    ),
}
