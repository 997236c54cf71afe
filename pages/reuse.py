"""Settings of an image back into the panel: from a card, or from a PNG whose record the browser has read.

"Use these settings" is all of them with the seed, so that the same image comes again; a remix leaves the seed and the
number of images as they stand. No picture ever comes here: only a record, which is checked like any request.
"""

import json
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import SamplingRequest
from dermaflux.domain.roles import Role
from pages.components.lesion_controls import values_of
from pages.components.sampling_controls import size_dropdown, weight_slider
from pages.generate_controls import GenerateControls
from pages.page import IN_WORDS, in_words, visitor_of

if TYPE_CHECKING:
    from dermaflux.services import Services

_MAX_RECORD_CHARS = 20_000


class ReuseActions:
    """The handlers that fill the panel."""

    def __init__(self, services: "Services", controls: GenerateControls) -> None:
        self._services = services
        self._controls = controls

    @property
    def outputs(self) -> list[Any]:
        """What they fill: the lesion, the caption and how it stands to it, the sampling."""
        c = self._controls
        return [*c.lesion.inputs, c.caption, c.composed, c.variation, *c.sampling.inputs]

    @in_words
    def from_image(self, evt: gr.EventData, request: gr.Request) -> list[Any]:
        """The panel as it was for a stored image; evt: image_id, remix."""
        visitor_of(self._services, request).require(Role.VIEWER, "look at an image's settings")
        stored = self._services.image(evt.image_id, viewer=visitor_of(self._services, request).name)
        return self._filled(self._services.request_of_record(stored.generated), remix=bool(evt.remix))

    @in_words
    def from_record(self, evt: gr.EventData, request: gr.Request) -> list[Any]:
        """The panel as a dropped file's record states it; evt: record (JSON text), name of the file."""
        visitor_of(self._services, request).require(Role.VIEWER, "load settings")
        name, text = str(evt.name)[:80], str(evt.record)
        try:
            values = json.loads(text) if len(text) <= _MAX_RECORD_CHARS else None
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise InvalidRequest(f"The record in {name} is damaged. Use the original file.")
        return self._filled(self._services.request_of_record(values), remix=False)

    def _filled(self, asked: SamplingRequest, *, remix: bool) -> list[Any]:
        lesion, spec = self._controls.lesion, asked.spec
        lesion_values = values_of(spec) if spec else [gr.skip()] * len(lesion.inputs)
        # Another wording of the same lesion is kept as the user's own, so that the pixels come out the same.
        composed = self._services.compose_caption(spec) if spec else ""
        gr.Info(_said(asked, remix=remix), duration=5)
        return [*lesion_values, asked.caption, composed, None, *self._sampling(asked, remix=remix)]

    def _sampling(self, asked: SamplingRequest, *, remix: bool) -> list[Any]:
        """Values in the order of `SamplingControls.inputs`."""
        models = {model.name: model for model in self._services.models()}
        model = models.get(asked.model)
        if model is None:
            gr.Warning(f"The model {asked.model!r} is not installed here; the model stays as it was.", duration=8)
        of_draw = [gr.skip()] * 3 if remix else [1, 1, asked.seed]
        installed = {adapter.name for adapter in self._services.adapters()}
        adapters = [part.strip() for part in (asked.adapter or "").split(",") if part.strip()]
        if missing := [use.name for use in asked.adapters if use.name not in installed]:
            gr.Warning(f"The adapter {missing[0]!r} is not installed here; no adapter was set.", duration=8)
            adapters = []
        return [
            *of_draw,
            not remix,
            *(gr.skip() if value is None else value
              for value in (asked.num_steps, asked.guidance_scale, asked.contrast_scale)),
            size_dropdown(model, asked.size_px) if model and asked.size_px else gr.skip(),
            asked.model if model else gr.skip(),
            adapters,
            weight_slider(asked.adapter_weight),
        ]  # fmt: skip


def wire_reuse(actions: ReuseActions, board: gr.HTML, tabs: gr.Tabs | None = None) -> None:
    """Let a board's cards fill the panel; on another tab the panel's is opened."""
    used = board.used(actions.from_image, None, actions.outputs, **IN_WORDS)
    if tabs is not None:
        used.success(lambda: gr.Tabs(selected="generate"), None, tabs, **IN_WORDS)


def _said(asked: SamplingRequest, *, remix: bool) -> str:
    made = f"{asked.model}, {asked.num_steps} steps, {asked.size_px} px"
    if remix:
        return f"Settings loaded without the seed ({made}). Generate draws new images of the same request."
    return f"Settings loaded: seed {asked.seed}, {made}. Generate draws the same image again."
