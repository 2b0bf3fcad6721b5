"""Started by `bootstrap`: prepares the function, and serves invocations until Lambda ends it."""

import sys

from functions.api.stream.runtime import RuntimeApi
from hubless.settings.cloud import runtime, trace


def main() -> None:
    """Serve invocations."""
    api = RuntimeApi(runtime().api)
    try:
        from functions.api.stream.handler import handler  # noqa: PLC0415 Lambda must learn of a start that fails
    except Exception as error:  # noqa: BLE001 any error must be reported
        api.init_failed(error)
        sys.exit(1)
    api.serve(handler, trace)


if __name__ == "__main__":
    main()
