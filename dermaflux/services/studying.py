"""Blinded reader studies: made, read, looked at, exported. Who may is `study_access`'s to say, asked in every call.

What reaches a reader is a `StudyTurn`: pictures by place, and nothing that tells what they are.
"""

import random
import secrets
from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.identifiers import new_id
from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import Verdict
from dermaflux.domain.roles import Role, Visitor
from dermaflux.domain.study import StudyAnswer
from dermaflux.services.probing import Probing
from dermaflux.services.real_pictures import RealPictures, read_real
from dermaflux.services.records import OnStep
from dermaflux.services.study_views import ReaderProgress, StudyEntry, StudyRequest, StudyTurn

if TYPE_CHECKING:
    from dermaflux.curation.study_records import Study, StudyItem, StudyReader, Turn
    from dermaflux.evaluation.reader_study_report import ReaderStudyReport
    from dermaflux.services.study_access import Access
    from dermaflux.services.study_making import Drawn
    from dermaflux.services.study_pictures import StudyFolder
    from dermaflux.services.study_report import StudyRecords


class Studying(Probing):
    """Reader studies over stored images and real pictures. Raises DataNotFound for a study not meant for who asks."""

    def studies(self, visitor: Visitor) -> tuple[StudyEntry, ...]:
        """The studies a visitor may know of, the newest first."""
        found = []
        for study in self._store().studies():
            readers = self._store().study_readers(study.name)
            access = self._access(study, visitor, readers)
            if access.is_known:
                found.append(_entry(access, readers))
        return tuple(found)

    def create_study(self, visitor: Visitor, request: StudyRequest, on_step: OnStep | None = None) -> StudyEntry:
        """Make a study, whole or not at all; what it shows never changes afterwards.

        Raises NotAllowed (below curator), InvalidRequest (name taken, too few pictures), DataNotFound,
        ImageNotReadable, StorageNotWritable.
        """
        from dermaflux.curation.study_store import NewStudy
        from dermaflux.services.study_making import make_study

        visitor.require(Role.CURATOR, "make a reader study")
        name, seed = self._store().check_study_name(request.name), request.seed
        seed = secrets.randbelow(2**31) if seed is None else seed
        rng, study_id = random.Random(f"{seed}:pictures"), new_id()
        with ExitStack() as stack:
            real = stack.enter_context(read_real(self.real_set(request.real), request.split, None, 0))
            made = make_study(self._drawn(request, real, rng), request.plan, rng, on_step)
        items = made.with_hashes(self._study_folder().write(study_id, made.contents))
        sources = {"dataset": request.dataset, "real": request.real, "split": request.split}
        try:
            study = self._store().add_study(
                NewStudy(
                    study_id=study_id,
                    name=name,
                    owner=visitor.name,
                    seed=seed,
                    plan=request.plan,
                    sources=sources | {"detail_px": made.detail_px},
                    items=items,
                )
            )
        except BaseException:
            self._study_folder().remove(study_id)
            raise
        return _entry(self._access(study, visitor, ()), ())

    def read_study(self, name: str, visitor: Visitor) -> StudyTurn:
        """Begin, or go on where the reader stopped: this picture and the next. Raises NotAllowed, InvalidRequest."""
        access = self._access_to(name, visitor)
        access.require_reader()
        turn = self._store().begin_reading(access.study.name, visitor.name)
        return self._shown(turn, {turn.position: turn.current, turn.position + 1: turn.following})

    def answer_study(self, name: str, visitor: Visitor, answer: StudyAnswer) -> StudyTurn:
        """Store an answer, once; then the picture after the next, which the reader has already.

        Where the answer was not the one that was due, both pictures, so that a page that lost its place goes on.
        """
        access = self._access_to(name, visitor)
        access.require_reader()
        turn = self._store().answer_study(access.study.name, visitor.name, answer)
        ahead = {turn.position + 1: turn.following}
        if turn.position != answer.position + 1:
            ahead[turn.position] = turn.current
        return self._shown(turn, ahead)

    def study_results(self, name: str, visitor: Visitor, *, gives_up_reading: bool = False) -> "ReaderStudyReport":
        """The results as far as this visitor may see them: all for the owner, a reader's own and the group's else.

        Raises NotAllowed before the visitor has read to the end. Who has not begun and could still read must say that
        they give it up, or InvalidRequest is raised.
        """
        from dermaflux.services.study_report import for_reader, report_of

        access = self._looking(name, visitor, gives_up_reading)
        report = report_of(self._study_records(access.study.name))
        return report if access.is_owner else for_reader(report, visitor.name)

    def export_study(self, name: str, visitor: Visitor, *, gives_up_reading: bool = False) -> bytes:
        """A zip of the raw answers (CSV, JSON), the key and the results, for the owner. Raises as `study_results`."""
        from dermaflux.services.study_export import zip_of
        from dermaflux.services.study_report import report_of

        self._access_to(name, visitor).require_owner("export its answers")
        access = self._looking(name, visitor, gives_up_reading)
        records = self._study_records(access.study.name)
        return zip_of(records, report_of(records))

    def close_study(self, name: str, visitor: Visitor) -> None:
        """Take no more answers; what is there counts. Raises NotAllowed unless the study is the visitor's."""
        access = self._access_to(name, visitor)
        access.require_owner("close it")
        self._store().close_study(access.study.name)

    def remove_study(self, name: str, visitor: Visitor) -> None:
        """Remove a study with its answers and pictures for good. Raises NotAllowed unless it is the visitor's."""
        access = self._access_to(name, visitor)
        access.require_owner("remove it")
        self._study_folder().remove(self._store().remove_study(access.study.name))

    def _drawn(self, request: StudyRequest, real: RealPictures, rng: random.Random) -> "list[Drawn]":
        from dermaflux.curation.study_records import ItemKind
        from dermaflux.services.study_choice import Eligible, choose
        from dermaflux.services.study_making import Drawn

        by_name = {picture.name: picture for picture in real.pictures}
        eligible = [
            Eligible(key=p.name, diagnosis=p.diagnosis, lesion=p.lesion_id) for p in real.pictures
        ]
        accepted = [
            Eligible(key=c.image_id, diagnosis=Diagnosis(c.diagnosis) if c.diagnosis else None, lesion=c.image_id)
            for c in self._store().candidates(request.dataset)
            if c.verdict is Verdict.ACCEPT and not c.memorised  # a copy of a real picture is no synthetic one
        ]
        chosen, others = choose(eligible, accepted, request.plan, rng)
        return [
            *(Drawn(kind=ItemKind.REAL, picture=p, load=lambda k=p.key: real.content(by_name[k])) for p in chosen),
            *(
                Drawn(kind=ItemKind.SYNTHETIC, picture=p, load=lambda k=p.key: self._store().read_png(k))
                for p in others
            ),
        ]

    def _shown(self, turn: "Turn", items: "dict[int, StudyItem | None]") -> StudyTurn:
        from dermaflux.services.study_making import file_of

        study, folder = turn.study, self._study_folder()
        return StudyTurn(
            study=study.name,
            position=turn.position,
            total=turn.total,
            question=study.plan.question,
            size_px=study.plan.size_px,
            time_limit_s=study.plan.time_limit_s,
            pictures={
                place: folder.read(study.study_id, file_of(item), item.sha256) for place, item in items.items() if item
            },
        )

    def _looking(self, name: str, visitor: Visitor, gives_up_reading: bool) -> "Access":
        """The access of somebody who may look now; noted where that ends their chance to read."""
        access = self._access_to(name, visitor)
        access.require_look()
        if access.loses_reading and not gives_up_reading:
            raise InvalidRequest("You could still read in this study. Look only if you give that up.")
        if not access.is_finished and access.study.is_open:
            self._store().note_unblinded(access.study.name, visitor.name)
        return access

    def _access_to(self, name: str, visitor: Visitor) -> "Access":
        """The visitor's access; a study that is not for them is one that is not there."""
        from dermaflux.curation.study_rows import no_study

        study = self._store().study(name)
        access = self._access(study, visitor, self._store().study_readers(study.name))
        if not access.is_known:
            raise no_study(name)
        return access

    def _access(self, study: "Study", visitor: Visitor, readers: "Iterable[StudyReader]") -> "Access":
        from dermaflux.services.study_access import Access

        return Access.of(study, visitor, readers)

    def _study_records(self, name: str) -> "StudyRecords":
        from dermaflux.services.study_report import StudyRecords

        store = self._store()
        return StudyRecords(
            study=store.study(name),
            items=store.study_items(name),
            readers=store.study_readers(name),
            answers=store.study_answers(name),
        )

    def _study_folder(self) -> "StudyFolder":
        from dermaflux.services.study_pictures import STUDIES, StudyFolder

        return StudyFolder(self.settings.data_dir / STUDIES)


def _entry(access: "Access", readers: "Iterable[StudyReader]") -> StudyEntry:
    study, reading = access.study, access.reading
    others = [one for one in readers if one.num_answered or one.unblinded_at is None]
    return StudyEntry(
        name=study.name,
        owner=study.owner,
        is_open=study.is_open,
        is_mine=access.is_owner,
        num_shown=study.plan.num_shown,
        num_answered=reading.num_answered if reading else 0,
        is_finished=access.is_finished,
        may_read=access.may_read,
        may_look=access.may_look,
        loses_reading=access.loses_reading,
        progress=tuple(
            ReaderProgress(reader=one.reader, num_answered=one.num_answered, is_finished=one.finished_at is not None)
            for one in others
        )
        if access.is_owner
        else (),
    )
