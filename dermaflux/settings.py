"""Where am I running: the DERMAFLUX_* environment as one frozen record. Read once, at start.

It says where things are and how big they may be, never what to do (that is a SamplingRequest or a
preset). It opens nothing and creates nothing.
"""

import difflib
import os
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.speed import Speed, parse_speed

PREFIX = "DERMAFLUX_"
_REPOSITORY = Path(__file__).resolve().parents[1]
SPACE_VOLUME = Path("/data")  # where a bucket is mounted into a Space


def on_space() -> bool:
    """Whether this is a Hugging Face Space. Gradio asks for both variables before it takes log-ins for real."""
    return bool(os.environ.get("SPACE_ID")) and os.environ.get("SYSTEM") == "spaces"


class Settings(BaseSettings):
    """One deployment. Every field is an environment variable: model -> DERMAFLUX_MODEL.

    Raises InvalidRequest for a DERMAFLUX_* variable that names no field, with a suggestion.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True
    )

    model: str = "nano"
    """The base model: nano, flux-dev, flux-schnell, a folder with a FluxPipeline or one file of it (docs/flux.md)."""
    adapter: str | None = None
    """A LoRA on it: a name of the catalogue or a .safetensors file."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """auto takes a GPU where there is one."""
    precision: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    """auto takes float32 on a CPU; int8 is about twice as fast there, after an export of about a minute at first."""
    speed: str = ""
    """Ways of drawing faster, with commas between: compile, attention, batch=4, ... (docs/flux_speed.md)."""
    memory: Literal["auto", "8gb", "12gb", "16gb", "24gb", "48gb", "80gb"] = "auto"
    """On a CUDA GPU: how a large model is held (docs/flux.md). auto takes the best that fits into what is free."""
    preview_vae: str | None = None
    """A tiny autoencoder for sharper previews of a large model: taef1, a folder or a hub repository (docs/flux.md)."""
    data_dir: Path = Path("data")
    """Where images, the database and exports are written; made when it is missing."""
    database_url: str | None = None
    """An SQLAlchemy URL; without it an SQLite file in data_dir."""
    images_url: str | None = None
    """A folder or an fsspec URL (s3://BUCKET/FOLDER, ...) for the image files; without it `images` in data_dir."""
    models_dir: Path = _REPOSITORY / "assets" / "models"
    """The embedded weights."""
    max_waiting: int = Field(default=64, ge=1, le=10_000)
    """How many requests may wait before new ones are refused."""
    worker: bool = True
    """off: the app does no jobs itself; `python -m dermaflux worker` does, here or on another machine."""
    worker_timeout_s: float = Field(default=30.0, ge=1, le=3600)
    """A worker not heard of for so long counts as dead, and its job goes back to the queue."""
    c2pa_cert: Path | None = None
    """A certificate chain in PEM: what is exported is then signed (C2PA). Needs c2pa_key and c2pa-python."""
    c2pa_key: Path | None = None
    """The private key of c2pa_cert, PKCS #8 in PEM without a password."""
    max_images_per_user: int | None = Field(default=None, ge=1)
    """How many images one user may keep; without it as many as there is room for."""
    disk_budget_gb: float | None = Field(default=None, gt=0)
    """How much the data folder may hold; near it a warning is shown, at it nothing new is made."""
    purge_rejected_after_days: int | None = Field(default=None, ge=0)
    """Remove images so many days after they were rejected everywhere; without it they stay."""
    auth: Literal["none", "local", "proxy", "spaces"] = Field(
        default_factory=lambda: "spaces" if on_space() else "none"
    )
    """Who may come in: none is one local user, local has accounts here, proxy trusts a header, spaces is HF OAuth."""
    session_hours: float = Field(default=12.0, gt=0, le=24 * 90)
    """How long a log-in lasts."""
    proxy_header: str = "X-Forwarded-User"
    """With auth=proxy: the header in which the reverse proxy names the user."""
    proxy_addresses: str = "127.0.0.1,::1"
    """With auth=proxy: the addresses or networks, with commas between, whose header is believed."""
    admins: str = ""
    """With auth=proxy or spaces: administrators' names, with commas between; on Spaces also the owner."""
    curators: str = ""
    """With auth=proxy or spaces: curators' names."""
    reviewers: str = ""
    """With auth=proxy or spaces: reviewers' names."""
    default_role: Literal["viewer", "reviewer"] = "viewer"
    """With auth=proxy or spaces: the role of everybody else who is logged in."""
    mcp: bool = False
    """Also answer MCP clients, at /gradio_api/mcp."""
    volume_dir: Path | None = Field(
        default_factory=lambda: SPACE_VOLUME if on_space() and SPACE_VOLUME.is_dir() else None
    )
    """A durable folder that database and images are copied to and restored from, where the disk itself is not kept."""
    backup_minutes: float = Field(default=5.0, gt=0)
    """How often they are copied there."""
    compile_ahead: bool = False
    """On ZeroGPU: compile the transformer once at start, which takes minutes and makes every step faster."""
    host: str | None = None
    """The address to serve on; without it Gradio's own choice (GRADIO_SERVER_NAME or 127.0.0.1)."""
    port: int = Field(default=7860, ge=1, le=65535)
    """The port to serve on."""

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_variable(cls, values: Any) -> Any:
        """pydantic-settings ignores a mistyped variable in silence, so names are compared here."""
        fields = list(cls.model_fields)
        for name in sorted(name for name in os.environ if name.upper().startswith(PREFIX)):
            if name[len(PREFIX) :].lower() not in fields:
                raise InvalidRequest(
                    f"The environment variable {name} is not known. {_suggestion(name, fields)}"
                )
        return values

    @model_validator(mode="after")
    def _speed_is_known(self) -> Self:
        """A mistyped option is refused at the start, not at the first image."""
        chosen = self.chosen_speed
        if self.precision == "int8" and chosen.changes_network:
            raise InvalidRequest(
                f"DERMAFLUX_PRECISION is int8, which onnxruntime computes, and DERMAFLUX_SPEED is {self.speed!r}, for "
                "torch. Set one of them only; batch and prompt_cache go with both."
            )
        return self

    @model_validator(mode="after")
    def _spaces_only_on_spaces(self) -> Self:
        """Elsewhere log-ins of Spaces are a mock that anybody can pass, with a constant secret."""
        if self.auth == "spaces" and not on_space():
            raise InvalidRequest(
                "DERMAFLUX_AUTH is spaces, but this is no Space (SPACE_ID and SYSTEM=spaces are not set), where such "
                "log-ins prove nothing. Use local, or proxy."
            )
        return self

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """The settings of this process; InvalidRequest in one line when a value does not belong."""
        try:
            return cls(**overrides)
        except ValidationError as error:
            first = error.errors()[0]
            name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
            raise InvalidRequest(
                f"{name} is {first['input']!r}: {first['msg']}. Change or unset it."
            ) from None

    @property
    def chosen_speed(self) -> Speed:
        """The options of `speed`. Raises InvalidRequest."""
        return parse_speed(self.speed)

    @property
    def resolved_database_url(self) -> str:
        """The database URL that is used."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'dermaflux.db').resolve()}"

    @property
    def is_shared(self) -> bool:
        """Whether processes on several machines may use the database."""
        return not self.resolved_database_url.startswith("sqlite")

    @property
    def resolved_images_url(self) -> str:
        """The folder or URL of the image files that is used."""
        return self.images_url or str(self.data_dir / "images")


def _suggestion(name: str, fields: list[str]) -> str:
    near = difflib.get_close_matches(name[len(PREFIX) :].lower(), fields, n=1)
    if near:
        return f"Did you mean {PREFIX}{near[0].upper()}?"
    return f"Known: {', '.join(PREFIX + field.upper() for field in fields)}."
