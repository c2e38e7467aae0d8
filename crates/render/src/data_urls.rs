//! Data that is got from an address which a request names.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::data_urls::DataUrl;
use outbound::{Answer, Call, Method, Outbound, OutboundError, TooLong};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::error::RenderError;

/// When a place is likely, where all are taken: others wait for somebody who is slow.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// What is asked for, where a request does not say.
const ACCEPT: (&str, &str) = ("accept", "application/json");
/// What is sent, where a schedule does not say.
const CONTENT_TYPE: (&str, &str) = ("content-type", "application/json");

/// How much, and how long, such an address may give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataUrlOptions {
    /// Bytes of its answer.
    pub max_bytes: usize,
    /// For everything together, from the name to the last byte.
    pub timeout: Duration,
}

/// The way to such addresses. Cloning shares it.
#[derive(Clone)]
pub struct DataUrls {
    outbound: Outbound,
    options: DataUrlOptions,
    /// Calls under way: whoever calls keeps a place of a render, and somebody slow is not to have them all.
    places: Arc<Semaphore>,
}

impl DataUrls {
    /// The way through `outbound`, for `places` calls at the same time.
    pub fn new(outbound: Outbound, options: DataUrlOptions, places: usize) -> Self {
        Self { outbound, options, places: Arc::new(Semaphore::new(places.max(1))) }
    }

    /// What the address answers, of which nothing is known but that it says that all is well.
    pub(crate) async fn get(&self, from: &DataUrl, deadline: Instant) -> Result<Answer, RenderError> {
        self.ask(from, None, self.options.timeout, deadline).await
    }

    /// As [`DataUrls::get`], with something that is sent, where there is something, and with a time of its own, which may be longer:
    /// nobody waits for a schedule.
    pub(crate) async fn ask(
        &self,
        from: &DataUrl,
        body: Option<&[u8]>,
        within: Duration,
        deadline: Instant,
    ) -> Result<Answer, RenderError> {
        let _place = self.places.try_acquire().map_err(|_| RenderError::Saturated { retry_after: RETRY_AFTER })?;
        let mut headers: Vec<(&str, String)> = from.headers.iter().map(|(name, value)| (&**name, value.reveal().to_owned())).collect();
        if !headers.iter().any(|(name, _)| *name == ACCEPT.0) {
            headers.push((ACCEPT.0, ACCEPT.1.to_owned()));
        }
        if body.is_some() && !headers.iter().any(|(name, _)| *name == CONTENT_TYPE.0) {
            headers.push((CONTENT_TYPE.0, CONTENT_TYPE.1.to_owned()));
        }
        let call = Call {
            purpose: "data",
            method: if body.is_some() { Method::Post } else { Method::Get },
            url: from.url.reveal(),
            headers: &headers,
            body,
            timeout: within.min(deadline.saturating_duration_since(Instant::now())),
            answer_bytes: self.options.max_bytes,
            too_long: TooLong::Fails,
        };
        match self.outbound.send(call).await {
            Ok(answer) if answer.is_success() => Ok(answer),
            Ok(answer) => Err(RenderError::DataFetchFailed(format!("it answered with the status {}", answer.status))),
            Err(error) => {
                // For the operator; neither the URL nor what was sent along is in it.
                tracing::info!(error = &error as &dyn std::error::Error, "data could not be got from a URL");
                Err(match error {
                    OutboundError::Refused(_) | OutboundError::Redirected { .. } => RenderError::DataUrlRejected(error.told()),
                    OutboundError::TooLong { limit_bytes } => RenderError::DataFromUrlTooLarge { limit_bytes },
                    OutboundError::TimedOut { .. } | OutboundError::Unreachable(_) => RenderError::DataFetchFailed(error.told()),
                })
            }
        }
    }
}

impl fmt::Debug for DataUrls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DataUrls").field("options", &self.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt as _;
    use outbound::{Lookup, Options};
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_name_that_means_something_inward_the_next_time_is_refused() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        // At first somebody's address of documentation, which leads nowhere; then this machine.
        let says = move |_: String| {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            let address = if first { Ipv4Addr::new(93, 184, 215, 14) } else { Ipv4Addr::LOCALHOST };
            async move { Ok(vec![IpAddr::V4(address)]) }.boxed()
        };
        let outbound = Outbound::new(Options { lookup: Lookup::By(Arc::new(says)), ..Options::default() }).unwrap();
        let from = DataUrl::from_json(&json!("https://rebound.example/data?token=hush"), Some(&json!({"a": "hush"}))).unwrap();
        outbound.judge(from.url.reveal()).await.unwrap();
        let urls = DataUrls::new(outbound, DataUrlOptions { max_bytes: 1024, timeout: Duration::from_secs(5) }, 1);
        let error = urls.get(&from, Instant::now() + Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(error, RenderError::DataUrlRejected(_)), "{error:?}");
        assert!(!format!("{error:?} {error} {from:?}").contains("hush"));
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }
}
