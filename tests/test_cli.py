"""The command line as its users meet it: output on stdout, one line of complaint on stderr, exit codes 0, 1, 2."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from dermaflux.__main__ import main
from dermaflux.domain.caption import at_caption_resolution, parse
from dermaflux.domain.lesion import LesionSpec, typical_colours
from dermaflux.domain.records import (
    DISCLAIMER,
    GeneratedImage,
    ModelIdentity,
    SamplingRequest,
)
from dermaflux.provenance import read_provenance, verify
from dermaflux.services import Services
from dermaflux.services.records import Finished
from dermaflux.settings import Settings

LESION = ["--asymmetry", "1.5", "--border", "6", "--colours", "4", "--diagnosis", "mel"]


@pytest.fixture
def here(tiny_models, tmp_path, monkeypatch):
    """A deployment in an empty folder: tiny generator and classifier, the embedded segmenter."""
    monkeypatch.setenv("DERMAFLUX_MODELS_DIR", str(tiny_models))
    monkeypatch.setenv("DERMAFLUX_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DERMAFLUX_DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lesion_picture(path, size_px=160, brown=(120, 80, 60)):
    picture = Image.new("RGB", (size_px, size_px), (228, 186, 165))
    centre, radius = size_px / 2, size_px / 4
    box = (centre - radius, centre - radius * 0.8, centre + radius, centre + radius * 0.8)
    ImageDraw.Draw(picture).ellipse(box, fill=brown)
    noise = np.random.default_rng(0).normal(0, 3, (size_px, size_px, 3))
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(1.5)), dtype=float) + noise
    Image.fromarray(soft.clip(0, 255).astype(np.uint8)).save(path)
    return path


def complaint(capsys):
    out = capsys.readouterr()
    lines = [line for line in out.err.splitlines() if line.strip()]
    assert len(lines) == 1, out.err
    assert "Traceback" not in out.err
    return lines[0]


def json_lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


# caption


def test_caption_states_the_lesion_and_nothing_else_on_stdout(capsys):
    assert main(["caption", *LESION, "--age", "60", "--sex", "female", "--site", "back"]) == 0
    text = capsys.readouterr().out.strip()
    spec = LesionSpec(
        asymmetry=1.5, border=6, colours=typical_colours(4, "mel"), diagnosis="mel", age=60, sex="female", site="back"
    )
    assert parse(text) == at_caption_resolution(spec)


def test_caption_takes_named_colours_and_sites_of_two_words(capsys):
    flags = ["--asymmetry", "0", "--border", "0", "--colours", "Light brown, dark brown".lower(), "--diagnosis", "nv"]
    assert main(["caption", *flags, "--site", "lower-extremity", "--skin-tone", "II"]) == 0
    spec = parse(capsys.readouterr().out.strip())
    assert [str(c) for c in spec.colours] == ["light brown", "dark brown"]
    assert (str(spec.site), str(spec.skin_tone)) == ("lower extremity", "II")


def test_caption_variations_say_the_same_in_other_words(capsys):
    texts = []
    for variation in range(6):
        main(["caption", *LESION, "--variation", str(variation)])
        texts.append(capsys.readouterr().out.strip())
    assert len(set(texts)) > 1
    assert len({parse(text) for text in texts}) == 1


def test_caption_needs_neither_torch_nor_a_database(tmp_path):
    code = (
        "import sys\nfrom dermaflux.__main__ import main\n"
        f"assert main({['caption', *LESION]!r}) == 0\n"
        "assert not {'torch', 'sqlalchemy', 'numpy'} & set(sys.modules)"
    )
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": root}, timeout=60)
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["caption", "--asymmetry", "3", *LESION[2:]], "asymmetry is 3, outside 0 to 2"),
        (["caption", "--asymmetry", "lots", *LESION[2:]], "--asymmetry is 'lots'"),
        (["caption", "--asymmetry", "nan", *LESION[2:]], "asymmetry is nan"),
        (["caption", *LESION[:2], "--border", "-1", *LESION[4:]], "border is -1"),
        (["caption", *LESION[:4], "--colours", "7", *LESION[6:]], "number of colours is 7"),
        (["caption", *LESION[:4], "--colours", "green", *LESION[6:]], "colours 'green' is not known"),
        (["caption", *LESION[:4], "--colours", ",", *LESION[6:]], "colours is empty"),
        (["caption", *LESION[:6], "--diagnosis", "melanom"], "'melanom' is not known. Choose one of: nv, bkl"),
        (["caption", *LESION[:6]], "--diagnosis missing"),
        (["caption", *LESION, "--asymetry", "1"], "--asymetry is not known. Did you mean --asymmetry?"),
        (["caption", *LESION, "--site", "moon"], "site 'moon' is not known"),
        (["captoin"], "captoin is not known. Did you mean caption? Choose one of: caption, generate"),
        (["evaluate", "qualty"], "qualty is not known. Did you mean quality?"),
        (["measure"], "No picture was named"),
        (["evaluate"], "adherence, quality, memorisation, diversity, artefacts, coverage, probe"),
        (["export", "--dataset", "d", "--format", "zip", "--out", "o"], "--format is 'zip'"),
        (["generate", *LESION], "--out is missing"),
        (["generate", "--caption", "a lesion", *LESION, "--out", "o"], "Use one of the two"),
        (["generate", "--caption", " ", "--out", "o"], "caption is empty"),
        (["generate", *LESION, "--out", "o", "--size", "100"], "multiple of 16"),
        (["generate", *LESION, "--out", "o", "--num-images", "0"], "num_images is 0"),
        (["generate", *LESION, "--out", "o", "--num-images", "two"], "--num-images is 'two'"),
        (["generate", *LESION, "--out", "o", "--seed", "-4"], "seed is -4"),
        (["generate", *LESION, "--out", "o", "--model", "bano"], "model 'bano' is not known"),
        (["generate", *LESION, "--out", "o", "--adapter", "nope"], "adapter 'nope' is not known"),
        (["export", "--dataset", "nobody", "--out", "o"], "no dataset 'nobody'"),
        (["duplicates"], "Name pictures or folders, or a --dataset"),
        (["duplicates", "o", "--dataset", "d"], "one of the two"),
        (["duplicates", "o"], "no calibrated threshold"),
        (["duplicates", "o", "--distance", "3"], "must lie in 0..2"),
        (["duplicates", "o", "--flag"], "give --dataset and --against"),
        (["evaluate", "quality", "o", "--real", "o", "--max-images", "0"], "--max-images is 0"),
        (["evaluate", "quality", "o", "--real", "o", "--seed", "-1"], "--seed is -1"),
        (["export", "--dataset", "d", "--out", "o", "--verdicts", "maybe"], "verdict 'maybe' is not known"),
        (["export", "--dataset", "d", "--out", "o", "--min-agreement", "2"], "min_agreement is 2"),
        (["export", "--dataset", "d", "--out", "o", "--without", "none.txt"], "none.txt cannot be read"),
        (["import", "nowhere", "--dataset", "d"], "folder nowhere does not exist"),
        (["import", "nowhere"], "--dataset is missing"),
        (["provenance", "gone.png"], "gone.png does not exist"),
        (["provenance"], "No file was named"),
        (["evaluate", "coverage", "--dataset", "nobody"], "no dataset 'nobody'"),
    ],
)
def test_a_users_mistake_is_one_line_and_code_2(here, capsys, argv, words):
    assert main(argv) == 2
    assert words in complaint(capsys)


@pytest.mark.parametrize("argv", [[], ["--help"], ["measure", "--help"], ["evaluate", "quality", "--help"]])
def test_help_is_on_stdout_and_no_mistake(capsys, argv):
    assert main(argv) == 0
    out = capsys.readouterr()
    assert "usage:" in out.out
    assert out.err == ""


def test_a_fault_of_ours_is_code_1_and_says_so(monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(Services, "compose_caption", broken)
    assert main(["caption", *LESION]) == 1
    assert "fault of ours" in caplog.text


def test_an_unknown_setting_is_a_mistake_too(monkeypatch, capsys):
    monkeypatch.setenv("DERMAFLUX_MODLE", "nano")
    assert main(["caption", *LESION]) == 2
    assert "Did you mean DERMAFLUX_MODEL?" in complaint(capsys)


# generate


def test_generate_writes_a_png_an_image_and_repeats_them_byte_by_byte(here, capsys):
    flags = ["generate", *LESION, "--num-images", "3", "--seed", "7"]
    assert main([*flags, "--out", "first"]) == 0
    listed = capsys.readouterr().out.split()
    assert main([*flags, "--out", "second"]) == 0
    first, second = (sorted((here / name).iterdir()) for name in ("first", "second"))
    assert [str(p.relative_to(here)) for p in first] == sorted(listed)
    assert [p.name for p in first] == [p.name for p in second]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    assert len({p.read_bytes() for p in first}) == 3
    for path in first:
        record = read_provenance(path)
        assert verify(path)
        assert (record.model, record.steps, record.size_px) == ("nano", 3, 64)
        assert record.spec is not None and record.spec.border == 6
    assert sorted(read_provenance(p).seed for p in first) == [7, 8, 9]


def test_one_image_does_not_depend_on_how_many_were_asked_for(here):
    main(["generate", *LESION, "--num-images", "2", "--seed", "7", "--out", "two"])
    main(["generate", *LESION, "--seed", "8", "--out", "one"])
    one = next((here / "one").iterdir())
    assert one.read_bytes() == (here / "two" / one.name).read_bytes()


def test_another_request_never_overwrites_an_earlier_image(here):
    main(["generate", *LESION, "--out", "o"])
    main(["generate", *LESION, "--steps", "2", "--out", "o"])
    main(["generate", "--caption", "a pale spot", "--out", "o"])
    assert len(list((here / "o").iterdir())) == 3


def test_a_caption_in_the_grammar_carries_its_lesion(here, capsys):
    main(["caption", *LESION])
    text = capsys.readouterr().out.strip()
    main(["generate", "--caption", text, "--out", "o"])
    record = read_provenance(next((here / "o").iterdir()))
    assert record.spec is not None and str(record.spec.diagnosis) == "mel"


def test_size_and_steps_are_obeyed(here):
    assert main(["generate", *LESION, "--size", "96", "--steps", "2", "--out", "o"]) == 0
    path = next((here / "o").iterdir())
    with Image.open(path) as picture:
        assert picture.size == (96, 96)
    assert read_provenance(path).steps == 2


def test_a_folder_that_cannot_be_written_is_one_line(here, capsys):
    (here / "file").write_text("in the way")
    assert main(["generate", *LESION, "--out", "file/inside"]) == 2
    assert "cannot be written" in complaint(capsys)


def test_a_missing_model_folder_is_one_line(here, monkeypatch, capsys):
    monkeypatch.setenv("DERMAFLUX_MODELS_DIR", str(here / "nowhere"))
    assert main(["generate", *LESION, "--out", "o"]) == 2
    assert "nano" in complaint(capsys)
    lesion_picture(here / "a.png")
    for verb in (["measure", "a.png"], ["classify", "a.png"], ["segment", "a.png", "--out", "m"]):
        assert main(verb) == 2
        assert "missing" in complaint(capsys)


# measure, classify, segment


@pytest.fixture
def pictures(here):
    folder = here / "pictures"
    (folder / "more").mkdir(parents=True)
    lesion_picture(folder / "a.png")
    lesion_picture(folder / "b.jpg", size_px=200)
    lesion_picture(folder / "more" / "c.png", brown=(60, 50, 50))
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_measure_prints_one_object_a_picture(pictures, capsys):
    assert main(["measure", str(pictures), "--json"]) == 0
    found = json_lines(capsys)
    assert [os.path.basename(line["path"]) for line in found] == ["a.png", "b.jpg", "c.png"]
    for line in found:
        assert line["refused"] is None
        assert 0 <= line["asymmetry"] <= 2
        assert 0 <= line["border"] <= 8
        assert line["num_colours"] == len(line["colours"]) >= 1
        assert 0.05 < line["mask_area"] < 0.4
        assert all(isinstance(value, float) for value in line["raw"].values())


def test_classify_prints_one_object_a_picture_with_the_statement(pictures, capsys):
    assert main(["classify", str(pictures / "a.png"), str(pictures / "b.jpg"), "--json"]) == 0
    for line in json_lines(capsys):
        assert 0 <= line["malignant"] <= 1
        assert sum(line["diagnosis"].values()) == pytest.approx(1, abs=1e-3)
        assert 0 < line["threshold"] < 1
        assert line["statement"] == DISCLAIMER


def test_without_json_a_table_is_printed(pictures, capsys):
    assert main(["measure", str(pictures)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["path", "asymmetry", "border"]
    assert len(lines) == 4
    assert main(["classify", str(pictures)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == DISCLAIMER


def test_a_blank_picture_is_refused_in_its_line_and_no_mistake(here, capsys):
    Image.new("RGB", (128, 128), (200, 170, 150)).save(here / "blank.png")
    assert main(["measure", "blank.png", "--json"]) == 0
    (line,) = json_lines(capsys)
    assert line["refused"]
    assert (line["asymmetry"], line["border"], line["colours"], line["num_colours"]) == (None,) * 4
    assert main(["classify", "blank.png", "--json"]) == 0
    (line,) = json_lines(capsys)
    assert line["refused"]
    assert (line["malignant"], line["diagnosis"]) == (None, None)


@pytest.mark.parametrize("verb", ["measure", "classify"])
def test_a_corrupt_picture_does_not_stop_the_others(pictures, capsys, verb):
    whole = (pictures / "a.png").read_bytes()
    (pictures / "aa.png").write_bytes(whole[: len(whole) // 2])
    assert main([verb, str(pictures), "--json"]) == 0
    found = json_lines(capsys)
    assert [bool(line["refused"]) for line in found] == [False, True, False, False]
    assert "cannot be read" in found[1]["refused"]


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_corrupt_picture_alone_is_a_mistake(here, capsys, content):
    (here / "broken.png").write_bytes(content)
    assert main(["measure", "broken.png", "--json"]) == 2
    out = capsys.readouterr()
    assert "cannot be read" in json.loads(out.out)["refused"]
    assert len(out.err.strip().splitlines()) == 1


def test_what_is_not_there_is_named(here, capsys):
    assert main(["measure", "missing.png"]) == 2
    assert "missing.png does not exist" in complaint(capsys)
    (here / "empty").mkdir()
    assert main(["classify", "empty"]) == 2
    assert "holds no pictures" in complaint(capsys)


def test_a_huge_picture_is_refused_before_it_fills_the_memory(here, capsys):
    Image.new("1", (16_000, 16_000)).save(here / "huge.png")
    assert main(["measure", "huge.png"]) == 2
    assert "cannot be read" in complaint(capsys)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16", "CMYK"])
def test_other_colour_modes_are_measured_or_refused_but_never_crash(here, capsys, mode):
    with Image.open(lesion_picture(here / "rgb.png")) as opened:
        picture = opened.convert("RGB")
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    name = "other.tif" if mode == "CMYK" else "other.png"
    picture.save(here / name)
    for verb in ("measure", "classify"):
        assert main([verb, name, "--json"]) == 0
        assert len(json_lines(capsys)) == 1


def test_segment_writes_masks_named_and_sized_as_the_pictures(pictures, here, capsys):
    assert main(["segment", str(pictures), "--out", "masks"]) == 0
    assert sorted(p.name for p in (here / "masks").iterdir()) == ["a.png", "b.png", "c.png"]
    for name, size_px in (("a.png", 160), ("b.png", 200)):
        with Image.open(here / "masks" / name) as mask:
            assert (mask.mode, mask.size) == ("L", (size_px, size_px))
            pixels = np.asarray(mask)
        assert set(np.unique(pixels)) == {0, 255}
        assert pixels[size_px // 2, size_px // 2] == 255


def test_segment_refuses_pictures_whose_masks_would_overwrite_each_other(pictures, capsys):
    lesion_picture(pictures / "more" / "a.png")
    assert main(["segment", str(pictures), "--out", "masks"]) == 2
    assert "'a'" in complaint(capsys)


# export and evaluate


@pytest.fixture(scope="session")
def filled_data(tiny_models, tmp_path_factory):
    """A data folder with four accepted images of the tiny generator under the name 'mine'."""
    folder = tmp_path_factory.mktemp("filled") / "data"
    with Services(Settings(models_dir=tiny_models, data_dir=folder, device="cpu")) as services:
        spec = LesionSpec(asymmetry=1, border=4, colours=("red", "black"), diagnosis="bcc")
        request = SamplingRequest(caption=services.compose_caption(spec), spec=spec, num_images=4)
        job = services.submit_generation("ann", request)
        for event in services.follow(job.job_id):
            if isinstance(event, Finished):
                services.decide("mine", event.stored.image_id, "ann", "accept")
    return folder


@pytest.fixture
def dataset(here, filled_data):
    shutil.copytree(filled_data, here / "data")
    return here


@pytest.mark.parametrize("layout", ["imagefolder", "parquet", "webdataset", "dicom", "coco"])
def test_export_writes_the_accepted_images(dataset, capsys, layout):
    assert main(["export", "--dataset", "mine", "--format", layout, "--out", "out"]) == 0
    out = capsys.readouterr().out
    assert "4 images" in out
    assert DISCLAIMER in out
    assert (dataset / "out" / "README.md").is_file()


def test_export_takes_filters_and_says_what_stays_behind(dataset, capsys):
    assert main(["export", "--dataset", "mine", "--out", "all"]) == 0
    names = sorted(path.stem for path in (dataset / "all" / "sidecars").iterdir())
    whole = json.loads((dataset / "all" / "sidecars" / f"{names[0]}.json").read_text())["sha256"]
    (dataset / "drop.txt").write_text(f"{whole}\n")
    flags = ["--without", "drop.txt", "--max-per-diagnosis", "2", "--verdicts", "accept,unsure"]
    flags += ["--min-agreement", "0.5"]
    assert main(["export", "--dataset", "mine", "--out", "some", *flags]) == 0
    out = capsys.readouterr().out
    assert "left out 1: excluded by name" in out and "left out 1: over the cap of its diagnosis" in out
    assert "2 images" in out


def test_export_is_signed_when_a_certificate_is_configured(dataset, capsys, monkeypatch, signing_files):
    monkeypatch.setenv("DERMAFLUX_C2PA_CERT", str(signing_files[0]))
    assert main(["export", "--dataset", "mine", "--out", "out"]) == 2
    assert "DERMAFLUX_C2PA_KEY" in complaint(capsys)
    monkeypatch.setenv("DERMAFLUX_C2PA_KEY", str(signing_files[1]))
    assert main(["export", "--dataset", "mine", "--out", "out"]) == 0
    assert main(["provenance", "out"]) == 0
    assert "(C2PA valid, DermaFlux tests)" in capsys.readouterr().out


def test_an_export_comes_back_by_import(dataset, capsys, monkeypatch):
    assert main(["export", "--dataset", "mine", "--format", "parquet", "--out", "out"]) == 0
    left = capsys.readouterr().out
    monkeypatch.setenv("DERMAFLUX_DATA_DIR", str(dataset / "another"))
    assert main(["import", "out", "--dataset", "mine"]) == 0
    assert "4 images in mine: 4 new to the store, 4 decisions added" in capsys.readouterr().out
    assert main(["export", "--dataset", "mine", "--format", "parquet", "--out", "again"]) == 0
    assert capsys.readouterr().out.replace("again", "out") == left
    (dataset / "out" / "README.md").write_text("better")
    assert main(["import", "out", "--dataset", "mine"]) == 2
    assert "README.md of the export out was changed" in complaint(capsys)


def test_a_push_that_fails_leaves_the_export(dataset, capsys):
    assert main(["export", "--dataset", "mine", "--out", "out", "--push", "no name"]) == 2
    assert "OWNER/NAME" in complaint(capsys)
    assert main(["provenance", "out"]) == 0


@pytest.mark.parametrize("layout", ["imagefolder", "dicom"])
def test_provenance_of_an_export_is_intact_until_a_pixel_changes(dataset, capsys, layout):
    assert main(["export", "--dataset", "mine", "--format", layout, "--out", "out"]) == 0
    capsys.readouterr()
    assert main(["provenance", "out", "--json"]) == 0
    checks = json_lines(capsys)
    assert [check["state"] for check in checks] == ["intact"] * 4
    assert checks[0]["record"]["synthetic"] is True and checks[0]["signature"] is None
    path = dataset / checks[0]["path"]
    content = bytearray(path.read_bytes())
    content[-40] ^= 0xFF
    path.write_bytes(content)
    assert main(["provenance", "out"]) == 1
    assert capsys.readouterr().out.startswith(f"changed {checks[0]['path']}\n    The")


def test_provenance_of_what_is_not_ours_is_the_users_mistake(here, capsys):
    lesion_picture(here / "photo.png")
    (here / "notes.txt").write_text("x")
    assert main(["provenance", "photo.png", "notes.txt"]) == 2
    out = capsys.readouterr()
    assert [line for line in out.out.splitlines() if not line.startswith(" ")] == ["none photo.png", "none notes.txt"]
    assert "2 of 2 files carry no record" in out.err and len(out.err.splitlines()) == 1


def test_export_into_a_folder_in_use_is_refused(dataset, capsys):
    (dataset / "out").mkdir()
    (dataset / "out" / "precious.txt").write_text("keep me")
    assert main(["export", "--dataset", "mine", "--out", "out"]) == 2
    assert "precious.txt" in complaint(capsys)
    assert (dataset / "out" / "precious.txt").read_text() == "keep me"


def test_evaluate_coverage_counts_a_dataset(dataset, capsys):
    assert main(["evaluate", "coverage", "--dataset", "mine", "--json"]) == 0
    (report,) = json_lines(capsys)
    assert report["num_synthetic"] == 4
    assert {cell["diagnosis"] for cell in report["cells"]} == {"bcc"}
    assert sum(c["synthetic"] for c in report["cells"] if c["attribute"] == "border") == 4


def real_folder(folder, count, table):
    folder.mkdir()
    rng = np.random.default_rng(1)
    rows = ["file_name,lesion_id,diagnosis,split"]
    for i in range(count):
        brown = tuple(int(v) for v in rng.integers(40, 160, 3))
        lesion_picture(folder / f"r{i}.png", size_px=96, brown=brown)
        rows.append(f"r{i}.png,lesion{i // 2},nv,{'train' if i < count - 2 else 'test'}")
    if table:
        (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.mark.parametrize("table", [True, False])
def test_evaluate_quality_and_memorisation_against_a_folder(here, capsys, table):
    real_folder(here / "real", 26, table)
    real_folder(here / "ours", 12, table=False)
    assert main(["evaluate", "quality", "ours", "--real", "real", "--json"]) == 0
    (report,) = json_lines(capsys)
    assert report["num_synthetic"] + report["num_reference"] == (24 if table else 26)
    assert report["synthetic"]["fid"] >= 0
    assert 0 <= report["synthetic"]["coverage"] <= 1
    assert main(["evaluate", "memorisation", "ours", "--real", "real", "--json", "--sheet", "runs/pairs.png"]) == 0
    with Image.open("runs/pairs.png") as sheet:
        assert sheet.size == (2 * 192 + 12, 10 * 196 + 4)
        left, right = (sheet.crop((x, 4, x + 192, 196)) for x in (4, 200))
    assert left.tobytes() == right.tobytes()  # the first pair is the same picture twice
    (report,) = json_lines(capsys)
    assert report["num_copies"] >= 1  # both folders are drawn alike, so the first pictures are the same
    assert report["nearest"][0]["distance"] == pytest.approx(0, abs=1e-5)
    assert report["nearest"][0]["is_copy"]
    assert report["calibration"]["num_same_lesion_pairs"] == (12 if table else 0)
    assert report["compared"] == {
        "split": "train",
        "num_pictures": 24 if table else 26,
        "num_without_split": 0 if table else 26,
        "calibrated_on": None,
    }


@pytest.mark.parametrize("named", [[], ["ours", "--dataset", "mine"]])
def test_what_is_evaluated_is_named_once(here, capsys, named):
    assert main(["evaluate", "quality", *named, "--real", "real"]) == 2
    assert "a folder of synthetic pictures, or a --dataset" in capsys.readouterr().err


def test_duplicates_within_files_and_leaks_into_others(here, capsys):
    for folder in ("ours", "real"):
        Path(folder).mkdir()
    rng = np.random.default_rng(0)
    for i in range(5):
        noise = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((96, 96), Image.Resampling.BICUBIC).save(f"ours/{i}.png")
    Image.open("ours/1.png").save("ours/same.bmp")
    Image.open("ours/2.png").resize((70, 70)).save("ours/smaller.jpg", quality=90)
    Image.open("ours/3.png").save("real/3.png")
    asked = ["duplicates", "ours", "--distance", "0", "--json"]
    assert main(asked) == 0
    (report,) = json_lines(capsys)
    assert report["groups"] == [["ours/1.png", "ours/same.bmp"], ["ours/2.png", "ours/smaller.jpg"]]
    assert {(p["first"], p["kind"]) for p in report["pairs"]} == {("ours/1.png", "exact"), ("ours/2.png", "perceptual")}
    assert main([*asked, "--against", "real"]) == 0
    (report,) = json_lines(capsys)
    leak = {"first": "ours/3.png", "second": "3.png", "kind": "exact", "distance": 0.0}
    assert report == {"num_images": 7, "num_reference": 1, "leaks": [leak]}


def test_copies_that_are_flagged_stay_behind_when_the_dataset_leaves(here, capsys):
    rng, identity = np.random.default_rng(0), ModelIdentity(model="nano", model_sha256="a" * 64, licence="test")
    with Services(Settings.load()) as services:
        stored = []
        for seed in range(2):  # an untrained pipeline's images are all alike, so these are drawn
            picture = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((64, 64))
            request = SamplingRequest(caption="a lesion", seed=seed, num_steps=1, guidance_scale=1, size_px=64)
            drawn = GeneratedImage(
                image=picture, image_index=0, seed=seed, request=request, identity=identity, seconds=1
            )
            stored.append(services._store().add_image(drawn))
            services.decide("set", stored[-1].image_id, "ann", "accept")
        copied, own = stored
        Path("training").mkdir()
        services.stored_picture(copied.image_id).save("training/patient.png")
    asked = ["duplicates", "--dataset", "set", "--against", "training", "--distance", "0", "--phash-bits", "0"]
    assert main([*asked, "--flag", "--json"]) == 0
    (report,) = json_lines(capsys)
    assert [leak["first"] for leak in report["leaks"]] == [copied.image_id]
    assert main(["export", "--dataset", "set", "--out", "out"]) == 0
    said = capsys.readouterr().out
    assert "1 images" in said
    assert "left out 1: memorised" in said
    assert [path.stem for path in Path("out/train").glob("*.png")] == [own.sha256[:32]]


def test_evaluate_quality_in_the_features_of_another_model(here, capsys):
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    size = {"height": 28, "width": 28}
    config = Dinov2Config(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14)
    Dinov2Model(config).save_pretrained("dinov2")
    BitImageProcessor(size={"shortest_edge": 28}, crop_size=size).save_pretrained("dinov2")
    real_folder(here / "real", 26, table=True)
    real_folder(here / "ours", 12, table=False)
    capsys.readouterr()
    assert main(["evaluate", "quality", "ours", "--real", "real", "--features", "dinov2", "--json"]) == 0
    (report,) = json_lines(capsys)
    assert (report["feature_dim"], report["features"]) == (32, "dinov2")
    assert main(["evaluate", "quality", "ours", "--real", "real", "--features", "nowhere"]) == 2
    assert "nowhere does not exist" in complaint(capsys)


def test_evaluate_diversity_reads_what_was_asked_from_the_pictures(here, capsys):
    real_folder(here / "real", 26, table=True)
    lesion = ["--asymmetry", "1", "--border", "4", "--colours", "2", "--diagnosis", "nv"]
    assert main(["generate", *lesion, "--num-images", "3", "--steps", "1", "--out", "ours"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "diversity", "ours", "--real", "real", "--json"]) == 0
    (report,) = json_lines(capsys)
    assert (report["classes"]["nv"]["num_images"], report["classes"]["nv"]["num_real"]) == (3, 24)
    assert report["classes"]["nv"]["within_class"] > 0
    assert main(["evaluate", "diversity", "real", "--real", "real"]) == 2
    assert "r0.png" in complaint(capsys)


@pytest.mark.slow
def test_evaluate_artefacts_counts_marks_by_the_diagnosis_asked_for(here, capsys):
    real_folder(here / "real", 26, table=True)
    lesion = ["--asymmetry", "1", "--border", "4", "--colours", "2", "--diagnosis", "nv"]
    assert main(["generate", *lesion, "--num-images", "2", "--steps", "1", "--out", "ours"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "artefacts", "ours", "--real", "real", "--json"]) == 0
    (report,) = json_lines(capsys)
    assert report["synthetic"]["nv"]["num_images"] == report["synthetic"]["all"]["num_images"] == 2
    assert set(report["real"]["all"]["rates"]) == {"vignette", "hair", "ink", "ruler"}
    assert report["synthetic_readability"] is None
    assert main(["evaluate", "artefacts", "ours", "--real", "real"]) == 0
    assert "unknown, too few pictures" in capsys.readouterr().out


def test_coverage_beside_a_zip_of_real_pictures(dataset, capsys):
    folder = real_folder(dataset / "real", 6, table=True)
    with zipfile.ZipFile(dataset / "real.zip", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    assert main(["evaluate", "coverage", "--dataset", "mine", "--real", "real.zip", "--max-images", "3", "--json"]) == 0
    (report,) = json_lines(capsys)
    assert report["num_real"] == 3
    assert {cell["diagnosis"] for cell in report["missing"]} <= {"nv"}


def test_too_few_pictures_and_unknown_splits_are_mistakes(here, capsys):
    real_folder(here / "real", 4, table=True)
    assert main(["evaluate", "quality", "real", "--real", "real"]) == 2
    assert "too few" in complaint(capsys)
    assert main(["evaluate", "quality", "real", "--real", "real", "--split", "moon"]) == 2
    assert "none of split 'moon'" in complaint(capsys)
    assert main(["evaluate", "quality", "real", "--real", "nowhere.zip"]) == 2
    assert "neither a folder nor a zip" in complaint(capsys)


@pytest.mark.slow
@pytest.mark.parametrize("candidates", [1, 2])
def test_evaluate_adherence_reports_every_slider(here, capsys, candidates):
    flags = ["--num-images", "1", "--steps", "1", "--candidates", str(candidates), "--json"]
    assert main(["evaluate", "adherence", *flags]) == 0
    (report,) = json_lines(capsys)
    assert report["num_images"] == 39
    assert (report["request"]["model"], report["request"]["candidates"]) == ("nano", candidates)
    assert set(report["attributes"]) == {"asymmetry", "border", "num_colours"}
    assert set(report["leakage"]) == {"asymmetry", "border", "num_colours", "diagnosis"}


@pytest.mark.data
def test_the_shared_archive_is_read_by_split_from_its_table(data_dir):
    from dermaflux.services.real_pictures import read_real

    with read_real(data_dir / "ham10000_224.zip", "train", None, 0) as train:
        assert len(train.pictures) == 4212
        assert len({picture.lesion_id for picture in train.pictures}) == 4212
        assert train.load(train.pictures[0]).size == (224, 224)
    with read_real(data_dir / "ham10000_224.zip", "test", 5, 3) as chosen:
        assert len(chosen.pictures) == 5
    with read_real(data_dir / "ham10000_224.zip", "test", 5, 3) as again:
        assert again.pictures == chosen.pictures
