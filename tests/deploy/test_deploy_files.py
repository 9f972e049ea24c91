"""The deployment files fit the gateway: their configurations load, their ports are opened, their metrics exist."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from gateway.config.load import load_config
from gateway.errors import ConfigError
from gateway.keys.keyring_editing import add_key
from gateway.keys.local_keyring import read_keyring
from gateway.observe import families

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


def _documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def _configuration(path: Path) -> dict[str, Any]:
    """The gateway's configuration inside a file of manifests."""
    (found,) = [d["data"]["sealgate.yaml"] for d in _documents(path) if d["kind"] == "ConfigMap"]
    configuration: dict[str, Any] = yaml.safe_load(found)
    return configuration


def _pod(path: Path) -> dict[str, Any]:
    pod: dict[str, Any]
    (pod,) = [d["spec"].get("template", d)["spec"] for d in _documents(path) if d["kind"] in ("Deployment", "Pod")]
    return pod


def _container(path: Path) -> dict[str, Any]:
    pod = _pod(path)
    container: dict[str, Any]
    (container,) = [c for c in [*pod["containers"], *pod.get("initContainers", [])] if c["name"] == "sealgate"]
    return container


def _listening(configuration: dict[str, Any]) -> set[int]:
    listeners = [entry for kind in configuration["listeners"].values() if isinstance(kind, list) for entry in kind]
    return {entry["port"] for entry in listeners} | {configuration["admin"].get("port", 9090)}


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_manifest_configurations_load(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "sealgate.yaml"
    file.write_text(yaml.safe_dump(_configuration(path)))
    assert load_config(file).rules


def test_the_compose_configuration_loads() -> None:
    assert load_config(DEPLOY / "compose" / "sealgate.yaml").rules


def test_the_keyring_in_a_pod_is_a_private_file(tmp_path: Path) -> None:
    """The init container's own program, run here on other paths: what it copies is what the gateway takes."""
    path = DEPLOY / "kubernetes" / "client-side.yaml"
    (options,) = _configuration(path)["wrapping_keys"].values()
    (copying,) = _pod(path)["initContainers"]
    secret, keyring = tmp_path / "secret", tmp_path / "keyring"
    for directory in (secret, keyring):
        directory.mkdir()
    add_key(secret / "..data", "one")
    (secret / "..data").chmod(0o440)
    (secret / "keyring.json").symlink_to("..data")
    program = copying["command"][2].replace("/run/secret", str(secret)).replace("/run/keyring", str(keyring))
    subprocess.run([sys.executable, *copying["command"][1:2], program], check=True)
    copy = Path(options["keyring"].replace("/run/keyring", str(keyring)))
    assert read_keyring(copy).current == "one"
    with pytest.raises(ConfigError, match="symbolic link"):
        read_keyring(secret / "keyring.json")


def test_the_compose_files_of_client_side_encryption_fit() -> None:
    """What overrides compose.yaml mounts the secrets that its configuration names, and keeps the staging store."""
    config = load_config(DEPLOY / "compose" / "client-side.yaml")
    text = (DEPLOY / "compose" / "client-side.compose.yaml").read_text()
    document = yaml.safe_load(text.replace("!override", ""))
    service = document["services"]["gateway"]
    named = set(re.findall(r"/run/secrets/(\S+)", (DEPLOY / "compose" / "client-side.yaml").read_text()))
    base = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    assert set(service["secrets"]) == named == set(document["secrets"]) | set(base["secrets"])
    mounts = dict(volume.split(":")[:2] for volume in service["volumes"])
    assert mounts == {"./client-side.yaml": "/etc/sealgate/sealgate.yaml", "state": "/var/lib/sealgate"}
    assert set(document["volumes"]) == {"state"}
    assert str(config.staging.directory).startswith("/var/lib/sealgate/")
    assert "/var/lib/sealgate" in (ROOT / "Dockerfile").read_text()


def test_the_service_keeps_its_state_private() -> None:
    unit = (DEPLOY / "systemd" / "sealgate.service").read_text()
    assert "StateDirectory=sealgate\nStateDirectoryMode=0700\n" in unit
    profile = load_config(ROOT / "config" / "profiles" / "client-side.yaml")
    assert str(profile.staging.directory).startswith("/var/lib/sealgate/")
    assert [key.keyring for key in profile.wrapping_keys.values()] == ["/var/lib/sealgate/keyring.json"]
    assert "keys new /var/lib/sealgate/keyring.json" in unit


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_containers_open_the_ports_that_the_gateway_listens_on(path: Path) -> None:
    opened = {port["containerPort"] for port in _container(path)["ports"]}
    assert opened <= _listening(_configuration(path))
    assert 9090 in opened


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_every_mount_has_its_volume(path: Path) -> None:
    pod = _pod(path)
    containers = [*pod["containers"], *pod.get("initContainers", [])]
    mounted = {mount["name"] for container in containers for mount in container.get("volumeMounts", [])}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_containers_have_no_privileges(path: Path) -> None:
    pod = _pod(path)
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        if not container["image"].startswith("sealgate:"):
            continue  # the application's own
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}


def test_compose_publishes_what_the_gateway_listens_on() -> None:
    configuration = yaml.safe_load((DEPLOY / "compose" / "sealgate.yaml").read_text())
    (service,) = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())["services"].values()
    assert {int(port.rsplit(":", 1)[1]) for port in service["ports"]} == _listening(configuration)


def test_compose_mounts_the_secrets_that_the_configuration_names() -> None:
    named = set(re.findall(r"/run/secrets/(\S+)", (DEPLOY / "compose" / "sealgate.yaml").read_text()))
    document = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    assert set(document["services"]["gateway"]["secrets"]) == named == set(document["secrets"])


def test_stopping_waits_longer_than_the_gateway_drains() -> None:
    drain = load_config(DEPLOY / "compose" / "sealgate.yaml").limits.drain_seconds
    unit = (DEPLOY / "systemd" / "sealgate.service").read_text()
    compose = (DEPLOY / "compose" / "compose.yaml").read_text()
    for seconds in (
        *re.findall(r"TimeoutStopSec=(\d+)", unit),
        *re.findall(r"stop_grace_period: (\d+)s", compose),
        _pod(DEPLOY / "kubernetes" / "gateway.yaml")["terminationGracePeriodSeconds"],
    ):
        assert int(seconds) > drain


def test_alerts_ask_for_metrics_and_label_values_that_exist() -> None:
    registry = CollectorRegistry()
    for name, family in vars(families).items():
        if name.endswith("Families"):
            family(registry)
    counters = {f"{metric.name}_total" for metric in registry.collect() if metric.type == "counter"}
    histograms = {f"{metric.name}_bucket" for metric in registry.collect() if metric.type == "histogram"}
    gauges = {metric.name for metric in registry.collect() if metric.type == "gauge"}
    document = yaml.safe_load((DEPLOY / "prometheus" / "sealgate.rules.yaml").read_text())
    rules = [rule for group in document["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 0
    for rule in rules:
        used = set(re.findall(r"sealgate_\w+", rule["expr"]))
        assert used <= counters | histograms | gauges, rule["alert"]
        for values in re.findall(r'result=~"([^"]+)"', rule["expr"]):
            assert set(values.split("|")) <= set(families.VAULT_RESULTS)
    assert "anonymous" in families.PLAIN_HTTP_REASONS
