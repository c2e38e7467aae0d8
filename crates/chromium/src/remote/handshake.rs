//! The first words of a connection: which protocol, and the proof that both sides have the same secret.
//!
//! The worker greets with a random number, the replica answers with one of its own and a proof over both, and the worker proves the
//! same in its own role. The secret itself never crosses the wire, and a proof that was overheard fits no other connection.

use domain::SecretText;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::{self, PROTOCOL, WireFault};

/// Heads of these words are short.
const HEAD_BYTES: usize = 1024;
const NONCE_BYTES: usize = 32;
/// A change of the reckoning gets a new word, so that old and new proofs never meet.
const PURPOSE: &[u8] = b"pulp-engine: render worker, 1";

/// Why two sides do not talk to each other.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeFault {
    /// The connection broke, or its first words are none.
    #[error(transparent)]
    Wire(#[from] WireFault),
    /// The other side is of another release.
    #[error("the other side speaks protocol {theirs}, this one {PROTOCOL}: bring both to the same release")]
    Protocol {
        /// What it speaks.
        theirs: u32,
    },
    /// Its proof is wrong or missing.
    #[error("its proof of RENDER_WORKER_SECRET is missing or wrong: the secret has to be the same on both sides")]
    Proof,
    /// It asks for a proof, and there is no secret here; or the other way round.
    #[error("one side has a RENDER_WORKER_SECRET and the other has none: it has to be the same on both sides")]
    OneSided,
    /// The other side left when it was to judge our proof.
    #[error(
        "the worker ended the connection when it had seen this side's proof: RENDER_WORKER_SECRET is another one there, or it has too many connections"
    )]
    TurnedAway,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Greeting {
    protocol: u32,
    nonce: String,
    asks_proof: bool,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    protocol: u32,
    nonce: String,
    proof: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Welcome {
    proof: Option<String>,
}

/// Who proves.
#[derive(Clone, Copy)]
enum Role {
    Worker,
    Replica,
}

/// The replica's part.
pub(crate) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, secret: Option<&SecretText>) -> Result<(), HandshakeFault> {
    let greeting: Greeting = word(stream).await?;
    if greeting.protocol != PROTOCOL {
        return Err(HandshakeFault::Protocol { theirs: greeting.protocol });
    }
    if greeting.asks_proof != secret.is_some() {
        return Err(HandshakeFault::OneSided);
    }
    let (own, theirs) = (nonce()?, read_nonce(&greeting.nonce)?);
    let proof = secret.map(|secret| hex::encode(mac(secret, Role::Replica, &theirs, &own).finalize().into_bytes()));
    wire::write(stream, &Answer { protocol: PROTOCOL, nonce: hex::encode(own), proof }, &[]).await?;
    let welcome: Welcome = match word(stream).await {
        Err(WireFault::Ended | WireFault::Io(_)) if secret.is_some() => return Err(HandshakeFault::TurnedAway),
        word => word?,
    };
    check(secret, Role::Worker, (&theirs, &own), welcome.proof.as_deref())
}

/// The worker's part. It says nothing to who has the wrong secret.
pub(crate) async fn receive<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, secret: Option<&SecretText>) -> Result<(), HandshakeFault> {
    let own = nonce()?;
    wire::write(stream, &Greeting { protocol: PROTOCOL, nonce: hex::encode(own), asks_proof: secret.is_some() }, &[]).await?;
    let answer: Answer = word(stream).await?;
    if answer.protocol != PROTOCOL {
        return Err(HandshakeFault::Protocol { theirs: answer.protocol });
    }
    let theirs = read_nonce(&answer.nonce)?;
    check(secret, Role::Replica, (&own, &theirs), answer.proof.as_deref())?;
    let proof = secret.map(|secret| hex::encode(mac(secret, Role::Worker, &own, &theirs).finalize().into_bytes()));
    Ok(wire::write(stream, &Welcome { proof }, &[]).await?)
}

async fn word<S: AsyncRead + Unpin, T: serde::de::DeserializeOwned>(stream: &mut S) -> Result<T, WireFault> {
    wire::read_head(stream, HEAD_BYTES, 0).await?.map(|(word, _)| word).ok_or(WireFault::Ended)
}

fn nonce() -> Result<[u8; NONCE_BYTES], HandshakeFault> {
    let mut bytes = [0; NONCE_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| HandshakeFault::Random)?;
    Ok(bytes)
}

fn read_nonce(text: &str) -> Result<[u8; NONCE_BYTES], HandshakeFault> {
    let mut bytes = [0; NONCE_BYTES];
    hex::decode_to_slice(text, &mut bytes).map_err(|error| WireFault::Malformed(error.to_string()))?;
    Ok(bytes)
}

