"""A tiny random Llama 3.2 Vision from a local folder, through the real loading and generation."""

import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.generation.placement import choose_placement
from training.captioner import Question, Sampling, at_most
from training.local_captioner import LocalCaptioner, locate_captioner

PROMPT = "the lesion shows"


def captioner(folder, batch_size=1, max_new_tokens=6, temperature=0.0):
    sampling = Sampling(max_new_tokens=max_new_tokens, temperature=temperature, seed=0)
    return LocalCaptioner(folder, choose_placement("cpu"), sampling, batch_size=batch_size, max_side_px=64)


def questions():
    pictures = [Image.new("RGB", (96, 72), (200, 90, 80)), Image.effect_mandelbrot((40, 40), (-2, -2, 2, 2), 20)]
    prompts = [PROMPT, "no pronounced asymmetry of the lesion", PROMPT]
    pictures = [picture.convert("RGB") for picture in (*pictures, pictures[0].rotate(90, expand=True))]
    return [
        Question(image_id=f"q{i}", image=picture, prompt=prompt)
        for i, (picture, prompt) in enumerate(zip(pictures, prompts, strict=True))
    ]


@pytest.fixture(scope="module")
def alone(tiny_mllama):
    return list(captioner(tiny_mllama).answers(questions()))


def test_it_is_the_real_model_and_every_question_is_answered(tiny_mllama, alone):
    model = captioner(tiny_mllama)
    assert type(model._model).__name__ == "MllamaForConditionalGeneration"
    assert [answer.question.image_id for answer in alone] == ["q0", "q1", "q2"]
    assert all(answer.text and answer.failed is None and answer.seconds > 0 for answer in alone)
    assert all(word not in answer.text for answer in alone for word in ("<pad>", "<|image|>", "<bos>"))
    assert model.revision.startswith("sha256:")


def test_a_batch_gives_what_each_gives_alone(tiny_mllama, alone):
    together = captioner(tiny_mllama, batch_size=3).answers(questions())
    assert [answer.text for answer in together] == [answer.text for answer in alone]


def test_what_reaches_the_limit_is_cut_off(tiny_mllama):
    model = captioner(tiny_mllama)
    ends = model._model.generation_config.eos_token_id
    assert model._is_cut_off(torch.tensor([7, 8])) and not model._is_cut_off(torch.tensor([7, ends]))
    assert not model._is_cut_off(torch.tensor([7, ends, 0]))
    (answer, *_) = captioner(tiny_mllama, max_new_tokens=1).answers(questions()[:1])
    assert answer.is_cut_off and len(answer.text.split()) <= 1


def test_a_picture_that_the_model_cannot_take_fails_alone(tiny_mllama):
    first, _, last = questions()
    bad = Question(image_id="bad", image=first.image, prompt="<|image|> the lesion")  # one picture, two places for it
    answers = list(captioner(tiny_mllama, batch_size=3).answers([first, bad, last]))
    assert [answer.failed is None for answer in answers] == [True, False, True]
    assert answers[1].failed.startswith("The model cannot take the picture")


def test_the_picture_matters(tiny_mllama):
    first, second, _ = questions()
    asked = [first, Question(image_id="other", image=second.image, prompt=first.prompt)]
    one, other = captioner(tiny_mllama, max_new_tokens=12).answers(asked)
    assert one.text != other.text


def test_drawn_text_depends_on_the_seed(tiny_mllama, alone):
    first, again = ([a.text for a in captioner(tiny_mllama, temperature=2.0).answers(questions())] for _ in "ab")
    assert first == again != [answer.text for answer in alone]


def test_weights_that_are_missing_are_named(tiny_mllama, tmp_path):
    shutil.copytree(tiny_mllama, tmp_path / "cut")
    weights = load_file(tmp_path / "cut" / "model.safetensors")
    weights = {name: value for name, value in weights.items() if "lm_head" not in name}
    save_file(weights, tmp_path / "cut" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelNotAvailable, match="1 missing weights, the first lm_head"):
        captioner(tmp_path / "cut")


def test_a_folder_without_a_model_or_a_template_says_so(tiny_mllama, tmp_path):
    with pytest.raises(ModelNotAvailable, match="is not a folder"):
        locate_captioner(str(tmp_path / "none"), None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelNotAvailable):
        captioner(locate_captioner(str(tmp_path / "empty"), None))
    shutil.copytree(tiny_mllama, tmp_path / "mute")
    (tmp_path / "mute" / "chat_template.jinja").unlink()
    with pytest.raises(ModelNotAvailable, match="no chat template"):
        captioner(tmp_path / "mute")


def test_pictures_are_only_ever_shrunk():
    assert at_most(Image.new("RGB", (300, 100)), 150).size == (150, 50)
    small = Image.new("RGB", (30, 10))
    assert at_most(small, 150) is small
    assert at_most(Image.new("RGB", (5000, 1)), 100).size == (100, 1)
