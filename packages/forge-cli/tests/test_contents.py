"""What a deployment would change besides the objects themselves: permissions and packages."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from forge_cli.releases.packages import PackageChange, changed_packages, read_packages
from forge_cli.releases.permissions import permissions

RBAC = "rbac.authorization.k8s.io/v1"


def role(*rules, kind="Role", **metadata):
    return {"apiVersion": RBAC, "kind": kind, "metadata": {"name": "reader", **metadata}, "rules": list(rules)}


def spdx(*packages, described=()):
    return json.dumps(
        {
            "packages": [
                {"SPDXID": f"SPDXRef-{name}-{version}", "name": name, "versionInfo": version}
                for name, version in packages
            ],
            "relationships": [
                {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": element}
                for element in described
            ],
        }
    ).encode()


def test_rules_and_bindings_are_told_as_a_person_reads_them():
    binding = {
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": {"name": "api", "namespace": "shop"},
        "roleRef": {"kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "api", "namespace": "shop"}],
    }
    rule = {"apiGroups": ["", "apps"], "resources": ["pods", "deployments"], "verbs": ["list", "get"]}
    secret = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"], "resourceNames": ["key"]}
    assert permissions([role(rule, secret, namespace="shop"), binding]) == {
        "Role shop/reader may get, list deployments, pods of core, apps",
        "Role shop/reader may * secrets of core named key",
        "ServiceAccount shop/api has ClusterRole admin by RoleBinding shop/api",
    }


def test_addresses_outside_resources_and_aggregation_are_permissions():
    found = permissions(
        [
            role({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}, kind="ClusterRole"),
            {**role(kind="ClusterRole"), "rules": None, "aggregationRule": {"clusterRoleSelectors": []}},
        ]
    )
    assert found == {
        "ClusterRole reader may get /metrics",
        "ClusterRole reader takes on the rules of other roles: {'clusterRoleSelectors': []}",
    }


def test_objects_of_other_groups_allow_nothing():
    assert permissions([{"apiVersion": "example.com/v1", "kind": "Role", "rules": [{"verbs": ["get"]}]}]) == set()


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_whatever_stands_in_a_role_is_read(content):
    kinds = ("Role", "RoleBinding")
    documents = [
        {"apiVersion": RBAC, "kind": kind, "rules": content, "subjects": content, "roleRef": content} for kind in kinds
    ]
    assert isinstance(permissions(documents), set)


def test_packages_are_compared_by_artifact_and_name():
    before = {"wheel": read_packages(spdx(("a", "1"), ("b", "1"), ("same", "1")))}
    after = {
        "wheel": read_packages(spdx(("a", "2"), ("c", "1"), ("same", "1"))),
        "tool": read_packages(spdx(("d", "4"))),
    }
    assert list(changed_packages(before, after)) == [
        PackageChange("tool", "d", (), ("4",)),
        PackageChange("wheel", "a", ("1",), ("2",)),
        PackageChange("wheel", "b", ("1",), ()),
        PackageChange("wheel", "c", (), ("1",)),
    ]


def test_the_artifact_itself_is_no_package_of_it():
    assert read_packages(spdx(("wheel", "1"), ("a", "1"), described=["SPDXRef-wheel-1"])) == {"a": {"1"}}


def test_an_artifact_without_an_sbom_is_not_compared():
    assert list(changed_packages({"wheel": None}, {"wheel": {"a": frozenset({"1"})}})) == []


@pytest.mark.parametrize("document", [b"", b"[]", b'{"packages": [{"name": "a"}]}'])
def test_what_is_no_spdx_document_is_refused(document):
    with pytest.raises(ValidationError):
        read_packages(document)
