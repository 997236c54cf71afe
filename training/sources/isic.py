"""The sets that come from the ISIC archive: HAM10000, the challenges of 2019, 2020 and 2024, MILK10k, HIBA, DERM12345.

Their ids name the same pictures, lesions and patients wherever they occur, so they share one namespace.
"""

from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import Split
from training.sources.description import Columns, Labels, Source, Table
from training.sources.vocabulary import BENIGN_OR_MALIGNANT, DIAGNOSES

_ISIC = "isic"
_CC_BY_NC = "CC BY-NC 4.0"
_CLASSES = {
    "mel": Diagnosis.MEL, "nv": Diagnosis.NV, "bcc": Diagnosis.BCC, "bkl": Diagnosis.BKL, "df": Diagnosis.DF,
    "vasc": Diagnosis.VASC, "akiec": Diagnosis.AKIEC,
}  # fmt: skip
_INDETERMINATE = {"indeterminate": "neither benign nor malignant"}
_AGE, _SITE = ("age_approx",), ("anatom_site_general",)

HAM10000 = Source(
    name="ham10000",
    title="HAM10000",
    licence=_CC_BY_NC,
    citation="tschandl2018ham10000",
    reference="P. Tschandl, C. Rosendahl, H. Kittler. The HAM10000 dataset. Scientific Data 5:180161, 2018.",
    evidence="ham10000.csv with its split is this project's own layout, read here in full; HAM10000_metadata and the"
    " two image parts are the publisher's (Harvard Dataverse DBW86T).",
    tables=(
        Table(
            paths=("ham10000.csv", "HAM10000_metadata.csv", "HAM10000_metadata"),
            pictures=(
                (
                    "ham10000_200x150.zip!images/{image_id}.jpg",
                    "HAM10000_images_part_1/{image_id}.jpg",
                    "HAM10000_images_part_2/{image_id}.jpg",
                ),
            ),
        ),
    ),
    columns=Columns(
        image_id=("image_id",), lesion_id=("lesion_id",), age=("age",), sex=("sex",), site=("localization",),
        split=("split",),
    ),
    labels=Labels(columns=("dx",), words=_CLASSES),
    namespace=_ISIC,
)

ISIC2019 = Source(
    name="isic2019",
    title="ISIC 2019 challenge",
    licence=_CC_BY_NC,
    citation="combalia2019bcn20000",
    reference="M. Combalia et al. BCN20000. arXiv 1908.02288; with HAM10000 and N. Codella et al., arXiv 1710.05006.",
    evidence="File names, one-hot classes and metadata columns as on the challenge's data page. The test set's answers"
    " were published later; its class SCC has no class of ours and is kept as malignant, UNK is left out.",
    tables=tuple(
        Table(
            paths=(f"ISIC_2019_{part}_GroundTruth.csv",),
            joined={f"ISIC_2019_{part}_Metadata.csv": "image"},
            pictures=(
                (
                    f"ISIC_2019_{part}_Input/{{image}}.jpg",
                    f"ISIC_2019_{part}_Input/ISIC_2019_{part}_Input/{{image}}.jpg",
                ),
            ),
            split=split,
        )
        for part, split in (("Training", None), ("Test", Split.TEST))
    ),
    columns=Columns(image_id=("image",), lesion_id=("lesion_id",), age=_AGE, sex=("sex",), site=_SITE),
    labels=Labels(
        words=_CLASSES | {"ak": Diagnosis.AKIEC, "scc": Diagnosis.MALIGNANT},
        left_out={"unk": "none of the eight classes"},
        one_hot=True,
    ),
    namespace=_ISIC,
    id_suffix="_downsampled",
)

ISIC2020 = Source(
    name="isic2020",
    title="SIIM-ISIC 2020 challenge",
    licence=_CC_BY_NC,
    citation="rotemberg2021patientcentric",
    reference="V. Rotemberg et al. A patient-centric dataset of images and metadata. Scientific Data 8:34, 2021.",
    evidence="Columns of the ground truth (version 2 adds lesion_id) and the folder train as published. Diagnoses we"
    " have no word for fall back to benign_malignant. The test set has no public answers and is not read.",
    tables=(
        Table(
            paths=("ISIC_2020_Training_GroundTruth_v2.csv", "ISIC_2020_Training_GroundTruth.csv", "train.csv"),
            pictures=(("train/{image_name}.jpg", "jpeg/train/{image_name}.jpg"),),
        ),
    ),
    columns=Columns(
        image_id=("image_name",), patient_id=("patient_id",), lesion_id=("lesion_id",), age=_AGE, sex=("sex",),
        site=("anatom_site_general_challenge",),
    ),
    labels=Labels(columns=("diagnosis", "benign_malignant", "target"), words=DIAGNOSES | BENIGN_OR_MALIGNANT),
    namespace=_ISIC,
)

