//! JSON strings.
