"""One reader for every described set: what a row says in our words, where its picture lies, or why it stays behind.

It decodes no picture and draws no split; nothing is lost without a reason.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dermaflux.domain.errors import DataNotFound, DermaFluxError, InvalidRequest
from dermaflux.domain.lesion import Diagnosis, Sex, Site, SkinTone, choice
from dermaflux.domain.records import Split
from training.lesion_records import RejectedRow, inside
from training.pictures import IMAGE_SUFFIXES
from training.sources.description import ClassFolder, Columns, Labels, Source, Table
from training.sources.roots import Root
from training.sources.rows import ONE_HOT, RawRow, raw_rows, table_path
from training.sources.vocabulary import SEXES, SITES, age_in_years, fitzpatrick, plain

_SPLIT_WORDS = {
    "training": Split.TRAIN, "valid": Split.VAL, "validation": Split.VAL, "testing": Split.TEST,
} | {str(split): split for split in Split}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """One picture of a set. Ids are as published, '' where there is none; `split` only where the publisher fixed it.

    `picture` is the path below the set's root. `unread` names facts the row states in words we do not have.
    """

    image_id: str
    picture: str
    diagnosis: Diagnosis
    lesion_id: str = ""
    patient_id: str = ""
    split: Split | None = None
    age: float | None = None
    sex: Sex | None = None
    site: Site | None = None
    skin_tone: SkinTone | None = None
    unread: tuple[str, ...] = ()


class _StaysBehind(DermaFluxError):
    """A row cannot or shall not be used; the first argument is the kind of reason."""


def read_source(source: Source, root: Path) -> Iterator[SourceRow | RejectedRow]:
    """All pictures of a set in the order of its tables, and what stays behind.

    Raises DataNotFound when the set is not there, InvalidRequest when a table lacks the columns that were described.
    """
    if not root.is_dir():
        raise DataNotFound(f"{root} is not a folder. Give the folder that holds {source.title}.")
    files = Root(root)
    if source.folders:
        yield from _read_folders(source, files)
        return
    found = [(table, path) for table in source.tables if (path := table_path(table, root))]
    if not found:
        wanted = " or ".join(source.tables[0].paths)
        raise DataNotFound(f"{root} holds no table of {source.title}: {wanted} is not there. Check the folder.")
    for table, path in found:
        checked = False
        for raw in raw_rows(table, path, root, source.labels):
            if not checked:
                _check_columns(source, table, path, raw.cells)
                checked = True
            yield from _read_row(source, table, raw, files)


def _read_folders(source: Source, files: Root) -> Iterator[SourceRow | RejectedRow]:
    present = [folder for folder in source.folders if (files.path / folder.path).is_dir()]
    if not present:
        wanted = ", ".join(folder.path for folder in source.folders)
        raise DataNotFound(f"{files.path} holds no class folder of {source.title}. Expected one of: {wanted}.")
    for folder in present:
        for line, path in enumerate(sorted((files.path / folder.path).rglob("*")), start=1):
            if path.is_file():
                yield _of_folder(folder, path.relative_to(files.path).as_posix(), line)


def _of_folder(folder: ClassFolder, picture: str, line: int) -> SourceRow | RejectedRow:
    if not picture.lower().endswith(IMAGE_SUFFIXES):
        return RejectedRow(line=line, reason=f"{picture} is no picture file", kind="no picture file", table=folder.path)
    return SourceRow(image_id=_without_suffix(picture), picture=picture, diagnosis=folder.diagnosis, split=folder.split)


def _check_columns(source: Source, table: Table, path: Path, cells: Mapping[str, str]) -> None:
    labels = source.labels
    wanted = " or ".join(labels.words if labels.one_hot else labels.columns)
    if not any(plain(column) in labels.words if labels.one_hot else column in labels.columns for column in cells):
        raise InvalidRequest(f"{path} has no column {wanted}, as {source.title} should. Found: {', '.join(cells)}.")
    templates = [template for picture in table.pictures for template in picture]
    if not any(_filled(template, cells) is not None for template in templates):
        raise InvalidRequest(f"{path} lacks the columns of {templates[0]}. Found: {', '.join(cells)}.")


def _read_row(source: Source, table: Table, raw: RawRow, files: Root) -> Iterator[SourceRow | RejectedRow]:
    """The pictures of one row; for each that stays behind its reason."""
    for templates in table.pictures:
        try:
            diagnosis = _diagnosis(source.labels, raw.cells)
            yield _row(source.columns, raw, diagnosis, _picture(templates, raw.cells, files))
        except _StaysBehind as stays:
            yield RejectedRow(line=raw.line, reason=stays.args[-1], kind=stays.args[0], table=raw.table)
        except InvalidRequest as error:
            yield RejectedRow(line=raw.line, reason=str(error), kind="broken row", table=raw.table)


def _row(columns: Columns, raw: RawRow, diagnosis: Diagnosis, picture: str) -> SourceRow:
    stated = {
        "age": (_cell(columns.age, raw.cells), age_in_years),
        "sex": (_cell(columns.sex, raw.cells), SEXES.get),
        "site": (_cell(columns.site, raw.cells), SITES.get),
        "skin_tone": (_cell(columns.skin_tone, raw.cells), fitzpatrick),
    }
    facts = {name: meaning(word) if word else None for name, (word, meaning) in stated.items()}
    split = _cell(columns.split, raw.cells)
    return SourceRow(
        image_id=_id(columns.image_id, raw.cells) or _without_suffix(picture),
        picture=picture,
        diagnosis=diagnosis,
        lesion_id=_id(columns.lesion_id, raw.cells),
        patient_id=_id(columns.patient_id, raw.cells),
        split=_SPLIT_WORDS.get(split) or choice("split", split, Split) if split else raw.split,
        unread=tuple(f"{name} {word!r}" for name, (word, _) in stated.items() if word and facts[name] is None),
        **facts,  # type: ignore[arg-type] - each by its own reader above
    )


def _diagnosis(labels: Labels, cells: Mapping[str, str]) -> Diagnosis:
    columns = (ONE_HOT,) if labels.one_hot else labels.columns
    words = [word for column in columns if (word := plain(cells.get(column, "")))]
    for word in words:
        if word in labels.left_out:
            raise _StaysBehind(labels.left_out[word], f"the diagnosis is {word!r}: {labels.left_out[word]}")
        if word in labels.words:
            return labels.words[word]
    if not words:
        raise _StaysBehind("no diagnosis", f"{', '.join(columns)} says nothing")
    raise _StaysBehind("a diagnosis without a word of ours", f"{', '.join(map(repr, words))} is not known")


def _picture(templates: tuple[str, ...], cells: Mapping[str, str], files: Root) -> str:
    filled = [inside(name) for template in templates if (name := _filled(template, cells))]
    if not filled:
        raise _StaysBehind("no picture named", f"the row fills none of {', '.join(templates)}")
    for name in filled:
        if files.has(name):
            return name
    raise _StaysBehind("picture not found", f"{filled[0]} is not there")


def _filled(template: str, cells: Mapping[str, str]) -> str | None:
    """The path of a template, '' where a cell of it is empty, None where a column of it is not there."""
    try:
        parts = {name: cells[name] for name in cells if "{" + name + "}" in template}
        return template.format_map(parts) if all(parts.values()) else ""
    except KeyError:
        return None


def _cell(columns: tuple[str, ...], cells: Mapping[str, str]) -> str:
    return next((word for column in columns if (word := plain(cells.get(column, "")))), "")


def _id(columns: tuple[str, ...], cells: Mapping[str, str]) -> str:
    return next((cells[column] for column in columns if plain(cells.get(column, ""))), "")


def _without_suffix(picture: str) -> str:
    return PurePosixPath(picture).with_suffix("").as_posix()
