"""What AWS answers when it refuses."""


class AwsError(Exception):
    """One of AWS's errors: its code, its words, and whatever its answer holds beside them."""

    def __init__(self, code, message, status=400, **members):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status, self.members = code, message, status, members


def client(message):
    return AwsError("ClientException", message)


def invalid(message):
    return AwsError("InvalidParameterException", message)


def throttled():
    return AwsError("ThrottlingException", "Rate exceeded")
