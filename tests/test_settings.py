"""Settings come from the environment, are frozen, and refuse what they do not know."""

from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from dermaflux.domain.errors import InvalidRequest
from dermaflux.generation.memory import AUTO, PRESETS
from dermaflux.settings import PREFIX, Settings


def test_defaults_serve_the_embedded_model_from_the_repository():
    settings = Settings.load()
    assert settings.model == "nano"
    assert settings.port == 7860
    assert settings.models_dir.parts[-2:] == ("assets", "models")
    assert settings.resolved_database_url.startswith("sqlite:////")
    assert settings.resolved_database_url.endswith("/data/dermaflux.db")
    assert settings.resolved_images_url == "data/images"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("model", "flux-dev", "flux-dev"),
        ("adapter", "rare-classes", "rare-classes"),
        ("device", "cuda:1", "cuda:1"),
        ("precision", "bfloat16", "bfloat16"),
        ("memory", "16gb", "16gb"),
        ("data_dir", "/somewhere", Path("/somewhere")),
        ("database_url", "postgresql+psycopg://host/db", "postgresql+psycopg://host/db"),
        ("images_url", "s3://bucket/images", "s3://bucket/images"),
        ("port", "8000", 8000),
        ("max_waiting", "3", 3),
        ("worker", "off", False),
        ("worker_timeout_s", "5", 5.0),
    ],
)
def test_every_field_is_an_environment_variable(monkeypatch, name, text, expected):
    monkeypatch.setenv(PREFIX + name.upper(), text)
    assert getattr(Settings.load(), name) == expected


def test_the_memory_presets_are_those_of_the_generator_and_another_word_is_refused(monkeypatch):
    words = get_args(Settings.model_fields["memory"].annotation)
    assert set(words) == {AUTO, *(preset.name for preset in PRESETS)}
    monkeypatch.setenv("DERMAFLUX_MEMORY", "17gb")
    with pytest.raises(InvalidRequest, match=r"DERMAFLUX_MEMORY is '17gb'.*'auto'.*'80gb'"):
        Settings.load()


def test_a_mistyped_variable_is_refused_with_a_suggestion(monkeypatch):
    monkeypatch.setenv("DERMAFLUX_ADAPTOR", "x")
    with pytest.raises(
        InvalidRequest, match=r"DERMAFLUX_ADAPTOR is not known. Did you mean DERMAFLUX_ADAPTER?"
    ):
        Settings.load()


def test_a_variable_like_no_other_lists_the_known_ones(monkeypatch):
    monkeypatch.setenv("DERMAFLUX_ZZZZ", "x")
    with pytest.raises(InvalidRequest, match=r"Known: DERMAFLUX_MODEL, .*DERMAFLUX_PORT"):
        Settings.load()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "http"),
        ("PORT", "0"),
        ("PRECISION", "int3"),
        ("DEVICE", "tpu"),
        ("MAX_WAITING", "0"),
    ],
)
def test_a_value_that_does_not_belong_is_named_in_one_line(monkeypatch, name, text):
    monkeypatch.setenv(PREFIX + name, text)
    with pytest.raises(InvalidRequest, match=f"{PREFIX}{name} is ") as caught:
        Settings.load()
    assert "\n" not in str(caught.value)


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        Settings.load().port = 1
