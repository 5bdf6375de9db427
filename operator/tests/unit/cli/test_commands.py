"""`kubectl liveconnect`: the answers, the exit codes, the words of failures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from liveconnect.cli.commands import app
from tests.unit.common.policy.test_delegation import JWT, stated

CLAIMS = {"iss": "https://i", "client_id": "phone", "sub": "42", "groups": ["drivers"]}
CLUSTER: dict[str, Any] = {
    "apiVersion": "liveconnect.io/v1alpha1",
    "kind": "LiveConnectCluster",
    "metadata": {"name": "demo", "namespace": "platform"},
    "spec": {
        "auth": {
            "tokens": [{"jwt": JWT}],
            "topics": [
                stated("orders/{claims.sub}/+/status", maxQoS=1),
                stated("devices/{clientId}/log", "publish", maxQoS=1, maxPayloadBytes=10),
                stated("depots/#", groups=["drivers"]),
            ],
            "delegations": [
                {"namespaces": ["shop"], "filters": ["shop/#"], "allow": ["subscribe"]},
                {
                    "namespaceSelector": {"matchLabels": {"team": "rides"}},
                    "filters": ["rides/#"],
                    "allow": ["publish"],
                },
            ],
        },
        "gateway": {
            "callers": [
                {
                    "serviceAccount": {"namespace": "shop", "name": "orders"},
                    "publish": ["orders/#"],
                }
            ]
        },
    },
}


def topic(namespace: str, *rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "LiveConnectTopic",
        "metadata": {"name": "t", "namespace": namespace},
        "spec": {"cluster": {"namespace": "platform", "name": "demo"}, "rules": list(rules)},
    }


class Shell:
    """Someone at the command line, in a folder with files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.claims = self.file("claims.json", json.dumps(CLAIMS))
        self.objects = self.yaml(
            CLUSTER,
            topic("shop", stated("shop/{clientId}")),
            topic("rides", stated("rides/{claims.sub}", "publish")),
            {"kind": "Namespace", "metadata": {"name": "rides", "labels": {"team": "rides"}}},
        )

    def file(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def yaml(self, *bodies: dict[str, Any], name: str = "objects.yaml") -> str:
        return self.file(name, yaml.safe_dump_all(bodies))

    def run(self, *arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=stdin)

    def may(self, *arguments: str) -> Result:
        return self.run("may-i", *arguments, "--as-claims", self.claims, "-f", self.objects)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ("subscribe orders/42/+/status", "with QoS 1 – spec.auth.topics[0]"),
        ("subscribe orders/42/7/status --qos 0", "with QoS 0 – spec.auth.topics[0]"),
        ("subscribe $share/g/orders/42/+/status", "– spec.auth.topics[0]"),
        ("subscribe depots/7/gate", "– spec.auth.topics[2]"),
        ("subscribe shop/phone", "– LiveConnectTopic shop/t rules[0]"),
        ("publish rides/42", "– LiveConnectTopic rides/t rules[0]"),
        ("publish devices/phone/log --qos 1 --payload-bytes 10", "– spec.auth.topics[1]"),
        ("connect", "connect as phone to the subscriber pool"),
    ],
)
def test_yes_and_which_rule_says_so(shell: Shell, arguments: str, rule: str) -> None:
    result = shell.may(*arguments.split())
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("yes: ")
    assert result.stdout.strip().endswith(rule)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("subscribe orders/43/+/status", "no-rule"),
        ("subscribe orders/#", "no-rule"),
        ("subscribe a/#/b", "invalid-topic"),
        ("subscribe $SYS/#", "invalid-topic"),
        ("publish orders/42/7/status", "no-rule"),
        ("publish devices/phone/log --qos 2", "qos – spec.auth.topics[1]"),
        ("publish devices/phone/log --retain", "retain – spec.auth.topics[1]"),
        ("publish devices/phone/log --payload-bytes 11", "payload-size – spec.auth.topics[1]"),
        ("publish devices/phone/log", "payload-size – spec.auth.topics[1]"),
        ("connect --client-id other", "client-id"),
    ],
)
def test_no_and_why(shell: Shell, arguments: str, reason: str) -> None:
    result = shell.may(*arguments.split())
    assert result.exit_code == 1, result.output
    assert result.stdout.startswith("no: ")
    assert f": {reason}" in result.stdout


