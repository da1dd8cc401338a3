"""Seeds of fuzzing: small, good files of everything but pictures that is read from outside."""

import hashlib
import io
import json
import struct
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from tests.fuzz_mutators import zipped

PICTURES = ("real/a/0.png", "real/a/1.png", "gan/b/0.png", "gan/b/1.png")


def _npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
    return file.getvalue()


def _saved(save: Callable[[Path], object], suffix: str) -> bytes:
    """The bytes of a file that something writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"seed{suffix}"
        save(path)
        return path.read_bytes()


def beside_list(folder: Path) -> None:
    """The pictures that lists name."""
    for number, name in enumerate(PICTURES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 2, 3)).save(folder / name)


def sources() -> list[bytes]:
    """Archives of images and of points."""
    draw = np.random.default_rng(1)
    image = draw.integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
    return [
        _npz(image=image, label=np.arange(6)),
        _npz(x=image[..., 0], y=np.array([0, 1] * 3, np.int32)),
        _npz(point=draw.normal(size=(9, 2)).astype(np.float32)),
    ]


def _pictures() -> list[tuple[str, bytes]]:
    pictures = []
    for number in range(3):
        file = io.BytesIO()
        Image.new("RGB", (4, 4), (number, 2, 3)).save(file, "PNG")
        pictures.append((f"a/{number}.png", file.getvalue()))
    return [*pictures, ("a/3.json", b"{}")]


def tars() -> list[bytes]:
    """Archives of pictures, with long names and without."""

    def packed(form: int, prefix: str) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=form) as archive:
            for name, data in _pictures():
                info = tarfile.TarInfo(prefix + name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return file.getvalue()

    return [packed(tarfile.USTAR_FORMAT, ""), packed(tarfile.PAX_FORMAT, "é" * 120),
            packed(tarfile.GNU_FORMAT, "x" * 120)]  # fmt: skip


def zips() -> list[bytes]:
    """Archives of pictures, packed and as they are."""
    return [zipped(_pictures(), compressed=compressed) for compressed in (True, False)]


def parquets() -> list[bytes]:
    """Tables of pictures."""
    import pyarrow
    from pyarrow import parquet

    data = [data for _, data in _pictures()]
    files = []
    for column in (data, [{"bytes": each, "path": "a.png"} for each in data]):
        file = io.BytesIO()
        parquet.write_table(pyarrow.table({"image": column, "label": [1, 2, 3, None]}), file)
        files.append(file.getvalue())
    return files


def _state() -> dict[str, np.ndarray]:
    """The first arrays of a network of PyTorch's."""
    draw = np.random.default_rng(2)
    shapes = {
        "conv1.weight": (4, 3, 3, 3), "bn1.weight": (4,), "bn1.running_var": (4,),
        "layer1.0.conv1.weight": (4, 4, 3, 3), "layer1.0.bn1.bias": (4,), "fc.weight": (2, 4),
        "fc.bias": (2,),
    }  # fmt: skip
    return {name: draw.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def weights() -> list[bytes]:
    """Weights as .npz."""
    return [_npz(**_state()), _npz(**{"net.0.weight": np.ones((8, 4, 4, 4), np.float32)})]


def safetensors() -> list[bytes]:
    """Weights as .safetensors."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, array in _state().items():
        end = len(data) + array.nbytes
        header[name] = {"dtype": "F32", "shape": [*array.shape], "data_offsets": [len(data), end]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    small = b'{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}'
    return [
        len(text).to_bytes(8, "little") + text + data,
        len(small).to_bytes(8, "little") + small + b"\0\0\0<",
    ]


def torch() -> list[bytes]:
    """Weights as .pth, of PyTorch's two formats; none where PyTorch is missing."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        return []
    state = {name: torch.from_numpy(array) for name, array in _state().items()}
    whole = {"state_dict": {f"G.{name}": array for name, array in state.items()}, "epoch": 3}

    def saved(value: object, **options: bool) -> bytes:
        file = io.BytesIO()
        torch.save(value, file, **options)
        return file.getvalue()

    return [saved(state), saved(whole), saved(state, _use_new_zipfile_serialization=False)]


def tables() -> list[bytes]:
    """Tables with a header, such as pandas writes."""
    rows = "".join(f"{i},{i / 7:.4g},{-i},{i % 3 == 0:d}\n" for i in range(20))
    return [f",first,second,label\n{rows}".encode(), b"a,b\n1,2\n3,4e-3\n", b"\xef\xbb\xbfa\n1\n"]


def table_archives() -> list[bytes]:
    """Tables as .npz."""
    x = np.random.default_rng(3).normal(size=(12, 3))
    return [_npz(X=x, label=np.arange(12) % 2), _npz(x=x.astype(np.float32), names=np.array(["a"]))]


def mats() -> list[bytes]:
    """Tables as MATLAB has them."""
    from scipy.io import savemat

    x = np.random.default_rng(4).normal(size=(12, 3))
    found = []
    for options in ({"do_compression": True}, {}, {"format": "4"}):
        file = io.BytesIO()
        savemat(file, {"X": x, "label": np.arange(12.0) % 2, "other": np.ones((2, 2))}, **options)
        found.append(file.getvalue())
    file = io.BytesIO()
    savemat(file, {"X": x, "cells": np.array([1, "a"], object), "structure": {"a": 1}, "text": "b"})
    return [*found, file.getvalue()]


def idx() -> list[bytes]:
    """Images as MNIST has them."""
    pixels = np.random.default_rng(5).integers(0, 256, (5, 6, 7)).astype(np.uint8).tobytes()
    return [struct.pack(">4B3I", 0, 0, 8, 3, 5, 6, 7) + pixels]


def lists() -> list[bytes]:
    """Lists of `PICTURES`."""
    plain = "".join(f"{name}\n" for name in PICTURES)
    labelled = "".join(f"{name},{i % 2}\n" for i, name in enumerate(PICTURES))
    columns = "".join(f"{name},cat,{i}\n" for i, name in enumerate(PICTURES))
    return [plain.encode(), labelled.encode(), f"path,label,photo\n{columns}".encode()]


def attributed() -> list[bytes]:
    """Lists with sources."""
    rows = "".join(f"{name},{int(name[0] == 'g')},{i % 2}\n" for i, name in enumerate(PICTURES))
    more = "".join(f"{name},{int(name[0] == 'g')},0,a,1\n" for name in PICTURES)
    header = b"path,label,dlabel"
    return [header + b"\n" + rows.encode(), header + b",semantic,instance\n" + more.encode()]


def faces() -> list[bytes]:
    """A wireframe face, the one that comes with the package."""
    from gan_forensics.faces.candide import load_wireframe
    from gan_forensics.faces.wfm import write_wfm

    whole = _saved(lambda path: write_wfm(path, load_wireframe()), ".wfm")
    small = (
        b"# VERTEX LIST:\n3\n0 0 0\n1 0 0\n0 1 0.5\n\n# FACE LIST:\n1\n0 1 2\n\n"
        b"# ANIMATION UNITS LIST:\n1\n# jaw\n1\n2 0 0.1 0\n\n# SHAPE UNITS LIST:\n0\n\n"
        b"# END OF FILE\n"
    )
    return [whole, small, small]


def landmarks() -> list[bytes]:
    """Landmarks of a face."""
    rows = "".join(f"{i},{10 + i * 1.5},{20 + i * i % 37}\n" for i in range(68))
    return [f"point,x,y\n{rows}".encode()]


def tracks() -> list[bytes]:
    """Poses by frame, and a track."""
    rows = "".join(f"{i},{i / 10},landmarks,{i},{-i},0.5\n" for i in range(9))
    return [f"frame,time,init,yaw,pitch,roll\n{rows}".encode(), b"frame,yaw,pitch,roll\n0,1,2,3\n"]


def parallel() -> list[bytes]:
    """Sentences."""
    return [b"one\ntwo\nthree blind mice\n", "eins\nzwei\ndrei blinde Mäuse\n".encode()]


_MESSAGES = (("", "Content-Type: text/plain; charset=UTF-8\n"), ("a cat", "eine Katze"),
             ("menu\4open %s", "%s öffnen"), ("file\0files", "Datei\0Dateien"))  # fmt: skip


def catalogues_mo() -> list[bytes]:
    """A compiled catalogue."""
    sides = [[text.encode() for text in side] for side in zip(*_MESSAGES, strict=True)]
    count = len(_MESSAGES)
    tables, texts, at = b"", b"", 28 + 16 * count
    for side in sides:
        for text in side:
            tables += struct.pack("<2I", len(text), at + len(texts))
            texts += text + b"\0"
    return [struct.pack("<7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, 0) + tables + texts]


def catalogues_po() -> list[bytes]:
    """A catalogue as text."""
    return [
        b'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n#: a.c:3\n\n'
        b'msgid "a black cat"\nmsgstr "eine schwarze Katze"\n\nmsgctxt "menu"\n'
        b'msgid "open the file %s"\nmsgstr "die Datei %s auf"\n\nmsgid "file"\n'
        b'msgid_plural "files"\nmsgstr[0] "Datei"\n'
        b'msgstr[1] "Dateien"\n\n#~ msgid "old"\n#~ msgstr "alt"\n'
    ]


def vocabularies() -> list[bytes]:
    """Vocabularies of translators."""
    from gan_forensics.data.vocabulary import train_vocabulary

    text = ["one two three four", "drei blinde Mäuse", "five six seven"]
    return [train_vocabulary(text, size=40, kind=kind).model for kind in ("unigram", "bpe", "char")]


def detectors() -> list[bytes]:
    """Detectors: of spectra by two classifiers, and a network."""
    import jax
    from flax.traverse_util import flatten_dict

    from gan_forensics.forensics.calibration import Calibration, Measured, Rate, Tier
    from gan_forensics.forensics.calibrators import fit_calibrator
    from gan_forensics.forensics.decisions import Classifier
    from gan_forensics.forensics.detectors import SpectralDetector
    from gan_forensics.forensics.features import FEATURES
    from gan_forensics.forensics.neural import NeuralDetector, init_variables, make_network
    from gan_forensics.forensics.preprocessing import Preprocessing

    rate = Rate(1, 20, None, 0.05, 0.001, 0.25)
    tiers = (Tier("clean", 12, 12), Tier("hard", 12, 12, "too few"))
    known = Calibration(10, 10, 20, None, 0.05, 0, (Measured("none", rate, rate, 0.9),), tiers)
    scores = np.random.default_rng(7).normal(size=24)
    calibrators = {"clean": fit_calibrator(scores[:12], scores[12:] + 1)}
    pixels = np.random.default_rng(6).integers(0, 256, (1, 8, 8, 3)).astype(np.uint8)
    facts = {"real": {"name": "photographs", "n": 10}, "augment": ["jpeg"]}

    def spectral(name: str, kind: str) -> SpectralDetector:
        """One that brings pictures of any size to its own."""
        d = FEATURES[name](pixels).shape[1]
        arrays = {
            "linear": {"weights": np.ones(d), "intercept": np.float64(1)},
            "neighbours": {
                "points": np.ones((4, d)), "generated": np.arange(4.0) % 2, "k": np.float64(3),
            },
        }[kind]  # fmt: skip
        model = Classifier(kind, np.zeros(d), np.ones(d), arrays)
        return SpectralDetector(
            name, "logistic" if kind == "linear" else "knn", (8, 8, 3), model, 0.5, known,
            preprocessing=Preprocessing(size=8), facts=facts, calibrators=calibrators,
        )  # fmt: skip

    settings = {"width": 1}
    shapes = jax.eval_shape(
        lambda: init_variables(make_network("resnet_small", settings), jax.random.key(0))
    )
    flat = flatten_dict(shapes, sep="/")
    arrays = {name: np.zeros(leaf.shape, np.float32) for name, leaf in flat.items()}
    neural = NeuralDetector(
        "resnet_small", arrays, 0.1, known, settings, facts, calibrators=calibrators
    )
    some = [spectral("durall", "linear"), spectral("dct", "neighbours")] * 2
    return [_saved(detector.save, ".npz") for detector in (*some, neural)]


def bands() -> list[bytes]:
    """Bands of spectra, of one set and of two."""
    from gan_forensics.forensics.format_audit import SIZES
    from gan_forensics.forensics.spectrum_bands import CODECS, make_bands
    from gan_forensics.spectra import ring_radii

    curves = np.random.default_rng(1).random((6, len(ring_radii(32, 32))))
    one = {(CODECS[0], SIZES[0]): curves, (CODECS[1], SIZES[2]): curves}
    sets = {"photos": one}, {"photos": one, "progan": one}
    return [_saved(make_bands(each, side=32, normalise="min-max").save, ".npz") for each in sets]


def attributors() -> list[bytes]:
    """Attributors by two classical methods."""
    from gan_forensics.forensics.attribution import Attributor
    from gan_forensics.forensics.attribution_files import write_attributor
    from gan_forensics.forensics.attribution_model import Outputs
    from gan_forensics.forensics.eigenface import EigenfaceModel, NeighboursModel
    from gan_forensics.forensics.eigenspace import Eigenspace
    from gan_forensics.forensics.preprocessing import Preprocessing

    side, rank, classes = 4, 2, 3
    ones = np.ones((rank, side * side * 3), np.float32)
    space = Eigenspace("pixels", ones[0], ones, None, (side, side))
    machine = EigenfaceModel(
        space, np.ones((classes, rank), np.float32), np.zeros(classes, np.float32),
        {"share": 0.5, "penalty": 0.1, "validation_accuracy": 0.7},
    )  # fmt: skip
    near = NeighboursModel(
        space, np.ones((6, rank), np.float32), np.arange(6) % classes, classes,
        {"k": 3, "share": 0.95, "validation_accuracy": 0.7},
    )  # fmt: skip
    gallery = Outputs(np.zeros((4, classes), np.float32), np.zeros((4, rank), np.float32))
    found = []
    for method, model in (("eigenface", machine), ("neighbours", near)):
        attributor = Attributor(
            names=("real", "a GAN", "another"), real="real", method=method, model=model,
            image_shape=(side, side, 3), preprocessing=Preprocessing(size=side), temperature=1.5,
            threshold=-0.5, accepted=0.95, gallery=gallery, gallery_labels=np.array([0, 1, 2, 0]),
            fitted_on=np.arange(5, dtype=np.uint64), facts={"seed": 12},
        )  # fmt: skip
        found.append(_saved(lambda path, one=attributor: write_attributor(path, one), ".npz"))
    return found


def configs() -> list[bytes]:
    """Settings of runs."""
    from gan_forensics.forensics.neural_config import DetectorConfig
    from gan_forensics.gans import GanConfig

    gan = {"gan": asdict(GanConfig("dcgan", "samples:digits", size=16, width=4, latent=8))}
    points = {"gan": asdict(GanConfig("gn-gan", "toy:grid9", batch_size=8, dimensions=2))}
    run = {"detector": asdict(DetectorConfig("resnet_small")), "data": {"real": "a", "fake": "b"}}
    return [json.dumps(one).encode() for one in (gan, points, run)]


def results() -> list[bytes]:
    """Results of runs, with all that makes a figure."""
    from gan_forensics.forensics.temperature import Bin

    bins = [Bin(0.8, 1.0, 9, 0.9, 0.8, 0.7, 0.95)._asdict()] * 3
    whole = {
        "fid": 12.5, "protocol": {"n": 64, "features": {"name": "random", "digest": "ab"}},
        "bypass": [{"tail": "N.1.5", "rate": 0.5, "n": 9}, {"tail": "Z.1.5", "rate": None}],
        "spectra": {"real": {"mean": [1.0, 0.5, 0.2], "std": [0.1, 0.1, 0.1]}},
    }  # fmt: skip
    return [json.dumps(one).encode() for one in (whole, {"reliability": {"a": bins}}, whole)]


def data_records() -> list[bytes]:
    """What runs say of their data."""
    data = {"data": "folder:a", "used": ["a.png", "b.png"], "left_out": {"not an image": 2}}
    return [json.dumps({**data, "skipped": {"a.png": "damaged"}, "n": 7}).encode()]


def metrics() -> list[bytes]:
    """What runs measured."""
    lines = [{"step": i, "g/loss": 1 / (i + 1), "test/accuracy": 0.5} for i in range(8)]
    ada = [{"step": 1, "discriminator/ada_p": 0.1, "discriminator/ada_r": 0.3}, {"step": 2}]
    return ["".join(json.dumps(line) + "\n" for line in some).encode() for some in (lines, ada)]


def runs() -> list[bytes]:
    """A whole run folder with a checkpoint, of a GAN that was not trained, as a zip archive."""
    import jax
    import jax.numpy as jnp

    from gan_forensics.gans import GanConfig
    from gan_forensics.gans.building import build
    from gan_forensics.train.checkpoint import Checkpoints

    config = GanConfig("dcgan", "samples:digits", size=16, width=2, latent=4, channels=1)
    shapes = jax.eval_shape(lambda: build(config).learner.start(0))
    key = jax.dtypes.prng_key
    state = jax.tree.map(
        lambda x: (
            jax.random.key(0) if jnp.issubdtype(x.dtype, key) else jnp.zeros(x.shape, x.dtype)
        ),
        shapes,
    )
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        (run / "config.json").write_text(json.dumps({"gan": asdict(config)}))
        checkpoints = Checkpoints(run)
        checkpoints.save(state, {"batches": 0})
        checkpoints.close()
        files = sorted(path for path in run.rglob("*") if path.is_file())
        parts = [(str(path.relative_to(run)), path.read_bytes()) for path in files]
    return [zipped(parts, compressed=False)]


def links() -> list[bytes]:
    """Nothing yet: `fuzz_mutators.of_links` draws what a run folder holds."""
    return [b"[]"]


def beside_manifest(folder: Path) -> None:
    """The files that manifests name."""
    (folder / "state" / "d").mkdir(parents=True)
    (folder / "state" / "d" / "0").write_bytes(b"arrays")
    (folder / "_CHECKPOINT_METADATA").write_bytes(b"{}")


def manifests() -> list[bytes]:
    """The manifest of a checkpoint."""
    files = {"state/d/0": b"arrays", "_CHECKPOINT_METADATA": b"{}"}
    record = {n: [len(data), hashlib.sha256(data).hexdigest()] for n, data in files.items()}
    return [json.dumps(record).encode()]


def benchmarks() -> list[bytes]:
    """The provenance of a benchmark."""
    lists = {"names": ["real", "a"], "seen": ["cat"], "unseen": ["dog"]}
    return [json.dumps({**lists, "real": "real", "made": {"seed": 0}}).encode()]


def face_weights() -> list[bytes]:
    """The manifest of a network of landmarks."""
    from gan_forensics.faces.faceapi import shapes

    entries = [
        {"name": name, "shape": [*shape], "dtype": "float32",
         "quantization": {"dtype": "uint8", "scale": 0.01, "min": -1.0}}
        for name, shape in shapes().items()
    ]  # fmt: skip
    return [json.dumps([{"paths": ["shard1"], "weights": entries}]).encode()]


def beside_face_weights(folder: Path) -> None:
    """The bytes that such a manifest counts."""
    from gan_forensics.faces.faceapi import shapes

    (folder / "shard1").write_bytes(bytes(sum(int(np.prod(s)) for s in shapes().values())))


def videos() -> list[bytes]:
    """Short clips of three containers; none where OpenCV is missing."""
    try:
        import cv2
    except ImportError:
        return []

    from gan_forensics.faces.video import write_video

    pictures = [np.full((32, 32, 3), 40 * number, np.uint8) for number in range(3)]

    def clip(path: Path, code: str) -> None:
        video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 10, (32, 32))
        for picture in pictures:
            video.write(picture)
        video.release()

    def web(path: Path) -> None:
        with write_video(path, 10) as video:
            for picture in pictures:
                video.append(picture)

    return [
        _saved(lambda path: clip(path, "MJPG"), ".avi"),
        _saved(lambda path: clip(path, "mp4v"), ".mp4"),
        _saved(web, ".webm"),
    ]
