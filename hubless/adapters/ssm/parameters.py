"""Parameters of SSM, and secrets of Secrets Manager, which it reads under `/aws/reference/secretsmanager/NAME`."""

from collections.abc import Mapping
from functools import cached_property

from botocore.exceptions import BotoCoreError, ClientError

from hubless.adapters.aws import Clients
from hubless.domain.errors import StoreUnavailableError


class SsmParameters:
    """Reads all of *names* in one call when the first is asked for, and then keeps them."""

    def __init__(self, names: tuple[str, ...], clients: Clients) -> None:
        self._names, self._clients = names, clients

    def text(self, name: str) -> str:
        """Return what one of them holds.

        Raises:
            StoreUnavailableError: when it cannot be read.
        """
        return self._texts[name]

    def __repr__(self) -> str:
        return f"SsmParameters({self._names!r})"  # never what they hold

    @cached_property
    def _texts(self) -> Mapping[str, str]:
        try:
            answer = self._clients.ssm.get_parameters(Names=list(self._names), WithDecryption=True)
        except ClientError as error:
            raise self._unread(error.response.get("Error", {}).get("Code", "")) from error
        except BotoCoreError as error:
            raise self._unread(str(error)) from error
        if missing := answer.get("InvalidParameters"):  # not kept: they may be there when they are asked for again
            raise StoreUnavailableError(f"There is no parameter {' and none '.join(missing)} in SSM")
        # One may be asked for by its ARN, or with a version or a label behind its name.
        calls = (("ARN", ""), ("Name", ""), ("Name", "Selector"))
        return {
            one.get(name, "") + one.get(more, ""): one["Value"] for one in answer["Parameters"] for name, more in calls
        }

    def _unread(self, why: str) -> StoreUnavailableError:
        return StoreUnavailableError(f"SSM's parameters {' and '.join(self._names)} cannot be read: {why}")
