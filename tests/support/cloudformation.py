"""The events of a stack as CloudFormation lists them: newest first, a hundred a page, all operations in one list.

The reason of a refused distribution is CloudFormation's, as several people have reported it (read on 2026-11-27).

Facts: CF-7.
"""

PAGE = 100
UNVERIFIED = (
    "Resource handler returned message: \"Access denied for operation 'AWS::CloudFront::Distribution: Your account must"
    " be verified before you can add new CloudFront resources. To verify your account, please contact AWS Support"
    " (https://console.aws.amazon.com/support/home#/) and include this error message. (Service: CloudFront, Status"
    " Code: 403, Request ID: 4f7d6a00)'.\" (RequestToken: 0b1c, HandlerErrorCode: AccessDenied)"
)
CANCELLED = "Resource creation cancelled"


class StackEvents:
    """The events of one stack."""

    def __init__(self, name):
        self.name, self._events = name, []
        self._id = f"arn:aws:cloudformation:eu-central-1:123456789012:stack/{name}/1"

    def of_stack(self, status, reason=""):
        return self._add(self.name, "AWS::CloudFormation::Stack", self._id, status, reason)

    def of_resource(self, name, kind, status, reason=""):
        return self._add(name, kind, f"made-{name}", status, reason)

    def _add(self, name, kind, physical, status, reason):
        event = {"StackId": self._id, "StackName": self.name, "LogicalResourceId": name, "ResourceType": kind}
        event |= {"PhysicalResourceId": physical, "ResourceStatus": status}
        self._events.append(event | ({"ResourceStatusReason": reason} if reason else {}))
        return self

    def page(self, token=""):
        """Return the answer of DescribeStackEvents."""
        begin = int(token or 0)
        newest = self._events[::-1]
        more = {"NextToken": str(begin + PAGE)} if begin + PAGE < len(newest) else {}
        return {"StackEvents": newest[begin : begin + PAGE]} | more


def refused(name, resource, kind, reason, *, others=0):
    """Return the events of a stack whose first creation failed at *resource*, while *others* were being made."""
    events = StackEvents(name).of_stack("REVIEW_IN_PROGRESS", "User Initiated")
    events.of_stack("CREATE_IN_PROGRESS", "User Initiated")
    names = [f"Other{number}" for number in range(others)]
    for one in names:
        events.of_resource(one, "AWS::SQS::Queue", "CREATE_IN_PROGRESS")
    events.of_resource(resource, kind, "CREATE_IN_PROGRESS").of_resource(resource, kind, "CREATE_FAILED", reason)
    for one in names:
        events.of_resource(one, "AWS::SQS::Queue", "CREATE_FAILED", CANCELLED)
    events.of_stack(
        "ROLLBACK_IN_PROGRESS", f"The following resource(s) failed to create: [{resource}]. Rollback requested"
    )
    for one in names:
        events.of_resource(one, "AWS::SQS::Queue", "DELETE_COMPLETE")
    return events.of_stack("ROLLBACK_COMPLETE")
