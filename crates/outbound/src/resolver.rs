//! From names to addresses, each judged before anybody connects to it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use domain::host_names::HostName;
use domain::outbound::{OutboundHost, OutboundPolicy, judge_resolution};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::timeout;

use crate::error::OutboundError;

/// The system's resolver may wait much longer.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// The addresses of a name.
pub type Resolved = std::io::Result<Vec<IpAddr>>;

/// How names become addresses.
#[derive(Clone, Default)]
pub enum Lookup {
    /// As everywhere on this machine.
    #[default]
    System,
    /// As somebody says, who may say something else the next time.
    By(Arc<dyn Fn(String) -> BoxFuture<'static, Resolved> + Send + Sync>),
}

impl Lookup {
    async fn ask(&self, name: &str) -> Resolved {
        match self {
            Self::System => Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()),
            Self::By(says) => says(name.to_owned()).await,
        }
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::System => "System",
            Self::By(_) => "By",
        })
    }
}

/// Gives the addresses of a name when all of them may be called.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    pub(crate) policy: Arc<OutboundPolicy>,
    pub(crate) lookup: Lookup,
}

impl Judge {
    /// The judged addresses of a host.
    pub(crate) async fn addresses(&self, host: &OutboundHost) -> Result<Vec<IpAddr>, OutboundError> {
        let found = match host {
            OutboundHost::Address(address) => vec![*address],
            OutboundHost::Name(name) => {
                let name = name.to_string();
                let asked =
                    timeout(LOOKUP_TIMEOUT, self.lookup.ask(&name)).await.map_err(|_| OutboundError::TimedOut { after: LOOKUP_TIMEOUT })?;
                asked.map_err(|error| OutboundError::Unreachable(format!("its name has no address: {error}")))?
            }
        };
        let pinned = judge_resolution(host, &found, &self.policy).map_err(|refusal| OutboundError::Refused(refusal.into()))?;
        Ok(pinned.addresses().to_vec())
    }
}

impl Resolve for Judge {
    fn resolve(&self, name: Name) -> Resolving {
        let judge = self.clone();
        async move {
            let host: HostName = name.as_str().parse().map_err(|error| OutboundError::Refused(format!("{error}").into()))?;
            let addresses = judge.addresses(&OutboundHost::Name(host)).await?;
            let sockets: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(sockets)
        }
        .boxed()
    }
}
