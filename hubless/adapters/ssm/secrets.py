"""The hub's secrets: one SecureString parameter that holds a JSON object of texts by name."""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property

from hubless.adapters.ssm.parameters import SsmParameters
from hubless.domain.errors import StoreUnavailableError


class SsmSecrets(Mapping[str, str]):
    """Reads the parameter when the first secret is asked for, and then keeps it: who changes it deploys anew."""

    def __init__(self, parameter: str, parameters: SsmParameters) -> None:
        self._parameter, self._parameters = parameter, parameters

    def __getitem__(self, name: str) -> str:
        """Return a secret.

        Raises:
            KeyError: when there is none of that name.
            StoreUnavailableError: when the parameter cannot be read or holds something else.
        """
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"SsmSecrets({self._parameter!r})"  # never what they are

    @cached_property
    def _values(self) -> Mapping[str, str]:
        try:
            values = json.loads(self._parameters.text(self._parameter))
        except ValueError:
            values = None
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            # Without the text, which is secret, and without the parser's words, which repeat it.
            raise StoreUnavailableError(f"The parameter {self._parameter} must hold a JSON object of texts") from None
        return values
