import sys
import zipfile

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.nn import torch_files
from gan_forensics.nn.dcgan import Discriminator, Generator
from gan_forensics.nn.tails import TAILS
from gan_forensics.nn.torch_files import check_pickles
from gan_forensics.nn.weight_files import load_weights
from gan_forensics.nn.weights import from_file, from_torch
from tests import oracles_nn

KERNEL_AXES = {"conv": (3, 2, 0, 1), "transposed": (2, 3, 0, 1)}


def generator_state(tail="BASELINE", size=16):
    """Variables of ours, and the state dict that PyTorch would keep of the same network."""
    generator = Generator(size, width=4, tail=tail, latent=6)
    variables = oracles_nn.drawn(generator, (2, 6))
    params, stats = variables["params"], variables["batch_stats"]
    n = len(stats)
    state = {}
    for i in range(n):
        state |= kernel(f"net.{i}.0", params[f"conv_{i}"], "transposed")
        state |= norm(f"net.{i}.1", params[f"norm_{i}"], stats[f"norm_{i}"])
    if tail == "BASELINE":
        state |= kernel(f"net.{n}", params["tail_0"], "transposed")
    else:
        for i in range(int(tail[2])):
            state |= kernel(f"net.{n + 1 + i}", params[f"tail_{i}"], "conv")
    return variables, state


def discriminator_state(normalisation="batch", size=32):
    discriminator = Discriminator(size, width=4, norm=normalisation)
    variables = oracles_nn.drawn(discriminator, (2, size, size, 3))
    params, stats = variables["params"], variables.get("batch_stats", {})
    state = kernel("net.0", params["conv_0"], "conv")
    n = size.bit_length() - 3
    for i in range(1, n):
        state |= kernel(f"net.{i + 1}.0", params[f"conv_{i}"], "conv")
        if normalisation != "none":
            state |= norm(f"net.{i + 1}.1", params[f"norm_{i}"], stats.get(f"norm_{i}"))
    return variables, state | kernel(f"net.{n + 1}", params["logit"], "conv")


def kernel(name, layer, kind):
    state = {f"{name}.weight": np.transpose(layer["kernel"], KERNEL_AXES[kind])}
    if "bias" in layer:
        state[f"{name}.bias"] = np.asarray(layer["bias"])
    return state


def norm(name, layer, stats=None):
    state = {f"{name}.weight": layer["scale"], f"{name}.bias": layer["bias"]}
    if stats is not None:
        state |= {f"{name}.running_mean": stats["mean"], f"{name}.running_var": stats["var"]}
        state |= {f"{name}.num_batches_tracked": np.array(7)}
    return state


def assert_same(variables, expected):
    expected = {"batch_stats": {}, **expected}
    assert jax.tree.structure(variables) == jax.tree.structure(expected)
    jax.tree.map(assert_array_equal, variables, expected)


@pytest.mark.parametrize("tail", TAILS)
def test_generator_weights_find_their_places(tail):
    variables, state = generator_state(tail)
    assert_same(from_torch("dcgan_generator", state), variables)


@pytest.mark.parametrize("normalisation", ["batch", "layer", "instance", "none"])
def test_discriminator_weights_find_their_places(normalisation):
    variables, state = discriminator_state(normalisation)
    assert_same(from_torch("dcgan_discriminator", state), variables)


def test_depth_is_read_from_the_names():
    variables, state = generator_state("B.3.5", size=64)
    assert_same(from_torch("dcgan_generator", state), variables)
    variables, state = discriminator_state("layer", size=16)
    assert_same(from_torch("dcgan_discriminator", state), variables)


def test_weights_become_float32():
    _, state = generator_state()
    state = {name: array.astype(np.float16) for name, array in state.items()}
    leaves = jax.tree.leaves(from_torch("dcgan_generator", state))
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.float32)}


def test_double_precision_is_kept():
    _, state = generator_state()
    state = {name: array.astype(np.float64) for name, array in state.items()}
    leaves = jax.tree.leaves(from_torch("dcgan_generator", state))
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.float64)}


def test_checkpoint_of_the_whole_gan_gives_each_player_its_part():
    g_variables, g_state = generator_state()
    d_variables, d_state = discriminator_state()
    both = {f"G.{k}": v for k, v in g_state.items()} | {f"D.{k}": v for k, v in d_state.items()}
    assert_same(from_torch("dcgan_generator", both), g_variables)
    assert_same(from_torch("dcgan_discriminator", both), d_variables)


