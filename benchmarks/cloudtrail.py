"""Seeded entries in the shape of AWS CloudTrail records, as an importer maps them: long, nested, 1 to 1.5 KB each."""

from __future__ import annotations

import base64
import random
import uuid
from typing import Any

from benchmarks.rows import Entry, Weighted, timestamp

ACCOUNT = "111122223333"
# Service, API call, is it read only; the weights are those of an account run by Terraform.
CALLS: dict[tuple[str, str, bool], int] = {
    ("kms", "Decrypt", True): 18,
    ("ec2", "DescribeRouteTables", True): 16,
    ("iam", "GetUser", True): 13,
    ("ssm", "DescribeParameters", True): 12,
    ("s3", "GetBucketPolicy", True): 12,
    ("ssm", "GetParameter", True): 8,
    ("ssm", "DeleteParameter", False): 8,
    ("ssm", "PutParameter", False): 7,
    ("secretsmanager", "GetSecretValue", True): 6,
    ("sts", "AssumeRole", True): 6,
    ("ec2", "RunInstances", False): 4,
    ("iam", "AttachRolePolicy", False): 4,
    ("lambda", "UpdateFunctionCode20150331v2", False): 2,
    ("cloudtrail", "StopLogging", False): 1,
}
REGIONS = {"us-east-1": 60, "eu-central-1": 20, "eu-west-1": 15, "ap-southeast-2": 5}
USER_AGENTS = {
    "APN/1.0 HashiCorp/1.0 Terraform/1.1.2 (+https://www.terraform.io) terraform-provider-aws/3.76.1 "
    "(+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go/1.44.157 (go1.19.3; linux; amd64) HashiCorp-terraform-exec/0.17.3": 40,
    "AWS Internal": 20,
    "Boto3/1.26.165 Python/3.10.6 Linux/5.19.0-46-generic Botocore/1.29.165": 20,
    "aws-cli/2.13.0 Python/3.11.4 Linux/6.1.0 exe/x86_64.ubuntu.22 prompt/off command/ssm.get-parameter": 20,
}
ERRORS = {
    "AccessDenied": "User is not authorized to perform this operation because no identity-based policy allows it",
    "ParameterNotFound": "The parameter could not be found",
    "ThrottlingException": "Rate exceeded",
}
USERS = 300


def cloudtrail_entries(seed: int, count: int) -> list[Entry]:
    """`count` entries as an importer makes them of CloudTrail records."""
    chances = random.Random(seed)
    calls = Weighted.of(chances, CALLS).draw(count)
    users = Weighted.zipf(chances, range(USERS)).draw(count)
    regions = Weighted.of(chances, REGIONS).draw(count)
    agents = Weighted.of(chances, USER_AGENTS).draw(count)
    entries: list[Entry] = []
    for index in range(count):
        service, call, is_read_only = calls[index]
        arn, identity = _identity(users[index])
        name, asked, answered = _call(chances, service, call)
        metadata: dict[str, Any] = {
            "eventVersion": "1.08",
            "eventName": call,
            "userIdentity": identity,
            "awsRegion": regions[index],
            "requestParameters": asked,
            "responseElements": answered,
            "eventID": str(uuid.UUID(int=chances.getrandbits(128), version=4)),
            "readOnly": is_read_only,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": ACCOUNT,
            "eventCategory": "Management",
            "tlsDetails": {
                "tlsVersion": "TLSv1.2",
                "cipherSuite": "ECDHE-RSA-AES128-GCM-SHA256",
                "clientProvidedHostHeader": f"{service}.{regions[index]}.amazonaws.com",
            },
        }
        entry: Entry = {
            "timestamp": timestamp(index, count),
            "user_id": arn,
            "action": f"{service}.{call}".upper(),
            "resource_type": f"{service}.amazonaws.com",
            "resource_id": f"arn:aws:{service}:{regions[index]}:{ACCOUNT}:{name}",
            "request_id": str(uuid.UUID(int=chances.getrandbits(128), version=4)),
            "session_id": identity["accessKeyId"],
            "ip_address": f"10.248.{users[index] % 256}.{users[index] % 251 + 1}",
            "user_agent": agents[index],
            "outcome": "success",
            "metadata": metadata,
        }
        if chances.random() < 0.1:
            code = chances.choice(list(ERRORS))
            metadata |= {"errorCode": code, "errorMessage": ERRORS[code]}
            entry |= {"outcome": "failure", "severity": "WARNING", "message": ERRORS[code]}
        elif chances.random() < 0.2:
            metadata["additionalEventData"] = {
                "SignatureVersion": "SigV4",
                "bytesTransferredOut": chances.randrange(200, 4000),
                "x-amz-id-2": _opaque(chances, 57),
            }
        entries.append(entry)
    return entries


