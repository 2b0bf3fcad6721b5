"""Reserve concurrency for the hub's functions, of what the account has. CloudFormation calls it in a deployment.

Lambda keeps 100 executions of an account unreserved, and a new account has 10 in all: a template that reserves some
would not deploy there. Source: docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html.

The template contains this file, so it imports only what Lambda's runtime has.
"""

from typing import Any

import boto3

UNRESERVED = 100  # that Lambda keeps
REAPER, SPAWN = 2, 50  # sweeps that overlap; both queues' mappings (20 each) and task events
STREAM_SHARE = 5  # the stream function has a fifth of the account's


def shares(limit: int, free: int, streams: int) -> dict[str, int]:
    """Return the reservations by function, for an account with *limit* executions of which *free* can be reserved.

    *streams* is the stage's wish, 0 for a share of the limit. Where launches cannot have their own, nobody has.
    """
    left = free - REAPER - SPAWN
    if left < 0:
        return {}
    reserved = {"reaper": REAPER, "spawn": SPAWN, "stream": min(streams or limit // STREAM_SHARE, left)}
    return {kind: count for kind, count in reserved.items() if count}  # a function with 0 never runs


def reserve(client: Any, names: dict[str, str], streams: int) -> dict[str, int]:
    """Reserve concurrency for functions, whose *names* are given by kind. Return what is reserved."""
    account = client.get_account_settings()["AccountLimit"]
    before = {
        kind: client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions", 0)
        for kind, name in names.items()
    }
    free = account["UnreservedConcurrentExecutions"] + sum(before.values()) - UNRESERVED
    wanted = shares(account["ConcurrentExecutions"], free, streams)
    # What becomes less is first, because the others may need it.
    for kind in sorted(names, key=lambda kind: wanted.get(kind, 0) - before[kind]):
        if kind in wanted:
            client.put_function_concurrency(FunctionName=names[kind], ReservedConcurrentExecutions=wanted[kind])
        else:
            client.delete_function_concurrency(FunctionName=names[kind])
    return wanted


def handler(event: dict[str, Any], context: object) -> None:
    """Answer CloudFormation. No reservation fails a deployment: the stack's output says what is reserved."""
    import cfnresponse  # Lambda adds it to the code of a template

    given = event["ResourceProperties"]
    try:
        is_gone = event["RequestType"] == "Delete"
        reserved = {} if is_gone else reserve(boto3.client("lambda"), given["Names"], int(given["Streams"]))
        told = (
            ", ".join(f"{kind} {count}" for kind, count in sorted(reserved.items())) or "none, the account has too few"
        )
    except Exception as error:  # CloudFormation would wait an hour for the answer
        told = f"none: {error}"
    cfnresponse.send(event, context, cfnresponse.SUCCESS, {"Told": told[:1000]}, "reservations")
