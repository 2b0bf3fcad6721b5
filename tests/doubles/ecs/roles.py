"""As much of IAM as users' roles need. ECS learns of a role later than IAM has it."""

import json
import re
from urllib.parse import quote

from tests.doubles.ecs.errors import AwsError, client

ACCOUNT = "123456789012"
POINTS = f"arn:aws:elasticfilesystem:eu-central-1:{ACCOUNT}:access-point/"


def _gone(name):
    return AwsError("NoSuchEntity", f"The role with name {name} cannot be found.", 404)


class IamCalls:
    """Roles: their names are unique in the account, whatever their paths."""

    def create_role(self, given):
        known = {"Path", "RoleName", "AssumeRolePolicyDocument", "Description", "PermissionsBoundary", "Tags"}
        assert given.keys() <= known, f"the double does not know {given.keys() - known}"
        name, path = given["RoleName"], given.get("Path", "/")
        if not re.fullmatch(r"[\w+=,.@-]{1,64}", name, re.ASCII):
            raise AwsError("ValidationError", f"1 validation error detected: Value '{name}' at 'roleName'")
        if not re.fullmatch(r"/|/[!-~]+/", path):
            raise AwsError("ValidationError", f"The specified value for path is invalid: {path}")
        self._check_tags_of_role(given.get("Tags", []))
        try:
            trust = json.loads(given["AssumeRolePolicyDocument"])
        except ValueError:
            raise AwsError("MalformedPolicyDocument", "This policy contains invalid Json") from None
        if (boundary := given.get("PermissionsBoundary")) and boundary not in self.policies:
            raise AwsError("NoSuchEntity", f"Scope ARN: {boundary} does not exist or is not attachable.", 404)
        if name in self.users_roles:
            raise AwsError("EntityAlreadyExists", f"Role with name {name} already exists.", 409)
        if len(self.roles) + len(self.users_roles) >= self.role_quota:
            raise AwsError("LimitExceeded", f"Cannot exceed quota for RolesPerAccount: {self.role_quota}", 409)
        role = {
            "Path": path,
            "RoleName": name,
            "Arn": f"arn:aws:iam::{ACCOUNT}:role{path}{name}",
            "CreateDate": self.now(),
        }
        role |= {"RoleId": f"AROA{self.hex(16).upper()}", "trust": trust, "boundary": boundary}
        role["tags"] = {tag["Key"]: tag["Value"] for tag in given.get("Tags", [])}
        self.users_roles[name] = role
        return {"Role": _shown(role, whole=True)}

    def get_role(self, given):
        role = self.users_roles.get(given["RoleName"])
        if role is None or self.now() - role["CreateDate"] < self.shown_after:
            raise _gone(given["RoleName"])
        return {"Role": _shown(role, whole=True)}

    def list_roles(self, given):
        assert given.keys() <= {"PathPrefix", "Marker", "MaxItems"}
        found = [
            role
            for _, role in sorted(self.users_roles.items())
            if role["Path"].startswith(given.get("PathPrefix", "/"))
        ]
        first, size = int(given.get("Marker", 0)), int(given.get("MaxItems", 100))
        shown = found[first : first + size]
        # A number: where a test in the same process mocks AWS, moto sees this request as well, and reads its marker.
        more = {"Marker": str(first + size)} if first + size < len(found) else {}
        return {"IsTruncated": "true" if more else "false", "Roles": [_shown(role) for role in shown]} | more

    def delete_role(self, given):
        if self.users_roles.pop(given["RoleName"], None) is None:
            raise _gone(given["RoleName"])
        return {}

    @staticmethod
    def _check_tags_of_role(tags):
        for tag in tags:
            for text, most in ((tag["Key"], 128), (tag["Value"], 256)):
                if not re.fullmatch(r"[\w \u00a0.:/=+\-@]*", text) or len(text) > most:
                    raise AwsError("ValidationError", f"1 validation error detected: Value '{text}' at 'tags'")

    # --- for ECS ---

    def check_passed(self, arn):
        """Refuse a role that ECS does not know: at first IAM denies PassRole, and then ECS cannot assume it."""
        if arn in self.roles:
            return
        role = self._by_arn(arn)
        age = self.now() - role["CreateDate"] if role else None
        if age is None or age < self.role_lag / 2:
            raise AwsError(
                "AccessDeniedException",
                f"User: arn:aws:sts::{ACCOUNT}:assumed-role/hub/spawn is not authorized to perform: iam:PassRole on "
                f"resource: {arn} because no identity-based policy allows the iam:PassRole action",
            )
        trusted = [
            one for one in role["trust"]["Statement"] if one["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        ]
        if age < self.role_lag or not trusted:
            raise client(
                f"ECS was unable to assume the role '{arn}' that was provided for this task. Please verify that the "
                "role being passed has the proper trust relationship and permissions and that your IAM user has "
                "permissions to pass this role."
            )

    def mountable_by(self, arn):
        """Return the id of the access point that a role may mount by its tag, or None."""
        role = self._by_arn(arn)
        tag = role["tags"].get("hubless-access-point", "") if role else ""
        return tag.removeprefix(POINTS) if tag.startswith(POINTS) else None

    def _by_arn(self, arn):
        return next((role for role in self.users_roles.values() if role["Arn"] == arn), None)


def _shown(role, *, whole=False):
    """Return a role as IAM shows it: in lists without its tags and its boundary."""
    shown = {key: role[key] for key in ("Path", "RoleName", "RoleId", "Arn")}
    shown |= {
        "CreateDate": f"{role['CreateDate']:%Y-%m-%dT%H:%M:%SZ}",
        "AssumeRolePolicyDocument": quote(json.dumps(role["trust"])),
    }
    if whole and role["boundary"]:
        shown["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": role["boundary"],
        }
    if whole and role["tags"]:
        shown["Tags"] = [{"Key": key, "Value": value} for key, value in role["tags"].items()]
    return shown