@pytest.mark.parametrize(
    ("arch", "state"),
    [
        ("dcgan_generator", generator_state("BASELINE")[1]),
        ("dcgan_generator", generator_state("N.1.3")[1]),
        ("dcgan_generator", generator_state("N.3.5")[1]),
        ("dcgan_discriminator", discriminator_state("batch")[1]),
        ("dcgan_discriminator", discriminator_state("none")[1]),
    ],
)
def test_every_missing_name_is_named(arch, state):
    for name in state:
        rest = {k: v for k, v in state.items() if k != name}
        if name.endswith("num_batches_tracked"):
            from_torch(arch, rest)
            continue
        with pytest.raises(ValueError, match=f"not those of a {arch}") as caught:
            from_torch(arch, rest)
        assert f"missing: {name} [" in str(caught.value)


def test_missing_unknown_and_misshapen_names_come_in_one_error():
    _, state = generator_state("N.1.5")
    del state["net.1.1.running_var"]
    state["net.9.scale"] = np.zeros(3)
    state["net.0.1.bias"] = np.zeros(5)
    with pytest.raises(ValueError, match="dcgan_generator") as caught:
        from_torch("dcgan_generator", state)
    lines = str(caught.value).splitlines()[1:]
    assert [line.strip() for line in lines] == [
        "missing: net.1.1.running_var [4]",
        "unknown: net.9.scale [3]",
        "wrong shape: net.0.1.bias is [5], should be [8]",
    ]


def test_kernel_in_the_layout_of_another_framework_is_refused():
    variables, state = generator_state("N.1.5")
    state["net.3.weight"] = np.asarray(variables["params"]["tail_0"]["kernel"])
    with pytest.raises(ValueError, match=r"wrong shape: net\.3\.weight is \[5, 5, 4, 3\]"):
        from_torch("dcgan_generator", state)


def test_weights_of_another_network_and_empty_ones_are_refused():
    with pytest.raises(ValueError, match="not those of a dcgan_generator"):
        from_torch("dcgan_generator", discriminator_state()[1])
    with pytest.raises(ValueError, match="not those of a dcgan_discriminator"):
        from_torch("dcgan_discriminator", {})


def test_unknown_architecture_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match="dcgan_generator, dcgan_discriminator"):
        from_torch("biggan", {})


# Files ------------------------------------------------------------------------------------------


def test_npz_gives_back_what_was_saved(tmp_path):
    _, state = generator_state()
    np.savez(tmp_path / "weights.npz", **state)
    loaded = load_weights(tmp_path / "weights.npz")
    assert loaded.keys() == state.keys()
    for name, array in state.items():
        assert_array_equal(loaded[name], array)


def test_safetensors_gives_back_what_was_saved(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    _, state = generator_state()
    state = {name: np.ascontiguousarray(array) for name, array in state.items()}
    safetensors.save_file(state, tmp_path / "weights.safetensors")
    loaded = load_weights(tmp_path / "weights.safetensors")
    assert loaded.keys() == state.keys()
    for name, array in state.items():
        assert_array_equal(loaded[name], array)


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return open, (self.mark, "w")


def test_pickled_objects_in_npz_are_refused_and_not_run(tmp_path):
    mark = tmp_path / "mark"
    np.savez(tmp_path / "weights.npz", a=np.array([Bomb(mark)], dtype=object), b=np.zeros(2))
    with pytest.raises(ValueError, match="a holds object values"):
        load_weights(tmp_path / "weights.npz")
    assert not mark.exists()


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 truncated"])
def test_damaged_files_are_reported_with_their_path(tmp_path, suffix, content):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path} cannot be read"):
        load_weights(path)


def test_truncated_npz_is_reported_with_its_path(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, a=np.arange(1000))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=f"{path} cannot be read"):
        load_weights(path)


def test_single_array_named_npz_is_refused(tmp_path):
    path = tmp_path / "weights.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match=f"{path} cannot be read"):
        load_weights(path)


def test_missing_files_and_other_suffixes_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no weights at"):
        load_weights(tmp_path / "weights.npz")
    with pytest.raises(ValueError, match=r"use one of \.npz, \.safetensors, \.pt"):
        load_weights(tmp_path / "weights.h5")


@pytest.mark.parametrize(("suffix", "extra"), [(".pth", "torch"), (".safetensors", "safetensors")])
def test_absent_package_is_answered_with_its_extra(tmp_path, monkeypatch, suffix, extra):
    monkeypatch.setitem(sys.modules, extra, None)
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(b"")
    with pytest.raises(ImportError, match=rf"gan_forensics\[{extra}\]"):
        load_weights(path)


def zipped(path, pickle, method=zipfile.ZIP_STORED, **others):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a/DATA.pkl", pickle)
        for name, data in others.items():
            archive.writestr(f"a/{name}", data)
    return path


