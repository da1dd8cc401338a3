"""Mutations of self-supervision, DAG, R3GAN and augmentation, and of what they look with."""

from tests.mutations import Mutation

G = "gan_forensics/gans"
TOGETHER = "tests/test_gans_together.py"
MULTI_CLASS = "tests/test_gans_multi_class.py"
DAG = "tests/test_gans_dag.py"
RELATIVISTIC = "tests/test_gans_relativistic.py"
AUGMENT = "tests/test_gans_augment.py"
ROWS = "tests/test_gans_self_supervised_methods.py"

MUTATIONS = [
    # Many sets in one pass.
    Mutation(
        f"{G}/context.py",
        "x.mean(0) if collection == _OF_BATCHES else x[0]",
        "x[0]",
        f"{TOGETHER} -k batch_norm",
    ),
    Mutation(
        f"{G}/context.py",
        "lambda x, k=k: x[k::many], outputs",
        "lambda x, k=k: x[k * len(x) // many : (k + 1) * len(x) // many], outputs",
        f"{TOGETHER} -k spectral",
    ),
    Mutation(
        f"{G}/context.py",
        "if _OF_BATCHES in self.stats.get(DISCRIMINATOR, self._before[DISCRIMINATOR]):",
        "if False:",
        f"{TOGETHER} -k batch_norm",
    ),
    Mutation(f"{G}/context.py", " if isinstance(made, tuple)}", "}", f"{TOGETHER} -k trunk"),
    Mutation(
        f"{G}/context.py",
        "moved, self.stats = self.stats, before",
        "moved = before",
        f"{RELATIVISTIC} -k formula",
    ),
    # Classes that know of fakes.
    Mutation(
        f"{G}/multi_class.py",
        "(logits[:, FAKE] - _own(logits, turns)).mean()",
        "(_own(logits, turns) - logits[:, FAKE]).mean()",
        f"{MULTI_CLASS} -k slopes",
    ),
    Mutation(
        f"{G}/multi_class.py",
        "jnp.where(is_fake, fake[indices % count], turned)",
        "jnp.where(is_fake, fake, turned)",
        f"{MULTI_CLASS} -k upright",
    ),
    Mutation(
        f"{G}/multi_class.py",
        "jnp.abs(cross_entropy(fake, turns) - cross_entropy(real, turns))",
        "(cross_entropy(fake, turns) - cross_entropy(real, turns))",
        f"{MULTI_CLASS} -k sign",
    ),
    Mutation(
        f"{G}/multi_class.py",
        "(others * jax.nn.relu(1 - own + logits)).sum(1).mean()",
        "jax.nn.relu(1 - own + logits).sum(1).mean()",
        f"{MULTI_CLASS} -k slopes",
    ),
    Mutation(
        f"{G}/multi_class.py",
        "else 2 * TURNS / (2 * TURNS - 1)",
        "else 1.0",
        f"{MULTI_CLASS} -m 'slow or not slow' -k hinge",
    ),
    Mutation(
        f"{G}/multi_class.py",
        "cross_entropy(real, turns) + cross_entropy(fake, jnp.full_like(turns, FAKE))",
        "cross_entropy(real, turns)",
        f"{MULTI_CLASS} -k MS",
    ),
    Mutation(
        f"{G}/rotation.py",
        "rotated(images[indices % count], indices // count)",
        "rotated(images[indices // 4], indices % 4)",
        f"{MULTI_CLASS} -k sign",
    ),
    # DAG.
    Mutation(
        f"{G}/dag.py",
        "found += [weight / (n - 1)] * (n - 1)",
        "found += [weight / n] * (n - 1)",
        f"{DAG} -k loop",
    ),
    Mutation(
        f"{G}/dag.py",
        "if detached_generator and not discriminates:",
        "if not discriminates:",
        f"{DAG} -m slow -k teaches",
    ),
    Mutation(
        f"{G}/dag.py",
        "        if PROJECTION in judged[0][0]:",
        "        if False:",
        f"{DAG} -m slow -k conditional",
    ),
    Mutation(
        f"{G}/dag.py",
        "steepness = jnp.asarray(shares) @ copies.penalties(penalty)",
        "steepness = copies.penalties(penalty).mean()",
        f"{DAG} -k penalty",
    ),
    Mutation(
        f"{G}/dag.py",
        "            context.stats = moved\n            return logits.sum()",
        "            return logits.sum()",
        f"{DAG} -k penalty",
    ),
    Mutation(
        f"{G}/dag.py",
        "made = (made + 1) / 2 if wide else made",
        "made = made",
        f"{DAG} -k grey",
    ),
    Mutation(
        f"{G}/dag.py",
        "        return reconstructed(context), None",
        '        return context.images("real"), None',
        f"{DAG} -m slow -k reconstructions",
    ),
    # R3GAN.
    Mutation(
        f"{G}/relativistic.py",
        "context.weigh(gamma) / 2",
        "context.weigh(gamma)",
        f"{RELATIVISTIC} -k formula",
    ),
    Mutation(
        f"{G}/relativistic.py",
        "sum(range(1, slopes.ndim)) / (4 if unit else 1)",
        "sum(range(1, slopes.ndim)) / (1 if unit else 4)",
        f"{RELATIVISTIC} -m slow -k unit",
    ),
    Mutation(
        f"{G}/relativistic.py",
        "        if context.augments:",
        "        if False:",
        f"{RELATIVISTIC} -m slow -k formula",
    ),
    Mutation(
        f"{G}/methods.py",
        "betas=(0.0, 0.99), first=DISCRIMINATOR, own_minibatches=True)",
        "betas=(0.0, 0.99), first=DISCRIMINATOR)",
        f"{RELATIVISTIC} -k own",
    ),
    # Augmentation.
    Mutation(
        f"{G}/augment.py",
        'random_of(policies, im, key), ("real",), unit)',
        "random_of(policies, im, key), None, unit)",
        f"{AUGMENT} -k table",
    ),
    Mutation(
        f"{G}/augment.py",
        "jnp.where(made == wide, images, (made + 1) / 2)",
        "(made + 1) / 2",
        f"{AUGMENT} -k unit",
    ),
    Mutation(
        f"{G}/augment.py",
        "    if pair is None or not pair.zero:",
        "    if pair is None:",
        f"{AUGMENT} -k zero",
    ),
    Mutation(
        f"{G}/augment.py",
        'context.apply(ADAPTIVE, context.real["logits"])',
        'context.apply(ADAPTIVE, context.fake["logits"])',
        f"{AUGMENT} -k counts",
    ),
    Mutation(
        f"{G}/augment.py",
        'fake_weight=CONSISTENCY if name == "bcr" else 0.0',
        "fake_weight=CONSISTENCY",
        f"{AUGMENT} -k table",
    ),
    Mutation(
        f"{G}/building.py",
        'config.norm == "batch" and "r3gan" in (config.method, config.base)',
        'config.norm == "batch" and config.method == "r3gan"',
        f"{AUGMENT} -k refused",
    ),
    # Rows.
    Mutation(
        f"{G}/self_supervised_methods.py",
        '("sngan", 48): ((0.5, 0.0), (0.5, 0.05))',
        '("sngan", 48): ((1.0, 0.0), (0.5, 0.05))',
        ROWS,
    ),
    Mutation(
        f"{G}/self_supervised_methods.py",
        "width == 2 * config.discriminator_width",
        "width == 4 * config.discriminator_width",
        ROWS,
    ),
    Mutation(
        f"{G}/method.py",
        'spectral_norm = bool(getattr(discriminator, "spectral_norm", False))',
        "spectral_norm = False",
        ROWS,
    ),
]
