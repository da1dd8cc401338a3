"""Follow a face through a video: pose and animation of every frame, with their uncertainty.

The first frame is fitted and rendered under nearby poses; the descriptors of its tracked vertices
make a Gaussian each; every further frame is the maximum of a posterior whose likelihood is updated
by the frame before (Tran, Ababsa, Charbit, Feldmar, Petrovska-Delacretaz and Chollet, "3D Face Pose
and Animation Tracking via Eigen-Decomposition based Bayesian Approach", 2013). The body of that
paper could not be read: beyond its abstract everything here is this project's reconstruction.

Frames are gray uint8 [h, w]; positions are (u, v) in their pixels, angles radians.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, UInt8

from gan_forensics.faces.appearance import learn_appearance
from gan_forensics.faces.crops import Crop, crop_about, cut
from gan_forensics.faces.fit import Fit
from gan_forensics.faces.gates import FRAMES, Gates, gates
from gan_forensics.faces.gaussian import Gaussian
from gan_forensics.faces.map_estimate import Prior
from gan_forensics.faces.step import Bounds, Cut, Face, Found, Setting, advance, places, visible
from gan_forensics.faces.tracker_config import TrackerConfig
from gan_forensics.faces.wireframe import LANDMARKS, Wireframe

# Outer corners of the eyes: the ruler of a face. Larger faces are reduced to about this many pixels
# between them; keypoints have this size in them, and four bins of 1.5 sizes are two rulers wide.
EYES = (36, 45)
EYES_APART = 80
SIZE = 9.0
# Cells of the orientation maps across a bin.
_CELLS = 3.4
# Standard deviations of a state about the one before, at 25 to 30 frames a second: degrees; pixels
# where the eyes are `EYES_APART`; share of the scale; parameters of animation units.
PRIOR_DEGREES = (2.0, 3.0, 2.0)
PRIOR_PIXELS = 3.0
PRIOR_SCALE = 0.01
PRIOR_ANIMATION = 0.12
# How much wider the prior is where a lost face is looked for, and from how many frames back.
_WIDER = 5.0
# Fewer visible vertices than this say nothing of a face.
_FEWEST = 8


@dataclass(frozen=True, eq=False)
class Estimate:
    """What is known of one frame.

    Attributes:
        state: pitch, yaw, roll, t_x, t_y, scale, then the animation parameters.
        covariance: of the state, by Laplace's approximation; not calibrated; NaN for a lost face.
        landmarks: (u, v) of the 68 points; NaN for those that the model lacks.
        landmark_sd: their standard deviation in pixels along one axis; not calibrated; NaN for a
            lost face.
        energies: squared Mahalanobis distance of each tracked vertex.
        visible: those of them that counted.
        learned: those of them whose appearance was updated.
        energy: mean over the visible ones.
        confidence: from 1, as usual for the clip, to 0, as for a wrong place.
        accepted: the energy lies within the clip's gate, and at least half as many vertices count
            as in the first frame.
        lost: the face is lost; the state is the last one that was accepted.
        found: it had been lost, and was found again in this frame.

    Example:
        >>> from gan_forensics.faces.tracker import Tracker
        >>> estimate = Tracker(load_wireframe(), fit, first).track(second)  # doctest: +SKIP
        >>> estimate.landmarks.shape, estimate.lost  # doctest: +SKIP
    """

    state: Float[np.ndarray, " d"]
    covariance: Float[np.ndarray, "d d"]
    landmarks: Float[np.ndarray, "68 2"]
    landmark_sd: Float[np.ndarray, "68"]
    energies: Float[np.ndarray, " k"]
    visible: Bool[np.ndarray, " k"]
    learned: Bool[np.ndarray, " k"]
    energy: float
    confidence: float
    accepted: bool
    lost: bool
    found: bool


class Tracker:
    """A face that is followed: begins with the fit of a frame, and takes the frames that come.

    Attributes:
        config: how it tracks.
        units: names of the animation units, in the order of the state.
        setting: sizes that the frames and the face made necessary.
        crop: what it looks at of a frame.
        first: the first frame: its state as it was fitted, the rest by a search from there.
        bias: degrees of pitch, yaw and roll between a search in the first frame and its fit.
        wrong: lowest mean energy of wrong places, and of a blank frame.
        gates: bounds as they are now.
        lost: whether the face is lost.

    Example:
        >>> tracker = Tracker(load_wireframe(), fit, first)  # doctest: +SKIP
        >>> tracker.track(second).landmarks.shape  # doctest: +SKIP
        (68, 2)
    """

    def __init__(
        self,
        wireframe: Wireframe,
        fit: Fit,
        frame: UInt8[np.ndarray, "h w"],
        config: TrackerConfig | None = None,
    ):
        """Learn the face from one frame: fits and views take a few seconds, and compile.

        Args:
            wireframe: from `load_wireframe`.
            fit: of this frame, by `fit_landmarks` or `fit_box`, with the camera of the config.
            frame: gray.
            config: how to track; by default as `TrackerConfig` has it.

        Raises:
            ValueError: for a frame of another form, or a fit with no face inside of it.
        """
        self.config = config = TrackerConfig() if config is None else config
        frame = _checked(frame)
        height, width = frame.shape
        units = list(fit.units)
        self.units = tuple(wireframe.animation_names[unit] for unit in units)
        self._points = sorted(wireframe.landmarks)
        apart = wireframe.vertices[[wireframe.landmarks[eye] for eye in EYES]]
        eyes = float(np.linalg.norm(apart[0] - apart[1]) * fit.pose[5])
        reduction = max(1, round(eyes / EYES_APART))
        size = SIZE * eyes / reduction / EYES_APART
        stride = max(1, round(1.5 * size / _CELLS))
        self.setting = Setting(config, (width, height), reduction, stride)
        shaped = wireframe.vertices + np.einsum("s,snc->nc", fit.shape, wireframe.shape)
        self._face = Face(
            jnp.asarray(shaped, jnp.float32),
            jnp.asarray(wireframe.animation[units], jnp.float32),
            jnp.asarray(wireframe.triangles),
            jnp.asarray(wireframe.tracked),
            jnp.asarray([wireframe.landmarks[point] for point in self._points]),
            jnp.asarray(size / fit.pose[5], jnp.float32),
        )
        reach = np.linalg.norm(shaped[list(wireframe.tracked)], axis=-1).max() * fit.pose[5]
        # The farthest vertex, half of its window, and as much again for motion.
        half = 1.1 * reach / reduction + 3.5 * 1.5 * size
        self.crop = _crop(half, self.setting)
        share = eyes / EYES_APART
        self._deviation = np.array(
            [
                *np.radians(PRIOR_DEGREES),
                *[PRIOR_PIXELS * share] * 2,
                PRIOR_SCALE * fit.pose[5],
                *[PRIOR_ANIMATION] * len(units),
            ],
            np.float32,
        )
        start = np.concatenate([fit.pose, fit.animation]).astype(np.float32)
        self._state = self._good = start
        facing = int(visible(self.setting, self._face, jnp.asarray(start)).sum())
        if facing < _FEWEST:
            raise ValueError(
                f"only {facing} of {len(wireframe.tracked)} tracked vertices face the camera "
                "inside the first frame; begin at a frame that shows the face"
            )
        at_fit = self._at(start)
        self._appearance = learn_appearance(
            self.setting, self._face, self.crop, at_fit, frame, start
        )
        self.lost = False
        self._beyond = 0
        self._digest = zlib.crc32(np.asarray(self._cut(frame, start).pixels).tobytes())
        nothing = np.full(len(wireframe.tracked), np.inf)
        self.gates = Gates(np.inf, np.inf, nothing, 0.0, np.inf, 0)
        self._energies: list[np.ndarray] = []
        self._visible: list[np.ndarray] = []
        found = self._look(frame, start, 1.0)
        self._seen_first = np.asarray(found.visible)
        self._state = self._good = np.asarray(found.posterior.state)
        self.bias = tuple(float(angle) for angle in np.degrees(self._state[:3] - start[:3]))
        self.wrong = self._wrong_energy(frame)
        self._energies_first = np.asarray(found.posterior.energies)
        self.gates = self._bounds()
        at_fit = places(self.setting, self._face, self._face.landmarks, jnp.asarray(start))
        fitted = found._replace(places=np.asarray(at_fit))
        self.first = self._estimate(fitted, start, accepted=True, found_again=False)

    def track(
        self,
        frame: UInt8[np.ndarray, "h w"],
        candidates: Sequence[Float[np.ndarray, "6"]] = (),
    ) -> Estimate:
        """The next frame.

        Args:
            frame: gray, of the first one's size.
            candidates: poses at which a lost face may be, such as those of face boxes.

        Raises:
            ValueError: for a frame of another form or size.
        """
        frame = _checked(frame, self.setting.frame)
        if self.lost:
            return self._look_for(frame, candidates)
        seen = self._cut(frame, self._state)
        digest = zlib.crc32(np.asarray(seen.pixels).tobytes())
        # A frame that is repeated is no new evidence: it moves nothing.
        learn = -np.inf if digest == self._digest else self.gates.learn
        self._digest = digest
        self._appearance, found = self._advance(seen, self._prior(self._state, 1.0), learn)
        accepted = self._accepts(found)
        state = np.asarray(found.posterior.state)
        if accepted:
            self._accept(found)
        else:
            self._beyond += 1
            self.lost = self._beyond >= self.config.patience
        # A search that left the numbers or the frame does not begin the next one.
        if self.lost or not (np.isfinite(state).all() and state[5] > 0):
            state = self._good
        self._state = state
        return self._estimate(found, state, accepted=accepted, found_again=False)

    def snapshot(self) -> dict[str, np.ndarray]:
        """All that frames have changed, as arrays; `restore` goes on from there."""
        return {
            **{
                f"appearance_{name}": np.asarray(x)
                for name, x in self._appearance._asdict().items()
            },
            "state": self._state,
            "good": self._good,
            "counters": np.array([self._beyond, self.lost, self._digest]),
            "energies": np.array(self._energies).reshape(-1, len(self._seen_first)),
            "visible": np.array(self._visible, bool).reshape(-1, len(self._seen_first)),
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from a `snapshot` of a tracker that began with the same frame, fit and config.

        Raises:
            ValueError: for arrays of another form.
        """
        own = self.snapshot()
        for name, array in own.items():
            there = arrays.get(name)
            # Of energies and visible vertices there is one row for each accepted frame.
            fixed = slice(int(name in ("energies", "visible")), None)
            if (
                there is None
                or there.ndim != array.ndim
                or there.shape[fixed] != array.shape[fixed]
            ):
                raise ValueError(f"the snapshot has no {name} of shape {list(array.shape)}")
        self._appearance = Gaussian(
            *(jnp.asarray(arrays[f"appearance_{name}"]) for name in Gaussian._fields)
        )
        self._state = np.asarray(arrays["state"], np.float32)
        self._good = np.asarray(arrays["good"], np.float32)
        self._beyond, lost, self._digest = (int(count) for count in arrays["counters"])
        self.lost = bool(lost)
        self._energies, self._visible = list(arrays["energies"]), list(arrays["visible"])
        self.gates = self._bounds()

    def _at(self, state: np.ndarray) -> tuple[int, int]:
        return crop_about(self.crop, state[3:5])

    def _cut(self, frame: np.ndarray, state: np.ndarray) -> Cut:
        first = self._at(state)
        return Cut(jnp.asarray(cut(frame, self.crop, first)), jnp.asarray(first, jnp.float32))

    def _prior(self, mean: np.ndarray, wider: float) -> Prior:
        weight = jnp.float32(self.config.prior)
        return Prior(jnp.asarray(mean), jnp.asarray(wider * self._deviation), weight)

    def _look(self, frame: np.ndarray, start: np.ndarray, wider: float) -> Found:
        """A search from any start, that nothing is learned from."""
        seen = self._cut(frame, start)
        return self._advance(seen, self._prior(start, wider), -np.inf)[1]

    def _advance(self, seen: Cut, prior: Prior, learn: float) -> tuple[Gaussian, Found]:
        bounds = Bounds(jnp.float32(learn), jnp.asarray(self.gates.landmarks, jnp.float32))
        appearance, found = advance(self.setting, self._face, self._appearance, seen, prior, bounds)
        return appearance, jax.device_get(found)

    def problem(self, frame: UInt8[np.ndarray, "h w"]) -> tuple:
        """What `step.advance` takes for this frame after the setting; for batches of clips.

        Clips of one setting and crop can be stacked, and advanced at once by `vmap`.
        """
        bounds = Bounds(
            jnp.float32(self.gates.learn), jnp.asarray(self.gates.landmarks, jnp.float32)
        )
        seen, prior = self._cut(frame, self._state), self._prior(self._state, 1.0)
        return self._face, self._appearance, seen, prior, bounds

    def _look_for(self, frame: np.ndarray, candidates) -> Estimate:
        """A lost face: where it was last, and at the candidates."""
        starts = [self._good]
        for pose in candidates:
            start = self._good.copy()
            start[:6] = pose
            starts.append(start)
        found = [self._look(frame, start, _WIDER) for start in starts]
        best = min(found, key=lambda each: float(each.energy))
        again = self._accepts(best)
        if again:
            self.lost = False
            self._state = np.asarray(best.posterior.state)
            self._accept(best)
        return self._estimate(best, self._state, accepted=again, found_again=again)

    def _accepts(self, found: Found) -> bool:
        return bool(
            found.energy <= self.gates.frame
            and np.isfinite(np.asarray(found.posterior.state)).all()
            and self._shows(found)
        )

    def _shows(self, found: Found) -> bool:
        """Whether enough vertices count to say anything of a face: half of the first frame's."""
        return np.sum(found.visible) >= max(_FEWEST, self._seen_first.sum() / 2)

    def _accept(self, found: Found) -> None:
        self._beyond = 0
        self._good = np.asarray(found.posterior.state)
        if len(self._energies) < FRAMES:
            self._energies.append(np.asarray(found.posterior.energies))
            self._visible.append(np.asarray(found.visible))
            self.gates = self._bounds()

    def _bounds(self) -> Gates:
        # The first frame made the views: it only stands in until others are there.
        energies = self._energies or [self._energies_first]
        visible = self._visible or [self._seen_first]
        return gates(energies, visible, wrong=self.wrong, deviations=self.config.deviations)

    def _wrong_energy(self, frame: np.ndarray) -> float:
        """Lowest mean energy of searches about the face, and in a frame without contrast."""
        blank = np.full_like(frame, int(frame.mean()))
        energies = [float(self._look(blank, self._state, 1.0).energy)]
        away = 1.5 * EYES_APART * self.setting.reduction
        width, height = self.setting.frame
        for angle in np.arange(8) * (np.pi / 4):
            start = self._state.copy()
            start[3:5] += away * np.array([np.cos(angle), np.sin(angle)], np.float32)
            if not (0 <= start[3] < width and 0 <= start[4] < height):
                continue
            found = self._look(frame, start, 1.0)
            moved = np.hypot(*(np.asarray(found.posterior.state)[3:5] - self._state[3:5]))
            # A search that came home says nothing of a wrong place.
            if moved > 0.5 * away and self._shows(found):
                energies.append(float(found.energy))
        return min(energies)

    def _estimate(
        self, found: Found, state: np.ndarray, *, accepted: bool, found_again: bool
    ) -> Estimate:
        landmarks, deviations = np.full((LANDMARKS, 2), np.nan), np.full(LANDMARKS, np.nan)
        covariance = np.asarray(found.posterior.covariance)
        if self.lost:
            # Of the state that is given, and not of what a search of this frame ended with.
            at = places(self.setting, self._face, self._face.landmarks, jnp.asarray(state))
            landmarks[self._points] = at
            covariance = np.full_like(covariance, np.nan)
        else:
            landmarks[self._points] = found.places
            deviations[self._points] = found.deviations
        energy = float(found.energy)
        return Estimate(
            np.asarray(state),
            covariance,
            landmarks,
            deviations,
            np.asarray(found.posterior.energies),
            np.asarray(found.visible),
            np.asarray(found.learned),
            energy,
            self.gates.confidence(energy),
            accepted,
            self.lost,
            found_again,
        )


def _crop(half: float, setting: Setting) -> Crop:
    sides = []
    for frame in setting.frame:
        # In steps, so that faces of about one size share their compiled code.
        side = 32 * int(np.ceil(2 * half / 32))
        # Of the frame's parity, so that the middle of a crop can be the middle of the frame.
        sides.append(side + (frame - side * setting.reduction) % 2)
    return Crop(sides[0], sides[1], setting.reduction, setting.stride, setting.frame)


def _checked(frame, size: tuple[int, int] | None = None) -> np.ndarray:
    frame = np.asarray(frame)
    if frame.dtype != np.uint8 or frame.ndim != 2:
        raise ValueError(
            f"a frame is {frame.dtype} of shape {list(frame.shape)}; give gray uint8 [h, w], of a "
            "colour image np.array(PIL.Image.fromarray(image).convert('L'))"
        )
    if size and frame.shape[::-1] != size:
        raise ValueError(
            f"a frame is {frame.shape[1]} x {frame.shape[0]} pixels, the first one was "
            f"{size[0]} x {size[1]}; all frames of a clip must have one size"
        )
    return frame
