"""What a face tracker does to a frame, beside OpenCV's SIFT at the same 26 points; its views.

    python -m benchmarks.faces
    python -m benchmarks.faces --model candide3.wfm

Prints milliseconds, and their ratio to one call of `cv2.SIFT.compute` on the same crop of 250 x
250 pixels. Every row is the best of calls taken in turns, in one process, so that the ratios
share one machine state. Then the time of 100 training views of 360 x 288 pixels, compiled before;
and whole frames of the tracker on a face that moves by some pixels and degrees, beside the same
peer on the whole frame of 360 x 288: by either search, and eight clips at once by `vmap` against
one after another. The peer works on the frame, since the tracker has to find the points in it.
OpenCV is held to one thread; how many XLA takes is the environment's choice (`taskset -c 0` for
one core).
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from skimage import data

from gan_forensics.faces.camera import weak_perspective
from gan_forensics.faces.candide import default_units, load_wireframe
from gan_forensics.faces.fit import fit_box
from gan_forensics.faces.observe import (
    orientation_maps,
    rounded_sift,
    smooth_sift,
    smooth_sift_with_jacobian,
)
from gan_forensics.faces.render import render_views
from gan_forensics.faces.sift import opencv_sift, sift
from gan_forensics.faces.step import advance
from gan_forensics.faces.tracker import Tracker
from gan_forensics.faces.tracker_config import TrackerConfig

PEER = "cv2.SIFT.compute"
SIZE, STRIDE, POINTS, STEPS, VIEWS = 9, 4, 26, 5, 100


def in_turns(runs: dict[str, Callable], rounds: int) -> dict[str, float]:
    """Best milliseconds of each call."""
    times = {name: [] for name in runs}
    for attempt in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            if attempt:  # The first one compiles.
                times[name].append(time.perf_counter() - start)
    return {name: 1e3 * min(each) for name, each in times.items()}


def descriptors(image: np.ndarray, rounds: int) -> dict[str, float]:
    """Milliseconds of every way to describe 26 points of an image."""
    random = np.random.default_rng(0)
    points = random.uniform(60, image.shape[0] - 60, (POINTS, 2)).astype(np.float32)
    pixels, places = jnp.asarray(image, jnp.float32), jnp.asarray(points)
    fixed = {"size": SIZE, "stride": STRIDE}
    maps_of = jax.jit(orientation_maps, static_argnums=1)
    maps, fine = maps_of(pixels, STRIDE), maps_of(pixels, 1)

    @jax.jit
    def frame(pixels, places):
        maps = orientation_maps(pixels, STRIDE)

        def step(_, places):
            d, slopes = smooth_sift_with_jacobian(maps, places, **fixed)
            return places + 1e-3 * jnp.einsum("kd,kdi->ki", d, slopes)

        return jax.lax.fori_loop(0, STEPS, step, places)

    exact = jax.jit(lambda pixels, places: sift(pixels, places, size=SIZE))
    rounded = jax.jit(lambda maps, places: rounded_sift(maps, places, size=SIZE))
    smooth = jax.jit(lambda maps, places: smooth_sift(maps, places, **fixed))
    slopes = jax.jit(lambda maps, places: smooth_sift_with_jacobian(maps, places, **fixed))
    return in_turns(
        {
            PEER: lambda: opencv_sift(image, points, size=SIZE),
            "sift": lambda: exact(pixels, places),
            "orientation_maps, stride 1": lambda: maps_of(pixels, 1),
            "rounded_sift": lambda: rounded(fine, places),
            f"orientation_maps, stride {STRIDE}": lambda: maps_of(pixels, STRIDE),
            "smooth_sift": lambda: smooth(maps, places),
            "smooth_sift_with_jacobian": lambda: slopes(maps, places),
            f"maps, then {STEPS} times with Jacobian": lambda: frame(pixels, places),
        },
        rounds,
    )


def views(image: np.ndarray, model: str | None, rounds: int) -> dict[str, float]:
    """Milliseconds of all training views of an image."""
    wireframe = load_wireframe(model)
    state = np.array([0.05, 0.02, 0, 182, 150, 108])
    random = np.random.default_rng(0)
    poses = state + random.uniform(-1, 1, (VIEWS, 6)) * [0.26, 0.43, 0.26, 0, 0, 8]
    texture_uv, _ = weak_perspective(wireframe.vertices, state)
    uv, depth = weak_perspective(wireframe.vertices[None], poses)

    def run():
        return render_views(image, uv, depth, image, texture_uv, wireframe.triangles)

    return in_turns(
        {f"render_views, {VIEWS} views, {len(wireframe.triangles)} triangles": run}, rounds
    )


def tracking(gray: np.ndarray, model: str | None, rounds: int) -> dict[str, float]:
    """Milliseconds a frame of trackers, each beginning with the frame and going on from there."""
    wireframe = load_wireframe(model)
    fit = fit_box(wireframe, (137, 72, 105, 105))
    units = default_units(wireframe)
    fit = replace(fit, units=units, animation=np.zeros(len(units)))
    # The same face, turned in the image and moved: no frame is that of the call before.
    frames = [
        np.clip(cv2.warpAffine(gray, turn, gray.shape[::-1], borderMode=1), 0, 255)
        for angle in np.linspace(0, 6, 9)[1:]
        for turn in [cv2.getRotationMatrix2D((190, 125), float(angle), 1.0)]
    ]
    runs = {}
    points = fit.pose[3:5] + np.random.default_rng(0).uniform(-40, 40, (POINTS, 2))
    keypoints = points.astype(np.float32)
    state = {"i": 0}

    def next_frame():
        state["i"] += 1
        return frames[state["i"] % len(frames)]

    runs[PEER] = lambda: opencv_sift(next_frame(), keypoints, size=SIZE)
    for name, config in {
        "a frame by gauss-newton": TrackerConfig(),
        "by nelder-mead, smooth": TrackerConfig(solver="nelder-mead"),
        "by nelder-mead, sift": TrackerConfig(solver="nelder-mead", descriptor="sift"),
    }.items():
        tracker = Tracker(wireframe, fit, gray, config)
        if not runs.get("eight"):
            eight = [tracker.problem(frame) for frame in frames]
            stacked = jax.tree.map(lambda *parts: jnp.stack(parts), *eight)
            batched = jax.jit(jax.vmap(partial(advance, tracker.setting)))
            runs["eight"] = lambda batched=batched, stacked=stacked: batched(*stacked)
            runs["eight, one after another"] = lambda eight=eight, setting=tracker.setting: [
                advance(setting, *each) for each in eight
            ]
        runs[name] = lambda tracker=tracker: tracker.track(next_frame())
    runs["eight frames of eight clips by vmap"] = runs.pop("eight")
    runs["one after another"] = runs.pop("eight, one after another")
    return in_turns(runs, rounds)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a .wfm file instead of the package's own face")
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"jax {jax.__version__}, {jax.default_backend()}, {os.cpu_count()} cores, float32")
    gray = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)
    times = descriptors(np.ascontiguousarray(gray[:250, 100:350]), given.rounds)
    print(f"\n{POINTS} points, size {SIZE}, crop of 250 x 250{'ms':>15}  time / that of {PEER}")
    for name, ms in times.items():
        print(f"  {name:<42}{ms:9.3f}{ms / times[PEER]:9.2f}")
    print()
    for name, ms in views(gray[:288, 40:400].astype(np.float32), given.model, 3).items():
        print(f"  {name:<42}{ms:9.0f} ms")
    times = tracking(np.ascontiguousarray(gray[:288, 40:400]), given.model, given.rounds)
    print(f"\nframes of 360 x 288{'ms':>36}  time / that of {PEER}")
    for name, ms in times.items():
        print(f"  {name:<42}{ms:9.3f}{ms / times[PEER]:9.2f}")


if __name__ == "__main__":
    main()