fn mac(secret: &SecretText, role: Role, workers: &[u8], replicas: &[u8]) -> Hmac<Sha256> {
    let role = match role {
        Role::Worker => b"\0worker\0".as_slice(),
        Role::Replica => b"\0replica\0".as_slice(),
    };
    // HMAC takes keys of any length; there is no other error.
    let keyed = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).expect("a key of any length");
    keyed.chain_update(PURPOSE).chain_update(role).chain_update(workers).chain_update(replicas)
}

/// Whether the other side knows the secret, in a time that does not depend on how wrong it is.
fn check(secret: Option<&SecretText>, role: Role, (workers, replicas): (&[u8], &[u8]), proof: Option<&str>) -> Result<(), HandshakeFault> {
    let Some(secret) = secret else { return Ok(()) };
    let proof = proof.and_then(|proof| hex::decode(proof).ok()).ok_or(HandshakeFault::Proof)?;
    mac(secret, role, workers, replicas).verify_slice(&proof).map_err(|_| HandshakeFault::Proof)
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    type Outcome = Result<(), HandshakeFault>;

    async fn meet(replicas: Option<&str>, workers: Option<&str>) -> (Outcome, Outcome) {
        let (mut replica, mut worker) = duplex(4096);
        let (replicas, workers) = (replicas.map(SecretText::from), workers.map(SecretText::from));
        // Whoever is not content leaves, as it does outside.
        let asking = async move { ask(&mut replica, replicas.as_ref()).await };
        let receiving = async move { receive(&mut worker, workers.as_ref()).await };
        tokio::join!(asking, receiving)
    }

    #[tokio::test]
    async fn sides_with_the_same_secret_or_with_none_talk_to_each_other() {
        for secret in [Some("the same on both sides, and long enough"), None] {
            let (asked, received) = meet(secret, secret).await;
            assert!(asked.is_ok() && received.is_ok(), "{asked:?} {received:?}");
        }
    }

    #[tokio::test]
    async fn a_wrong_or_missing_secret_on_either_side_is_found_by_that_which_has_one() {
        let (asked, received) = meet(Some("one"), Some("two")).await;
        assert!(matches!((asked, received), (Err(HandshakeFault::TurnedAway), Err(HandshakeFault::Proof))));
        let (asked, _) = meet(Some("one"), None).await;
        assert!(matches!(asked, Err(HandshakeFault::OneSided)));
        let (asked, received) = meet(None, Some("two")).await;
        assert!(matches!(asked, Err(HandshakeFault::OneSided)) && received.is_err());
    }

    #[tokio::test]
    async fn a_worker_that_does_not_know_the_secret_is_not_believed() {
        let (mut replica, mut worker) = duplex(4096);
        let secret = SecretText::from("the replica's");
        let impostor = async move {
            wire::write(&mut worker, &Greeting { protocol: PROTOCOL, nonce: hex::encode([1; 32]), asks_proof: true }, &[]).await.unwrap();
            let heard: Answer = word(&mut worker).await.unwrap();
            // Its own proof, sent back to it.
            wire::write(&mut worker, &Welcome { proof: heard.proof }, &[]).await.unwrap();
        };
        let (asked, ()) = tokio::join!(ask(&mut replica, Some(&secret)), impostor);
        assert!(matches!(asked, Err(HandshakeFault::Proof)), "{asked:?}");
    }

    #[tokio::test]
    async fn a_proof_that_was_overheard_fits_no_other_connection() {
        let secret = SecretText::from("the secret of both");
        let (mut replica, mut tap) = duplex(4096);
        let overheard = async move {
            wire::write(&mut tap, &Greeting { protocol: PROTOCOL, nonce: hex::encode([1; 32]), asks_proof: true }, &[]).await.unwrap();
            word::<_, Answer>(&mut tap).await.unwrap()
        };
        let (_, overheard) = tokio::join!(ask(&mut replica, Some(&secret)), overheard);
        let (mut replayed, mut worker) = duplex(4096);
        let replaying = async move {
            let _: Greeting = word(&mut replayed).await.unwrap();
            wire::write(&mut replayed, &overheard, &[]).await.unwrap();
            word::<_, Welcome>(&mut replayed).await.is_ok()
        };
        let receiving = async move { receive(&mut worker, Some(&secret)).await };
        let (welcomed, received) = tokio::join!(replaying, receiving);
        assert!(!welcomed && matches!(received, Err(HandshakeFault::Proof)), "{received:?}");
    }

    #[tokio::test]
    async fn another_protocol_is_told_as_such() {
        let (mut replica, mut worker) = duplex(4096);
        wire::write(&mut worker, &Greeting { protocol: 7, nonce: String::new(), asks_proof: false }, &[]).await.unwrap();
        let asked = ask(&mut replica, None).await.unwrap_err();
        assert!(matches!(asked, HandshakeFault::Protocol { theirs: 7 }) && asked.to_string().contains("same release"), "{asked}");
    }
}
