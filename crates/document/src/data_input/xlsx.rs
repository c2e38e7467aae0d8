//! Reading xlsx.

use crate::data_input::Converted;
use crate::data_input::meter::Meter;
use crate::data_input::options::XlsxOptions;
use crate::error::DocumentError;

pub fn convert(_bytes: &[u8], _options: &XlsxOptions, meter: &mut Meter<'_>) -> Result<Converted, DocumentError> {
    Err(meter.invalid("is not read yet"))
}
