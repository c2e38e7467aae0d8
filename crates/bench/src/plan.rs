//! What a round consists of, and in which order.

/// Who prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Raw CDP, no server.
    Floor,
    /// The product.
    Server,
    /// The puppeteer server, a new page for every request.
    Puppeteer,
    /// The puppeteer server with the full browser.
    PuppeteerFull,
    /// The puppeteer server with one page that is kept.
    PuppeteerTuned,
}

impl Variant {
    /// How the report calls it.
    pub fn named(self) -> &'static str {
        match self {
            Self::Floor => "floor (raw CDP)",
            Self::Server => "pulp-engine",
            Self::Puppeteer => "puppeteer, new page",
            Self::PuppeteerFull => "puppeteer, new page, full browser",
            Self::PuppeteerTuned => "puppeteer tuned, one kept page",
        }
    }
}

/// One thing that is measured: who, at how many connections (tabs for the floor).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Who prints.
    pub variant: Variant,
    /// Connections, each with one request in flight.
    pub clients: usize,
}

/// The client count of the comparison with puppeteer.
pub const COMPARED_CLIENTS: usize = 4;

/// Rounds in which the cells outside the ratios are visited: once forwards, once backwards.
const ROUNDS_OF_OTHERS: usize = 2;

/// What there is to measure.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// Warm tabs, cores + 1.
    pub tabs: usize,
    /// Whether cells outside the ratios are left out altogether.
    pub only_ratios: bool,
}

/// The cells of one round. Neighbours are divided by each other, so they lie side by side; every other round runs
/// backwards (A B, B A, …), so that a machine that drifts favours neither.
pub fn round(scope: Scope, takes_part: impl Fn(Variant) -> bool, number: usize) -> Vec<Cell> {
    let cell = |variant, clients| Cell { variant, clients };
    let mut cells = vec![
        cell(Variant::Floor, scope.tabs),
        cell(Variant::Server, 2 * scope.tabs),
        cell(Variant::Server, scope.tabs),
        cell(Variant::Server, COMPARED_CLIENTS),
        cell(Variant::Puppeteer, COMPARED_CLIENTS),
    ];
    if !scope.only_ratios && number < ROUNDS_OF_OTHERS {
        cells.push(cell(Variant::PuppeteerFull, COMPARED_CLIENTS));
        cells.push(cell(Variant::PuppeteerTuned, COMPARED_CLIENTS));
        for clients in [8, 2, 1] {
            cells.push(cell(Variant::Puppeteer, clients));
            cells.push(cell(Variant::Server, clients));
        }
    }
    let mut seen = Vec::new();
    cells.retain(|cell| {
        takes_part(cell.variant) && !seen.contains(cell) && {
            seen.push(*cell);
            true
        }
    });
    if number % 2 == 1 {
        cells.reverse();
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: Scope = Scope { tabs: 3, only_ratios: false };

    #[test]
    fn the_floor_stands_beside_the_server_and_odd_rounds_run_backwards() {
        let forwards = round(SCOPE, |_| true, 2);
        let backwards = round(SCOPE, |_| true, 3);
        assert_eq!(forwards[..2], [Cell { variant: Variant::Floor, clients: 3 }, Cell { variant: Variant::Server, clients: 6 }]);
        assert_eq!(backwards, forwards.into_iter().rev().collect::<Vec<_>>());
    }

    #[test]
    fn no_cell_is_measured_twice_in_a_round_whatever_the_number_of_cores() {
        for tabs in 2..12 {
            let cells = round(Scope { tabs, ..SCOPE }, |_| true, 0);
            assert!(cells.iter().enumerate().all(|(at, cell)| !cells[..at].contains(cell)), "{cells:?}");
        }
    }
}
