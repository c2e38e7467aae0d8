//! What datasets may be.

use domain::datasets::DatasetLimits;

use super::problems::Problem;
use super::reader::Values;
use super::settings as known;

/// Reads it.
pub fn read(values: &Values, problems: &mut Vec<Problem>) -> DatasetLimits {
    // What was refused is a problem already; nothing starts with these.
    let seconds = |setting| values.parsed::<u32>(setting).unwrap_or_default();
    let (default_seconds, longest_seconds) = (seconds(&known::DATASET_TTL_SECONDS), seconds(&known::DATASET_MAX_TTL_SECONDS));
    if default_seconds > longest_seconds {
        problems.push(Problem {
            name: known::DATASET_TTL_SECONDS.name.to_owned(),
            found: format!("{default_seconds}, and {}={longest_seconds}", known::DATASET_MAX_TTL_SECONDS.name),
            accepted: format!("no more seconds than {}", known::DATASET_MAX_TTL_SECONDS.name),
        });
    }
    DatasetLimits {
        max_bytes: values.parsed(&known::DATASET_MAX_BYTES).unwrap_or_default(),
        most: values.parsed(&known::DATASET_MAX_COUNT).unwrap_or_default(),
        most_bytes: values.parsed(&known::DATASET_MAX_TOTAL_BYTES).unwrap_or_default(),
        default_seconds,
        longest_seconds,
    }
}
