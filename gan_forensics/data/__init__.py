"""Data: sources of examples named by a string, image files in and out, endless batches."""

from gan_forensics.data import account
from gan_forensics.data.attributed import Attributed, open_attributed
from gan_forensics.data.attributes import AttributeSource, open_attributes
from gan_forensics.data.augment import (
    Augmentation,
    blur,
    grayscale,
    installed_encoders,
    jpeg,
    resize_shorter,
)
from gan_forensics.data.decoding import (
    Header,
    ImageError,
    decode_image,
    load_image,
    read_header,
)
from gan_forensics.data.given_images import as_images, as_source
from gan_forensics.data.identity import fingerprint
from gan_forensics.data.images import (
    center_crop,
    image_grid,
    resize,
    save_png,
    square,
    to_float,
    to_uint8,
)
from gan_forensics.data.input_shards import Inputs, Shard, read_shard, shards_of
from gan_forensics.data.listing import Listing, list_images
from gan_forensics.data.names import SOURCES, has_points, open_source
from gan_forensics.data.pipeline import Batches, Transform
from gan_forensics.data.samples import PHOTO_NAMES
from gan_forensics.data.skip_bad import SkipBad
from gan_forensics.data.sources import (
    ArraySource,
    FileSource,
    Rgb,
    Rows,
    Source,
    batches_once,
    chunks,
    rows_of_split,
    take,
)
from gan_forensics.data.stacked import Stacked
from gan_forensics.data.text import ParallelText, open_parallel
from gan_forensics.data.token_batches import TokenBatches
from gan_forensics.data.toy import power_law_textures
from gan_forensics.data.toy_points import WORLDS, World, world_of
from gan_forensics.data.vocabulary import Vocabulary, train_vocabulary

__all__ = [
    "account",
    "ArraySource",
    "as_images",
    "as_source",
    "Attributed",
    "AttributeSource",
    "Augmentation",
    "Batches",
    "batches_once",
    "blur",
    "center_crop",
    "chunks",
    "decode_image",
    "FileSource",
    "fingerprint",
    "grayscale",
    "has_points",
    "Header",
    "image_grid",
    "ImageError",
    "Inputs",
    "installed_encoders",
    "jpeg",
    "list_images",
    "Listing",
    "load_image",
    "open_attributed",
    "open_attributes",
    "open_parallel",
    "open_source",
    "ParallelText",
    "PHOTO_NAMES",
    "power_law_textures",
    "read_header",
    "read_shard",
    "resize",
    "resize_shorter",
    "Rgb",
    "Rows",
    "rows_of_split",
    "save_png",
    "Shard",
    "shards_of",
    "SkipBad",
    "Source",
    "SOURCES",
    "square",
    "Stacked",
    "take",
    "to_float",
    "to_uint8",
    "TokenBatches",
    "train_vocabulary",
    "Transform",
    "Vocabulary",
    "World",
    "world_of",
    "WORLDS",
]
