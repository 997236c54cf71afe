"""Writes a trained nano as a pipeline folder: float16 safetensors, its defaults beside it, whole or not at all."""

import json
import os
import random
import shutil
from pathlib import Path

import torch
from diffusers import FluxPipeline

from dermaflux.domain.caption import compose
from dermaflux.domain.lesion import Colour, Diagnosis, LesionSpec, Sex, Site, SkinTone
from dermaflux.generation.facts import PipelineFacts, save_facts

LICENCE = "Non-commercial research use (trained on HAM10000, CC BY-NC 4.0)"
# Words people and the paper use beyond our grammar, so that free captions are not spelled out in letters.
_FREE_WORDS = (
    "the mole appears to have a generally symmetrical shape with one half notably larger and darker than the other; "
    "edges are jagged, notched, blurred, well defined, ill-defined, scalloped; a uniform brown, tan, pink, purple, "
    "grey, blue, yellow or pale colour with scattered spots, dots, globules, streaks, network, veil, crust and scales; "
    "a dermoscopic dermoscopy image of a pigmented skin lesion nevus naevus carcinoma keratosis; large small dark light"
)


def vocabulary_corpus(count: int = 4000) -> list[str]:
    """Captions over the whole vocabulary from a fixed seed: what the word pieces are learned from."""
    rng = random.Random(0)
    captions = [compose(_any_spec(rng), rng) for _ in range(count)]
    ages = [f"who is {age} years old" for age in range(121)]
    return captions + ages + [_FREE_WORDS] * 20


def export_nano(pipeline: FluxPipeline, folder: Path, size_px: int, text_tokens: int) -> Path:
    """Save the pipeline as float16 with its facts; replaces an earlier export in one move."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.parent.mkdir(parents=True, exist_ok=True)
    for part in (pipeline.transformer, pipeline.text_encoder, pipeline.text_encoder_2, pipeline.vae):
        part.to("cpu", torch.float16).eval()
    pipeline.save_pretrained(temporary, safe_serialization=True)
    facts = PipelineFacts(
        size_px=size_px, num_steps=20, guidance_scale=2.0, contrast_scale=3.0, text_tokens=text_tokens, licence=LICENCE
    )
    save_facts(temporary, facts)
    _forget_origin(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(temporary, folder)
    return folder


def _any_spec(rng: random.Random) -> LesionSpec:
    return LesionSpec(
        asymmetry=rng.uniform(0, 2),
        border=rng.uniform(0, 8),
        colours=tuple(rng.sample(list(Colour), rng.randint(1, 6))),
        diagnosis=rng.choice(list(Diagnosis)),
        age=rng.choice([None, float(rng.randint(0, 100))]),
        sex=rng.choice([None, *Sex]),
        site=rng.choice([None, *Site]),
        skin_tone=rng.choice([None, *SkinTone]),
    )


def _forget_origin(folder: Path) -> None:
    """Diffusers notes the path that a part was loaded from: of no use to others, and of another machine."""
    for path in (folder / "transformer" / "config.json", folder / "vae" / "config.json"):
        config = json.loads(path.read_text())
        config.pop("_name_or_path", None)
        path.write_text(json.dumps(config, indent=2) + "\n")
