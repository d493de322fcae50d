"""What the rendered chart must be: one check a call, silent when it holds. Called by tests/helm."""

import json
import sys

import jsonschema
import kubernetes_validate
import yaml

# No schema of Kubernetes': an extension's.
EXTENSIONS = {"ServiceMonitor"}


def documents(path):
    with open(path, encoding="utf-8") as file:
        return [document for document in yaml.safe_load_all(file) if document]


def one(path, kind):
    found = [document for document in documents(path) if document["kind"] == kind]
    assert len(found) == 1, f"{len(found)} of kind {kind}"
    return found[0]


def kubernetes(path, version):
    for document in documents(path):
        if document["kind"] not in EXTENSIONS:
            kubernetes_validate.validate(document, version, strict=True)
        name = document["metadata"]["name"]
        assert len(name) <= 63, f"{name} is too long"
        assert not name.endswith("-"), name


def kinds(path, expected):
    found = ",".join(sorted(document["kind"] for document in documents(path)))
    assert found == expected, found


def promises(path):
    """One instance, as little as possible allowed, nothing of Kubernetes' own at hand."""
    state = one(path, "StatefulSet")["spec"]
    assert state["replicas"] == 1
    assert state["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    pod = state["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True and security["runAsUser"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for probe, path_of in {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}.items():
        assert container[probe]["httpGet"] == {"path": path_of, "port": "https", "scheme": "HTTPS"}, probe
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]} | {
        claim["metadata"]["name"]: claim for claim in state["volumeClaimTemplates"]
    }
    assert mounts.keys() == volumes.keys(), (mounts.keys(), volumes.keys())
    writable = {name for name, mount in mounts.items() if not mount.get("readOnly")}
    assert writable == {"state", "tmp"}, writable
    for volume in pod["volumes"]:
        if "secret" in volume:
            # PyYAML reads 0440 as YAML 1.1 does: octal.
            assert volume["secret"]["defaultMode"] == 0o440, volume
    assert one(path, "ServiceAccount")["automountServiceAccountToken"] is False
    service = one(path, "Service")["spec"]
    assert service["publishNotReadyAddresses"] is True
    assert service["selector"].items() <= state["template"]["metadata"]["labels"].items()
    assert not [d for d in documents(path) if d["kind"] in ("Secret", "Role", "ClusterRole", "RoleBinding")]


def configuration(path, schema):
    """What the ConfigMap holds is a configuration of pitlane's, and every file that it names is mounted."""
    config = next(
        yaml.safe_load(document["data"]["pitlane.yaml"])
        for document in documents(path)
        if document["kind"] == "ConfigMap" and "pitlane.yaml" in document["data"]
    )
    with open(schema, encoding="utf-8") as file:
        jsonschema.validate(config, json.load(file))
    (container,) = one(path, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    mounted = [mount["mountPath"] for mount in container["volumeMounts"]]

    def walk(value):
        if isinstance(value, dict):
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)
        elif isinstance(value, str) and value.startswith(("/etc/pitlane", "/var/lib/pitlane")):
            assert any(value == at or value.startswith(at + "/") for at in mounted), f"{value} is not mounted"

    walk(config)
    # A volume's root belongs to everybody's group; the state wants a directory of its own.
    assert config["state"] == "/var/lib/pitlane/state"


if __name__ == "__main__":
    {"kubernetes": kubernetes, "kinds": kinds, "promises": promises, "configuration": configuration}[sys.argv[1]](
        *sys.argv[2:]
    )
