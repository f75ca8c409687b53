//! A whole control plane in this process, on a free port, seen through `kube` as any client sees it. Nodes are objects that
//! the tests keep alive; nothing runs on them.

mod cluster;
mod nodes;
mod restart;
mod start;
mod workload;
