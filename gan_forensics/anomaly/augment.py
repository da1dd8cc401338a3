"""New rows for a table by the name of any resampler, in the table's own units."""

from typing import Any

import numpy as np
from jaxtyping import Float

from gan_forensics.anomaly.doping import Doping
from gan_forensics.anomaly.plain_gan import GANConfig, train_gans
from gan_forensics.anomaly.resample import CODING, FittedModels, resample
from gan_forensics.anomaly.scaling import fit_scaler


def augment(
    x: Float[np.ndarray, "n ..."], n: int, *, method: str = "doping", seed: int = 0, **settings: Any
) -> Float[np.ndarray, "k ..."]:
    """Make n new rows ("reconstruct_all" makes one for each row, "none" none).

    Args:
        x: training rows.
        n: how many.
        method: a key of `gan_forensics.anomaly.RESAMPLERS`.
        seed: of training and draws.
        settings: of `Doping`, for methods with an autoencoder; "plain_gan" reads `steps`,
            `hidden` and `batch_size` of them, the others none.

    Raises:
        ValueError: for an unknown method, and for rows and settings that `Doping` refuses.
    """
    if method in CODING:
        doping = Doping(method=method, n_samples=int(n), random_state=seed, **settings).fit(x)
        return doping.sample(n)
    x = np.asarray(x, np.float64)
    if len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(f"rows must be finite and two or more, got {list(x.shape)}")
    flat = x.reshape(len(x), -1)
    scaler = fit_scaler(flat)
    rows = np.clip(scaler(flat), 0, 1)
    gan = None
    if method == "plain_gan":
        recipe = Doping(**settings)
        config = GANConfig(flat.shape[1], hidden=tuple(recipe.hidden), batch=recipe.batch_size)
        (gan,) = train_gans(config, rows, seeds=[seed], steps=recipe.steps)
    new = resample(method, FittedModels(rows, gan=gan), n, rng=np.random.default_rng(seed))
    return scaler.undo(new).reshape(len(new), *x.shape[1:])
