//! Printing in containers that are thrown away: each has no network and no rights, prints one document, and ends.

mod containers;
mod vessel;

use std::path::PathBuf;

pub(crate) use containers::Containers;

/// How containers are started, and how many there are.
#[derive(Debug, Clone)]
pub struct ContainerOptions {
    /// The program that runs containers: `docker`, or one that takes the same words, by name or path.
    pub runtime: PathBuf,
    /// The product's own image.
    pub image: String,
    /// The most memory of one container, in MiB.
    pub memory_mb: u64,
    /// The most processors of one container, such as `1.5`; all where there is none.
    pub cpus: Option<String>,
    /// A profile of system calls for them, a file where the runtime finds it; the runtime's own where there is none.
    pub seccomp: Option<PathBuf>,
    /// Variables for the worker inside.
    pub environment: Vec<(String, String)>,
    /// What containers of this process are labelled with. Those that carry this label at the start are left-overs of a predecessor,
    /// and are removed.
    pub label: String,
    /// Containers that print at once; as many more are warm or on their way.
    pub tabs: usize,
    /// Jobs of each priority that may wait for one.
    pub queue_depth: usize,
    /// Largest HTML accepted, in bytes.
    pub html_bytes: usize,
    /// Largest PDF taken, in bytes.
    pub output_bytes: usize,
}

/// Why no container can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("RENDER_CONTAINER_RUNTIME={} cannot run a container of RENDER_CONTAINER_IMAGE={image}: {reason}", runtime.display())]
pub struct ContainerError {
    /// The program.
    pub runtime: PathBuf,
    /// The image.
    pub image: String,
    /// What happened instead.
    pub reason: String,
}
