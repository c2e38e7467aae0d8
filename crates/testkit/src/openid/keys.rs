//! The provider's keys and its signatures, made without the library that the product verifies them with.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value, json};

/// One key pair with the algorithm that it signs with.
pub(super) struct SigningKey {
    pub(super) id: String,
    algorithm: String,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// A new pair for RS256, PS256, ES256 or EdDSA.
    pub(super) fn generate(algorithm: &str) -> Result<Self, String> {
        let failed = |_| "no key could be made".to_owned();
        let pair = match algorithm {
            "RS256" | "PS256" => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
            "ES256" => Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?),
            "EdDSA" => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            other => return Err(format!("{other} is not an algorithm of this provider")),
        };
        Ok(Self { id: random(), algorithm: algorithm.to_owned(), pair })
    }

    /// The public half as the key set publishes it.
    pub(super) fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": BASE64.encode(&public.n), "e": BASE64.encode(&public.e)})
            }
            Pair::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": BASE64.encode(x), "y": BASE64.encode(y)})
            }
            Pair::Ed25519(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(pair.public_key().as_ref())}),
        };
        for (name, value) in [("kid", self.id.as_str()), ("alg", &self.algorithm), ("use", "sig")] {
            jwk[name] = value.into();
        }
        jwk
    }

    /// A token with these claims. `header` is laid over the honest one, and `lie` may spoil the signature:
    /// `none`, `hs256`, `unknown_kid` or `broken`.
    pub(super) fn token(&self, kind: &str, claims: &Value, header: &Value, lie: &str) -> String {
        let mut fields = json!({"alg": self.algorithm, "kid": self.id, "typ": kind});
        match lie {
            "none" => fields["alg"] = "none".into(),
            "hs256" => fields["alg"] = "HS256".into(),
            "unknown_kid" => fields["kid"] = "nobody".into(),
            _ => {}
        }
        lay_over(&mut fields, header);
        let signed = format!("{}.{}", BASE64.encode(fields.to_string()), BASE64.encode(claims.to_string()));
        let mut signature = match lie {
            "none" => Vec::new(),
            // The public key taken for a shared secret: what a verifier falls for that lets the token choose the algorithm.
            "hs256" => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.public_bytes()), signed.as_bytes()).as_ref().to_vec(),
            _ => self.sign(signed.as_bytes()),
        };
        if let Some(byte) = signature.first_mut().filter(|_| lie == "broken") {
            *byte ^= 1;
        }
        format!("{signed}.{}", BASE64.encode(signature))
    }

    /// The half hash of an access token that an ID token names.
    pub(super) fn half_hash(&self, token: &str) -> String {
        let algorithm = if self.algorithm == "EdDSA" { &digest::SHA512 } else { &digest::SHA256 };
        let hash = digest::digest(algorithm, token.as_bytes());
        BASE64.encode(&hash.as_ref()[..hash.as_ref().len() / 2])
    }

    fn public_bytes(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::P256(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding: &dyn aws_lc_rs::signature::RsaEncoding =
                    if self.algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, message, &mut signature).expect("an RSA key signs");
                signature
            }
            Pair::P256(pair) => pair.sign(&random, message).expect("a P-256 key signs").as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// Lays the members of `over` over those of `under`; a null takes one away.
pub(super) fn lay_over(under: &mut Value, over: &Value) {
    let empty = Map::new();
    let Some(members) = under.as_object_mut() else { return };
    for (name, value) in over.as_object().unwrap_or(&empty) {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
}

/// What PKCE makes of a verifier.
pub(super) fn challenge(verifier: &str) -> String {
    BASE64.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

/// 128 random bits as text.
pub(super) fn random() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system has random bytes");
    BASE64.encode(bytes)
}
