//! The replica's end of one connection to a worker: one question at a time, and its answer.

use std::borrow::Cow;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, BufReader, ReadHalf, WriteHalf, split};
use tokio::time::{Instant, timeout, timeout_at};

use super::handshake::{self, HandshakeFault};
use super::stream::{self, Place, Stream};
use super::trust::Trust;
use super::wire::{self, Ask, HEAD_BYTES, Say, WireFault, WorkerStatus, whole_ms};
use crate::fonts::{COVERAGE_BYTES, Coverage};
use crate::{ChromiumError, Phase, PrintJob, Printed, Timings};

/// Connecting, TLS and the first words. A worker on the same network takes milliseconds.
const OPENING: Duration = Duration::from_secs(2);
/// How long a worker that prints nothing may take for a short answer.
pub(crate) const SHORT_ANSWER: Duration = Duration::from_secs(3);
/// The worker ends a print at its deadline itself and says in which phase that was; so much later nobody waits for it any more.
const OVERTIME: Duration = Duration::from_millis(500);

/// An open connection whose other end is a worker that is trusted.
#[derive(Debug)]
pub(crate) struct Connection {
    reader: BufReader<ReadHalf<Stream>>,
    writer: WriteHalf<Stream>,
    pub(crate) used_at: Instant,
    _counted: Counted,
}

/// What a print over a connection came to, where it came to no answer.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Before the worker had it: nothing was begun.
    Before(WireFault),
    /// While the worker had it: whether it died of this document cannot be told.
    While(WireFault),
}

impl Connection {
    /// Connects and makes sure of the other side, within two seconds.
    pub(crate) async fn open(place: &Place, trust: &Trust) -> Result<Self, HandshakeFault> {
        let opening = async {
            let mut stream = stream::connect(place, trust).await.map_err(WireFault::from)?;
            handshake::ask(&mut stream, trust.secret.as_ref()).await?;
            Ok::<_, HandshakeFault>(stream)
        };
        let stream = timeout(OPENING, opening).await.unwrap_or_else(|_| Err(WireFault::Late(OPENING).into()))?;
        Ok(Self::of(stream))
    }

    /// Over the standard input and output of a worker, which greets when it is ready; for as long as that takes.
    pub(crate) async fn over(mut stream: Stream) -> Result<Self, HandshakeFault> {
        handshake::ask(&mut stream, None).await?;
        Ok(Self::of(stream))
    }

    fn of(stream: Stream) -> Self {
        let (reader, writer) = split(stream);
        Self { reader: BufReader::new(reader), writer, used_at: Instant::now(), _counted: Counted::new() }
    }

    /// How the worker stands.
    pub(crate) async fn status(&mut self) -> Result<WorkerStatus, WireFault> {
        match self.short(&Ask::Status, 0).await? {
            (Say::Status(status), _) => Ok(status),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Which characters the worker's fonts draw; none where it cannot list them.
    pub(crate) async fn fonts(&mut self) -> Result<Option<Coverage>, WireFault> {
        match self.short(&Ask::Fonts, COVERAGE_BYTES).await? {
            (Say::Fonts, body) if body.is_empty() => Ok(None),
            (Say::Fonts, body) => Coverage::from_bytes(&body).map(Some).ok_or_else(|| WireFault::Malformed("fonts".to_owned())),
            (other, _) => Err(unexpected(&other)),
        }
    }

    async fn short(&mut self, ask: &Ask<'_>, body_limit: usize) -> Result<(Say, Vec<u8>), WireFault> {
        let exchange = async {
            wire::write(&mut self.writer, ask, &[]).await?;
            self.answer(body_limit).await
        };
        timeout(SHORT_ANSWER, exchange).await.unwrap_or(Err(WireFault::Late(SHORT_ANSWER)))
    }

    /// Returns when the worker has ended the connection, or said something that nobody asked for.
    pub(crate) async fn ended(&mut self) {
        let _ = self.reader.read_u8().await;
    }

    /// Has one document printed. Dropping the future ends the connection, which is how the worker learns of it: the connection is of no
    /// use then, as after every [`Broken`].
    pub(crate) async fn print(
        &mut self,
        job: &PrintJob,
        deadline: Instant,
        output_bytes: usize,
    ) -> Result<Result<Printed, ChromiumError>, Broken> {
        let left = deadline.saturating_duration_since(Instant::now());
        let ask = Ask::Print {
            tenant: Cow::Borrowed(&job.tenant),
            priority: job.priority,
            scripts: job.scripts,
            print: Cow::Borrowed(&job.print),
            left_ms: whole_ms(left),
        };
        let late = || Ok(Err(ChromiumError::DeadlineExceeded { phase: Phase::Queue }));
        let handing_over = async {
            wire::write(&mut self.writer, &ask, job.html.as_bytes()).await?;
            self.answer(0).await
        };
        match timeout_at(deadline + OVERTIME, handing_over).await {
            Ok(Ok((Say::Begun, _))) => {}
            Ok(Ok((Say::Failed(failed), _))) => return Ok(Err(failed.into())),
            Ok(Ok((other, _))) => return Err(Broken::Before(unexpected(&other))),
            Ok(Err(fault)) => return Err(Broken::Before(fault)),
            Err(_) => return late(),
        }
        match timeout_at(deadline + OVERTIME, self.answer(output_bytes)).await {
            Ok(Ok((Say::Printed { lane, queue_us, load_us, print_us, attempts, blocked_requests }, pdf))) => {
                let [queue_wait, load, print] = [queue_us, load_us, print_us].map(Duration::from_micros);
                self.used_at = Instant::now();
                Ok(Ok(Printed { pdf: pdf.into(), lane, timings: Timings { queue_wait, load, print }, attempts, blocked_requests }))
            }
            Ok(Ok((Say::Failed(failed), _))) => Ok(Err(failed.into())),
            Ok(Ok((other, _))) => Err(Broken::While(unexpected(&other))),
            Ok(Err(WireFault::TooLong { part: "body", .. })) => Ok(Err(ChromiumError::OutputTooLarge { limit_bytes: output_bytes })),
            Ok(Err(fault)) => Err(Broken::While(fault)),
            // It should have said so itself half a second ago.
            Err(_) => Ok(Err(ChromiumError::DeadlineExceeded { phase: Phase::Print })),
        }
    }

    async fn answer(&mut self, body_limit: usize) -> Result<(Say, Vec<u8>), WireFault> {
        let (say, bytes) = wire::read_head(&mut self.reader, HEAD_BYTES, body_limit).await?.ok_or(WireFault::Ended)?;
        Ok((say, wire::read_body(&mut self.reader, bytes).await?))
    }
}

fn unexpected(say: &Say) -> WireFault {
    WireFault::Malformed(format!("an answer to something else: {}", format!("{say:?}").chars().take(80).collect::<String>()))
}

/// Counts as an open connection for as long as it lives.
#[derive(Debug)]
struct Counted(());

impl Counted {
    fn new() -> Self {
        metrics::gauge!("pulp_render_worker_connections").increment(1);
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("pulp_render_worker_connections").decrement(1);
    }
}
