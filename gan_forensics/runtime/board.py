"""The board of JAX's coordinator, where the processes of a job leave notes for each other."""

import json
from typing import Any

import jax

from gan_forensics.files import parse_json

_SPACE = "gan_forensics"


class Board:
    """Notes on the board of JAX's coordinator, JSON by name: what processes know of each other."""

    def __init__(self, client: Any, index: int, count: int):
        self.client, self.index, self.count = client, index, count

    def put(self, name: str, value: Any) -> None:
        """Write a note, over what stood there."""
        self.client.key_value_set(f"{_SPACE}/{name}", json.dumps(value), allow_overwrite=True)

    def put_first(self, name: str, value: Any) -> None:
        """Write a note, unless there is one."""
        try:
            self.client.key_value_set(f"{_SPACE}/{name}", json.dumps(value))
        except jax.errors.JaxRuntimeError:
            pass

    def get(self, name: str, limit: float) -> Any:
        """Read a note, when it is there.

        Raises:
            TimeoutError: when it is not in so many seconds.
        """
        try:
            text = self.client.blocking_key_value_get(f"{_SPACE}/{name}", round(1000 * limit))
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise
            raise TimeoutError(name) from error
        return parse_json(text, name)

    def now(self, name: str) -> Any:
        """What stands there now; None for nothing."""
        try:
            return parse_json(self.client.key_value_try_get(f"{_SPACE}/{name}"), name)
        except jax.errors.JaxRuntimeError:
            return None

    def all(self, name: str) -> dict[int, Any]:
        """The notes of all processes that wrote one: `name/<index>`."""
        found = self.client.key_value_dir_get(f"{_SPACE}/{name}/")
        return {int(key.rpartition("/")[2]): parse_json(text, key) for key, text in found}
