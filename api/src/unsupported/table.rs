use super::Verdict::{Refuse, Warn};
use super::When::{Is, IsNot, Set, True};
use super::{Rule, Verdict, When};

const NO_PROCESSES: &str = "a wasm guest cannot start another process; use httpGet or tcpSocket";
const NO_USERS: &str = "a wasm guest runs as no user of the node and reaches nothing that it was not given";
const NO_KERNEL: &str = "a wasm guest makes no system calls";
const NO_HOST: &str = "a pod shares nothing with its node";
const VOLUMES: &str =
    "volumes are configMap, secret, emptyDir, hostPath, downwardAPI and projected ones; wasmk has no storage drivers";
const TCP_ONLY: &str = "wasmk carries TCP and HTTP only";

const fn rule(path: &'static str, when: When, verdict: Verdict, reason: &'static str) -> Rule {
    Rule { path, when, verdict, reason }
}

/// Below the spec of a pod.
pub(super) const POD_SPEC: &[Rule] = &[
    rule(
        "hostNetwork",
        True,
        Refuse,
        "pods live in a virtual network; publish a port with a Service of type NodePort or LoadBalancer",
    ),
    rule("hostPID|hostIPC|shareProcessNamespace", True, Refuse, NO_HOST),
    rule("ephemeralContainers", Set, Refuse, "nothing can be started inside a running pod"),
    rule("resourceClaims", Set, Refuse, "devices cannot be claimed"),
    rule("resources", Set, Refuse, "requests and limits are those of the containers"),
    rule("runtimeClassName", Set, Warn, "every pod runs on wasmk's own runtime"),
    rule("overhead", Set, Warn, "every pod runs on wasmk's own runtime"),
    rule("dnsConfig", Set, Warn, "wasmk itself resolves names, those of Services first"),
    rule("dnsPolicy", IsNot("ClusterFirst"), Warn, "wasmk itself resolves names, those of Services first"),
    rule("hostAliases", Set, Refuse, "a guest has no hosts file; use a Service of type ExternalName"),
    rule("setHostnameAsFQDN", True, Warn, "a guest's host name is the pod's name"),
    rule("hostnameOverride", Set, Warn, "a guest's host name is the pod's name"),
    rule("os.name", Is("windows"), Refuse, "guests are wasm, not Windows programs"),
    rule("securityContext.sysctls", Set, Refuse, NO_KERNEL),
    rule("securityContext.runAsUser|runAsGroup|fsGroup|supplementalGroups|windowsOptions", Set, Warn, NO_USERS),
    rule("securityContext.seLinuxOptions|appArmorProfile", Set, Warn, NO_KERNEL),
    rule(
        "initContainers[*].restartPolicy",
        Set,
        Refuse,
        "init containers run to their end; make a sidecar a container",
    ),
    rule(
        "initContainers|containers[*].restartPolicyRules",
        Set,
        Refuse,
        "containers restart by the pod's restartPolicy",
    ),
    rule("containers[*].restartPolicy", Set, Refuse, "containers restart by the pod's restartPolicy"),
    rule("containers[*].livenessProbe|readinessProbe|startupProbe.exec", Set, Refuse, NO_PROCESSES),
    rule("containers[*].livenessProbe|readinessProbe|startupProbe.grpc", Set, Refuse, "use httpGet or tcpSocket"),
    rule("containers[*].lifecycle.postStart|preStop.exec", Set, Refuse, "a wasm guest cannot start another process"),
    rule("containers[*].lifecycle.postStart.httpGet|tcpSocket|sleep", Set, Refuse, "use a startupProbe"),
    rule(
        "containers[*].lifecycle.preStop.httpGet|tcpSocket|sleep",
        Set,
        Warn,
        "requests in flight are drained without a hook",
    ),
    rule("containers[*].lifecycle.stopSignal", Set, Warn, "a wasm guest receives no signals"),
    rule("initContainers|containers[*].securityContext.privileged", True, Refuse, NO_HOST),
    rule("initContainers|containers[*].securityContext.allowPrivilegeEscalation", True, Warn, NO_USERS),
    rule("initContainers|containers[*].securityContext.capabilities.add", Set, Refuse, NO_KERNEL),
    rule("initContainers|containers[*].securityContext.procMount", IsNot("Default"), Refuse, NO_KERNEL),
    rule("initContainers|containers[*].securityContext.runAsUser|runAsGroup|windowsOptions", Set, Warn, NO_USERS),
    rule("initContainers|containers[*].securityContext.seLinuxOptions|appArmorProfile", Set, Warn, NO_KERNEL),
    rule("initContainers|containers[*].volumeDevices", Set, Refuse, "a guest has files, not block devices"),
    rule("initContainers|containers[*].volumeMounts[*].subPathExpr", Set, Refuse, "use subPath"),
    rule("initContainers|containers[*].volumeMounts[*].mountPropagation", IsNot("None"), Refuse, NO_HOST),
    rule("initContainers|containers[*].volumeMounts[*].recursiveReadOnly", IsNot("Disabled"), Warn, "use readOnly"),
    rule("initContainers|containers[*].env[*].valueFrom.fileKeyRef", Set, Refuse, "use a ConfigMap or a Secret"),
    rule("initContainers|containers[*].resources.claims", Set, Refuse, "devices cannot be claimed"),
    rule("initContainers|containers[*].resources.limits.ephemeral-storage", Set, Warn, "disk space is not limited"),
    rule("containers[*].resizePolicy", Set, Warn, "a container's resources are fixed once it runs"),
    rule(
        "initContainers|containers[*].ports[*].hostPort",
        Set,
        Refuse,
        "publish a port with a Service of type NodePort or LoadBalancer",
    ),
    rule("initContainers|containers[*].ports[*].protocol", IsNot("TCP"), Warn, TCP_ONLY),
    rule(
        "volumes[*].awsElasticBlockStore|azureDisk|azureFile|cephfs|cinder|csi|ephemeral|fc|flexVolume",
        Set,
        Refuse,
        VOLUMES,
    ),
    rule("volumes[*].flocker|gcePersistentDisk|gitRepo|glusterfs|image|iscsi|nfs", Set, Refuse, VOLUMES),
    rule("volumes[*].persistentVolumeClaim|photonPersistentDisk|portworxVolume|quobyte", Set, Refuse, VOLUMES),
    rule("volumes[*].rbd|scaleIO|storageos|vsphereVolume", Set, Refuse, VOLUMES),
    rule("volumes[*].emptyDir.sizeLimit", Set, Warn, "an emptyDir may fill the node's disk"),
    rule("volumes[*].emptyDir.medium", IsNot("Memory"), Refuse, "an emptyDir is on disk"),
    rule("volumes[*].emptyDir.medium", Is("Memory"), Warn, "an emptyDir is on disk"),
    rule("volumes[*].hostPath.type", Is("Socket"), Refuse, "a guest has files, not sockets or devices"),
    rule("volumes[*].hostPath.type", Is("CharDevice"), Refuse, "a guest has files, not sockets or devices"),
    rule("volumes[*].hostPath.type", Is("BlockDevice"), Refuse, "a guest has files, not sockets or devices"),
    rule(
        "volumes[*].projected.sources[*].clusterTrustBundle|podCertificate",
        Set,
        Refuse,
        "projected volumes have configMap, secret, downwardAPI and serviceAccountToken sources",
    ),
];

/// Below the spec of a Service.
pub(super) const SERVICE: &[Rule] = &[
    rule("externalIPs", Set, Warn, "nodes listen on NodePorts and LoadBalancer ports only"),
    rule("loadBalancerSourceRanges", Set, Refuse, "sources cannot be restricted"),
    rule("loadBalancerClass", Set, Warn, "every LoadBalancer Service is published on the nodes"),
    rule("loadBalancerIP", Set, Warn, "every LoadBalancer Service is published on the nodes"),
    rule("externalTrafficPolicy|internalTrafficPolicy", Is("Local"), Warn, "every ready replica gets its share"),
    rule("trafficDistribution", Set, Warn, "every ready replica gets its share"),
    rule("ipFamilyPolicy", Is("RequireDualStack"), Refuse, "the cluster's network is IPv4"),
    rule("ipFamilies[*]", Is("IPv6"), Refuse, "the cluster's network is IPv4"),
    rule("ports[*].protocol", IsNot("TCP"), Refuse, TCP_ONLY),
];
