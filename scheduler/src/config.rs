use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use axum::Router;
use ipnet::Ipv4Net;
use wasmk_controllers::Settings;

use crate::ServerError;

/// The smallest service range that makes sense: the API's own address and a few more.
const SERVICE_PREFIX_MAX: u8 = 28;

/// Everything a control plane is told at its start.
pub struct ServerConfig {
    /// Objects, the certificate authority, the join secret and the kubeconfig live here; made if it is missing.
    pub data_dir: PathBuf,
    /// Where the API is served; at least one. Port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// The address that nodes and the kubeconfig use; needed when the first of `listen` is `0.0.0.0` or `::`.
    pub advertise: Option<IpAddr>,
    /// Addresses of Services; its first one is the API's own.
    pub service_cidr: Ipv4Net,
    /// Further addresses and host names that the server's certificate names.
    pub extra_names: Vec<String>,
    /// Serves `/v2/`: the cluster's own image registry.
    pub registry: Router,
    /// How the controllers judge nodes, how long events live, where pod addresses come from.
    pub controllers: Settings,
}

impl ServerConfig {
    /// What `wasmk up` uses: everything on this machine alone.
    pub fn local(data_dir: impl Into<PathBuf>, port: u16) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))],
            advertise: None,
            service_cidr: Ipv4Net::new_assert(Ipv4Addr::new(10, 43, 0, 0), 16),
            extra_names: Vec::new(),
            registry: Router::new(),
            controllers: Settings::default(),
        }
    }

    /// Finds what can be found wrong without touching anything.
    pub(crate) fn check(&self) -> Result<(), ServerError> {
        let Some(first) = self.listen.first() else {
            return Err(ServerError::Config("no address to listen on is given".to_owned()));
        };
        if first.ip().is_unspecified() && self.advertise.is_none() {
            return Err(ServerError::Config(format!(
                "nodes cannot connect to {}: say which address of this machine they should use (--advertise-address)",
                first.ip()
            )));
        }
        if self.advertise.is_some_and(|address| address.is_unspecified()) {
            return Err(ServerError::Config(
                "the advertised address must be one that others can connect to".to_owned(),
            ));
        }
        if self.service_cidr.prefix_len() > SERVICE_PREFIX_MAX {
            return Err(ServerError::Config(format!(
                "the service range {} is too small: /{SERVICE_PREFIX_MAX} is the least",
                self.service_cidr
            )));
        }
        let (pods, prefix) = self.controllers.pod_cidr;
        let pods =
            Ipv4Net::new(pods, prefix).map_err(|_| ServerError::Config("the pod range is no range".to_owned()))?;
        if pods.contains(&self.service_cidr.network()) || self.service_cidr.contains(&pods.network()) {
            return Err(ServerError::Config(format!(
                "the service range {} and the pod range {pods} overlap",
                self.service_cidr
            )));
        }
        Ok(())
    }

    /// What the API's own defaults and reservations follow; in accord with what the controllers do.
    pub(crate) fn write_settings(&self) -> wasmk_api::write::Settings {
        wasmk_api::write::Settings {
            unhealthy_node_toleration_seconds: self.controllers.unreachable_toleration.as_secs(),
            service_network: (self.service_cidr.network(), self.service_cidr.prefix_len()),
            ..wasmk_api::write::Settings::default()
        }
    }

    pub(crate) fn advertised(&self) -> IpAddr {
        self.advertise.unwrap_or_else(|| self.listen[0].ip())
    }

    /// The API's own address within the cluster.
    pub(crate) fn api_cluster_ip(&self) -> Ipv4Addr {
        self.service_cidr.hosts().next().expect("invariant: checked to have room")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut ServerConfig), says: &str) {
        let mut config = ServerConfig::local("data", 0);
        change(&mut config);
        let message = config.check().unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }

    #[test]
    fn the_local_configuration_is_good() {
        ServerConfig::local("data", 6443).check().unwrap();
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_way_out() {
        check(|config| config.listen.clear(), "no address");
        check(|config| config.listen = vec!["0.0.0.0:6443".parse().unwrap()], "--advertise-address");
        check(|config| config.advertise = Some("0.0.0.0".parse().unwrap()), "advertised");
        check(|config| config.service_cidr = "10.43.0.0/30".parse().unwrap(), "too small");
        check(|config| config.service_cidr = "10.64.0.0/16".parse().unwrap(), "overlap");
    }
}
