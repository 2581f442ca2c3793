//! Time zones by their IANA names, from the table that is built in: the same on every machine.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The zone of a name such as `Europe/Berlin`; upper and lower case are the same.
pub fn by_name(name: &str) -> Option<TimeZone> {
    ZONES.get(name).ok()
}

/// The name that is most like one that does not exist.
pub fn nearest(name: &str) -> Option<String> {
    let names: Vec<_> = ZONES.available().map(|name| name.to_string()).collect();
    crate::load::nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
}
