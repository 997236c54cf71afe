"""The ImageNet weights are those of the network they are put into: it names what real photographs show."""

import pytest
import timm
import torch
from PIL import Image
from skimage import data

from dermaflux.classification.architecture import Architecture
from dermaflux.domain.errors import ModelNotAvailable
from training import imagenet

CAT, COFFEE = 285, 967  # Egyptian cat, espresso


@pytest.mark.parametrize(("picture", "label"), [(data.chelsea, CAT), (data.coffee, COFFEE)])
def test_they_name_what_is_on_photographs(picture, label):
    network = timm.create_model(imagenet.LITE0).eval()
    imagenet.start_from_imagenet(network)
    pixels = Image.fromarray(picture()).resize((224, 224), Image.Resampling.BICUBIC)
    x = torch.frombuffer(bytearray(pixels.tobytes()), dtype=torch.uint8).view(1, 224, 224, 3)
    with torch.no_grad():
        assert int(network(x.permute(0, 3, 1, 2).float() / 127.5 - 1).argmax()) == label


def test_the_stem_of_the_embedded_vit_takes_them():
    network = Architecture(name="lite0_vit", size_px=64, num_classes=3).build()
    imagenet.start_from_imagenet(network.patch_embed.backbone)
    stem = network.patch_embed.backbone.state_dict()["conv_stem.weight"]
    assert torch.equal(stem, imagenet.imagenet_lite0()["conv_stem.weight"])
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_another_network_is_refused():
    with pytest.raises(ModelNotAvailable, match="do not fit"):
        imagenet.start_from_imagenet(timm.create_model("resnet10t"))


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(imagenet, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(ModelNotAvailable, match="pip install"):
        imagenet.imagenet_lite0()
