"""Everything at the left of the Generate tab as one record, and the request that it states. No layout, no service."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from dermaflux.domain.records import MAX_SEED, SamplingRequest
from pages.components.caption_text import requested_spec
from pages.components.lesion_controls import LesionControls
from pages.components.sampling_controls import SamplingControls, whole

Values = Mapping[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunButtons:
    """What begins and stops the work of one mode, and the job of it that the browser remembers."""

    start: gr.Button
    stop: gr.Button
    last_job: gr.BrowserState


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateControls:
    """The panel: lesion, caption, sampling, the drop zone for a record, and a pair of buttons a mode."""

    lesion: LesionControls
    sampling: SamplingControls
    caption: gr.Textbox
    note: gr.HTML
    composed: gr.State
    variation: gr.State
    compose: gr.Button
    reword: gr.Button
    to_sliders: gr.Button
    dropped: gr.HTML
    samples: RunButtons
    grid: RunButtons
    strip: RunButtons

    @property
    def request_inputs(self) -> list[Any]:
        """The components a SamplingRequest is read from."""
        return [*self.lesion.inputs, *self.sampling.inputs, self.caption]

    def read(self, values: Values, *, may_draw_seed: bool) -> SamplingRequest:
        """What the panel asks for; with a new seed unless it is kept or may not be drawn. Raises InvalidRequest."""
        seed = whole("The seed", values[self.sampling.seed])
        if may_draw_seed and not values[self.sampling.keep_seed]:
            seed = random.randrange(MAX_SEED)
        caption = values[self.caption]
        spec = requested_spec(caption, self.lesion.spec(values)) if caption.strip() else None
        return SamplingRequest(caption=caption, spec=spec, seed=seed, **self.sampling.fields(values))
