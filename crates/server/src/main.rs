//! The binary `pulp-engine`: configuration, wiring in reading order, subcommands, shutdown order.

mod config;

fn main() {
    let c = config::Config::read(&config::environment(), 2);
    println!("{c:?} {} {} {}", config::plain(), config::markdown(), config::is_loopback(""));
}
