"""A stage's templates as MiniStack takes them. What it cannot do is left out by name; docs/emulator.md lists it."""

import json

# Each type that MiniStack does not make, with what stands for its attributes where others name them.
LEFT_OUT = {
    "AWS::CloudFront::VpcOrigin": {"Id": "vo-0123456789abcdef0"},
    "AWS::EC2::FlowLog": {},
    "AWS::EC2::Instance": {
        "PrivateDnsName": "ip-10-64-0-10.eu-central-1.compute.internal"
    },  # and Ref: one that a test has made
    "AWS::EC2::SecurityGroupIngress": {},
    "AWS::ECS::ClusterCapacityProviderAssociations": {},
    # The CDK's own functions: they need AWS's SDK for JavaScript, which Lambda has and this machine does not.
    "Custom::AWS": {},
    "Custom::S3AutoDeleteObjects": {},
}
# Where SSM reads what Secrets Manager holds; MiniStack's SSM does not, and lets nobody write there.
REFERENCES, STANDING_IN = "/aws/reference/secretsmanager/", "/reference/secretsmanager/"


def fit(folder, instance):
    """Change the templates that were synthesized into *folder*; *instance* is the edge's."""
    for file in folder.glob("*.template.json"):
        file.write_text(json.dumps(_fitted(json.loads(file.read_text()), instance)))


def _fitted(template, instance):
    resources = template["Resources"]
    gone = {
        name: LEFT_OUT.get(one["Type"], {}) | {"Ref": instance} for name, one in resources.items() if _is_left_out(one)
    }
    template["Resources"] = {name: one for name, one in resources.items() if name not in gone}
    for one in template["Resources"].values():
        if "DependsOn" in one:
            wanted = one["DependsOn"] if isinstance(one["DependsOn"], list) else [one["DependsOn"]]
            one["DependsOn"] = [name for name in wanted if name not in gone]
    return _replaced(template, gone)


def _is_left_out(resource):
    is_of_several = resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
    return resource["Type"] in LEFT_OUT or is_of_several


def _replaced(value, gone):
    if isinstance(value, list):
        return [_replaced(one, gone) for one in value]
    if isinstance(value, dict):
        return _instead(value, gone)
    return value.replace(REFERENCES, STANDING_IN) if isinstance(value, str) else value


def _instead(value, gone):
    match value:
        case {"Ref": str(name)} if name in gone:
            return gone[name]["Ref"]
        case {"Fn::GetAtt": [str(name), str(attribute)]} if name in gone:
            return gone[name][attribute]
        case {
            "Fn::Join": [
                "-",
                [{"Fn::Select": [0, {"Fn::Split": ["-", {"Fn::Select": [6, {"Fn::Split": [":", secret]}]}]}]}, _],
            ]
        }:
            return _replaced(secret, gone)  # the name out of an ARN; MiniStack's Ref of a secret is its name
    return {name: _replaced(one, gone) for name, one in value.items()}
