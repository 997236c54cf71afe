"""Sets of single clinics and of collections from the web: PAD-UFES-20, DDI, PH2, Derm7pt, Fitzpatrick17k."""

from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import Split
from training.sources.description import Columns, Labels, Source, Table
from training.sources.vocabulary import BENIGN_OR_MALIGNANT, DIAGNOSES

PAD_UFES_20 = Source(
    name="pad20",
    title="PAD-UFES-20",
    licence="CC BY 4.0",
    citation="pacheco2020padufes20",
    reference="A. Pacheco et al. PAD-UFES-20. Data in Brief 32:106221, 2020, doi 10.17632/zr7vgbcyr2.1.",
    evidence="Columns (with the spelling fitspatrick) and the three image parts as published. SCC includes Bowen's"
    " disease there and is kept as malignant.",
    tables=(
        Table(
            paths=("metadata.csv",),
            pictures=(
                (
                    *(f"imgs_part_{part}/{{img_id}}" for part in (1, 2, 3)),
                    *(f"imgs_part_{part}/imgs_part_{part}/{{img_id}}" for part in (1, 2, 3)),
                    *(f"images/imgs_part_{part}/{{img_id}}" for part in (1, 2, 3)),
                    "images/{img_id}",
                ),
            ),
        ),
    ),
    columns=Columns(
        image_id=("img_id",), patient_id=("patient_id",), lesion_id=("lesion_id",), age=("age",), sex=("gender",),
        site=("region",), skin_tone=("fitspatrick",),
    ),
    labels=Labels(
        columns=("diagnostic",),
        words={
            "bcc": Diagnosis.BCC, "mel": Diagnosis.MEL, "nev": Diagnosis.NV, "sek": Diagnosis.BKL,
            "ack": Diagnosis.AKIEC, "bod": Diagnosis.AKIEC, "scc": Diagnosis.MALIGNANT,
        },
    ),
)

DDI = Source(
    name="ddi",
    title="DDI, Diverse Dermatology Images",
    licence="Stanford University Dataset Research Use Agreement",
    citation="daneshjou2022ddi",
    reference="R. Daneshjou et al. Disparities in dermatology AI performance. Science Advances 8:eabq6147, 2022.",
    evidence="Columns DDI_file, skin_tone, malignant, disease and the folder images as in the publisher's code."
    " skin_tone names pairs of types (12, 34, 56) and is left empty. No patient is named, some have several.",
    tables=(Table(paths=("ddi_metadata.csv",), pictures=(("images/{DDI_file}", "{DDI_file}"),)),),
    labels=Labels(columns=("disease", "malignant"), words=DIAGNOSES | BENIGN_OR_MALIGNANT),
)

PH2 = Source(
    name="ph2",
    title="PH2",
    licence="research and education only, no redistribution",
    citation="mendonca2013ph2",
    reference="T. Mendonca et al. PH2. 35th Conf. IEEE Engineering in Medicine and Biology Society, 2013.",
    evidence="PH2_dataset.txt, its columns divided by ||, and the folder of each picture as published; diagnosis 0"
    " common nevus, 1 atypical nevus, 2 melanoma.",
    tables=(
        Table(
            paths=("PH2_dataset.txt",),
            delimiter="|",
            line_prefix="||",
            pictures=(("PH2 Dataset images/{Name}/{Name}_Dermoscopic_Image/{Name}.bmp",),),
        ),
    ),
    columns=Columns(image_id=("Name",)),
    labels=Labels(
        columns=("Clinical Diagnosis",), words={"0": Diagnosis.NV, "1": Diagnosis.NV, "2": Diagnosis.MEL}
    ),
)

DERM7PT = Source(
    name="derm7pt",
    title="Derm7pt, seven-point checklist",
    licence="research use only, by registration",
    citation="kawahara2018derm7pt",
    reference="J. Kawahara et al. Seven-point checklist and skin lesion classification. IEEE JBHI 23(2), 2019.",
    evidence="meta/meta.csv, images and the three files of row numbers as in the publisher's code. A row has a"
    " dermoscopic and a clinical picture, both are read. That train_indexes is no held-out set is our reading.",
    tables=(
        Table(
            paths=("meta/meta.csv",),
            pictures=(("images/{derm}",), ("images/{clinic}",)),
            row_splits={"meta/valid_indexes.csv": Split.VAL, "meta/test_indexes.csv": Split.TEST},
        ),
    ),
    columns=Columns(lesion_id=("case_num",), sex=("sex",), site=("location",)),
    labels=Labels(columns=("diagnosis",), words=DIAGNOSES, left_out={"miscellaneous": "no single diagnosis"}),
)

FITZPATRICK17K = Source(
    name="fitzpatrick17k",
    title="Fitzpatrick17k",
    licence="CC BY-NC-SA 3.0 (annotations; the pictures are their atlases')",
    citation="groh2021fitzpatrick17k",
    reference="M. Groh et al. Evaluating deep neural networks with the Fitzpatrick 17k dataset. CVPR workshops, 2021.",
    evidence="fitzpatrick17k.csv as in the publisher's repository; the pictures must be fetched by the user and named"
    " by md5hash. No patient is named. Everything non-neoplastic is left out.",
    tables=(
        Table(
            paths=("fitzpatrick17k.csv",),
            pictures=(("images/{md5hash}.jpg", "data/finalfitz17k/{md5hash}.jpg", "{md5hash}.jpg"),),
        ),
    ),
    columns=Columns(image_id=("md5hash",), skin_tone=("fitzpatrick_scale", "fitzpatrick")),
    labels=Labels(
        columns=("label", "three_partition_label"),
        words=DIAGNOSES | BENIGN_OR_MALIGNANT,
        left_out={"non neoplastic": "non-neoplastic, no lesion of ours"},
    ),
)

OWN = Source(
    name="own",
    title="an own folder",
    licence="as its owner says",
    citation="",
    reference="",
    evidence="The table of `training.dataset.load_folder`: metadata.csv or metadata.jsonl beside the pictures.",
    tables=(Table(paths=("metadata.csv", "metadata.jsonl"), pictures=(("{file_name}",),)),),
    columns=Columns(
        image_id=("image_id",), patient_id=("patient_id",), lesion_id=("lesion_id",), age=("age",), sex=("sex",),
        site=("site",), skin_tone=("skin_tone",), split=("split",),
    ),
    labels=Labels(
        columns=("diagnosis", "dx"),
        words=DIAGNOSES | BENIGN_OR_MALIGNANT | {str(diagnosis): diagnosis for diagnosis in Diagnosis},
    ),
)
