"""Released files by their names, the tiles of sheets, and generators from checkpoints."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from gan_forensics.nn.tails import TAILS
from gan_forensics.studies import released
from gan_forensics.studies.released import (
    draw,
    find_released,
    order,
    read_generator,
    read_sheet,
    spectral_rows,
)
from tests.test_nn_weights import generator_state


@pytest.fixture
def touch(tmp_path):
    def made(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return made


@pytest.mark.parametrize(
    ("name", "method", "tail"),
    [
        ("dcgan/N.1.5.png", "dcgan", "N.1.5"),
        ("celeba_lsgan_BASELINE.pt", "lsgan", "BASELINE"),
        ("WGAN-GP/Z_3_5/samples.PNG", "wgan-gp", "Z.3.5"),
        ("wgan_gp-b135.ckpt", "wgan-gp", ""),
        ("checkpoints_wgan/celeba/b-1-7/epoch_40.npz", "wgan-gp", "B.1.7"),
        ("LSGAN n15 lsgan.safetensors", "lsgan", "N.1.5"),
        ("dcgan/old N.1.3/Baseline.pth", "dcgan", "BASELINE"),
        ("lsgan/dcgan_Z.1.3.png", "dcgan", "Z.1.3"),
    ],
)
def test_names_say_family_and_set_up_the_nearest_first(name, method, tail, touch):
    folder = touch(name)
    if not tail:
        with pytest.raises(ValueError, match="b135.ckpt: of no one set-up"):
            find_released(folder)
        return
    [found], skipped = find_released(folder)
    assert (found.method, found.tail, skipped) == (method, tail, {})
    assert found.is_sheet == name.lower().endswith("png")
    assert found.tail in TAILS
    assert find_released(folder / name) == ([found], {})


def test_files_that_say_neither_are_skipped_with_their_reason(touch):
    others = ["dcgan/real.png", "N.1.5.png", "dcgan/N.1.5.jpg", "dcgan/N.1.5 Z.1.5.png"]
    others += ["stargan/N.1.5.pt", "dcgan/N.2.5.png", "dcgan/unbaselined.png"]
    folder = touch("dcgan/N.1.5.png", *others)
    found, skipped = find_released(folder)
    assert len(found) == 1
    reasons = {str(path.relative_to(folder)): reason for path, reason in skipped.items()}
    assert reasons.keys() == set(others)
    assert "N.1.5 and Z.1.5" in reasons["dcgan/N.1.5 Z.1.5.png"]
    assert "neither sheets" in reasons["dcgan/N.1.5.jpg"]
    assert "GAN family" in reasons["stargan/N.1.5.pt"] and "GAN family" in reasons["N.1.5.png"]


def test_folders_without_released_files_and_two_of_one_set_up_are_refused(touch, tmp_path):
    with pytest.raises(ValueError, match="such as dcgan/N.1.5.png or dcgan_N.1.5.pt .it is empty"):
        find_released(tmp_path)
    with pytest.raises(FileNotFoundError, match="gone"):
        find_released(tmp_path / "gone")
    folder = touch("celeba/dcgan/N.1.5.pt", "lsun/dcgan/N.1.5.pt", "lsun/dcgan/N.1.5.png")
    with pytest.raises(ValueError, match="are both of dcgan N.1.5: give a folder with one"):
        find_released(folder)
    assert len(find_released(folder / "lsun")[0]) == 2


def test_set_ups_stand_as_in_the_papers_table(touch):
    found, _ = find_released(touch("lsgan/N.1.3.png", "dcgan/Z.1.5.png", "dcgan/BASELINE.png"))
    assert [(e.method, e.tail) for e in sorted(found, key=order)] == [
        ("dcgan", "BASELINE"), ("dcgan", "Z.1.5"), ("lsgan", "N.1.3"),
    ]  # fmt: skip


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_is_cut_into_its_tiles_row_by_row(channels, tmp_path, rng):
    tiles = rng.integers(0, 256, (9, 128, 128, channels), np.uint8)
    rows = [np.concatenate(tiles[i : i + 3], axis=1) for i in (0, 3, 6)]
    sheet = np.concatenate(rows, axis=0)
    Image.fromarray(sheet[..., 0] if channels == 1 else sheet).save(tmp_path / "sheet.png")
    assert_array_equal(read_sheet(tmp_path / "sheet.png"), np.broadcast_to(tiles, (9, 128, 128, 3)))


def test_a_sheet_of_another_size_is_refused_with_the_size_expected(tmp_path):
    Image.fromarray(np.zeros((390, 384), np.uint8)).save(tmp_path / "sheet.png")
    with pytest.raises(ValueError, match="390x384; a released sheet is 384x384, 3x3 tiles of 128"):
        read_sheet(tmp_path / "sheet.png")


def test_the_end_of_spectra_is_that_of_each_image_and_nan_of_flat_ones(rng):
    # White noise and its smoothed copy: one spectrum ends high, the other low.
    noise = rng.integers(60, 200, (1, 64, 64, 3)).astype(np.uint8)
    smooth = noise.astype(float)
    for axis in (1, 2):
        smooth = (smooth + np.roll(smooth, 1, axis)) / 2
    flat = np.full_like(noise, 9)
    rows = spectral_rows(np.concatenate([noise, smooth.astype(np.uint8), flat]))
    assert rows[0]["curve_end"] > 0.3 > rows[1]["curve_end"] >= 0
    assert rows[0]["end"] > 5 * rows[1]["end"]
    assert all(np.isnan(value) for value in rows[2].values())


@pytest.fixture(scope="module", params=["BASELINE", "N.1.5"])
def checkpoint(request, tmp_path_factory):
    variables, state = generator_state(request.param)
    path = tmp_path_factory.mktemp("checkpoints") / "whole.npz"
    np.savez(path, **{f"G.{name}": array for name, array in state.items()}, **{"D.x": np.zeros(2)})
    return path, request.param, variables


def test_a_generator_is_read_and_draws_as_released(checkpoint, monkeypatch):
    path, tail, variables = checkpoint
    generator, read = read_generator(path, tail)
    assert (generator.size, generator.width, generator.latent) == (16, 4, 6)
    monkeypatch.setattr(released, "BATCH", 3)
    drawn = draw(generator, read, 5, seed=3)
    noise = np.random.default_rng(3).standard_normal((5, 6), np.float32)
    images = jax.jit(lambda z: generator.apply(variables, z, train=False))(noise)
    expected = np.floor(255 * (0.5 * np.asarray(images, np.float64) + 0.5))
    assert np.abs(drawn - expected).max() <= 1 and (drawn == expected).mean() > 0.99
    assert drawn.dtype == np.uint8 and drawn.shape == (5, 16, 16, 3) and drawn.std() > 1


def test_weights_of_another_tail_and_other_networks_are_refused(checkpoint, tmp_path):
    path, tail, _ = checkpoint
    for wrong in {"BASELINE", "N.1.5", "N.3.5"} - {tail}:
        with pytest.raises(ValueError, match=f"named after {wrong}, whose tail has"):
            read_generator(path, wrong)
    np.savez(tmp_path / "other.npz", **{"fc.weight": np.zeros((2, 2))})
    with pytest.raises(ValueError, match="other.npz: these weights are not those of a dcgan_gen"):
        read_generator(tmp_path / "other.npz", tail)


def test_maps_of_other_widths_are_refused(tmp_path, rng):
    _, state = generator_state("BASELINE")
    cut = {name: array[..., :8, :, :] if name == "net.0.0.weight" else array
           for name, array in state.items()}  # fmt: skip
    # The first map of 8 channels, which the rule does not make, through the second's kernel.
    first = state["net.0.0.weight"].shape[1] // 2
    for name in state:
        if name.startswith("net.0.1.") and np.ndim(state[name]):
            cut[name] = state[name][:first]
    cut["net.0.0.weight"] = state["net.0.0.weight"][:, :first]
    cut["net.1.0.weight"] = state["net.1.0.weight"][:first]
    np.savez(tmp_path / "narrow.npz", **cut)
    with pytest.raises(ValueError, match="narrow.npz makes maps of .* channels"):
        read_generator(tmp_path / "narrow.npz", "BASELINE")
