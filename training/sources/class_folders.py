"""Sets without a table, a folder for each class: MED-NODE, and two Kaggle sets that repackage pictures."""

from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import Split
from training.sources.description import ClassFolder, Source

MED_NODE = Source(
    name="mednode",
    title="MED-NODE",
    licence="not stated with the files; check before use",
    citation="giotis2015mednode",
    reference="I. Giotis et al. MED-NODE. Expert Systems with Applications 42(19), 2015.",
    evidence="Two folders, melanoma (70) and naevus (100), below complete_mednode_dataset. No patient is named.",
    folders=tuple(
        ClassFolder(path=f"{above}{name}", diagnosis=diagnosis)
        for above in ("complete_mednode_dataset/", "")
        for name, diagnosis in (("melanoma", Diagnosis.MEL), ("naevus", Diagnosis.NV))
    ),
)


def _repackaged(above: str, benign: str, malignant: str) -> tuple[ClassFolder, ...]:
    """Folders train and test with two classes; the test folder is kept for testing."""
    return tuple(
        ClassFolder(path=f"{above}{part}/{name}", diagnosis=diagnosis, split=split)
        for part, split in (("train", None), ("test", Split.TEST))
        for name, diagnosis in ((benign, Diagnosis.BENIGN), (malignant, Diagnosis.MALIGNANT))
    )


_REPACKAGED = (
    " The pictures are repackaged, mostly from the ISIC archive, without ids, so neither lesion nor licence of a single"
    " picture is known."
)

KAGGLE1 = Source(
    name="kaggle1",
    title="Melanoma Skin Cancer Dataset of 10000 Images (Kaggle, hasnainjaved)",
    licence="CC0 stated by the uploader; the pictures' own licences are not named",
    citation="javed2022melanoma",
    reference="M. H. Javid. Melanoma skin cancer dataset. Kaggle, 2022, doi 10.34740/kaggle/dsv/3376422.",
    evidence="Folders as others use them; the licence and the DOI are from memory." + _REPACKAGED,
    folders=_repackaged("melanoma_cancer_dataset/", "benign", "malignant") + _repackaged("", "benign", "malignant"),
)

KAGGLE2 = Source(
    name="kaggle2",
    title="Melanoma Cancer Image Dataset (Kaggle, bhaveshmittal)",
    licence="not stated with the files; check before use",
    citation="mittal2024melanoma",
    reference="B. Mittal. Melanoma Cancer Image Dataset. Kaggle, 2024.",
    evidence="Folders train and test with Benign and Malignant as others use them." + _REPACKAGED,
    folders=_repackaged("", "Benign", "Malignant"),
)
