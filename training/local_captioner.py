"""A vision-language model of transformers in this process: Llama 3.2 Vision, Qwen2.5-VL and their like.

Safetensors only, every weight accounted for; no code of a repository is run. It knows no caption and no file.
"""

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging as transformers_logging

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.generation.hub import download_files
from dermaflux.generation.placement import Placement
from dermaflux.generation.weights import sha256_of_folder
from training.captioner import Answer, Question, Sampling, at_most

_FILES = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")


class LocalCaptioner:
    """Answers in batches. Pictures are shrunk to max_side_px before the model's own processor sees them."""

    def __init__(
        self, folder: Path, placement: Placement, sampling: Sampling, *, batch_size: int = 1, max_side_px: int = 1120
    ) -> None:
        self.revision = _revision_of(folder)
        self._placement = placement
        self._sampling = sampling
        self._batch_size = batch_size
        self._max_side_px = max_side_px
        self._processor, self._model = _load(folder, placement)

    def answers(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """One batch after the other. A batch that a picture spoils is asked again one by one."""
        remaining = iter(questions)
        while batch := list(itertools.islice(remaining, self._batch_size)):
            try:
                yield from self._asked(batch)
            except ValueError as error:
                if len(batch) == 1:
                    yield Answer(question=batch[0], failed=f"The model cannot take the picture: {error}")
                    continue
                for question in batch:
                    yield from self.answers([question])

    @torch.inference_mode()
    def _asked(self, batch: Sequence[Question]) -> list[Answer]:
        started = time.monotonic()
        inputs = self._processor.apply_chat_template(
            [_conversation(question, self._max_side_px) for question in batch],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        ).to(self._placement.device, dtype=self._placement.dtype)
        try:
            tokens_BN = self._model.generate(**inputs, **self._drawn())
        except torch.OutOfMemoryError as error:
            raise ModelNotAvailable(
                f"{len(batch)} pictures at once do not fit the memory of {self._placement.device}. Give a smaller "
                "--batch-size or --max-side-px."
            ) from error
        new_BN = tokens_BN[:, inputs["input_ids"].shape[1] :]
        texts = self._processor.batch_decode(new_BN, skip_special_tokens=True)
        seconds = (time.monotonic() - started) / len(batch)
        return [
            Answer(question=question, text=text, is_cut_off=self._is_cut_off(tokens_N), seconds=seconds)
            for question, text, tokens_N in zip(batch, texts, new_BN, strict=True)
        ]

    def _drawn(self) -> dict[str, Any]:
        sampling = self._sampling
        torch.manual_seed(sampling.seed)
        how = {"do_sample": True, "temperature": sampling.temperature} if sampling.temperature else {"do_sample": False}
        return how | {"max_new_tokens": sampling.max_new_tokens}

    def _is_cut_off(self, tokens_N: torch.Tensor) -> bool:
        config = self._model.generation_config
        ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
        return int(tokens_N[-1]) not in {*ends, config.pad_token_id}


def locate_captioner(model: str, revision: str | None) -> Path:
    """The folder of a model: a local one as it is, else the hub repository's files, downloaded when not there yet.

    Raises ModelNotAvailable saying whether the licence, the token, the network or the name is at fault.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if model.startswith((".", "/", "~")):
        raise ModelNotAvailable(f"{model} is not a folder. Give the folder that holds the model's config.json.")
    return download_files(model, _FILES, revision=revision)


def _revision_of(folder: Path) -> str:
    """The commit of a folder in the hub's cache, otherwise a hash of the weights."""
    return folder.name if folder.parent.name == "snapshots" else f"sha256:{sha256_of_folder(folder)[:16]}"


def _conversation(question: Question, max_side_px: int) -> list[dict[str, Any]]:
    picture = {"type": "image", "image": at_most(question.image, max_side_px)}
    return [{"role": "user", "content": [picture, {"type": "text", "text": question.prompt}]}]


def _load(folder: Path, placement: Placement) -> tuple[Any, Any]:
    transformers_logging.disable_progress_bar()
    try:
        processor: Any = AutoProcessor.from_pretrained(folder)
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=placement.dtype, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError) as error:
        raise ModelNotAvailable(
            f"{folder} does not load as a vision-language model: {error}. It must be one that transformers knows as "
            "image-text-to-text, with its processor."
        ) from error
    model, info = loaded
    for problem in ("missing_keys", "mismatched_keys"):
        if keys := sorted(map(str, info[problem])):
            word = problem.removesuffix("_keys")
            raise ModelNotAvailable(f"{folder} has {len(keys)} {word} weights, the first {keys[0]}. Fetch it anew.")
    if processor.chat_template is None:
        raise ModelNotAvailable(f"{folder} has no chat template, so nothing can be asked. Take an instruct model.")
    processor.tokenizer.padding_side = "left"  # new tokens follow the prompt
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return processor, model.eval().to(placement.device)
