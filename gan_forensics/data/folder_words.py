"""Names of folders that say whether their images are real or generated: words of public data sets.

Others, and 0 and 1, are asked about.
"""

REAL = (
    "real", "reals", "0_real", "nature", "natural", "original", "originals", "authentic", "genuine",
    "pristine", "photo", "photos", "photographs",
)  # fmt: skip
GENERATED = (
    "fake", "fakes", "1_fake", "generated", "ai", "synthetic", "synthesized", "artificial", "gan",
    "deepfake", "deepfakes",
)  # fmt: skip
WORDS = {**dict.fromkeys(REAL, "real"), **dict.fromkeys(GENERATED, "generated")}
