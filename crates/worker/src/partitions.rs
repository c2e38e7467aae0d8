//! Duty: the months that big tables are cut into, made before they begin.

use store::{PARTITION_MONTHS_AHEAD, PartitionedTable, Store};

use crate::duty::Run;
use crate::error::WorkerError;

/// Makes the present month and the next ones where they are missing. Also for the start, so that a new database has them.
pub async fn make_months(store: &Store) -> Result<(), WorkerError> {
    for table in PartitionedTable::ALL {
        store.partitions(table).ensure(PARTITION_MONTHS_AHEAD).await?;
    }
    Ok(())
}

pub async fn run(run: Run) -> Result<(), WorkerError> {
    make_months(&run.store).await
}
