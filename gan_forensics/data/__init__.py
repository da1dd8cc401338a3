"""Data: sources of examples named by a string, image files in and out, endless batches."""

from gan_forensics.data.augment import (
    Augmentation,
    blur,
    grayscale,
    installed_encoders,
    jpeg,
    resize_shorter,
)
from gan_forensics.data.images import (
    ImageError,
    center_crop,
    decode_image,
    image_grid,
    list_images,
    load_image,
    resize,
    save_png,
    square,
    to_float,
    to_uint8,
)
from gan_forensics.data.names import SOURCES, open_source
from gan_forensics.data.pipeline import Batches
from gan_forensics.data.samples import PHOTO_NAMES
from gan_forensics.data.sources import (
    ArraySource,
    FileSource,
    Rows,
    Source,
    batches_once,
    chunks,
    rows_of_split,
    take,
)
from gan_forensics.data.toy import power_law_textures
