"""The wizard of the Train tab: what, on which data, how; and how its controls are read as one request.

The presets and the texts come from the services. It starts nothing.
"""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.lesion import HAM_DIAGNOSES, Diagnosis
from dermaflux.services.training_programs import CHANGEABLE
from dermaflux.services.training_records import (
    CLASSIFIER,
    KINDS,
    LORA,
    TrainingPreset,
    TrainingRequest,
)
from pages.components.web import plain_html

if TYPE_CHECKING:
    from dermaflux.services import Services

_KIND_LABELS = (("LoRA for the generator", LORA), ("Classifier", CLASSIFIER))
NO_DATASET = "none"
_LISTS = ("diagnoses",)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainForm:
    """The controls. `fields` are the changeable ones by kind and dotted name, `groups` the columns they stand in."""

    kind: gr.Radio
    real: gr.Dropdown
    synthetic: gr.Dropdown
    ratio: gr.Number
    preset: gr.Dropdown
    text: gr.HTML
    name: gr.Textbox
    fields: Mapping[str, Mapping[str, Any]]
    groups: Mapping[str, gr.Column]
    classifier_data: gr.Column
    cost: gr.HTML
    force: gr.Checkbox

    @property
    def inputs(self) -> set[Any]:
        """Every control a request is read from."""
        fields = [component for part in self.fields.values() for component in part.values()]
        return {self.kind, self.real, self.synthetic, self.ratio, self.preset, self.name, self.force, *fields}

    def request(self, values: Mapping[Any, Any]) -> TrainingRequest:
        """What the controls ask for."""
        kind, dataset = values[self.kind], values[self.synthetic]
        uses_set = kind == CLASSIFIER and dataset != NO_DATASET
        return TrainingRequest(
            kind=kind,
            preset=values[self.preset],
            name=(values[self.name] or "").strip(),
            fields={name: values[component] for name, component in self.fields[kind].items()},
            real=values[self.real] or "",
            synthetic=dataset if uses_set else None,
            ratio=values[self.ratio] or None if uses_set else None,
            force=values[self.force],
        )


def train_form(services: "Services", cost: gr.HTML) -> TrainForm:
    """Lay out the wizard in the current context, set to this machine's LoRA preset. cost: where the prediction goes."""
    programs = services.training_programs()
    first = programs[LORA].presets[services.proposed_preset(LORA)]
    with gr.Column(elem_classes="df-group"):
        plain_html('<p class="df-section">1 · What</p>')
        kind = gr.Radio(_KIND_LABELS, value=LORA, show_label=False, container=False, elem_id="train-kind",
                        elem_classes="df-segments df-two")  # fmt: skip
    with gr.Column(elem_classes="df-group"):
        plain_html('<p class="df-section">2 · Data</p>')
        choices = services.training_data(LORA)
        real = gr.Dropdown(choices, value=next(iter(choices), None), label="Real pictures", elem_id="train-real",
                           info="Sets taken in with import-real, with a split in their table")  # fmt: skip
        with gr.Column(visible=False, elem_classes="df-group") as classifier_data:
            offered = [NO_DATASET, *services.shared_datasets()]
            synthetic = gr.Dropdown(offered, value=NO_DATASET, label="Accepted images of", elem_id="train-synthetic",
                                    info="They join the training split only")  # fmt: skip
            ratio = gr.Number(None, label="Of them for each real picture (empty: all)", minimum=0, step=0.25,
                              elem_id="train-ratio")  # fmt: skip
    with gr.Column(elem_classes="df-group"):
        plain_html('<p class="df-section">3 · How</p>')
        preset = gr.Dropdown(preset_choices(services, LORA), value=first.name, label="Preset", elem_id="train-preset")
        text = plain_html(preset_text(first), elem_id="train-preset-text")
        name = gr.Textbox(f"my-{LORA}", label="Name", max_lines=1, elem_id="train-name",
                          info="Small letters, digits, - and _; a LoRA is offered under it")  # fmt: skip
        fields, groups = {}, {}
        for part in KINDS:
            with gr.Column(visible=part == LORA, elem_classes="df-group df-fields") as groups[part]:
                values = programs[part].presets[services.proposed_preset(part)].values
                helps = programs[part].helps
                fields[part] = {n: _field(n, label, values[n], helps) for n, label in CHANGEABLE[part].items()}
    force = gr.Checkbox(False, label="Start it even if it does not seem to fit", elem_id="train-force")
    return TrainForm(
        kind=kind, real=real, synthetic=synthetic, ratio=ratio, preset=preset, text=text, name=name, fields=fields,
        groups=groups, classifier_data=classifier_data, cost=cost, force=force,
    )  # fmt: skip


def preset_choices(services: "Services", kind: str) -> list[tuple[str, str]]:
    """The presets of a trainer, each with its predicted peak where there is one."""
    peaks, presets = services.training_peaks(kind), services.training_programs()[kind].presets.values()
    return [(_preset_label(preset, peaks.get(preset.name)), preset.name) for preset in presets]


def preset_text(preset: TrainingPreset) -> str:
    """What a preset takes, in words."""
    return f'<p class="df-preset-text">{html.escape(preset.text[:1].upper() + preset.text[1:])}</p>'


def _preset_label(preset: TrainingPreset, peak_gb: float | None) -> str:
    if peak_gb is None:
        return preset.name
    return f"{preset.name} · {peak_gb:.1f} GB{f' of {preset.gpu_gb}' if preset.gpu_gb else ''}"


def _field(name: str, label: str, value: Any, helps: Mapping[str, str]) -> Any:
    elem_id, info = f"train-{name.replace('.', '-').replace('_', '-')}", helps.get(name) or None
    if name in _LISTS:
        choices = [(Diagnosis(d).label, str(d)) for d in HAM_DIAGNOSES]
        return gr.Dropdown(choices, value=value, label=label, multiselect=True, elem_id=elem_id, info=info)
    precision = 0 if isinstance(value, int) else None
    return gr.Number(value, label=label, precision=precision, minimum=0, elem_id=elem_id, info=info)
