//! What becomes of a batch, end to end: a server, a Python function on AWS's own runtime client, and every cell of the
//! tables that say what retries, splits, partial responses and odd answers mean.

mod answers;
mod scene;
mod traces;
