"""Lambda's entry: requests that API Gateway hands over."""

from functions.api.gateway import adapter, handle
from hubless.bootstrap.cloud import entry

handler = entry(handle, "api", adapter)
