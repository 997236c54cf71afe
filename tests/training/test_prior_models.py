"""Prior models on drawn pictures: tiny real CLIPs through the real path, rigged so that the AUC is known."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dermaflux.classification.zero_shot import ZeroShotModel
from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from training.dataset import load_folder
from training.prior_catalogue import CATALOGUE, folder_of
from training.prior_models import PriorRun, compare, main
from training.prior_prompts import read_prompts, shipped_prompts
from training.prior_report import table
from training.prior_scores import score_pictures, zero_shot_scorer

PROMPTS = {"two": {"benign": {"malignant": False, "texts": ["a pale spot", "a mole"]},
                   "malignant": {"malignant": True, "texts": ["a dark spot", "skin cancer"]}}}  # fmt: skip
SHADES = {"pale": (230, 200, 190), "dark": (40, 25, 30)}


def picture(shade):
    """A shade under always the same grain: without any, our classifier refuses it as blank."""
    grain = np.random.default_rng(0).integers(-18, 19, (32, 32, 3))
    return Image.fromarray((np.array(SHADES[shade]) + grain).astype(np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Dark pictures are malignant, but for one of the eight malignant ones in each split, which is pale."""
    root = tmp_path_factory.mktemp("pictures")
    rows = [("file_name", "diagnosis", "split", "lesion_id")]
    for split in ("val", "test"):
        for row in range(24):
            malignant = row < 8
            name = f"{split}{row}.png"
            picture("dark" if malignant and row else "pale").save(root / name)
            rows.append((name, "mel" if malignant else "nv", split, f"{split}-{row}"))
    with (root / "metadata.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    return root


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory):
    """A CLIP of transformers, whose projection maps dark pictures onto what is said of malignant ones."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("clip")
    words = ["<pad>", "<unk>", "<s>", "</s>", "a", "pale", "dark", "spot", "mole", "skin", "cancer"]
    known = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", known["<s>"]), ("</s>", known["</s>"])]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(place)
    text = {"vocab_size": len(words), "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
            "num_attention_heads": 2, "max_position_embeddings": 12, "bos_token_id": 2, "eos_token_id": 3,
            "pad_token_id": 0}  # fmt: skip
    vision = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 32, "patch_size": 16}  # fmt: skip
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).eval()
    prepare = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    prepare.save_pretrained(place)
    model.save_pretrained(place)
    classes = PROMPTS["two"].values()
    said = torch.from_numpy(ZeroShotModel.load(place).class_vectors([c["texts"] for c in classes]))
    pixels = prepare(images=[picture("pale"), picture("dark")], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        seen = model.vision_model(pixel_values=pixels).pooler_output
        model.visual_projection.weight.copy_((torch.linalg.pinv(seen) @ said).T)
    model.save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def tiny_open_clip(tmp_path_factory):
    import open_clip

    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("open_clip")
    vision = {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    statistics = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    (place / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": statistics}))
    model = open_clip.CLIP(**config)
    torch.save(model.state_dict(), place / "open_clip_pytorch_model.bin")
    return place


@pytest.fixture
def run(folder, tiny_models, tmp_path):
    prompts = tmp_path / "prompts.json"
    prompts.write_text(json.dumps(PROMPTS))
    return PriorRun(
        models=(), classifiers=(tiny_models / "classifier",), prompts=prompts, folder=folder,
        runs_dir=tmp_path / "runs",
        num_resamples=100, device="cpu",
    )  # fmt: skip


def results(run):
    return [json.loads(line) for line in (run.run_dir / "results.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_rigged_model_has_the_auc_it_was_rigged_for(run, tiny_clip):
    lines = compare(replace(run, models=(str(tiny_clip),)))
    ours, prior = lines
    assert (ours["state"], prior["name"]) == ("done", str(tiny_clip))
    found = prior["figures"]["two"]
    # 8 x 16 pairs; the one pale malignant picture ties with all 16 benign ones
    assert found["auc"] == pytest.approx((7 * 16 + 0.5 * 16) / (8 * 16))
    assert found["sensitivity_at_specificity_90"] == pytest.approx(7 / 8)
    assert found["num_positive"] == 8 and found["num_pictures"] == 24
    low, high = found["auc_interval_95"]
    assert low <= found["auc"] <= high
    gap = found["auc_difference"]
    assert gap["value"] == pytest.approx(found["auc"] - ours["figures"]["fine-tuned"]["auc"])
    assert ours["figures"]["fine-tuned"]["auc_difference"]["value"] == 0
    assert results(run) == json.loads(json.dumps(lines))
    assert "plotly" in (run.run_dir / "roc.html").read_text()[:20000]
    with Image.open(run.run_dir / "roc.png") as drawn:
        assert drawn.width > 600
        assert len(drawn.convert("RGB").getcolors(10**6)) > 50


def test_a_stopped_run_goes_on_and_another_models_scores_are_not_taken(folder, tiny_clip, tmp_path):
    prompts, path, data = tmp_path / "prompts.json", tmp_path / "scores.jsonl", load_folder(folder)

    def scored(said):
        prompts.write_text(json.dumps(said))
        scorer = zero_shot_scorer("tiny", tiny_clip, read_prompts(prompts), "cpu")
        return [done for done, _ in score_pictures(path, scorer, data)]

    assert scored(PROMPTS) == [0, 16, 32, 48]
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    path.write_text("".join(lines[:20]) + lines[20][:5])  # killed within a line
    assert scored(PROMPTS) == [19, 35, 48]
    assert path.read_text() == whole
    assert scored(PROMPTS) == [48]
    other = json.loads(json.dumps(PROMPTS).replace("a mole", "a spot"))
    with pytest.raises(InvalidRequest, match="other prompts"):
        scored(other)


def test_open_clip_is_read_from_a_folder_by_its_own_preparation(tiny_open_clip):
    model = ZeroShotModel.load(tiny_open_clip)
    vectors = model.class_vectors([["a mole", "a nevus"], ["melanoma"]])
    assert vectors.shape == (2, 16) and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    found = model.probabilities([picture("pale"), picture("dark").convert("L")], vectors)
    assert found.shape == (2, 2) and np.allclose(found.sum(axis=1), 1)
    assert not np.allclose(found[0], found[1])


def test_what_cannot_be_run_is_listed_with_the_reason_unless_it_is_all_that_was_asked(run, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    lines = compare(replace(run, models=("biomedclip", str(tmp_path / "empty"))))
    assert [line["state"] for line in lines] == ["done", "not run", "not run"]
    assert "hub cannot be reached" in lines[1]["why"] and "no vision-language model" in lines[2]["why"]
    assert results(run) == json.loads(json.dumps(lines))
    shown = table(lines)
    assert "biomedclip | not run" in shown and "0.693, not measured here" in shown
    with pytest.raises(ModelNotAvailable, match="hub cannot be reached"):
        compare(replace(run, models=("biomedclip",), classifiers=()))
    argv = ["prior_models", "--models", "no-such-model", "--classifiers", "--folder", str(run.folder)]
    monkeypatch.setattr("sys.argv", [*argv, "--runs-dir", str(tmp_path)])
    assert main() == 2


def test_an_incomplete_model_is_refused(tiny_clip, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(tiny_clip, broken)
    weights = load_file(broken / "model.safetensors")
    weights.pop("visual_projection.weight")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelNotAvailable, match="visual_projection"):
        ZeroShotModel.load(broken)
    with pytest.raises(ModelNotAvailable, match="does not exist"):
        ZeroShotModel.load(tmp_path / "nowhere")


def test_shipped_prompts_say_something_of_every_class():
    malignancy, diagnosis = shipped_prompts()
    assert malignancy.classes == ("benign", "malignant") and sum(diagnosis.malignant) == 3
    texts = [text for said in (malignancy, diagnosis) for of_class in said.texts for text in of_class]
    assert len(set(texts)) == len(texts) and all("{" not in text for text in texts)
    assert malignancy.sha256() != diagnosis.sha256()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "does not hold prompts"),
        ("{", "does not hold prompts"),
        ('{"a": {"b": {"texts": ["x"]}}}', "malignant"),
        ('{"a": {"b": {"malignant": true, "texts": ["x"]}}}', "texts for benign and malignant classes"),
    ],
)
def test_prompts_that_are_none_are_refused(tmp_path, text, words):
    path = tmp_path / "prompts.json"
    path.write_text(text)
    with pytest.raises(InvalidRequest, match=words):
        read_prompts(path)


def test_names_of_models():
    assert all(known.repository.count("/") == 1 for known in CATALOGUE.values())
    with pytest.raises(InvalidRequest, match="Known models: biomedclip"):
        folder_of("biomedclap")
    assert folder_of(str(Path.cwd())) == Path.cwd()
