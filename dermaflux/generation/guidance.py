"""How captions steer an image, and how the images of one batch are steered each by its own captions.

It knows embeddings and scales, and neither requests (`steering`) nor the transformer (`denoising`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from dermaflux.generation.prompts import PromptEmbedding


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A text to push away from, and how strongly: `scale` times what tells the picture's own text from it.

    scale: one number, or one of each image of a batch, (B, 1, 1).
    """

    away_from: PromptEmbedding
    scale: float | Tensor


class Kind(NamedTuple):
    """What the guidance of images that are drawn together must share: the scale, and which texts there are."""

    scale: float
    has_empty: bool
    has_plain: bool
    num_pushes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """How the caption steers: `scale` with the empty prompt (true guidance), or fed to a distilled transformer.

    Of the pushes one acts a step, in turn and as many times as strong: that costs one text more, not one for each.
    They are measured from `plain`, which differs from the opposites in nothing but what is pushed; None is the caption.
    """

    caption: PromptEmbedding
    empty: PromptEmbedding | None
    scale: float
    plain: PromptEmbedding | None = None
    pushes: tuple[Push, ...] = ()

    def push_at(self, step: int) -> Push | None:
        """The push of a step, counted from 0."""
        if not self.pushes:
            return None
        push = self.pushes[step % len(self.pushes)]
        return replace(push, scale=push.scale * len(self.pushes))

    @property
    def kind(self) -> Kind:
        """Guidances of one kind can be joined."""
        return Kind(self.scale, self.empty is not None, self.plain is not None, len(self.pushes))


def joined(guidances: Sequence[Guidance]) -> Guidance:
    """The guidance of a batch, image by image. All are of one kind; one and the same for all stays as it is."""
    first = guidances[0]
    assert {each.kind for each in guidances} == {first.kind}, "guidances of several kinds cannot be joined"
    if all(each is first for each in guidances):
        return first
    return Guidance(
        caption=_stacked([each.caption for each in guidances]),
        empty=None if first.empty is None else _stacked([each.empty for each in guidances]),
        scale=first.scale,
        plain=None if first.plain is None else _stacked([each.plain for each in guidances]),
        pushes=tuple(map(_joined_push, *(each.pushes for each in guidances))) if first.pushes else (),
    )


def _joined_push(*pushes: Push) -> Push:
    away_from = _stacked([push.away_from for push in pushes])
    scales = torch.tensor([push.scale for push in pushes]).to(away_from.tokens)
    return Push(away_from=away_from, scale=scales.view(-1, 1, 1))


def _stacked(texts: Sequence[PromptEmbedding | None]) -> PromptEmbedding:
    known = [text for text in texts if text is not None]
    return PromptEmbedding(
        tokens=torch.cat([text.tokens for text in known]),
        pooled=torch.cat([text.pooled for text in known]),
        ids=known[0].ids,
    )
