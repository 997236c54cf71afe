"""Captions, models, and images without a store: what the CLI and the generation job share."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dermaflux.domain.caption import compose
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import GeneratedImage, SamplingRequest, StepPreview
from dermaflux.provenance import Provenance, from_generated, png_bytes
from dermaflux.services.closest import check_choosable, keep_closest
from dermaflux.services.exporting import Exporting
from dermaflux.services.pictures import write_whole
from dermaflux.services.records import AdapterChoice, ModelChoice


class Making(Exporting):
    """The captioner and the generator behind plain calls."""

    def compose_caption(self, spec: LesionSpec, variation: int | None = None) -> str:
        """The caption of a lesion; each variation number is one choice of wordings, None the plain one."""
        return compose(spec, None if variation is None else random.Random(variation))

    def models(self) -> tuple[ModelChoice, ...]:
        """The base models on offer, the default of the settings first."""
        catalogue = self.catalogue()
        entries = list(catalogue.models())
        if self.settings.model not in {entry.name for entry in entries}:
            entries.insert(0, catalogue.model(self.settings.model))
        choices = [
            ModelChoice(
                name=entry.name,
                size_px=entry.size_px,
                num_steps=entry.num_steps,
                guidance_scale=entry.guidance_scale,
                contrast_scale=entry.contrast_scale,
                licence=entry.licence,
                available=not entry.is_hub,
            )
            for entry in entries
        ]
        return tuple(sorted(choices, key=lambda model: model.name != self.settings.model))

    def adapters(self) -> tuple[AdapterChoice, ...]:
        """The LoRAs on offer, the one of the settings first."""
        names = [entry.name for entry in self.catalogue().adapters()]
        if self.settings.adapter:
            names = list(dict.fromkeys([self.settings.adapter, *names]))
        return tuple(AdapterChoice(name=name) for name in names)

    def resolve(self, request: SamplingRequest) -> SamplingRequest:
        """The request with the defaults of its adapters and model. Raises InvalidRequest, ModelNotAvailable."""
        check_choosable(request)
        return self.catalogue().resolve(request)

    def generate(
        self,
        request: SamplingRequest,
        should_stop: Callable[[], bool] | None = None,
        on_load: Callable[[str, int, int], None] | None = None,
    ) -> Iterator[StepPreview | GeneratedImage]:
        """Sample without storing: previews, then the image, for each. Closing the iterator stops it.

        on_load hears (what is done, parts done, of how many) while another model than the one in memory is loaded.
        """
        given = {"should_stop": should_stop, "on_load": on_load}
        options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}

        def stream(drawn: SamplingRequest) -> Iterator[StepPreview | GeneratedImage]:
            return self._generator().stream(drawn, **options)

        if request.candidates == 1:
            return stream(request)
        return keep_closest(request, stream, self.assess_as_far_as_can_be)

    def request_of_record(self, values: Mapping[str, Any]) -> SamplingRequest:
        """The request that draws an image again, out of its provenance record. Raises InvalidRequest for no record."""
        return Provenance.from_dict(values).request

    def write_generated(self, generated: GeneratedImage, folder: Path) -> Path:
        """Write a PNG with its provenance; the same request gives the same name and the same bytes.

        For that the record leaves out when it was made. Raises StorageNotWritable.
        """
        provenance = replace(from_generated(generated), created_at="")
        content = png_bytes(generated.image, provenance)
        kind = generated.request.spec.diagnosis if generated.request.spec else "caption"
        path = folder / f"{kind}-{generated.seed}-{provenance.content_sha256[:10]}.png"
        write_whole(path, content)
        return path
