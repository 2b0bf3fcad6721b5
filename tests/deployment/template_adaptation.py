"""Adapt templates to MiniStack: remove the resources that it does not support (docs/emulator.md lists them)."""

import json

# Types that MiniStack does not support, with values for attributes that other resources use.
LEFT_OUT = {
    "AWS::CloudFormation::WaitCondition": {},
    "AWS::CloudFormation::WaitConditionHandle": {},
    "AWS::CloudFront::VpcOrigin": {"Id": "vo-0123456789abcdef0"},
    "AWS::EC2::FlowLog": {},
    "AWS::EC2::Instance": {
        "PrivateDnsName": "ip-10-64-0-10.eu-central-1.compute.internal"
    },  # Ref is an instance that the test created
    "AWS::EC2::SecurityGroupIngress": {},
    "AWS::ECS::ClusterCapacityProviderAssociations": {},
    # The CDK's own functions need AWS's SDK for JavaScript, which this machine does not have.
    "Custom::AWS": {},
    "Custom::Reservations": {"Told": "none"},
    "Custom::S3AutoDeleteObjects": {},
}
# SSM's references to Secrets Manager. MiniStack does not support them, and refuses parameters of this path.
REFERENCES, SUBSTITUTE = "/aws/reference/secretsmanager/", "/reference/secretsmanager/"


def adapt(folder, instance):
    """Change the templates in *folder*. *instance* is the id of the edge's instance."""
    for file in folder.glob("*.template.json"):
        file.write_text(json.dumps(_adapted(json.loads(file.read_text()), instance)))


def _adapted(template, instance):
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
        return _replaced_reference(value, gone)
    return value.replace(REFERENCES, SUBSTITUTE) if isinstance(value, str) else value


def _replaced_reference(value, gone):
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
