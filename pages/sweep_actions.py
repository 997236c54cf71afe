"""What grid and strip do alike: queue a sweep, follow it, stop it, export it, and offer values for an axis.

A handler reads the panel and the axes, asks the services, and answers with values. The seed is the one in the panel,
never a new one: cells are comparable, and those that were drawn before are found again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import SamplingRequest
from dermaflux.domain.roles import Role
from dermaflux.domain.sweep import Axis, Sweep, default_values, listed
from pages.components.axis_controls import AxisControls
from pages.components.followers import Followers
from pages.components.sweep_view import SweepView
from pages.followed_jobs import job_of, paced, stop_job, with_verdict
from pages.generate_controls import GenerateControls, Values
from pages.page import in_words, visitor_of

if TYPE_CHECKING:
    from dermaflux.services import Services


class SweepActions:
    """The handlers of one mode over the panel and its axes: the columns' first, then the rows' if it has any."""

    def __init__(self, services: "Services", controls: GenerateControls, axes: Sequence[AxisControls]) -> None:
        self._services = services
        self._controls = controls
        self._axes = axes
        self._followers = Followers()

    @property
    def inputs(self) -> set[Any]:
        """The components a sweep is read from."""
        return {*self._controls.request_inputs, *(part for axis in self._axes for part in axis.inputs)}

    @in_words
    def submit(self, values: Values, request: gr.Request) -> str:
        """Queue the sweep: the job's id."""
        visitor = visitor_of(self._services, request).require(Role.REVIEWER, "generate images")
        base = replace(self._controls.read(values, may_draw_seed=False), num_images=1, candidates=1)
        columns, *rows = (axis.read(values) for axis in self._axes)
        sweep = Sweep(base=base, columns=columns, rows=rows[0] if rows else None)
        return self._services.submit_sweep(visitor.name, sweep).job_id

    @in_words
    def offer_values(self, values: Values, place: int) -> str:
        """The default values of the axis that was chosen, around what the panel states."""
        axis = Axis(values[self._axes[place].axis])
        try:
            base = self._controls.read(values, may_draw_seed=False)
        except InvalidRequest:  # half-written; what is wrong is said when it is to be drawn
            base = SamplingRequest(caption="any")
        return listed(default_values(axis, base))

    @in_words
    def follow(self, job_id: str | None, dataset: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """The board, what is said under it, and the stop button; nothing where the browser remembers no such job."""
        visitor = visitor_of(self._services, request).require(Role.VIEWER, "see samples")
        job = job_of(self._services, job_id, visitor)
        if job is None or job.sweep is None:
            yield gr.skip(), gr.skip(), gr.skip()
            return
        with self._followers.only_one(request.session_hash) as is_latest:
            view = SweepView(Sweep.from_dict(job.sweep), job.job_id)
            yield view.packed(), "", gr.Button(interactive=True)
            for event in paced(self._services.follow(job.job_id)):
                if not is_latest():
                    return
                num_found = len(view.found)
                view.apply(with_verdict(self._services, event, dataset, visitor))
                said = self.said(view) if len(view.found) > num_found or view.ended else gr.skip()
                yield view.packed(), said, gr.Button(interactive=False) if view.ended else gr.skip()

    def said(self, view: SweepView) -> str:
        """What stands under the board."""
        return ""

    @in_words
    def stop(self, job_id: str | None, request: gr.Request) -> None:
        """Stop the job within a step; finished cells stay."""
        stop_job(self._services, job_id, request)

    @in_words
    def export(self, job_id: str | None, request: gr.Request) -> list[str]:
        """The sheet and the table of what is finished."""
        visitor = visitor_of(self._services, request).require(Role.CURATOR, "export images")
        job = job_of(self._services, job_id, visitor)
        if job is None:
            raise InvalidRequest("There is nothing to export yet. Draw first.")
        return [str(path) for path in self._services.export_sweep(job.job_id)]
