"""The headers by which the web's front says of a request what nobody behind it can see.

What stands in front (CloudFront, in AWS) sets them on each request, whatever its sender wrote under these names.
"""

OWN = "x-hubless-"  # how all of them begin
PATH_HEADER = f"{OWN}path"  # the path as it was sent: API Gateway decodes it
HOST_HEADER = f"{OWN}host"  # the host that was asked: origins are asked by names of their own
ADDRESS_HEADER = f"{OWN}address"  # who asks
FRONT_HEADER = f"{OWN}front"  # a secret that says that it is the front