def _identity(number: int) -> tuple[str, dict[str, Any]]:
    """ARN and `userIdentity` of a user; every fourth one has assumed a role."""
    key = f"{number * 2_654_435_761 % 16**8:08X}"
    if number % 4:
        arn = f"arn:aws:iam::{ACCOUNT}:user/engineer-{number:03d}"
        return arn, {
            "type": "IAMUser", "principalId": f"AIDA{key}Q3TMDR", "arn": arn, "accountId": ACCOUNT,
            "accessKeyId": f"AKIA{key}XC3DDD", "userName": f"engineer-{number:03d}",
        }  # fmt: skip
    role = f"deploy-role-{number:03d}"
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/aws-go-sdk-{number:08d}"
    issuer = {
        "type": "Role", "principalId": f"AROA{key}WWVLB7", "arn": f"arn:aws:iam::{ACCOUNT}:role/{role}", "accountId": ACCOUNT, "userName": role,
    }  # fmt: skip
    return arn, {
        "type": "AssumedRole",
        "principalId": f"AROA{key}WWVLB7:aws-go-sdk-{number:08d}",
        "arn": arn,
        "accountId": ACCOUNT,
        "accessKeyId": f"ASIA{key}LLE7IW",
        "sessionContext": {"sessionIssuer": issuer, "webIdFederationData": {}, "attributes": {"mfaAuthenticated": "false"}},
    }


def _call(chances: random.Random, service: str, call: str) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    """What was called upon, the request's parameters and the answer's elements."""
    number = chances.randrange(1, 20_000)
    match service:
        case "ssm" | "secretsmanager":
            name = f"parameter/production/service-{number % 40}/secret-{number}"
            return name, {"name": "/" + name, "withDecryption": True}, {"version": number % 9} if call.startswith("Put") else None
        case "kms":
            context = {"aws:secretsmanager:arn": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:service-{number}"}
            return f"key/{number:08x}", {"encryptionContext": context, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"}, None
        case "sts":
            asked = {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/deploy-role-{number % 100:03d}", "roleSessionName": f"aws-go-sdk-{number}"}
            credentials = {"accessKeyId": f"ASIA{number:012X}", "sessionToken": _opaque(chances, 300), "expiration": "Jul 10, 2023, 12:54:47 PM"}
            return f"role/deploy-role-{number % 100:03d}", asked, {"credentials": credentials}
        case "ec2" if call == "RunInstances":
            launch: dict[str, Any] = {"instancesSet": {"items": [{"imageId": f"ami-{number:017x}", "minCount": 1, "maxCount": 1}]}, "instanceType": "t3.micro"}
            states = [{"instanceId": f"i-{number + offset:017x}", "instanceState": {"code": 0, "name": "pending"}} for offset in range(3)]
            return f"instance/i-{number:017x}", launch, {"reservationId": f"r-{number:017x}", "instancesSet": {"items": states}}
        case "s3":
            bucket = f"company-evidence-{number % 500}-1q9cl0tuy4gbm"
            return bucket, {"bucketName": bucket, "Host": f"{bucket}.s3.us-east-1.amazonaws.com", "policy": ""}, None
        case _:
            name = f"{service}-{number}"
            return name, {"maxResults": 100, "filterSet": {"items": [{"name": "vpc-id", "valueSet": {"items": [{"value": name}]}}]}}, None


def _opaque(chances: random.Random, size: int) -> str:
    return base64.b64encode(chances.randbytes(size)).decode()