def test_one_refused_filter_makes_it_a_no(shell: Shell) -> None:
    result = shell.may("subscribe", "orders/42/+/status", "#")
    assert result.exit_code == 1
    assert [line.partition(":")[0] for line in result.stdout.splitlines()] == ["yes", "no"]


def test_backends(shell: Shell) -> None:
    def asked(account: str, *arguments: str) -> Result:
        who = ("--as-service-account", account, "-f", shell.objects)
        return shell.run("may-i", *arguments, *who)

    assert asked("shop:orders", "publish", "orders/1").exit_code == 0
    assert "no-rule" in asked("shop:orders", "publish", "news/1").stdout
    assert "unknown-backend" in asked("shop:other", "connect").stdout
    assert "subscribe-on-publisher-pool" in asked("shop:orders", "subscribe", "orders/#").stdout
    assert asked("shop", "connect").exit_code == 2


def test_json_for_programs(shell: Shell) -> None:
    result = shell.may("subscribe", "depots/1", "--json")
    assert json.loads(result.stdout) == [
        {
            "allowed": True,
            "what": "subscribe depots/1",
            "reason": "",
            "rule": "spec.auth.topics[2]",
            "qos": 2,
        }
    ]


def test_objects_that_are_not_in_force_are_named(shell: Shell) -> None:
    objects = shell.yaml(CLUSTER, topic("shop", stated("rides/#")))
    result = shell.run("may-i", "subscribe", "rides/1", "--as-claims", shell.claims, "-f", objects)
    assert result.exit_code == 1
    assert "not in force: LiveConnectTopic shop/t: NotDelegated" in result.stderr


def test_the_rules_of_a_device(shell: Shell) -> None:
    result = shell.run("rules", "--as-claims", shell.claims, "-f", shell.objects, "--json")
    assert result.exit_code == 0, result.output
    assert [rule["filter"] for rule in json.loads(result.stdout)] == [
        "orders/42/+/status",
        "devices/phone/log",
        "depots/#",
        "rides/42",
        "shop/phone",
    ]
    table = shell.run("rules", "--as-claims", shell.claims, "-f", shell.objects).stdout
    assert "STATED IN" in table


def test_the_input_may_be_piped(shell: Shell) -> None:
    arguments = ("may-i", "connect", "--as-claims", "-", "-f", shell.objects)
    assert shell.run(*arguments, stdin=json.dumps(CLAIMS)).exit_code == 0


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ("", "is not JSON"),
        ("[]", "one JSON object"),
        ('{"iss": "https://other", "client_id": "x"}', "none of the object's providers"),
        ('{"iss": "https://i"}', "no client id: say --client-id, or claim client_id"),
    ],
)
def test_claims_that_mean_nothing(shell: Shell, claims: str, words: str) -> None:
    shell.claims = shell.file("claims.json", claims)
    result = shell.may("connect")
    assert result.exit_code == 2
    assert words in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "is not YAML"),
        ("kind: Pod", "there is no LiveConnectCluster"),
        ("kind: LiveConnectCluster\nmetadata: {name: x}\nspec: {}", "cannot be read"),
    ],
)
def test_files_that_mean_nothing(shell: Shell, text: str, words: str) -> None:
    shell.objects = shell.file("objects.yaml", text)
    result = shell.may("connect")
    assert result.exit_code == 2
    assert words in result.stderr


def test_several_clusters_need_a_name(shell: Shell) -> None:
    second = {**CLUSTER, "metadata": {"name": "second", "namespace": "platform"}}
    shell.objects = shell.yaml(CLUSTER, second)
    assert "which LiveConnectCluster: demo, second?" in shell.may("connect").stderr
    assert shell.may("connect", "--cluster", "second").exit_code == 0
    assert "no LiveConnectCluster third" in shell.may("connect", "-c", "third").stderr


def test_who_asks_must_be_said(shell: Shell) -> None:
    result = shell.run("may-i", "connect", "-f", shell.objects)
    assert result.exit_code == 2
    assert "--as-claims FILE or --as-service-account" in result.stderr


def test_without_kubectl_it_says_so(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(shell.folder))
    result = shell.run("may-i", "connect", "--as-claims", shell.claims)
    assert result.exit_code == 2
    assert "kubectl is not on the PATH" in result.stderr
