"""Mutations of `gan_forensics.gans`."""

from tests.mutations import Mutation

G = "gan_forensics/gans"
LOSSES = "tests/test_gans_losses.py"
PENALTIES = "tests/test_gans_penalties.py"
INFOMAX = "tests/test_gans_infomax.py"
NEIGHBOURS = "tests/test_gans_neighbours.py"
MATCHING = "tests/test_gans_gradient_matching.py"
ROTATION = "tests/test_gans_rotation.py"
ADVERSARIAL = "tests/test_gans_adversarial.py"
TASKS = "tests/test_gans_tasks.py"
METHODS = "tests/test_gans_methods.py"
SAMPLING = "tests/test_gans_sampling.py"
RUNS = "tests/test_gans_runs.py"
AVERAGE = "tests/test_train_average.py"
AVERAGED = "tests/test_gans_averaged.py"
DIST_GAN = "tests/test_gans_dist_gan.py"
DIST_GAN_METHODS = "tests/test_gans_dist_gan_methods.py"
POINTS = "tests/test_gans_points.py"
OPTIMIZERS = "tests/test_gans_optimizers.py"
DIVIDED = "tests/test_train_divided.py"

MUTATIONS = [
    # Work is divided.
    Mutation(
        f"{G}/game.py",
        "return Draws(split_over_data(z), labels, key=rest)",
        "return Draws(z, labels, key=rest)",
        DIVIDED,
    ),
    # Losses.
    Mutation(
        f"{G}/losses.py",
        "_mean(self.on_real, real_logits) + _mean(self.on_fake, fake_logits)",
        "_mean(self.on_real, fake_logits) + _mean(self.on_fake, real_logits)",
        LOSSES,
    ),
    Mutation(
        f"{G}/losses.py",
        "on_generated=lambda f: softplus(f) - real_label * f",
        "on_generated=lambda f: softplus(f) - f",
        LOSSES,
    ),
    Mutation(
        f"{G}/losses.py",
        "on_generated=lambda f: jax.nn.relu(1 - f)",
        "on_generated=lambda f: jax.nn.relu(-f)",
        LOSSES,
    ),
    Mutation(
        f"{G}/losses.py",
        "jnp.log(jax.nn.sigmoid(f) + _NS_EPSILON)",
        "jnp.log(jax.nn.sigmoid(f))",
        LOSSES,
    ),
    # Penalties.
    Mutation(f"{G}/penalties.py", "jax.nn.relu(n - 1) ** 2", "(n - 1) ** 2", PENALTIES),
    Mutation(
        f"{G}/penalties.py",
        'if norm == "rms" else squares.sum(axes)',
        'if norm == "rms" else squares.mean(axes)',
        PENALTIES,
    ),
    Mutation(f"{G}/penalties.py", "0.5 * real.std(ddof=1)", "0.5 * real.std()", PENALTIES),
    Mutation(f"{G}/penalties.py", "* (end - real)", "* (end - fake)", PENALTIES),
    Mutation(
        f"{G}/penalties.py",
        "jax.lax.stop_gradient(\n        _points(",
        "(\n        _points(",
        PENALTIES,
    ),
    # InfoMax and rotation.
    Mutation(
        f"{G}/infomax.py",
        "return math.log(1 + ((group_size or n) - 1) * places)",
        "return math.log((group_size or n) * places)",
        INFOMAX,
    ),
    Mutation(
        f"{G}/infomax.py", "max(mask_value, _floor(q.dtype))", "max(MASK, _floor(q.dtype))", INFOMAX
    ),
    Mutation(
        f"{G}/infomax.py",
        "mask_value=mask_value, group_size=group_size)\n            chance",
        "mask_value=mask_value)\n            chance",
        f"{ADVERSARIAL} -k infomax_task",
    ),
    Mutation(
        f"{G}/infomax.py", "first + jnp.arange(some)[None, :]", "jnp.arange(some)[None, :]", INFOMAX
    ),
    Mutation(
        f"{G}/infomax.py",
        '(of("real"),), (of("fake"),)',
        '(of("fake"),), (of("real"),)',
        f"{ADVERSARIAL} -k 'infomax or published_terms'",
    ),
    Mutation(f"{G}/infomax.py", "own > scores.max((2, 3))", "own >= scores.max((2, 3))", INFOMAX),
    Mutation(
        f"{G}/rotation.py", "4 * jnp.arange(n, dtype=jnp.int32) // n", "jnp.arange(n) % 4", ROTATION
    ),
    Mutation(f"{G}/rotation.py", "axes=(1, 2)), result)", "axes=(2, 1)), result)", ROTATION),
    Mutation(
        f"{G}/rotation.py",
        '(of("real", discriminator_weight),), (of("fake", generator_weight),)',
        '(of("real", generator_weight),), (of("fake", discriminator_weight),)',
        f"{ADVERSARIAL} -k 'published_terms'",
    ),
    # Neighbour embedding and gradient matching.
    Mutation(
        f"{G}/neighbours.py",
        "far, variance = squared, jnp.square(deviations).sum() / pairs",
        "far, variance = squared, jnp.square(deviations).sum() / (pairs - 1)",
        f"{NEIGHBOURS} -k formula",
    ),
    Mutation(
        f"{G}/neighbours.py", "distances.var(ddof=1)", "distances.var()", f"{NEIGHBOURS} -k formula"
    ),
    Mutation(
        f"{G}/neighbours.py",
        "p * jnp.log(jnp.where(apart, p, 1) / jnp.where(apart, q, 1))",
        "q * jnp.log(jnp.where(apart, q, 1) / jnp.where(apart, p, 1))",
        f"{NEIGHBOURS} -k formula",
    ),
    Mutation(
        f"{G}/neighbours.py",
        "root = apart & (squared != 0)",
        "root = apart",
        f"{NEIGHBOURS} -k equal_samples",
    ),
    Mutation(
        f"{G}/neighbours.py",
        "root = apart & (squared != 0)",
        "root = apart & (squared > 0)",
        f"{NEIGHBOURS} -k hidden",
    ),
    Mutation(
        f"{G}/neighbours.py",
        "jax.lax.stop_gradient(inverse.max())",
        "jnp.ones_like(inverse.max())",
        f"{NEIGHBOURS} -k equal_samples",
    ),
    Mutation(
        f"{G}/neighbours.py",
        "points = points - jax.lax.stop_gradient(points[:1])",
        "pass",
        f"{NEIGHBOURS} -k origin",
    ),
    Mutation(
        f"{G}/neighbours.py",
        "if n * n * d <= _DIFFERENCES_AT_ONCE:",
        "if n * n * d > _DIFFERENCES_AT_ONCE:",
        f"{NEIGHBOURS} -k memory",
    ),
    Mutation(
        f"{G}/neighbours.py",
        'more = [reconstructed(context)] if place == "autoencoder" else []',
        'more = [context.images("real")] if place == "autoencoder" else []',
        f"{NEIGHBOURS} -k codes_together",
    ),
    Mutation(
        f"{G}/neighbours.py",
        "            stop_gradient=stop_gradient,\n        )\n        return Loss",
        "        )\n        return Loss",
        f"{NEIGHBOURS} -k told",
    ),
    Mutation(
        f"{G}/gradient_matching.py",
        "jnp.square(real.gradient - fake.gradient).sum()",
        "jnp.square(real.gradient - fake.gradient).mean()",
        f"{MATCHING} -k finite",
    ),
    Mutation(
        f"{G}/gradient_matching.py",
        "(slopes * samples).sum() / b",
        "(slopes.mean(0) * samples.mean(0)).sum()",
        f"{MATCHING} -k finite",
    ),
    Mutation(
        f"{G}/gradient_matching.py",
        "labels = context.labels(owner)",
        'labels = context.labels("fake")',
        f"{MATCHING} -k both_gaps",
    ),
    Mutation(
        f"{G}/gradient_matching.py",
        "logits = context.logits_at(images, labels)",
        'logits = context.discriminate(images, labels)["logits"]',
        f"{MATCHING} -k both_gaps",
    ),
    Mutation(
        f"{G}/gradient_matching.py",
        'return jax.nn.sigmoid(logits) if of == "score" else logits',
        "return jax.nn.sigmoid(logits)",
        f"{MATCHING} -k both_gaps",
    ),
    # The frame.
    Mutation(
        f"{G}/context.py",
        "return weight(self.step) if callable(weight) else weight",
        "return weight(0) if callable(weight) else weight",
        f"{TASKS} -k follow",
    ),
    Mutation(
        f"{G}/context.py",
        "images = transform(images) if transform else self.augmented(owner, images)",
        "pass",
        f"{TASKS} -k transformed",
    ),
    Mutation(
        f"{G}/context.py",
        'return self.batch["label"]',
        "return self.draws.labels",
        f"{TASKS} -k 'labels or penalty or keys'",
    ),
    Mutation(
        f"{G}/context.py",
        "        self.stats = moved\n",
        "",
        f"{TASKS} -k 'labels or penalty or keys'",
    ),
    Mutation(
        f"{G}/context.py",
        "jax.random.fold_in(self.draws.key, zlib.crc32(purpose.encode()))",
        "self.draws.key",
        f"{TASKS} -k keys",
    ),
    Mutation(
        f"{G}/game.py",
        "lambda x: context.logits_at(x, labels)",
        'lambda x: context.logits_at(x, context.labels("fake"))',
        f"{TASKS} -k 'labels or penalty or keys'",
    ),
    Mutation(
        f"{G}/game.py",
        "(*before, *(both if self.first == GENERATOR else both[::-1]))",
        "(*before, *both)",
        f"{ADVERSARIAL} -k 'n_dis or decay or betas'",
    ),
    Mutation(
        f"{G}/game.py",
        "own = self.discriminator_learning_rate or self.learning_rate",
        "own = self.learning_rate",
        f"{ADVERSARIAL} -k 'n_dis or decay or betas'",
    ),
    Mutation(
        f"{G}/game.py",
        "adam(over_time(rate, repeats), betas=self.betas)",
        "adam(over_time(rate, repeats))",
        f"{ADVERSARIAL} -k 'n_dis or decay or betas'",
    ),
    Mutation(
        f"{G}/game.py",
        "sample=sample,\n            norm=norm,\n            key=context",
        "norm=norm,\n            key=context",
        f"{TASKS} -k penalties",
    ),
    Mutation(
        f"{G}/game.py",
        "own = singular_value_range(trainable, context.stats)",
        "own = singular_value_range(trainable, stats)",
        "tests/test_gans_singular_values.py",
    ),
    Mutation(
        f"{G}/optimizers.py",
        "1 - (moves // repeats) / steps",
        "1 - moves / steps",
        "tests/test_gans_optimizers.py",
    ),
    Mutation(
        f"{G}/spectral_regularisation.py",
        "context.weigh(weight) * spectral",
        "weight * spectral",
        "tests/test_gans_spectral_regularisation.py",
    ),
    Mutation(f"{G}/priors.py", "jnp.float32, -1.0", "jnp.float32, 0.0", SAMPLING),
    # Dist-GAN.
    Mutation(
        f"{G}/dist_gan.py",
        "weight=switches.penalty_sign * setting.penalty",
        "weight=setting.penalty",
        DIST_GAN,
    ),
    Mutation(
        f"{G}/dist_gan.py",
        "(1 - share) * loss.on_real(real).mean()",
        "share * loss.on_real(real).mean()",
        DIST_GAN,
    ),
    Mutation(
        f"{G}/dist_gan.py",
        "            judged = context.real if real else judged_reconstruction(context)",
        "            judged = judged_reconstruction(context)",
        DIST_GAN,
    ),
    Mutation(
        f"{G}/dist_gan.py",
        "math.sqrt(z.shape[-1] / (switches.features or fake.shape[-1]))",
        "math.sqrt(z.shape[-1] / fake.shape[-1])",
        DIST_GAN,
    ),
    Mutation(
        f"{G}/dist_gan.py",
        "jnp.clip(2 * (0.1 * step / steps - 0.05), 0, 0.05)",
        "2 * (0.1 * step / steps - 0.05)",
        DIST_GAN,
    ),
    Mutation(
        f"{G}/dist_gan.py",
        "        return 0.05 - real_weight_gain(context.step, steps)",
        "        return 0.05 + real_weight_gain(context.step, steps)",
        DIST_GAN,
    ),
    Mutation(
        f"{G}/dist_gan.py",
        'if loss.name == "hinge" and switches.hinge_on == "score":',
        'if loss.name == "hinge":',
        DIST_GAN,
    ),
    Mutation(
        f"{G}/dist_gan.py",
        'loss.on_real if switches.reconstruction == "real" else loss.on_fake',
        "loss.on_real",
        DIST_GAN,
    ),
    Mutation(
        f"{G}/dist_gan.py",
        "jnp.abs(jax.nn.sigmoid(real_logits).mean() - jax.nn.sigmoid(fake_logits).mean())",
        "jnp.abs(real_logits.mean() - fake_logits.mean())",
        DIST_GAN,
    ),
    Mutation(
        f"{G}/dist_gan.py",
        "        own = setting.regulariser if weight is None else weight",
        "        own = setting.regulariser",
        DIST_GAN,
    ),
    Mutation(
        f"{G}/mode_regularised.py",
        "Loss(WEIGHT * (error + score)",
        "Loss(WEIGHT * (error - score)",
        DIST_GAN,
    ),
    Mutation(
        f"{G}/mode_regularised.py",
        "        return Loss(error - WEIGHT * score",
        "        return Loss(error + WEIGHT * score",
        DIST_GAN,
    ),
    Mutation(
        f"{G}/penalties.py",
        'squares.mean(axes) if norm == "rms" else',
        'squares.sum(axes) if norm == "rms" else',
        PENALTIES,
    ),
    Mutation(
        f"{G}/penalties.py", 'batch_axes - 1 if norm == "batch" else batch_axes', "1", PENALTIES
    ),
    Mutation(
        f"{G}/optimizers.py",
        "jnp.minimum(linear(moves), learning_rate / 2)",
        "linear(moves) / 2",
        OPTIMIZERS,
    ),
    Mutation(
        f"{G}/optimizers.py",
        "((moves // repeats) * moves_per_step // 10_000)",
        "(moves // 10_000)",
        OPTIMIZERS,
    ),
    Mutation(
        f"{G}/game.py",
        "moves_per_step=self.n_dis + 1 + len(others)",
        "moves_per_step=self.n_dis + 1",
        DIST_GAN_METHODS,
    ),
    Mutation(
        f"{G}/game.py",
        "(batch[self.data] / self.scale + 1) / 2",
        "batch[self.data] / self.scale",
        DIST_GAN_METHODS,
    ),
    Mutation(f"{G}/game.py", "(2 * made - 1) * self.scale", "2 * made - 1", DIST_GAN_METHODS),
    Mutation(
        f"{G}/dist_gan_methods.py",
        'released = Switches(penalty="rms", trains=(ENCODER,))',
        'released = Switches(penalty="rms")',
        DIST_GAN_METHODS,
    ),
    Mutation(
        f"{G}/dist_gan_methods.py",
        "n_dis=3, first=DISCRIMINATOR, own_minibatches=True)",
        "n_dis=3, first=DISCRIMINATOR)",
        DIST_GAN_METHODS,
    ),
    Mutation(
        f"{G}/sampling.py",
        "np.count_nonzero(~np.isfinite(made).all(1))",
        "np.count_nonzero(np.isinf(made).all(1))",
        POINTS,
    ),
    # Methods from configs, samples, runs.
    Mutation(
        f"{G}/methods.py",
        "partial(residual_networks, rotations=4)",
        'partial(residual_networks, rotations=4, pooling="mean")',
        "tests/test_gans_zoo.py -k pools",
    ),
    Mutation(
        f"{G}/building.py",
        'prior = PRIORS[config.prior or ""](latent_of(config))',
        'prior = PRIORS["normal"](latent_of(config))',
        "tests/test_gans_zoo.py -k prior",
    ),
    Mutation(
        "gan_forensics/train/average.py",
        "jnp.expm1(log) / jnp.expm1(log * jnp.asarray(step, jnp.float32))",
        "jnp.float32(1 - decay)",
        AVERAGE,
    ),
    Mutation(
        "gan_forensics/train/average.py",
        "first + (mean - first) / rest",
        "mean / rest",
        AVERAGE,
    ),
    Mutation(
        "gan_forensics/train/update.py",
        "newest_weight(average_decay, state.step)",
        "newest_weight(average_decay, state.step + 1)",
        AVERAGE,
    ),
    Mutation(
        "gan_forensics/train/learner.py",
        "not needs_correction(record)",
        "needs_correction(record)",
        f"{RUNS} -k earlier",
    ),
    Mutation(
        f"{G}/averaged.py",
        "    if stats:\n",
        "    if not stats:\n",
        AVERAGED,
    ),
    Mutation(
        f"{G}/averaged.py",
        "steps < span(",
        "steps <= span(",
        AVERAGED,
    ),
    Mutation(
        f"{G}/building.py",
        "average=(GENERATOR,) if average else ()",
        "average=(DISCRIMINATOR,) if average else ()",
        RUNS,
    ),
    Mutation(
        f"{G}/building.py",
        "random_key(config.seed if seed is None else seed)",
        "random_key(config.seed)",
        f"{RUNS} -k seed",
    ),
    Mutation(
        f"{G}/sampling.py",
        "state, batches = with_average(gan, state), []",
        "batches = []",
        SAMPLING,
    ),
    Mutation(
        f"{G}/sampling.py",
        "own, -truncation, truncation, (prior.latent,)",
        "own, -2.0, 2.0, (prior.latent,)",
        SAMPLING,
    ),
    Mutation(
        f"{G}/sampling.py",
        "jnp.sin((1 - t) * angle) / safe, 1 - t)",
        "jnp.sin((1 - t) * angle) / safe, t)",
        SAMPLING,
    ),
    Mutation(
        f"{G}/sampling.py",
        "jnp.full(columns, classes[row], jnp.int32)",
        "jnp.full(columns, classes[0], jnp.int32)",
        SAMPLING,
    ),
    Mutation(
        f"{G}/sampling.py",
        "jnp.asarray(classes)[places.clip(0, n - 1)]",
        "jnp.asarray(classes)[(places - first).clip(0, n - 1)]",
        SAMPLING,
    ),
    Mutation(f"{G}/runs.py", "seed=config.seed, flip=config.flip", "seed=config.seed", RUNS),
    Mutation(
        f"{G}/runs.py", 'split=config.split or "train", follow', 'split="train", follow', RUNS
    ),
    # StarGAN.
    *(
        Mutation(f"{G}/stargan.py", old, new, f"tests/test_gans_stargan.py -k '{names}'")
        for old, new, names in (
            ("(logits, labels).sum(1).mean()", "(logits, labels).mean()", "classification"),
            ("None if alpha is None else 1 - alpha", "alpha", "alpha"),
            ("translated = jax.lax.stop_gradient(translated)", "pass", "gradient"),
            (
                "translate(translated, labels)).mean()",
                "translate(translated, targets)).mean()",
                "back",
            ),
            ("- (total - half) // _RATE_EVERY", "- 0", "schedule"),
            ("_adam(config, config.n_dis)", "_adam(config, 1)", "rate"),
            ("=config.penalty_weight", "=10", "weigh"),
            (
                "reconstruction_weight=config.reconstruction_weight",
                "reconstruction_weight=10",
                "weigh",
            ),
            ("for row in rng.permutation(rows)", "for row in rows", "other_images"),
        )
    ),
    # Targets of translations.
    Mutation(
        f"{G}/stargan_targets.py",
        "targets[place][:, groups] = 0",
        "pass",
        "tests/test_gans_stargan.py -k colour",
    ),
    Mutation(
        f"{G}/stargan_targets.py",
        "{**(dict.fromkeys(exclusive, 0.0) if named else {}), **asked}",
        "asked",
        "tests/test_cli_stargan.py",
    ),
    Mutation(
        f"{G}/stargan_targets.py",
        "labels = np.array(labels, np.float32)",
        "labels = np.asarray(labels, np.float32)",
        "tests/test_cli_stargan.py",
    ),
]
