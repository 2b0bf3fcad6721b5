"""Parameters of SSM, and secrets of Secrets Manager, which SSM reads as `/aws/reference/secretsmanager/NAME`."""

from collections.abc import Mapping
from functools import cached_property

from botocore.exceptions import BotoCoreError, ClientError

from hubless.adapters.aws import Clients
from hubless.domain.errors import StoreUnavailableError


class SsmParameters:
    """Reads all of *names* in one call at the first use, and keeps them."""

    def __init__(self, names: tuple[str, ...], clients: Clients) -> None:
        self._names, self._clients = names, clients

    def text(self, name: str) -> str:
        """Return the value of the parameter *name*.

        Raises:
            StoreUnavailableError: if SSM does not return it.
        """
        return self._texts[name]

    def __repr__(self) -> str:
        return f"SsmParameters({self._names!r})"  # without the values, which are secret

    @cached_property
    def _texts(self) -> Mapping[str, str]:
        try:
            answer = self._clients.ssm.get_parameters(Names=list(self._names), WithDecryption=True)
        except ClientError as error:
            raise self._unread(error.response.get("Error", {}).get("Code", "")) from error
        except BotoCoreError as error:
            raise self._unread(str(error)) from error
        if missing := answer.get("InvalidParameters"):  # not cached: an operator may add it before the next read
            raise StoreUnavailableError(f"SSM has no parameter {' and no parameter '.join(missing)}")
        # A name may be an ARN, or end with a version or a label.
        calls = (("ARN", ""), ("Name", ""), ("Name", "Selector"))
        return {
            one.get(name, "") + one.get(more, ""): one["Value"] for one in answer["Parameters"] for name, more in calls
        }

    def _unread(self, why: str) -> StoreUnavailableError:
        return StoreUnavailableError(f"Cannot read the parameters {' and '.join(self._names)} from SSM: {why}")
