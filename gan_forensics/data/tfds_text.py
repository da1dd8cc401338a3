"""Parallel text of TensorFlow data sets, without TensorFlow.

Two features hold translations: fixed languages (WMT, TED by pair: a text for each), and varying
ones (TED of many languages: a list of languages beside a list of texts).
"""

from collections import Counter

from gan_forensics.data.catalogues import Pairs
from gan_forensics.data.tfds import open_builder, open_records
from gan_forensics.files import listed


def read_tfds_text(
    name: str, *, split: str, pair: str | None = None, data_dir: str | None = None
) -> tuple[Pairs, Counter]:
    """Sentences and translations of a split, and how many records lack one of them.

    Args:
        name: as `tfds.builder` takes it: name[/config][:version].
        split: "train", "validation" or "test".
        pair: "SOURCE-TARGET", two of the set's languages; by default English to the other one where
            there are two.
        data_dir: where it is prepared, see `read_tfds`.

    Raises:
        ValueError: no such data set or split, no translations, or other languages.
        RuntimeError: it is not prepared and cannot be prepared here.
    """
    builder = open_builder(name, data_dir)
    import tensorflow_datasets as tfds  # after the message of its absence

    kinds = (tfds.features.Translation, tfds.features.TranslationVariableLanguages)
    features = builder.info.features
    inner = [key for key in features if isinstance(features[key], kinds)]
    if isinstance(features, kinds):
        feature, key = features, None
    elif inner:
        feature, key = features[inner[0]], inner[0]
    else:
        raise ValueError(f"tfds:{name} has no translations; its features are {listed(features)}")
    source, target = _languages(name, pair, list(feature.languages or ()))
    records = open_records(builder, name, split)
    pairs, left_out = [], Counter()
    for record in records:
        texts = record if key is None else record[key]
        if isinstance(feature, kinds[1]):
            # Of several translations into one language the first stands.
            spoken = zip(texts["language"], texts["translation"], strict=True)
            texts = {}
            for language, text in spoken:
                texts.setdefault(_text(language), text)
        if source in texts and target in texts:
            pairs.append((_text(texts[source]), _text(texts[target])))
        else:
            left_out[f"without {source} or {target}"] += 1
    return pairs, left_out


def _languages(name: str, pair: str | None, known: list[str]) -> tuple[str, str]:
    if pair is None:
        others = [language for language in known if language != "en"]
        if len(others) != 1 or len(known) != 2:
            raise ValueError(
                f"tfds:{name} has {len(known)} languages ({listed(known)}): write "
                f"tfds:{name}:SOURCE-TARGET"
            )
        return "en", others[0]
    # Codes such as zh-cn have a hyphen of their own.
    cuts = [index for index, letter in enumerate(pair) if letter == "-"]
    cut = [(pair[:index], pair[index + 1 :]) for index in cuts]
    found = [both for both in cut if not known or set(both) <= set(known)]
    if len(found) != 1 or found[0][0] == found[0][1]:
        raise ValueError(
            f"tfds:{name}:{pair}: write SOURCE-TARGET, two of {listed(known) or 'its languages'}"
        )
    return found[0]


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
