"""Started by `bootstrap`: makes the function's environment ready, and serves until Lambda ends it."""

import sys

from functions.api.stream.runtime import RuntimeApi
from hubless.settings.cloud import runtime, trace


def main() -> None:
    """Serve invocations."""
    api = RuntimeApi(runtime().api)
    try:
        from functions.api.stream.handler import handler  # noqa: PLC0415 a start that fails is told of too
    except Exception as error:  # noqa: BLE001 whatever it is
        api.init_failed(error)
        sys.exit(1)
    api.serve(handler, trace)


if __name__ == "__main__":
    main()
