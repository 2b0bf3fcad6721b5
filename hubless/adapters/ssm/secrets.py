"""The hub's secrets: one SecureString parameter that holds a JSON object of texts by name."""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property

from botocore.exceptions import BotoCoreError, ClientError

from hubless.adapters.aws import Clients
from hubless.domain.errors import StoreUnavailableError


class SsmSecrets(Mapping[str, str]):
    """Reads the parameter when the first secret is asked for, and then keeps it: who changes it deploys anew."""

    def __init__(self, parameter: str, clients: Clients) -> None:
        self._parameter, self._clients = parameter, clients

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
            found = self._clients.ssm.get_parameter(Name=self._parameter, WithDecryption=True)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            raise StoreUnavailableError(f"The secrets in the parameter {self._parameter} cannot be read: {code}") from error
        except BotoCoreError as error:
            raise StoreUnavailableError(f"The secrets in the parameter {self._parameter} cannot be read: {error}") from error
        return self._checked(found["Parameter"]["Value"])

    def _checked(self, text: str) -> Mapping[str, str]:
        try:
            values = json.loads(text)
        except ValueError:
            values = None
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            # Without the text, which is secret, and without the parser's words, which repeat it.
            raise StoreUnavailableError(f"The parameter {self._parameter} must hold a JSON object of texts") from None
        return values
