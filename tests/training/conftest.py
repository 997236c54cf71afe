"""A drawn data set in the shape of the real one, for trainers that learn from captioned pictures; who captions them."""

import contextlib
import csv
import http.server
import io
import json
import threading
import zipfile
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest
from dermaflux.provenance import from_generated, png_bytes
from training.classifier_config import DataConfig
from training.study_config import PRESETS


def jpeg(radius, colour):
    image = Image.new("RGB", (64, 64), (225, 190, 170))
    ImageDraw.Draw(image).ellipse([32 - radius, 32 - radius, 32 + radius, 32 + radius], fill=colour)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def drawn_ham(tmp_path_factory):
    """A drawn data set in HAM10000's shape: dark large melanomas, pale small nevi, one row not measurable."""
    folder = tmp_path_factory.mktemp("ham")
    names = [f"P{i:02d}" for i in range(24)]
    with zipfile.ZipFile(folder / "ham10000_224.zip", "w") as archive:
        for i, name in enumerate(names):
            archive.writestr(f"images/{name}.jpg", jpeg(22, (50, 25, 15)) if i % 4 == 0 else jpeg(10, (150, 90, 60)))
    zipfile.ZipFile(folder / "ham10000_200x150.zip", "w").close()
    columns = ["image_id", "lesion_id", "split", "dx", "malignant", "dx_type", "age", "sex", "localization"]
    with (folder / "ham10000.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(columns)
        for i, name in enumerate(names):
            split = "val" if i >= 16 else "train"
            writer.writerow([name, f"L{i}", split, "mel" if i % 4 == 0 else "nv", 0, "histo", "50", "male", "back"])
    measured = folder / "measured.csv"
    with measured.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["image_id", "archive", "asymmetry", "border", "colours", "refused", "ita_degrees"])
        for i, name in enumerate(names):
            dark = i % 4 == 0
            values = ["", "", "", "touches the frame", ""] if i == 1 else [
                1.6 if dark else 0.1, 6 if dark else 0, "dark brown|black" if dark else "light brown", "", "45"
            ]  # fmt: skip
            writer.writerow([name, 224, *values])
    return folder


@pytest.fixture(scope="session")
def write_synthetic():
    """Writes a picture that says it is synthetic."""
    return _write_synthetic


def _write_synthetic(path, diagnosis="mel"):
    """A drawn lesion, dark for a melanoma, that says what it was asked to show; diagnosis None for a free caption."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(path.name.encode())
    image = Image.new("RGB", (24, 24), (220, 180, 160))
    ImageDraw.Draw(image).ellipse([5, 5, 18, 18], fill=(50, 30, 30) if diagnosis == "mel" else (180, 120, 100))
    pixels = np.asarray(image) + np.random.default_rng(seed).normal(scale=6, size=(24, 24, 3))
    spec = LesionSpec(asymmetry=1, border=4, colours=("red", "black"), diagnosis=diagnosis) if diagnosis else None
    request = SamplingRequest(
        caption="a lesion", spec=spec, seed=seed, num_images=1, model="drawn", num_steps=4, guidance_scale=1.0,
        contrast_scale=0.0, size_px=128,
    )  # fmt: skip
    generated = GeneratedImage(
        image=Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), image_index=0, seed=seed, request=request,
        seconds=0.1, identity=ModelIdentity(model="drawn", model_sha256="0" * 64),
    )  # fmt: skip
    path.write_bytes(png_bytes(generated.image, from_generated(generated)))


class ChatServer:
    """A real HTTP server in OpenAI's chat format. `reply(body, nth)` answers the nth request (from 0) of a picture.

    It returns a text, or (status, bytes), or (status, bytes, headers), and may sleep or wait. `bodies` are what came.
    """

    def __init__(self):
        self.bodies, self.headers, self.counts = [], [], Counter()
        self.reply = lambda body, nth: "A symmetrical lesion with a smooth border. It is dark brown."
        outer, self._lock = self, threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                picture = body["messages"][0]["content"][0]["image_url"]["url"]
                with outer._lock:
                    nth = outer.counts[picture]
                    outer.counts[picture] += 1
                    outer.bodies.append(body)
                    outer.headers.append((self.path, dict(self.headers)))
                said = outer.reply(body, nth)
                if isinstance(said, str):
                    choice = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
                    said = 200, json.dumps({"choices": [choice]}).encode()
                status, data, *more = said
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # who waited has gone
                    self.send_response(status)
                    for name, value in (more[0] if more else {}).items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def chat_server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ChatServer()
    yield server
    server.close()


@pytest.fixture
def clinic(tmp_path):
    """A user's own folder of 12 drawn lesions, each with pixels of its own: c00 to c11, nv and mel."""
    folder = tmp_path / "clinic"
    folder.mkdir()
    rows = ["file_name,diagnosis,split,age,sex,site"]
    for i in range(12):
        image = Image.new("RGB", (96, 72), (225, 190, 170 + i))
        ImageDraw.Draw(image).ellipse([30, 20, 62 + i % 3, 52], fill=(120, 70, 45))
        image.save(folder / f"c{i:02d}.png")
        rows.append(f"c{i:02d}.png,{'mel' if i % 2 else 'nv'},train,60,female,back")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    return folder


