"""Why a picture is not read."""


class Refusal(ValueError):
    """What is too much or unknown in a file that may be whole: in words, without its name.

    Any other error of a reader means damage.
    """
