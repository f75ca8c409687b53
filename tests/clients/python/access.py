"""A client with a service account's token, and what RBAC lets it do."""

from checks import check, check_equal, configmap, connect, refused
from kubernetes import client

NS = "default"


def main():
    core, _ = connect()
    core.create_namespaced_service_account(NS, {"metadata": {"name": "writer"}})
    rbac = client.RbacAuthorizationV1Api()
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create"]}
    rbac.create_namespaced_role(NS, {"metadata": {"name": "writer"}, "rules": [rule]})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "writer"}
    subject = {"kind": "ServiceAccount", "name": "writer", "namespace": NS}
    rbac.create_namespaced_role_binding(NS, {"metadata": {"name": "writer"}, "roleRef": role, "subjects": [subject]})
    request = {"spec": {"expirationSeconds": 600, "audiences": None}}
    token = core.create_namespaced_service_account_token("writer", NS, request).status.token
    reviewed = client.AuthenticationV1Api().create_token_review({"spec": {"token": token}}).status
    check_equal("the token is whose", reviewed.user.username, f"system:serviceaccount:{NS}:writer")

    admin = client.Configuration.get_default_copy()
    settings = client.Configuration(host=admin.host, api_key={"authorization": f"Bearer {token}"})
    settings.ssl_ca_cert = admin.ssl_ca_cert
    writer = client.CoreV1Api(client.ApiClient(settings))
    writer.create_namespaced_config_map(NS, configmap("written", {"a": "b"}))
    check_equal("what a role allows", writer.read_namespaced_config_map("written", NS).data, {"a": "b"})
    error = refused("what it does not", 403, writer.delete_namespaced_config_map, "written", NS)
    check("the refusal says who may not do what", "cannot delete resource" in error.body, error.body)
    refused("another namespace", 403, writer.read_namespaced_config_map, "written", "kube-system")
    review = {"spec": {"resourceAttributes": {"namespace": NS, "verb": "create", "resource": "configmaps"}}}
    mine = client.AuthorizationV1Api(client.ApiClient(settings)).create_self_subject_access_review(review)
    check("it may ask what it may do", mine.status.allowed, mine.status)
    rbac.delete_namespaced_role_binding("writer", NS)
    refused("without the binding", 403, writer.read_namespaced_config_map, "written", NS)
    settings.api_key = {"authorization": "Bearer nonsense"}
    refused("a token that is none", 401, client.CoreV1Api(client.ApiClient(settings)).list_namespaced_pod, NS)


main()
