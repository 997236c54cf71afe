"""Every described set is read from a tree of its shape: our words, ids, splits, and a reason for what stays behind."""

import zipfile

import pytest

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.lesion import Diagnosis, Sex, Site, SkinTone
from dermaflux.domain.records import Split
from training.lesion_records import RejectedRow
from training.sources.catalogue import SOURCES, source_named
from training.sources.reading import SourceRow, read_source

# Each: the files of a made-up tree, what must be read by image id, and the kinds of reason in their order.
NOT_FOUND, NO_WORD = "picture not found", "a diagnosis without a word of ours"
SETS = {
    "ham10000": (
        {
            "HAM10000_metadata.csv": "lesion_id,image_id,dx,dx_type,age,sex,localization\n"
            "HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp\n"
            "HAM_0000119,ISIC_0027420,nv,histo,,unknown,unknown\nHAM_0000120,ISIC_0027421,mel,histo,50,male,back\n",
            "HAM10000_images_part_1/ISIC_0027419.jpg": 1,
            "HAM10000_images_part_2/ISIC_0027420.jpg": 2,
        },
        {
            "ISIC_0027419": {
                "diagnosis": Diagnosis.BKL, "lesion_id": "HAM_0000118", "age": 80.0, "sex": Sex.MALE,
                "site": Site.SCALP, "picture": "HAM10000_images_part_1/ISIC_0027419.jpg",
            },
            "ISIC_0027420": {"diagnosis": Diagnosis.NV, "age": None, "sex": None, "site": None, "unread": ()},
        },
        [NOT_FOUND],
    ),
    "isic2019": (
        {
            "ISIC_2019_Training_GroundTruth.csv": "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\n"
            "ISIC_0000000,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n"
            "ISIC_0000001_downsampled,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0\n"
            "ISIC_0000002,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0\nISIC_0000003,0,0,0,0,0,0,0,0,0\n",
            "ISIC_2019_Training_Metadata.csv": "image,age_approx,anatom_site_general,lesion_id,sex\n"
            "ISIC_0000000,55.0,anterior torso,BCN_1,female\nISIC_0000001_downsampled,30.0,head/neck,,male\n",
            "ISIC_2019_Training_Input/ISIC_0000000.jpg": 1,
            "ISIC_2019_Training_Input/ISIC_0000001_downsampled.jpg": 2,
            "ISIC_2019_Test_GroundTruth.csv": "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\n"
            "ISIC_0034321,1,0,0,0,0,0,0,0,0\n",
            "ISIC_2019_Test_Metadata.csv": "image,age_approx,anatom_site_general,sex\n"
            "ISIC_0034321,70,palms/soles,male\n",
            "ISIC_2019_Test_Input/ISIC_0034321.jpg": 3,
        },
        {
            "ISIC_0000000": {
                "diagnosis": Diagnosis.NV, "lesion_id": "BCN_1", "age": 55.0, "sex": Sex.FEMALE, "site": Site.TRUNK,
                "split": None,
            },
            "ISIC_0000001_downsampled": {
                "diagnosis": Diagnosis.MALIGNANT, "lesion_id": "", "unread": ("site 'head/neck'",)
            },
            "ISIC_0034321": {"diagnosis": Diagnosis.MEL, "split": Split.TEST, "site": Site.ACRAL},
        },
        ["none of the eight classes", "no diagnosis"],
    ),
    "isic2020": (
        {
            "ISIC_2020_Training_GroundTruth_v2.csv": "image_name,patient_id,lesion_id,sex,age_approx,"
            "anatom_site_general_challenge,diagnosis,benign_malignant,target\n"
            "ISIC_2637011,IP_7279968,IL_7972535,male,45,lower extremity,seborrheic keratosis,benign,0\n"
            "ISIC_0015719,IP_3075186,IL_4649854,female,45,torso,unknown,benign,0\n"
            "ISIC_0052212,IP_2842074,IL_9087444,female,50,upper extremity,atypical melanocytic proliferation,"
            "benign,0\n",
            **{f"train/{name}.jpg": seed for seed, name in enumerate(("ISIC_2637011", "ISIC_0015719", "ISIC_0052212"))},
        },
        {
            "ISIC_2637011": {
                "diagnosis": Diagnosis.BKL, "patient_id": "IP_7279968", "lesion_id": "IL_7972535",
                "site": Site.LOWER_EXTREMITY,
            },
            "ISIC_0015719": {"diagnosis": Diagnosis.BENIGN, "site": Site.TRUNK},
            "ISIC_0052212": {"diagnosis": Diagnosis.BENIGN},
        },
        [],
    ),
    "isic2024": (
        {
            "train-metadata.csv": "isic_id,target,patient_id,age_approx,sex,anatom_site_general,lesion_id,iddx_full,"
            "iddx_1,iddx_2,iddx_3\nISIC_0015670,0,IP_1235828,60.0,male,lower extremity,,Benign,Benign,,\n"
            "ISIC_0082829,1,IP_1,80,female,anterior torso,IL_1,x,Malignant,"
            "Malignant melanocytic proliferations (Melanoma),Melanoma Invasive\n"
            "ISIC_0000003,0,IP_1,80,female,anterior torso,IL_2,x,Indeterminate,,Atypical melanocytic neoplasm\n"
            "ISIC_0000004,1,IP_1,80,female,anterior torso,IL_3,x,Malignant,,Malignant adnexal tumour\n",
            "train-image/image/ISIC_0015670.jpg": 1,
            "train-image/image/ISIC_0082829.jpg": 2,
            "train-image/image/ISIC_0000004.jpg": 3,
        },
        {
            "ISIC_0015670": {"diagnosis": Diagnosis.BENIGN, "patient_id": "IP_1235828", "lesion_id": ""},
            "ISIC_0082829": {"diagnosis": Diagnosis.MEL, "age": 80.0, "site": Site.TRUNK},
            "ISIC_0000004": {"diagnosis": Diagnosis.MALIGNANT},
        },
        ["neither benign nor malignant"],
    ),
    "milk10k": (
        {
            "MILK10k_Training_Metadata.csv": "lesion_id,image_type,isic_id,age_approx,sex,skin_tone_class,site\n"
            "IL_0000652,dermoscopic,ISIC_4671410,65,male,3,upper_extremity\n"
            "IL_0000652,clinical: close-up,ISIC_8149219,65,male,3,upper_extremity\nIL_1,dermoscopic,ISIC_1,,,,\n",
            "MILK10k_Training_GroundTruth.csv": "lesion_id,AKIEC,BCC,BEN_OTH,BKL,DF,INF,MAL_OTH,MEL,NV,SCCKA,VASC\n"
            "IL_0000652,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0\nIL_1,0,0,0,0,0,1,0,0,0,0,0\n",
            "MILK10k_Training_Input/IL_0000652/ISIC_4671410.jpg": 1,
            "MILK10k_Training_Input/IL_0000652/ISIC_8149219.jpg": 2,
        },
        {
            "ISIC_4671410": {
                "diagnosis": Diagnosis.MALIGNANT, "lesion_id": "IL_0000652", "site": Site.UPPER_EXTREMITY,
                "skin_tone": None,
            },
            "ISIC_8149219": {"diagnosis": Diagnosis.MALIGNANT, "lesion_id": "IL_0000652"},
        },
        ["inflammatory or infectious, no lesion of ours"],
    ),
    "hiba": (
        {
            "metadata.csv": "isic_id,attribution,copyright_license,age_approx,anatom_site_1,diagnosis_1,diagnosis_2,"
            "diagnosis_3,fitzpatrick_skin_type,lesion_id,patient_id,sex\n"
            "ISIC_1,HIBA,CC-BY,75,Head and neck,Malignant,x,Basal cell carcinoma,II,IL_1,IP_1,male\n"
            "ISIC_2,HIBA,CC-BY,75,Upper extremity,Benign,x,Some rare tumour,VII,IL_2,IP_1,male\n",
            "ISIC_1.jpg": 1,
            "images/ISIC_2.jpg": 2,
        },
        {
            "ISIC_1": {
                "diagnosis": Diagnosis.BCC, "skin_tone": SkinTone.II, "patient_id": "IP_1",
                "unread": ("site 'head and neck'",),
            },
            "ISIC_2": {"diagnosis": Diagnosis.BENIGN, "site": Site.UPPER_EXTREMITY, "unread": ("skin_tone 'vii'",)},
        },
        [],
    ),
    "derm12345": (
        {
            "derm12345_metadata_train.csv": "patient_id,image_id,split,super_class,malignancy,main_class_1,"
            "main_class_2,sub_class,label\nP1,I1,train,x,benign,x,x,x,jb\nP1,I2,train,x,malignant,x,x,x,dfsp\n",
            "derm12345_metadata_test.csv": "patient_id,image_id,split,super_class,malignancy,main_class_1,main_class_2,"
            "sub_class,label\nP2,I3,test,x,malignant,x,x,x,lmm\n",
            "derm12345_train_part_1/jb/I1.jpg": 1,
            "derm12345_train_part_2/dfsp/I2.jpg": 2,
            "derm12345_test/lmm/I3.jpg": 3,
        },
        {
            "I1": {"diagnosis": Diagnosis.NV, "patient_id": "P1", "split": None},
            "I2": {"diagnosis": Diagnosis.MALIGNANT},
            "I3": {"diagnosis": Diagnosis.MEL, "split": Split.TEST},
        },
        [],
    ),
    "pad20": (
        {
            "metadata.csv": "patient_id,lesion_id,smoke,age,gender,fitspatrick,region,diagnostic,img_id,biopsed\n"
            "PAT_1516,1765,,8,,,ARM,NEV,PAT_1516_1765_530.png,False\n"
            "PAT_46,881,False,55,FEMALE,3.0,NECK,SCC,PAT_46_881_939.png,True\n"
            "PAT_47,882,False,155,MALE,3.0,LIP,ACK,PAT_47.png,True\n",
            "imgs_part_1/PAT_1516_1765_530.png": 1,
            "images/imgs_part_2/PAT_46_881_939.png": 2,
            "imgs_part_3/imgs_part_3/PAT_47.png": 3,
        },
        {
            "PAT_1516_1765_530.png": {
                "diagnosis": Diagnosis.NV, "lesion_id": "1765", "patient_id": "PAT_1516", "site": Site.UPPER_EXTREMITY,
                "sex": None, "skin_tone": None,
            },
            "PAT_46_881_939.png": {"diagnosis": Diagnosis.MALIGNANT, "skin_tone": SkinTone.III, "sex": Sex.FEMALE},
            "PAT_47.png": {"diagnosis": Diagnosis.AKIEC, "age": None, "unread": ("age '155'",), "site": Site.FACE},
        },
        [],
    ),
    "ddi": (
        {
            "ddi_metadata.csv": ",DDI_ID,DDI_file,skin_tone,malignant,disease\n"
            "0,1,000001.png,56,True,melanoma-in-situ\n1,2,000002.png,12,True,mycosis-fungoides\n"
            "2,3,000003.png,34,False,melanocytic-nevi\n",
            **{f"images/00000{i}.png": i for i in (1, 2, 3)},
        },
        {
            "images/000001": {"diagnosis": Diagnosis.MEL, "skin_tone": None, "patient_id": ""},
            "images/000002": {"diagnosis": Diagnosis.MALIGNANT},
            "images/000003": {"diagnosis": Diagnosis.NV},
        },
        [],
    ),
    "ph2": (
        {
            "PH2_dataset.txt": "||   Name ||  Histological Diagnosis  || Clinical Diagnosis || Asymmetry | Colors ||\n"
            "|| IMD003 ||                        ||                  0 ||         0 |  4        ||\n"
            "|| IMD058 ||             Melanoma   ||                  2 ||         2 |  3  4  6  ||\n"
            "Legends:\n | Asymmetry | 0 - Fully Symmetric\n",
            "PH2 Dataset images/IMD003/IMD003_Dermoscopic_Image/IMD003.bmp": 1,
            "PH2 Dataset images/IMD058/IMD058_Dermoscopic_Image/IMD058.bmp": 2,
        },
        {"IMD003": {"diagnosis": Diagnosis.NV}, "IMD058": {"diagnosis": Diagnosis.MEL}},
        [],
    ),
    "derm7pt": (
        {
            "meta/meta.csv": "case_num,diagnosis,seven_point_score,location,sex,clinic,derm,case_id\n"
            "1,basal cell carcinoma,0,abdomen,female,NEL/Nel026.jpg,NEL/NEL027.jpg,\n"
            "2,melanoma (in situ),0,head neck,male,NEL/NEL028.jpg,NEL/NEL029.jpg,\n"
            "3,miscellaneous,0,back,male,a.jpg,b.jpg,\n",
            "meta/train_indexes.csv": "indexes\n0\n",
            "meta/valid_indexes.csv": "indexes\n2\n",
            "meta/test_indexes.csv": "indexes\n1\n",
            **{f"images/NEL/{name}.jpg": seed for seed, name in enumerate(("Nel026", "NEL027", "NEL029"))},
        },
        {
            "images/NEL/NEL027": {
                "diagnosis": Diagnosis.BCC, "lesion_id": "1", "split": None, "site": Site.ABDOMEN, "sex": Sex.FEMALE
            },
            "images/NEL/Nel026": {"diagnosis": Diagnosis.BCC, "lesion_id": "1"},
            "images/NEL/NEL029": {"diagnosis": Diagnosis.MEL, "lesion_id": "2", "split": Split.TEST},
        },
        [NOT_FOUND, "no single diagnosis", "no single diagnosis"],
    ),
    "fitzpatrick17k": (
        {
            "fitzpatrick17k.csv": "md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,nine_partition_label,"
            "three_partition_label,qc,url,url_alphanum\na1,5,5,dermatofibroma,x,benign,,u,u\n"
            "a2,-1,-1,mycosis fungoides,x,malignant,,u,u\na3,2,2,psoriasis,x,non-neoplastic,,u,u\n",
            "images/a1.jpg": 1,
            "images/a2.jpg": 2,
        },
        {
            "a1": {"diagnosis": Diagnosis.DF, "skin_tone": SkinTone.V},
            "a2": {"diagnosis": Diagnosis.MALIGNANT, "skin_tone": None, "unread": ()},
        },
        ["non-neoplastic, no lesion of ours"],
    ),
    "mednode": (
        {
            "complete_mednode_dataset/melanoma/1027877.jpg": 1,
            "complete_mednode_dataset/naevus/1.jpg": 2,
            "complete_mednode_dataset/naevus/Thumbs.db": "x",
        },
        {
            "complete_mednode_dataset/melanoma/1027877": {"diagnosis": Diagnosis.MEL, "split": None},
            "complete_mednode_dataset/naevus/1": {"diagnosis": Diagnosis.NV},
        },
        ["no picture file"],
    ),
    "kaggle1": (
        {
            "melanoma_cancer_dataset/train/benign/melanoma_0.jpg": 1,
            "melanoma_cancer_dataset/test/malignant/melanoma_1.jpg": 2,
        },
        {
            "melanoma_cancer_dataset/train/benign/melanoma_0": {"diagnosis": Diagnosis.BENIGN, "split": None},
            "melanoma_cancer_dataset/test/malignant/melanoma_1": {
                "diagnosis": Diagnosis.MALIGNANT, "split": Split.TEST
            },
        },
        [],
    ),
    "kaggle2": (
        {"train/Benign/1.jpg": 1, "train/Malignant/2.jpg": 2, "test/Benign/3.jpg": 3},
        {
            "train/Malignant/2": {"diagnosis": Diagnosis.MALIGNANT, "split": None},
            "train/Benign/1": {"diagnosis": Diagnosis.BENIGN},
            "test/Benign/3": {"diagnosis": Diagnosis.BENIGN, "split": Split.TEST},
        },
        [],
    ),
    "own": (
        {
            "metadata.jsonl": '{"file_name": "a.png", "dx": "mel", "split": "valid", "age": 60, "sex": "Female"}\n'
            '{"file_name": "../b.png", "diagnosis": "nv"}\n{"diagnosis": "nv"}\n'
            '{"file_name": "a.png", "diagnosis": "wart"}\n{"file_name": "a.png", "diagnosis": "nv", "split": "dev"}\n',
            "a.png": 1,
        },
        {"a": {"diagnosis": Diagnosis.MEL, "split": Split.VAL, "age": 60.0, "sex": Sex.FEMALE}},
        ["broken row", "no picture named", NO_WORD, "broken row"],
    ),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_set_is_read_as_described(name, tree):
    files, expected, reasons = SETS[name]
    found = list(read_source(source_named(name), tree(files)))
    rows = {row.image_id: row for row in found if isinstance(row, SourceRow)}
    assert set(rows) == set(expected)
    for image_id, facts in expected.items():
        assert {field: getattr(rows[image_id], field) for field in facts} == facts
    assert [row.kind for row in found if isinstance(row, RejectedRow)] == reasons
    assert all(row.reason and row.table and row.line for row in found if isinstance(row, RejectedRow))


@pytest.mark.parametrize("name", SOURCES)
def test_every_set_says_its_terms_and_what_is_sure_of_it(name):
    source = source_named(name)
    assert source.name == name
    assert source.licence
    assert source.evidence
    assert source.reference or name == "own"
    assert bool(source.tables) != bool(source.folders)
    words = [*source.labels.words, *source.labels.left_out]
    assert words == [" ".join(word.lower().replace("-", " ").replace("_", " ").split()) for word in words]


def test_a_picture_inside_an_archive_is_found(tree):
    root = tree({"ham10000.csv": "image_id,lesion_id,split,dx,age,sex,localization\nI1,L1,val,mel,60,male,back\n"
                                 "I2,L2,val,mel,60,male,back\n"})  # fmt: skip
    with zipfile.ZipFile(root / "ham10000_200x150.zip", "w") as archive:
        archive.writestr("images/I1.jpg", b"not looked at here")
    row, left_out = read_source(source_named("ham10000"), root)
    assert (row.picture, row.split) == ("ham10000_200x150.zip!images/I1.jpg", Split.VAL)
    assert left_out.kind == NOT_FOUND
    (root / "ham10000_200x150.zip").write_bytes(b"no archive")
    with pytest.raises(DataNotFound, match="cannot be read as an archive"):
        list(read_source(source_named("ham10000"), root))


def test_a_table_with_other_columns_is_named_at_once_and_not_row_by_row(tree):
    root = tree({"metadata.csv": "img_id,label\na.png,mel\n", "a.png": 1})
    with pytest.raises(InvalidRequest, match=r"no column diagnostic.*Found: img_id, label"):
        list(read_source(source_named("pad20"), root))
    classes = {"ISIC_2019_Training_GroundTruth.csv": "image,label\nI1,nv\n"}
    root = tree(classes | {"ISIC_2019_Training_Metadata.csv": "image,sex\nI1,male\n"})
    with pytest.raises(InvalidRequest, match="no column mel or nv or bcc"):
        list(read_source(source_named("isic2019"), root))
    root = tree({"metadata.csv": "picture,diagnostic\na.png,mel\n"})
    with pytest.raises(InvalidRequest, match="lacks the columns of imgs_part_1"):
        list(read_source(source_named("pad20"), root))


def test_a_set_that_is_not_there_says_what_was_expected(tmp_path, tree):
    with pytest.raises(DataNotFound, match="train-metadata"):
        list(read_source(source_named("isic2024"), tmp_path))
    with pytest.raises(DataNotFound, match="train/Benign"):
        list(read_source(source_named("kaggle2"), tmp_path))
    with pytest.raises(DataNotFound, match="is not a folder"):
        list(read_source(source_named("ddi"), tmp_path / "none"))
    tree({"ISIC_2019_Training_GroundTruth.csv": "image,MEL\nI1,1\n"})
    with pytest.raises(DataNotFound, match="ISIC_2019_Training_Metadata"):
        list(read_source(source_named("isic2019"), tmp_path))
    with pytest.raises(InvalidRequest, match="'isic2018' is not described"):
        source_named("isic2018")


def test_the_guide_names_every_set(repository):
    guide = (repository / "docs" / "own_data.md").read_text()
    assert [name for name in SOURCES if f"`{name}`" not in guide] == []
