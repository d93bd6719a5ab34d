//! Streams and queues of AWS, and of what speaks its protocols.
