//! Recompiles the crate when a migration or a prepared answer is added; the macros see changed files only.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
    println!("cargo:rerun-if-changed=../../.sqlx");
    println!("cargo:rerun-if-changed=sqlx.toml");
}
