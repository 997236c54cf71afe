"""The controls of one sampling run: how many, seed, steps, guidance, contrast, size, model, adapter, dataset.

The defaults of a model and its adapters come from the catalogue. They know no lesion and no caption.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from dermaflux.domain.contrast import CONTRAST_RANGE
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import (
    MAX_CANDIDATES,
    MAX_GUIDANCE_SCALE,
    MAX_IMAGES_PER_REQUEST,
    MAX_SEED,
    MAX_STEPS,
    SamplingRequest,
)
from dermaflux.services.records import ModelChoice

DEFAULT_NUM_IMAGES = 4
_WEIGHTS = (0.0, 2.0)
_SIZES_PX = (128, 192, 224, 256, 384, 512, 768, 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingControls:
    """The components that state everything of a SamplingRequest but its caption and spec."""

    num_images: gr.Slider
    candidates: gr.Slider
    seed: gr.Number
    keep_seed: gr.Checkbox
    num_steps: gr.Slider
    guidance_scale: gr.Slider
    contrast_scale: gr.Slider
    size_px: gr.Dropdown
    model: gr.Dropdown
    adapter: gr.Dropdown
    adapter_weight: gr.Slider

    @property
    def inputs(self) -> list[Any]:
        """Every component."""
        return [
            self.num_images, self.candidates, self.seed, self.keep_seed, self.num_steps, self.guidance_scale,
            self.contrast_scale, self.size_px, self.model, self.adapter, self.adapter_weight,
        ]  # fmt: skip

    @property
    def of_model(self) -> list[Any]:
        """The components whose defaults belong to model and adapters, as `sampling_values` fills them."""
        return [self.num_steps, self.guidance_scale, self.contrast_scale, self.size_px]

    def fields(self, values: Mapping[Any, Any]) -> dict[str, Any]:
        """The fields of a SamplingRequest without caption, spec and seed."""
        return {
            "num_images": whole("The number of images", values[self.num_images]),
            "candidates": whole("The number of candidates", values[self.candidates]),
            "num_steps": whole("The number of steps", values[self.num_steps]),
            "guidance_scale": values[self.guidance_scale],
            "contrast_scale": values[self.contrast_scale],
            "size_px": values[self.size_px],
            "model": values[self.model],
            "adapter": ",".join(values[self.adapter] or ()) or None,
            "adapter_weight": values[self.adapter_weight],
        }


def whole(name: str, value: object) -> int:
    """A whole number out of a control; InvalidRequest when the field is blank or has a fraction."""
    if isinstance(value, (int, float)) and float(value).is_integer():
        return int(value)
    raise InvalidRequest(f"{name} is {'blank' if value is None else value!r}. Give a whole number.")


def sampling_values(defaults: SamplingRequest, model: ModelChoice) -> list[Any]:
    """The values of `of_model`: steps, guidance, contrast and size of a request whose defaults are filled in."""
    return [
        defaults.num_steps,
        defaults.guidance_scale,
        defaults.contrast_scale,
        gr.Dropdown(choices=_sizes(model), value=defaults.size_px),
    ]


def size_dropdown(model: ModelChoice, size_px: int) -> Any:
    """The size as a choice of a model, also one that is not among the usual ones."""
    return gr.Dropdown(choices=_sizes(model, size_px), value=size_px)


def weight_slider(weight: float) -> Any:
    """The weight of all adapters, also one beyond the slider's usual range."""
    low, high = _WEIGHTS
    return gr.Slider(minimum=min(low, weight), maximum=max(high, weight), value=weight)


def sampling_controls(
    models: Sequence[ModelChoice], adapters: Sequence[str], *, first: ModelChoice
) -> SamplingControls:
    """Build the controls in the current Blocks context, set to the first model's defaults."""
    num_images = gr.Slider(
        1,
        MAX_IMAGES_PER_REQUEST,
        DEFAULT_NUM_IMAGES,
        step=1,
        label="Number of images",
        elem_id="num-images",
    )
    candidates = gr.Slider(1, MAX_CANDIDATES, 1, step=1, label="Candidates an image", elem_id="candidates",
                           info="The one measured closest to the request is kept")  # fmt: skip
    with gr.Row(equal_height=True):
        seed = gr.Number(
            0, label="Seed", precision=0, minimum=0, maximum=MAX_SEED, min_width=120, elem_id="seed"
        )
        keep_seed = gr.Checkbox(False, label="Keep this seed", min_width=120, elem_id="keep-seed",
                                info="Otherwise each run draws its own")  # fmt: skip
    with gr.Accordion("Model and sampling", open=False):
        model = gr.Dropdown(
            [(_model_label(m), m.name) for m in models],
            value=first.name,
            label="Model",
            visible=len(models) > 1,
            elem_id="model",
        )
        adapter = gr.Dropdown(
            list(adapters),
            value=[],
            multiselect=True,
            allow_custom_value=True,
            label="Adapters (LoRA)",
            info="Several act together; NAME:WEIGHT sets one's own weight",
            elem_id="adapter",
        )
        weight = gr.Slider(
            *_WEIGHTS,
            1,
            step=0.05,
            label="Weight of all adapters",
            elem_id="adapter-weight",
        )
        steps = gr.Slider(1, MAX_STEPS, first.num_steps, step=1, label="Steps", elem_id="steps")
        guidance = gr.Slider(
            0,
            MAX_GUIDANCE_SCALE,
            first.guidance_scale,
            step=0.1,
            label="Guidance",
            elem_id="guidance",
        )
        contrast = gr.Slider(
            *CONTRAST_RANGE,
            first.contrast_scale,
            step=0.5,
            label="Contrast",
            info="Makes asymmetry, border and diagnosis show more; lower looks more natural",
            elem_id="contrast",
        )
        size = gr.Dropdown(_sizes(first), value=first.size_px, label="Image size", elem_id="size")
    return SamplingControls(
        num_images=num_images,
        candidates=candidates,
        seed=seed,
        keep_seed=keep_seed,
        num_steps=steps,
        guidance_scale=guidance,
        contrast_scale=contrast,
        size_px=size,
        model=model,
        adapter=adapter,
        adapter_weight=weight,
    )


def _model_label(model: ModelChoice) -> str:
    return model.name if model.available else f"{model.name} (weights from the hub)"


def _sizes(model: ModelChoice, *more_px: int) -> list[tuple[str, int]]:
    sizes = sorted({*_SIZES_PX, model.size_px, *more_px})
    return [
        (f"{size} px" + (" (trained size)" if size == model.size_px else ""), size)
        for size in sizes
    ]
