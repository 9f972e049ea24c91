"""The deployment files fit the gateway: their configurations load, their ports are opened, their metrics exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from gateway.config.load import load_config
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


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_containers_open_the_ports_that_the_gateway_listens_on(path: Path) -> None:
    opened = {port["containerPort"] for port in _container(path)["ports"]}
    assert opened <= _listening(_configuration(path))
    assert 9090 in opened


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_every_mount_has_its_volume(path: Path) -> None:
    assert {mount["name"] for mount in _container(path)["volumeMounts"]} == {v["name"] for v in _pod(path)["volumes"]}


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_containers_have_no_privileges(path: Path) -> None:
    security = _container(path)["securityContext"]
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
    for name in ("RequestFamilies", "EncryptionFamilies", "TransportFamilies", "DependencyFamilies"):
        getattr(families, name)(registry)
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