MLLAMA_WORDS = (
    "the", "lesion", "shows", "no", "pronounced", "asymmetry", "jagged", "border", "smooth", "symmetrical", "dark",
    "brown", "black", "white", "red", ".",
)  # fmt: skip


@pytest.fixture(scope="session")
def tiny_mllama(tmp_path_factory):
    """A random Llama 3.2 Vision of a few thousand weights, saved with its tokenizer and image processor."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        MllamaConfig,
        MllamaForConditionalGeneration,
        MllamaProcessor,
        PreTrainedTokenizerFast,
    )
    from transformers.models.mllama.configuration_mllama import MllamaTextConfig, MllamaVisionConfig
    from transformers.models.mllama.image_processing_mllama import MllamaImageProcessor

    words = ["<pad>", "<bos>", "<eos>", "<unk>", "<|python_tag|>", *MLLAMA_WORDS, "<|image|>"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>",
        additional_special_tokens=["<|image|>", "<|python_tag|>"],
    )  # fmt: skip
    template = (
        "{{ bos_token }}{% for m in messages %}{% for c in m['content'] %}"
        "{% if c['type'] == 'image' %}<|image|>{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endfor %}"
    )
    vision = MllamaVisionConfig(
        hidden_size=16, num_hidden_layers=1, num_global_layers=1, attention_heads=2, intermediate_size=16,
        vision_output_dim=32, image_size=28, patch_size=14, max_num_tiles=4, intermediate_layers_indices=[0],
    )  # fmt: skip
    text = MllamaTextConfig(
        vocab_size=len(words) - 1, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=32, cross_attention_layers=[1], bos_token_id=1, eos_token_id=2, pad_token_id=0,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, max_position_embeddings=512,
    )  # fmt: skip
    torch.manual_seed(0)
    model = MllamaForConditionalGeneration(
        MllamaConfig(vision_config=vision, text_config=text, image_token_index=len(words) - 1)
    )
    with torch.no_grad():  # louder than at their start, so that the picture matters
        for weight in model.parameters():
            weight.mul_(8 if weight.ndim > 1 else 1).add_(0.5 if weight.numel() == 1 else 0)  # gates start at 0
    folder = tmp_path_factory.mktemp("mllama")
    model.save_pretrained(folder)
    pictures = MllamaImageProcessor(size={"height": 28, "width": 28}, max_image_tiles=4)
    MllamaProcessor(pictures, fast, chat_template=template).save_pretrained(folder)
    return folder


@pytest.fixture
def small_study(data_dir, tmp_path, write_synthetic):
    """A study of a toy network on the real data's shape: few pictures, two arms."""
    for index in range(40):
        names = ("mel", "nv", "bkl", "df", "vasc", "bcc", "akiec")
        write_synthetic(tmp_path / "sources" / "flow" / f"{index:02}.png", names[index % 7])
    smoke = PRESETS["smoke"][1]
    return replace(
        smoke, runs_dir=tmp_path / "runs", sources_dir=tmp_path / "sources", device="cpu", precision="fp32",
        data=DataConfig(data_dir=data_dir, frame_px=(48, 48), limit=60), size_px=32, seeds=(0,),
    )  # fmt: skip
