"""The hub's secrets: one SecureString parameter that holds a JSON object of texts by name."""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property

from hubless.adapters.ssm.parameters import SsmParameters
from hubless.domain.errors import StoreUnavailableError


class SsmSecrets(Mapping[str, str]):
    """Reads the parameter at the first use and keeps it; a change takes effect with the next deployment."""

    def __init__(self, parameter: str, parameters: SsmParameters) -> None:
        self._parameter, self._parameters = parameter, parameters

    def __getitem__(self, name: str) -> str:
        """Return the secret *name*.

        Raises:
            KeyError: if there is no such secret.
            StoreUnavailableError: if SSM does not return the parameter, or it is no JSON object of texts.
        """
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"SsmSecrets({self._parameter!r})"  # without the values, which are secret

    @cached_property
    def _values(self) -> Mapping[str, str]:
        try:
            values = json.loads(self._parameters.text(self._parameter))
        except ValueError:
            values = None
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            # The text is secret, and the parser's message repeats it.
            raise StoreUnavailableError(f"The parameter {self._parameter} must hold a JSON object of texts") from None
        return values
