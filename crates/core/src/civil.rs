//! Dates from milliseconds since the Unix epoch.