ISIC2024 = Source(
    name="isic2024",
    title="ISIC 2024 challenge (SLICE-3D)",
    licence=_CC_BY_NC,
    citation="kurtansky2024slice3d",
    reference="N. Kurtansky et al. The SLICE-3D dataset. Scientific Data 11:884, 2024.",
    evidence="train-metadata.csv and train-image/image as on the challenge's page. That a row's copyright_license may"
    " be freer than the set's is not used. Rows that are 'Indeterminate' in iddx_1"
    " are left out, whatever their target, unless iddx_3 or iddx_2 has a word of ours.",
    tables=(
        Table(
            paths=("train-metadata.csv",),
            pictures=(("train-image/image/{isic_id}.jpg", "train-image/{isic_id}.jpg"),),
        ),
    ),
    columns=Columns(
        image_id=("isic_id",), patient_id=("patient_id",), lesion_id=("lesion_id",), age=_AGE, sex=("sex",), site=_SITE
    ),
    labels=Labels(
        columns=("iddx_3", "iddx_2", "iddx_1", "target"),
        words=DIAGNOSES | {word: kind for word, kind in BENIGN_OR_MALIGNANT.items() if not word.isalpha()},
        left_out=_INDETERMINATE,
    ),
    namespace=_ISIC,
)

MILK10K = Source(
    name="milk10k",
    title="MILK10k",
    licence="CC BY-NC 4.0",
    citation="milk10k2025",
    reference="MILK study team. MILK10k. ISIC Archive, 2025, doi 10.34970/648456.",
    evidence="File names, one-hot classes and metadata columns as published for the challenge. skin_tone_class (0 very"
    " dark to 5 very light) is not Fitzpatrick's scale and is left empty. The DOI is from memory.",
    tables=(
        Table(
            paths=("MILK10k_Training_Metadata.csv",),
            joined={"MILK10k_Training_GroundTruth.csv": "lesion_id"},
            pictures=(
                (
                    "MILK10k_Training_Input/{lesion_id}/{isic_id}.jpg",
                    "MILK10k_Training_Input/MILK10k_Training_Input/{lesion_id}/{isic_id}.jpg",
                ),
            ),
        ),
    ),
    columns=Columns(image_id=("isic_id",), lesion_id=("lesion_id",), age=_AGE, sex=("sex",), site=("site",)),
    labels=Labels(
        words=_CLASSES
        | {"ben oth": Diagnosis.BENIGN, "mal oth": Diagnosis.MALIGNANT, "sccka": Diagnosis.MALIGNANT},
        left_out={"inf": "inflammatory or infectious, no lesion of ours"},
        one_hot=True,
    ),
    namespace=_ISIC,
)

HIBA = Source(
    name="hiba",
    title="HIBA skin lesions",
    licence="CC BY 4.0",
    citation="riccilara2023hiba",
    reference="M. A. Ricci Lara et al. Skin lesion images collected in Argentina. Scientific Data 10:712, 2023.",
    evidence="Read as the ISIC archive exports a collection: metadata.csv beside the pictures. The archive changed its"
    " columns (diagnosis, benign_malignant; later diagnosis_1 to 5), both are tried. Licence: check each row.",
    tables=(Table(paths=("metadata.csv",), pictures=(("{isic_id}.jpg", "images/{isic_id}.jpg", "{isic_id}.JPG"),)),),
    columns=Columns(
        image_id=("isic_id",), patient_id=("patient_id",), lesion_id=("lesion_id",), age=_AGE, sex=("sex",),
        site=(*_SITE, "anatom_site_1", "anatom_site_2"), skin_tone=("fitzpatrick_skin_type",),
    ),
    labels=Labels(
        columns=("diagnosis", "diagnosis_3", "diagnosis_2", "benign_malignant", "diagnosis_1"),
        words=DIAGNOSES | BENIGN_OR_MALIGNANT,
        left_out=_INDETERMINATE,
    ),
    namespace=_ISIC,
)

_DERM12345_LABELS = {
    Diagnosis.MEL: "anm alm lm lmm mel",
    Diagnosis.NV: "acb ccb mcb cb bdb db ajb cjb jb acd ccd cd ajd srjd jd rd",
    Diagnosis.BCC: "bcc",
    Diagnosis.AKIEC: "ak bd",
    Diagnosis.BKL: "sk sl lk",
    Diagnosis.DF: "df",
    Diagnosis.VASC: "angk ha la pg sa",
}

DERM12345 = Source(
    name="derm12345",
    title="DERM12345",
    licence="CC BY 4.0",
    citation="yilmaz2024derm12345",
    reference="A. Yilmaz et al. DERM12345. Scientific Data 11:1302, 2024, doi 10.7910/DVN/DAXZ7P.",
    evidence="Table names, columns (label, malignancy, split, patient_id, image_id) and the folder of each label as on"
    " Harvard Dataverse; the ISIC export (isic_id) is not read. Labels without a class here fall back to malignancy.",
    tables=tuple(
        Table(
            paths=(f"derm12345_metadata_{part}.csv",),
            pictures=(tuple(f"{folder}/{{label}}/{{image_id}}.jpg" for folder in folders),),
            split=split,
        )
        for part, folders, split in (
            ("train", ("derm12345_train_part_1", "derm12345_train_part_2", "images"), None),
            ("test", ("derm12345_test", "images"), Split.TEST),
        )
    ),
    columns=Columns(image_id=("image_id",), patient_id=("patient_id",)),
    labels=Labels(
        columns=("label", "malignancy"),
        words=BENIGN_OR_MALIGNANT | {word: kind for kind, words in _DERM12345_LABELS.items() for word in words.split()},
    ),
)
