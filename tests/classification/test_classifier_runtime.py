"""The served classifier on drawn pictures: answers, refusals, embeddings, threads."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from dermaflux.domain.errors import ModelNotAvailable, NotMeasurable


def test_the_package_loads_no_torch():
    code = "import sys, dermaflux.classification; assert 'torch' not in sys.modules, 'torch'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    import dermaflux.classification as package

    with pytest.raises(AttributeError, match="nothing_here"):
        package.nothing_here  # noqa: B018


def test_it_tells_the_drawn_kinds_apart(drawn):
    pictures = [drawn.draw(malignant=bool(i % 2), seed=1000 + i) for i in range(20)]
    found = drawn.classifier.predict(pictures)
    calls = [p.malignant >= p.threshold for p in found]
    assert np.mean([call == bool(i % 2) for i, call in enumerate(calls)]) >= 0.95


def test_the_answer_is_coherent(drawn):
    (found,) = drawn.classifier.predict([drawn.draw(malignant=True)])
    assert found.refused is None
    assert sum(found.diagnosis.values()) == pytest.approx(1)
    assert found.malignant == pytest.approx(found.diagnosis["mel"])
    assert found.model_sha256 == drawn.classifier.facts.weights_sha256 and len(found.model_sha256) == 64
    assert 0 <= found.threshold <= 1


def test_blank_and_small_pictures_are_refused_in_their_place(drawn):
    pictures = [Image.new("RGB", (80, 80), "pink"), drawn.draw(malignant=True), Image.new("L", (20, 90))]
    blank, fine, small = drawn.classifier.predict(pictures)
    assert "blank" in blank.refused and blank.malignant is None and blank.to_dict()["diagnosis"] is None
    assert fine.refused is None and fine.malignant > 0.5
    assert "32 px" in small.refused
    with pytest.raises(NotMeasurable, match="blank"):
        drawn.classifier.saliency(pictures[0], malignant=True)


def test_no_pictures_give_no_predictions(drawn):
    assert drawn.classifier.predict([]) == []
    assert len(drawn.classifier.embed([])) == 0


@pytest.mark.parametrize("size", [(96, 96), (200, 150), (50, 333), (1000, 700)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "I;16", "CMYK"])
def test_any_mode_and_size_is_answered(drawn, mode, size):
    picture = drawn.draw(malignant=True).resize(size)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    (found,) = drawn.classifier.predict([picture.convert(mode)])
    assert 0 <= found.malignant <= 1


def test_what_is_transparent_does_not_show(drawn):
    picture = drawn.draw(malignant=True).convert("RGBA")
    clear = picture.copy()
    clear.putalpha(0)
    (hidden,) = drawn.classifier.predict([clear])
    assert "blank" in hidden.refused
    shown, plain = drawn.classifier.predict([picture, picture.convert("RGB")])
    assert shown.malignant == plain.malignant


def test_a_batch_answers_as_its_pictures_do_alone(drawn):
    pictures = [drawn.draw(malignant=bool(i % 3), seed=i, size=(64 + 8 * i, 60)) for i in range(5)]
    together = [p.malignant for p in drawn.classifier.predict(pictures)]
    alone = [drawn.classifier.predict([picture])[0].malignant for picture in pictures]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_turned_picture_gets_the_same_answer(drawn):
    picture = drawn.draw(size=(64, 64), centre=(20, 30), malignant=True)
    upright, turned = drawn.classifier.predict([picture, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
    assert upright.malignant == pytest.approx(turned.malignant, abs=0.02)


def test_embeddings_are_unit_vectors_that_keep_kinds_together(drawn):
    pictures = [drawn.draw(malignant=bool(i % 2), seed=i) for i in range(12)]
    features = drawn.classifier.embed(pictures)
    assert features.dtype == np.float32 and features.shape[0] == 12
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    near = features @ features.T
    same = np.equal.outer(np.arange(12) % 2, np.arange(12) % 2) & ~np.eye(12, dtype=bool)
    assert near[same].mean() > near[~same & ~np.eye(12, dtype=bool)].mean()


def test_threads_get_the_answers_of_a_single_one(drawn):
    pictures = [drawn.draw(malignant=bool(i % 2), seed=i) for i in range(8)]

    def look(picture):
        return drawn.classifier.predict([picture])[0].malignant, drawn.classifier.saliency(picture, malignant=True)

    wanted = [look(picture) for picture in pictures]

    def work(index):
        return look(pictures[index % 8])

    with ThreadPoolExecutor(4) as pool:
        for index, (malignant, where) in enumerate(pool.map(work, range(32))):
            assert malignant == pytest.approx(wanted[index % 8][0], abs=1e-5)
            np.testing.assert_allclose(where, wanted[index % 8][1], atol=1e-4)


def test_a_device_that_is_not_there_is_said(drawn):
    import torch

    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    with pytest.raises(ModelNotAvailable, match="no GPU"):
        type(drawn.classifier).from_folder(drawn.folder, device="cuda")
