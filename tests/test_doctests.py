"""The examples in docstrings, run; and which exported names have none yet."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

AREAS = "runtime files spectra nn data train gans".split()
# Seconds, for the step that they compile.
COMPILE_MUCH = {"gan_forensics.gans.fitting"}
# These have none yet: a name leaves the list with its first example, and none joins it.
WITHOUT = {
    "runtime": """
        check_precision computation_dtype jit jit_step keep_compiled keep_scratch_memory products
        replicated say_what_compiles split_over_data to_mesh
    """,
    "files": """
        check_file_in check_file_out check_folder_out Csv escaped file_stem gunzip
        gunzip_start in_words names_it no_link open_regular plain_path private_folder
        read_bytes read_csv read_json refuse_links rows_kept say tell unpacked write_csv
        write_json write_text written_beside
    """,
    "spectra": """
        curve_cross_entropy frequency_bins gray_levels PowerLaw spectral_loss SpectrumSummary
        standardise unmasking_features
    """,
    "nn": """
        BatchNorm bilinear_half_pixel ConditionalBatchNorm Conv convolve convolve_transpose
        ConvTranspose DBlock DBlockOptimized DctCnn Discriminator dist_gan_networks
        DistGanNetworks Features from_torch GBlock GroupNorm1 InfoMaxCritics InstanceNorm
        Judged load_weights read_dist_gan_weights ReverseEngineering SelfAttention SNConv
        SNDense SNEmbed Transformer YuClassifier
    """,
    "data": """
        as_source Attributed AttributeSource Augmentation Batches batches_once blur chunks
        decode_image FileSource fingerprint Header image_grid installed_encoders jpeg
        list_images Listing load_image open_attributed open_parallel ParallelText read_header
        resize resize_shorter Rgb Rows rows_of_split save_png SkipBad Stacked TokenBatches
        train_vocabulary Vocabulary World
    """,
    "train": """
        Aux Checkpoints fit from_config init_state Learner load_state make_step
        minibatches_per_step Plateau process_batches read_config read_metrics
        supervised_update train_seeds TrainState Update
    """,
    "gans": """
        about_average adam adversarial AdversarialLoss build_stargan consistency_task Context
        cross_entropy dag_task Draws Game Gan generate gradient_matching_task gradient_penalty
        infomax_accuracy infomax_task init interpolate label_augmented_task
        largest_singular_values load load_gan load_stargan Loss matching_task Method
        multi_class_task neighbour_embedding neighbour_task only OwnConfig penalised Player
        Prior relativistic_task rotated rotation_loss rotation_task save similarities
        spectral_task StarGan StarGanConfig target_labels Task taylor_coefficients taylor_gaps
        TaylorCoefficients TaylorGaps train_gan train_stargan translate with_average
    """,
}


def needs_example(value) -> bool:
    """Functions and classes, but for exceptions and protocols; aliases and tables do without."""
    if inspect.isclass(value):
        return not issubclass(value, BaseException) and not getattr(value, "_is_protocol", False)
    return inspect.isfunction(inspect.unwrap(value)) if callable(value) else False


@pytest.mark.parametrize("area", AREAS)
def test_every_exported_name_has_an_example(area):
    package = importlib.import_module(f"gan_forensics.{area}")
    named = {name: getattr(package, name) for name in package.__all__}
    lacking = {n for n, v in named.items() if needs_example(v) and ">>>" not in (v.__doc__ or "")}
    assert lacking == set(WITHOUT[area].split())


@pytest.mark.parametrize("area", AREAS)
def test_examples_are_true(area):
    package = importlib.import_module(f"gan_forensics.{area}")
    modules = [m.name for m in pkgutil.iter_modules(package.__path__, f"gan_forensics.{area}.")]
    assert run_examples(*(name for name in modules if name not in COMPILE_MUCH))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(COMPILE_MUCH))
def test_long_examples_are_true(name):
    assert run_examples(name)


def run_examples(*names: str) -> int:
    """How many there were; all of them succeed."""
    results = [doctest.testmod(importlib.import_module(name)) for name in names]
    assert not sum(result.failed for result in results)
    return sum(result.attempted for result in results)
