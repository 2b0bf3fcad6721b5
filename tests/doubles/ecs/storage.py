"""As much of S3 and of EFS as launches use."""

from dataclasses import dataclass
from datetime import datetime

from tests.doubles.ecs.errors import AwsError


@dataclass(frozen=True)
class Stored:
    body: bytes
    at: datetime
    key: str | None  # of KMS


class S3Calls:
    """Objects in buckets; strongly consistent, as S3 is."""

    def put_object(self, given):
        self._bucket(given)[given["Key"]] = Stored(given.get("Body", b""), self.now(), given.get("SSEKMSKeyId"))
        return {"ETag": '"0"'}

    def delete_object(self, given):
        self._bucket(given).pop(given["Key"], None)  # S3 does not mind either
        return {}

    def list_objects_v2(self, given):
        assert given.keys() <= {"Bucket", "Prefix", "MaxKeys", "ContinuationToken"}
        keys = sorted(key for key in self._bucket(given) if key.startswith(given.get("Prefix", "")))
        keys = [key for key in keys if key > given.get("ContinuationToken", "")]
        shown = keys[: int(given.get("MaxKeys", 1000))]
        objects = [(key, self.buckets[given["Bucket"]][key]) for key in shown]
        return {"objects": objects, "next": shown[-1] if len(shown) < len(keys) else None}

    def _bucket(self, given):
        if given["Bucket"] not in self.buckets:
            raise AwsError("NoSuchBucket", "The specified bucket does not exist", 404)
        return self.buckets[given["Bucket"]]

    def read_file(self, arn):
        """Return the text of the object that an ARN names, as ECS reads it; None when it is not there."""
        bucket, _, key = arn.partition(":::")[2].partition("/")
        found = self.buckets.get(bucket, {}).get(key)
        return None if found is None else found.body.decode()

    def secrets(self, prefix="launches/"):
        """Return what lies in buckets under a prefix."""
        found = (item for bucket in self.buckets.values() for item in bucket.items())
        return {key: stored.body.decode() for key, stored in found if key.startswith(prefix)}


class EfsCalls:
    """Access points; made once for a client token."""

    def create_access_point(self, given):
        if given["FileSystemId"] not in self.file_systems:
            raise AwsError("FileSystemNotFound", f"File system '{given['FileSystemId']}' does not exist.", 404)
        for number, point in self.access_points.items():
            if point["ClientToken"] == given["ClientToken"]:
                raise AwsError(
                    "AccessPointAlreadyExists",
                    f"Access point already exists with creation token {given['ClientToken']}",
                    409,
                    AccessPointId=number,
                )
        path = given["RootDirectory"]["Path"]
        if len(path) > 100 or path.count("/") > 4:
            raise AwsError("BadRequest", "RootDirectory.Path must have at most 100 characters and four folders.")
        if len(self.access_points) >= 10_000:
            raise AwsError("AccessPointLimitExceeded", "You have reached the maximum number of access points", 403)
        number = f"fsap-{self.hex(17)}"
        self.access_points[number] = given
        return given | {"AccessPointId": number, "LifeCycleState": "creating"}

    def delete_access_point(self, given):
        if self.access_points.pop(given["AccessPointId"], None) is None:
            raise AwsError("AccessPointNotFound", f"Access point '{given['AccessPointId']}' does not exist.", 404)
        return {}

    def describe_access_points(self, given):
        assert given.keys() <= {"FileSystemId", "MaxResults", "NextToken"}
        found = [
            given_then | {"AccessPointId": number, "LifeCycleState": "available"}
            for number, given_then in self.access_points.items()
            if given_then["FileSystemId"] == given["FileSystemId"]
        ]
        first, size = int(given.get("NextToken") or 0), int(given.get("MaxResults") or 100)
        more = {"NextToken": str(first + size)} if first + size < len(found) else {}
        return {"AccessPoints": found[first : first + size]} | more
