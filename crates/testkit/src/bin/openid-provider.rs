//! The OpenID provider of the tests, to try a login by hand.

use std::net::TcpListener;

use testkit::openid::Service;

/// Serves on the port given as the only argument (7070 without one) until it is stopped.
fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).map_or(Ok(7070), |port| port.parse()).map_err(std::io::Error::other)?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("OpenID provider at http://{}; POST /control/clients to enter a client", listener.local_addr()?);
    Service::new(&listener)?.serve(&listener);
    Ok(())
}
