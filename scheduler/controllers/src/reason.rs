use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Why something is done: the `reason` of an Event or of a condition, in Kubernetes' words where it has any.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

reasons! {
    // Deployment
    ScalingReplicaSet,
    NewReplicaSetCreated,
    FoundNewReplicaSet,
    NewReplicaSetAvailable,
    ReplicaSetUpdated,
    ProgressDeadlineExceeded,
    MinimumReplicasAvailable,
    MinimumReplicasUnavailable,
    DeploymentPaused,
    DeploymentResumed,
    RevisionChanged,
    /// An old ReplicaSet beyond `revisionHistoryLimit`.
    HistoryLimitExceeded,
    HashCollision,
    ReplicaSetCreateError,
    // ReplicaSet
    SuccessfulCreate,
    SuccessfulDelete,
    FailedCreate,
    SelectorMatches,
    SelectorNoLongerMatches,
    StatusChanged,
    // PodDisruptionBudget
    SufficientPods,
    InsufficientPods,
    // EndpointSlice
    EndpointsChanged,
    NoEndpointsLeft,
    // Garbage
    OwnerGone,
    OwnerDeletedInForeground,
    DependentsGone,
    DependentsOrphaned,
    OwnerRefInvalidNamespace,
    NodeGone,
    NeverScheduled,
    TooManyFinishedPods,
    EventExpired,
    // Namespace
    NamespaceDeletion,
    NamespaceEmpty,
    // CustomResourceDefinition
    NamesAccepted,
    InstanceDeletionInProgress,
    InstanceDeletionCompleted,
    // Node
    NodeStatusUnknown,
    NodeNotReady,
    NodeReady,
    LeaseRenewed,
    TaintsChanged,
    TaintManagerEviction,
    NodeUnreachable,
    CidrAssigned,
    CidrNotAvailable,
    // ServiceAccount
    DefaultServiceAccount,
    // ConfigMap
    RootCertificate,
    // ClusterRole
    RolesAggregated,
    // Service
    LoadBalancerUpdated,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