@pytest.mark.parametrize("called", ["os\nsystem", "builtins\nset", "collections\nOrderedDicts"])
def test_a_torch_file_that_calls_more_than_weights_need_is_not_given_to_pytorch(called, tmp_path):
    pickle = b"\x80\x02c" + called.encode() + b"\n."
    said = called.replace("\n", ".")
    with pytest.raises(ValueError, match=f"it holds {said}, no weights"):
        check_pickles(zipped(tmp_path / "a.pth", pickle))
    # As PyTorch wrote them before 1.6.
    (tmp_path / "b.pth").write_bytes(b"\x80\x02K\x01." * 3 + pickle + b"\x80\x02K\x01.")
    with pytest.raises(ValueError, match=f"it holds {said}, no weights"):
        check_pickles(tmp_path / "b.pth")
    with pytest.raises(ValueError, match="it holds by.computed.names, no weights"):
        check_pickles(zipped(tmp_path / "a.pth", b"\x80\x04\x8c\x02os\x8c\x06system\x93."))
    check_pickles(zipped(tmp_path / "a.pth", b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n."))


def test_a_torch_file_that_unpacks_or_is_damaged_is_not_given_to_pytorch(tmp_path):
    path = zipped(tmp_path / "a.pth", b".", zipfile.ZIP_DEFLATED, data=bytes(1000))
    with pytest.raises(ValueError, match="unpacks to more than it holds"):
        check_pickles(path)
    for data in (b"", b"no weights", b"PK\3\4", path.read_bytes()[:-30]):
        path.write_bytes(data)
        with pytest.raises(ValueError):
            check_pickles(path)


def test_pickles_of_a_torch_file_have_a_length(tmp_path, monkeypatch):
    # Names are compared without regard to case, and whatever is named so is a pickle.
    pickle = b"\x80\x02" + b"K\x01" * 20 + b"."
    path, old = zipped(tmp_path / "a.pth", pickle, data=b"cos\nsystem\n."), tmp_path / "b.pth"
    old.write_bytes(pickle * 5 + b"cos\nsystem\n.")  # behind them stand the numbers
    monkeypatch.setattr(torch_files, "_MOST_PICKLE", len(pickle))
    check_pickles(path)
    check_pickles(old)
    monkeypatch.setattr(torch_files, "_MOST_PICKLE", len(pickle) - 2)
    with pytest.raises(ValueError, match=f"a pickle of {len(pickle)} bytes"):
        check_pickles(path)
    with pytest.raises(ValueError, match="too long a pickle"):
        check_pickles(old)
    monkeypatch.undo()
    for called in (b"(ios\nsystem\n.", b"\x80\x02cos\x1b[2J\nsystem\n."):
        with pytest.raises(ValueError, match="it holds os.*system, no weights") as refused:
            check_pickles(zipped(tmp_path / "a.pth", called))
        assert str(refused.value).isprintable()
    # Of little that is packed, which PyTorch would unpack.
    packed = zipped(tmp_path / "a.pth", b".", zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="unpacks to more than it holds"):
        check_pickles(packed)
    data = bytearray(zipped(tmp_path / "a.pth", b".", data=b"x").read_bytes())
    at = data.rindex(b"PK\1\2") + 24
    data[at : at + 4] = (2**20).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ValueError, match="unpacks to more than it holds"):
        check_pickles(path)


def test_tensors_of_more_numbers_than_are_stored_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "weights.pth"
    one = torch.zeros(1, dtype=torch.float16)
    odd = {
        "stored": one.expand(10**9),
        "_rebuild_sparse_tensor": torch.zeros(3).to_sparse(),
        "complex": torch.zeros(3, dtype=torch.complex64),
        "PyTorch finds|no weights": torch.zeros(3, device="meta"),
    }
    for said, tensor in odd.items():
        torch.save({"a": tensor}, path)
        with pytest.raises(ValueError, match=said) as refused:
            load_weights(path)
        assert "weights_only" not in str(refused.value) and "\n" not in str(refused.value)
        assert refused.value.__cause__ is None
    many = torch.zeros(2**18)
    torch.save({str(i): many for i in range(9)}, path)
    with pytest.raises(ValueError, match="many times as many numbers"):
        load_weights(path)
    torch.save({"a": many, "b": many, "c": many.bfloat16()}, path)
    assert load_weights(path)["c"].dtype == np.float32
    # As PyTorch wrote them before 1.6.
    torch.save({"a": many}, path, _use_new_zipfile_serialization=False)
    assert load_weights(path)["a"].shape == many.shape


def test_layers_are_no_more_than_a_file_can_have(tmp_path):
    for number in ("999999999", "9" * 5000):
        np.savez(tmp_path / "a.npz", **{f"layer1.{number}.conv1.weight": np.zeros(0, np.float32)})
        state = load_weights(tmp_path / "a.npz")
        with pytest.raises(ValueError, match="a layer of that number cannot be among 1 arrays"):
            from_torch("resnet50", state)


def test_what_is_wrong_is_listed_in_part(tmp_path):
    state = {f"x{i}": np.zeros(1) for i in range(500)}
    with pytest.raises(ValueError, match=r"\n  and \d+ more$") as refused:
        from_torch("dcgan_generator", state)
    assert len(str(refused.value).splitlines()) == 42
    np.savez(tmp_path / "a.npz", **{f"x{i}": b"" for i in range(3)})
    with pytest.raises(ValueError, match="holds bytes. values, not numbers"):
        load_weights(tmp_path / "a.npz")


def test_torch_file_gives_back_what_was_saved(tmp_path):
    torch = pytest.importorskip("torch")
    _, state = generator_state()
    tensors = {name: torch.tensor(np.array(array)) for name, array in state.items()}
    torch.save(tensors, tmp_path / "weights.pth")
    torch.save({"epoch": 3, "state_dict": tensors}, tmp_path / "whole.ckpt")
    for file in ("weights.pth", "whole.ckpt"):
        loaded = load_weights(tmp_path / file)
        assert loaded.keys() == state.keys()
        for name, array in state.items():
            assert_array_equal(loaded[name], array)


def test_torch_file_with_code_or_without_weights_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    mark = tmp_path / "mark"
    torch.save({"a": Bomb(mark)}, tmp_path / "bomb.pt")
    with pytest.raises(ValueError, match="cannot be read"):
        load_weights(tmp_path / "bomb.pt")
    assert not mark.exists()
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    with pytest.raises(ValueError, match="holds no state dict"):
        load_weights(tmp_path / "empty.pt")
    (tmp_path / "text.pt").write_text("not weights")
    with pytest.raises(ValueError, match="cannot be read"):
        load_weights(tmp_path / "text.pt")


# PyTorch twins ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", TAILS)
def test_generator_agrees_with_its_pytorch_twin(tail, rng):
    torch = pytest.importorskip("torch")
    options = dict(size=32, width=4, tail=tail, latent=6)
    twin = oracles_nn.randomise(oracles_nn.torch_generator(**options), seed=3)
    variables = from_torch("dcgan_generator", twin.state_dict())
    z = rng.normal(size=(3, 6)).astype(np.float32)
    generator = Generator(**options)
    z_torch = torch.tensor(z)[:, :, None, None]
    with torch.no_grad():
        inference = twin.eval()["net"](z_torch)
        training = twin.train()["net"](z_torch)
    images = generator.apply(variables, z, train=False)
    assert_allclose(images, inference.permute(0, 2, 3, 1), atol=2e-5, rtol=0)
    images, moved = generator.apply(variables, z, train=True, mutable="batch_stats")
    assert_allclose(images, training.permute(0, 2, 3, 1), atol=1e-4, rtol=0)
    expected = from_torch("dcgan_generator", twin.state_dict())["batch_stats"]
    jax.tree.map(
        lambda a, b: assert_allclose(a, b, atol=1e-5), dict(moved["batch_stats"]), expected
    )


@pytest.mark.parametrize("normalisation", ["batch", "layer", "instance", "none"])
def test_discriminator_agrees_with_its_pytorch_twin(normalisation, rng):
    torch = pytest.importorskip("torch")
    options = dict(size=32, width=4, norm=normalisation)
    twin = oracles_nn.randomise(oracles_nn.torch_discriminator(**options), seed=4)
    variables = from_torch("dcgan_discriminator", twin.state_dict())
    x = rng.uniform(-1, 1, size=(4, 32, 32, 3)).astype(np.float32)
    discriminator = Discriminator(**options)
    x_torch = torch.tensor(x.transpose(0, 3, 1, 2))
    with torch.no_grad():
        inference = twin.eval()["net"](x_torch)
        training = twin.train()["net"](x_torch)
    logits = discriminator.apply(variables, x, train=False)
    assert_allclose(logits, inference.flatten(), atol=2e-5, rtol=1e-5)
    logits, _ = discriminator.apply(variables, x, train=True, mutable="batch_stats")
    assert_allclose(logits, training.flatten(), atol=1e-4, rtol=1e-5)


def test_weights_of_another_network_are_refused_by_the_name_of_their_file(tmp_path):
    np.savez(tmp_path / "w.npz", **{"layer1.999999999.conv1.weight": np.zeros(1, np.float32)})
    with pytest.raises(ValueError, match=r"w\.npz: .*cannot be among 1 arrays"):
        from_file("resnet50", tmp_path / "w.npz")


def test_a_file_of_weights_has_at_most_so_many_arrays(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", a=np.zeros(1), b=np.zeros(1))
    monkeypatch.setattr("gan_forensics.nn.weight_files.MOST_ARRAYS", 2)
    assert len(load_weights(tmp_path / "a.npz")) == 2
    monkeypatch.setattr("gan_forensics.nn.weight_files.MOST_ARRAYS", 1)
    with pytest.raises(ValueError, match="it has 2 arrays, more than the 1"):
        load_weights(tmp_path / "a.npz")
