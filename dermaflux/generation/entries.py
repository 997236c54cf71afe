"""What is known of a base model or an adapter before it is read, and the models of the hub. It reads no files."""

from dataclasses import dataclass

UNSTATED_LICENCE = "not stated; see the model's own card"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One base model. `source` is a folder, or a hub repository at the commit `revision` when `is_hub`.

    `transformer_file`: a checkpoint in BFL's own names that stands for the source's own transformer.
    `distilled_guidance`: guidance_scale is fed to the transformer (FLUX.1-dev); otherwise it is the scale of true
    classifier-free guidance against the empty prompt, and 1 turns it off.
    """

    name: str
    source: str
    is_hub: bool = False
    revision: str | None = None
    transformer_file: str | None = None
    size_px: int = 512
    num_steps: int = 20
    guidance_scale: float = 1.0
    contrast_scale: float = 0.0
    distilled_guidance: bool = False
    text_tokens: int = 512
    int8_checked: bool = False
    licence: str = UNSTATED_LICENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterEntry:
    """One LoRA: a file, or a hub repository (`file` names the one wanted when it holds several)."""

    name: str
    source: str
    is_hub: bool = False
    file: str | None = None


FLUX_DEV = ModelEntry(
    name="flux-dev",
    source="black-forest-labs/FLUX.1-dev",
    is_hub=True,
    revision="3de623fc3c33e44ffbe2bad470d0f45bccf2eb21",
    guidance_scale=3.5,
    distilled_guidance=True,
    licence="FLUX.1 [dev] Non-Commercial License",
)
# schnell was distilled to 4 steps without guidance, on 256 text tokens (BFL flux/util.py, load_t5).
FLUX_SCHNELL = ModelEntry(
    name="flux-schnell",
    source="black-forest-labs/FLUX.1-schnell",
    is_hub=True,
    revision="741f7c3ce8b383c54771c7003378a50191e9efe9",
    num_steps=4,
    text_tokens=256,
    licence="Apache-2.0",
)

HUB_MODELS = {entry.name: entry for entry in (FLUX_DEV, FLUX_SCHNELL)}
